import CHalftone

/// How a permutation is searched for with which a ``BiMask`` keeps many entries in its backward mask. Only the forward
/// mask matters to it, no magnitudes.
public struct BiMaskSearch: Hashable, Sendable {
    /// What is tried.
    public enum Method: Hashable, Sendable, CaseIterable {
        /// Again and again one row is taken out of every block of M places, and all of them are put back at once where
        /// they gain most, an exact linear assignment. Never loses.
        case assignment
        /// Two rows of different blocks are exchanged, at random, where that gains.
        case swaps
        /// The best of some random permutations, as published.
        case random
    }

    /// What a permutation is judged by: a block is M consecutive places of a column, with s entries.
    public enum Score: Hashable, Sendable, CaseIterable {
        /// The entries that survive, the sum over the blocks of min(N, s): the published code.
        case survivors
        /// The blocks that lose none, with s ≤ N: the published text.
        case eligibleBlocks
    }

    /// What is tried.
    public var method: Method
    /// What a permutation is judged by.
    public var score: Score
    /// The same seed gives the same permutation on every machine.
    public var seed: UInt64
    /// Assignments, tried swaps or candidates; nil for 100 candidates, 20 swaps a row, or assignments until they gain
    /// nearly nothing more.
    public var steps: Int?

    /// Our search by assignments, unless said otherwise.
    public init(method: Method = .assignment, score: Score = .survivors, seed: UInt64 = 0, steps: Int? = nil) {
        self.method = method
        self.score = score
        self.seed = seed
        self.steps = steps
    }

    /// Searches for a permutation of a matrix' outputs. Its score is never below that of the start.
    ///
    /// - Parameters:
    ///   - mask: the forward mask.
    ///   - pattern: that of the backward mask; what it shares does not matter.
    ///   - start: the permutation to begin with, as the last search left it; nil for the outputs' own order.
    ///   - threads: 1 for this thread only, 0 for all that the machine offers. Never changes the result.
    /// - Returns: the output at each place.
    /// - Throws: ``HalftoneError/permutation``, ``HalftoneError/shape(_:)`` when `start` has another length than the
    ///   mask has rows or `steps` is below 1, ``HalftoneError/overflow``, ``HalftoneError/threads``,
    ///   ``HalftoneError/memory``.
    public func permutation(
        for mask: NMMask, pattern: NMPattern, from start: [UInt32]? = nil, threads: Int = 0
    ) throws(HalftoneError) -> [UInt32] {
        try permutation(NMMatrixForm(rows: mask.rows, columns: mask.columns), mask, pattern, start, threads)
    }

    /// Searches for a permutation of filters, which stays inside each group of channels; see
    /// ``permutation(for:pattern:from:threads:)``.
    ///
    /// - Throws: as ``permutation(for:pattern:from:threads:)``; ``HalftoneError/shape(_:)`` when the mask is not of such
    ///   filters, ``HalftoneError/convolution``, ``HalftoneError/depthwise``.
    public func permutation(
        for mask: NMMask, shape: ConvShape, pattern: NMPattern, from start: [UInt32]? = nil, threads: Int = 0
    ) throws(HalftoneError) -> [UInt32] {
        try permutation(NMFilterForm(shape), mask, pattern, start, threads)
    }

    private func permutation(
        _ form: some BiMaskForm, _ mask: NMMask, _ pattern: NMPattern, _ start: [UInt32]?, _ threads: Int
    ) throws(HalftoneError) -> [UInt32] {
        try mask.check(rows: form.rows, columns: form.columns)
        try start?.check(outputs: form.rows)
        var rules = try code()
        var options = try ht_options(threads: threads)
        var permutation = start ?? (0..<UInt32(form.rows)).map { $0 }
        try HalftoneError.check(form.search(mask.bytes, pattern, &rules, &permutation, &options))
        return permutation
    }

    private func code() throws(HalftoneError) -> ht_bimask_rules {
        if let steps, steps < 1 { throw .shape("a search cannot have \(steps) steps") }
        return ht_bimask_rules(scorer: score.code, method: method.code, seed: seed, steps: steps ?? 0)
    }
}

extension NMMask {
    /// What a permutation of the outputs is worth to a backward mask inside this forward mask.
    ///
    /// - Parameters:
    ///   - permutation: the output at each place; nil for their own order.
    ///   - pattern: that of the backward mask; what it shares does not matter.
    ///   - threads: 1 for this thread only, 0 for all that the machine offers.
    /// - Throws: ``HalftoneError/permutation``, ``HalftoneError/shape(_:)`` when `permutation` has another length than the
    ///   mask has rows, ``HalftoneError/overflow``, ``HalftoneError/threads``, ``HalftoneError/memory``.
    public func score(
        _ score: BiMaskSearch.Score = .survivors, of permutation: [UInt32]? = nil, pattern: NMPattern, threads: Int = 0
    ) throws(HalftoneError) -> Int {
        try self.score(score, NMMatrixForm(rows: rows, columns: columns), permutation, pattern, threads)
    }

    /// The same for a mask of filters. A permutation stays inside each group of channels.
    ///
    /// - Throws: as ``score(_:of:pattern:threads:)``; ``HalftoneError/shape(_:)`` when the mask is not of such filters,
    ///   ``HalftoneError/convolution``, ``HalftoneError/depthwise``.
    public func score(
        _ score: BiMaskSearch.Score = .survivors, of permutation: [UInt32]? = nil, shape: ConvShape, pattern: NMPattern,
        threads: Int = 0
    ) throws(HalftoneError) -> Int {
        try self.score(score, NMFilterForm(shape), permutation, pattern, threads)
    }

    private func score(
        _ score: BiMaskSearch.Score, _ form: some BiMaskForm, _ permutation: [UInt32]?, _ pattern: NMPattern,
        _ threads: Int
    ) throws(HalftoneError) -> Int {
        try check(rows: form.rows, columns: form.columns)
        try permutation?.check(outputs: form.rows)
        var options = try ht_options(threads: threads)
        var sum: UInt64 = 0
        try HalftoneError.check(form.score(bytes, pattern, score.code, permutation, &sum, &options))
        return Int(sum)
    }
}

// MARK: - For the C library

extension BiMaskSearch.Method {
    fileprivate var code: ht_bimask_method {
        switch self {
        case .assignment: HT_BIMASK_ASSIGNMENT
        case .swaps: HT_BIMASK_SWAPS
        case .random: HT_BIMASK_RANDOM
        }
    }
}

extension BiMaskSearch.Score {
    fileprivate var code: ht_bimask_scorer {
        switch self {
        case .survivors: HT_BIMASK_SURVIVORS
        case .eligibleBlocks: HT_BIMASK_ELIGIBLE
        }
    }
}
