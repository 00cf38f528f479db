import Halftone

/// Gets the weights of a layer ready for the products of each step: what methods of N:M training differ in.
protocol WeightPacker: AnyObject {
    var form: WeightForm { get }

    /// Masks and packs the weights as they are now.
    func pack(_ weights: Parameter, _ moment: Moment, _ pass: Pass) throws

    /// The weights of the forward product; nil for all.
    var mask: NMMask? { get }
    var forward: ForwardWeights? { get }
    var backward: BackwardWeights? { get }

    /// The magnitudes of the weights that the mask keeps, and of all, together; nil where there is no mask.
    func mass(_ weights: [Float]) throws -> (kept: Double, all: Double)?

    /// What of the dense gradient of the weights is for the optimizer.
    func restricted(_ gradient: [Float]) throws -> [Float]

    /// How many entries the mask of the backward product has; nil where it is the forward one.
    func backwardEntries(_ weights: [Float]) throws -> Int?
    /// Whether some weights of the forward product are not in the backward one.
    var dropsBackwardEntries: Bool { get }
}

extension WeightPacker {
    func restricted(_ gradient: [Float]) throws -> [Float] { gradient }

    func mass(_ weights: [Float]) throws -> (kept: Double, all: Double)? {
        guard let mask else { return nil }
        return (try form.masked(weights, mask).magnitude, weights.magnitude)
    }

    func backwardEntries(_ weights: [Float]) throws -> Int? { nil }
    var dropsBackwardEntries: Bool { false }
}

/// One that masks.
protocol SparsePacker: WeightPacker {
    var pattern: NMPattern { get }
}

/// All weights.
final class DensePacker: WeightPacker {
    let form: WeightForm
    private(set) var forward: ForwardWeights?
    private(set) var backward: BackwardWeights?
    let mask: NMMask? = nil

    init(_ form: WeightForm) {
        self.form = form
    }

    func pack(_ weights: Parameter, _ moment: Moment, _ pass: Pass) throws {
        try pass.clock.measure(.pack) {
            forward = try ForwardWeights(form, packing: weights.values, .dense)
            backward = try BackwardWeights(form, packing: weights.values, .dense)
        }
    }
}

/// The magnitude mask of each step; gradients go back through all weights that it keeps, and straight through it to all
/// weights, of which the pruned ones decay (Zhou et al. 2021, SR-STE).
final class MagnitudePacker: SparsePacker {
    let form: WeightForm
    let pattern: NMPattern
    private(set) var mask: NMMask?
    private(set) var forward: ForwardWeights?
    private(set) var backward: BackwardWeights?

    init(_ form: WeightForm, _ pattern: NMPattern) {
        (self.form, self.pattern) = (form, pattern)
    }

    func pack(_ weights: Parameter, _ moment: Moment, _ pass: Pass) throws {
        try pass.clock.measure(.mask) { try form.refresh(&mask, of: weights.values, pattern) }
        weights.decaying = mask
        try pass.clock.measure(.pack) {
            forward = try ForwardWeights(form, packing: weights.values, pattern, mask: mask)
            backward = try BackwardWeights(form, packing: weights.values, .dense, mask: mask)
        }
    }
}

/// A mask that is N:M along outputs too, the best there is (Hubara et al. 2021); pruned weights decay.
final class TransposablePacker: SparsePacker {
    let form: WeightForm
    let pattern: NMPattern
    private(set) var mask: NMMask?
    private(set) var forward: ForwardWeights?
    private(set) var backward: BackwardWeights?

    init(_ form: WeightForm, _ pattern: NMPattern) {
        (self.form, self.pattern) = (form, pattern)
    }

    func pack(_ weights: Parameter, _ moment: Moment, _ pass: Pass) throws {
        try pass.clock.measure(.mask) { try form.refreshTransposable(&mask, of: weights.values, pattern) }
        weights.decaying = mask
        try pass.clock.measure(.pack) {
            forward = try ForwardWeights(form, packing: weights.values, pattern, mask: mask)
            backward = try BackwardWeights(form, packing: weights.values, pattern, mask: mask)
        }
    }
}

