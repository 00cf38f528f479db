import CHalftone

extension ChannelTree {
    /// Adds the gradient of a penalty that shortens the edges of this tree, for latent weights whose signs the rows are:
    ///
    /// strength · Σ over the edges Σ over the columns (1 - clip(a) · clip(b)) / 2, with the weights a and b of both ends
    /// and clip(w) = max(-1, min(1, w)), which is strength · distance where all weights are ±1.
    ///
    /// Each end feels -strength · clip(other) / 2 where it lies within ±1, and nothing elsewhere; a NaN pulls nothing.
    /// Complements have no part in it: ends that are opposite are pulled towards each other too. That training pulls
    /// filters together is Vo et al. 2023; this gradient of the tree's own edges is ours.
    ///
    /// - Parameters:
    ///   - w: a row of `columns` values for each row of the tree, row-major.
    ///   - columns: of both operands.
    ///   - rowStride: elements from one row to the next; nil for rows without a gap.
    ///   - strength: what a sign that differs counts for.
    ///   - gradient: as many values, which are added to: of a row first its parent's share, then those of its children
    ///     in the order of their numbers. A gap between its rows is not touched.
    ///   - gradientStride: as `rowStride`, of the gradient.
    ///   - threads: 1 for this thread only, 0 for all that the machine offers. Never changes a bit of a result.
    /// - Throws: ``HalftoneError/shape(_:)`` when an operand is too short or `columns` negative,
    ///   ``HalftoneError/stride``, ``HalftoneError/overflow``, ``HalftoneError/threads``, ``HalftoneError/memory``.
    public func addGradient(
        of w: Span<Float>, columns: Int, rowStride: Int? = nil, strength: Float, to gradient: inout MutableSpan<Float>,
        gradientStride: Int? = nil, threads: Int = 0
    ) throws(HalftoneError) {
        let rows = parents.count
        var options = try ht_options(threads: threads)
        try withLatentRows(w, rowStride, &gradient, gradientStride, rows: rows, columns: columns) { w, gradient in
            ht_mst_edge_gradient_f32(
                rows, columns, w.start, w.stride, parents, strength, gradient.start, gradient.stride, &options)
        }
    }

    /// Adds the gradient of arrays; see the variant over spans.
    public func addGradient(
        of w: [Float], columns: Int, strength: Float, to gradient: inout [Float], threads: Int = 0
    ) throws(HalftoneError) {
        var span = gradient.mutableSpan
        try addGradient(of: w.span, columns: columns, strength: strength, to: &span, threads: threads)
    }
}

extension ChannelCentres {
    /// Adds the gradient of a penalty that pulls rows to their centres c:
    ///
    /// strength · Σ over the rows Σ over the columns (1 - c · clip(w)) / 2, with clip(w) = max(-1, min(1, w)), which is
    /// strength · distance where all weights are ±1.
    ///
    /// It is -strength · c / 2 where |w| ≤ 1, and 0 elsewhere and for a NaN. That training pulls filters to a centre is Vo
    /// et al. 2023; this gradient is ours.
    ///
    /// - Parameters:
    ///   - w: `rows` rows of as many values as ``signs`` has columns, row-major.
    ///   - rows: as many as ``clusters`` has numbers; any number where it is nil.
    ///   - rowStride: elements from one row to the next; nil for rows without a gap.
    ///   - strength: what a sign that differs counts for.
    ///   - gradient: as many values, which are added to. A gap between its rows is not touched.
    ///   - gradientStride: as `rowStride`, of the gradient.
    ///   - threads: 1 for this thread only, 0 for all that the machine offers. Never changes a bit of a result.
    /// - Throws: ``HalftoneError/shape(_:)`` when an operand is too short or there are other rows,
    ///   ``HalftoneError/stride``, ``HalftoneError/overflow``, ``HalftoneError/threads``, ``HalftoneError/memory``.
    public func addGradient(
        of w: Span<Float>, rows: Int, rowStride: Int? = nil, strength: Float, to gradient: inout MutableSpan<Float>,
        gradientStride: Int? = nil, threads: Int = 0
    ) throws(HalftoneError) {
        try Self.check(clusters, for: rows)
        let columns = signs.columns
        var options = try ht_options(threads: threads)
        try withLatentRows(w, rowStride, &gradient, gradientStride, rows: rows, columns: columns) { w, gradient in
            withPointer(to: clusters) { clusters in
                ht_mst_centre_gradient_f32(
                    rows, columns, w.start, w.stride, signs.rows, clusters, signs.words, signs.byteStride, strength,
                    gradient.start, gradient.stride, &options)
            }
        }
    }

    /// Adds the gradient of arrays; see the variant over spans.
    public func addGradient(
        of w: [Float], rows: Int, strength: Float, to gradient: inout [Float], threads: Int = 0
    ) throws(HalftoneError) {
        var span = gradient.mutableSpan
        try addGradient(of: w.span, rows: rows, strength: strength, to: &span, threads: threads)
    }
}

/// Calls the C library with rows of latent weights and of their gradient, whose strides it takes in bytes, and throws what
/// went wrong.
private func withLatentRows(
    _ w: Span<Float>, _ rowStride: Int?, _ gradient: inout MutableSpan<Float>, _ gradientStride: Int?, rows: Int,
    columns: Int,
    _ call: (
        _ w: (start: UnsafePointer<Float>?, stride: Int),
        _ gradient: (start: UnsafeMutablePointer<Float>?, stride: Int)
    ) -> ht_status
) throws(HalftoneError) {
    let from = try SignMatrix.operand(w.count, of: Float.self, rows, columns, rowStride, name: "W")
    let to = try SignMatrix.operand(
        gradient.count, of: Float.self, rows, columns, gradientStride, name: "the gradient")
    let status = w.withUnsafeBufferPointer { w in
        gradient.withUnsafeMutableBufferPointer { gradient in
            call((w.baseAddress, from.byteStride), (gradient.baseAddress, to.byteStride))
        }
    }
    try HalftoneError.check(status)
}
