import CHalftone

/// What the reference kernel and a double-precision computation make of a case, to judge kernels by.
struct VerifyOutcome {
    private let verifyCase: VerifyCase
    private let packed: Memory
    private let x: StridedMemory
    private let residual: StridedMemory?
    private let reference: StridedMemory

    init(of c: VerifyCase) throws {
        verifyCase = c
        packed = try Self.pack(c)
        x = try StridedMemory(rows: c.t, columns: c.k, type: c.kind.inputs, order: c.orders.x, gap: c.gaps.x, c.x)
        let residualType = c.outputType == HT_DTYPE_BF16 ? HT_DTYPE_BF16 : HT_DTYPE_F32
        residual = try c.epilogue.residual.map {
            try StridedMemory(rows: c.t, columns: c.o, type: residualType, order: c.orders.y, gap: c.gaps.w, $0)
        }
        var options = ht_options()
        options.isa = HT_ISA_REF
        options.threads = 1
        reference = try Self.blank(c)
        try Self.run(c, packed, x, residual, reference, options)
    }

    /// What is wrong with a kernel's result, or `nil`.
    func fault(of row: KernelRow) throws -> String? {
        var options = ht_options()
        options.isa = row.isaOption
        options.threads = Int32(verifyCase.threads)
        (options.row_begin, options.row_end) = (verifyCase.rows.lowerBound, verifyCase.rows.upperBound)
        (options.column_begin, options.column_end) = (verifyCase.columns.lowerBound, verifyCase.columns.upperBound)
        let scratch = try scratch(&options)
        let y = try Self.blank(verifyCase)
        try withExtendedLifetime(scratch) { try Self.run(verifyCase, packed, x, residual, y, options) }
        return try bitFault(y) ?? boundFault(y)
    }

    private func scratch(_ options: inout ht_options) throws -> Memory? {
        guard verifyCase.givesScratch else { return nil }
        (options.x_order, options.y_order) = verifyCase.orders
        var size = 0
        try check(
            ht_nm_gemm_scratch_size(
                verifyCase.t, verifyCase.kind.inputs, packed.address, packed.bytes, &options, &size),
            "the scratch size")
        let memory = try Memory(bytes: size)
        // A kernel must not count on zeros there.
        memory.address.initializeMemory(as: UInt8.self, repeating: 0xff, count: size)
        options.scratch = memory.address
        options.scratch_size = size
        return memory
    }

    // MARK: calls

    private static func pack(_ c: VerifyCase) throws -> Memory {
        let (o, k, n, m) = (c.o, c.k, c.pattern.n, c.pattern.m)
        var options = ht_options()
        options.shared_rows = Int32(c.pattern.sharedRows)
        var size = 0
        try check(ht_nm_packed_size(o, k, n, m, c.weightType, &options, &size), "the packed size")
        let packed = try Memory(bytes: size)
        let w = try StridedMemory(rows: o, columns: k, type: c.weightType, order: HT_ORDER_ROWS, gap: c.gaps.w, c.w)
        let (data, stride, blob) = (w.memory.address, w.stride, packed.address)
        let status = withOptionalPointer(c.mask) { mask in
            switch c.weightType {
            case HT_DTYPE_F32:
                ht_nm_pack_f32(
                    o, k, n, m, data.assumingMemoryBound(to: Float.self), stride, mask, 0, blob, size, &options)
            case HT_DTYPE_F16:
                ht_nm_pack_f16(
                    o, k, n, m, data.assumingMemoryBound(to: UInt16.self), stride, mask, 0, blob, size, &options)
            case HT_DTYPE_BF16:
                ht_nm_pack_bf16(
                    o, k, n, m, data.assumingMemoryBound(to: UInt16.self), stride, mask, 0, blob, size, &options)
            default:
                ht_nm_pack_i8(
                    o, k, n, m, data.assumingMemoryBound(to: Int8.self), stride, mask, 0, blob, size, &options)
            }
        }
        try check(status, "packing")
        return packed
    }

    private static func blank(_ c: VerifyCase) throws -> StridedMemory {
        try StridedMemory(rows: c.t, columns: c.o, type: c.outputType, order: c.orders.y, gap: c.gaps.y, nil)
    }

