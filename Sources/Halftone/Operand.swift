import CHalftone

/// A row-major matrix operand, checked against the memory that is to hold it, in the C library's terms.
struct Operand {
    let rows: Int
    let columns: Int
    /// Bytes from one row to the next; 0 for rows without a gap.
    let byteStride: Int

    /// - Parameters:
    ///   - subject: how an error text begins, as in "weights hold".
    ///   - count: the elements that are there, of this type.
    ///   - rowStride: elements from one row to the next; nil for rows without a gap.
    init<Element: KernelNumber>(
        _ subject: String, count: Int, of type: Element.Type, rows: Int, columns: Int, rowStride: Int? = nil
    ) throws(HalftoneError) {
        let elementSize = MemoryLayout<Element>.stride
        precondition(elementSize == type.dataType.byteCount, "\(type) is not what it says, \(type.dataType)")
        guard rows >= 0, columns >= 0 else { throw .shape("a matrix cannot be \(rows) x \(columns)") }
        let stride = rowStride ?? columns
        guard stride >= columns else { throw .stride }
        let needed = try Self.elements(rows: rows, columns: columns, stride: stride)
        guard count >= needed else {
            let gap = stride == columns ? "" : " at a row stride of \(stride)"
            throw .shape("\(subject) \(count) values, \(rows) x \(columns)\(gap) need \(needed)")
        }
        let (bytes, overflow) = stride.multipliedReportingOverflow(by: elementSize)
        guard !overflow else { throw .overflow }
        self.rows = rows
        self.columns = columns
        byteStride = bytes
    }

    /// The elements from the first of the first row to the last of the last.
    private static func elements(rows: Int, columns: Int, stride: Int) throws(HalftoneError) -> Int {
        guard rows > 0, columns > 0 else { return 0 }
        let (gaps, overflow) = (rows - 1).multipliedReportingOverflow(by: stride)
        let (sum, overflows) = gaps.addingReportingOverflow(columns)
        guard !overflow, !overflows else { throw .overflow }
        return sum
    }
}

extension Span {
    /// A pointer to the first element; nil for no span.
    static func withPointer<Result>(to span: Span?, _ body: (UnsafePointer<Element>?) -> Result) -> Result {
        guard let span else { return body(nil) }
        return span.withUnsafeBufferPointer { body($0.baseAddress) }
    }
}

extension ht_options {
    /// Options that say only how many threads a call may use.
    init(threads: Int) throws(HalftoneError) {
        guard let threads = CInt(exactly: threads), threads >= 0 else { throw .threads }
        self.init()
        self.threads = threads
    }

    /// The same, and the instruction set.
    init(threads: Int, isa: ISA) throws(HalftoneError) {
        try self.init(threads: threads)
        self.isa = isa.code
    }
}

/// An array that a call of the C library fills; it is empty when the call fails.
func array<Element: BitwiseCopyable>(
    count: Int, filledBy call: (UnsafeMutableRawPointer?) -> ht_status
) -> (ht_status, [Element]) {
    var status = HT_OK
    let values = [Element](unsafeUninitializedCapacity: count) { buffer, initialized in
        status = call(buffer.baseAddress)
        initialized = status == HT_OK ? count : 0
    }
    return (status, values)
}
