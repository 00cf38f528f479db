import Halftone

/// A layer whose weights are packed anew before each step.
protocol PackedLayer: Layer {
    func prepare(_ moment: Moment, _ pass: Pass) throws
}

/// How far training is.
struct Moment {
    let step: Int
    /// 0 at the first step, 1 behind the last.
    let progress: Double
}

/// A linear layer or a convolution, dense or under an N:M pattern.
final class WeightLayer: PackedLayer {
    let weights: Parameter
    let bias: Parameter?
    let packer: WeightPacker
    private let needsInputGradient: Bool
    private var x: [Float] = []

    init(
        _ packer: WeightPacker, hasBias: Bool = false, needsInputGradient: Bool = true, random: inout SplitMix
    ) {
        self.packer = packer
        self.needsInputGradient = needsInputGradient
        weights = Parameter(random.weights(form: packer.form), decays: true)
        bias = hasBias ? Parameter([Float](repeating: 0, count: packer.form.rows), decays: false) : nil
    }

    var parameters: [Parameter] { [weights, bias].compactMap(\.self) }
    private var form: WeightForm { packer.form }

    func prepare(_ moment: Moment, _ pass: Pass) throws { try packer.pack(weights, moment, pass) }

    func forward(_ x: [Float], _ pass: Pass) throws -> [Float] {
        self.x = x
        return try pass.clock.measure(.forward) { try packer.forward?.product(x, bias: bias?.values) ?? [] }
    }

    func backward(_ dy: [Float], _ pass: Pass) throws -> [Float] {
        if !pass.isProbe {
            try pass.clock.measure(.gradient) {
                weights.gradient = try packer.restricted(form.weightGradient(dy, x))
            }
            if let bias { bias.gradient = sumRows(dy, dy, features: form.rows) { dy, _ in dy } }
        }
        guard needsInputGradient else { return [] }
        let packed = try pass.ignoresBackwardMasks ? allForwardWeights() : packer.backward
        return try pass.clock.measure(.backward) { try packed?.product(dy) ?? [] }
    }

    private func allForwardWeights() throws -> BackwardWeights {
        try BackwardWeights(form, packing: weights.values, .dense, mask: packer.mask)
    }
}

extension SplitMix {
    /// Weights as He et al. 2015 begin with.
    mutating func weights(form: WeightForm) -> [Float] {
        normals(form.rows * form.columns, deviation: (2 / Float(form.columns)).squareRoot())
    }
}
