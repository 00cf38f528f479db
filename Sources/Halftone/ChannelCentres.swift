import CHalftone

/// Rows of signs that latent weights are pulled to while a network is trained, so that the rows of a cluster resemble each
/// other and a ``ChannelTree`` over them becomes short.
///
/// Method: Vo et al. 2023, "MST-compression" (ICCV), which pulls filters to centres; that a centre is what most rows have
/// at each place, and the gradient, are ours.
public struct ChannelCentres: Hashable, Sendable {
    /// A row for each cluster: at each place the sign that most of its rows have there, +1 where as many have either or
    /// there are none.
    public private(set) var signs: SignMatrix
    /// For each row of the weights the number of its cluster; nil for 0.
    public let clusters: [Int32]?

    /// The centres of the rows as they are now. The sign of a zero and of a NaN is +1.
    ///
    /// - Parameters:
    ///   - w: `rows` x `columns` values, row-major.
    ///   - rows: outputs.
    ///   - columns: inputs.
    ///   - rowStride: elements from one row to the next; nil for rows without a gap.
    ///   - clusters: for each row a number below `count`; nil for 0.
    ///   - count: of clusters.
    ///   - threads: 1 for this thread only, 0 for all that the machine offers. Never changes a bit of a result.
    /// - Throws: ``HalftoneError/shape(_:)`` when `w` is too short, there are not as many `clusters` as rows, or a size
    ///   is negative, ``HalftoneError/tree`` for a cluster out of range, ``HalftoneError/stride``,
    ///   ``HalftoneError/overflow``, ``HalftoneError/threads``, ``HalftoneError/memory``.
    public init(
        of w: Span<Float>, rows: Int, columns: Int, rowStride: Int? = nil, clusters: [Int32]? = nil, count: Int = 1,
        threads: Int = 0
    ) throws(HalftoneError) {
        let stride = try SignMatrix.operand(w.count, of: Float.self, rows, columns, rowStride, name: "W").byteStride
        try Self.check(clusters, for: rows)
        var options = try ht_options(threads: threads)
        signs = try SignMatrix(rows: count, columns: columns)
        self.clusters = clusters
        let centreStride = signs.byteStride
        let status = w.withUnsafeBufferPointer { w in
            withPointer(to: clusters) { clusters in
                ht_mst_centres(
                    rows, columns, w.baseAddress, stride, count, clusters, &signs.words, centreStride, &options)
            }
        }
        try HalftoneError.check(status)
    }

    /// The centres of an array; see the variant over spans.
    public init(
        of w: [Float], rows: Int, columns: Int, clusters: [Int32]? = nil, count: Int = 1, threads: Int = 0
    ) throws(HalftoneError) {
        try self.init(of: w.span, rows: rows, columns: columns, clusters: clusters, count: count, threads: threads)
    }

    static func check(_ clusters: [Int32]?, for rows: Int) throws(HalftoneError) {
        guard let clusters, clusters.count != rows else { return }
        throw .shape("there are \(clusters.count) clusters, \(rows) rows need \(rows)")
    }
}
