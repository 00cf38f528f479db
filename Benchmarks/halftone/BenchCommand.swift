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

    @Option(help: "What to time. (default: nm_gemm, or what the layers are)")
    var op: Operation?

    @Option(help: "Patterns N:M, separated by commas.")
    var pattern = "2:4,1:4,1:8,1:16"

    @Option(help: "A layer of O outputs and K inputs, and T rows of x: OxKxT, each at least 1. Repeatable.")
    var shape: [Shape] = []

    @Option(help: "Convolutions, separated by commas: HxWxCINxCOUTxKERNEL[xSTRIDE], padded to keep the size.")
    var conv: String?

    @Option(help: "Of --conv: pixels from tap to tap.")
    var dilation = 1

    @Option(help: "Of --conv: groups of channels.")
    var groups = 1

    @Option(help: "Of --conv: images.")
    var images = 1

    @Option(
        help: "A file of layers, a line `name o k t [count]` or `conv name HxW... [count]` each (Benchmarks/Shapes).")
    var shapes: String?

    @Option(help: "A safetensors file: every weight matrix of at least 64x64 is a layer.")
    var weights: String?

    @Option(help: "Only this tensor of the --weights file.")
    var tensor: String?

    @Option(name: .customLong("t"), help: "Rows of x, separated by commas: 1,128,512, or 128 with --weights.")
    var rowsOfX: String?

    @Option(
        help: "Types of x, separated by commas: f32, bf16, u8, i8; of binary ones b1, u1, f32, i8. (default: f32; b1)")
    var dtype: String?

    @Option(
        help:
            "Of binary operations: what weights are packed for: auto, direct, pixels, channels, and tree of mst_gemm and mst_conv. (default: auto; of these tree)"
    )
    var design: String?

    @Option(
        help:
            "Of mst_gemm and mst_conv with random weights: which shares of its signs an output differs in from the one it derives from, or random where it derives from none, separated by commas. (default: 0.05)"
    )
    var distance: String?

    @Option(help: "Of binary operations: types of y: b1, i32, i16, f32, bf16, i8. (default: b1,i32, or f32, as x is)")
    var output: String?

    @Option(help: "Of binary operations: f32 = x is floats, whose signs are packed as part of the call.")
    var from: BinaryInput?

    @Option(help: "Of binary --conv: what pixels outside the image count as: zero, plus, minus.")
    var padding = Convolution.Padding.zero

    @Option(help: "So many rows, 2, 4 or 8, share one pattern.")
    var sharedRows = 1

    @Flag(help: "All taps of a filter share one pattern.")
    var sharedTaps = false

    @Flag(help: "Backward operations take the outputs in a random order.")
    var permute = false

    @Option(help: "How x lies: rows or features (of a backward operation, dy).")
    var xOrder = OrderWord.rows

    @Option(help: "How y lies: rows or features (of a backward operation, dx).")
    var yOrder = OrderWord.rows

    @Option(help: "Kernel rows to time, separated by commas, instead of the chosen one.")
    var isa: String?

    @Option(help: "Threads; 0 = all.")
    var threads = 1

    @Option(help: "warm: operands in the caches; cold: 96 MB of other memory are read before each call.")
    var cache = CacheState.warm

    @Option(
        help:
            "Dense libraries, separated by commas: openblas, onednn, none. (default: openblas, for convolutions onednn)"
    )
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
        guard min(dilation, groups, images) >= 1, max(dilation, groups, images) <= 4096 else {
            throw ValidationError("--dilation, --groups and --images are 1 to 4096")
        }
        try validateSelection()
    }

    func run() throws {
        warnInDebugBuilds()
        let plan = try plan()
        try checkWritable(json)
        if threads != 1 { putIdleThreadsToSleep() }
        // Dense gradients are to come from this library's kernels; a BLAS is among the rivals.
        setenv("HALFTONE_BLAS", "none", 0)
        let threadCount = threads == 0 ? Int(ht_thread_count()) : threads
        let machine = try Machine.probed()
        let rivals = try Rivals(names: rivalNames(plan), threads: threadCount)
        print(machine.summary)
        printNotes(rivals, threads: threadCount, runtime: machine.threadRuntime)

        let settings = BenchRun.Settings(threads: threadCount, cache: cache, seconds: seconds, seed: seed)
        let run = try BenchRun(plan: plan, settings: settings, rivals: rivals)
        var table = BenchTable(
            plan: plan, rivals: rivals,
            hasStreams: threadCount == 1 && plan.entries.contains { $0.ts.contains(1) })
        var done: [BenchRun.Done] = []
        let operations = plan.operations.map(\.rawValue).joined(separator: ", ")
        print("\(operations), \(threadCount) thread\(threadCount == 1 ? "" : "s"), \(cache.rawValue) caches")
        print("\n\(table.header)")
        try run.run { item in
            table.printLine(item.record, of: plan.entries[item.entry])
            done.append(item)
        }
        print("\n\(table.legend)")
        if !run.skipped.isEmpty {
            print(
                "\nleft out, for they take longer than --seconds \(fixed(seconds, 0)) allows: \(run.skipped.count) cases"
            )
        }
        let totals = shapes == nil ? nil : NetworkTotal.all(plan.entries, done)
        if let totals, let shapes { printTotals(totals, file: shapes) }
        let report = BenchReport(machine: machine, cases: done.map(\.record), totals: totals)
        if let json { try report.write(to: json) }
        if done.contains(where: { $0.record.verdict.contains("WRONG") }) { throw ExitCode.failure }
    }

    // MARK: surroundings

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

    private func printTotals(_ totals: [NetworkTotal], file: String) {
        print("")
        if totals.isEmpty {
            print("no total: the layers of \(file) have different numbers of T")
        } else {
            print(BenchReport.text(of: totals, file: file))
        }
    }
}

func warnInDebugBuilds() {
    #if DEBUG
        FileHandle.standardError.write(
            Data("warning: a debug build; its figures mean nothing. Use `swift run -c release halftone`.\n".utf8))
    #endif
}
