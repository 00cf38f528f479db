import CHalftone

/// A matrix in guarded memory of exactly its size: lines of `length` numbers, which are its rows, or its columns where it
/// is feature-major, with a gap between them.
struct Matrix {
    let rows: Int, columns: Int
    let number: Number
    let order: ht_order
    /// Bytes from line to line.
    let stride: Int
    let memory: Guarded<UInt8>

    static let canaryByte: UInt8 = 0xa7
    /// What four untouched bytes are as a float.
    static let canary = Float(bitPattern: 0xa7a7_a7a7)

    /// Everything is the canary, or another byte.
    init(
        _ rows: Int, _ columns: Int, _ number: Number = .f32, order: ht_order = HT_ORDER_ROWS, gap: Int = 0,
        filler: UInt8 = canaryByte
    ) {
        (self.rows, self.columns, self.number, self.order) = (rows, columns, number, order)
        let (lines, length) = order == HT_ORDER_ROWS ? (rows, columns) : (columns, rows)
        stride = (length + gap) * number.size
        let bytes = lines > 0 && length > 0 ? (lines - 1) * stride + length * number.size : 0
        memory = Guarded(count: bytes, repeating: filler)
    }

    /// Bytes from the first element to this one.
    func offset(_ row: Int, _ column: Int) -> Int {
        let (line, place) = order == HT_ORDER_ROWS ? (row, column) : (column, row)
        return line * stride + place * number.size
    }

    func address(_ row: Int, _ column: Int) -> UnsafeMutableRawPointer {
        UnsafeMutableRawPointer(memory.start) + offset(row, column)
    }

    func bits(_ row: Int, _ column: Int) -> UInt32 { number.load(address(row, column)) }

    func set(_ row: Int, _ column: Int, bits: UInt32) { number.store(bits, at: address(row, column)) }
}

extension Guarded where Element == UInt8 {
    /// The same memory as floats.
    var floats: UnsafeMutablePointer<Float> { typed() }

    func typed<Other>() -> UnsafeMutablePointer<Other> {
        UnsafeMutableRawPointer(start).assumingMemoryBound(to: Other.self)
    }
}
