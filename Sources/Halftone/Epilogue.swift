import CHalftone

/// What happens to each result of a product before it is stored, after scale, bias and residual.
public enum Activation: Hashable, Sendable {
    /// Nothing.
    case none
    /// Negative results become 0; a NaN stays a NaN.
    case relu
    /// Results below the range become its lower bound, results above it its upper one; a NaN stays a NaN.
    case clamp(ClosedRange<Float>)
    /// v/2 · (1 + erf(v / √2)), the exact form of GELU.
    case gelu
}

/// The real values behind 8-bit numbers: x stands for (x - xZero) · its scale, a weight w for w · its scale.
public struct Quantization: Hashable, Sendable {
    /// How sums become results.
    public enum Form: Hashable, Sendable {
        /// In floating point: y = activation(sum · scale + bias + residual), and an 8-bit y is that divided by `yScale`,
        /// rounded to nearest, ties to even, plus ``Quantization/yZero``, saturated. `scale` has one value for each
        /// column of Y; nil stands for 1.
        case real(scale: [Float]? = nil, yScale: Float = 1)
        /// In integers only, to an 8-bit y: (sum + offset) · multiplier / 2^shift + ``Quantization/yZero``, saturated
        /// (Yao et al. 2021, "HAWQ-V3: Dyadic neural network quantization"). Each array has one value for each column of
        /// Y; multipliers are not negative, shifts are 1 to 62, and no offset stands for 0.
        case dyadic(multiplier: [Int32], shift: [UInt8], offset: [Int32]? = nil, ties: Ties = .toEven)
    }

    /// What becomes of a quotient that lies exactly between two integers.
    public enum Ties: Hashable, Sendable {
        /// The even one.
        case toEven
        /// The larger one, as (v + 2^(shift - 1)) >> shift has it.
        case up
    }

    /// Subtracted from every x; in the range of its type.
    public var xZero: Int32
    /// How sums become results.
    public var form: Form
    /// Added to every 8-bit y; in the range of its type.
    public var yZero: Int32

    /// No zero points and a scale of 1 unless said otherwise.
    public init(xZero: Int32 = 0, form: Form = .real(), yZero: Int32 = 0) {
        self.xZero = xZero
        self.form = form
        self.yZero = yZero
    }
}

/// What happens to the sums of a product before they are stored: y = activation(sum · scale + bias + residual), then the
/// conversion to Y's type.
///
/// In products of signs the sums are first multiplied by ``rowScales``.
public struct Epilogue: Hashable, Sendable {
    /// A value for each column of Y, or nil.
    public var bias: [Float]?
    /// What is done to each result at last.
    public var activation: Activation
    /// Takes what Y holds before the call as the residual, so that the result is added to it. For Y of `Float` or
    /// ``BFloat16``.
    public var addsToOutput: Bool
    /// Scales and zero points; products of 8-bit inputs and of signs only.
    public var quantization: Quantization?
    /// A value for each row of Y, as the mean magnitude of what became signs, or nil; products of signs only.
    public var rowScales: [Float]?

    /// The sums as they are, unless said otherwise.
    public init(
        bias: [Float]? = nil, activation: Activation = .none, addsToOutput: Bool = false,
        quantization: Quantization? = nil, rowScales: [Float]? = nil
    ) {
        self.bias = bias
        self.activation = activation
        self.addsToOutput = addsToOutput
        self.quantization = quantization
        self.rowScales = rowScales
    }
}

// MARK: - For the C library

extension Epilogue {
    /// Throws ``HalftoneError/shape(_:)`` unless every array has a value for each column, or row.
    func check(rows: Int, columns: Int) throws(HalftoneError) {
        try Self.check("the row scales hold", rowScales?.count, rows, "rows")
        try Self.check("the bias holds", bias?.count, columns)
        switch quantization?.form {
        case .real(let scale, _): try Self.check("the scale holds", scale?.count, columns)
        case .dyadic(let multiplier, let shift, let offset, _):
            try Self.check("the multiplier holds", multiplier.count, columns)
            try Self.check("the shift holds", shift.count, columns)
            try Self.check("the offset holds", offset?.count, columns)
        case nil: break
        }
    }

    private static func check(
        _ subject: String, _ count: Int?, _ needed: Int, _ lines: String = "columns"
    ) throws(HalftoneError) {
        guard let count, count < needed else { return }
        throw .shape("\(subject) \(count) values, \(needed) \(lines) need \(needed)")
    }

    /// Calls `body` with the C library's form, whose pointers are good until it returns. Residual and output are not
    /// part of it.
    func withCode(_ body: (inout ht_epilogue) -> ht_status) -> ht_status {
        withPointer(to: bias) { bias in
            withPointer(to: rowScales) { rowScales in
                var code = ht_epilogue()
                (code.bias, code.row_scale) = (bias, rowScales)
                activation.write(to: &code)
                guard let quantization else { return body(&code) }
                return quantization.withCode { quantization in
                    code.quantization = quantization
                    return body(&code)
                }
            }
        }
    }
}

extension Activation {
    fileprivate func write(to code: inout ht_epilogue) {
        switch self {
        case .none: code.activation = HT_ACTIVATION_NONE
        case .relu: code.activation = HT_ACTIVATION_RELU
        case .gelu: code.activation = HT_ACTIVATION_GELU
        case .clamp(let range):
            code.activation = HT_ACTIVATION_CLAMP
            (code.low, code.high) = (range.lowerBound, range.upperBound)
        }
    }
}

extension Quantization {
    fileprivate func withCode(_ body: (UnsafePointer<ht_quantization>) -> ht_status) -> ht_status {
        var code = ht_quantization()
        (code.x_zero, code.y_zero) = (xZero, yZero)
        switch form {
        case .real(let scale, let yScale):
            return withPointer(to: scale) { scale in
                (code.scale, code.y_scale) = (scale, yScale)
                return body(&code)
            }
        case .dyadic(let multiplier, let shift, let offset, let ties):
            code.half_away = ties == .up ? 1 : 0
            return withPointer(to: multiplier) { multiplier in
                withPointer(to: shift) { shift in
                    withPointer(to: offset) { offset in
                        (code.multiplier, code.shift, code.offset) = (multiplier, shift, offset)
                        return body(&code)
                    }
                }
            }
        }
    }
}

/// Calls `body` with the address of the first element; with nil for no array.
func withPointer<Element, Result>(
    to array: [Element]?, _ body: (UnsafePointer<Element>?) -> Result
) -> Result {
    guard let array else { return body(nil) }
    return array.withUnsafeBufferPointer { body($0.baseAddress) }
}
