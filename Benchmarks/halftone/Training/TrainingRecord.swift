/// What `halftone training` times, by the word that `--phase` knows it by.
enum TrainingPhase: String, CaseIterable {
    case mask, transposable, search, pack, step, update
}

/// A line of `halftone training`.
struct TrainingRecord: Codable {
    let layer: String
    let o: Int
    let k: Int
    let t: Int
    let pattern: String
    var what: String
    var secondsMin: Double
    var secondsMedian: Double
    /// The least that reading and writing the same bytes took.
    var secondsBound: Double?
    var secondsDense: Double?
    var retained: Double?
    /// By the outputs in their own order.
    var retainedBefore: Double?
    var aaRatio: Double?
    let verdict: String

    var overBound: Double? { secondsBound.map { secondsMin / $0 } }
    var overDense: Double? { secondsDense.map { $0 / secondsMin } }

    enum CodingKeys: String, CodingKey {
        case layer, o, k, t, pattern, what, retained, verdict
        case secondsMin = "seconds_min"
        case secondsMedian = "seconds_median"
        case secondsBound = "seconds_bound"
        case secondsDense = "seconds_dense"
        case aaRatio = "aa_ratio"
        case retainedBefore = "retained_before"
    }
}
