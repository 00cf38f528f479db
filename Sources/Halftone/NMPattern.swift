import CHalftone

/// An N:M sparsity pattern: of each M consecutive weights of a row, at most N are kept.
///
/// Groups never cross a row. When a row's length is not a multiple of M, its last group is shorter and keeps at most N
/// of what it has. N = M is a dense matrix.
///
/// Rows can share their pattern: with 2, 4 or 8 shared rows each set of so many consecutive rows keeps the same columns
/// (the last rows form a smaller set where that does not divide them). Products then read fewer indices.
///
/// In the filters of a convolution the groups are of input channels and begin anew at each tap; the rows are the
/// filters. The taps of a filter can share their pattern too.
public struct NMPattern: Hashable, Sendable {
    /// How many weights of a group are kept.
    public let n: Int
    /// How many consecutive weights form a group.
    public let m: Int
    /// How many consecutive rows keep the same columns: 2, 4 or 8, or 1 when each has its own.
    public let sharedRows: Int
    /// Whether all taps of a filter keep the same channels; a matrix has one tap.
    public let sharedTaps: Bool

    /// The largest group that the library knows.
    public static let largestGroup = 64

    /// The pattern n:m, as in `NMPattern(2, of: 4)`, shared by each so many rows and by the taps of a filter or not.
    ///
    /// - Throws: ``HalftoneError/pattern`` unless 1 ≤ n ≤ m ≤ 64 and `sharedRows` is 1, 2, 4 or 8.
    public init(_ n: Int, of m: Int, sharedRows: Int = 1, sharedTaps: Bool = false) throws(HalftoneError) {
        guard 1 <= n, n <= m, m <= Self.largestGroup, [1, 2, 4, 8].contains(sharedRows) else { throw .pattern }
        self.n = n
        self.m = m
        self.sharedRows = sharedRows
        self.sharedTaps = sharedTaps
    }

    /// The share of the weights that is kept, N / M.
    public var density: Double { Double(n) / Double(m) }
}

extension NMPattern {
    /// The C library's options for preparing weights under this pattern.
    func options(threads: Int) throws(HalftoneError) -> ht_options {
        var options = try ht_options(threads: threads)
        options.shared_rows = CInt(sharedRows)
        options.shared_taps = sharedTaps ? 1 : 0
        return options
    }

    /// Throws for patterns that rows or taps share.
    func checkUnshared() throws(HalftoneError) {
        guard sharedRows == 1, !sharedTaps else { throw .pattern }
    }
}

extension NMPattern: LosslessStringConvertible {
    private static let tapsSuffix = ":taps"

    /// The pattern that a text such as `"2:4"` stands for, `"2:4:8"` with 8 shared rows, or one of these with `":taps"`
    /// behind it where taps share it too; nil when it stands for none.
    public init?(_ description: String) {
        let sharedTaps = description.hasSuffix(Self.tapsSuffix)
        let parts = description.dropLast(sharedTaps ? Self.tapsSuffix.count : 0)
            .split(separator: ":", omittingEmptySubsequences: false)
        let numbers = parts.compactMap { Int($0) }
        guard numbers.count == parts.count, 2...3 ~= numbers.count, numbers.count == 2 || numbers[2] > 1 else {
            return nil
        }
        let sharedRows = numbers.count == 2 ? 1 : numbers[2]
        let pattern = try? NMPattern(numbers[0], of: numbers[1], sharedRows: sharedRows, sharedTaps: sharedTaps)
        guard let pattern else { return nil }
        self = pattern
    }

    /// `"2:4"`, `"2:4:8"` with 8 shared rows, `"2:4:8:taps"` with shared taps too.
    public var description: String {
        "\(n):\(m)" + (sharedRows > 1 ? ":\(sharedRows)" : "") + (sharedTaps ? Self.tapsSuffix : "")
    }
}
