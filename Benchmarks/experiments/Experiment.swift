import Halftone

/// One network trained by one method, with several seeds.
struct Experiment {
    let architecture: Architecture
    let method: Method
    /// Only of N:M methods.
    let pattern: NMPattern?
    let schedule: Schedule

    var name: String { "\(architecture.rawValue) \(method.kind.rawValue)" + (pattern.map { " \($0)" } ?? "") }

    func run(_ dataset: Dataset, seeds: Int, onEpoch: (Int) -> Void) throws -> Summary {
        var done = 0
        let runs = try (1...UInt64(seeds)).map { seed in
            let parts = NetworkParts(
                method: method, pattern: try pattern ?? .dense, searchInterval: schedule.searchInterval,
                random: SplitMix(seed: seed, purpose: .weights))
            let network = architecture.network(
                height: dataset.training.height, width: dataset.training.width, parts)
            let trainer = Trainer(network: network, schedule: schedule, dataset: dataset, seed: seed)
            let outcome = try trainer.run { _ in
                done += 1
                onEpoch(done)
            }
            return try RunRecord(seed: seed, outcome, network)
        }
        return Summary(network: architecture, method: method, pattern: pattern?.description, runs: runs)
    }
}
