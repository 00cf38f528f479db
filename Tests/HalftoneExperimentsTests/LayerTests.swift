import Foundation
import Halftone
import Testing

@testable import HalftoneExperiments

/// Layers whose gradients are those of what they compute. Values are f32, so that differences have an error of about
/// 1e-7 / 1e-2 of the sums.
@Suite struct LayerTests {
    private static let tolerance = 5e-3

    private func check(_ layer: Layer, inputs: Int) throws {
        let check = try GradientCheck(layer, inputs: inputs, seed: 1)
        #expect(try check.inputError() < Self.tolerance)
        for parameter in layer.all.flatMap(\.parameters) {
            #expect(try check.parameterError(parameter) < Self.tolerance)
        }
    }

    private var random: SplitMix { SplitMix(seed: 3, purpose: .weights) }

    private func filters(_ height: Int, _ width: Int, _ channels: Int, _ outputs: Int) -> WeightForm {
        .filters(
            ConvShape(height: height, width: width, channels: channels, outputs: outputs, kernel: 3, padding: .same))
    }

    @Test func linear() throws {
        var random = random
        try check(
            WeightLayer(DensePacker(.matrix(outputs: 5, inputs: 7)), hasBias: true, random: &random), inputs: 3 * 7)
    }

    @Test func convolution() throws {
        var random = random
        try check(WeightLayer(DensePacker(filters(3, 4, 3, 5)), random: &random), inputs: 2 * 3 * 4 * 3)
    }

    @Test func batchNorm() throws { try check(BatchNormLayer(features: 3), inputs: 8 * 3) }

    @Test func layerNorm() throws { try check(LayerNorm(features: 6), inputs: 4 * 6) }

    @Test func attention() throws { try check(Attention(tokens: 3, heads: 2, features: 4), inputs: 2 * 3 * 12) }

    @Test func positions() throws {
        var random = random
        try check(Positions(tokens: 2, features: 3, random: &random), inputs: 2 * 6)
    }

    @Test func pools() throws {
        try check(MeanPool(rows: 4, features: 3), inputs: 2 * 12)
        try check(MaxPool(height: 5, width: 4, channels: 2), inputs: 2 * 40)
    }

    /// A small step, which does not cross 0.
    @Test func relu() throws {
        #expect(try GradientCheck(ReLU(), inputs: 20, seed: 1).inputError(step: 1e-4) < Self.tolerance)
    }

    @Test func residual() throws {
        var random = random
        try check(
            Residual([
                LayerNorm(features: 4),
                WeightLayer(DensePacker(.matrix(outputs: 4, inputs: 4)), hasBias: true, random: &random),
            ]), inputs: 3 * 4)
    }

    /// Masks get no gradient, inputs that of the masked weights.
    @Test(arguments: ["2:4", "1:16"]) func sparseInputs(pattern: String) throws {
        var random = random
        let pattern = try #require(NMPattern(pattern))
        for (form, inputs) in [(WeightForm.matrix(outputs: 6, inputs: 32), 3 * 32), (filters(3, 3, 16, 4), 9 * 16)] {
            let layer = WeightLayer(MagnitudePacker(form, pattern), random: &random)
            #expect(try GradientCheck(layer, inputs: inputs, seed: 2).inputError() < Self.tolerance)
        }
    }

    /// The weights of the branch get a gradient where it has taps and the mask entries, and nowhere else.
    @Test func spatialBranch() throws {
        var random = random
        guard case .filters(let shape) = filters(3, 3, 8, 4) else { return }
        let layer = SpReLayer(shape, try NMPattern(2, of: 4), random: &random)
        let check = try GradientCheck(layer, inputs: 4 * 9 * 8, seed: 4)
        #expect(try check.inputError() < Self.tolerance)
        let branchWeights = try #require(layer.parameters.last)
        for parameter in [branchWeights] + layer.parts.flatMap(\.parameters) {
            #expect(try check.parameterError(parameter) < Self.tolerance)
        }
        let taps = try #require(layer.branch).taps
        #expect(taps.contains(true) && taps.contains(false))
    }

    /// Both branches normalised by the statistics of training are the folded convolution.
    @Test func foldsTheBranch() throws {
        var random = random
        guard case .filters(let shape) = filters(3, 3, 8, 4) else { return }
        let layer = SpReLayer(shape, try NMPattern(2, of: 4), random: &random)
        let x = random.normals(6 * 9 * 8, deviation: 1)
        let training = Pass(clock: PhaseClock())
        try layer.prepare(Moment(step: 0, progress: 0), training)
        var last: [Float] = []
        for _ in 0..<200 { last = try layer.forward(x, training) }
        let evaluation = Pass(clock: PhaseClock(), isTraining: false)
        try layer.prepare(Moment(step: 1, progress: 1), evaluation)
        // The running variances are those of a sample, 54 / 53 of the batch's.
        for (a, b) in zip(last, try layer.forward(x, evaluation)) { #expect(abs(a - b) < 0.1) }
    }

    @Test func crossEntropyOfLogits() {
        let logits: [Float] = [0.5, -1, 2, 0.25, 3, -0.5]
        let labels = [2, 0]
        let gradient = crossEntropy(logits, labels: labels).gradient
        for i in logits.indices {
            var (above, below) = (logits, logits)
            above[i] += 1e-2
            below[i] -= 1e-2
            let change = crossEntropy(above, labels: labels).loss - crossEntropy(below, labels: labels).loss
            #expect(abs(change / Double(above[i] - below[i]) - Double(gradient[i])) < 1e-5)
        }
    }
}
