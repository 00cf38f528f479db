import CHalftone

extension BinaryFilters {
    /// The convolution of images of signs, NHWC by OHWI to NHWC, each result with its epilogue.
    ///
    /// X is a matrix with a row for each pixel of all images and a column for each channel, Y likewise, so orders and
    /// windows are as in
    /// ``BinaryMatrix/multiply(_:values:into:yStride:epilogue:residual:residualStride:options:scratch:)``, whose types and
    /// guarantees hold here too. A pixel outside the image is what ``ConvShape/paddingValue`` says, for every type of
    /// results exactly: a zero adds nothing to a sum.
    ///
    /// - Parameters:
    ///   - x: a row for each pixel of the images, ``ConvShape/channels`` signs each.
    ///   - shape: another convolution with the same filters than ``shape``, as for other images; nil for that one.
    ///   - y: receives ``ConvShape/outputs`` values for each pixel of ``ConvShape/outputSize`` and image. Its type says
    ///     what the results are converted to. A gap between its pixels or planes is not touched.
    ///   - yStride: elements from one pixel of Y to the next, or from one plane to the next where Y is channel-major;
    ///     nil for no gaps.
    ///   - epilogue: what happens to the sums before they are stored; the columns of Y are its channels, its rows
    ///     pixels.
    ///   - residual: as many values as Y, added to the results before the activation, or nil.
    ///   - residualStride: as `yStride`, of the residual.
    ///   - options: threads, instruction set, windows, Y's order and the design. Windows of columns need a single group
    ///     of channels.
    ///   - scratch: working memory; with one that is large enough, the call allocates nothing.
    /// - Throws: ``HalftoneError/blobShape`` when `shape` has other filters; that of a shape as
    ///   ``init(packing:shape:design:)``; that of operands and options as
    ///   ``BinaryMatrix/multiply(_:values:into:yStride:epilogue:residual:residualStride:options:scratch:)``.
    public func convolve<Output: BinaryOutput>(
        _ x: SignMatrix, shape: ConvShape? = nil, into y: inout MutableSpan<Output>, yStride: Int? = nil,
        epilogue: Epilogue = Epilogue(), residual: Span<Output.Residual>? = nil, residualStride: Int? = nil,
        options: ProductOptions = ProductOptions(), scratch: Scratch? = nil
    ) throws(HalftoneError) {
        try convolution(shape).run(
            x, .signs, into: &y, stride: yStride, epilogue: epilogue, residual: residual,
            residualStride: residualStride, options: options, scratch: scratch)
    }

    /// The convolution of signs, into an array; see the variant over spans.
    public func convolve<Output: BinaryOutput>(
        _ x: SignMatrix, shape: ConvShape? = nil, into y: inout [Output], epilogue: Epilogue = Epilogue(),
        residual: [Output.Residual]? = nil, options: ProductOptions = ProductOptions(), scratch: Scratch? = nil
    ) throws(HalftoneError) {
        var result = y.mutableSpan
        try convolve(
            x, shape: shape, into: &result, epilogue: epilogue, residual: residual?.span, options: options,
            scratch: scratch)
    }

    /// The convolution of signs as a new array; see the variant over spans. Outside the windows of `options`, and before
    /// an epilogue adds to it, it holds 0.
    public func convolve<Output: BinaryOutput>(
        _ x: SignMatrix, shape: ConvShape? = nil, as type: Output.Type = Int32.self, epilogue: Epilogue = Epilogue(),
        residual: [Output.Residual]? = nil, options: ProductOptions = ProductOptions(), scratch: Scratch? = nil
    ) throws(HalftoneError) -> [Output] {
        let convolution = try convolution(shape)
        try convolution.x.check(x)
        var y: [Output] = try convolution.y.zeros()
        try convolve(
            x, shape: shape, into: &y, epilogue: epilogue, residual: residual, options: options, scratch: scratch)
        return y
    }

