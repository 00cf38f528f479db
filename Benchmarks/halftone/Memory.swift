import CHalftone
import CHalftoneBench

/// Memory from `ht_allocate`, on huge pages where it is large, freed with the object.
final class Memory {
    let bytes: Int
    let address: UnsafeMutableRawPointer

    /// The bytes are zero, and written, so that no page is the shared zero page while a run is timed.
    init(bytes: Int) throws {
        guard let address = ht_allocate(max(bytes, 1)) else { throw ToolError("no memory for \(bytes) bytes") }
        self.bytes = bytes
        self.address = address
        address.initializeMemory(as: UInt8.self, repeating: 0, count: bytes)
    }

    deinit { ht_free(address) }
}

/// A matrix of floats, rows without a gap.
final class FloatMatrix {
    let rows: Int
    let columns: Int
    let data: UnsafeMutablePointer<Float>
    let memory: Memory

    init(rows: Int, columns: Int) throws {
        let (count, overflow) = rows.multipliedReportingOverflow(by: columns)
        guard !overflow, count <= Int.max / 8 else {
            throw ToolError("\(rows) x \(columns) floats do not fit in memory")
        }
        memory = try Memory(bytes: count * 4)
        data = memory.address.bindMemory(to: Float.self, capacity: count)
        self.rows = rows
        self.columns = columns
    }

    convenience init(rows: Int, columns: Int, values: [Float]) throws {
        try self.init(rows: rows, columns: columns)
        for (index, value) in values.prefix(count).enumerated() { data[index] = value }
    }

    /// A matrix of what `body` makes of each value.
    func map(_ body: (Float) -> Float) throws -> FloatMatrix {
        let result = try FloatMatrix(rows: rows, columns: columns)
        for index in 0..<count { result.data[index] = body(data[index]) }
        return result
    }

    func transposed() throws -> FloatMatrix {
        let result = try FloatMatrix(rows: columns, columns: rows)
        htb_transpose(rows, columns, data, result.data)
        return result
    }

    var count: Int { rows * columns }
    var values: UnsafeMutableBufferPointer<Float> { UnsafeMutableBufferPointer(start: data, count: count) }

    func row(_ index: Int) -> UnsafeMutablePointer<Float> {
        data + index * columns
    }
}