/// The magnitude mask, and inside it one that is N:M along the permuted outputs (Zhang et al. 2023, Bi-Mask); pruned
/// weights decay.
final class BiMaskPacker: SparsePacker {
    let form: WeightForm
    let pattern: NMPattern
    private let search: BiMaskSearch
    /// Steps from one search to the next.
    private let interval: Int
    private var packed: TrainingWeights?

    init(_ form: WeightForm, _ pattern: NMPattern, _ search: BiMaskSearch, interval: Int) {
        (self.form, self.pattern, self.search, self.interval) = (form, pattern, search, interval)
    }

    var mask: NMMask? { packed?.mask }
    var forward: ForwardWeights? { packed?.forward }
    var backward: BackwardWeights? { packed?.backward }
    let dropsBackwardEntries = true

    func pack(_ weights: Parameter, _ moment: Moment, _ pass: Pass) throws {
        let permutation = try pass.isTraining && moment.step % interval == 0 ? permutation(weights, moment, pass) : nil
        try pass.clock.measure(.pack) {
            if packed == nil {
                packed = try TrainingWeights(form, packing: weights.values, pattern, permutation)
            } else {
                try packed?.pack(weights.values, permutation)
            }
        }
        weights.decaying = mask
    }

    /// Another one for each search at random, the last one made better by other searches.
    private func permutation(_ weights: Parameter, _ moment: Moment, _ pass: Pass) throws -> [UInt32] {
        let mask = try pass.clock.measure(.mask) { try form.mask(of: weights.values, pattern) }
        return try pass.clock.measure(.search) {
            var search = search
            search.seed = UInt64(moment.step)
            return try form.permutation(for: mask, pattern, search, from: packed?.permutation)
        }
    }

    func backwardEntries(_ weights: [Float]) throws -> Int? {
        try form.biMask(of: weights, pattern, packed?.permutation).backward.count
    }
}

/// Dense until this share of the training is over. Then the magnitude mask of that moment, which stays, and so do the
/// zeros outside.
final class OneShotPacker: SparsePacker {
    let form: WeightForm
    let pattern: NMPattern
    private let start: Double
    private(set) var mask: NMMask?
    private(set) var forward: ForwardWeights?
    private(set) var backward: BackwardWeights?
    private var massWhenPruned: (kept: Double, all: Double)?

    init(_ form: WeightForm, _ pattern: NMPattern, after start: Double) {
        (self.form, self.pattern, self.start) = (form, pattern, start)
    }

    func pack(_ weights: Parameter, _ moment: Moment, _ pass: Pass) throws {
        if mask == nil, moment.progress >= start { try prune(weights, pass) }
        try pass.clock.measure(.pack) {
            forward = try ForwardWeights(form, packing: weights.values, mask == nil ? .dense : pattern, mask: mask)
            backward = try BackwardWeights(form, packing: weights.values, .dense, mask: mask)
        }
    }

    /// As it was when the weights were pruned.
    func mass(_ weights: [Float]) -> (kept: Double, all: Double)? { massWhenPruned }

    func restricted(_ gradient: [Float]) throws -> [Float] {
        guard let mask else { return gradient }
        return try form.masked(gradient, mask)
    }

    private func prune(_ weights: Parameter, _ pass: Pass) throws {
        try pass.clock.measure(.mask) {
            let mask = try form.mask(of: weights.values, pattern)
            let kept = try form.masked(weights.values, mask)
            self.mask = mask
            massWhenPruned = (kept.magnitude, weights.values.magnitude)
            weights.values = kept
            weights.state = OptimizerState(count: kept.count)
        }
    }
}

extension [Float] {
    /// The sum of the magnitudes.
    var magnitude: Double { reduce(0) { $0 + Double(abs($1)) } }
}
