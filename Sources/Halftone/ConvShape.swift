import CHalftone

/// The geometry of a convolution, as in PyTorch's `Conv2d`.
///
/// Images are NHWC: the channels of a pixel are neighbours, pixels follow each other row by row, then image by image.
/// Filters are OHWI: an output channel's weights are ``kernel`` taps, row by row, of ``channels`` / ``groups`` values
/// each. Pixels outside the image count as ``paddingValue`` says, usually as zero.
public struct ConvShape: Hashable, Sendable {
    /// A height and a width: of a kernel in taps, of a step in pixels.
    public struct Size: Hashable, Sendable, ExpressibleByIntegerLiteral {
        /// From top to bottom.
        public var height: Int
        /// From left to right.
        public var width: Int

        /// Height by width.
        public init(height: Int, width: Int) {
            self.height = height
            self.width = width
        }

        /// As high as wide, so that a kernel can be `3`.
        public init(integerLiteral side: Int) { self.init(height: side, width: side) }
    }

    /// How many pixels surround an image.
    public enum Padding: Hashable, Sendable {
        /// (kernel - 1) · dilation in each direction, half of it on either side and an odd one at the bottom or right:
        /// Y is as large as X, or, at a stride of s, ⌈size / s⌉.
        case same
        /// So many pixels at each edge.
        case edges(top: Int, left: Int, bottom: Int, right: Int)

        /// Nothing.
        public static let none = Padding.all(0)

        /// The same number of pixels at every edge.
        public static func all(_ pixels: Int) -> Padding {
            .edges(top: pixels, left: pixels, bottom: pixels, right: pixels)
        }
    }

    /// What a pixel outside an image counts as, in all its channels.
    public enum PaddingValue: Hashable, Sendable, CaseIterable {
        /// Zero, which adds nothing to a sum; ``Quantization/xZero`` where X is quantized.
        case zero
        /// +1, as the sign of a zero is; images of signs only.
        case plusOne
        /// -1; images of signs only.
        case minusOne
    }

    /// How many images X and Y have, at least 1.
    public var images: Int
    /// The height of an image of X in pixels.
    public var height: Int
    /// The width of an image of X in pixels.
    public var width: Int
    /// The channels of X.
    public var channels: Int
    /// The channels of Y.
    public var outputs: Int
    /// The taps of a filter, at least one.
    public var kernel: Size
    /// Pixels of X from one pixel of Y to the next, at least 1.
    public var strides: Size
    /// Pixels of X from one tap to the next, at least 1.
    public var dilation: Size
    /// What surrounds the images of X.
    public var padding: Padding
    /// What the pixels there count as.
    public var paddingValue: PaddingValue
    /// How many groups the channels of X and Y form: those of a group of Y see those of the group of X with the same
    /// number. Divides both.
    public var groups: Int

    /// One image without padding, one group, and steps of one pixel, unless said otherwise.
    public init(
        images: Int = 1, height: Int, width: Int, channels: Int, outputs: Int, kernel: Size, strides: Size = 1,
        dilation: Size = 1, padding: Padding = .none, paddingValue: PaddingValue = .zero, groups: Int = 1
    ) {
        self.images = images
        self.height = height
        self.width = width
        self.channels = channels
        self.outputs = outputs
        self.kernel = kernel
        self.strides = strides
        self.dilation = dilation
        self.padding = padding
        self.paddingValue = paddingValue
        self.groups = groups
    }
}

extension ConvShape {
    /// The size of an image of Y in pixels; 0 in a direction in which the padded image is smaller than the kernel.
    ///
    /// - Throws: ``HalftoneError/shape(_:)`` for numbers that no convolution has, ``HalftoneError/convolution``,
    ///   ``HalftoneError/overflow``.
    public var outputSize: Size {
        get throws(HalftoneError) {
            var code = try code()
            var (height, width) = (0, 0)
            try HalftoneError.check(ht_conv_output_size(&code, &height, &width))
            // size_t is an Int here, so that a size beyond Int.max arrives as a negative one.
            guard height >= 0, width >= 0 else { throw .overflow }
            return Size(height: height, width: width)
        }
    }

