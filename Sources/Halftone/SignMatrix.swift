/// A matrix of signs, a bit each: the activations of a binary network, or weights before they are packed.
///
/// A set bit is -1, a clear one +1. The sign of a zero is +1, and so is that of a NaN. As an image it has a row for each
/// pixel and a column for each channel.
///
/// Where a product takes its bits as ``BitValues/zeroOne``, a set bit is 1 and a clear one 0.
public struct SignMatrix: Hashable, Sendable {
    /// Samples, pixels or outputs.
    public let rows: Int
    /// Signs of a row.
    public let columns: Int
    /// ``rows`` x ``wordsPerRow`` words. Column c of a row is bit c % 64 of word c / 64; bits behind the last are 0.
    public internal(set) var words: [UInt64]

    /// A matrix of +1.
    ///
    /// - Throws: ``HalftoneError/shape(_:)`` when a size is negative, ``HalftoneError/overflow``.
    public init(rows: Int, columns: Int) throws(HalftoneError) {
        self.rows = rows
        self.columns = columns
        words = [UInt64](repeating: 0, count: try Self.wordCount(rows: rows, columns: columns))
    }

    /// Takes over words that lie as in ``words``. Bits behind a row's last are cleared.
    ///
    /// - Throws: ``HalftoneError/shape(_:)`` unless there are ``rows`` x ``wordsPerRow`` words,
    ///   ``HalftoneError/overflow``.
    public init(rows: Int, columns: Int, words: [UInt64]) throws(HalftoneError) {
        let count = try Self.wordCount(rows: rows, columns: columns)
        guard words.count == count else {
            throw .shape("there are \(words.count) words, \(rows) x \(columns) signs need \(count)")
        }
        self.rows = rows
        self.columns = columns
        self.words = words
        clearTails()
    }

    private init(_ rows: Int, _ columns: Int, _ words: [UInt64]) {
        (self.rows, self.columns, self.words) = (rows, columns, words)
    }

    /// How many words a row takes: ⌈columns / 64⌉.
    public var wordsPerRow: Int { Self.words(for: columns) }

    /// 1 or -1. What is set may be any number: its sign counts.
    public subscript(row: Int, column: Int) -> Int {
        get { words[word(row, column)] >> UInt64(column % 64) & 1 == 0 ? 1 : -1 }
        set {
            let bit: UInt64 = 1 << UInt64(column % 64)
            let at = word(row, column)
            words[at] = newValue < 0 ? words[at] | bit : words[at] & ~bit
        }
    }

    /// The rows of a range, such as those of a group of filters. It must be inside the matrix.
    public subscript(rows range: Range<Int>) -> SignMatrix {
        precondition(0 <= range.lowerBound && range.upperBound <= rows, "no rows \(range) of \(rows)")
        return SignMatrix(
            range.count, columns, Array(words[range.lowerBound * wordsPerRow..<range.upperBound * wordsPerRow]))
    }

    /// The matrix with every sign turned; with bits that stand for zeros and ones, each becomes the other.
    public func negated() -> SignMatrix {
        var result = self
        for at in words.indices { result.words[at] = ~words[at] }
        result.clearTails()
        return result
    }
}

extension SignMatrix {
    /// Bytes from one row to the next.
    var byteStride: Int { wordsPerRow * MemoryLayout<UInt64>.stride }

    private static func words(for columns: Int) -> Int { columns / 64 + (columns % 64 == 0 ? 0 : 1) }

    private static func wordCount(rows: Int, columns: Int) throws(HalftoneError) -> Int {
        guard rows >= 0, columns >= 0 else { throw .shape("a matrix cannot be \(rows) x \(columns)") }
        let (count, overflow) = rows.multipliedReportingOverflow(by: words(for: columns))
        guard !overflow, count <= Int.max / MemoryLayout<UInt64>.stride else { throw .overflow }
        return count
    }

    private func word(_ row: Int, _ column: Int) -> Int {
        precondition(0..<rows ~= row && 0..<columns ~= column, "no sign at \(row), \(column) of \(rows) x \(columns)")
        return row * wordsPerRow + column / 64
    }

    private mutating func clearTails() {
        guard columns % 64 != 0 else { return }
        let present: UInt64 = (1 << UInt64(columns % 64)) - 1
        for last in stride(from: wordsPerRow - 1, to: words.count, by: wordsPerRow) { words[last] &= present }
    }
}

/// What the bits of a ``SignMatrix`` stand for in a product.
public enum BitValues: Hashable, Sendable, CaseIterable {
    /// 0 for +1, 1 for -1.
    case signs
    /// 0 for 0, 1 for 1, as in attention maps.
    case zeroOne

    var dataType: DataType { self == .signs ? .b1 : .u1 }
}
