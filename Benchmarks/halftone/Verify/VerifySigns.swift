import CHalftone

/// One random matrix whose signs are packed. It follows from the type, the seed and the number alone.
struct VerifySigns: VerifyJudge {
    private let kind: ProductKind
    private let size: (rows: Int, columns: Int)
    private let values: [Float]
    private let x: StridedMemory
    private let levels: [Float]?
    private let gap: Int
    private let threads: Int
    private let reference: StridedMemory

    init(_ kind: ProductKind, seed: UInt64, number: Int) throws {
        var random = SplitMix(seed: seed, number: UInt64(number))
        let geometry = VerifyCase.product(&random)
        size = (geometry.height, geometry.channels)
        let style = ValueStyle(&random)
        values = (0..<size.rows * size.columns).map { _ in style.value(of: kind.inputs, &random) }
        let levelType = kind == .i8 ? HT_DTYPE_I8 : HT_DTYPE_F32
        levels = random.chance(0.5) ? (0..<size.columns).map { _ in style.value(of: levelType, &random) } : nil
        x = try StridedMemory(
            size, type: kind.inputs, order: HT_ORDER_ROWS, gap: VerifyCase.gap(&random), values)
        gap = VerifyCase.gap(&random)
        threads = random.chance(0.5) ? 1 : random.int(2...4)
        self.kind = kind
        reference = try Self.blank(size, gap)
        try describing(description) { try pack(to: reference, isa: HT_ISA_REF, threads: 1) }
    }

    var description: String {
        "\(size.rows) x \(size.columns), \(levels == nil ? "no threshold" : "threshold"), x stride \(x.stride), "
            + "gap \(gap), threads \(threads)"
    }

    func fault(of row: KernelRow) throws -> String? {
        let y = try Self.blank(size, gap)
        try pack(to: y, isa: row.isaOption, threads: threads)
        return y.fault(reference: reference, before: try Self.blank(size, gap)) { _, _ in true } ?? formulaFault(y)
    }

    private static func blank(_ size: (rows: Int, columns: Int), _ gap: Int) throws -> StridedMemory {
        try StridedMemory(size, type: HT_DTYPE_B1, order: HT_ORDER_ROWS, gap: gap, nil)
    }

    private func pack(to y: StridedMemory, isa: ht_isa, threads: Int) throws {
        var options = ht_options()
        (options.isa, options.threads) = (isa, Int32(threads))
        func pack(_ threshold: UnsafeRawPointer?) -> ht_status {
            kind.packSigns(
                size, from: (x.memory.address, x.stride), threshold: threshold, to: (y.memory.address, y.stride),
                &options)
        }
        let status =
            kind == .i8
            ? withOptionalPointer(levels?.map { Int32($0) }) { pack($0) } : withOptionalPointer(levels) { pack($0) }
        try check(status, "the call")
    }

    private func formulaFault(_ y: StridedMemory) -> String? {
        for row in 0..<size.rows {
            for column in 0..<size.columns {
                let value = values[row * size.columns + column]
                guard (y.bits(row, column) == 1) != (value < levels?[column] ?? 0) else { continue }
                return "the sign in row \(row), column \(column) is wrong: x is \(value), the threshold "
                    + "\(levels?[column] ?? 0)"
            }
        }
        return nil
    }
}
