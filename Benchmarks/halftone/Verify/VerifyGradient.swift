import CHalftone

/// One random weight gradient, dense or sampled, with what the reference kernel and a double-precision computation make
/// of it. It follows from the operation, the seed and the number alone.
struct VerifyGradient: VerifyJudge {
    private let problem: Problem
    private let x: StridedMemory
    private let dy: StridedMemory
    private let threads: Int
    private let gap: Int
    private let order: ht_order
    private let sampled: Sampled?
    private let reference: StridedMemory

    /// The weights whose entries a sampled gradient is for.
    private struct Sampled {
        let weights: VerifyWeights
        let packed: Memory
        /// Of each row, as the rule of halftone/nm.h has them, and how many.
        let columns: [[Int]]
        let count: Int
    }

    init(_ operation: Operation, seed: UInt64, number: Int) throws {
        var random = SplitMix(seed: seed, number: UInt64(number))
        let geometry = VerifyCase.product(&random)
        problem = Problem(operation: operation, kind: .f32, geometry: geometry)
        let isSampled = operation == .sampledGradient
        order = isSampled ? VerifyCase.order(&random) : HT_ORDER_ROWS
        threads = random.chance(0.5) ? 1 : random.int(2...4)
        let style = ValueStyle(&random)
        x = try Self.input(problem.xSize, order, style, &random)
        dy = try Self.input(problem.ySize, order, style, &random)
        gap = VerifyCase.gap(&random)
        sampled = try isSampled ? Self.sampled(problem, style, &random) : nil
        reference = try Self.blank(problem, sampled, gap)
        try describing(description) { try run(to: reference, isa: HT_ISA_REF, threads: 1) }
    }

    private static func input(
        _ size: (rows: Int, columns: Int), _ order: ht_order, _ style: ValueStyle, _ random: inout SplitMix
    ) throws -> StridedMemory {
        let values = (0..<size.rows * size.columns).map { _ in style.value(&random) }
        return try StridedMemory(
            size, type: HT_DTYPE_F32, order: order, gap: VerifyCase.gap(&random), values)
    }

    private static func sampled(_ problem: Problem, _ style: ValueStyle, _ random: inout SplitMix) throws -> Sampled {
        let type = random.pick([HT_DTYPE_F32, HT_DTYPE_F16, HT_DTYPE_BF16, HT_DTYPE_I8])
        let weights = VerifyWeights(
            problem, VerifyCase.pattern(&random), type: type, style: style, permutes: false, &random)
        let (o, k) = (problem.o, problem.k)
        let w = try StridedMemory((o, k), type: type, order: HT_ORDER_ROWS, gap: 0, weights.values)
        let packed = try withOptionalPointer(weights.mask) { mask in
            try problem.pack(w.memory.address, type: type, mask: mask, pattern: weights.pattern)
        }
        return Sampled(
            weights: weights, packed: packed, columns: (0..<o).map { row in weights.entries(line: row).map(\.column) },
            count: weights.pattern.entries(columns: k))
    }

    private static func blank(_ problem: Problem, _ sampled: Sampled?, _ gap: Int) throws -> StridedMemory {
        let columns = sampled?.count ?? problem.k
        return try StridedMemory((problem.o, columns), type: HT_DTYPE_F32, order: HT_ORDER_ROWS, gap: gap, nil)
    }

    var description: String {
        let entries = sampled.map { "\($0.weights.pattern), \($0.weights.mask == nil ? "no mask" : "mask"), " } ?? ""
        return "\(entries)t \(problem.t), o \(problem.o), k \(problem.k), gap \(gap), order \(order.rawValue), "
            + "threads \(threads)"
    }

    func fault(of row: KernelRow) throws -> String? {
        let result = try Self.blank(problem, sampled, gap)
        try run(to: result, isa: row.isaOption, threads: threads)
        let before = try Self.blank(problem, sampled, gap)
        return try columnFault() ?? result.fault(reference: reference, before: before) { _, _ in true }
            ?? boundFault(result)
    }

    private func run(to result: StridedMemory, isa: ht_isa, threads: Int) throws {
        let (t, o, k) = (problem.t, problem.o, problem.k)
        var options = ht_options()
        (options.isa, options.threads, options.x_order) = (isa, Int32(threads), order)
        func floats(_ matrix: StridedMemory) -> UnsafeMutablePointer<Float> {
            matrix.memory.address.assumingMemoryBound(to: Float.self)
        }
        let status =
            if let packed = sampled?.packed {
                ht_nm_sampled_gradient_f32(
                    t, o, k, floats(dy), dy.stride, floats(x), x.stride, packed.address, packed.bytes, floats(result),
                    result.stride, &options)
            } else {
                ht_weight_gradient_f32(
                    t, o, k, floats(dy), dy.stride, floats(x), x.stride, floats(result), result.stride, &options)
            }
        try check(status, "the call")
    }

    /// What the library says of the entries' columns must be the rule.
    private func columnFault() throws -> String? {
        guard let sampled else { return nil }
        let (blob, bytes) = (sampled.packed.address, sampled.packed.bytes)
        var count = 0
        try check(ht_nm_row_entries(blob, bytes, &count), "counting entries")
        guard problem.o == 0 || count == sampled.count else {
            return "rows have \(count) entries, not \(sampled.count)"
        }
        var columns = [UInt32](repeating: 0, count: problem.o * count)
        try check(ht_nm_entry_columns(problem.o, problem.k, blob, bytes, &columns, 0), "finding entries")
        return columns.map { Int($0) } == Array(sampled.columns.joined()) ? nil : "the columns of entries are others"
    }

    private func boundFault(_ result: StridedMemory) -> String? {
        for row in 0..<result.rows {
            for place in 0..<result.columns {
                let column = sampled?.columns[row][place] ?? place
                var sum = ExactSum(terms: problem.t)
                for t in 0..<problem.t { sum.add(Double(dy.float(t, row)) * Double(x.float(t, column))) }
                let bound = sum.bound(smallest: Double(Float.leastNonzeroMagnitude))
                if let fault = ExactSum.fault(of: result.float(row, place), exact: sum.value, bound: bound) {
                    return "dw[\(row)][\(column)] = \(result.text(row, place)), \(fault)"
                }
            }
        }
        return nil
    }
}
