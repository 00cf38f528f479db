import ArgumentParser
import CHalftone
import Foundation

struct BenchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench",
        abstract: "Times kernels against the peak of this CPU and, where installed, against dense libraries.",
        discussion: """
            Without arguments: a real layer of MiniLM and layers of BERT base and 4096x4096, pruned to 2:4, 1:4, 1:8 \
            and 1:16, on one thread, in under a minute. Benchmarks/README.md explains the method and every column.
            """
    )

    @Option(help: "Patterns N:M, separated by commas.")
    var pattern = "2:4,1:4,1:8,1:16"

    @Option(help: "A layer of O outputs and K inputs, and T rows of x: OxKxT, each at least 1. Repeatable.")
    var shape: [Shape] = []

    @Option(help: "A file of shapes, a line `name o k t` each (see Benchmarks/Shapes).")
    var shapes: String?

    @Option(help: "A safetensors file: every weight matrix of at least 64x64 is a layer.")
    var weights: String?

    @Option(help: "Only this tensor of the --weights file.")
    var tensor: String?

    @Option(name: .customLong("t"), help: "Rows of x, separated by commas: 1,128,512, or 128 with --weights.")
    var rowsOfX: String?

    @Option(help: "Types of x, separated by commas: f32, bf16, u8, i8. Weights are f32, bf16 or i8, as x.")
    var dtype = "f32"

    @Option(help: "So many rows, 2, 4 or 8, share one pattern.")
    var sharedRows = 1

    @Option(help: "Kernel rows to time, separated by commas, instead of the chosen one.")
    var isa: String?

    @Option(help: "Threads; 0 = all.")
    var threads = 1

    @Option(help: "warm: operands in the caches; cold: 96 MB of other memory are read before each call.")
    var cache = CacheState.warm

    @Option(help: "Dense libraries to compare with, separated by commas: openblas, onednn, none. (default: openblas)")
    var against: String?

    @Option(help: "About how long all of it may take.")
    var seconds = 45.0

    @Option(help: "Seed of all random values.")
    var seed: UInt64 = 1

    @Option(help: "Also write everything to this file.")
    var json: String?

    func validate() throws {
        guard threads >= 0, threads <= 4096 else { throw ValidationError("--threads is 0 (all) to 4096") }
        guard [1, 2, 4, 8].contains(sharedRows) else { throw ValidationError("--shared-rows is 1, 2, 4 or 8") }
        guard seconds > 0, seconds.isFinite else { throw ValidationError("--seconds is above 0") }
        guard tensor == nil || weights != nil else { throw ValidationError("--tensor needs --weights") }
        let sources = [!shape.isEmpty, shapes != nil, weights != nil].filter { $0 }.count
        guard sources <= 1 else { throw ValidationError("--shape, --shapes and --weights exclude each other") }
        guard rowsOfX == nil || shape.isEmpty && shapes == nil else {
            throw ValidationError("--t is part of every shape; it goes with --weights or the default layers")
        }
    }

    func run() throws {
        warnInDebugBuilds()
        let plan = try plan()
        try checkWritable()
        if threads != 1 { putIdleThreadsToSleep() }
        let threadCount = threads == 0 ? Int(ht_thread_count()) : threads
        let machine = try Machine.probed()
        let rivals = try Rivals(names: rivalNames(), threads: threadCount)
        print(machine.summary)
        printNotes(rivals, threads: threadCount, runtime: machine.threadRuntime)

        let settings = BenchRun.Settings(threads: threadCount, cache: cache, seconds: seconds, seed: seed)
        let run = try BenchRun(plan: plan, settings: settings, rivals: rivals)
        var table = BenchTable(
            rivals: rivals.found, hasRealLayers: plan.entries.contains { $0.layer.isReal },
            hasStreams: threadCount == 1 && plan.entries.contains { $0.ts.contains(1) })
        var records: [CaseRecord] = []
        let ops = plan.kinds.map { "ht_nm_gemm_\($0)" }.joined(separator: ", ")
        print("\(ops), \(threadCount) thread\(threadCount == 1 ? "" : "s"), \(cache.rawValue) caches")
        print("\n\(table.header)")
        try run.run { record in
            table.printLine(record)
            records.append(record)
        }
        print("\n\(table.legend)")
        if !run.skipped.isEmpty {
            print(
                "\nleft out, for they take longer than --seconds \(fixed(seconds, 0)) allows: \(run.skipped.count) cases"
            )
        }
        try write(Report(machine: machine, cases: records))
        if records.contains(where: { $0.verdict.contains("WRONG") }) { throw ExitCode.failure }
    }

    // MARK: what to run

    private func plan() throws -> BenchPlan {
        let patterns = try listItems(pattern).map { word in
            var pattern = try Pattern(word)
            pattern.sharedRows = sharedRows
            return pattern
        }
        guard !patterns.isEmpty else { throw ToolError("--pattern names no pattern") }
        let rows = try ProductKind.rows(of: ProductKind.named(dtype), isas: isa.map(listItems)) { $0.chosen }
        return BenchPlan(
            entries: try entries(), patterns: patterns, rows: rows,
            skipsSlowCases: shape.isEmpty && shapes == nil && weights == nil)
    }

    private func entries() throws -> [BenchPlan.Entry] {
        if let weights {
            let ts = try rowCounts(unnamed: [128])
            return try WeightFile.layers(path: weights, tensor: tensor).map { BenchPlan.Entry(layer: $0, ts: ts) }
        }
        if let shapes { return BenchPlan.entries(shapes: try ShapeFile.shapes(path: shapes), seed: seed) }
        if !shape.isEmpty { return BenchPlan.entries(shapes: shape.map { ("random weights", $0) }, seed: seed) }
        return try BenchPlan.defaultEntries(ts: try rowCounts(unnamed: [1, 128, 512]), seed: seed)
    }

    private func rowCounts(unnamed: [Int]) throws -> [Int] {
        guard let rowsOfX else { return unnamed }
        let counts = try listItems(rowsOfX).map { word in
            guard let count = Int(word), count >= 1 else { throw ToolError("--t: '\(word)' is no number of rows") }
            return count
        }
        guard !counts.isEmpty else { throw ToolError("--t names no number of rows") }
        return counts
    }

    private func rivalNames() throws -> [String] {
        guard let against else { return ["openblas"] }
        let names = listItems(against)
        return names == ["none"] ? [] : names
    }

    // MARK: surroundings

    private func warnInDebugBuilds() {
        #if DEBUG
            FileHandle.standardError.write(
                Data("warning: a debug build; its figures mean nothing. Use `swift run -c release halftone`.\n".utf8))
        #endif
    }

    /// Threads of one library that wait actively for work take the CPU from the next contender's. So each is told to
    /// let its threads sleep within about a millisecond; a variable that is set already stays. To be called before any
    /// of the libraries is loaded.
    private func putIdleThreadsToSleep() {
        setenv("KMP_BLOCKTIME", "1", 0)
        setenv("GOMP_SPINCOUNT", "20000", 0)
        setenv("OPENBLAS_THREAD_TIMEOUT", "20", 0)
    }

    private func printNotes(_ rivals: Rivals, threads: Int, runtime: String) {
        for note in rivals.notes { print("note: \(note)") }
        for rival in rivals.found {
            print("against \(rival.name) \(rival.description)")
            if let shortcoming = rival.shortcoming { print("note: NOT COMPARABLE: \(rival.name) \(shortcoming)") }
        }
        if threads > 1, runtime == "serial" {
            print("note: no OpenMP runtime found, so the kernels run on one thread (apt install libomp-dev)")
        }
    }

    // MARK: JSON

    private func checkWritable() throws {
        guard let json else { return }
        guard let file = fopen(json, "a") else {
            throw ToolError("cannot write \(json): \(String(cString: strerror(errno)))")
        }
        fclose(file)
    }

    private func write(_ report: Report) throws {
        guard let json else { return }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        encoder.nonConformingFloatEncodingStrategy = .convertToString(
            positiveInfinity: "inf", negativeInfinity: "-inf", nan: "nan")
        try encoder.encode(report).write(to: URL(fileURLWithPath: json))
    }
}
