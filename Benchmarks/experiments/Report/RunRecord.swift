import Halftone

/// One training, as it went.
struct RunRecord: Codable {
    let seed: UInt64
    let accuracy: Double
    /// The mean loss over the last epoch.
    let loss: Double
    /// The sum of |w| that the masks keep over that of all weights under a pattern.
    let keptMass: Double?
    /// The entries of the backward masks over those of the forward ones.
    let retained: Double?
    /// See `Trainer.Outcome`.
    let gradientGap: Double?
    /// How far from even unstructured pruning at the pattern's rate would be over the taps of the convolutions: the mean
    /// distance of a tap's sparsity from the rate.
    let spatialDivergence: Double?
    /// The lengths of the shortest trees over the signs, in signs, over the number of all of them.
    let treeCost: Double?
    let secondsPerStep: Double
    let phases: [String: Double]

    enum CodingKeys: String, CodingKey {
        case seed, accuracy, loss, retained, phases
        case keptMass = "kept_mass"
        case gradientGap = "gradient_gap"
        case spatialDivergence = "spatial_divergence"
        case treeCost = "tree_cost"
        case secondsPerStep = "seconds_per_step"
    }
}

extension RunRecord {
    init(seed: UInt64, _ outcome: Trainer.Outcome, _ network: Network) throws {
        let layers = network.layers
        let sparse = layers.compactMap { $0 as? SparseLayer }
        let perStep = outcome.clock.seconds.mapValues { $0 / Double(outcome.steps) }
        self.init(
            seed: seed, accuracy: outcome.accuracy, loss: outcome.loss,
            keptMass: Self.ratio(try sparse.compactMap { try $0.keptMass }),
            retained: Self.ratio(try sparse.compactMap { try $0.retainedEntries }), gradientGap: outcome.gradientGap,
            spatialDivergence: Self.ratio(try sparse.compactMap { try $0.spatialDivergence }),
            treeCost: Self.ratio(try layers.compactMap { try ($0 as? BinaryLayer)?.treeLength }),
            secondsPerStep: perStep.values.reduce(0, +),
            phases: Dictionary(uniqueKeysWithValues: perStep.map { ($0.key.rawValue, $0.value) }))
    }

    /// Of parts and wholes of all layers; nil where no layer has any.
    private static func ratio(_ shares: [(part: Double, whole: Double)]) -> Double? {
        let whole = shares.reduce(0) { $0 + $1.whole }
        return whole == 0 ? nil : shares.reduce(0) { $0 + $1.part } / whole
    }
}

/// A layer under an N:M pattern. Figures are a part and a whole, so that those of several layers add up; nil where the
/// layer is dense or has none.
private protocol SparseLayer {
    var keptMass: (part: Double, whole: Double)? { get throws }
    var retainedEntries: (part: Double, whole: Double)? { get throws }
    var spatialDivergence: (part: Double, whole: Double)? { get throws }
}

extension WeightLayer: SparseLayer {
    fileprivate var keptMass: (part: Double, whole: Double)? {
        get throws { try packer.mass(weights.values).map { ($0.kept, $0.all) } }
    }

    fileprivate var retainedEntries: (part: Double, whole: Double)? {
        get throws {
            guard let entries = packer.mask?.count else { return nil }
            return (Double(try packer.backwardEntries(weights.values) ?? entries), Double(entries))
        }
    }

    fileprivate var spatialDivergence: (part: Double, whole: Double)? {
        get throws {
            // Of one-shot pruning the weights that were pruned are not there any more.
            guard let packer = packer as? SparsePacker, !(packer is OneShotPacker),
                case .filters(let shape) = packer.form
            else { return nil }
            let w = weights.values
            return try SpReBranch(of: w.span, shape: shape, pattern: packer.pattern, threads: 1).divergence
        }
    }
}

extension SpReLayer: SparseLayer {
    fileprivate var keptMass: (part: Double, whole: Double)? {
        get throws {
            guard let branch else { return nil }
            let kept = try WeightForm.filters(branch.shape).masked(weights.values, branch.mask)
            return (kept.magnitude, weights.values.magnitude)
        }
    }

    fileprivate var retainedEntries: (part: Double, whole: Double)? {
        branch.map { (Double($0.mask.count), Double($0.mask.count)) }
    }

    fileprivate var spatialDivergence: (part: Double, whole: Double)? { branch?.divergence }
}

extension SpReBranch {
    /// The distance of the taps' sparsities from that of the pattern, of all weights together.
    fileprivate var divergence: (part: Double, whole: Double) {
        let distance = tapSparsity.reduce(0) { $0 + abs($1 - (1 - pattern.density)) }
        let each = Double(shape.outputs * shape.channels / shape.groups)
        return (distance * each, Double(tapSparsity.count) * each)
    }
}

extension BinaryLayer {
    fileprivate var treeLength: (part: Double, whole: Double)? {
        get throws {
            guard let signs else { return nil }
            let figures = try ChannelTree(growing: signs, threads: 1).figures(for: signs)
            return (Double(figures.distance), Double(signs.rows * signs.columns))
        }
    }
}
