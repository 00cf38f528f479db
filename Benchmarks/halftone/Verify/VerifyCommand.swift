import ArgumentParser
import CHalftone
import CHalftoneBench
import Foundation

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
    var op = listed(Operation.allCases.map(\.rawValue))

    @Option(help: "Types of x, separated by commas: f32, bf16, u8, i8, b1, u1.")
    var dtype = "f32,bf16,u8,i8,b1,u1"

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
        // Dense gradients are to come from the kernels.
        setenv("HALFTONE_BLAS", "none", 1)
        let kernels = try Kernel.all(
            of: operations(), namedValues(dtype, option: "--dtype"), isas: isa.map(listItems), skipsTypes: true
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
        try namedValues(op, option: "--op")
    }

    /// A case for each operation and type, and in it all their rows.
    private func verify(number: Int, _ kernels: [Kernel], _ progress: Progress) throws {
        var last: (name: String, judge: any VerifyJudge)?
        for kernel in kernels {
            do {
                let judge = try last?.name == kernel.name ? last!.judge : judge(kernel, number: number)
                last = (kernel.name, judge)
                try describing(judge.description) {
                    if let fault = try judge.fault(of: kernel.row) { throw ToolError(fault) }
                }
            } catch let error as ToolError {
                progress.clear()
                printFailure(error, number, kernel)
                throw ExitCode.failure
            }
        }
    }

    private func judge(_ kernel: Kernel, number: Int) throws -> any VerifyJudge {
        if kernel.operation.direction == .gradient {
            return try VerifyGradient(kernel.operation, seed: seed, number: number)
        }
        if kernel.operation == .signPacking { return try VerifySigns(kernel.kind, seed: seed, number: number) }
        if kernel.operation.isBinary {
            return try VerifyBinary(kernel.operation, kernel.kind, seed: seed, number: number)
        }
        let verifyCase = VerifyCase(kernel.operation, kernel.kind, seed: seed, number: number)
        return try describing(verifyCase.description) { try VerifyOutcome(of: verifyCase) }
    }

    private func printFailure(_ fault: ToolError, _ number: Int, _ kernel: Kernel) {
        print(
            """
            FAILED  \(kernel.name)  \(kernel.row.isa)  case \(number) of seed \(seed)
            \(fault)
            to reproduce: halftone verify --seed \(seed) --case \(number) --op \(kernel.operation.rawValue) \
            --dtype \(kernel.kind) --isa \(kernel.row.isa)
            """)
    }
}

/// A random case, and what the reference kernel and a double-precision computation make of it, to judge kernels by.
protocol VerifyJudge: CustomStringConvertible {
    /// What is wrong with a kernel's result, or `nil`.
    func fault(of row: KernelRow) throws -> String?
}

/// Puts the case in front of an error.
func describing<Result>(_ verifyCase: String, _ body: () throws -> Result) throws -> Result {
    do { return try body() } catch let error as ToolError { throw ToolError("\(verifyCase)\n\(error)") }
}
