extension NMPattern {
    /// The mask of the N weights of each group with the largest magnitude.
    ///
    /// Of equal magnitudes the lower column wins. A NaN counts as larger than infinity, so it is kept. The choice by
    /// magnitude is that of Zhou et al. 2021, "Learning N:M fine-grained structured sparse neural networks from
    /// scratch". Rows that share a pattern keep the columns whose magnitudes, summed over these rows, are the largest.
    ///
    /// - Parameters:
    ///   - weights: `rows` x `columns` values, row-major, outputs by inputs.
    ///   - rowStride: elements from one row to the next; nil for rows without a gap.
    ///   - threads: 1 for this thread only, 0 for all that the machine offers.
    /// - Throws: ``HalftoneError/shape(_:)`` when `weights` is too short or a size negative, ``HalftoneError/stride``,
    ///   ``HalftoneError/overflow``, ``HalftoneError/threads``.
    public func mask<Weight: NMWeight>(
        of weights: Span<Weight>, rows: Int, columns: Int, rowStride: Int? = nil, threads: Int = 0
    ) throws(HalftoneError) -> NMMask {
        try NMMatrixForm(rows: rows, columns: columns)
            .mask(of: weights, rowStride: rowStride, pattern: self, threads: threads)
    }

    /// The mask of an array of weights; see the variant over spans.
    public func mask<Weight: NMWeight>(
        of weights: [Weight], rows: Int, columns: Int, threads: Int = 0
    ) throws(HalftoneError) -> NMMask {
        try mask(of: weights.span, rows: rows, columns: columns, threads: threads)
    }

    /// Sets every weight outside the magnitude mask to +0, in place. A gap between rows is not touched.
    ///
    /// - Parameters:
    ///   - weights: `rows` x `columns` values, row-major, outputs by inputs.
    ///   - rowStride: elements from one row to the next; nil for rows without a gap.
    ///   - threads: 1 for this thread only, 0 for all that the machine offers.
    /// - Throws: as ``mask(of:rows:columns:rowStride:threads:)``.
    public func prune<Weight: NMWeight>(
        _ weights: inout MutableSpan<Weight>, rows: Int, columns: Int, rowStride: Int? = nil, threads: Int = 0
    ) throws(HalftoneError) {
        try NMMatrixForm(rows: rows, columns: columns)
            .prune(&weights, rowStride: rowStride, pattern: self, threads: threads)
    }

    /// Prunes an array of weights in place; see the variant over spans.
    public func prune<Weight: NMWeight>(
        _ weights: inout [Weight], rows: Int, columns: Int, threads: Int = 0
    ) throws(HalftoneError) {
        var span = weights.mutableSpan
        try prune(&span, rows: rows, columns: columns, threads: threads)
    }

    /// A copy of the weights, without gaps between rows, in which every weight outside the magnitude mask is +0.
    ///
    /// - Parameters:
    ///   - weights: `rows` x `columns` values, row-major, outputs by inputs.
    ///   - rowStride: elements from one row to the next; nil for rows without a gap.
    ///   - threads: 1 for this thread only, 0 for all that the machine offers.
    /// - Throws: as ``mask(of:rows:columns:rowStride:threads:)``.
    public func pruned<Weight: NMWeight>(
        _ weights: Span<Weight>, rows: Int, columns: Int, rowStride: Int? = nil, threads: Int = 0
    ) throws(HalftoneError) -> [Weight] {
        try NMMatrixForm(rows: rows, columns: columns)
            .pruned(weights, rowStride: rowStride, pattern: self, threads: threads)
    }

    /// A pruned copy of an array of weights; see the variant over spans.
    public func pruned<Weight: NMWeight>(
        _ weights: [Weight], rows: Int, columns: Int, threads: Int = 0
    ) throws(HalftoneError) -> [Weight] {
        try pruned(weights.span, rows: rows, columns: columns, threads: threads)
    }
}