    private static func run(
        _ c: VerifyCase, _ packed: Memory, _ x: StridedMemory, _ residual: StridedMemory?, _ y: StridedMemory,
        _ options: ht_options
    ) throws {
        let (t, o, k) = (c.t, c.o, c.k)
        let (blob, size, data, out) = (packed.address, packed.bytes, x.memory.address, y.memory.address)
        var options = options
        (options.x_order, options.y_order) = c.orders
        let status = c.epilogue.withCode { epilogue in
            epilogue.output = c.outputType
            (epilogue.residual, epilogue.residual_stride) = (
                residual.map { UnsafeRawPointer($0.memory.address) }, residual?.stride ?? 0
            )
            return switch c.kind {
            case .f32:
                ht_nm_gemm_f32(
                    t, o, k, data.assumingMemoryBound(to: Float.self), x.stride, blob, size, &epilogue,
                    out.assumingMemoryBound(to: Float.self), y.stride, &options)
            case .bf16:
                ht_nm_gemm_bf16(
                    t, o, k, data.assumingMemoryBound(to: UInt16.self), x.stride, blob, size, &epilogue, out, y.stride,
                    &options)
            case .u8:
                ht_nm_gemm_u8(
                    t, o, k, data.assumingMemoryBound(to: UInt8.self), x.stride, blob, size, &epilogue, out, y.stride,
                    &options)
            case .i8:
                ht_nm_gemm_i8(
                    t, o, k, data.assumingMemoryBound(to: Int8.self), x.stride, blob, size, &epilogue, out, y.stride,
                    &options)
            }
        }
        try check(status, "the product")
    }

    // MARK: judgement

    /// Inside the window the reference's bits, any NaN for a NaN; elsewhere, gaps included, what was there before.
    private func bitFault(_ y: StridedMemory) throws -> String? {
        let before = try Self.blank(verifyCase)
        for column in 0..<verifyCase.o {
            for row in 0..<verifyCase.t {
                let isInside = verifyCase.rows.contains(row) && verifyCase.columns.contains(column)
                let (found, wanted) = (y.bits(row, column), (isInside ? reference : before).bits(row, column))
                if found == wanted || isInside && y.isNaN(row, column) && reference.isNaN(row, column) {
                    before.copy(row, column, from: y)
                    continue
                }
                return isInside
                    ? "y[\(row)][\(column)] = \(y.text(row, column)), the reference kernel has "
                        + reference.text(row, column)
                    : "y[\(row)][\(column)] is outside the window and was written: \(y.text(row, column))"
            }
        }
        return before.hasSameBytes(as: y) ? nil : "a gap between the rows of y was written"
    }

    /// Sums of integers are exact; other results lie within the bound of halftone/nm.h where it speaks of them.
    private func boundFault(_ y: StridedMemory) -> String? {
        let c = verifyCase
        guard c.kind.isExact ? c.outputType == HT_DTYPE_I32 : c.outputType == HT_DTYPE_F32 else { return nil }
        for column in c.columns {
            let terms = c.entries(row: column).map { ($0, c.weight(row: column, column: $0)) }
            for row in c.rows {
                let sum = exactSum(row: row, terms: terms)
                if let fault = c.kind.isExact
                    ? sum.integerFault(of: y.bits(row, column))
                    : sum.fault(of: y.float(row, column), c, row: row, column: column)
                {
                    return "y[\(row)][\(column)] = \(y.text(row, column)), \(fault)"
                }
            }
        }
        return nil
    }

    private func exactSum(row: Int, terms: [(column: Int, weight: Float)]) -> ExactSum {
        var sum = ExactSum(terms: terms.count)
        let start = row * verifyCase.k
        let zero = Double(verifyCase.epilogue.quantization?.xZero ?? 0)
        for (column, weight) in terms {
            sum.add((Double(verifyCase.x[start + column]) - zero) * Double(weight))
        }
        return sum
    }
}

/// A matrix as a call takes it: of some type, with a gap behind each line, in either order.
private final class StridedMemory {
    let memory: Memory
    let stride: Int
    private let type: ht_dtype
    private let order: ht_order
    private var size: Int { ht_dtype_size(type) }

    /// What no computation leaves behind: it shows what was not written.
    private static let untouched: UInt8 = 0xa7

    /// Without values it is untouched.
    init(rows: Int, columns: Int, type: ht_dtype, order: ht_order, gap: Int, _ values: [Float]?) throws {
        (self.type, self.order) = (type, order)
        let (lines, length) = order == HT_ORDER_ROWS ? (rows, columns) : (columns, rows)
        stride = (length + gap) * ht_dtype_size(type)
        memory = try Memory(bytes: lines * stride)
        memory.address.initializeMemory(as: UInt8.self, repeating: Self.untouched, count: memory.bytes)
        guard let values else { return }
        for row in 0..<rows { for column in 0..<columns { store(values[row * columns + column], row, column) } }
    }

