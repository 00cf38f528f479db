import CHalftone

extension NMMatrix {
    /// The product Y = epilogue(X · transpose(W)), where W is this matrix.
    ///
    /// Each floating-point sum is one chain of fused multiply-adds over the entries of its row of W in column order,
    /// started at +0. So it has the same bits for any number of rows, threads, any window and order, on every ISA, and
    /// differs from the exact one by at most γ(entries) · Σ |x·w|. Weights of 16 bits are widened exactly for `Float`
    /// inputs; between ``BFloat16`` inputs and weights, subnormal numbers count as zero. Sums of 8-bit products are
    /// exact. With no columns, Y is the epilogue of 0.
    ///
    /// - Parameters:
    ///   - x: `rows` x ``columns`` values, in the order that `options` say.
    ///   - rows: rows of X and of Y; 0 does nothing.
    ///   - xStride: elements from one row of X to the next, or from one feature to the next where X is feature-major; nil
    ///     for no gaps.
    ///   - y: receives `rows` x ``NMMatrix/rows`` values. Its type says what the results are converted to. A gap between
    ///     its rows or features is not touched.
    ///   - yStride: as `xStride`, of Y.
    ///   - epilogue: what happens to the sums before they are stored.
    ///   - residual: as many values as Y, added to the results before the activation, or nil.
    ///   - residualStride: as `yStride`, of the residual.
    ///   - options: threads, instruction set, windows and orders.
    ///   - scratch: working memory; with one that is large enough, the call allocates nothing.
    /// - Throws: ``HalftoneError/shape(_:)`` when `x`, `y` or an array of the epilogue is too short or `rows` negative,
    ///   ``HalftoneError/stride``, ``HalftoneError/overflow``, ``HalftoneError/threads``, ``HalftoneError/window``,
    ///   ``HalftoneError/isa``, ``HalftoneError/memory``, ``HalftoneError/blobType`` where inputs of this type are not
    ///   multiplied with weights of this type, ``HalftoneError/epilogue`` where the epilogue or the type of Y is not
    ///   offered for them.
    public func multiply<Input: NMInput, Output: NMOutput>(
        _ x: Span<Input>, rows t: Int, xStride: Int? = nil, into y: inout MutableSpan<Output>, yStride: Int? = nil,
        epilogue: Epilogue = Epilogue(), residual: Span<Output.Residual>? = nil, residualStride: Int? = nil,
        options: ProductOptions = ProductOptions(), scratch: Scratch? = nil
    ) throws(HalftoneError) {
        try NMProduct(matrix: self, t: t).multiply(
            x, stride: xStride, into: &y, stride: yStride, epilogue: epilogue, residual: residual,
            residualStride: residualStride, options: options, scratch: scratch)
    }

    /// The product of arrays, into an array; see the variant over spans.
    public func multiply<Input: NMInput, Output: NMOutput>(
        _ x: [Input], rows t: Int, into y: inout [Output], epilogue: Epilogue = Epilogue(),
        residual: [Output.Residual]? = nil, options: ProductOptions = ProductOptions(), scratch: Scratch? = nil
    ) throws(HalftoneError) {
        var result = y.mutableSpan
        try multiply(
            x.span, rows: t, into: &result, epilogue: epilogue, residual: residual?.span, options: options,
            scratch: scratch)
    }

    /// The product as a new array of `rows` x ``NMMatrix/rows`` values; see the variant over spans. Outside the windows
    /// of `options`, and before an epilogue adds to it, it holds 0.
    public func multiply<Input: NMInput, Output: NMOutput>(
        _ x: [Input], rows t: Int, as type: Output.Type = Float.self, epilogue: Epilogue = Epilogue(),
        residual: [Output.Residual]? = nil, options: ProductOptions = ProductOptions(), scratch: Scratch? = nil
    ) throws(HalftoneError) -> [Output] {
        var y: [Output] = try NMProduct(matrix: self, t: t).zeros(for: x, options.xOrder)
        try multiply(
            x, rows: t, into: &y, epilogue: epilogue, residual: residual, options: options, scratch: scratch)
        return y
    }

    /// How many bytes of ``Scratch`` a product of so many rows of X needs.
    ///
    /// - Throws: ``HalftoneError/shape(_:)`` when `rows` is negative, ``HalftoneError/blobType`` when inputs of this
    ///   type are not multiplied with weights of this type, ``HalftoneError/overflow``, ``HalftoneError/threads``,
    ///   ``HalftoneError/isa``.
    public func scratchByteCount<Input: NMInput>(
        rows t: Int, input: Input.Type = Float.self, options: ProductOptions = ProductOptions()
    ) throws(HalftoneError) -> Int {
        guard t >= 0 else { throw .shape("X cannot have \(t) rows") }
        return try NMProduct(matrix: self, t: t).scratchByteCount(input: input.dataType, options: options)
    }
}

/// The product of t rows.
struct NMProduct: NMOperation {
    let matrix: NMMatrix
    let t: Int

    var packed: NMBlobs { matrix.blobs }
    var x: Activations { Activations(name: "X", samples: t, features: matrix.columns) }
    var y: Activations { Activations(name: "Y", samples: t, features: matrix.rows) }

    func scratchSize(_ input: ht_dtype, _ options: inout ht_options, _ size: inout Int) -> ht_status {
        ht_nm_gemm_scratch_size(t, input, packed.bytes.start, packed.bytes.count, &options, &size)
    }

    func run(_ operands: Operands, _ epilogue: inout ht_epilogue, _ options: inout ht_options) -> ht_status {
        let (o, k, blob, size) = (matrix.rows, matrix.columns, packed.bytes.start, packed.bytes.count)
        let (x, xStride, y, yStride) = (operands.x, operands.xStride, operands.y, operands.yStride)
        switch operands.xType {
        case .f32:
            return ht_nm_gemm_f32(
                t, o, k, x?.typed(), xStride, blob, size, &epilogue, y?.typed(), yStride, &options)
        case .bf16: return ht_nm_gemm_bf16(t, o, k, x?.typed(), xStride, blob, size, &epilogue, y, yStride, &options)
        case .u8: return ht_nm_gemm_u8(t, o, k, x?.typed(), xStride, blob, size, &epilogue, y, yStride, &options)
        case .i8: return ht_nm_gemm_i8(t, o, k, x?.typed(), xStride, blob, size, &epilogue, y, yStride, &options)
        default: return HT_ERROR_BLOB_DTYPE
        }
    }
}
