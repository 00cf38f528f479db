import CHalftone

/// How somebody else packs signs into bytes, a row into ⌈columns / 8⌉ of them.
public struct BitFormat: Hashable, Sendable {
    /// Which bit of a byte is the first.
    public enum Order: Hashable, Sendable {
        /// The one of value 1, NumPy's `bitorder="little"`.
        case lowestFirst
        /// The one of value 128, NumPy's `bitorder="big"`, its default.
        case highestFirst
    }

    /// Which bit of a byte is the first.
    public var order: Order
    /// Whether a set bit is +1 and a clear one -1; else it is the other way round.
    public var oneIsPlus: Bool

    /// As ``SignMatrix/words`` have it on a little-endian machine, unless said otherwise.
    public init(order: Order = .lowestFirst, oneIsPlus: Bool = false) {
        self.order = order
        self.oneIsPlus = oneIsPlus
    }

    var code: ht_bit_format {
        ht_bit_format(big_endian: order == .highestFirst ? 1 : 0, one_is_plus: oneIsPlus ? 1 : 0)
    }
}

extension SignMatrix {
    /// Reads rows of bytes in another format. What lies behind a row's last bit does not matter.
    ///
    /// - Parameters:
    ///   - bytes: `rows` rows of ⌈`columns` / 8⌉ bytes.
    ///   - rowStride: bytes from one row to the next; nil for rows without a gap.
    ///   - format: what the bits are.
    /// - Throws: ``HalftoneError/shape(_:)`` when there are too few bytes or a size is negative,
    ///   ``HalftoneError/stride``, ``HalftoneError/overflow``.
    public init(
        bytes: Span<UInt8>, rows: Int, columns: Int, rowStride: Int? = nil, format: BitFormat
    ) throws(HalftoneError) {
        let from = try Operand(
            "the bits hold", count: bytes.count, of: UInt8.self, rows: rows, columns: Self.bytes(for: columns),
            rowStride: rowStride)
        try self.init(rows: rows, columns: columns)
        var code = format.code
        let bitStride = byteStride
        let status = bytes.withUnsafeBufferPointer { bytes in
            ht_bits_import(rows, columns, &code, bytes.baseAddress, from.byteStride, &words, bitStride, nil)
        }
        try HalftoneError.check(status)
    }

    /// Reads an array of bytes; see the variant over spans.
    public init(bytes: [UInt8], rows: Int, columns: Int, format: BitFormat) throws(HalftoneError) {
        try self.init(bytes: bytes.span, rows: rows, columns: columns, format: format)
    }

    /// Rows of ⌈columns / 8⌉ bytes in another format. The bits behind a row's last are those of +1.
    ///
    /// - Throws: ``HalftoneError/overflow`` when they are too many to be addressed.
    public func bytes(format: BitFormat) throws(HalftoneError) -> [UInt8] {
        let (count, overflow) = rows.multipliedReportingOverflow(by: Self.bytes(for: columns))
        guard !overflow else { throw .overflow }
        var code = format.code
        let (status, bytes): (ht_status, [UInt8]) = array(count: count) { bytes in
            ht_bits_export(rows, columns, &code, words, byteStride, bytes?.typed(), 0, nil)
        }
        try HalftoneError.check(status)
        return bytes
    }

    private static func bytes(for columns: Int) -> Int { columns / 8 + (columns % 8 == 0 ? 0 : 1) }
}
