import CHalftone

/// A call of a binary operation on the operands of a case, with its scratch, ready to run.
final class BinaryCall {
    private let problem: Problem
    private let packed: Memory
    private let x: TypedMatrix
    private let y: TypedMatrix
    private let thresholds: BinaryThresholds?
    private let scratch: Memory
    private var options = ht_options()

    init(
        _ problem: Problem, packed: Memory, x: TypedMatrix, y: TypedMatrix, thresholds: BinaryThresholds?, isa: ht_isa,
        threads: Int
    ) throws {
        (self.problem, self.packed, self.x, self.y) = (problem, packed, x, y)
        self.thresholds = y.type == HT_DTYPE_B1 ? thresholds : nil
        options.isa = isa
        options.threads = Int32(threads)
        scratch = try problem.scratch(packed, options)
        (options.scratch, options.scratch_size) = (scratch.address, scratch.bytes)
    }

    func run() throws {
        var epilogue = ht_epilogue()
        epilogue.output = y.type
        try check(
            thresholds?.withCode { code in
                epilogue.threshold = code
                return run(&epilogue)
            } ?? run(&epilogue), "running \(problem.operation.rawValue)")
    }

    private func run(_ epilogue: inout ht_epilogue) -> ht_status {
        problem.run(from: (x.data, 0), packed: packed, epilogue: &epilogue, to: (y.data, 0), &options)
    }
}
