import Testing

@testable import HalftoneExperiments

@Suite struct SummaryTests {
    private func summary(_ kind: Method.Kind, _ pattern: String?, _ accuracies: [Double], time: Double) -> Summary {
        let runs = accuracies.enumerated().map { number, accuracy in
            RunRecord(
                seed: UInt64(number + 1), accuracy: accuracy, loss: 0.1, keptMass: nil, retained: nil,
                gradientGap: nil, spatialDivergence: nil, treeCost: nil, secondsPerStep: time, phases: [:])
        }
        return Summary(network: .cnn, method: Method(kind: kind), pattern: pattern, runs: runs)
    }

    @Test func comparesSeedBySeed() throws {
        let compared = [
            summary(.dense, nil, [0.9, 0.8], time: 2), summary(.vanilla, "1:4", [0.8, 0.6], time: 1),
            summary(.vanilla, "2:4", [0.5, 0.5], time: 1), summary(.biMask, "1:4", [0.7, 0.5], time: 1),
        ].compared()
        #expect(compared.map(\.baseline) == [nil, "dense", "dense", "vanilla"])
        #expect(compared.map(\.timeOfDense) == [1, 0.5, 0.5, 0.5])
        let difference = try #require(compared[3].difference)
        #expect(abs(difference.mean + 0.1) < 1e-12)
        #expect(abs(difference.deviation ?? 1) < 1e-12)
    }

    @Test func comparesNoOtherSeeds() {
        let compared = [
            summary(.dense, nil, [0.9, 0.8, 0.7], time: 2), summary(.vanilla, "1:4", [0.8, 0.6], time: 1),
        ].compared()
        #expect(compared[1].difference == nil)
    }

    @Test func printsTables() {
        let summaries = [summary(.dense, nil, [0.9, 0.8], time: 2e-6)]
        #expect(summaries.accuracyTable.contains("| cnn     | dense  | -       | 85.00 ± 7.07 |"))
        #expect(summaries.csv.split(separator: "\n").count == 3)
        #expect(AccuracyPlot(summaries).svg.contains("dense"))
    }
}
