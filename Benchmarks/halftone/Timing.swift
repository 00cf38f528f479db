// How a figure is made.
//
// The contenders of a case (the kernel, every form of every rival, the kernel again, and for T = 1 on one thread a plain
// read of the packed weights) run in turn in one process,
// repetition after repetition, so that whatever slows the machine down for a while slows all of them down. The minimum
// of a contender is what the machine can do; the median shows how often it did. The kernel is in the round twice: the
// ratio of its two minima (A/A) should be 1, and what it is off by is the noise that every other ratio carries as well.
// A probe of the multiply-add peak is part of each repetition too, and its best counts. A minimum that no other sample
// comes near, or in which other programs had the CPU, makes the case noisy as well, be it the kernel's or a rival's.
//
// Warm: a contender's turn begins with untimed calls for a millisecond (two with several threads; up to four where four
// are not enough for four calls), one at least. Its weights, not those of the one before, are then in the caches (a
// shared one takes several passes), its threads awake and those of the others asleep. Timed calls follow for half a
// millisecond, one at least; shorter ones than 20 microseconds are timed together, for the clock's sake.
// Cold: 96 MB of other memory are read before each call, which is not timed.
//
// All memory was written before, so that no page is missing; operands come from ht_allocate and thus lie on huge pages
// where the system gives them; scratch is given, so that no timed call allocates. One thread is pinned to the CPU it is
// on. Repetitions go on until the case's share of --seconds is used, five being the least; a case whose calls are so
// long that five would take four times its share stops earlier, and its verdict says so.
import CHalftoneBench

struct Contender {
    let run: () throws -> Void
}

struct Samples {
    private(set) var seconds: [Double] = []
    private(set) var minimum = Double.infinity
    private var minimumWasInterrupted = false

    var median: Double {
        guard !seconds.isEmpty else { return .infinity }
        let sorted = seconds.sorted()
        let middle = sorted.count / 2
        return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
    }

    /// A second sample is near the minimum, and during that one the thread had its CPU to itself.
    var isSteady: Bool {
        let fastest = minimum
        return !minimumWasInterrupted && seconds.count { $0 <= fastest * (1 + Verdict.noiseLimit) } > 1
    }

    mutating func add(_ value: Double, wasInterrupted: Bool) {
        if value < minimum { (minimum, minimumWasInterrupted) = (value, wasInterrupted) }
        seconds.append(value)
    }
}

struct Measurement {
    /// In the order of the contenders.
    var samples: [Samples]
    /// Operations a second of the multiply-add peak.
    var peak: Double
    var hasEnoughRuns: Bool
}

struct Stopwatch {
    let cache: CacheState
    let threads: Int
    let unit: htb_unit
    /// What a cold run reads before each call.
    private let otherMemory: Memory?

    static let leastRuns = 5
    private static let mostRuns = 5000
    private static let shortestSample = 20e-6
    private static let turnSeconds = 0.5e-3
    private static let settlingCalls = 4
    private static let settlingSeconds = 4e-3
    private static let otherBytes = 96 << 20

    init(cache: CacheState, threads: Int, unit: htb_unit, otherMemory: Memory?) {
        self.cache = cache
        self.threads = threads
        self.unit = unit
        self.otherMemory = otherMemory
    }

    static func memoryToRead(for cache: CacheState) throws -> Memory? {
        cache == .cold ? try Memory(bytes: otherBytes) : nil
    }

    /// Times the contenders against each other for about `budget` seconds.
    func measure(_ contenders: [Contender], budget: Double) throws -> Measurement {
        let start = htb_seconds()
        let calls = try contenders.map(callsPerSample)
        var result = Measurement(
            samples: contenders.map { _ in Samples() }, peak: 0, hasEnoughRuns: true)
        for run in 1...Self.mostRuns {
            for (index, contender) in contenders.enumerated() {
                try takeTurn(contender, calls: calls[index], into: &result.samples[index])
            }
            result.peak = max(result.peak, probe())
            let elapsed = htb_seconds() - start
            if run >= Self.leastRuns ? elapsed >= budget : elapsed * Double(Self.leastRuns) >= 4 * budget * Double(run)
            {
                result.hasEnoughRuns = run >= Self.leastRuns
                break
            }
        }
        return result
    }

    private func probe() -> Double {
        htb_peak(unit, Int32(threads), threads == 1 ? 5e-5 : 1e-3)
    }

    private func takeTurn(_ contender: Contender, calls: Int, into samples: inout Samples) throws {
        try prepareCaches(contender)
        let begin = htb_seconds()
        var now = begin
        repeat {
            let running = htb_thread_seconds()
            let start = htb_seconds()
            for _ in 0..<calls { try contender.run() }
            now = htb_seconds()
            let share = (htb_thread_seconds() - running) / (now - start)
            // With several threads this one may rightly wait for the others.
            let wasInterrupted = threads == 1 && share < 1 - Verdict.noiseLimit
            samples.add((now - start) / Double(calls), wasInterrupted: wasInterrupted)
        } while cache == .warm && now - begin < Self.turnSeconds
    }

    private func prepareCaches(_ contender: Contender) throws {
        if let otherMemory {
            _ = htb_read(otherMemory.address, otherMemory.bytes)
            return
        }
        let untimed = threads == 1 ? 1e-3 : 2e-3
        let start = htb_seconds()
        var calls = 0
        var elapsed = 0.0
        repeat {
            try contender.run()
            calls += 1
            elapsed = htb_seconds() - start
        } while elapsed < untimed || calls < Self.settlingCalls && elapsed < Self.settlingSeconds
    }

    private func callsPerSample(_ contender: Contender) throws -> Int {
        try contender.run()
        let start = htb_seconds()
        try contender.run()
        let once = htb_seconds() - start
        guard cache == .warm, once < Self.shortestSample else { return 1 }
        return min(1000, Int((Self.shortestSample / max(once, 1e-8)).rounded(.up)))
    }
}
