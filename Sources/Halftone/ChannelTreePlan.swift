import CHalftone

extension ChannelTree {
    /// Whether trees are worth their while: what one thread needs in each design, by a model, and which to pack for.
    ///
    /// The cycles are those of a model that was measured on Zen 5. Machines without the kernels of a design have none for
    /// it, and the direct one is then the design of every plan.
    public struct Plan: Hashable, Sendable {
        /// What to pack for: ``BinaryDesign/direct``, or a design that is faster by more than the model's error, 5 %. Where
        /// it is ``BinaryDesign/tree``, that is ``BinaryMatrix/init(packing:tree:)`` or
        /// ``BinaryFilters/init(packing:shape:trees:)``.
        public let design: BinaryDesign
        /// The cycles of each design that there is for the operands on this machine; ``BinaryDesign/automatic`` has those of
        /// ``design``. Of filters of several groups those of one group.
        public let cycles: [BinaryDesign: Double]
        /// How many times as fast as the direct design: 1 at least.
        public let gain: Double
    }

    /// Whether a product with weights of signs is worth this tree.
    ///
    /// - Parameters:
    ///   - signs: outputs by inputs.
    ///   - rows: those of X.
    ///   - output: the type of Y: ``DataType/b1`` with a ``BinaryThreshold``, or any other for numbers, whatever it is.
    /// - Throws: ``HalftoneError/shape(_:)`` when the tree has not as many rows as the signs or `rows` is negative,
    ///   ``HalftoneError/overflow``, ``HalftoneError/memory``.
    public func plan(for signs: SignMatrix, rows: Int, output: DataType = .b1) throws(HalftoneError) -> Plan {
        try check(rows: signs.rows)
        guard rows >= 0 else { throw .shape("there cannot be \(rows) rows") }
        var plan = ht_mst_plan()
        try HalftoneError.check(
            ht_mst_plan_gemm(
                rows, signs.rows, signs.columns, signs.words, signs.byteStride, parents, output.code, &plan))
        return Plan(plan)
    }

    /// Whether a convolution with filters of signs is worth trees.
    ///
    /// - Parameters:
    ///   - trees: one for each group of channels, as ``growing(_:shape:rules:threads:isa:)`` finds them.
    ///   - filters: OHWI, as ``BinaryFilters/init(packing:shape:trees:)`` takes them.
    ///   - shape: the convolution, its height and width included.
    ///   - output: the type of Y: ``DataType/b1`` with a ``BinaryThreshold``, or any other for numbers, whatever it is.
    /// - Throws: as ``BinaryFilters/init(packing:shape:trees:)``.
    public static func plan(
        _ trees: [ChannelTree], for filters: SignMatrix, shape: ConvShape, output: DataType = .b1
    ) throws(HalftoneError) -> Plan {
        let parents = try parents(of: trees, for: filters, shape: shape)
        var code = try shape.code()
        var plan = ht_mst_plan()
        try HalftoneError.check(
            ht_mst_plan_conv(&code, filters.words, filters.byteStride, parents, output.code, &plan))
        return Plan(plan)
    }

    /// Those of all groups. Throws unless trees and filters are for a convolution.
    static func parents(
        of trees: [ChannelTree], for filters: SignMatrix, shape: ConvShape
    ) throws(HalftoneError) -> [Int32] {
        try shape.check(filters: filters)
        guard trees.count == shape.groups else {
            throw .shape("there are \(trees.count) trees for \(shape.groups) groups")
        }
        for tree in trees { try tree.check(rows: shape.outputs / shape.groups) }
        return trees.flatMap(\.parents)
    }
}

extension ChannelTree.Plan {
    fileprivate init(_ code: ht_mst_plan) {
        let all = withUnsafeBytes(of: code.cycles) { Array($0.bindMemory(to: Double.self)) }
        let known = BinaryDesign.allCases.map { ($0, all[Int($0.code.rawValue)]) }.filter { $0.1.isFinite }
        design = BinaryDesign(code.design) ?? .direct
        cycles = Dictionary(uniqueKeysWithValues: known)
        gain = code.gain
    }
}
