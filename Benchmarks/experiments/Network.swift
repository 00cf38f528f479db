import Halftone

/// A network in two halves: what comes before the first layer that a method changes, and that layer with all behind it.
final class Network {
    private let stem: Chain
    private let body: Chain

    init(stem: [Layer], body: [Layer]) {
        (self.stem, self.body) = (Chain(stem), Chain(body))
    }

    var layers: [Layer] { stem.all + body.all }
    var parameters: [Parameter] { layers.flatMap(\.parameters) }

    /// Masks and packs the weights as they are now.
    func prepare(_ moment: Moment, _ pass: Pass) throws {
        for case let layer as PackedLayer in layers { try layer.prepare(moment, pass) }
    }

    func forward(_ x: [Float], _ pass: Pass) throws -> [Float] {
        try body.forward(stem.forward(x, pass), pass)
    }

    func backward(_ dy: [Float], _ pass: Pass) throws {
        _ = try stem.backward(body.backward(dy, pass), pass)
    }

    /// The gradient that reaches the inputs of the body, from that of the last forward call's result.
    func bodyGradient(_ dy: [Float], _ pass: Pass) throws -> [Float] { try body.backward(dy, pass) }
}

/// The networks that there are.
enum Architecture: String, CaseIterable, Codable {
    case cnn, mlp, transformer
}

extension Architecture {
    /// Whether there is such a network: transformers have no layers of signs, and taps are those of convolutions.
    func knows(_ kind: Method.Kind) -> Bool {
        switch self {
        case .cnn: true
        case .mlp: kind != .spre
        case .transformer: kind != .spre && !kind.isBinary
        }
    }

    /// A new network for images of this size.
    func network(height: Int, width: Int, _ parts: NetworkParts) -> Network {
        var parts = parts
        switch self {
        case .cnn: return Self.cnn(height, width, &parts)
        case .mlp: return Self.mlp(height * width, &parts)
        case .transformer: return Self.transformer(height, width, &parts)
        }
    }

    /// Three convolutions of 3 x 3, the first one dense as the classifier is. Images of more than 16 pixels are made
    /// smaller once more.
    private static func cnn(_ height: Int, _ width: Int, _ parts: inout NetworkParts) -> Network {
        var (height, width) = (height, width)
        var stem: [Layer] = parts.dense(parts.convolution(height, width, 1, 16), isFirst: true) + parts.activation()
        if max(height, width) > 16 {
            stem.append(MaxPool(height: height, width: width, channels: 16))
            (height, width) = (height / 2, width / 2)
        }
        var body: [Layer] = parts.layer(parts.convolution(height, width, 16, 16))
        body.append(MaxPool(height: height, width: width, channels: 16))
        (height, width) = (height / 2, width / 2)
        body += parts.activation() + parts.layer(parts.convolution(height, width, 16, 32))
        body +=
            [ReLU(), MeanPool(rows: height * width, features: 32)]
            + parts.denseLinear(.matrix(outputs: Dataset.classes, inputs: 32))
        return Network(stem: stem, body: body)
    }

    private static func mlp(_ pixels: Int, _ parts: inout NetworkParts) -> Network {
        let stem = parts.dense(.matrix(outputs: 128, inputs: pixels), isFirst: true) + parts.activation()
        let hidden =
            parts.layer(.matrix(outputs: 128, inputs: 128)) + parts.activation()
            + parts.layer(.matrix(outputs: 128, inputs: 128))
        return Network(
            stem: stem, body: hidden + [ReLU()] + parts.denseLinear(.matrix(outputs: Dataset.classes, inputs: 128)))
    }
}