    private func address(_ row: Int, _ column: Int) -> UnsafeMutableRawPointer {
        let (line, place) = order == HT_ORDER_ROWS ? (row, column) : (column, row)
        return memory.address + line * stride + place * size
    }

    private func store(_ value: Float, _ row: Int, _ column: Int) {
        let address = address(row, column)
        switch type {
        case HT_DTYPE_F16: address.storeBytes(of: Float16(value).bitPattern, as: UInt16.self)
        case HT_DTYPE_BF16: address.storeBytes(of: UInt16(value.bitPattern >> 16), as: UInt16.self)
        case HT_DTYPE_U8: address.storeBytes(of: UInt8(value), as: UInt8.self)
        case HT_DTYPE_I8: address.storeBytes(of: Int8(value), as: Int8.self)
        default: address.storeBytes(of: value, as: Float.self)
        }
    }

    func bits(_ row: Int, _ column: Int) -> UInt32 {
        let address = address(row, column)
        return switch size {
        case 1: UInt32(address.loadUnaligned(as: UInt8.self))
        case 2: UInt32(address.loadUnaligned(as: UInt16.self))
        default: address.loadUnaligned(as: UInt32.self)
        }
    }

    /// Of an f32 or bf16 element.
    func float(_ row: Int, _ column: Int) -> Float {
        Float(bitPattern: bits(row, column) << (type == HT_DTYPE_BF16 ? 16 : 0))
    }

    func isNaN(_ row: Int, _ column: Int) -> Bool {
        (type == HT_DTYPE_F32 || type == HT_DTYPE_BF16) && float(row, column).isNaN
    }

    func text(_ row: Int, _ column: Int) -> String {
        let bits = bits(row, column)
        let hex = "0x" + String(bits, radix: 16)
        return switch type {
        case HT_DTYPE_F32, HT_DTYPE_BF16: "\(float(row, column)) (\(hex))"
        case HT_DTYPE_I32: "\(Int32(bitPattern: bits))"
        default: hex
        }
    }

    func copy(_ row: Int, _ column: Int, from other: StridedMemory) {
        address(row, column).copyMemory(from: other.address(row, column), byteCount: size)
    }

    func hasSameBytes(as other: StridedMemory) -> Bool {
        UnsafeRawBufferPointer(start: memory.address, count: memory.bytes)
            .elementsEqual(UnsafeRawBufferPointer(start: other.memory.address, count: other.memory.bytes))
    }
}

/// A sum of products in double precision, in which each product is exact.
private struct ExactSum {
    let terms: Int
    private var sum = 0.0
    private var magnitude = 0.0

    init(terms: Int) {
        self.terms = terms
    }

    mutating func add(_ product: Double) {
        sum += product
        magnitude += abs(product)
    }

    /// Sums of integers are those of the double, which are exact, modulo 2^32.
    func integerFault(of found: UInt32) -> String? {
        let wanted = UInt32(truncatingIfNeeded: Int(sum))
        return found == wanted ? nil : "the exact sum is \(sum)"
    }

    /// Compares with the bound of halftone/nm.h, to which the rounding of the epilogue and of subnormal numbers is added.
    func fault(of found: Float, _ c: VerifyCase, row: Int, column: Int) -> String? {
        let (exact, slope) = c.epilogue.exact(sum, row: row, column: column, columns: c.o)
        if exact.isNaN { return found.isNaN ? nil : "the exact result is not a number" }
        if exact.isInfinite { return Double(found) == exact ? nil : "the exact result is \(exact)" }
        // bfloat16 products lose sums and factors below the least normal number; the other factor is below 8.
        let smallest = Double(c.kind == .bf16 ? 16 * Float.leastNormalMagnitude : Float.leastNonzeroMagnitude)
        let sumBound = errorBound(terms: terms, columns: terms) * magnitude + Double(terms) * smallest
        let added =
            abs(Double(c.epilogue.bias?[column] ?? 0)) + abs(Double(c.epilogue.residual?[row * c.o + column] ?? 0))
        let roundings = 0x1p-22 * (abs(sum) + added + abs(exact))
        let bound = slope * (sumBound + roundings) + 4 * smallest
        let error = abs(Double(found) - exact)
        return error <= bound ? nil : "the exact result is \(exact): off by \(error), more than the bound \(bound)"
    }
}
