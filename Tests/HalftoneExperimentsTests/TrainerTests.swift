import Halftone
import Testing

@testable import HalftoneExperiments

@Suite struct TrainerTests {
    private func run(_ network: Architecture, _ kind: Method.Kind, epochs: Int = 1) throws -> Summary {
        let data = try Dataset(folder: nil)
        let part = Dataset(name: "part", training: data.training[0..<100], test: data.test[0..<50])
        let schedule = Schedule(
            epochs: epochs, batch: 25, rate: 0.05, optimizer: .sgd, weightDecay: 0, searchInterval: 2)
        let experiment = Experiment(
            architecture: network, method: Method(kind: kind, strength: 1e-4),
            pattern: kind.isSparse ? try NMPattern(2, of: 4) : nil, schedule: schedule)
        return try experiment.run(part, seeds: 1) { _ in }
    }

    @Test(arguments: Method.Kind.allCases) func trainsByEachMethod(kind: Method.Kind) throws {
        let summary = try run(.cnn, kind)
        #expect(summary.runs.count == 1)
        #expect(summary.runs[0].loss.isFinite)
    }

    @Test(arguments: [Architecture.mlp, .transformer]) func trainsEachNetwork(network: Architecture) throws {
        #expect(try run(network, .biMask).runs[0].loss.isFinite)
    }

    @Test func learns() throws {
        #expect(try run(.mlp, .dense, epochs: 8).accuracy.mean > 0.7)
    }

    @Test func isTheSameAgain() throws {
        let (first, second) = (try run(.cnn, .biMask).runs[0], try run(.cnn, .biMask).runs[0])
        #expect(first.loss == second.loss)
        #expect(first.gradientGap == second.gradientGap)
    }
}
