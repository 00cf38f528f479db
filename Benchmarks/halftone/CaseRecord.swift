/// One case as measured: a line of the table and an object of the JSON.
struct CaseRecord: Codable {
    let layer: String
    let op: String
    let isa: String
    let dtype: String
    let pattern: String
    let o: Int
    let k: Int
    let t: Int
    let threads: Int
    let cache: String
    let secondsMin: Double
    let secondsMedian: Double
    let runs: Int
    /// Dense-equivalent operations a second: 2 t o k / seconds_min.
    let rate: Double
    let peak: Double
    let ofPeak: Double
    /// Of the packed weights, X and Y.
    let bytes: Int
    /// Only for T = 1 on one thread: bytes a second of the packed weights when they are only read, and the kernel's
    /// bytes / seconds_min over that.
    let streamRate: Double?
    let ofStream: Double?
    let aaRatio: Double
    let maxError: Double
    let errorBound: Double
    /// Only for real weights.
    let keptL1: Double?
    let outputError: Double?
    let against: [RivalRecord]
    let verdict: String

    enum CodingKeys: String, CodingKey {
        case layer, op, isa, dtype, pattern, o, k, t, threads, cache, runs, rate, peak, bytes, against, verdict
        case secondsMin = "seconds_min"
        case secondsMedian = "seconds_median"
        case ofPeak = "of_peak"
        case streamRate = "stream_bytes_per_second"
        case ofStream = "of_stream"
        case aaRatio = "aa_ratio"
        case maxError = "max_error"
        case errorBound = "error_bound"
        case keptL1 = "kept_l1"
        case outputError = "output_error"
    }
}

/// A rival's fastest form in one case.
struct RivalRecord: Codable {
    let name: String
    let config: String
    let secondsMin: Double
    /// Its seconds over ours: above 1 we are faster.
    let ratio: Double
    let ofPeak: Double
    /// False where the library does not use what the CPU has, or its result is wrong.
    let isComparable: Bool
    /// Its minimum is no chance hit and was not disturbed.
    let isSteady: Bool

    enum CodingKeys: String, CodingKey {
        case name, config, ratio
        case secondsMin = "seconds_min"
        case ofPeak = "of_peak"
        case isComparable = "comparable"
        case isSteady = "steady"
    }
}

struct Report: Codable {
    let machine: Machine
    let cases: [CaseRecord]
}

enum Verdict {
    /// The A/A ratio may be off by this much, and so may a minimum from the next sample.
    static let noiseLimit = 0.05

    /// "ok", or everything that is to be said against the case's figures, the worst first.
    static func of(
        maxError: Double, bound: Double, aaRatio: Double, isSteady: Bool, hasEnoughRuns: Bool,
        against: [RivalRecord]
    ) -> String {
        var words: [String] = []
        if !(maxError <= bound) { words.append("WRONG") }
        if against.contains(where: { $0.isComparable && $0.ratio < 1 }) { words.append("slower than dense") }
        if against.contains(where: { !$0.isComparable }) { words.append("not comparable") }
        if !(abs(aaRatio - 1) <= noiseLimit) || !isSteady || against.contains(where: { !$0.isSteady }) {
            words.append("noisy")
        }
        if !hasEnoughRuns { words.append("few runs") }
        return words.isEmpty ? "ok" : words.joined(separator: ", ")
    }
}
