import CHalftone

/// What happens to each result of a product before it is stored, after the bias is added.
public enum Activation: Hashable, Sendable {
    /// Nothing.
    case none
    /// Negative results become 0; a NaN stays a NaN.
    case relu

    var code: ht_activation {
        switch self {
        case .none: HT_ACTIVATION_NONE
        case .relu: HT_ACTIVATION_RELU
        }
    }
}

/// How a product is to run. None of it changes a bit of a result.
public struct ProductOptions: Hashable, Sendable {
    /// 1 for this thread only, 0 for all that the machine offers.
    public var threads = 0
    /// The instruction set to use.
    public var isa = ISA.automatic
    /// Compute only these rows of Y and leave the others as they are; nil for all.
    public var rowWindow: Range<Int>?
    /// Compute only these columns of Y and leave the others as they are; nil for all. Both bounds are multiples of 16,
    /// or the upper one is the last column.
    public var columnWindow: Range<Int>?

    /// All of Y, on all threads, by the best kernels, unless said otherwise.
    public init(
        threads: Int = 0, isa: ISA = .automatic, rowWindow: Range<Int>? = nil, columnWindow: Range<Int>? = nil
    ) {
        self.threads = threads
        self.isa = isa
        self.rowWindow = rowWindow
        self.columnWindow = columnWindow
    }

    /// The C library's options for a Y of rows x columns.
    func code(rows: Int, columns: Int) throws(HalftoneError) -> ht_options {
        var options = try ht_options(threads: threads)
        options.isa = isa.code
        (options.row_begin, options.row_end) = try Self.bounds(rowWindow, of: rows)
        (options.column_begin, options.column_end) = try Self.bounds(columnWindow, of: columns)
        // The C library reads 0 ..< 0 as everything. An empty window at the last row says the same as it.
        if rowWindow == 0..<0 || columnWindow == 0..<0 { (options.row_begin, options.row_end) = (rows, rows) }
        return options
    }

    private static func bounds(_ window: Range<Int>?, of size: Int) throws(HalftoneError) -> (Int, Int) {
        guard let window else { return (0, 0) }
        guard window.lowerBound >= 0, window.upperBound <= size else { throw .window }
        return (window.lowerBound, window.upperBound)
    }
}

extension NMMatrix {
    /// The product Y = activation(X · transpose(W) + bias), where W is this matrix.
    ///
    /// Each result is one chain of fused multiply-adds over the entries of its row of W in column order, started at +0.
    /// So it has the same bits for any number of rows, threads and any window, on every ISA, and differs from the exact
    /// one by at most γ(entries) · Σ |x·w|. With no columns, Y is activation(bias).
    ///
    /// - Parameters:
    ///   - x: `rows` x ``columns`` values, row-major.
    ///   - rows: rows of X and of Y; 0 does nothing.
    ///   - xStride: elements from one row of X to the next; nil for rows without a gap.
    ///   - y: receives `rows` x ``NMMatrix/rows`` values, row-major. A gap between its rows is not touched.
    ///   - yStride: elements from one row of Y to the next; nil for rows without a gap.
    ///   - bias: a value for each column of Y, or nil.
    ///   - activation: what is done to each result at last.
    ///   - options: threads, instruction set and windows.
    ///   - scratch: working memory; with one that is large enough, the call allocates nothing.
    /// - Throws: ``HalftoneError/shape(_:)`` when `x`, `y` or `bias` is too short or `rows` negative,
    ///   ``HalftoneError/stride``, ``HalftoneError/overflow``, ``HalftoneError/threads``, ``HalftoneError/window``,
    ///   ``HalftoneError/isa``, ``HalftoneError/memory``.
    public func multiply(
        _ x: Span<Float>, rows t: Int, xStride: Int? = nil, into y: inout MutableSpan<Float>, yStride: Int? = nil,
        bias: Span<Float>? = nil, activation: Activation = .none, options: ProductOptions = ProductOptions(),
        scratch: Scratch? = nil
    ) throws(HalftoneError) {
        let xs = try Operand("X holds", count: x.count, rows: t, columns: columns, rowStride: xStride)
        let ys = try Operand("Y holds", count: y.count, rows: t, columns: rows, rowStride: yStride)
        if let bias, bias.count < rows {
            throw .shape("the bias holds \(bias.count) values, \(rows) columns need \(rows)")
        }
        var code = try options.code(rows: t, columns: rows)
        try provide(scratch, rows: t, options: &code)
        let status = x.withUnsafeBufferPointer { x in
            y.withUnsafeMutableBufferPointer { y in
                Span.withPointer(to: bias) { bias in
                    var epilogue = ht_epilogue()
                    (epilogue.bias, epilogue.activation) = (bias, activation.code)
                    return ht_nm_gemm_f32(
                        t, rows, columns, x.baseAddress, xs.byteStride, packed.start, packed.count, &epilogue,
                        y.baseAddress, ys.byteStride, &code)
                }
            }
        }
        try HalftoneError.check(status)
    }

