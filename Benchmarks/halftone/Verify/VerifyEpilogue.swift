import CHalftone
import Foundation

/// A random epilogue of those that a product offers.
struct VerifyEpilogue: CustomStringConvertible {
    var bias: [Float]?
    /// As many values as y, row-major.
    var residual: [Float]?
    var activation = HT_ACTIVATION_NONE
    var low: Float = 0
    var high: Float = 0
    var quantization: Quantization?
    /// Of binary operations, one for each row.
    var rowScale: [Float]?

    struct Quantization {
        var xZero: Int32 = 0
        var yZero: Int32 = 0
        var yScale: Float = 1
        var scale: [Float]?
        var multiplier: [Int32]?
        var shift: [UInt8] = []
        var offset: [Int32]?
        var halfAway = false
    }

    init(
        _ operation: Operation, _ kind: ProductKind, _ output: ht_dtype, t: Int, o: Int, _ style: ValueStyle,
        _ random: inout SplitMix
    ) {
        let isByte = output == HT_DTYPE_U8 || output == HT_DTYPE_I8
        if kind.isExact || operation.isBinary { quantization = Quantization(kind, output, o: o, &random) }
        if output.isOfSums { return }
        let isDyadic = quantization?.multiplier != nil
        let activations = [HT_ACTIVATION_NONE, HT_ACTIVATION_RELU, HT_ACTIVATION_CLAMP, HT_ACTIVATION_GELU]
        activation = activations[random.int(0...(isDyadic ? 1 : 3))]
        (low, high) = random.pick([(-0.5, 0.5), (0, 6), (-.infinity, 1), (0, 0)])
        if isDyadic { return }
        // A byte has no NaN to show.
        let plain = isByte ? ValueStyle.ordinary : style
        if operation.isBinary, random.chance(0.3) { rowScale = (0..<t).map { _ in abs(random.value()) } }
        if random.chance(0.5) { bias = (0..<o).map { _ in plain.value(&random) } }
        if random.chance(0.3) {
            let type = output == HT_DTYPE_BF16 ? HT_DTYPE_BF16 : HT_DTYPE_F32
            residual = (0..<t * o).map { _ in plain.value(of: type, &random) }
        }
    }

    var description: String {
        let parts = [
            bias == nil ? nil : "bias", residual == nil ? nil : "residual",
            rowScale == nil ? nil : "row scale",
            activation == HT_ACTIVATION_NONE ? nil : "activation \(activation.rawValue)",
            quantization.map { $0.multiplier == nil ? "quantized" : "dyadic" },
        ]
        let there = parts.compactMap { $0 }
        return there.isEmpty ? "no epilogue" : there.joined(separator: ", ")
    }

    /// What the epilogue makes of an exact sum, and how much it can magnify an error of it beside its
    /// factor.
    func exact(_ sum: Double, row: Int, column: Int, columns: Int) -> (value: Double, slope: Double) {
        let v =
            sum * factor(row: row, column: column) + Double(bias?[column] ?? 0)
            + Double(residual?[row * columns + column] ?? 0)
        switch activation {
        case HT_ACTIVATION_RELU: return (v < 0 ? 0 : v, 1)
        case HT_ACTIVATION_CLAMP: return (v < Double(low) ? Double(low) : v > Double(high) ? Double(high) : v, 1)
        case HT_ACTIVATION_GELU: return (v == -.infinity ? 0 : v * 0.5 * erfc(-v * 0.5.squareRoot()), 1.13)
        default: return (v, 1)
        }
    }

    /// By which sums are multiplied: at least 0.
    func factor(row: Int, column: Int) -> Double {
        Double(rowScale?[row] ?? 1) * Double(quantization?.scale?[column] ?? 1)
    }

    /// Calls `body` with the C library's form, without residual and output.
    func withCode<Result>(_ body: (inout ht_epilogue) -> Result) -> Result {
        withOptionalPointer(bias) { bias in
            withOptionalPointer(rowScale) { rowScale in
                var code = ht_epilogue()
                (code.bias, code.activation, code.low, code.high) = (bias, activation, low, high)
                code.row_scale = rowScale
                guard let quantization else { return body(&code) }
                return quantization.withCode { quantization in
                    code.quantization = quantization
                    return body(&code)
                }
            }
        }
    }
}

extension VerifyEpilogue.Quantization {
    fileprivate init(_ kind: ProductKind, _ output: ht_dtype, o: Int, _ random: inout SplitMix) {
        let isUnsigned = kind == .u8
        if kind == .u8 || kind == .i8, random.chance(0.5) {
            xZero = Int32(random.int(isUnsigned ? 0...255 : -128...127))
        }
        // Bare sums have no scale.
        if !output.isOfSums, random.chance(0.5) { scale = (0..<o).map { _ in abs(random.value()) * 0.01 } }
        guard output == HT_DTYPE_U8 || output == HT_DTYPE_I8 else { return }
        if random.chance(0.5) { yZero = Int32(random.int(output == HT_DTYPE_U8 ? 0...255 : -128...127)) }
        yScale = random.pick([1, 0.5, 0.037, 20])
        guard random.chance(0.5) else { return }
        (scale, yScale) = (nil, 1)
        let multipliers: [Int32] = [0, 1, 3, 5 << 20, 1 << 30, .max]
        multiplier = (0..<o).map { _ in random.pick(multipliers) }
        shift = multiplier!.map { UInt8($0 > 100 ? random.int(18...44) : random.int(1...10)) }
        if random.chance(0.5) { offset = (0..<o).map { _ in Int32(random.int(-1000...1000)) } }
        halfAway = random.chance(0.5)
    }

    fileprivate func withCode<Result>(_ body: (UnsafePointer<ht_quantization>) -> Result) -> Result {
        withOptionalPointer(scale) { scale in
            withOptionalPointer(multiplier) { multiplier in
                withOptionalPointer(multiplier == nil ? nil : shift) { shift in
                    withOptionalPointer(offset) { offset in
                        var code = ht_quantization()
                        (code.x_zero, code.y_zero, code.y_scale) = (xZero, yZero, yScale)
                        (code.scale, code.multiplier, code.shift, code.offset) = (scale, multiplier, shift, offset)
                        code.half_away = halfAway ? 1 : 0
                        return body(&code)
                    }
                }
            }
        }
    }
}

extension ht_dtype {
    /// Whether outputs of this type are sums as they are, or their signs.
    var isOfSums: Bool { self == HT_DTYPE_I32 || self == HT_DTYPE_I16 || self == HT_DTYPE_B1 }
}

func withOptionalPointer<Element, Result>(
    _ array: [Element]?, _ body: (UnsafePointer<Element>?) throws -> Result
) rethrows -> Result {
    guard let array else { return try body(nil) }
    return try array.withUnsafeBufferPointer { try body($0.baseAddress) }
}
