import CHalftone
import Halftone
import Testing

/// Updates of weights against their formulas in double precision.
@Suite struct OptimizerTests {
    private static let (rows, columns) = (3, 21)

    private struct Layer {
        var weights: [Float]
        let gradient: [Float]
        let sparse: SRSTE

        init(_ g: inout Generator) throws {
            weights = eighths(rows * columns, &g)
            gradient = eighths(rows * columns, &g)
            let pattern = try NMPattern(1, of: 4)
            sparse = SRSTE(mask: try pattern.mask(of: weights, rows: rows, columns: columns), decay: 0.5)
        }

        /// The gradient with the decay of pruned weights.
        func decayed(_ i: Int) -> Double {
            let isKept = sparse.mask[i / columns, i % columns]
            return Double(gradient[i]) + (isKept ? 0 : 0.5 * Double(weights[i]))
        }
    }

    private func isNear(_ a: Float, _ b: Double) -> Bool { abs(Double(a) - b) <= 1e-5 * (1 + abs(b)) }

    @Test func decayIsAddedToPrunedWeights() throws {
        var g = Generator(seed: 1)
        let layer = try Layer(&g)
        var gradient = layer.gradient
        var span = gradient.mutableSpan
        try layer.sparse.addDecay(of: layer.weights.span, to: &span)
        for i in gradient.indices { #expect(Double(gradient[i]) == layer.decayed(i)) }
    }

    @Test(arguments: [false, true]) func momentumFollowsTheFormula(isNesterov: Bool) throws {
        var g = Generator(seed: 2)
        var layer = try Layer(&g)
        let sgd = SGD(
            rate: 0.1, momentum: 0.75, dampening: isNesterov ? 0 : 0.25, weightDecay: 0.125, isNesterov: isNesterov)
        var velocity = [Float](repeating: 0, count: layer.weights.count)
        var expected = [Double](repeating: 0, count: layer.weights.count)
        for _ in 0..<3 {
            let before = layer
            try sgd.update(&layer.weights, gradient: layer.gradient, velocity: &velocity, decaying: layer.sparse)
            for i in velocity.indices {
                let step = before.decayed(i) + 0.125 * Double(before.weights[i])
                expected[i] = 0.75 * expected[i] + (isNesterov ? 1 : 0.75) * step
                #expect(isNear(velocity[i], expected[i]))
                let move = isNesterov ? step + 0.75 * expected[i] : expected[i]
                #expect(isNear(layer.weights[i], Double(before.weights[i]) - 0.1 * move))
            }
        }
    }

    @Test func descentWithoutMomentumNeedsNoVelocity() throws {
        var (weights, velocity): ([Float], [Float]) = ([1, 2, -3], [])
        try SGD(rate: 0.5).update(&weights, gradient: [1, 0, -1], velocity: &velocity)
        #expect(weights == [0.5, 2, -2.5])
    }

    @Test func adamFollowsTheFormula() throws {
        var g = Generator(seed: 3)
        var layer = try Layer(&g)
        let adam = AdamW(rate: 0.01, beta1: 0.8, beta2: 0.9, epsilon: 1e-3, weightDecay: 0.5)
        var state = AdamW.State(count: layer.weights.count)
        var (mean, square) = (state.mean.map(Double.init), state.square.map(Double.init))
        var (left1, left2) = (1.0, 1.0)
        for step in 1...3 {
            let before = layer
            try adam.update(&layer.weights, gradient: layer.gradient, state: &state, decaying: layer.sparse)
            #expect(state.steps == step)
            (left1, left2) = (left1 * Double(adam.beta1), left2 * Double(adam.beta2))
            for i in mean.indices {
                let gradient = before.decayed(i)
                mean[i] = Double(adam.beta1) * mean[i] + (1 - Double(adam.beta1)) * gradient
                square[i] = Double(adam.beta2) * square[i] + (1 - Double(adam.beta2)) * gradient * gradient
                let move = mean[i] / (1 - left1) / ((square[i] / (1 - left2)).squareRoot() + 1e-3)
                #expect(isNear(layer.weights[i], Double(before.weights[i]) * (1 - 0.005) - 0.01 * move))
            }
        }
    }

    @Test func wrongArgumentsMoveNothing() throws {
        var g = Generator(seed: 4)
        var layer = try Layer(&g)
        let before = layer.weights
        var velocity = [Float](repeating: 0, count: before.count)
        var (short, state) = ([Float](velocity.dropLast()), AdamW.State(count: before.count))
        for sgd in [SGD(rate: -1), SGD(rate: .nan), SGD(rate: 1, momentum: 1), SGD(rate: 1, isNesterov: true)] {
            #expect(throws: HalftoneError.optimizer) {
                try sgd.update(&layer.weights, gradient: layer.gradient, velocity: &velocity)
            }
        }
        let sgd = SGD(rate: 1, momentum: 0.5)
        #expect(throws: HalftoneError.shape("the velocity holds 62 values, there are 63 weights")) {
            try sgd.update(&layer.weights, gradient: layer.gradient, velocity: &short)
        }
        #expect(throws: HalftoneError.shape("the gradient holds 62 values, there are 63 weights")) {
            try sgd.update(&layer.weights, gradient: short, velocity: &velocity)
        }
        let other = SRSTE(mask: try NMMask(rows: 1, columns: 8, bytes: [0]))
        #expect(throws: HalftoneError.shape("there are 63 weights, the mask is 1 x 8")) {
            try sgd.update(&layer.weights, gradient: layer.gradient, velocity: &velocity, decaying: other)
        }
        for adam in [AdamW(rate: .infinity), AdamW(rate: 1, beta1: 0), AdamW(rate: 1, epsilon: 0)] {
            #expect(throws: HalftoneError.optimizer) {
                try adam.update(&layer.weights, gradient: layer.gradient, state: &state)
            }
        }
        #expect(throws: HalftoneError.threads) {
            try sgd.update(&layer.weights, gradient: layer.gradient, velocity: &velocity, threads: -1)
        }
        #expect(layer.weights == before && state.steps == 0)
    }
}
