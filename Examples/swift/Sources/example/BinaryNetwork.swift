import Halftone

/// A network whose weights are signs, and whose activations are too from the first layer to the last: 32 x 32 images of
/// RGB bytes to ten scores. A layer hands its bits on as the next one takes them.
struct BinaryNetwork {
    private static let stemShape = ConvShape(
        height: 32, width: 32, channels: 3, outputs: 64, kernel: 3, strides: 2, padding: .same)
    // In training these layers padded with zeros before they took signs, and the sign of a zero is +1.
    private static let bodyShapes = [
        ConvShape(
            height: 16, width: 16, channels: 64, outputs: 64, kernel: 3, padding: .same, paddingValue: .plusOne),
        ConvShape(
            height: 16, width: 16, channels: 64, outputs: 128, kernel: 3, strides: 2, padding: .all(1),
            paddingValue: .plusOne),
        ConvShape(height: 8, width: 8, channels: 128, outputs: 128, kernel: 1),
    ]
    // This one takes signs first: outside the image there is nothing to add.
    private static let lastShape = ConvShape(
        height: 8, width: 8, channels: 128, outputs: 256, kernel: 3, padding: .same, paddingValue: .zero)
    private static let classes = 10

    /// A convolution whose results become signs after a batch normalisation, which is folded to a comparison of the sum.
    struct Layer {
        let filters: BinaryFilters
        let threshold: BinaryThreshold
        /// What was packed and folded.
        let signs: SignMatrix
        let norm: BatchNorm
    }

    let body: [Layer]
    private let stem: BinaryFilters
    private let stemFinish: Epilogue
    private let last: BinaryFilters
    private let lastFinish: Epilogue
    private let classifier: [Float]
    private let scratch = Scratch()

    init() throws {
        var g = Numbers()
        stem = try BinaryFilters(packing: Self.signs(Self.stemShape, &g), shape: Self.stemShape)
        stemFinish = Self.finish(Self.stemShape, &g)
        body = try Self.bodyShapes.map { shape in
            let signs = try Self.signs(shape, &g)
            let filters = try BinaryFilters(packing: signs, shape: shape)
            let norm = BatchNorm(
                gamma: g.values(shape.outputs), beta: g.values(shape.outputs), mean: g.values(shape.outputs, 30),
                variance: g.values(shape.outputs).map { 100 + abs($0) })
            let threshold = try BinaryThreshold(folding: norm, inputs: filters.inputs)
            return Layer(filters: filters, threshold: threshold, signs: signs, norm: norm)
        }
        last = try BinaryFilters(packing: Self.signs(Self.lastShape, &g), shape: Self.lastShape)
        lastFinish = Self.finish(Self.lastShape, &g)
        classifier = g.values(Self.classes * Self.lastShape.outputs)
    }

    /// The signs of trained weights, OHWI.
    private static func signs(_ shape: ConvShape, _ g: inout Numbers) throws -> SignMatrix {
        let inputs = shape.kernel.height * shape.kernel.width * shape.channels / shape.groups
        return try SignMatrix(signsOf: g.values(shape.outputs * inputs), rows: shape.outputs, columns: inputs)
    }

    /// A batch normalisation as a scale and a bias, for results that stay floats.
    private static func finish(_ shape: ConvShape, _ g: inout Numbers) -> Epilogue {
        let scale = g.values(shape.outputs, 0.01)
        return Epilogue(bias: g.values(shape.outputs), quantization: Quantization(form: .real(scale: scale)))
    }

    /// The signs behind the stem and each layer of the body, and the scores.
    func run(_ image: [Int8], options: ProductOptions = ProductOptions()) throws -> (
        bits: [SignMatrix], scores: [Float]
    ) {
        let features = try stem.convolve(image, epilogue: stemFinish, options: options, scratch: scratch)
        var bits = [try SignMatrix(signsOf: features, rows: 16 * 16, columns: 64)]
        for layer in body {
            bits.append(
                try layer.filters.convolve(
                    bits.last!, threshold: layer.threshold, options: options, scratch: scratch))
        }
        let maps = try last.convolve(
            bits.last!, as: Float.self, epilogue: lastFinish, options: options, scratch: scratch)
        return (bits, scores(maps))
    }

    /// The mean of each channel, times the classifier.
    private func scores(_ maps: [Float]) -> [Float] {
        let channels = Self.lastShape.outputs
        let means = (0..<channels).map { channel in
            stride(from: channel, to: maps.count, by: channels).reduce(0) { $0 + maps[$1] } / 64
        }
        return (0..<Self.classes).map { score in
            (0..<channels).reduce(0) { $0 + classifier[score * channels + $1] * means[$1] }
        }
    }
}

extension BinaryNetwork.Layer {
    /// An output in the middle of the image from the formula, in Double.
    func sign(of x: SignMatrix, row: Int, column: Int, output: Int) -> Int {
        let shape = filters.shape
        var sum = 0
        for tap in 0..<shape.kernel.height * shape.kernel.width {
            let y = row * shape.strides.height + tap / shape.kernel.width - shape.kernel.height / 2
            let pixel =
                y * shape.width + column * shape.strides.width + tap % shape.kernel.width - shape.kernel.width / 2
            for channel in 0..<shape.channels {
                sum += x[pixel, channel] * signs[output, tap * shape.channels + channel]
            }
        }
        let deviation = (Double(norm.variance[output]) + Double(norm.epsilon)).squareRoot()
        let centred = (Double(sum) - Double(norm.mean[output])) / deviation
        return Double(norm.gamma![output]) * centred + Double(norm.beta![output]) < 0 ? -1 : 1
    }
}

/// Numbers that look random, the same in every run.
struct Numbers {
    private var state: UInt32 = 1

    mutating func values(_ count: Int, _ scale: Float = 1) -> [Float] {
        (0..<count).map { _ in
            state = state &* 1_664_525 &+ 1_013_904_223
            return Float(Int32(bitPattern: state)) * 0x1p-31 * scale
        }
    }
}
