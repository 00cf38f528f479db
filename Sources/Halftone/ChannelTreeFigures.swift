import CHalftone

extension ChannelTree {
    /// What a tree, or several, saves over the rows of a matrix.
    public struct Figures: Hashable, Sendable {
        /// Rows that are computed from no other.
        public let roots: Int
        /// Edges from a root to the farthest row.
        public let depth: Int
        /// The longest edge, in signs.
        public let longest: Int
        /// All edges together, in signs.
        public let distance: Int
        /// The length of an edge on average, as a share of the columns; 0 where there are no edges or no columns.
        public let meanDistance: Double
        /// Additions against those of computing each row by itself: (roots · columns + distance) / (rows · columns); 1
        /// where there are none.
        public let operationRatio: Double
        /// Bits against those of all rows: of the roots, and for each edge of its parent and of the places that differ,
        /// log2 of their number each, rounded up. With complements an edge has one bit more.
        public let parameterRatio: Double
    }

    /// The figures of this tree over the rows of a matrix, of which it need not be the shortest.
    ///
    /// - Parameters:
    ///   - signs: outputs by inputs; of filters the rows of one group, ``SignMatrix/subscript(rows:)``.
    ///   - complement: whether an edge between rows that differ in more than half of their signs counts as its
    ///     complement, as packing has it.
    /// - Throws: ``HalftoneError/shape(_:)`` when there are not as many rows, ``HalftoneError/overflow``,
    ///   ``HalftoneError/memory``.
    public func figures(for signs: SignMatrix, complement: Bool = false) throws(HalftoneError) -> Figures {
        try check(rows: signs.rows)
        var rules = try Rules(complement: complement).code()
        var figures = ht_mst_figures()
        try HalftoneError.check(
            ht_mst_measure(signs.rows, signs.columns, signs.words, signs.byteStride, parents, &rules, &figures))
        return Figures(figures)
    }
}

extension ChannelTree.Figures {
    fileprivate init(_ code: ht_mst_figures) {
        self.init(
            roots: code.roots, depth: code.depth, longest: code.longest, distance: Int(code.distance),
            meanDistance: code.mean_distance, operationRatio: code.operation_ratio,
            parameterRatio: code.parameter_ratio)
    }
}
