import CHalftone

/// Which row of a matrix of signs each is computed from: where few signs differ, a sum needs few additions. Rows are the
/// outputs of a layer, or those of a group of channels, with a column for each input.
///
/// Where row c differs from row p in the places D, its sum is that of p plus twice the sum over D of x · w of row c. A tree
/// has an edge from each row to the one that it is computed from, as long as D has places, but for roots, which are
/// computed by themselves. A ``BinaryMatrix`` or ``BinaryFilters`` that is packed along a tree gives the results of any
/// other.
///
/// Method: Vo, Tran, Bae, Kim and Hong 2023, "MST-compression: Compressing and accelerating binary neural networks with
/// minimum spanning tree" (ICCV). Complement edges and several trees are ours.
public struct ChannelTree: Hashable, Sendable {
    /// For each row the number of the one that it is computed from, -1 for a root.
    public let parents: [Int32]

    /// A tree, or several, from elsewhere.
    ///
    /// - Parameter parents: for each row the number of another, or -1.
    /// - Throws: ``HalftoneError/tree`` when a number is neither, or rows are computed from each other in a circle,
    ///   ``HalftoneError/overflow`` for more rows than an `Int32` counts, ``HalftoneError/memory``.
    public init(parents: [Int32]) throws(HalftoneError) {
        self.parents = parents
        // What measures a tree checks it, even one over rows without signs.
        _ = try figures(for: SignMatrix(rows: parents.count, columns: 0))
    }

    /// The shortest tree over rows of signs under some rules, rooted at its centre, so that it is as low as it can be. Of
    /// several that are as short the choice is the same for any number of threads and on every instruction set.
    ///
    /// Growing takes the time of a product of the signs with themselves, and 2 · rows² bytes of memory, from 32768 columns
    /// on twice as many.
    ///
    /// - Parameters:
    ///   - signs: outputs by inputs.
    ///   - rules: what tree it may be.
    ///   - threads: 1 for this thread only, 0 for all that the machine offers.
    ///   - isa: the instruction set to use.
    /// - Throws: ``HalftoneError/shape(_:)`` when a depth or a number of trees is below 1, ``HalftoneError/overflow``,
    ///   ``HalftoneError/threads``, ``HalftoneError/isa``, ``HalftoneError/memory``.
    public init(
        growing signs: SignMatrix, rules: Rules = Rules(), threads: Int = 0, isa: ISA = .automatic
    ) throws(HalftoneError) {
        var code = try rules.code()
        var options = try ht_options(threads: threads, isa: isa)
        var parents = [Int32](repeating: -1, count: signs.rows)
        try HalftoneError.check(
            ht_mst_grow(signs.rows, signs.columns, signs.words, signs.byteStride, &code, &parents, &options))
        self.parents = parents
    }

    /// The shortest trees over filters, one for each group of channels; see ``init(growing:rules:threads:isa:)``.
    ///
    /// - Parameters:
    ///   - filters: OHWI, as ``BinaryFilters/init(packing:shape:design:)`` takes them.
    ///   - shape: the convolution that they are for.
    ///   - rules: what tree each may be.
    ///   - threads: 1 for this thread only, 0 for all that the machine offers.
    ///   - isa: the instruction set to use.
    /// - Returns: for each group a tree over its ``ConvShape/outputs`` / ``ConvShape/groups`` rows, numbered from 0.
    /// - Throws: as ``init(growing:rules:threads:isa:)``; ``HalftoneError/shape(_:)`` when `filters` has another shape or
    ///   `shape` has a number that no convolution has, ``HalftoneError/convolution``.
    public static func growing(
        _ filters: SignMatrix, shape: ConvShape, rules: Rules = Rules(), threads: Int = 0, isa: ISA = .automatic
    ) throws(HalftoneError) -> [ChannelTree] {
        try shape.check(filters: filters)
        let outputs = shape.outputs / shape.groups
        var trees: [ChannelTree] = []
        for group in 0..<shape.groups {
            let rows = filters[rows: group * outputs..<(group + 1) * outputs]
            trees.append(try ChannelTree(growing: rows, rules: rules, threads: threads, isa: isa))
        }
        return trees
    }

    /// Throws unless the tree is one of so many rows.
    func check(rows: Int) throws(HalftoneError) {
        guard parents.count == rows else { throw .shape("the tree has \(parents.count) rows, the signs have \(rows)") }
    }
}

// MARK: - Rules

extension ChannelTree {
    /// What tree it may be that grows.
    public struct Rules: Hashable, Sendable {
        /// Whether a row may be computed from the negation of another: an edge is then min(d, columns - d) long where
        /// its ends differ in d signs. Packing does so whatever a tree was grown for.
        public var complement: Bool
        /// Edges from a root to the farthest row at most, 1 for stars; nil for no limit. Where the shortest tree is
        /// deeper, a heuristic finds one that is not: it begins with the row that all others together are nearest to.
        public var maxDepth: Int?
        /// How many trees there are, each with a root, or as many as rows: the shortest one loses its longest edges.
        public var trees: Int

        /// One tree of any depth without complements, unless said otherwise.
        public init(complement: Bool = false, maxDepth: Int? = nil, trees: Int = 1) {
            self.complement = complement
            self.maxDepth = maxDepth
            self.trees = trees
        }

        /// The C library's form, which takes zeros as defaults.
        func code() throws(HalftoneError) -> ht_mst_rules {
            if let maxDepth, maxDepth < 1 { throw .shape("a tree cannot be \(maxDepth) edges deep at most") }
            guard trees >= 1 else { throw .shape("there cannot be \(trees) trees") }
            return ht_mst_rules(complement: complement ? 1 : 0, max_depth: maxDepth ?? 0, trees: trees)
        }
    }
}
