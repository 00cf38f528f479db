import ArgumentParser
import CHalftone
import CHalftoneBench
import Foundation

struct TrainingCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "training",
        abstract: "Times what a step of training N:M weights does: masks, permutations, packing, products, updates.",
        discussion: """
            Masks, packing and updates are held against the plain reads and writes that they cannot do without; the \
            products of a step against the dense ones of OpenBLAS, where it is installed. Kernels/masks/README.md and \
            Kernels/training/README.md say what is counted.
            """
    )

    @Option(help: "A layer of O outputs and K inputs, and T rows of x: OxKxT. Repeatable.")
    var shape: [Shape] = []

    @Option(help: "Patterns N:M, separated by commas.")
    var pattern = "2:4,1:4,1:16"

    @Option(help: "What to time, separated by commas: mask, transposable, search, pack, step, update.")
    var phase = TrainingPhase.allCases.map(\.rawValue).joined(separator: ",")

    @Option(help: "A safetensors file: every weight matrix of at least 64x64 is a layer, with T of the first --shape.")
    var weights: String?

    @Option(help: "Only this tensor of the --weights file.")
    var tensor: String?

    @Option(help: "About how long each line takes.")
    var seconds = 2.0

    @Option(help: "Seed of all random values.")
    var seed: UInt64 = 1

    @Option(help: "Also write everything to this file.")
    var json: String?

    func validate() throws {
        guard seconds > 0, seconds.isFinite else { throw ValidationError("--seconds is above 0") }
        _ = try (patterns(), phases())
    }

    func run() throws {
        warnInDebugBuilds()
        let (patterns, phases) = (try patterns(), try phases())
        let layers = try layers()
        try checkWritable(json)
        // Dense gradients are to come from this library's kernels; a BLAS is among the rivals.
        setenv("HALFTONE_BLAS", "none", 0)
        let machine = try Machine.probed()
        let rivals = try Rivals(names: phases.contains(.step) ? ["openblas"] : [], threads: 1)
        print(machine.summary)
        for rival in rivals.found { print("\(rival.name): \(rival.description)") }
        for note in rivals.notes { print("note: \(note)") }
        print("training, 1 thread\n")
        let settings = TrainingBench.Settings(seconds: seconds, seed: seed, openBLAS: rivals.found.first)
        let records = try records(layers, patterns, phases, settings)
        print("\n\(Self.legend)")
        if let json { try writeJSON(TrainingReport(machine: machine, records: records), to: json) }
    }

    /// Prints each when it is there.
    private func records(
        _ layers: [(Layer, t: Int)], _ patterns: [Pattern], _ phases: [TrainingPhase],
        _ settings: TrainingBench.Settings
    ) throws -> [TrainingRecord] {
        _ = htb_pin()
        defer { htb_unpin() }
        var records: [TrainingRecord] = []
        for (layer, t) in layers {
            print("\(layer.summary), T = \(t)\n\(Self.table.header)")
            for pattern in patterns {
                let bench = try TrainingBench(layer: layer, t: t, pattern: pattern, settings)
                for phase in phases {
                    for record in try bench.measure(phase) {
                        print(Self.table.line(Self.cells(record)))
                        fflush(nil)
                        records.append(record)
                    }
                }
            }
        }
        return records
    }

    private func patterns() throws -> [Pattern] {
        try listItems(pattern).map { try Pattern($0) }
    }

    private func phases() throws -> [TrainingPhase] { try namedValues(phase, option: "--phase") }

    private func layers() throws -> [(Layer, t: Int)] {
        let shapes = shape.isEmpty ? [Shape(o: 4096, k: 4096, t: 512)] : shape
        guard let weights else {
            return shapes.map { (Layer.random(name: "random", o: $0.o, k: $0.k, seed: seed), $0.t) }
        }
        return try WeightFile.layers(path: weights, tensor: tensor).map { ($0, shapes[0].t) }
    }
}

/// What `--json` writes.
private struct TrainingReport: Codable {
    let machine: Machine
    let records: [TrainingRecord]
}

// MARK: the table

extension TrainingCommand {
    private static let table = Table(columns: [
        .left("pattern", width: 7), .left("what", width: 24), .right("min ms", width: 9), .right("median ms", width: 9),
        .right("bound ms", width: 8), .right("x bound", width: 7), .right("x dense", width: 7),
        .right("retained", width: 8), .right("A/A", width: 5), .left("verdict"),
    ])

    private static func cells(_ record: TrainingRecord) -> [String] {
        [
            record.pattern, record.what, milliseconds(record.secondsMin), milliseconds(record.secondsMedian),
            record.secondsBound.map(milliseconds) ?? "-", record.overBound.map { fixed($0, 2) } ?? "-",
            record.overDense.map { fixed($0, 2) } ?? "-", record.retained.map { fixed($0, 4) } ?? "-",
            record.aaRatio.map { fixed($0, 3) } ?? "-", record.verdict,
        ]
    }

    private static let legend = """
        bound    the same bytes read, and written past the caches, at the rates of plain loops in the same rounds
        x bound  min over bound: 1 would be memory speed
        x dense  time of the dense products of OpenBLAS, its fastest way, over ours
        retained share of the forward entries that the backward mask keeps
        A/A      timed against itself: 1 but for noise
        """
}
