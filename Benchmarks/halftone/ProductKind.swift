import CHalftone
import CHalftoneBench

/// A product of the library, by the type of its inputs, which is also the word that `--dtype` knows it by.
enum ProductKind: String, CaseIterable {
    case f32, bf16, u8, i8

    /// The name of its rows of kernels, which serve signed and unsigned bytes alike.
    var op: String { self == .u8 ? "nm_gemm_i8" : "nm_gemm_\(self)" }

    var weights: ht_dtype {
        switch self {
        case .f32: HT_DTYPE_F32
        case .bf16: HT_DTYPE_BF16
        case .u8, .i8: HT_DTYPE_I8
        }
    }

    var inputs: ht_dtype {
        switch self {
        case .f32: HT_DTYPE_F32
        case .bf16: HT_DTYPE_BF16
        case .u8: HT_DTYPE_U8
        case .i8: HT_DTYPE_I8
        }
    }

    var outputs: ht_dtype { isExact ? HT_DTYPE_I32 : HT_DTYPE_F32 }

    /// What y can be.
    var offeredOutputs: [ht_dtype] {
        switch self {
        case .f32: [HT_DTYPE_F32]
        case .bf16: [HT_DTYPE_F32, HT_DTYPE_BF16]
        case .u8, .i8: [HT_DTYPE_I32, HT_DTYPE_F32, HT_DTYPE_BF16, HT_DTYPE_U8, HT_DTYPE_I8]
        }
    }

    /// Sums of integers have no error.
    var isExact: Bool { self == .u8 || self == .i8 }

    /// The kinds of a `--dtype` list.
    static func named(_ list: String) throws -> [ProductKind] {
        let words = listItems(list)
        guard !words.isEmpty else { throw ToolError("--dtype names no type") }
        return try words.map { word in
            guard let kind = Self(rawValue: word) else {
                let known = Self.allCases.map(\.rawValue).joined(separator: ", ")
                throw ToolError("there is no product of '\(word)'; there is \(known)")
            }
            return kind
        }
    }

    /// Its kernel rows that the user's `--isa` leaves, `nil` standing for `unnamed`'s choice.
    ///
    /// Naming an ISA that none of these kinds has, or that does not run here, is an error.
    static func rows(
        of kinds: [ProductKind], isas: [String]?, unnamed: (KernelRow) -> Bool
    ) throws -> [(kind: ProductKind, row: KernelRow)] {
        let all = KernelRow.all()
        let rows = kinds.flatMap { kind in all.filter { $0.op == kind.op }.map { (kind: kind, row: $0) } }
        guard let isas else {
            let rows = rows.filter { unnamed($0.row) }
            guard !rows.isEmpty else {
                throw ToolError("no kernel is chosen; does HALFTONE_ISA name an ISA that runs here?")
            }
            return rows
        }
        guard !isas.isEmpty else { throw ToolError("--isa names no ISA") }
        for isa in isas {
            let named = rows.filter { $0.row.isa == isa }
            guard !named.isEmpty else {
                throw ToolError("no kernel for ISA '\(isa)'; there is \(listed(rows.map(\.row.isa)))")
            }
            guard named.allSatisfy(\.row.runs) else {
                throw ToolError("ISA '\(isa)' does not run on this machine; it has: \(cpuFeatures)")
            }
        }
        return rows.filter { isas.contains($0.row.isa) }
    }

    /// Weights as this kind has them: rounded, those of 8 bits after scaling the largest to 127.
    func rounded(weights w: FloatMatrix) throws -> FloatMatrix {
        switch self {
        case .f32: return w
        case .bf16: return try w.map(upperHalf)
        case .u8, .i8:
            let largest = w.values.reduce(0) { max($0, abs($1)) }
            let scale = largest > 0 ? 127 / largest : 1
            return try w.map { ($0 * scale).rounded() }
        }
    }

    /// Normal inputs as this kind has them: those of 8 bits with a deviation of 40 round the middle of their range.
    func rounded(inputs x: FloatMatrix) throws -> FloatMatrix {
        switch self {
        case .f32: return x
        case .bf16: return try x.map(upperHalf)
        case .u8: return try x.map { min(255, max(0, ($0 * 40).rounded() + 128)) }
        case .i8: return try x.map { min(127, max(-128, ($0 * 40).rounded())) }
        }
    }

    /// |y - exact| / sum |x w| that a sum of so many products may have.
    func bound(terms: Int, columns: Int) -> Double {
        isExact ? 0 : errorBound(terms: terms, columns: columns)
    }

    /// What a kernel of this kind and ISA is compared with: the best that a dense one on the same instructions has.
    func unit(isa: ht_isa) -> htb_unit {
        switch (self, isa) {
        case (.bf16, HT_ISA_AVX512_BF16): HTB_BF16_AVX512
        case (.u8, HT_ISA_AVX512_VNNI), (.i8, HT_ISA_AVX512_VNNI): HTB_I8_AVX512
        case (.u8, HT_ISA_AVX_VNNI), (.i8, HT_ISA_AVX_VNNI): HTB_I8_AVX_VNNI
        case (.u8, HT_ISA_AVX2), (.i8, HT_ISA_AVX2): HTB_I8_AVX2
        case (_, HT_ISA_AVX512): HTB_F32_AVX512
        case (_, HT_ISA_AVX2): HTB_F32_AVX2
        default: HTB_F32_PORTABLE
        }
    }
}

/// The nearest bfloat16, ties to even; not of a NaN.
func upperHalf(_ value: Float) -> Float {
    let bits = value.bitPattern
    return Float(bitPattern: (bits &+ 0x7fff &+ (bits >> 16 & 1)) & 0xffff_0000)
}

/// A matrix of numbers of one of the library's types, rows without a gap.
final class TypedMatrix {
    let rows: Int
    let columns: Int
    let type: ht_dtype
    let memory: Memory

    var data: UnsafeMutableRawPointer { memory.address }

    init(rows: Int, columns: Int, type: ht_dtype) throws {
        let (count, overflow) = rows.multipliedReportingOverflow(by: columns)
        guard !overflow, count <= Int.max / 8 else {
            throw ToolError("\(rows) x \(columns) numbers do not fit in memory")
        }
        memory = try Memory(bytes: count * ht_dtype_size(type))
        (self.rows, self.columns, self.type) = (rows, columns, type)
    }

    /// The same values, which must be values of the type. Floats stay where they are.
    init(_ values: FloatMatrix, type: ht_dtype) throws {
        (rows, columns, self.type) = (values.rows, values.columns, type)
        if type == HT_DTYPE_F32 {
            memory = values.memory
            return
        }
        memory = try Memory(bytes: values.count * ht_dtype_size(type))
        for (index, value) in values.values.enumerated() {
            switch type {
            case HT_DTYPE_BF16: store(UInt16(value.bitPattern >> 16), index)
            case HT_DTYPE_U8: store(UInt8(value), index)
            default: store(Int8(value), index)
            }
        }
    }

    private func store<Number>(_ number: Number, _ index: Int) {
        data.storeBytes(of: number, toByteOffset: index * MemoryLayout<Number>.stride, as: Number.self)
    }

    /// A result: f32 or i32.
    func value(_ row: Int, _ column: Int) -> Double {
        let offset = (row * columns + column) * 4
        return type == HT_DTYPE_I32
            ? Double(data.load(fromByteOffset: offset, as: Int32.self))
            : Double(data.load(fromByteOffset: offset, as: Float.self))
    }

    var floats: UnsafeMutablePointer<Float> { data.assumingMemoryBound(to: Float.self) }
}
