import CHalftone

/// A matrix as a call takes it: of some type, with a gap behind each line, in either order. Bits lie in rows of words,
/// and a gap is counted in those.
final class StridedMemory {
    let memory: Memory
    let stride: Int
    let rows: Int
    let columns: Int
    private let type: ht_dtype
    private let order: ht_order
    private var size: Int { ht_dtype_size(type) }

    /// What no computation leaves behind: it shows what was not written.
    private static let untouched: UInt8 = 0xa7

    /// Without values it is untouched.
    init(
        _ matrix: (rows: Int, columns: Int), type: ht_dtype, order: ht_order, gap: Int, _ values: [Float]?
    ) throws {
        (rows, columns) = matrix
        (self.type, self.order) = (type, order)
        let (lines, length) = order == HT_ORDER_ROWS ? (rows, columns) : (columns, rows)
        stride = type.isBits ? bitRowBytes(length) + 8 * gap : (length + gap) * ht_dtype_size(type)
        memory = try Memory(bytes: lines * stride)
        memory.address.initializeMemory(as: UInt8.self, repeating: Self.untouched, count: memory.bytes)
        guard let values else { return }
        if type.isBits { clearTails() }
        for row in 0..<rows { for column in 0..<columns { store(values[row * columns + column], row, column) } }
    }

    /// The bits behind a row's last are 0.
    private func clearTails() {
        for row in 0..<rows { for column in columns..<storedColumns { setBit(row, column, to: false) } }
    }

    /// With what lies behind the last bit of a row in its word.
    private var storedColumns: Int { type.isBits ? bitRowBytes(columns) * 8 : columns }

    private func setBit(_ row: Int, _ column: Int, to isSet: Bool) {
        let byte = (memory.address + row * stride + column / 8).assumingMemoryBound(to: UInt8.self)
        let bit = UInt8(1) << UInt8(column % 8)
        byte.pointee = isSet ? byte.pointee | bit : byte.pointee & ~bit
    }

    private func address(_ row: Int, _ column: Int) -> UnsafeMutableRawPointer {
        let (line, place) = order == HT_ORDER_ROWS ? (row, column) : (column, row)
        return memory.address + line * stride + place * size
    }

    private func store(_ value: Float, _ row: Int, _ column: Int) {
        if type.isBits { return setBit(row, column, to: value == (type == HT_DTYPE_B1 ? -1 : 1)) }
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
        if type.isBits {
            let byte = (memory.address + row * stride + column / 8).load(as: UInt8.self)
            return UInt32(byte >> UInt8(column % 8) & 1)
        }
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

    /// What is wrong with this result, or `nil`: inside, it is to have the reference's bits, any NaN for a NaN;
    /// elsewhere, gaps included, what was there before. Bits behind a row's last belong to that one. `before` is spent.
    func fault(
        reference: StridedMemory, before: StridedMemory, isInside: (_ row: Int, _ column: Int) -> Bool
    ) -> String? {
        for column in 0..<storedColumns {
            for row in 0..<rows {
                let isInside = isInside(row, min(column, columns - 1))
                let (found, wanted) = (bits(row, column), (isInside ? reference : before).bits(row, column))
                if found == wanted || isInside && isNaN(row, column) && reference.isNaN(row, column) {
                    before.copy(row, column, from: self)
                    continue
                }
                let place = "y[\(row)][\(column)]"
                return isInside
                    ? "\(place) = \(text(row, column)), the reference kernel has \(reference.text(row, column))"
                    : "\(place) is outside the window and was written: \(text(row, column))"
            }
        }
        return before.hasSameBytes(as: self) ? nil : "a gap between the rows of y was written"
    }

    private func copy(_ row: Int, _ column: Int, from other: StridedMemory) {
        if type.isBits { return setBit(row, column, to: other.bits(row, column) == 1) }
        address(row, column).copyMemory(from: other.address(row, column), byteCount: size)
    }

    private func hasSameBytes(as other: StridedMemory) -> Bool {
        UnsafeRawBufferPointer(start: memory.address, count: memory.bytes)
            .elementsEqual(UnsafeRawBufferPointer(start: other.memory.address, count: other.memory.bytes))
    }
}
