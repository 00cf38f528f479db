import ArgumentParser
import CHalftone
import CHalftoneBench

struct VerifyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Checks every kernel that runs here on random shapes and data.",
        discussion: """
            A result must have the same bits as the reference kernel's, and lie within the documented bound of a \
            double-precision computation from the dense weights; sums of integers must be exact. A case depends on the \
            operation, the type, the seed and its number only.
            """
    )

    @Option(help: "Operations, separated by commas.")
    var op = listed(verifiable.map(\.rawValue))

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

    private static let verifiable = Operation.allCases.filter { $0.direction != .gradient }

    func run() throws {
        let kernels = try Kernel.all(
            of: operations(), ProductKind.named(dtype), isas: isa.map(listItems), skipsTypes: true
        ) { $0.runs }
        let count = onlyCase == nil ? cases ?? (seconds == nil ? 1000 : nil) : 1
        let first = onlyCase ?? 0
        let progress = Progress(total: count)
        let start = htb_seconds()
        var done = 0
        while done < count ?? .max {
            if let seconds, done > 0, htb_seconds() - start >= seconds { break }
            try verify(number: first + done, kernels, progress)
            done += 1
            if done % 16 == 0 { progress.show(done: done, "cases") }
        }
        progress.clear()
        for kernel in kernels {
            print("\(kernel.name)  \(kernel.row.isa)  \(done) case\(done == 1 ? "" : "s") ok")
        }
    }

    private func operations() throws -> [Operation] {
        try listItems(op).map { word in
            guard let operation = Operation(rawValue: word), Self.verifiable.contains(operation) else {
                throw ToolError("--op: there is \(listed(Self.verifiable.map(\.rawValue))), not '\(word)'")
            }
            return operation
        }
    }

    /// A case for each operation and type, and in it all their rows.
    private func verify(number: Int, _ kernels: [Kernel], _ progress: Progress) throws {
        var last: (verifyCase: VerifyCase, outcome: VerifyOutcome)?
        for kernel in kernels {
            let same = last.flatMap { $0.verifyCase.problem.isOf(kernel) ? $0 : nil }
            let verifyCase = same?.verifyCase ?? VerifyCase(kernel.operation, kernel.kind, seed: seed, number: number)
            do {
                let outcome = try same?.outcome ?? VerifyOutcome(of: verifyCase)
                last = (verifyCase, outcome)
                if let fault = try outcome.fault(of: kernel.row) { throw ToolError(fault) }
            } catch let error as ToolError {
                progress.clear()
                printFailure(error.description, number, kernel, verifyCase)
                throw ExitCode.failure
            }
        }
    }

    private func printFailure(_ fault: String, _ number: Int, _ kernel: Kernel, _ verifyCase: VerifyCase) {
        print(
            """
            FAILED  \(kernel.name)  \(kernel.row.isa)  case \(number) of seed \(seed)
            \(verifyCase)
            \(fault)
            to reproduce: halftone verify --seed \(seed) --case \(number) --op \(kernel.operation.rawValue) \
            --dtype \(kernel.kind) --isa \(kernel.row.isa)
            """)
    }
}

extension Problem {
    fileprivate func isOf(_ kernel: Kernel) -> Bool { operation == kernel.operation && kind == kernel.kind }
}
