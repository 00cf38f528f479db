import ArgumentParser
import CHalftone
import CHalftoneBench

struct VerifyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Checks every kernel that runs here on random shapes and data.",
        discussion: """
            A result must have the same bits as the reference kernel's, and lie within the documented bound of a \
            double-precision computation from the dense weights. A case depends on the seed and its number only.
            """
    )

    @Option(help: "Only this op (see `halftone list`).")
    var op: String?

    @Option(help: "Only these kernel rows, separated by commas.")
    var isa: String?

    @Option(help: "How many cases. (default: 1000, or as many as --seconds allows)")
    var cases: Int?

    @Option(help: "Stop after about this time.")
    var seconds: Double?

    @Option(help: "Seed of all random values.")
    var seed: UInt64 = 1

    @Option(name: .customLong("case"), help: "Only the case of this number.")
    var onlyCase: Int?

    func validate() throws {
        guard cases ?? 1 >= 1 else { throw ValidationError("--cases is at least 1") }
        guard seconds ?? 1 > 0 else { throw ValidationError("--seconds is above 0") }
        guard onlyCase ?? 0 >= 0 else { throw ValidationError("--case is at least 0") }
    }

    func run() throws {
        let rows = try KernelRow.selected(op: op, isas: isa.map(listItems)) { $0.runs }
        guard !rows.isEmpty else { throw ToolError("--isa names no ISA") }
        let count = onlyCase == nil ? cases ?? (seconds == nil ? 1000 : nil) : 1
        let first = onlyCase ?? 0
        let progress = Progress(total: count)
        let start = htb_seconds()
        var done = 0
        while done < count ?? .max {
            if let seconds, done > 0, htb_seconds() - start >= seconds { break }
            try verify(number: first + done, rows, progress)
            done += 1
            if done % 16 == 0 { progress.show(done: done, "cases") }
        }
        progress.clear()
        for row in rows { print("\(row.op)  \(row.isa)  \(done) case\(done == 1 ? "" : "s") ok") }
    }

    private func verify(number: Int, _ rows: [KernelRow], _ progress: Progress) throws {
        let verifyCase = VerifyCase(seed: seed, number: number)
        var row = rows[0]
        do {
            let outcome = try VerifyOutcome(of: verifyCase)
            for next in rows {
                row = next
                if let fault = try outcome.fault(of: row) { throw ToolError(fault) }
            }
        } catch let error as ToolError {
            progress.clear()
            printFailure(error.description, number, row, verifyCase)
            throw ExitCode.failure
        }
    }

    private func printFailure(_ fault: String, _ number: Int, _ row: KernelRow, _ verifyCase: VerifyCase) {
        print(
            """
            FAILED  \(row.op)  \(row.isa)  case \(number) of seed \(seed)
            \(verifyCase)
            \(fault)
            to reproduce: halftone verify --seed \(seed) --case \(number) --op \(row.op) --isa \(row.isa)
            """)
    }
}
