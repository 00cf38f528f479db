import Halftone

/// How a layer under an N:M pattern gets its masks.
struct Sparsity {
    let pattern: NMPattern
    let rule: Rule
    /// Steps from one search for a permutation to the next.
    let searchInterval: Int

    enum Rule {
        /// Dense until this share of the training is over; then the magnitude mask of that moment, which stays.
        case oneShot(after: Double)
        /// The magnitude mask of each step; gradients go back through all weights that it keeps.
        case magnitude
        /// A mask that is N:M along outputs too.
        case transposable
        /// The magnitude mask, and inside it one that is N:M along the permuted outputs.
        case biMask(BiMaskSearch)
    }
}

/// What takes part in the products of a step.
struct WeightMasks {
    let forward: NMMask
    /// N:M along the outputs; nil where gradients go back through all forward weights.
    var backward: NMMask?
    var permutation: [UInt32]?
    /// What becomes of weights that the forward mask leaves out.
    let pruning: Pruning
}

/// What an optimizer does with weights outside of a mask.
enum Pruning {
    /// They move on, and decay (SR-STE).
    case decay(NMMask)
    /// They stay zero.
    case zero(NMMask)
}

extension Sparsity {
    /// The masks of a step, nil while the layer is dense.
    func masks(
        of weights: [Float], _ form: WeightForm, _ moment: Moment, after last: WeightMasks?, _ pass: Pass
    ) throws -> WeightMasks? {
        switch rule {
        case .oneShot(let start):
            guard moment.progress >= start else { return nil }
            if let last { return last }
            let mask = try pass.clock.measure(.mask) { try form.mask(of: weights, pattern) }
            return WeightMasks(forward: mask, pruning: .zero(mask))
        case .magnitude:
            let mask = try pass.clock.measure(.mask) { try form.mask(of: weights, pattern) }
            return WeightMasks(forward: mask, pruning: .decay(mask))
        case .transposable:
            let mask = try pass.clock.measure(.mask) { try form.transposableMask(of: weights, pattern) }
            return WeightMasks(forward: mask, backward: mask, pruning: .decay(mask))
        case .biMask(let search):
            let forward = try pass.clock.measure(.mask) { try form.mask(of: weights, pattern) }
            let permutation =
                try last != nil && moment.step % searchInterval != 0
                ? last?.permutation
                : pass.clock.measure(.search) {
                    try form.permutation(for: forward, pattern, search, from: last?.permutation)
                }
            let backward = try pass.clock.measure(.mask) {
                try form.backwardMask(of: weights, in: forward, pattern, permutation)
            }
            return WeightMasks(
                forward: forward, backward: backward, permutation: permutation, pruning: .decay(forward))
        }
    }
}
