import CHalftone

/// Which weights of a matrix are kept: one bit for each weight.
public struct NMMask: Hashable, Sendable {
    /// Rows of the matrix.
    public let rows: Int
    /// Columns of the matrix.
    public let columns: Int
    /// `rows` rows of ⌈columns / 8⌉ bytes: column c is bit c % 8 of byte c / 8, and a row's unused bits are 0.
    public internal(set) var bytes: [UInt8]

    /// Bytes of a row.
    var rowBytes: Int { Self.rowBytes(columns) }

    static func rowBytes(_ columns: Int) -> Int { columns / 8 + (columns % 8 == 0 ? 0 : 1) }

    /// A mask from bytes laid out as ``bytes`` says; bits behind a row's last column are cleared.
    ///
    /// - Throws: ``HalftoneError/shape(_:)`` when a size is negative or `bytes` is not that many rows,
    ///   ``HalftoneError/overflow``.
    public init(rows: Int, columns: Int, bytes: [UInt8]) throws(HalftoneError) {
        guard rows >= 0, columns >= 0 else { throw .shape("a mask cannot be \(rows) x \(columns)") }
        let rowBytes = Self.rowBytes(columns)
        let (needed, overflow) = rows.multipliedReportingOverflow(by: rowBytes)
        guard !overflow else { throw .overflow }
        guard bytes.count == needed else {
            throw .shape("the mask holds \(bytes.count) bytes, \(rows) x \(columns) bits need \(needed)")
        }
        self.rows = rows
        self.columns = columns
        var cleared = bytes
        if columns % 8 != 0 {
            let used = UInt8(1) << UInt8(columns % 8) - 1
            for last in stride(from: rowBytes - 1, to: needed, by: rowBytes) { cleared[last] &= used }
        }
        self.bytes = cleared
    }

    /// A mask that a call of the C library writes.
    init(
        rows: Int, columns: Int, filledBy call: (UnsafeMutablePointer<UInt8>) -> ht_status
    ) throws(HalftoneError) {
        let (count, overflow) = rows.multipliedReportingOverflow(by: Self.rowBytes(columns))
        guard !overflow else { throw .overflow }
        self.rows = rows
        self.columns = columns
        bytes = [UInt8](repeating: 0, count: count)
        try HalftoneError.check(call(&bytes))
    }

    /// Whether the weight at this row and column is kept. Both must be inside the matrix, as with an array's index.
    public subscript(row: Int, column: Int) -> Bool {
        precondition(0..<rows ~= row && 0..<columns ~= column, "index out of range")
        return bytes[row * rowBytes + column / 8] >> UInt8(column % 8) & 1 == 1
    }

    /// How many weights are kept.
    public var count: Int { bytes.reduce(0) { $0 + $1.nonzeroBitCount } }

    /// Throws unless the mask is of so many weights.
    func check(rows: Int, columns: Int) throws(HalftoneError) {
        guard self.rows == rows, self.columns == columns else {
            throw .shape("the mask is \(self.rows) x \(self.columns), the weights are \(rows) x \(columns)")
        }
    }
}
