import CHalftone

extension NMBackwardFilters {
    /// The backward convolution: the gradient of X, from that of Y.
    ///
    /// dY is as Y of
    /// ``NMFilters/convolve(_:shape:xStride:into:yStride:epilogue:residual:residualStride:options:scratch:)`` and dX as
    /// its X. Each sum is one chain of fused multiply-adds, taps from the last to the first, at each tap the entries by
    /// ascending place. All else is as there, with dY as X and dX as Y; windows count pixels and channels of dX.
    ///
    /// - Parameters:
    ///   - dy: ``ConvShape/outputs`` values for each pixel of ``ConvShape/outputSize`` and image, in the order that
    ///     `options` say of X.
    ///   - shape: another forward convolution with the same filters than ``shape``; nil for that one.
    ///   - dyStride: elements from one pixel of dY to the next, or from one plane to the next where it is
    ///     channel-major; nil for no gaps.
    ///   - dx: receives ``ConvShape/channels`` values for each pixel of the images. A gap between its pixels or planes
    ///     is not touched.
    ///   - dxStride: as `dyStride`, of dX.
    ///   - epilogue: what happens to the sums before they are stored; the columns of Y are the channels of dX here.
    ///   - residual: as many values as dX, added to the results before the activation, or nil.
    ///   - residualStride: as `dxStride`, of the residual.
    ///   - options: threads, instruction set, windows and orders. Windows of columns need a single group of channels.
    ///   - scratch: working memory; with one that is large enough, the call allocates nothing.
    /// - Throws: as
    ///   ``NMFilters/convolve(_:shape:xStride:into:yStride:epilogue:residual:residualStride:options:scratch:)``.
    public func convolve<Input: NMInput, Output: NMOutput>(
        _ dy: Span<Input>, shape: ConvShape? = nil, dyStride: Int? = nil, into dx: inout MutableSpan<Output>,
        dxStride: Int? = nil, epilogue: Epilogue = Epilogue(), residual: Span<Output.Residual>? = nil,
        residualStride: Int? = nil, options: ProductOptions = ProductOptions(), scratch: Scratch? = nil
    ) throws(HalftoneError) {
        try NMBackwardConvolution(filters: self, shape: shape ?? self.shape).multiply(
            dy, stride: dyStride, into: &dx, stride: dxStride, epilogue: epilogue, residual: residual,
            residualStride: residualStride, options: options, scratch: scratch)
    }

    /// The backward convolution of an array, into an array; see the variant over spans.
    public func convolve<Input: NMInput, Output: NMOutput>(
        _ dy: [Input], shape: ConvShape? = nil, into dx: inout [Output], epilogue: Epilogue = Epilogue(),
        residual: [Output.Residual]? = nil, options: ProductOptions = ProductOptions(), scratch: Scratch? = nil
    ) throws(HalftoneError) {
        var result = dx.mutableSpan
        try convolve(
            dy.span, shape: shape, into: &result, epilogue: epilogue, residual: residual?.span, options: options,
            scratch: scratch)
    }

    /// The backward convolution as a new array; see the variant over spans. Outside the windows of `options`, and
    /// before an epilogue adds to it, it holds 0.
    public func convolve<Input: NMInput, Output: NMOutput>(
        _ dy: [Input], shape: ConvShape? = nil, as type: Output.Type = Float.self, epilogue: Epilogue = Epilogue(),
        residual: [Output.Residual]? = nil, options: ProductOptions = ProductOptions(), scratch: Scratch? = nil
    ) throws(HalftoneError) -> [Output] {
        var dx: [Output] = try NMBackwardConvolution(filters: self, shape: shape ?? self.shape)
            .zeros(for: dy, options.xOrder)
        try convolve(
            dy, shape: shape, into: &dx, epilogue: epilogue, residual: residual, options: options, scratch: scratch)
        return dx
    }

    /// How many bytes of ``Scratch`` a backward convolution of this shape, or of ``shape``, needs.
    ///
    /// - Throws: as ``NMFilters/scratchByteCount(shape:input:options:)``.
    public func scratchByteCount<Input: NMInput>(
        shape: ConvShape? = nil, input: Input.Type = Float.self, options: ProductOptions = ProductOptions()
    ) throws(HalftoneError) -> Int {
        try NMBackwardConvolution(filters: self, shape: shape ?? self.shape)
            .scratchByteCount(input: input.dataType, options: options)
    }
}

/// The backward direction of a convolution.
struct NMBackwardConvolution: NMOperation {
    let packed: NMBlobs
    let code: ht_conv_shape
    let x: Activations
    let y: Activations

    init(filters: NMBackwardFilters, shape: ConvShape) throws(HalftoneError) {
        packed = filters.blobs
        code = try shape.code()
        x = Activations(name: "dY", samples: try shape.outputPixels, features: shape.outputs)
        y = Activations(name: "dX", samples: try shape.inputPixels, features: shape.channels)
    }

    func scratchSize(_ input: ht_dtype, _ options: inout ht_options, _ size: inout Int) -> ht_status {
        var code = code
        return ht_nm_conv_scratch_size(&code, input, packed.bytes.start, packed.bytes.count, &options, &size)
    }

    func run(_ operands: Operands, _ epilogue: inout ht_epilogue, _ options: inout ht_options) -> ht_status {
        var code = code
        let (blob, size) = (packed.bytes.start, packed.bytes.count)
        let (dy, dyStride, dx, dxStride) = (operands.x, operands.xStride, operands.y, operands.yStride)
        switch operands.xType {
        case .f32:
            return ht_nm_conv_backward_f32(
                &code, dy?.typed(), dyStride, blob, size, &epilogue, dx?.typed(), dxStride, &options)
        case .bf16:
            return ht_nm_conv_backward_bf16(
                &code, dy?.typed(), dyStride, blob, size, &epilogue, dx, dxStride, &options)
        default: return HT_ERROR_BLOB_DTYPE
        }
    }
}
