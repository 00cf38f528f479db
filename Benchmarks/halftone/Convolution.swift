import ArgumentParser
import CHalftone

/// The geometry of a convolution, in which a product is one too: of an image of T pixels with filters of one tap.
struct Convolution: Equatable, Codable, CustomStringConvertible {
    /// Something in each direction.
    struct Pair: Equatable, Codable {
        var y: Int
        var x: Int

        static func both(_ value: Int) -> Pair { Pair(y: value, x: value) }
    }

    var images = 1
    var height: Int
    var width: Int
    var channels: Int
    var outputs: Int
    var kernel: Pair
    var stride = Pair.both(1)
    var dilation = Pair.both(1)
    /// Above and left of the image, below and right of it.
    var padBefore = Pair.both(0)
    var padAfter = Pair.both(0)
    var groups = 1
    /// What a pixel outside the image counts as.
    var padding = Padding.zero

    /// By the word that `--padding` knows it by.
    enum Padding: String, Codable, CaseIterable, ExpressibleByArgument {
        case zero, plus, minus

        var value: Float { self == .zero ? 0 : self == .plus ? 1 : -1 }

        fileprivate var code: ht_padding {
            switch self {
            case .zero: HT_PADDING_ZERO
            case .plus: HT_PADDING_PLUS_ONE
            case .minus: HT_PADDING_MINUS_ONE
            }
        }
    }

    enum CodingKeys: String, CodingKey {
        case images, height, width, channels, outputs, kernel, stride, dilation, groups, padding
        case padBefore = "pad_before"
        case padAfter = "pad_after"
    }

    /// T rows of X times a layer of O outputs and K inputs.
    static func product(o: Int, k: Int, t: Int) -> Convolution {
        Convolution(height: t, width: 1, channels: k, outputs: o, kernel: .both(1))
    }

    var description: String {
        let window = "\(kernel.y)x\(kernel.x)"
        let parts = [
            "\(images > 1 ? "\(images) x " : "")\(height)x\(width)x\(channels) to \(outputs), \(window)",
            stride == .both(1) ? nil : "stride \(stride)", dilation == .both(1) ? nil : "dilation \(dilation)",
            groups == 1 ? nil : "\(groups) groups", padding == .zero ? nil : "padding \(padding)",
        ]
        return parts.compactMap { $0 }.joined(separator: ", ")
    }

    // MARK: sizes

    var outputHeight: Int { outputSize(height, \.y) }
    var outputWidth: Int { outputSize(width, \.x) }
    var taps: Int { kernel.y * kernel.x }
    /// Channels of X and of Y that belong to one group.
    var groupChannels: Int { channels / groups }
    var groupOutputs: Int { outputs / groups }
    /// Rows of X and of Y.
    var inputPixels: Int { images * height * width }
    var outputPixels: Int { images * outputHeight * outputWidth }
    /// The weights of a filter.
    var filterSize: Int { taps * groupChannels }

    private func outputSize(_ size: Int, _ axis: KeyPath<Pair, Int>) -> Int {
        let reach = (kernel[keyPath: axis] - 1) * dilation[keyPath: axis] + 1
        let padded = size + padBefore[keyPath: axis] + padAfter[keyPath: axis]
        return padded < reach ? 0 : (padded - reach) / stride[keyPath: axis] + 1
    }

    // MARK: which pixels meet

    /// The pixel of X that a pixel of Y sees through a tap; `nil` where that is outside the image.
    func inputPixel(of outputPixel: Int, tap: Int) -> Int? {
        let (image, row, column) = place(outputPixel, outputHeight, outputWidth)
        let y = row * stride.y + tap / kernel.x * dilation.y - padBefore.y
        let x = column * stride.x + tap % kernel.x * dilation.x - padBefore.x
        guard 0..<height ~= y, 0..<width ~= x else { return nil }
        return (image * height + y) * width + x
    }

    /// The pixel of Y that sees a pixel of X through a tap, if there is one.
    func outputPixel(of inputPixel: Int, tap: Int) -> Int? {
        let (image, row, column) = place(inputPixel, height, width)
        let y = row + padBefore.y - tap / kernel.x * dilation.y
        let x = column + padBefore.x - tap % kernel.x * dilation.x
        guard y >= 0, x >= 0, y % stride.y == 0, x % stride.x == 0 else { return nil }
        guard y / stride.y < outputHeight, x / stride.x < outputWidth else { return nil }
        return (image * outputHeight + y / stride.y) * outputWidth + x / stride.x
    }

    private func place(_ pixel: Int, _ height: Int, _ width: Int) -> (image: Int, row: Int, column: Int) {
        (pixel / (height * width), pixel / width % height, pixel % width)
    }

    /// As the C library takes it.
    var code: ht_conv_shape {
        var code = ht_conv_shape()
        (code.images, code.height, code.width) = (images, height, width)
        (code.channels, code.outputs, code.groups) = (channels, outputs, groups)
        (code.kernel_height, code.kernel_width) = (kernel.y, kernel.x)
        (code.stride_y, code.stride_x) = (stride.y, stride.x)
        (code.dilation_y, code.dilation_x) = (dilation.y, dilation.x)
        (code.pad_top, code.pad_left) = (padBefore.y, padBefore.x)
        (code.pad_bottom, code.pad_right) = (padAfter.y, padAfter.x)
        code.padding = padding.code
        return code
    }
}

extension Convolution.Pair: CustomStringConvertible {
    var description: String { y == x ? "\(y)" : "\(y)x\(x)" }
}

extension Convolution {
    /// A convolution written `HxWxCINxCOUTxKERNEL[xSTRIDE]`, the image padded so that stride 1 keeps its size; `nil`
    /// where the text is none.
    init?(_ text: some StringProtocol, dilation: Int = 1, groups: Int = 1, images: Int = 1) {
        let sizes = text.lowercased().split(separator: "x", omittingEmptySubsequences: false).map { Int($0) ?? 0 }
        guard 5...6 ~= sizes.count, sizes.allSatisfy({ 1...Self.largest ~= $0 }) else { return nil }
        self.init(
            images: images, height: sizes[0], width: sizes[1], channels: sizes[2], outputs: sizes[3],
            kernel: .both(sizes[4]), stride: .both(sizes.count == 6 ? sizes[5] : 1), dilation: .both(dilation),
            groups: groups)
        padBefore = .both(dilation * (sizes[4] - 1) / 2)
        padAfter = padBefore
    }

    /// No size is so large that products of them overflow.
    private static let largest = 1 << 15
}
