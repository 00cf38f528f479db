/// All trainings by one method.
struct Summary: Codable {
    let network: Architecture
    let method: String
    /// Only of N:M methods.
    let pattern: String?
    let strength: Double?
    let runs: [RunRecord]
    let accuracy: Sample
    /// What the method is compared with, seed by seed, and the difference of the accuracies.
    var baseline: String?
    var difference: Sample?
    /// Time of a step over that of the dense network.
    var timeOfDense: Double?

    enum CodingKeys: String, CodingKey {
        case network, method, pattern, strength, runs, accuracy, baseline, difference
        case timeOfDense = "time_of_dense"
    }

    init(network: Architecture, method: Method, pattern: String?, runs: [RunRecord]) {
        self.network = network
        self.method = method.kind.rawValue
        self.pattern = pattern
        // By its text, for 3e-05 as a Double has more digits.
        strength = method.kind == .mst ? Double("\(method.strength)") : nil
        self.runs = runs
        accuracy = Sample(runs.map(\.accuracy))
    }

    var secondsPerStep: Double { median(runs.map(\.secondsPerStep)) }

    /// The mean of a figure over the runs that have it.
    func mean(_ figure: KeyPath<RunRecord, Double?>) -> Double? {
        let values = runs.compactMap { $0[keyPath: figure] }
        return values.isEmpty ? nil : values.reduce(0, +) / Double(values.count)
    }

    /// The method as a table names it.
    var name: String { strength.map { "\(method) \($0)" } ?? method }
}

extension [Summary] {
    /// With each compared: with what trains as it does but for the one thing that it is about.
    func compared() -> [Summary] {
        map { summary in
            var summary = summary
            let dense = first { $0.network == summary.network && $0.method == Method.Kind.dense.rawValue }
            summary.timeOfDense = dense.map { summary.secondsPerStep / $0.secondsPerStep }
            guard let name = summary.baselineMethod?.rawValue else { return summary }
            let baseline = first { other in
                other.network == summary.network && other.method == name
                    && (other.pattern == nil || other.pattern == summary.pattern)
            }
            guard let baseline, baseline.runs.map(\.seed) == summary.runs.map(\.seed) else { return summary }
            summary.baseline = name
            summary.difference = Sample(zip(summary.runs, baseline.runs).map { $0.accuracy - $1.accuracy })
            return summary
        }
    }
}

extension Summary {
    fileprivate var baselineMethod: Method.Kind? {
        switch Method.Kind(rawValue: method) {
        case .vanilla, .clipped: .dense
        case .oneShot, .transposable, .biMaskRandom, .biMask, .spre: .vanilla
        case .reste, .biPer, .mst: .clipped
        case .dense, nil: nil
        }
    }
}
