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
    let form: WeightForm
    let weights: Parameter
    let bias: Parameter?
    let sparsity: Sparsity?
    private let needsInputGradient: Bool

    private(set) var masks: WeightMasks?
    private var forwardWeights: ForwardWeights?
    private var backwardWeights: BackwardWeights?
    private var x: [Float] = []

    init(
        _ form: WeightForm, sparsity: Sparsity? = nil, hasBias: Bool = false, needsInputGradient: Bool = true,
        random: inout SplitMix
    ) {
        self.form = form
        self.sparsity = sparsity
        self.needsInputGradient = needsInputGradient
        weights = Parameter(random.weights(form), rows: form.rows, decays: true)
        bias = hasBias ? Parameter([Float](repeating: 0, count: form.rows), decays: false) : nil
    }

    var parameters: [Parameter] { [weights, bias].compactMap(\.self) }

    func prepare(_ moment: Moment, _ pass: Pass) throws {
        masks = try sparsity?.masks(of: weights.values, form, moment, after: masks, pass)
        weights.pruning = masks.flatMap { $0.pruning }
        let pattern = try masks == nil ? .dense : sparsity?.pattern ?? .dense
        let backwardPattern = try masks?.backward == nil ? .dense : pattern
        try pass.clock.measure(.pack) {
            forwardWeights = try ForwardWeights(form, packing: weights.values, pattern, mask: masks?.forward)
            backwardWeights =
                try needsInputGradient
                ? BackwardWeights(
                    form, packing: weights.values, backwardPattern, mask: masks?.backward ?? masks?.forward,
                    permutation: masks?.permutation) : nil
        }
    }

    func forward(_ x: [Float], _ pass: Pass) throws -> [Float] {
        self.x = x
        return try pass.clock.measure(.forward) { try forwardWeights?.product(x, bias: bias?.values) ?? [] }
    }

    func backward(_ dy: [Float], _ pass: Pass) throws -> [Float] {
        if !pass.isProbe {
            try pass.clock.measure(.gradient) { weights.gradient = try form.weightGradient(dy, x) }
            if let bias { bias.gradient = sumRows(dy, dy, features: form.rows) { dy, _ in dy } }
        }
        let packed = pass.ignoresBackwardMasks ? try allForwardWeights() : backwardWeights
        return try pass.clock.measure(.backward) { try packed?.product(dy) ?? [] }
    }

    private func allForwardWeights() throws -> BackwardWeights {
        try BackwardWeights(form, packing: weights.values, .dense, mask: masks?.forward)
    }
}

extension SplitMix {
    /// Weights as He et al. 2015 begin with.
    mutating func weights(_ form: WeightForm) -> [Float] {
        normals(form.rows * form.columns, deviation: (2 / Float(form.columns)).squareRoot())
    }
}
