import CHalftone

extension NMPattern {
    /// The mask of the N weights of each group with the largest magnitude.
    ///
    /// Of equal magnitudes the lower column wins. A NaN counts as larger than infinity, so it is kept. The choice by
    /// magnitude is that of Zhou et al. 2021, "Learning N:M fine-grained structured sparse neural networks from
    /// scratch".
    ///
    /// - Parameters:
    ///   - weights: `rows` x `columns` values, row-major, outputs by inputs.
    ///   - rowStride: elements from one row to the next; nil for rows without a gap.
    ///   - threads: 1 for this thread only, 0 for all that the machine offers.
    /// - Throws: ``HalftoneError/shape(_:)`` when `weights` is too short or a size negative, ``HalftoneError/stride``,
    ///   ``HalftoneError/overflow``, ``HalftoneError/threads``.
    public func mask(
        of weights: Span<Float>, rows: Int, columns: Int, rowStride: Int? = nil, threads: Int = 0
    ) throws(HalftoneError) -> NMMask {
        let w = try Operand("weights hold", count: weights.count, rows: rows, columns: columns, rowStride: rowStride)
        var options = try ht_options(threads: threads)
        let (count, overflow) = rows.multipliedReportingOverflow(by: NMMask.rowBytes(columns))
        guard !overflow else { throw .overflow }
        var bytes = [UInt8](repeating: 0, count: count)
        let status = weights.withUnsafeBufferPointer { weights in
            ht_nm_mask_f32(
                rows, columns, n, m, weights.baseAddress, w.byteStride, &bytes, 0, &options)
        }
        try HalftoneError.check(status)
        return try NMMask(rows: rows, columns: columns, bytes: bytes)
    }

    /// The mask of an array of weights; see the variant over spans.
    public func mask(of weights: [Float], rows: Int, columns: Int, threads: Int = 0) throws(HalftoneError) -> NMMask {
        try mask(of: weights.span, rows: rows, columns: columns, threads: threads)
    }

    /// Sets every weight outside the magnitude mask to +0, in place. A gap between rows is not touched.
    ///
    /// - Parameters:
    ///   - weights: `rows` x `columns` values, row-major, outputs by inputs.
    ///   - rowStride: elements from one row to the next; nil for rows without a gap.
    ///   - threads: 1 for this thread only, 0 for all that the machine offers.
    /// - Throws: as ``mask(of:rows:columns:rowStride:threads:)``.
    public func prune(
        _ weights: inout MutableSpan<Float>, rows: Int, columns: Int, rowStride: Int? = nil, threads: Int = 0
    ) throws(HalftoneError) {
        let w = try Operand("weights hold", count: weights.count, rows: rows, columns: columns, rowStride: rowStride)
        var options = try ht_options(threads: threads)
        let status = weights.withUnsafeMutableBufferPointer { weights in
            ht_nm_prune_f32(
                rows, columns, n, m, weights.baseAddress, w.byteStride, weights.baseAddress, w.byteStride, &options)
        }
        try HalftoneError.check(status)
    }

    /// Prunes an array of weights in place; see the variant over spans.
    public func prune(_ weights: inout [Float], rows: Int, columns: Int, threads: Int = 0) throws(HalftoneError) {
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
    public func pruned(
        _ weights: Span<Float>, rows: Int, columns: Int, rowStride: Int? = nil, threads: Int = 0
    ) throws(HalftoneError) -> [Float] {
        let w = try Operand("weights hold", count: weights.count, rows: rows, columns: columns, rowStride: rowStride)
        var options = try ht_options(threads: threads)
        let (status, result) = weights.withUnsafeBufferPointer { weights in
            array(count: rows * columns) { result in
                ht_nm_prune_f32(rows, columns, n, m, weights.baseAddress, w.byteStride, result, 0, &options)
            }
        }
        try HalftoneError.check(status)
        return result
    }

    /// A pruned copy of an array of weights; see the variant over spans.
    public func pruned(
        _ weights: [Float], rows: Int, columns: Int, threads: Int = 0
    ) throws(HalftoneError) -> [Float] {
        try pruned(weights.span, rows: rows, columns: columns, threads: threads)
    }
}
