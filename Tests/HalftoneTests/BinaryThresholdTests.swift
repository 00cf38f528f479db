import Halftone
import Testing

/// Batch normalisation as a threshold on the sum.
@Suite struct BinaryThresholdTests {
    /// Every sum of every output: where the formula is clearly on one side of zero, so is the threshold.
    @Test func foldsEverySum() throws {
        var g = Generator(seed: 1)
        for _ in 0..<20 {
            let (outputs, inputs) = (g.pick([1, 9, 40]), g.pick([0, 1, 27, 100]))
            func values(_ scale: Float) -> [Float] {
                (0..<outputs).map { _ in g.coin(6) ? 0 : Data.plain.value(&g) * scale }
            }
            let norm = BatchNorm(
                gamma: g.coin(4) ? nil : values(2), beta: g.coin(4) ? nil : values(1), mean: values(30),
                variance: values(5).map { abs($0) }, epsilon: 0.01)
            let scale = g.coin(3) ? nil : values(2)
            let bias = g.coin(3) ? nil : values(9)
            let threshold = try BinaryThreshold(folding: norm, inputs: inputs, scale: scale, bias: bias)
            let levels = try #require(threshold.levels)
            for o in 0..<outputs {
                let deviation = (Double(norm.variance[o]) + Double(norm.epsilon)).squareRoot()
                for sum in -inputs...inputs {
                    let v = Double(sum) * Double(scale?[o] ?? 1) + Double(bias?[o] ?? 0) - Double(norm.mean[o])
                    let y = v / deviation * Double(norm.gamma?[o] ?? 1) + Double(norm.beta?[o] ?? 0)
                    guard abs(y) > 1e-9 || y == 0 else { continue }
                    #expect(((sum < Int(levels[o])) != threshold.flips(o)) == (y < 0), "\(sum) of \(inputs): \(y)")
                }
            }
        }
    }

    @Test func refusesArraysThatDoNotFit() {
        let norm = BatchNorm(gamma: [1, 2], mean: [0, 0, 0], variance: [1, 1, 1])
        #expect(throws: HalftoneError.shape("there are 3 means, and 2 values of something else")) {
            try BinaryThreshold(folding: norm, inputs: 9)
        }
        let good = BatchNorm(mean: [0], variance: [1])
        #expect(throws: HalftoneError.shape("a sum cannot have -1 inputs")) {
            try BinaryThreshold(folding: good, inputs: -1)
        }
        #expect(throws: HalftoneError.overflow) { try BinaryThreshold(folding: good, inputs: Int(Int32.max)) }
        #expect(throws: HalftoneError.shape("there are 2 levels and 1 flips")) {
            try BinaryThreshold(levels: [1, 2], flips: [true])
        }
        #expect(BinaryThreshold.zero.levels == nil && !BinaryThreshold.zero.flips(3))
    }
}
