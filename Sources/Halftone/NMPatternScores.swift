import CHalftone

/// A score for each way to keep N of the M weights of a group, from which training learns the mask.
///
/// While several ways are left in a group the mask keeps all weights that any of them keeps; at the end one is left, and
/// the mask is N:M. ``remaining(of:at:)`` is the published schedule.
///
/// Method: Zhang et al. 2022, "Learning best combination for efficient N:M sparsity" (LBC).
public struct NMPatternScores: Hashable, Sendable {
    /// N:M without shared rows or taps.
    public let pattern: NMPattern
    /// Rows of the weights.
    public let rows: Int
    /// Columns of the weights.
    public let columns: Int
    /// The ways to keep N of M weights, M! / (N! (M - N)!).
    public let ways: Int
    /// A row for each row of the weights: for each of its ⌈columns / M⌉ groups ``ways`` scores, in ascending order of the
    /// number whose bit j is column j. A way that is removed has -∞. An optimizer moves the others.
    public var scores: [Float]

    /// Equal scores of all ways, such that those that keep a weight sum to 1.
    ///
    /// - Throws: ``HalftoneError/pattern`` for more than 4096 ways, M > 16 and shared rows or taps,
    ///   ``HalftoneError/shape(_:)`` when a size is negative, ``HalftoneError/overflow``.
    public init(rows: Int, columns: Int, pattern: NMPattern) throws(HalftoneError) {
        try pattern.checkUnshared()
        guard rows >= 0, columns >= 0 else { throw .shape("a matrix cannot be \(rows) x \(columns)") }
        var ways = 0
        try HalftoneError.check(ht_nm_pattern_count(pattern.n, pattern.m, &ways))
        let groups = columns / pattern.m + (columns % pattern.m == 0 ? 0 : 1)
        let (rowCount, overflow) = groups.multipliedReportingOverflow(by: ways)
        let (count, overflows) = rows.multipliedReportingOverflow(by: rowCount)
        guard !overflow, !overflows else { throw .overflow }
        var scores = [Float](repeating: 0, count: count)
        try HalftoneError.check(ht_nm_pattern_scores_f32(rows, columns, pattern.n, pattern.m, &scores, 0))
        (self.pattern, self.rows, self.columns, self.ways, self.scores) = (pattern, rows, columns, ways, scores)
    }

    /// How many of so many ways the published schedule leaves at a time: 1 + ⌈(ways - 1) (1 - progress)³⌉.
    ///
    /// - Parameters:
    ///   - ways: all of them.
    ///   - progress: from 0, where it begins, to 1, where it ends.
    public static func remaining(of ways: Int, at progress: Double) -> Int {
        ht_nm_pattern_schedule(max(ways, 1), progress)
    }

    /// Removes the ways with the lowest scores in each group until so many are left, and returns the mask of all weights
    /// that those keep.
    ///
    /// - Parameters:
    ///   - remaining: at least 1 is left.
    ///   - threads: 1 for this thread only, 0 for all that the machine offers.
    /// - Throws: ``HalftoneError/shape(_:)`` when ``scores`` has another number of values than at first or `remaining`
    ///   is below 1, ``HalftoneError/threads``.
    public mutating func mask(remaining: Int, threads: Int = 0) throws(HalftoneError) -> NMMask {
        guard remaining >= 1 else { throw .shape("there cannot remain \(remaining) ways") }
        try check()
        var options = try ht_options(threads: threads)
        return try NMMask(rows: rows, columns: columns) { bits in
            ht_nm_pattern_mask_f32(rows, columns, pattern.n, pattern.m, remaining, &scores, 0, bits, 0, &options)
        }
    }

    /// The gradient of the scores, straight through the mask: for each way that remains the sum over its columns c of
    /// dW(c) w(c) / s(c), with s(c) the sum of the remaining scores that keep c; 0 where one way is left.
    ///
    /// - Parameters:
    ///   - weights: ``rows`` x ``columns`` values, row-major.
    ///   - gradient: of the masked weights, likewise.
    ///   - threads: 1 for this thread only, 0 for all that the machine offers.
    /// - Returns: a value for each of ``scores``.
    /// - Throws: ``HalftoneError/shape(_:)`` when an operand is too short or ``scores`` has another number of values than
    ///   at first, ``HalftoneError/threads``.
    public func gradient(
        weights: Span<Float>, gradient: Span<Float>, threads: Int = 0
    ) throws(HalftoneError) -> [Float] {
        try check()
        _ = try Operand("weights hold", count: weights.count, of: Float.self, rows: rows, columns: columns)
        _ = try Operand("the gradient holds", count: gradient.count, of: Float.self, rows: rows, columns: columns)
        var options = try ht_options(threads: threads)
        let (status, result): (ht_status, [Float]) = weights.withUnsafeBufferPointer { w in
            gradient.withUnsafeBufferPointer { dw in
                array(count: scores.count) { to in
                    ht_nm_pattern_gradient_f32(
                        rows, columns, pattern.n, pattern.m, w.baseAddress, 0, dw.baseAddress, 0, scores, 0,
                        to?.typed(), 0, &options)
                }
            }
        }
        try HalftoneError.check(status)
        return result
    }

    private func check() throws(HalftoneError) {
        let groups = columns / pattern.m + (columns % pattern.m == 0 ? 0 : 1)
        guard scores.count == rows * groups * ways else {
            throw .shape("there are \(scores.count) scores, \(rows * groups) groups need \(rows * groups * ways)")
        }
    }
}
