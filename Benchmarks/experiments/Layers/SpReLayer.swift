import Halftone

/// A convolution under an N:M pattern and its normalisation, and in training a second branch at the taps that
/// unstructured pruning would leave denser than average (Zhang et al. 2023, SpRe). Where it does not train, both
/// branches are folded into one convolution.
final class SpReLayer: PackedLayer {
    private let shape: ConvShape
    private let pattern: NMPattern
    let weights: Parameter
    private let branchWeights: Parameter
    private let norm: BatchNormLayer
    private let branchNorm: BatchNormLayer

    private(set) var branch: SpReBranch?
    private var forwardWeights: SpReFilters?
    private var backwardWeights: SpReBackwardFilters?
    private var folded: (filters: ForwardWeights, bias: [Float])?
    private var x: [Float] = []

    init(_ shape: ConvShape, _ pattern: NMPattern, random: inout SplitMix) {
        (self.shape, self.pattern) = (shape, pattern)
        weights = Parameter(random.weights(form: .filters(shape)), decays: true)
        branchWeights = Parameter(random.weights(form: .filters(shape)), decays: true)
        norm = BatchNormLayer(features: shape.outputs)
        branchNorm = BatchNormLayer(features: shape.outputs)
    }

    var parameters: [Parameter] { [weights, branchWeights] }
    var parts: [Layer] { [norm, branchNorm] }

    func prepare(_ moment: Moment, _ pass: Pass) throws {
        let (w, r) = (weights.values, branchWeights.values)
        let branch = try pass.clock.measure(.mask) {
            try SpReBranch(of: w.span, shape: shape, pattern: pattern, threads: 1)
        }
        self.branch = branch
        weights.decaying = branch.mask
        guard pass.isTraining else { return try fold(branch) }
        try pass.clock.measure(.pack) {
            forwardWeights = try branch.packed(w.span, branch: r.span, threads: 1)
            backwardWeights = try branch.packedBackward(
                w.span, branch: r.span, pattern: .dense, mask: branch.mask, threads: 1)
        }
    }

    private func fold(_ branch: SpReBranch) throws {
        let (w, r) = (weights.values, branchWeights.values)
        let (filters, bias) = try branch.folded(
            w.span, branch: r.span, norm: norm.afterTraining,
            branchNorm: branchNorm.afterTraining)
        folded = (
            try ForwardWeights(.filters(shape), packing: filters, pattern, mask: branch.mask), bias
        )
    }

    func forward(_ x: [Float], _ pass: Pass) throws -> [Float] {
        guard pass.isTraining else { return try folded?.filters.product(x, bias: folded?.bias) ?? [] }
        self.x = x
        let called = shape.with(pixels: x.count / shape.channels)
        let both = try pass.clock.measure(.forward) { try forwardWeights?.convolve(x, shape: called, threads: 1) }
        guard let both else { return [] }
        return sum(norm.forward(both.main, pass), branchNorm.forward(both.branch, pass))
    }

    func backward(_ dy: [Float], _ pass: Pass) throws -> [Float] {
        let (main, side) = (norm.backward(dy, pass), branchNorm.backward(dy, pass))
        let called = shape.with(pixels: x.count / shape.channels)
        if !pass.isProbe { try pass.clock.measure(.gradient) { try setGradients(main, side, called) } }
        return try pass.clock.measure(.backward) {
            try backwardWeights?.convolve(main, side, shape: called, threads: 1) ?? []
        }
    }

    private func setGradients(_ main: [Float], _ side: [Float], _ called: ConvShape) throws {
        guard let branch else { return }
        weights.gradient = try weightGradient(main, x, shape: called, threads: 1)
        let w = weights.values
        var gradient = try weightGradient(side, x, shape: called, taps: branch.taps, threads: 1)
        var span = gradient.mutableSpan
        try branch.maskGradient(&span, filters: w.span)
        branchWeights.gradient = gradient
    }
}

extension BatchNormLayer {
    /// As the library folds it.
    fileprivate var afterTraining: BatchNorm {
        BatchNorm(
            gamma: scale.values, beta: shift.values, mean: mean, variance: variance, epsilon: Self.epsilon)
    }
}