extension Architecture {
    /// Two blocks over the rows of an image as tokens; what makes tokens of rows is dense as the classifier is.
    private static func transformer(_ tokens: Int, _ width: Int, _ parts: inout NetworkParts) -> Network {
        let features = 64
        let stem: [Layer] =
            parts.denseLinear(.matrix(outputs: features, inputs: width), isFirst: true)
            + [parts.positions(tokens, features)]
        var body: [Layer] = []
        for _ in 0..<2 {
            body.append(
                Residual(
                    [LayerNorm(features: features)]
                        + parts.linear(.matrix(outputs: 3 * features, inputs: features))
                        + [Attention(tokens: tokens, heads: 4, features: features)]
                        + parts.linear(.matrix(outputs: features, inputs: features))))
            body.append(
                Residual(
                    [LayerNorm(features: features)]
                        + parts.linear(.matrix(outputs: 2 * features, inputs: features)) + [ReLU()]
                        + parts.linear(.matrix(outputs: features, inputs: 2 * features))))
        }
        body += [LayerNorm(features: features), MeanPool(rows: tokens, features: features)]
        return Network(stem: stem, body: body + parts.denseLinear(.matrix(outputs: Dataset.classes, inputs: features)))
    }
}

/// Makes the layers of a network, as a method has them.
struct NetworkParts {
    let method: Method
    let pattern: NMPattern
    let searchInterval: Int
    var random: SplitMix

    func convolution(_ height: Int, _ width: Int, _ channels: Int, _ outputs: Int) -> WeightForm {
        .filters(
            ConvShape(
                height: height, width: width, channels: channels, outputs: outputs, kernel: 3, padding: .same))
    }

    /// Dense weights and a normalisation.
    mutating func dense(_ form: WeightForm, isFirst: Bool = false) -> [Layer] {
        [
            WeightLayer(DensePacker(form), needsInputGradient: !isFirst, random: &random),
            BatchNormLayer(features: form.rows),
        ]
    }

    /// Dense weights and a bias.
    mutating func denseLinear(_ form: WeightForm, isFirst: Bool = false) -> [Layer] {
        [WeightLayer(DensePacker(form), hasBias: true, needsInputGradient: !isFirst, random: &random)]
    }

    mutating func positions(_ tokens: Int, _ features: Int) -> Layer {
        Positions(tokens: tokens, features: features, random: &random)
    }

    /// Between layers: none where the next layer takes signs.
    func activation() -> [Layer] { method.kind.isBinary ? [] : [ReLU()] }

    /// Weights that the method trains, and a normalisation.
    mutating func layer(_ form: WeightForm) -> [Layer] {
        if let estimator {
            return [
                BinaryLayer(form, estimator: estimator, reuse: reuse, random: &random),
                BatchNormLayer(features: form.rows),
            ]
        }
        if method.kind == .spre, case .filters(let shape) = form {
            return [SpReLayer(shape, pattern, random: &random)]
        }
        return [WeightLayer(packer(form), random: &random), BatchNormLayer(features: form.rows)]
    }

    /// Weights under the pattern, and a bias.
    mutating func linear(_ form: WeightForm) -> [Layer] {
        [WeightLayer(packer(form), hasBias: true, random: &random)]
    }

    private var estimator: BinaryEstimator? {
        switch method.kind {
        case .clipped, .mst: .clipped
        case .reste: .reste
        case .biPer: .biPer
        default: nil
        }
    }

    private var reuse: ChannelReuse? {
        method.kind == .mst ? ChannelReuse(strength: method.strength, interval: searchInterval) : nil
    }

    private func packer(_ form: WeightForm) -> WeightPacker {
        switch method.kind {
        case .oneShot: OneShotPacker(form, pattern, after: 0.8)
        case .vanilla, .spre: MagnitudePacker(form, pattern)
        case .transposable: TransposablePacker(form, pattern)
        case .biMaskRandom: BiMaskPacker(form, pattern, BiMaskSearch(method: .random), interval: searchInterval)
        case .biMask: BiMaskPacker(form, pattern, BiMaskSearch(), interval: searchInterval)
        case .dense, .clipped, .reste, .biPer, .mst: DensePacker(form)
        }
    }
}
