import CHalftone

/// A call of a binary operation on the operands of a case, with its scratch, ready to run.
final class BinaryCall {
    private let problem: Problem
    private let packed: Memory
    private let x: TypedMatrix
    private let y: TypedMatrix
    private let thresholds: BinaryThresholds?
    /// Where the signs of floats are packed to, if that is part of the call.
    private let signs: TypedMatrix?
    private let scratch: Memory
    private var options = ht_options()

    /// X is of the problem's type, or floats whose signs are packed first.
    init(
        _ problem: Problem, packed: Memory, x: TypedMatrix, y: TypedMatrix, thresholds: BinaryThresholds?, isa: ht_isa,
        threads: Int
    ) throws {
        (self.problem, self.packed, self.x, self.y) = (problem, packed, x, y)
        self.thresholds = y.type == HT_DTYPE_B1 ? thresholds : nil
        let packsSigns = problem.kind == .b1 && !x.type.isBits
        signs = packsSigns ? try TypedMatrix(rows: x.rows, columns: x.columns, type: HT_DTYPE_B1) : nil
        options.isa = isa
        options.threads = Int32(threads)
        scratch = try problem.scratch(packed, options)
        (options.scratch, options.scratch_size) = (scratch.address, scratch.bytes)
    }

    func run() throws {
        if let signs { try packSigns(to: signs) }
        var epilogue = ht_epilogue()
        epilogue.output = y.type
        try check(
            thresholds?.withCode { code in
                epilogue.threshold = code
                return run(&epilogue)
            } ?? run(&epilogue), "running \(problem.operation.rawValue)")
    }

    private func run(_ epilogue: inout ht_epilogue) -> ht_status {
        problem.run(from: ((signs ?? x).data, 0), packed: packed, epilogue: &epilogue, to: (y.data, 0), &options)
    }

    private func packSigns(to signs: TypedMatrix) throws {
        let size = (x.rows, x.columns)
        try check(ProductKind.f32.packSigns(size, from: (x.data, 0), to: (signs.data, 0), &options), "packing signs")
    }
}