    /// The height of ``outputSize``.
    public var outputHeight: Int { get throws(HalftoneError) { try outputSize.height } }

    /// The width of ``outputSize``.
    public var outputWidth: Int { get throws(HalftoneError) { try outputSize.width } }

    /// The pixels of all images of X.
    var inputPixels: Int {
        get throws(HalftoneError) { try Self.product(images, try Self.product(height, width)) }
    }

    /// The pixels of all images of Y.
    var outputPixels: Int {
        get throws(HalftoneError) {
            let size = try outputSize
            return try Self.product(images, try Self.product(size.height, size.width))
        }
    }

    /// The same convolution of images without pixels.
    var empty: ConvShape {
        var shape = self
        (shape.height, shape.width, shape.padding) = (0, 0, .none)
        return shape
    }

    /// The weights of a filter.
    var filterWeights: Int {
        get throws(HalftoneError) {
            _ = try outputSize  // throws for groups that do not divide the channels
            return try Self.product(channels / groups, try Self.product(kernel.height, kernel.width))
        }
    }

    /// Throws unless there are so many filters of as many weights.
    func check(filters: SignMatrix) throws(HalftoneError) {
        let inputs = try filterWeights
        guard filters.rows == outputs, filters.columns == inputs else {
            throw .shape("filters are \(filters.rows) x \(filters.columns), not \(outputs) x \(inputs)")
        }
    }

    private static func product(_ a: Int, _ b: Int) throws(HalftoneError) -> Int {
        let (product, overflow) = a.multipliedReportingOverflow(by: b)
        guard !overflow else { throw .overflow }
        return product
    }
}

// MARK: - For the C library

extension ConvShape {
    /// The C library's form, which takes the 0 of images, strides, dilation and groups as 1.
    func code() throws(HalftoneError) -> ht_conv_shape {
        guard kernel.height >= 1, kernel.width >= 1, groups >= 1 else { throw .convolution }
        guard images >= 1 else { throw .shape("a convolution cannot have \(images) images") }
        guard height >= 0, width >= 0 else { throw .shape("an image cannot be \(height) x \(width)") }
        guard channels >= 0, outputs >= 0 else { throw .shape("channels cannot be \(channels) and \(outputs)") }
        guard strides.height >= 1, strides.width >= 1 else { throw .shape("strides cannot be \(strides)") }
        guard dilation.height >= 1, dilation.width >= 1 else { throw .shape("dilation cannot be \(dilation)") }
        var code = ht_conv_shape()
        (code.images, code.height, code.width) = (images, height, width)
        (code.channels, code.outputs, code.groups) = (channels, outputs, groups)
        (code.kernel_height, code.kernel_width) = (kernel.height, kernel.width)
        (code.stride_y, code.stride_x) = (strides.height, strides.width)
        (code.dilation_y, code.dilation_x) = (dilation.height, dilation.width)
        code.padding = paddingValue.code
        switch padding {
        case .same:
            let down = try Self.product(kernel.height - 1, dilation.height)
            let across = try Self.product(kernel.width - 1, dilation.width)
            (code.pad_top, code.pad_bottom) = (down / 2, down - down / 2)
            (code.pad_left, code.pad_right) = (across / 2, across - across / 2)
        case .edges(let top, let left, let bottom, let right):
            guard min(top, left, bottom, right) >= 0 else { throw .shape("a padding cannot be negative") }
            (code.pad_top, code.pad_left, code.pad_bottom, code.pad_right) = (top, left, bottom, right)
        }
        return code
    }
}

extension ConvShape.PaddingValue {
    fileprivate var code: ht_padding {
        switch self {
        case .zero: HT_PADDING_ZERO
        case .plusOne: HT_PADDING_PLUS_ONE
        case .minusOne: HT_PADDING_MINUS_ONE
        }
    }
}

extension ConvShape.Size: CustomStringConvertible {
    /// `"3 x 1"`.
    public var description: String { "\(height) x \(width)" }
}