    /// The convolution of signs, into signs: what the threshold makes of the sums, and X of the next layer. See the
    /// variant over spans.
    ///
    /// - Throws: as there; ``HalftoneError/shape(_:)`` unless Y has a row for each pixel and a column for each channel,
    ///   and when the threshold has fewer levels than these.
    public func convolve(
        _ x: SignMatrix, shape: ConvShape? = nil, into y: inout SignMatrix, threshold: BinaryThreshold,
        options: ProductOptions = ProductOptions(), scratch: Scratch? = nil
    ) throws(HalftoneError) {
        try convolution(shape).run(x, .signs, into: &y, threshold: threshold, options: options, scratch: scratch)
    }

    /// The convolution of signs as new signs; see the variant over spans. Outside the windows of `options` they are +1.
    public func convolve(
        _ x: SignMatrix, shape: ConvShape? = nil, threshold: BinaryThreshold,
        options: ProductOptions = ProductOptions(), scratch: Scratch? = nil
    ) throws(HalftoneError) -> SignMatrix {
        let convolution = try convolution(shape)
        try convolution.x.check(x)
        var y = try SignMatrix(rows: convolution.y.samples, columns: convolution.y.features)
        try convolution.run(x, .signs, into: &y, threshold: threshold, options: options, scratch: scratch)
        return y
    }

    /// How many bytes of ``Scratch`` a convolution of signs of this shape, or of ``shape``, needs.
    ///
    /// - Throws: ``HalftoneError/blobShape`` when `shape` has other filters, ``HalftoneError/overflow``,
    ///   ``HalftoneError/threads``, ``HalftoneError/isa``; that of a shape as ``init(packing:shape:design:)``.
    public func scratchByteCount(
        shape: ConvShape? = nil, options: ProductOptions = ProductOptions()
    ) throws(HalftoneError) -> Int {
        try convolution(shape).scratchByteCount(input: .b1, options: options)
    }

    private func convolution(_ other: ConvShape?) throws(HalftoneError) -> BinaryConvolution {
        try BinaryConvolution(filters: self, shape: other ?? shape)
    }
}

// MARK: - Images of floats and bytes

extension BinaryFilters {
    /// The convolution of images of floats or bytes, NHWC by OHWI to NHWC, each result with its epilogue.
    ///
    /// A sum of floats is taken tap by tap, row by row, each as
    /// ``BinaryMatrix/multiply(_:rows:xStride:into:yStride:epilogue:residual:residualStride:options:scratch:)`` has it.
    /// Images are padded with zeros only, and lie in rows.
    ///
    /// - Parameters:
    ///   - x: ``ConvShape/channels`` values for each pixel of the images.
    ///   - shape: another convolution with the same filters than ``shape``, as for other images; nil for that one.
    ///   - xStride: elements from one pixel of X to the next; nil for no gaps.
    ///   - y: receives ``ConvShape/outputs`` values for each pixel of ``ConvShape/outputSize`` and image. Its type says
    ///     what the results are converted to. A gap between its pixels or planes is not touched.
    ///   - yStride: elements from one pixel of Y to the next, or from one plane to the next where Y is channel-major;
    ///     nil for no gaps.
    ///   - epilogue: what happens to the sums before they are stored; nothing for `Int32`.
    ///   - residual: as many values as Y, added to the results before the activation, or nil.
    ///   - residualStride: as `yStride`, of the residual.
    ///   - options: threads, instruction set, windows and Y's order. Windows of columns need a single group of
    ///     channels.
    ///   - scratch: working memory; with one that is large enough, the call allocates nothing.
    /// - Throws: as the convolution of signs, and ``HalftoneError/convolution`` for another ``ConvShape/paddingValue``.
    public func convolve<Input: BinaryInput, Output: BinaryOutput>(
        _ x: Span<Input>, shape: ConvShape? = nil, xStride: Int? = nil, into y: inout MutableSpan<Output>,
        yStride: Int? = nil, epilogue: Epilogue = Epilogue(), residual: Span<Output.Residual>? = nil,
        residualStride: Int? = nil, options: ProductOptions = ProductOptions(), scratch: Scratch? = nil
    ) throws(HalftoneError) {
        try convolution(shape).run(
            x, stride: xStride, into: &y, stride: yStride, epilogue: epilogue, residual: residual,
            residualStride: residualStride, options: options, scratch: scratch)
    }

