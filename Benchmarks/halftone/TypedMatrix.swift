import CHalftone
import CHalftoneBench

/// A matrix of numbers of one of the library's types, without gaps, in either order.
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
        memory = try Memory(bytes: count * ht_dtype_size(type))
        (self.rows, self.columns, self.type, self.order) = (rows, columns, type, order)
    }

    /// The same values, which must be values of the type. Row-major floats stay where they are.
    init(_ values: FloatMatrix, type: ht_dtype, order: ht_order = HT_ORDER_ROWS) throws {
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

    private func store<Number>(_ number: Number, _ index: Int) {
        data.storeBytes(of: number, toByteOffset: index * MemoryLayout<Number>.stride, as: Number.self)
    }

    /// A result: f32 or i32.
    func value(_ row: Int, _ column: Int) -> Double {
        let offset = (order == HT_ORDER_ROWS ? row * columns + column : column * rows + row) * 4
        return type == HT_DTYPE_I32
            ? Double(data.load(fromByteOffset: offset, as: Int32.self))
            : Double(data.load(fromByteOffset: offset, as: Float.self))
    }

    var floats: UnsafeMutablePointer<Float> { data.assumingMemoryBound(to: Float.self) }
}
