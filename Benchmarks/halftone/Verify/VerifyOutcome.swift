import CHalftone

/// What the reference kernel and a double-precision computation make of a case, to judge kernels by.
struct VerifyOutcome: VerifyJudge {
    private let verifyCase: VerifyCase
    private let packed: Memory
    private let x: StridedMemory
    private let residual: StridedMemory?
    private let reference: StridedMemory

    init(of c: VerifyCase) throws {
        verifyCase = c
        packed = try Self.pack(c)
        x = try StridedMemory(c.inputSize, type: c.kind.inputs, order: c.orders.x, gap: c.gaps.x, c.x)
        let residualType = c.outputType == HT_DTYPE_BF16 ? HT_DTYPE_BF16 : HT_DTYPE_F32
        residual = try c.epilogue.residual.map {
            try StridedMemory(c.outputSize, type: residualType, order: c.orders.y, gap: c.gaps.w, $0)
        }
        var options = ht_options()
        options.isa = HT_ISA_REF
        options.threads = 1
        reference = try Self.blank(c)
        try Self.run(c, packed, x, residual, reference, options)
    }

    var description: String { verifyCase.description }

    func fault(of row: KernelRow) throws -> String? {
        let c = verifyCase
        var options = ht_options()
        options.isa = row.isaOption
        options.threads = Int32(c.threads)
        (options.row_begin, options.row_end) = (c.rows.lowerBound, c.rows.upperBound)
        (options.column_begin, options.column_end) = (c.columns.lowerBound, c.columns.upperBound)
        (options.x_order, options.y_order) = (c.orders.x, c.orders.y)
        let scratch = try c.givesScratch ? c.problem.scratch(packed, options) : nil
        (options.scratch, options.scratch_size) = (scratch?.address, scratch?.bytes ?? 0)
        let y = try Self.blank(c)
        try withExtendedLifetime(scratch) { try Self.run(c, packed, x, residual, y, options) }
        let bitFault = y.fault(reference: reference, before: try Self.blank(c)) { row, column in
            c.rows.contains(row) && c.columns.contains(column)
        }
        return bitFault ?? boundFault(y)
    }

    // MARK: calls

    private static func pack(_ c: VerifyCase) throws -> Memory {
        let size = (c.problem.o, c.problem.k)
        let w = try StridedMemory(size, type: c.weightType, order: HT_ORDER_ROWS, gap: c.gaps.w, c.weights.values)
        return try withOptionalPointer(c.weights.mask) { mask in
            try c.problem.pack(
                w.memory.address, type: c.weightType, stride: w.stride, mask: mask, pattern: c.weights.pattern,
                permutation: c.weights.permutation)
        }
    }

    private static func blank(_ c: VerifyCase) throws -> StridedMemory {
        try StridedMemory(c.outputSize, type: c.outputType, order: c.orders.y, gap: c.gaps.y, nil)
    }

    private static func run(
        _ c: VerifyCase, _ packed: Memory, _ x: StridedMemory, _ residual: StridedMemory?, _ y: StridedMemory,
        _ options: ht_options
    ) throws {
        var options = options
        (options.x_order, options.y_order) = (c.orders.x, c.orders.y)
        let status = c.epilogue.withCode { epilogue in
            epilogue.output = c.outputType
            (epilogue.residual, epilogue.residual_stride) = (
                residual.map { UnsafeRawPointer($0.memory.address) }, residual?.stride ?? 0
            )
            return c.problem.run(
                from: (x.memory.address, x.stride), packed: packed, epilogue: &epilogue,
                to: (y.memory.address, y.stride), &options)
        }
        try check(status, "the call")
    }

    // MARK: judgement

    /// Sums of integers are exact; other results lie within the bound of halftone/nm.h where it speaks of them.
    private func boundFault(_ y: StridedMemory) -> String? {
        let c = verifyCase
        guard c.kind.isExact ? c.outputType == HT_DTYPE_I32 : c.outputType == HT_DTYPE_F32 else { return nil }
        for column in c.columns {
            let entries = c.weights.entries(line: column)
            for row in c.rows {
                let sum = exactSum(row: row, entries)
                if let fault = c.kind.isExact
                    ? sum.integerFault(of: y.bits(row, column))
                    : sum.fault(
                        of: y.float(row, column), c.kind, c.epilogue, row: row, column: column, of: c.outputSize.columns
                    )
                {
                    return "y[\(row)][\(column)] = \(y.text(row, column)), \(fault)"
                }
            }
        }
        return nil
    }

    private func exactSum(row: Int, _ entries: [VerifyWeights.Entry]) -> ExactSum {
        let c = verifyCase
        let starts = (0..<c.problem.geometry.taps).map { tap in
            c.inputRow(of: row, tap: tap).map { $0 * c.inputSize.columns }
        }
        let zero = Double(c.epilogue.quantization?.xZero ?? 0)
        var sum = ExactSum(terms: entries.count)
        for entry in entries {
            let value = starts[entry.tap].map { Double(c.x[$0 + entry.column]) - zero } ?? 0
            sum.add(value * Double(entry.weight))
        }
        return sum
    }
}

extension ExactSum {
    /// Compares with the bound of halftone/nm.h, to which the rounding of the epilogue and of subnormal numbers is
    /// added.
    func fault(
        of found: Float, _ kind: ProductKind, _ epilogue: VerifyEpilogue, row: Int, column: Int, of columns: Int
    ) -> String? {
        let (exact, slope) = epilogue.exact(value, row: row, column: column, columns: columns)
        // bfloat16 products lose sums and factors below the least normal number; the other factor is below 8.
        let smallest = Double(kind == .bf16 ? 16 * Float.leastNormalMagnitude : Float.leastNonzeroMagnitude)
        let added =
            abs(Double(epilogue.bias?[column] ?? 0)) + abs(Double(epilogue.residual?[row * columns + column] ?? 0))
        let factor = epilogue.factor(row: row, column: column)
        let roundings = 0x1p-22 * (abs(value) * factor + added + abs(exact))
        return Self.fault(
            of: found, exact: exact, bound: slope * (factor * bound(smallest: smallest) + roundings) + 4 * smallest)
    }
}