    /// The product of arrays, into an array; see the variant over spans.
    public func multiply(
        _ x: [Float], rows t: Int, into y: inout [Float], bias: [Float]? = nil, activation: Activation = .none,
        options: ProductOptions = ProductOptions(), scratch: Scratch? = nil
    ) throws(HalftoneError) {
        var result = y.mutableSpan
        try multiply(
            x.span, rows: t, into: &result, bias: bias?.span, activation: activation, options: options,
            scratch: scratch)
    }

    /// The product as a new array of `rows` x ``NMMatrix/rows`` values; see the variant over spans. Outside the windows
    /// of `options` it holds 0.
    public func multiply(
        _ x: [Float], rows t: Int, bias: [Float]? = nil, activation: Activation = .none,
        options: ProductOptions = ProductOptions(), scratch: Scratch? = nil
    ) throws(HalftoneError) -> [Float] {
        // X is checked first: a wrong number of rows must not ask for the memory of its result.
        _ = try Operand("X holds", count: x.count, rows: t, columns: columns)
        let (count, overflow) = t.multipliedReportingOverflow(by: rows)
        guard !overflow, count <= Int.max / MemoryLayout<Float>.stride else { throw .overflow }
        var y = [Float](repeating: 0, count: count)
        try multiply(
            x, rows: t, into: &y, bias: bias, activation: activation, options: options, scratch: scratch)
        return y
    }

    /// How many bytes of ``Scratch`` a product of so many rows of X needs.
    ///
    /// - Throws: ``HalftoneError/shape(_:)`` when `rows` is negative, ``HalftoneError/overflow``,
    ///   ``HalftoneError/threads``, ``HalftoneError/isa``.
    public func scratchByteCount(
        rows t: Int, options: ProductOptions = ProductOptions()
    ) throws(HalftoneError) -> Int {
        guard t >= 0 else { throw .shape("X cannot have \(t) rows") }
        var code = try ht_options(threads: options.threads)
        code.isa = options.isa.code
        return try scratchByteCount(rows: t, options: &code)
    }

    private func scratchByteCount(rows t: Int, options: inout ht_options) throws(HalftoneError) -> Int {
        var size = 0
        try HalftoneError.check(
            ht_nm_gemm_scratch_size(t, HT_DTYPE_F32, packed.start, packed.count, &options, &size))
        // size_t is an Int here, so that a size beyond Int.max arrives as a negative one.
        guard size >= 0 else { throw .overflow }
        return size
    }

    /// Lets the call use `scratch`, grown to what it needs.
    private func provide(_ scratch: Scratch?, rows t: Int, options: inout ht_options) throws(HalftoneError) {
        guard let scratch else { return }
        try scratch.reserve(try scratchByteCount(rows: t, options: &options))
        options.scratch = scratch.memory
        options.scratch_size = scratch.byteCount
    }
}
