import CHalftone

extension NMFilters {
    /// The convolution, NHWC by OHWI to NHWC, each result with its epilogue.
    ///
    /// X is a matrix with a row for each pixel of all images and a column for each channel, Y likewise: so strides,
    /// orders and windows of `options` are as in
    /// ``NMMatrix/multiply(_:rows:xStride:into:yStride:epilogue:residual:residualStride:options:scratch:)``, whose
    /// types and guarantees hold here too. A convolution can read or write some channels of a wider image, and in the
    /// order ``MatrixOrder/features`` an operand is channel-major, a plane for each channel, so that layers chain
    /// without a transposition. A pixel outside the image is a zero, ``Quantization/xZero`` where X is quantized.
    ///
    /// - Parameters:
    ///   - x: ``ConvShape/channels`` values for each pixel of the images, in the order that `options` say.
    ///   - shape: another convolution with the same filters than ``shape``, as for other images; nil for that one.
    ///   - xStride: elements from one pixel of X to the next, or from one plane to the next where X is channel-major;
    ///     nil for no gaps.
    ///   - y: receives ``ConvShape/outputs`` values for each pixel of ``ConvShape/outputSize`` and image. Its type says
    ///     what the results are converted to. A gap between its pixels or planes is not touched.
    ///   - yStride: as `xStride`, of Y.
    ///   - epilogue: what happens to the sums before they are stored; the columns of Y are its channels.
    ///   - residual: as many values as Y, added to the results before the activation, or nil.
    ///   - residualStride: as `yStride`, of the residual.
    ///   - options: threads, instruction set, windows and orders. Windows of columns need a single group of channels.
    ///   - scratch: working memory; with one that is large enough, the call allocates nothing.
    /// - Throws: ``HalftoneError/blobShape`` when `shape` has other filters; that of a shape as
    ///   ``init(packing:shape:rowStride:pattern:mask:threads:)``; that of operands and options as
    ///   ``NMMatrix/multiply(_:rows:xStride:into:yStride:epilogue:residual:residualStride:options:scratch:)``.
    public func convolve<Input: NMInput, Output: NMOutput>(
        _ x: Span<Input>, shape: ConvShape? = nil, xStride: Int? = nil, into y: inout MutableSpan<Output>,
        yStride: Int? = nil, epilogue: Epilogue = Epilogue(), residual: Span<Output.Residual>? = nil,
        residualStride: Int? = nil, options: ProductOptions = ProductOptions(), scratch: Scratch? = nil
    ) throws(HalftoneError) {
        try NMConvolution(filters: self, shape: shape ?? self.shape).multiply(
            x, stride: xStride, into: &y, stride: yStride, epilogue: epilogue, residual: residual,
            residualStride: residualStride, options: options, scratch: scratch)
    }

    /// The convolution of an array, into an array; see the variant over spans.
    public func convolve<Input: NMInput, Output: NMOutput>(
        _ x: [Input], shape: ConvShape? = nil, into y: inout [Output], epilogue: Epilogue = Epilogue(),
        residual: [Output.Residual]? = nil, options: ProductOptions = ProductOptions(), scratch: Scratch? = nil
    ) throws(HalftoneError) {
        var result = y.mutableSpan
        try convolve(
            x.span, shape: shape, into: &result, epilogue: epilogue, residual: residual?.span, options: options,
            scratch: scratch)
    }

    /// The convolution as a new array; see the variant over spans. Outside the windows of `options`, and before an
    /// epilogue adds to it, it holds 0.
    public func convolve<Input: NMInput, Output: NMOutput>(
        _ x: [Input], shape: ConvShape? = nil, as type: Output.Type = Float.self, epilogue: Epilogue = Epilogue(),
        residual: [Output.Residual]? = nil, options: ProductOptions = ProductOptions(), scratch: Scratch? = nil
    ) throws(HalftoneError) -> [Output] {
        var y: [Output] = try NMConvolution(filters: self, shape: shape ?? self.shape)
            .zeros(for: x, options.xOrder)
        try convolve(
            x, shape: shape, into: &y, epilogue: epilogue, residual: residual, options: options, scratch: scratch)
        return y
    }

    /// How many bytes of ``Scratch`` a convolution of this shape, or of ``shape``, needs.
    ///
    /// - Throws: ``HalftoneError/blobShape`` when `shape` has other filters, ``HalftoneError/blobType`` when inputs of
    ///   this type are not multiplied with weights of this type, ``HalftoneError/overflow``, ``HalftoneError/threads``,
    ///   ``HalftoneError/isa``; that of a shape as ``init(packing:shape:rowStride:pattern:mask:threads:)``.
    public func scratchByteCount<Input: NMInput>(
        shape: ConvShape? = nil, input: Input.Type = Float.self, options: ProductOptions = ProductOptions()
    ) throws(HalftoneError) -> Int {
        try NMConvolution(filters: self, shape: shape ?? self.shape)
            .scratchByteCount(input: input.dataType, options: options)
    }
}

/// The convolution of images with filters.
struct NMConvolution: NMOperation {
    let packed: NMBlobs
    let code: ht_conv_shape
    let x: Activations
    let y: Activations

    init(filters: NMFilters, shape: ConvShape) throws(HalftoneError) {
        packed = filters.blobs
        code = try shape.code()
        x = Activations(name: "X", samples: try shape.inputPixels, features: shape.channels)
        y = Activations(name: "Y", samples: try shape.outputPixels, features: shape.outputs)
    }

    func scratchSize(_ input: ht_dtype, _ options: inout ht_options, _ size: inout Int) -> ht_status {
        var code = code
        return ht_nm_conv_scratch_size(&code, input, packed.bytes.start, packed.bytes.count, &options, &size)
    }

    func run(_ operands: Operands, _ epilogue: inout ht_epilogue, _ options: inout ht_options) -> ht_status {
        var code = code
        let (blob, size) = (packed.bytes.start, packed.bytes.count)
        let (x, xStride, y, yStride) = (operands.x, operands.xStride, operands.y, operands.yStride)
        switch operands.xType {
        case .f32:
            return ht_nm_conv_f32(&code, x?.typed(), xStride, blob, size, &epilogue, y?.typed(), yStride, &options)
        case .bf16: return ht_nm_conv_bf16(&code, x?.typed(), xStride, blob, size, &epilogue, y, yStride, &options)
        case .u8: return ht_nm_conv_u8(&code, x?.typed(), xStride, blob, size, &epilogue, y, yStride, &options)
        case .i8: return ht_nm_conv_i8(&code, x?.typed(), xStride, blob, size, &epilogue, y, yStride, &options)
        default: return HT_ERROR_BLOB_DTYPE
        }
    }
}
