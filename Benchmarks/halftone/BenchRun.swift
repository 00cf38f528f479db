import CHalftone
import CHalftoneBench

/// Measures the cases of a plan one after the other.
final class BenchRun {
    struct Settings {
        let threads: Int
        let cache: CacheState
        let seconds: Double
        let seed: UInt64
    }

    /// A record and which T of which entry of the plan it belongs to.
    struct Done {
        let entry: Int
        let place: Int
        let record: CaseRecord
    }

    private let plan: BenchPlan
    private let settings: Settings
    private let rivals: Rivals
    private let otherMemory: Memory?
    private let progress: Progress
    private let end: Double
    private var done = 0
    /// The weights, see `weight`, of the cases that are not done.
    private var weightLeft = 0.0
    /// The rate of the last case of a row and pattern, which foretells what the next will take.
    private var lastRate: [String: Double] = [:]
    private(set) var skipped: [String] = []

    init(plan: BenchPlan, settings: Settings, rivals: Rivals) throws {
        self.plan = plan
        self.settings = settings
        self.rivals = rivals
        otherMemory = try Stopwatch.memoryToRead(for: settings.cache)
        progress = Progress(total: plan.entries.reduce(0) { $0 + plan.caseCount(of: $1) })
        end = htb_seconds() + settings.seconds
        for entry in plan.entries {
            let weights = entry.ts.map { Self.weight(entry.layer, t: $0) }
            weightLeft += weights.reduce(0, +) * Double(plan.caseCount(of: entry) / entry.ts.count)
        }
    }

    /// Calls `report` after each case, when the progress bar is off the screen.
    func run(report: (Done) -> Void) throws {
        if settings.threads == 1 { _ = htb_pin() }
        defer { htb_unpin() }
        for (index, entry) in plan.entries.enumerated() {
            let weights = try entry.layer.weights()
            for kind in plan.kinds(of: entry.operation) {
                let bench = try bench(entry, kind, weights)
                for form in plan.forms(of: entry.operation, kind) {
                    try runCases(bench, form, ts: entry.ts) { report(Done(entry: index, place: $0, record: $1)) }
                }
            }
        }
        progress.clear()
    }

    private func bench(
        _ entry: BenchPlan.Entry, _ kind: ProductKind, _ weights: FloatMatrix
    ) throws -> any CaseBench {
        if entry.operation == .signPacking {
            return SignBench(layer: entry.layer, kind: kind, seed: settings.seed)
        }
        let contests = rivals.contests(for: entry.operation, kind)
        if entry.operation.isBinary {
            return try BinaryBench(
                layer: entry.layer, operation: entry.operation, kind: kind, weights: weights, contests: contests,
                seed: settings.seed)
        }
        return try LayerBench(
            layer: entry.layer, operation: entry.operation, kind: kind, weights: weights, contests: contests,
            settings: .init(orders: plan.orders, permutes: plan.permutes, seed: settings.seed))
    }

    private func runCases(
        _ bench: any CaseBench, _ form: CaseForm, ts: [Int], report: (Int, CaseRecord) -> Void
    ) throws {
        try bench.prepare(form)
        for (place, t) in ts.enumerated() {
            for kernel in plan.kernels(of: bench.operation, bench.kind) {
                if let record = try runCase(bench, form, t: t, row: kernel.row) { report(place, record) }
            }
        }
    }

    /// `nil` where the case is left out.
    private func runCase(
        _ bench: any CaseBench, _ form: CaseForm, t: Int, row: KernelRow
    ) throws -> CaseRecord? {
        let label = "\(bench.layer.name) t=\(t) \(row.op) \(bench.kind) \(form) \(row.isa)"
        let budget = takeShare(Self.weight(bench.layer, t: t))
        defer { done += 1 }
        let rateKey = "\(bench.kind) \(row.op) \(row.isa) \(form)"
        if plan.skipsSlowCases, leastSeconds(bench.layer, t: t, rate: lastRate[rateKey]) > 6 * budget {
            skipped.append(label)
            return nil
        }
        progress.show(done: done, label)
        let stopwatch = Stopwatch(
            cache: settings.cache, threads: settings.threads, unit: bench.kind.unit(isa: row.isaOption),
            otherMemory: otherMemory)
        let record = try bench.measure(t: t, row: row, stopwatch: stopwatch, budget: budget)
        lastRate[rateKey] = record.rate
        progress.clear()
        return record
    }

    /// How much of the time a case gets, compared with others. Large cases need more for as many repetitions, and their
    /// weights and reference results take time as well; small ones have something to gain from many repetitions.
    private static func weight(_ layer: Layer, t: Int) -> Double {
        0.4 + operations(layer, t: t) * 0.13e-9 + Double(layer.o * layer.k) * 0.02e-6
    }

    /// Operations of the dense computation, a multiply-add being two.
    private static func operations(_ layer: Layer, t: Int) -> Double {
        2 * Double(t) * Double(layer.o) * Double(layer.k)
    }

    /// Seconds for a case even where the time is used up.
    private static let leastShare = 0.1

    private func takeShare(_ weight: Double) -> Double {
        let share = max(Self.leastShare, (end - htb_seconds()) * weight / weightLeft)
        weightLeft -= weight
        return share
    }

    /// About how long the fewest repetitions take: the kernel twice in each, and every call once untimed.
    private func leastSeconds(_ layer: Layer, t: Int, rate: Double?) -> Double {
        guard let rate else { return 0 }
        return Self.operations(layer, t: t) / rate * 4 * Double(Stopwatch.leastRuns)
    }
}
