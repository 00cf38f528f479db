import CHalftone

/// A call of the library on the operands of a case, with its scratch, ready to run.
final class LibraryCall {
    private let problem: Problem
    private let operands: Operands
    private let packed: Memory?
    private var scratch: Memory?
    private var options = ht_options()

    /// `layer` is the weights packed for this operation, `nil` where it has none.
    init(_ problem: Problem, layer: PrunedLayer?, operands: Operands, isa: ht_isa, threads: Int) throws {
        self.problem = problem
        self.operands = operands
        packed = layer?.packed
        options.isa = isa
        options.threads = Int32(threads)
        let (x, y) = (operands.x.order, operands.y.order)
        (options.x_order, options.y_order) = problem.operation.direction == .backward ? (y, x) : (x, y)
        // Gradients take no scratch.
        guard let packed, problem.operation.direction != .gradient else { return }
        let scratch = try problem.scratch(packed, options)
        (options.scratch, options.scratch_size) = (scratch.address, scratch.bytes)
        self.scratch = scratch
    }

    func run() throws {
        let (x, y) = (operands.x, operands.y)
        let status: ht_status
        switch (problem.operation.direction, packed) {
        case (.forward, let packed?):
            status = problem.run(from: (x.data, 0), packed: packed, to: (y.data, 0), &options)
        case (.backward, let packed?):
            status = problem.run(from: (y.data, 0), packed: packed, to: (x.data, 0), &options)
        default: status = runGradient()
        }
        try check(status, "running \(problem.operation.rawValue)")
    }

    private func runGradient() -> ht_status {
        let (t, o, k) = (problem.t, problem.o, problem.k)
        let (x, dy, dw) = (operands.x.floats, operands.y.floats, operands.w.floats)
        guard problem.operation == .sampledGradient, let packed else {
            return ht_weight_gradient_f32(t, o, k, dy, 0, x, 0, dw, 0, &options)
        }
        return ht_nm_sampled_gradient_f32(t, o, k, dy, 0, x, 0, packed.address, packed.bytes, dw, 0, &options)
    }
}