    /// The convolution of an array, into an array; see the variant over spans.
    public func convolve<Input: BinaryInput, Output: BinaryOutput>(
        _ x: [Input], shape: ConvShape? = nil, into y: inout [Output], epilogue: Epilogue = Epilogue(),
        residual: [Output.Residual]? = nil, options: ProductOptions = ProductOptions(), scratch: Scratch? = nil
    ) throws(HalftoneError) {
        var result = y.mutableSpan
        try convolve(
            x.span, shape: shape, into: &result, epilogue: epilogue, residual: residual?.span, options: options,
            scratch: scratch)
    }

    /// The convolution of an array as a new one; see the variant over spans. Outside the windows of `options`, and
    /// before an epilogue adds to it, it holds 0.
    public func convolve<Input: BinaryInput, Output: BinaryOutput>(
        _ x: [Input], shape: ConvShape? = nil, as type: Output.Type = Float.self, epilogue: Epilogue = Epilogue(),
        residual: [Output.Residual]? = nil, options: ProductOptions = ProductOptions(), scratch: Scratch? = nil
    ) throws(HalftoneError) -> [Output] {
        var y: [Output] = try convolution(shape).zeros(for: x, options.xOrder)
        try convolve(
            x, shape: shape, into: &y, epilogue: epilogue, residual: residual, options: options, scratch: scratch)
        return y
    }

    /// How many bytes of ``Scratch`` a convolution of floats or bytes needs; see ``scratchByteCount(shape:options:)``.
    public func scratchByteCount<Input: BinaryInput>(
        shape: ConvShape? = nil, input: Input.Type, options: ProductOptions = ProductOptions()
    ) throws(HalftoneError) -> Int {
        try convolution(shape).scratchByteCount(input: input.dataType, options: options)
    }
}

/// The convolution of images with filters.
struct BinaryConvolution: BinaryOperation {
    let packed: BinaryBlobs
    let code: ht_conv_shape
    let x: Activations
    let y: Activations

    init(filters: BinaryFilters, shape: ConvShape) throws(HalftoneError) {
        packed = filters.blobs
        code = try shape.code()
        x = Activations(name: "X", samples: try shape.inputPixels, features: shape.channels)
        y = Activations(name: "Y", samples: try shape.outputPixels, features: shape.outputs)
    }

    func scratchSize(_ input: ht_dtype, _ options: inout ht_options, _ size: inout Int) -> ht_status {
        var code = code
        return ht_binary_conv_scratch_size(&code, input, packed.bytes.start, packed.bytes.count, &options, &size)
    }

    func run(_ operands: Operands, _ epilogue: inout ht_epilogue, _ options: inout ht_options) -> ht_status {
        var code = code
        let (blob, size) = (packed.bytes.start, packed.bytes.count)
        let (x, xStride, y, yStride) = (operands.x, operands.xStride, operands.y, operands.yStride)
        switch operands.xType {
        case .b1: return ht_binary_conv_b1(&code, x?.typed(), xStride, blob, size, &epilogue, y, yStride, &options)
        case .f32: return ht_binary_conv_f32(&code, x?.typed(), xStride, blob, size, &epilogue, y, yStride, &options)
        case .i8: return ht_binary_conv_i8(&code, x?.typed(), xStride, blob, size, &epilogue, y, yStride, &options)
        default: return HT_ERROR_BLOB_DTYPE
        }
    }
}
