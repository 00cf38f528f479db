import CHalftone
import CHalftoneBench

/// A matrix of numbers of one of the library's types, without gaps, in either order; bits lie in rows.
final class TypedMatrix {
    let rows: Int
    let columns: Int
    let type: ht_dtype
    let order: ht_order
    let memory: Memory

    var data: UnsafeMutableRawPointer { memory.address }

    init(rows: Int, columns: Int, type: ht_dtype, order: ht_order = HT_ORDER_ROWS) throws {
        let (count, overflow) = rows.multipliedReportingOverflow(by: columns)
        guard !overflow, count <= Int.max / 8 else {
            throw ToolError("\(rows) x \(columns) numbers do not fit in memory")
        }
        memory = try Memory(bytes: type.isBits ? rows * bitRowBytes(columns) : count * ht_dtype_size(type))
        (self.rows, self.columns, self.type, self.order) = (rows, columns, type, order)
    }

    /// The same values, which must be values of the type. Row-major floats stay where they are.
    convenience init(_ values: FloatMatrix, type: ht_dtype, order: ht_order = HT_ORDER_ROWS) throws {
        if type.isBits {
            try self.init(rows: values.rows, columns: values.columns, type: type)
            setBits(values)
        } else {
            try self.init(numbers: values, type: type, order: order)
        }
    }

    private init(numbers values: FloatMatrix, type: ht_dtype, order: ht_order) throws {
        (rows, columns, self.type, self.order) = (values.rows, values.columns, type, order)
        let ordered = order == HT_ORDER_ROWS ? values : try values.transposed()
        if type == HT_DTYPE_F32 {
            memory = ordered.memory
            return
        }
        memory = try Memory(bytes: ordered.count * ht_dtype_size(type))
        for (index, value) in ordered.values.enumerated() {
            switch type {
            case HT_DTYPE_BF16: store(UInt16(value.bitPattern >> 16), index)
            case HT_DTYPE_U8: store(UInt8(value), index)
            default: store(Int8(value), index)
            }
        }
    }

    /// Of a bit that is set the value is -1 among signs, and 1 otherwise.
    private func setBits(_ values: FloatMatrix) {
        let set: Float = type == HT_DTYPE_B1 ? -1 : 1
        for row in 0..<rows {
            let words = words(row)
            for column in 0..<columns where values.row(row)[column] == set { words[column / 64] |= 1 << (column % 64) }
        }
    }

    private func words(_ row: Int) -> UnsafeMutablePointer<UInt64> {
        (data + row * bitRowBytes(columns)).assumingMemoryBound(to: UInt64.self)
    }

    private func store<Number>(_ number: Number, _ index: Int) {
        data.storeBytes(of: number, toByteOffset: index * MemoryLayout<Number>.stride, as: Number.self)
    }

    /// A result, of any type but u8 and zeros and ones.
    func value(_ row: Int, _ column: Int) -> Double {
        if type == HT_DTYPE_B1 { return words(row)[column / 64] >> (column % 64) & 1 == 0 ? 1 : -1 }
        let offset = (order == HT_ORDER_ROWS ? row * columns + column : column * rows + row) * ht_dtype_size(type)
        func number<Number>(_ type: Number.Type) -> Number { data.load(fromByteOffset: offset, as: type) }
        return switch type {
        case HT_DTYPE_I32: Double(number(Int32.self))
        case HT_DTYPE_I16: Double(number(Int16.self))
        case HT_DTYPE_I8: Double(number(Int8.self))
        case HT_DTYPE_BF16: Double(Float(bitPattern: UInt32(number(UInt16.self)) << 16))
        default: Double(number(Float.self))
        }
    }

    var floats: UnsafeMutablePointer<Float> { data.assumingMemoryBound(to: Float.self) }
}

extension ht_dtype {
    var isBits: Bool { self == HT_DTYPE_B1 || self == HT_DTYPE_U1 }
}

/// A row of so many bits without a gap.
func bitRowBytes(_ columns: Int) -> Int { (columns + 63) / 64 * 8 }
