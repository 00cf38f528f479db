import Foundation

/// The lines that a person reads, printed as the cases are done.
struct BenchTable {
    private var table: Table
    private let contests: [Contest]
    private let companions: [Companion]
    private let opponents: [String]
    private let hasRealLayers: Bool
    private let hasStreams: Bool
    private let hasDesigns: Bool
    private let hasTrees: Bool
    private let packsSigns: Bool
    private var lastHeading = ""

    init(plan: BenchPlan, rivals: Rivals, hasStreams: Bool) {
        contests = plan.contests(rivals)
        companions = plan.companions
        opponents = contests.map(\.name) + companions.map(\.name)
        hasRealLayers = plan.entries.contains { $0.layer.isReal }
        hasDesigns = plan.operations.contains(where: \.isBinary)
        hasTrees = plan.operations.contains(where: \.reusesChannels)
        packsSigns = plan.operations.contains(.signPacking)
        self.hasStreams = hasStreams
        let (rate, bound) = packsSigns ? ("GB/s", "stream") : ("GF/s", "peak")
        var columns: [Table.Column] = [
            .left("dtype"), .left(hasDesigns ? "form" : "pattern", width: max(8, plan.widestForm)),
        ]
        if hasDesigns { columns.append(.left("design", width: 8)) }
        if hasTrees { columns += [.right("d/K", width: 5), .right("op ratio")] }
        columns += [
            .right("t", width: 5), .left("isa", width: 10), .right("min us", width: 8),
            .right("median us", width: 9), .right(rate, width: 7), .right("\(bound) \(rate)", width: 9),
            .right("x \(bound)", width: 6),
        ]
        if hasStreams { columns += [.right("GB/s", width: 6), .right("of stream")] }
        columns += opponents.map { .right("x " + $0, width: 10) }
        if hasTrees { columns += [.left("plan", width: 8), .right("plan/best")] }
        columns += [.right("A/A", width: 5), .right("max error", width: 9)]
        if hasRealLayers { columns += [.right("kept L1", width: 7), .right("out error", width: 9)] }
        columns.append(.left("verdict"))
        table = Table(columns: columns)
    }

    var header: String { table.header }

    mutating func printLine(_ record: CaseRecord, of entry: BenchPlan.Entry) {
        let heading = "\(entry.layer.summary): \(entry.operation.rawValue)"
        if heading != lastHeading { print("\n\(heading)") }
        lastHeading = heading
        var cells = [record.dtype, record.pattern]
        if hasDesigns { cells.append(record.design ?? "-") }
        if hasTrees {
            cells += [\.meanDistance, \.operationRatio].map { (figure: KeyPath<TreeFigures, Double>) in
                record.tree.map { fixed($0[keyPath: figure], 3) } ?? "-"
            }
        }
        cells += [
            String(record.t), record.isa, microseconds(record.secondsMin),
            microseconds(record.secondsMedian), giga(record.rate), giga(record.peak), fixed(record.ofPeak, 2),
        ]
        if hasStreams {
            cells.append(record.ofStream == nil ? "-" : fixed(Double(record.bytes) / record.secondsMin * 1e-9, 1))
            cells.append(record.ofStream.map { fixed($0, 2) } ?? "-")
        }
        cells += opponents.map { name in
            guard let against = record.against.first(where: { $0.name == name }) else { return "-" }
            return fixed(against.ratio, 2) + (against.isComparable ? "" : "?")
        }
        if hasTrees {
            cells += [record.plan?.design ?? "-", record.plan?.overBest.map { fixed($0, 2) } ?? "-"]
        }
        cells += [fixed(record.aaRatio, 3), scientific(record.maxError)]
        if hasRealLayers {
            cells.append(record.keptL1.map { fixed($0 * 100, 1) + "%" } ?? "-")
            cells.append(record.outputError.map { fixed($0 * 100, 1) + "%" } ?? "-")
        }
        print(table.line(cells + [record.verdict]))
        fflush(nil)  // so that a pipe shows each line when it is there
    }

    /// What the columns mean, in few words; README.md has the rest.
    var legend: String {
        var lines = ["t         rows of x and y; of convolutions, pixels of y"]
        if hasDesigns {
            lines.append("form      design asked for, type of y; design: what the weights were packed for")
        }
        if hasTrees {
            lines.append("d/K       share of its signs in which an output differs from the one it is computed from")
            lines.append("op ratio  additions along the tree over those of all outputs by themselves")
            lines.append("plan      design that the library's model of Zen 5 would pack for, with the trees at hand")
            lines.append("plan/best its seconds over the least of all designs timed: 1 where the plan is right")
        }
        lines += rateLegend
        lines += [
            "A/A       the kernel timed against itself: 1 but for noise",
            "max error |result - exact| / sum of |products|, exact being in double precision",
        ]
        if hasStreams {
            lines.append("GB/s      T = 1: bytes of packed weights, x and y over min")
            lines.append("of stream GB/s over the rate at which the packed weights can be read, measured in each case")
        }
        for contest in contests {
            let rival = contest.rival
            lines.append(
                "x \(contest.name) its seconds over ours, dense weights, its fastest way: \(rival.description)")
            if let shortcoming = rival.shortcoming {
                lines.append("          ? not comparable: \(rival.name) \(shortcoming)")
            }
        }
        for companion in companions {
            lines.append("x \(companion.name) its seconds over ours: \(companion.legend)")
        }
        if hasRealLayers {
            lines.append("kept L1   sum |w| after magnitude pruning, of that before")
            lines.append("out error |y - dense y| / |dense y| for normal x, no retraining")
        }
        return lines.joined(separator: "\n")
    }

    private var rateLegend: [String] {
        if packsSigns {
            return [
                "GB/s      bytes of x over min",
                "stream    rate at which x is read from where the call finds it, measured in each case",
                "x stream  GB/s over that",
            ]
        }
        let counted = hasDesigns ? "; of bits, of xor, count and add" : ""
        return [
            "GF/s      rate of a dense operation that takes as long: 2 t o k / min",
            "peak      dense multiply-add rate of the same vectors and threads, measured in each case\(counted)",
            "x peak    GF/s over peak: above 1 no dense one that does all its multiply-adds can be as fast here",
        ]
    }
}
