import CHalftone

extension NMMatrix {
    /// Packs weights that obey the pattern along their rows and along their columns, once for both directions: values
    /// are stored once, with the indices of both. ``NMBackwardMatrix/init(transposing:)`` is the other direction.
    ///
    /// Products with this matrix are as with any other. Backward ones first take its values out into scratch memory, as
    /// much as weights packed backward need, in time that does not depend on the rows.
    ///
    /// - Parameters:
    ///   - weights: `rows` x `columns` values of a floating-point type, row-major, outputs by inputs.
    ///   - rows: outputs.
    ///   - columns: inputs.
    ///   - rowStride: elements from one row to the next; nil for rows without a gap.
    ///   - pattern: M is 4, 8 or 16, N less than M, and rows share no patterns.
    ///   - mask: the entries, or nil to take the non-zero weights.
    ///   - threads: 1 for this thread only, 0 for all that the machine offers. The bytes are the same for any number.
    /// - Throws: ``HalftoneError/notSparse`` when a group of either direction has more than N entries,
    ///   ``HalftoneError/pattern``, ``HalftoneError/blobType`` for weights of 8 bits, and as
    ///   ``init(packing:rows:columns:rowStride:pattern:mask:threads:)``.
    public init<Weight: NMWeight>(
        packingTransposable weights: Span<Weight>, rows: Int, columns: Int, rowStride: Int? = nil, pattern: NMPattern,
        mask: NMMask? = nil, threads: Int = 0
    ) throws(HalftoneError) {
        try self.init(
            NMTransposableForm(rows: rows, columns: columns)
                .packed(weights, rowStride: rowStride, pattern: pattern, mask: mask, threads: threads))
    }

    /// Packs an array of weights for both directions; see the variant over spans.
    public init<Weight: NMWeight>(
        packingTransposable weights: [Weight], rows: Int, columns: Int, pattern: NMPattern, mask: NMMask? = nil,
        threads: Int = 0
    ) throws(HalftoneError) {
        try self.init(
            packingTransposable: weights.span, rows: rows, columns: columns, pattern: pattern, mask: mask,
            threads: threads)
    }
}

/// Weights of outputs by inputs, packed for products in both directions.
private struct NMTransposableForm: NMForm {
    let rows: Int
    let columns: Int

    func packedSize(
        _ type: ht_dtype, _ pattern: NMPattern, _ options: inout ht_options, _ size: inout Int
    ) -> ht_status {
        ht_nm_transposable_packed_size(rows, columns, pattern.n, pattern.m, type, &options, &size)
    }

    func pack(
        _ w: NMWeights, mask: UnsafePointer<UInt8>?, into packed: UnsafeMutableRawBufferPointer,
        _ options: inout ht_options
    ) -> ht_status {
        let (o, k, stride, to, size) = (rows, columns, w.byteStride, packed.baseAddress, packed.count)
        return switch w.type {
        case .f32: ht_nm_transposable_pack_f32(o, k, w.n, w.m, w.typed(), stride, mask, 0, to, size, &options)
        case .f16: ht_nm_transposable_pack_f16(o, k, w.n, w.m, w.typed(), stride, mask, 0, to, size, &options)
        case .bf16: ht_nm_transposable_pack_bf16(o, k, w.n, w.m, w.typed(), stride, mask, 0, to, size, &options)
        default: HT_ERROR_BLOB_DTYPE
        }
    }
}
