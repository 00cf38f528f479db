import CHalftone

/// What stands for the derivative of sign(x), which is zero, when a network of signs is trained.
public enum SignEstimator: Hashable, Sendable {
    /// 1 where |x| ≤ clip, else 0 (Hubara et al. 2016, "Binarized neural networks").
    case clipped(Float = 1)
    /// max(0, 2 - 2 |x|) (Liu et al. 2018, "Bi-Real Net").
    case polynomial
    /// |x|^((1 - power) / power) / power where knee < |x| ≤ clip, what it is at the knee for smaller ones, else 0 (Wu et
    /// al. 2023, "ReSTE"). power ≥ 1, 0 < knee ≤ clip.
    case reste(power: Float, clip: Float = 1.5, knee: Float = 0.1)
    /// frequency · cos(frequency · x), for the sign of sin(frequency · x) (Vargas et al. 2024, "BiPer").
    case periodic(frequency: Float = 20)

    /// The gradient of x: dX = dY · estimate(x - threshold). Beyond the clip it is +0 whatever dY is; a NaN in x gives a
    /// NaN. It has the same bits on every ISA.
    ///
    /// - Parameters:
    ///   - dy: `rows` x `columns` values, the gradient of the signs.
    ///   - dyStride: elements from one row to the next; nil for rows without a gap.
    ///   - x: `rows` x `columns` values, what the signs were taken of.
    ///   - xStride: as `dyStride`, of x.
    ///   - rows: of all operands.
    ///   - columns: of all operands.
    ///   - thresholds: one for each column; nil for 0.
    ///   - dx: receives `rows` x `columns` values. A gap between its rows is not touched.
    ///   - dxStride: as `dyStride`, of dX.
    ///   - threads: 1 for this thread only, 0 for all that the machine offers.
    ///   - isa: the instruction set to use.
    /// - Throws: ``HalftoneError/estimator`` for parameters out of their range, ``HalftoneError/shape(_:)`` when an
    ///   operand is too short or a size negative, ``HalftoneError/stride``, ``HalftoneError/overflow``,
    ///   ``HalftoneError/threads``, ``HalftoneError/isa``.
    public func gradient(
        _ dy: Span<Float>, dyStride: Int? = nil, _ x: Span<Float>, xStride: Int? = nil, rows: Int, columns: Int,
        thresholds: [Float]? = nil, into dx: inout MutableSpan<Float>, dxStride: Int? = nil, threads: Int = 0,
        isa: ISA = .automatic
    ) throws(HalftoneError) {
        let dys = try SignMatrix.operand(dy.count, of: Float.self, rows, columns, dyStride, name: "dY")
        let xs = try SignMatrix.operand(x.count, of: Float.self, rows, columns, xStride)
        let dxs = try SignMatrix.operand(dx.count, of: Float.self, rows, columns, dxStride, name: "dX")
        try SignMatrix.check(thresholds?.count, for: columns)
        var code = try code()
        var options = try ht_options(threads: threads, isa: isa)
        let status = dy.withUnsafeBufferPointer { dy in
            x.withUnsafeBufferPointer { x in
                dx.withUnsafeMutableBufferPointer { dx in
                    withPointer(to: thresholds) { thresholds in
                        ht_sign_gradient_f32(
                            rows, columns, &code, x.baseAddress, xs.byteStride, thresholds, dy.baseAddress,
                            dys.byteStride, dx.baseAddress, dxs.byteStride, &options)
                    }
                }
            }
        }
        try HalftoneError.check(status)
    }

    /// The gradient of arrays as a new one; see the variant over spans.
    public func gradient(
        _ dy: [Float], _ x: [Float], rows: Int, columns: Int, thresholds: [Float]? = nil, threads: Int = 0,
        isa: ISA = .automatic
    ) throws(HalftoneError) -> [Float] {
        _ = try SignMatrix.operand(x.count, of: Float.self, rows, columns, nil)
        var dx: [Float] = try Activations(name: "dX", samples: rows, features: columns).zeros()
        var span = dx.mutableSpan
        try gradient(
            dy.span, x.span, rows: rows, columns: columns, thresholds: thresholds, into: &span, threads: threads,
            isa: isa)
        return dx
    }

