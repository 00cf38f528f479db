/// An N:M sparsity pattern: of each M consecutive weights of a row, at most N are kept.
///
/// Groups never cross a row. When a row's length is not a multiple of M, its last group is shorter and keeps at most N
/// of what it has. N = M is a dense matrix.
public struct NMPattern: Hashable, Sendable {
    /// How many weights of a group are kept.
    public let n: Int
    /// How many consecutive weights form a group.
    public let m: Int

    /// The largest group that the library knows.
    public static let largestGroup = 64

    /// The pattern n:m, as in `NMPattern(2, of: 4)`.
    ///
    /// - Throws: ``HalftoneError/pattern`` unless 1 ≤ n ≤ m ≤ 64.
    public init(_ n: Int, of m: Int) throws(HalftoneError) {
        guard 1 <= n, n <= m, m <= Self.largestGroup else { throw .pattern }
        self.n = n
        self.m = m
    }

    /// The share of the weights that is kept, N / M.
    public var density: Double { Double(n) / Double(m) }
}

extension NMPattern: LosslessStringConvertible {
    /// The pattern that a text such as `"2:4"` stands for; nil when it stands for none.
    public init?(_ description: String) {
        let parts = description.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, let n = Int(parts[0]), let m = Int(parts[1]) else { return nil }
        guard let pattern = try? NMPattern(n, of: m) else { return nil }
        self = pattern
    }

    /// `"2:4"`.
    public var description: String { "\(n):\(m)" }
}
