import ArgumentParser
import CHalftone
import CHalftoneBench

struct VerifyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Checks every kernel that runs here on random shapes and data.",
        discussion: """
            A result must have the same bits as the reference kernel's, and lie within the documented bound of a \
            double-precision computation from the dense weights; sums of integers must be exact. A case depends on the type, \
            the seed and its number only.
            """
    )

    @Option(help: "Types of x, separated by commas: f32, bf16, u8, i8.")
    var dtype = "f32,bf16,u8,i8"

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
        let rows = try ProductKind.rows(of: ProductKind.named(dtype), isas: isa.map(listItems)) { $0.runs }
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
        for (kind, row) in rows { print("\(kind)  \(row.isa)  \(done) case\(done == 1 ? "" : "s") ok") }
    }

    private func verify(number: Int, _ rows: [(kind: ProductKind, row: KernelRow)], _ progress: Progress) throws {
        for kind in ProductKind.allCases {
            let rows = rows.filter { $0.kind == kind }.map(\.row)
            guard var row = rows.first else { continue }
            let verifyCase = VerifyCase(kind, seed: seed, number: number)
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
    }

    private func printFailure(_ fault: String, _ number: Int, _ row: KernelRow, _ verifyCase: VerifyCase) {
        print(
            """
            FAILED  \(verifyCase.kind)  \(row.isa)  case \(number) of seed \(seed)
            \(verifyCase)
            \(fault)
            to reproduce: halftone verify --seed \(seed) --case \(number) --dtype \(verifyCase.kind) --isa \(row.isa)
            """)
    }
}
