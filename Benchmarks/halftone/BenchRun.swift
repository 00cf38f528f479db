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
        progress = Progress(total: plan.caseCount)
        end = htb_seconds() + settings.seconds
        for entry in plan.entries {
            let weights = entry.ts.map { Self.weight(entry.layer, t: $0) }
            weightLeft += weights.reduce(0, +) * Double(plan.patterns.count * plan.rows.count)
        }
    }

    /// Calls `report` after each case, when the progress bar is off the screen.
    func run(report: (CaseRecord) -> Void) throws {
        if settings.threads == 1 { _ = htb_pin() }
        defer { htb_unpin() }
        for entry in plan.entries {
            let weights = try entry.layer.weights()
            for kind in plan.kinds {
                let bench = try LayerBench(
                    layer: entry.layer, kind: kind, weights: try kind.rounded(weights: weights),
                    rivals: rivals.found(for: kind), seed: settings.seed)
                let rows = plan.rows.filter { $0.kind == kind }.map(\.row)
                for pattern in plan.patterns { try runCases(bench, pattern, ts: entry.ts, rows: rows, report: report) }
            }
        }
        progress.clear()
    }

    private func runCases(
        _ bench: LayerBench, _ pattern: Pattern, ts: [Int], rows: [KernelRow], report: (CaseRecord) -> Void
    ) throws {
        let pruned = try PrunedLayer(bench.weights, pattern: pattern, kind: bench.kind)
        for t in ts {
            for row in rows { try runCase(bench, pruned, t: t, row: row, report: report) }
        }
    }

    private func runCase(
        _ bench: LayerBench, _ pruned: PrunedLayer, t: Int, row: KernelRow, report: (CaseRecord) -> Void
    ) throws {
        let layer = bench.layer
        let label = "\(layer.name) \(layer.o)x\(layer.k) t=\(t) \(bench.kind) \(pruned.pattern) \(row.isa)"
        let budget = takeShare(Self.weight(layer, t: t))
        defer { done += 1 }
        if plan.skipsSlowCases, leastSeconds(bench, pruned.pattern, t: t, row: row) > 6 * budget {
            skipped.append(label)
            return
        }
        progress.show(done: done, label)
        let stopwatch = Stopwatch(
            cache: settings.cache, threads: settings.threads, unit: bench.kind.unit(isa: row.isaOption),
            otherMemory: otherMemory)
        let record = try bench.measure(pruned, t: t, row: row, stopwatch: stopwatch, budget: budget)
        lastRate["\(bench.kind) \(row.isa) \(record.pattern)"] = record.rate
        progress.clear()
        report(record)
    }

    /// How much of the time a case gets, compared with others. Large cases need more for as many repetitions, and their
    /// weights and reference results take time as well; small ones have something to gain from many repetitions.
    private static func weight(_ layer: Layer, t: Int) -> Double {
        let product = operations(t: t, o: layer.o, k: layer.k) * 0.13e-9
        return 0.4 + product + Double(layer.o * layer.k) * 0.02e-6
    }

    /// Seconds for a case even where the time is used up.
    private static let leastShare = 0.1

    private func takeShare(_ weight: Double) -> Double {
        let share = max(Self.leastShare, (end - htb_seconds()) * weight / weightLeft)
        weightLeft -= weight
        return share
    }

    /// About how long the fewest repetitions take: the kernel twice in each, and every call once untimed.
    private func leastSeconds(_ bench: LayerBench, _ pattern: Pattern, t: Int, row: KernelRow) -> Double {
        let (kind, layer) = (bench.kind, bench.layer)
        guard let rate = lastRate["\(kind) \(row.isa) \(pattern)"] else { return 0 }
        return operations(t: t, o: layer.o, k: layer.k) / rate * 4 * Double(Stopwatch.leastRuns)
    }
}

/// Operations of the dense product, a multiply-add being two.
func operations(t: Int, o: Int, k: Int) -> Double {
    2 * Double(t) * Double(o) * Double(k)
}
