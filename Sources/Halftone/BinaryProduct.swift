import CHalftone

extension BinaryMatrix {
    /// The product Y = epilogue(X · transpose(W)) of signs, where W is this matrix.
    ///
    /// Sums are exact. `Int32` and `Int16` hold them as they are; other results are, in `Float`,
    /// activation(sum · ``Epilogue/rowScales`` · scale + bias + residual), the scale of a column being that of
    /// ``Epilogue/quantization``, then the conversion. They have the same bits for any number of threads, any window
    /// and on every ISA.
    ///
    /// - Parameters:
    ///   - x: a row for each sample, ``columns`` signs each.
    ///   - values: what the bits of X stand for.
    ///   - y: receives ``SignMatrix/rows`` x ``rows`` values. Its type says what the results are converted to. A gap
    ///     between its rows or features is not touched.
    ///   - yStride: elements from one row of Y to the next, or from one feature to the next where Y is feature-major; nil
    ///     for no gaps.
    ///   - epilogue: what happens to the sums before they are stored; nothing for `Int32` and `Int16`.
    ///   - residual: as many values as Y, added to the results before the activation, or nil.
    ///   - residualStride: as `yStride`, of the residual.
    ///   - options: threads, instruction set, windows, Y's order and the design. X has no other order than its own.
    ///   - scratch: working memory; with one that is large enough, the call allocates nothing.
    /// - Throws: ``HalftoneError/shape(_:)`` when X has other columns, or `y` or an array of the epilogue is too short,
    ///   ``HalftoneError/stride``, ``HalftoneError/overflow``, ``HalftoneError/threads``, ``HalftoneError/window``,
    ///   ``HalftoneError/isa``, ``HalftoneError/memory``, ``HalftoneError/epilogue`` where the epilogue is not offered
    ///   for the type of Y, or sums do not fit into `Int16`.
    public func multiply<Output: BinaryOutput>(
        _ x: SignMatrix, values: BitValues = .signs, into y: inout MutableSpan<Output>, yStride: Int? = nil,
        epilogue: Epilogue = Epilogue(), residual: Span<Output.Residual>? = nil, residualStride: Int? = nil,
        options: ProductOptions = ProductOptions(), scratch: Scratch? = nil
    ) throws(HalftoneError) {
        try BinaryProduct(matrix: self, t: x.rows).run(
            x, values, into: &y, stride: yStride, epilogue: epilogue, residual: residual,
            residualStride: residualStride, options: options, scratch: scratch)
    }

    /// The product of signs, into an array; see the variant over spans.
    public func multiply<Output: BinaryOutput>(
        _ x: SignMatrix, values: BitValues = .signs, into y: inout [Output], epilogue: Epilogue = Epilogue(),
        residual: [Output.Residual]? = nil, options: ProductOptions = ProductOptions(), scratch: Scratch? = nil
    ) throws(HalftoneError) {
        var result = y.mutableSpan
        try multiply(
            x, values: values, into: &result, epilogue: epilogue, residual: residual?.span, options: options,
            scratch: scratch)
    }

    /// The product of signs as a new array; see the variant over spans. Outside the windows of `options`, and before an
    /// epilogue adds to it, it holds 0.
    public func multiply<Output: BinaryOutput>(
        _ x: SignMatrix, values: BitValues = .signs, as type: Output.Type = Int32.self,
        epilogue: Epilogue = Epilogue(), residual: [Output.Residual]? = nil,
        options: ProductOptions = ProductOptions(), scratch: Scratch? = nil
    ) throws(HalftoneError) -> [Output] {
        let product = BinaryProduct(matrix: self, t: x.rows)
        try product.x.check(x)
        var y: [Output] = try product.y.zeros()
        try multiply(
            x, values: values, into: &y, epilogue: epilogue, residual: residual, options: options, scratch: scratch)
        return y
    }

    /// The product of signs, into signs: what the threshold makes of the sums. See the variant over spans.
    ///
    /// - Throws: as there; ``HalftoneError/shape(_:)`` unless Y is ``SignMatrix/rows`` of X by ``rows``, and when the
    ///   threshold has fewer levels than that.
    public func multiply(
        _ x: SignMatrix, values: BitValues = .signs, into y: inout SignMatrix, threshold: BinaryThreshold,
        options: ProductOptions = ProductOptions(), scratch: Scratch? = nil
    ) throws(HalftoneError) {
        try BinaryProduct(matrix: self, t: x.rows)
            .run(x, values, into: &y, threshold: threshold, options: options, scratch: scratch)
    }

    /// The product of signs as new signs; see the variant over spans. Outside the windows of `options` they are +1.
    public func multiply(
        _ x: SignMatrix, values: BitValues = .signs, threshold: BinaryThreshold,
        options: ProductOptions = ProductOptions(), scratch: Scratch? = nil
    ) throws(HalftoneError) -> SignMatrix {
        var y = try SignMatrix(rows: x.rows, columns: rows)
        try multiply(x, values: values, into: &y, threshold: threshold, options: options, scratch: scratch)
        return y
    }

    /// How many bytes of ``Scratch`` a product of so many rows of bits needs.
    ///
    /// - Throws: ``HalftoneError/shape(_:)`` when `rows` is negative, ``HalftoneError/overflow``,
    ///   ``HalftoneError/threads``, ``HalftoneError/isa``.
    public func scratchByteCount(
        rows t: Int, values: BitValues = .signs, options: ProductOptions = ProductOptions()
    ) throws(HalftoneError) -> Int {
        try scratchByteCount(rows: t, values.dataType, options)
    }
}

// MARK: - Inputs of floats and bytes

