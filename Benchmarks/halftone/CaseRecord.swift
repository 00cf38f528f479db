/// One case as measured: a line of the table and an object of the JSON.
struct CaseRecord: Codable {
    let layer: String
    let op: String
    let isa: String
    let dtype: String
    let pattern: String
    /// Only of binary weights: the design that they are packed for.
    let design: String?
    /// Only of weights along trees.
    var tree: TreeFigures?
    /// Only of operations along trees, and of the row that the library chooses.
    var plan: TreePlan?
    let o: Int
    let k: Int
    let t: Int
    /// Only of convolutions.
    let convolution: Convolution?
    let threads: Int
    let cache: String
    let secondsMin: Double
    let secondsMedian: Double
    let runs: Int
    /// Dense-equivalent operations a second: 2 t o k / seconds_min. Of packed signs, bytes of X; so is the peak, the
    /// rate at which they can be read.
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
        case layer, op, isa, dtype, pattern, design, tree, plan, o, k, t, convolution, threads, cache, runs, rate, peak,
            bytes, against
        case verdict
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

/// The fastest form of what a case is compared with.
struct RivalRecord: Codable {
    let name: String
    let config: String
    /// It computes with dense weights, or dense gradients.
    let isDense: Bool
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
        case isDense = "dense"
        case secondsMin = "seconds_min"
        case ofPeak = "of_peak"
        case isComparable = "comparable"
        case isSteady = "steady"
    }
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
        if against.contains(where: { $0.isDense && $0.isComparable && $0.ratio < 1 }) {
            words.append("slower than dense")
        }
        if against.contains(where: { !$0.isComparable }) { words.append("not comparable") }
        if !(abs(aaRatio - 1) <= noiseLimit) || !isSteady || against.contains(where: { !$0.isSteady }) {
            words.append("noisy")
        }
        if !hasEnoughRuns { words.append("few runs") }
        return words.isEmpty ? "ok" : words.joined(separator: ", ")
    }
}

extension CaseRecord {
    /// A case that was measured, the samples being those of the kernel, of the opponents' forms, of the kernel again
    /// and, where there is one, of the stream of packed weights.
    init(
        layer: Layer, problem: Problem, weights: CaseWeights, row: KernelRow, stopwatch: Stopwatch,
        measured: Measurement, opponents: [Opponent], hasStream: Bool, bytes: Int, maxError: Double,
        outputError: Double?
    ) {
        let samples = measured.samples
        let (first, again) = (samples[0], samples[samples.count - (hasStream ? 2 : 1)])
        let streamRate = hasStream ? samples.last.map { Double(weights.bytes) / $0.minimum } : nil
        let seconds = first.minimum
        let rate = problem.denseOperations / seconds
        let bound = problem.errorBound(weights.form.pattern)
        let aaRatio = again.minimum / seconds
        let against = RivalRecord.all(opponents, measured, problem, ours: seconds)
        self.init(
            layer: layer.name, op: problem.kind.op(problem.operation), isa: row.isa, dtype: problem.kind.rawValue,
            pattern: weights.form.description, design: weights.design?.rawValue, tree: weights.tree,
            o: problem.o, k: problem.k, t: problem.t, convolution: layer.convolution, threads: stopwatch.threads,
            cache: stopwatch.cache.rawValue,
            secondsMin: seconds, secondsMedian: first.median, runs: first.seconds.count, rate: rate,
            peak: measured.peak, ofPeak: rate / measured.peak, bytes: bytes, streamRate: streamRate,
            ofStream: streamRate.map { Double(bytes) / seconds / $0 }, aaRatio: aaRatio, maxError: maxError,
            errorBound: bound, keptL1: weights.keptL1, outputError: outputError,
            against: against,
            verdict: Verdict.of(
                maxError: maxError, bound: bound, aaRatio: aaRatio, isSteady: first.isSteady,
                hasEnoughRuns: measured.hasEnoughRuns, against: against))
    }
}

extension RivalRecord {
    /// The fastest form of each opponent that has any; their samples are behind the kernel's.
    fileprivate static func all(
        _ opponents: [Opponent], _ measured: Measurement, _ problem: Problem, ours: Double
    ) -> [RivalRecord] {
        var next = 1
        return opponents.compactMap { opponent in
            let samples = Array(measured.samples[next..<next + opponent.forms.count])
            next += opponent.forms.count
            guard let best = samples.indices.min(by: { samples[$0].minimum < samples[$1].minimum }) else { return nil }
            let (form, isRight) = (opponent.forms[best].form, opponent.forms[best].isRight)
            let reasons = [opponent.shortcoming, form.shortcoming, isRight ? nil : "its result is wrong"]
                .compactMap { $0 }
            let remark = reasons.isEmpty ? "" : "; not comparable: " + reasons.joined(separator: ", ")
            let seconds = samples[best].minimum
            return RivalRecord(
                name: opponent.name, config: "\(opponent.description); \(form.config)\(remark)",
                isDense: opponent.isDense, secondsMin: seconds, ratio: seconds / ours,
                ofPeak: problem.denseOperations / seconds / measured.peak, isComparable: reasons.isEmpty,
                isSteady: samples[best].isSteady)
        }
    }
}
