import CHalftone

/// An N:M sparsity pattern: of each M consecutive weights of a row, at most N are kept.
///
/// Groups never cross a row. When a row's length is not a multiple of M, its last group is shorter and keeps at most N
/// of what it has. N = M is a dense matrix.
///
/// Rows can share their pattern: with 2, 4 or 8 shared rows each set of so many consecutive rows keeps the same columns
/// (the last rows form a smaller set where that does not divide them). Products then read fewer indices.
public struct NMPattern: Hashable, Sendable {
    /// How many weights of a group are kept.
    public let n: Int
    /// How many consecutive weights form a group.
    public let m: Int
    /// How many consecutive rows keep the same columns: 2, 4 or 8, or 1 when each has its own.
    public let sharedRows: Int

    /// The largest group that the library knows.
    public static let largestGroup = 64

    /// The pattern n:m, as in `NMPattern(2, of: 4)`, shared by each so many rows.
    ///
    /// - Throws: ``HalftoneError/pattern`` unless 1 ≤ n ≤ m ≤ 64 and `sharedRows` is 1, 2, 4 or 8.
    public init(_ n: Int, of m: Int, sharedRows: Int = 1) throws(HalftoneError) {
        guard 1 <= n, n <= m, m <= Self.largestGroup, [1, 2, 4, 8].contains(sharedRows) else { throw .pattern }
        self.n = n
        self.m = m
        self.sharedRows = sharedRows
    }

    /// The share of the weights that is kept, N / M.
    public var density: Double { Double(n) / Double(m) }
}

extension NMPattern {
    /// The C library's options for preparing weights under this pattern.
    func options(threads: Int) throws(HalftoneError) -> ht_options {
        var options = try ht_options(threads: threads)
        options.shared_rows = CInt(sharedRows)
        return options
    }
}

extension NMPattern: LosslessStringConvertible {
    /// The pattern that a text such as `"2:4"`, or `"2:4:8"` with 8 shared rows, stands for; nil when it stands for none.
    public init?(_ description: String) {
        let parts = description.split(separator: ":", omittingEmptySubsequences: false)
        let numbers = parts.compactMap { Int($0) }
        guard numbers.count == parts.count, 2...3 ~= numbers.count, numbers.count == 2 || numbers[2] > 1,
            let pattern = try? NMPattern(numbers[0], of: numbers[1], sharedRows: numbers.count == 2 ? 1 : numbers[2])
        else { return nil }
        self = pattern
    }

    /// `"2:4"`, or `"2:4:8"` with 8 shared rows.
    public var description: String { "\(n):\(m)" + (sharedRows > 1 ? ":\(sharedRows)" : "") }
}