extension BinaryMatrix {
    /// The product Y = epilogue(X · transpose(W)) of floats or bytes with the signs of this matrix.
    ///
    /// A sum of floats is taken in fours, ((±x₀ ± x₁) + (±x₂ ± x₃)), each added to the sum of those before: the same
    /// bits on every ISA and for any number of rows. Sums of bytes are exact, modulo 2³²; ``Quantization/xZero`` is
    /// subtracted from each.
    ///
    /// - Parameters:
    ///   - x: `rows` x ``columns`` values, in the order that `options` say.
    ///   - rows: rows of X and of Y; 0 does nothing.
    ///   - xStride: elements from one row of X to the next, or from one feature to the next where X is feature-major; nil
    ///     for no gaps.
    ///   - y: receives `rows` x ``BinaryMatrix/rows`` values. Its type says what the results are converted to. A gap
    ///     between its rows or features is not touched.
    ///   - yStride: as `xStride`, of Y.
    ///   - epilogue: what happens to the sums before they are stored; nothing for `Int32`.
    ///   - residual: as many values as Y, added to the results before the activation, or nil.
    ///   - residualStride: as `yStride`, of the residual.
    ///   - options: threads, instruction set, windows and orders.
    ///   - scratch: working memory; with one that is large enough, the call allocates nothing.
    /// - Throws: as the product of signs, and ``HalftoneError/shape(_:)`` when `x` is too short or `rows` negative.
    public func multiply<Input: BinaryInput, Output: BinaryOutput>(
        _ x: Span<Input>, rows t: Int, xStride: Int? = nil, into y: inout MutableSpan<Output>, yStride: Int? = nil,
        epilogue: Epilogue = Epilogue(), residual: Span<Output.Residual>? = nil, residualStride: Int? = nil,
        options: ProductOptions = ProductOptions(), scratch: Scratch? = nil
    ) throws(HalftoneError) {
        try BinaryProduct(matrix: self, t: t).run(
            x, stride: xStride, into: &y, stride: yStride, epilogue: epilogue, residual: residual,
            residualStride: residualStride, options: options, scratch: scratch)
    }

    /// The product of an array, into an array; see the variant over spans.
    public func multiply<Input: BinaryInput, Output: BinaryOutput>(
        _ x: [Input], rows t: Int, into y: inout [Output], epilogue: Epilogue = Epilogue(),
        residual: [Output.Residual]? = nil, options: ProductOptions = ProductOptions(), scratch: Scratch? = nil
    ) throws(HalftoneError) {
        var result = y.mutableSpan
        try multiply(
            x.span, rows: t, into: &result, epilogue: epilogue, residual: residual?.span, options: options,
            scratch: scratch)
    }

    /// The product of an array as a new one; see the variant over spans. Outside the windows of `options`, and before an
    /// epilogue adds to it, it holds 0.
    public func multiply<Input: BinaryInput, Output: BinaryOutput>(
        _ x: [Input], rows t: Int, as type: Output.Type = Float.self, epilogue: Epilogue = Epilogue(),
        residual: [Output.Residual]? = nil, options: ProductOptions = ProductOptions(), scratch: Scratch? = nil
    ) throws(HalftoneError) -> [Output] {
        var y: [Output] = try BinaryProduct(matrix: self, t: t).zeros(for: x, options.xOrder)
        try multiply(
            x, rows: t, into: &y, epilogue: epilogue, residual: residual, options: options, scratch: scratch)
        return y
    }

    /// How many bytes of ``Scratch`` a product of so many rows of floats or bytes needs.
    ///
    /// - Throws: as ``scratchByteCount(rows:values:options:)``.
    public func scratchByteCount<Input: BinaryInput>(
        rows t: Int, input: Input.Type, options: ProductOptions = ProductOptions()
    ) throws(HalftoneError) -> Int {
        try scratchByteCount(rows: t, input.dataType, options)
    }

    private func scratchByteCount(
        rows t: Int, _ input: DataType, _ options: ProductOptions
    ) throws(HalftoneError) -> Int {
        guard t >= 0 else { throw .shape("X cannot have \(t) rows") }
        return try BinaryProduct(matrix: self, t: t).scratchByteCount(input: input, options: options)
    }
}

/// The product of t rows.
struct BinaryProduct: BinaryOperation {
    let matrix: BinaryMatrix
    let t: Int

    var x: Activations { Activations(name: "X", samples: t, features: matrix.columns) }
    var y: Activations { Activations(name: "Y", samples: t, features: matrix.rows) }
    private var bytes: PackedBytes { matrix.blobs.bytes }

    func scratchSize(_ input: ht_dtype, _ options: inout ht_options, _ size: inout Int) -> ht_status {
        ht_binary_gemm_scratch_size(t, input, bytes.start, bytes.count, &options, &size)
    }

    func run(_ operands: Operands, _ epilogue: inout ht_epilogue, _ options: inout ht_options) -> ht_status {
        let (o, k, blob, size) = (matrix.rows, matrix.columns, bytes.start, bytes.count)
        let (x, xStride, y, yStride) = (operands.x, operands.xStride, operands.y, operands.yStride)
        switch operands.xType {
        case .b1: return ht_binary_gemm_b1(t, o, k, x?.typed(), xStride, blob, size, &epilogue, y, yStride, &options)
        case .u1: return ht_binary_gemm_u1(t, o, k, x?.typed(), xStride, blob, size, &epilogue, y, yStride, &options)
        case .f32: return ht_binary_gemm_f32(t, o, k, x?.typed(), xStride, blob, size, &epilogue, y, yStride, &options)
        case .i8: return ht_binary_gemm_i8(t, o, k, x?.typed(), xStride, blob, size, &epilogue, y, yStride, &options)
        default: return HT_ERROR_BLOB_DTYPE
        }
    }
}