    /// The C library's form, which takes zeros as defaults.
    private func code() throws(HalftoneError) -> ht_sign_estimator {
        var code = ht_sign_estimator()
        switch self {
        case .clipped(let clip): (code.kind, code.clip) = (HT_SIGN_CLIPPED, clip)
        case .polynomial: code.kind = HT_SIGN_POLYNOMIAL
        case .reste(let power, let clip, let knee):
            (code.kind, code.power, code.clip, code.knee) = (HT_SIGN_RESTE, power, clip, knee)
        case .periodic(let frequency): (code.kind, code.frequency) = (HT_SIGN_BIPER, frequency)
        }
        guard parameters.allSatisfy({ $0 != 0 }) else { throw .estimator }
        return code
    }

    private var parameters: [Float] {
        switch self {
        case .clipped(let clip): [clip]
        case .polynomial: []
        case .reste(let power, let clip, let knee): [power, clip, knee]
        case .periodic(let frequency): [frequency]
        }
    }
}

/// Signs of floats, and which of these lie within the clip: all that the way back of ``SignEstimator/clipped(_:)``
/// needs, so that the floats need not be kept.
public struct ClippedSigns: Hashable, Sendable {
    /// The signs, as ``SignMatrix/init(signsOf:rows:columns:rowStride:thresholds:threads:isa:)`` has them.
    public private(set) var signs: SignMatrix
    /// A set bit where |x - threshold| ≤ clip.
    private var inside: SignMatrix

    /// The signs of floats, in one pass over them.
    ///
    /// - Parameters:
    ///   - x: `rows` x `columns` values, row-major.
    ///   - clip: greater than 0.
    ///   - rowStride: elements from one row to the next; nil for rows without a gap.
    ///   - thresholds: one for each column; nil for 0.
    ///   - threads: 1 for this thread only, 0 for all that the machine offers.
    ///   - isa: the instruction set to use.
    /// - Throws: as ``SignMatrix/init(signsOf:rows:columns:rowStride:thresholds:threads:isa:)``,
    ///   ``HalftoneError/estimator``.
    public init(
        of x: Span<Float>, clip: Float = 1, rows: Int, columns: Int, rowStride: Int? = nil,
        thresholds: [Float]? = nil, threads: Int = 0, isa: ISA = .automatic
    ) throws(HalftoneError) {
        let stride = try SignMatrix.operand(x.count, of: Float.self, rows, columns, rowStride).byteStride
        try SignMatrix.check(thresholds?.count, for: columns)
        var options = try ht_options(threads: threads, isa: isa)
        signs = try SignMatrix(rows: rows, columns: columns)
        inside = signs
        let bitStride = signs.byteStride
        let status = x.withUnsafeBufferPointer { x in
            withPointer(to: thresholds) { thresholds in
                ht_sign_pack_clipped_f32(
                    rows, columns, clip, x.baseAddress, stride, thresholds, &signs.words, bitStride, &inside.words,
                    bitStride, &options)
            }
        }
        try HalftoneError.check(status)
    }

    /// dY where x lay within the clip, +0 elsewhere, as a new array.
    ///
    /// - Throws: ``HalftoneError/shape(_:)`` when dY is too short, ``HalftoneError/overflow``,
    ///   ``HalftoneError/threads``, ``HalftoneError/isa``.
    public func gradient(_ dy: [Float], threads: Int = 0, isa: ISA = .automatic) throws(HalftoneError) -> [Float] {
        let (rows, columns) = (inside.rows, inside.columns)
        _ = try SignMatrix.operand(dy.count, of: Float.self, rows, columns, nil, name: "dY")
        var options = try ht_options(threads: threads, isa: isa)
        let (status, dx): (ht_status, [Float]) = array(count: rows * columns) { dx in
            ht_sign_gradient_clipped_f32(
                rows, columns, inside.words, inside.byteStride, dy, 0, dx?.typed(), 0, &options)
        }
        try HalftoneError.check(status)
        return dx
    }
}
