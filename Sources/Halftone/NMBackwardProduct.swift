import CHalftone

extension NMBackwardMatrix {
    /// The backward product dX = epilogue(dY · W), where W is this matrix: the gradient of a layer's inputs.
    ///
    /// Rows and columns of dY and dX are in their original order whatever the permutation. Each sum is one chain of
    /// fused multiply-adds over the entries of its column of W by ascending place. All else is as in
    /// ``NMMatrix/multiply(_:rows:xStride:into:yStride:epilogue:residual:residualStride:options:scratch:)``, with dY as
    /// X and dX as Y.
    ///
    /// - Parameters:
    ///   - dy: `rows` x ``NMBackwardMatrix/rows`` values, in the order that `options` say of X.
    ///   - rows: rows of dY and of dX; 0 does nothing.
    ///   - dyStride: elements from one row of dY to the next, or from one feature to the next where it is
    ///     feature-major; nil for no gaps.
    ///   - dx: receives `rows` x ``NMBackwardMatrix/columns`` values. A gap between its rows or features is not
    ///     touched.
    ///   - dxStride: as `dyStride`, of dX.
    ///   - epilogue: what happens to the sums before they are stored.
    ///   - residual: as many values as dX, added to the results before the activation, or nil.
    ///   - residualStride: as `dxStride`, of the residual.
    ///   - options: threads, instruction set, windows and orders.
    ///   - scratch: working memory; with one that is large enough, the call allocates nothing.
    /// - Throws: as
    ///   ``NMMatrix/multiply(_:rows:xStride:into:yStride:epilogue:residual:residualStride:options:scratch:)``.
    public func multiply<Input: NMInput, Output: NMOutput>(
        _ dy: Span<Input>, rows t: Int, dyStride: Int? = nil, into dx: inout MutableSpan<Output>,
        dxStride: Int? = nil, epilogue: Epilogue = Epilogue(), residual: Span<Output.Residual>? = nil,
        residualStride: Int? = nil, options: ProductOptions = ProductOptions(), scratch: Scratch? = nil
    ) throws(HalftoneError) {
        try NMBackwardProduct(matrix: self, t: t).multiply(
            dy, stride: dyStride, into: &dx, stride: dxStride, epilogue: epilogue, residual: residual,
            residualStride: residualStride, options: options, scratch: scratch)
    }

    /// The backward product of an array, into an array; see the variant over spans.
    public func multiply<Input: NMInput, Output: NMOutput>(
        _ dy: [Input], rows t: Int, into dx: inout [Output], epilogue: Epilogue = Epilogue(),
        residual: [Output.Residual]? = nil, options: ProductOptions = ProductOptions(), scratch: Scratch? = nil
    ) throws(HalftoneError) {
        var result = dx.mutableSpan
        try multiply(
            dy.span, rows: t, into: &result, epilogue: epilogue, residual: residual?.span, options: options,
            scratch: scratch)
    }

    /// The backward product as a new array; see the variant over spans. Outside the windows of `options`, and before an
    /// epilogue adds to it, it holds 0.
    public func multiply<Input: NMInput, Output: NMOutput>(
        _ dy: [Input], rows t: Int, as type: Output.Type = Float.self, epilogue: Epilogue = Epilogue(),
        residual: [Output.Residual]? = nil, options: ProductOptions = ProductOptions(), scratch: Scratch? = nil
    ) throws(HalftoneError) -> [Output] {
        var dx: [Output] = try NMBackwardProduct(matrix: self, t: t).zeros(for: dy, options.xOrder)
        try multiply(
            dy, rows: t, into: &dx, epilogue: epilogue, residual: residual, options: options, scratch: scratch)
        return dx
    }

    /// How many bytes of ``Scratch`` a backward product of so many rows of dY needs.
    ///
    /// - Throws: as ``NMMatrix/scratchByteCount(rows:input:options:)``.
    public func scratchByteCount<Input: NMInput>(
        rows t: Int, input: Input.Type = Float.self, options: ProductOptions = ProductOptions()
    ) throws(HalftoneError) -> Int {
        guard t >= 0 else { throw .shape("dY cannot have \(t) rows") }
        return try NMBackwardProduct(matrix: self, t: t).scratchByteCount(input: input.dataType, options: options)
    }
}

/// The backward product of t rows.
struct NMBackwardProduct: NMOperation {
    let matrix: NMBackwardMatrix
    let t: Int

    var packed: NMBlobs { matrix.blobs }
    var x: Activations { Activations(name: "dY", samples: t, features: matrix.rows) }
    var y: Activations { Activations(name: "dX", samples: t, features: matrix.columns) }

    func scratchSize(_ input: ht_dtype, _ options: inout ht_options, _ size: inout Int) -> ht_status {
        ht_nm_gemm_backward_scratch_size(t, input, packed.bytes.start, packed.bytes.count, &options, &size)
    }

    func run(_ operands: Operands, _ epilogue: inout ht_epilogue, _ options: inout ht_options) -> ht_status {
        let (o, k, blob, size) = (matrix.rows, matrix.columns, packed.bytes.start, packed.bytes.count)
        let (dy, dyStride, dx, dxStride) = (operands.x, operands.xStride, operands.y, operands.yStride)
        switch operands.xType {
        case .f32:
            return ht_nm_gemm_backward_f32(
                t, o, k, dy?.typed(), dyStride, blob, size, &epilogue, dx?.typed(), dxStride, &options)
        case .bf16:
            return ht_nm_gemm_backward_bf16(
                t, o, k, dy?.typed(), dyStride, blob, size, &epilogue, dx, dxStride, &options)
        default: return HT_ERROR_BLOB_DTYPE
        }
    }
}
