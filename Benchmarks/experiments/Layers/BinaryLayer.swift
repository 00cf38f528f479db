import Foundation
import Halftone

/// A linear layer or a convolution of signs: the signs of its inputs times the signs of its latent weights.
///
/// The sums have no scale, for a batch normalisation follows.
final class BinaryLayer: PackedLayer {
    let form: WeightForm
    let weights: Parameter
    private let estimator: BinaryEstimator
    private let reuse: ChannelReuse?

    private(set) var signs: SignMatrix?
    private(set) var tree: ChannelTree?
    private var forwardWeights: BinaryWeights?
    private var backwardWeights: BackwardWeights?
    private var progress = 0.0
    private var x: [Float] = []
    private var xSigns: SignMatrix?

    init(_ form: WeightForm, estimator: BinaryEstimator, reuse: ChannelReuse?, random: inout SplitMix) {
        self.form = form
        self.estimator = estimator
        self.reuse = reuse
        weights = Parameter(random.weights(form: form), decays: false)
    }

    var parameters: [Parameter] { [weights] }

    func prepare(_ moment: Moment, _ pass: Pass) throws {
        progress = moment.progress
        let signs = try pass.clock.measure(.mask) {
            try estimator.signs(of: weights.values, rows: form.rows, columns: form.columns)
        }
        self.signs = signs
        if let reuse, tree == nil || moment.step % reuse.interval == 0 {
            tree = try pass.clock.measure(.search) { try ChannelTree(growing: signs, threads: 1) }
        }
        try pass.clock.measure(.pack) {
            forwardWeights = try BinaryWeights(form, packing: signs)
            backwardWeights = try BackwardWeights(form, packing: signs.floats(threads: 1), .dense)
        }
    }

    func forward(_ x: [Float], _ pass: Pass) throws -> [Float] {
        self.x = x
        return try pass.clock.measure(.forward) {
            let xSigns = try SignMatrix(signsOf: x, rows: x.count / form.inputs, columns: form.inputs, threads: 1)
            self.xSigns = xSigns
            return try forwardWeights?.product(xSigns) ?? []
        }
    }

    func backward(_ dy: [Float], _ pass: Pass) throws -> [Float] {
        if !pass.isProbe { try pass.clock.measure(.gradient) { weights.gradient = try weightGradient(dy) } }
        return try pass.clock.measure(.backward) {
            try estimator.activations(progress).gradient(
                backwardWeights?.product(dy) ?? [], x, rows: x.count / form.inputs, columns: form.inputs, threads: 1)
        }
    }

    /// Of the latent weights, that of what pulls them together included.
    private func weightGradient(_ dy: [Float]) throws -> [Float] {
        let inputs = try xSigns?.floats(threads: 1) ?? []
        var gradient = try estimator.weights(progress).gradient(
            form.weightGradient(dy, inputs), weights.values, rows: form.rows, columns: form.columns, threads: 1)
        if let reuse {
            try tree?.addGradient(
                of: weights.values, columns: form.columns, strength: reuse.strength, to: &gradient, threads: 1)
        }
        return gradient
    }
}

/// What stands for the derivative of the signs of weights and of activations.
enum BinaryEstimator {
    case clipped
    case reste
    case biPer

    func weights(_ progress: Double) -> SignEstimator {
        switch self {
        case .clipped: .clipped()
        case .reste: .reste(power: Self.power(progress))
        case .biPer: .periodic(frequency: Self.frequency)
        }
    }

    func activations(_ progress: Double) -> SignEstimator {
        switch self {
        case .clipped: .clipped()
        case .reste: .reste(power: Self.power(progress))
        case .biPer: .polynomial
        }
    }

    func signs(of weights: [Float], rows: Int, columns: Int) throws -> SignMatrix {
        switch self {
        case .clipped, .reste: try SignMatrix(signsOf: weights, rows: rows, columns: columns, threads: 1)
        case .biPer:
            try SignMatrix(
                periodicSignsOf: weights.span, rows: rows, columns: columns, frequency: Self.frequency, threads: 1)
        }
    }

    private static let frequency: Float = 20

    /// From 1 to 3 as training goes on, the published schedule.
    private static func power(_ progress: Double) -> Float { Float(1 + 2 * (1 - cos(.pi * progress / 2))) }
}

/// How strongly the outputs of a layer are pulled to their neighbours in the shortest tree, and after how many steps the
/// tree grows anew.
struct ChannelReuse {
    let strength: Float
    let interval: Int
}
