import CHalftone

/// How a mask that is N:M in both directions is found.
public enum TransposableMethod: Hashable, Sendable, CaseIterable {
    /// The mask that keeps the most magnitude there is.
    case exact
    /// Weights by descending magnitude where their row and column have room, filled up, then the best exchanges of two
    /// weights while any gains.
    case greedy
    /// A transport plan by Dykstra's projections, rounded, then exchanges as in ``greedy``.
    case dykstra

    var code: ht_transposable_method {
        switch self {
        case .exact: HT_TRANSPOSABLE_EXACT
        case .greedy: HT_TRANSPOSABLE_GREEDY
        case .dykstra: HT_TRANSPOSABLE_DYKSTRA
        }
    }
}

extension NMPattern {
    /// A mask that is N:M in both directions: in each tile of M rows by M columns every row and every column keeps N
    /// weights, of as much magnitude as the method finds. Tiles at the edges have fewer rows or columns.
    ///
    /// Method: Hubara et al. 2021, "Accelerated sparse neural training"; ``TransposableMethod/dykstra`` Meng et al. 2025,
    /// TSENOR. ``NMMatrix/init(packingTransposable:rows:columns:rowStride:pattern:mask:threads:)`` packs such weights
    /// once for both directions.
    ///
    /// - Parameters:
    ///   - weights: `rows` x `columns` values of a floating-point type, row-major, outputs by inputs.
    ///   - rowStride: elements from one row to the next; nil for rows without a gap.
    ///   - method: how the mask is found.
    ///   - threads: 1 for this thread only, 0 for all that the machine offers. Never changes the mask.
    /// - Throws: ``HalftoneError/pattern`` for M > 32 and for shared rows or taps, ``HalftoneError/blobType`` for weights
    ///   of 8 bits, ``HalftoneError/shape(_:)`` when `weights` is too short or a size negative,
    ///   ``HalftoneError/stride``, ``HalftoneError/overflow``, ``HalftoneError/threads``, ``HalftoneError/memory``.
    public func transposableMask<Weight: NMWeight>(
        of weights: Span<Weight>, rows: Int, columns: Int, rowStride: Int? = nil, method: TransposableMethod = .exact,
        threads: Int = 0
    ) throws(HalftoneError) -> NMMask {
        try checkUnshared()
        let form = NMMatrixForm(rows: rows, columns: columns)
        let stride = try form.byteStride(weights.count, of: Weight.self, stride: rowStride)
        var options = try ht_options(threads: threads)
        return try NMMask(rows: rows, columns: columns) { bits in
            weights.withUnsafeBufferPointer { weights in
                let w = UnsafeRawPointer(weights.baseAddress)
                let code = method.code
                return switch Weight.dataType {
                case .f32:
                    ht_nm_transposable_mask_f32(rows, columns, n, m, code, w?.typed(), stride, bits, 0, &options)
                case .f16:
                    ht_nm_transposable_mask_f16(rows, columns, n, m, code, w?.typed(), stride, bits, 0, &options)
                case .bf16:
                    ht_nm_transposable_mask_bf16(rows, columns, n, m, code, w?.typed(), stride, bits, 0, &options)
                default: HT_ERROR_BLOB_DTYPE
                }
            }
        }
    }

    /// The mask of an array of weights; see the variant over spans.
    public func transposableMask<Weight: NMWeight>(
        of weights: [Weight], rows: Int, columns: Int, method: TransposableMethod = .exact, threads: Int = 0
    ) throws(HalftoneError) -> NMMask {
        try transposableMask(of: weights.span, rows: rows, columns: columns, method: method, threads: threads)
    }

    /// Brings an exact mask up to date: tiles in which it still keeps the most are left alone.
    ///
    /// - Parameters:
    ///   - mask: an exact mask for earlier weights; any other is put right as well.
    ///   - weights: as many values as the mask has bits, row-major.
    ///   - rowStride: elements from one row to the next; nil for rows without a gap.
    ///   - threads: 1 for this thread only, 0 for all that the machine offers. Never changes the mask.
    /// - Returns: how many weights are kept that were not kept before.
    /// - Throws: as ``transposableMask(of:rows:columns:rowStride:method:threads:)``; then the mask is as it was.
    public func refreshTransposable(
        _ mask: inout NMMask, of weights: Span<Float>, rowStride: Int? = nil, threads: Int = 0
    ) throws(HalftoneError) -> Int {
        try checkUnshared()
        let (rows, columns) = (mask.rows, mask.columns)
        let form = NMMatrixForm(rows: rows, columns: columns)
        let stride = try form.byteStride(weights.count, of: Float.self, stride: rowStride)
        var options = try ht_options(threads: threads)
        var changed = 0
        let status = weights.withUnsafeBufferPointer { w in
            ht_nm_transposable_refresh_f32(
                rows, columns, n, m, w.baseAddress, stride, &mask.bytes, 0, &changed, &options)
        }
        try HalftoneError.check(status)
        return changed
    }
}

// MARK: - Filters

extension NMPattern {
    /// A mask of filters that is N:M in both directions at each tap: along its input channels and along the output
    /// channels of a group. See ``transposableMask(of:rows:columns:rowStride:method:threads:)``.
    ///
    /// - Parameters:
    ///   - filters: OHWI, as ``mask(of:shape:rowStride:threads:)`` takes them.
    ///   - shape: the convolution; its images and steps do not matter here.
    ///   - rowStride: elements from one filter to the next; nil for filters without a gap.
    ///   - method: how the mask is found.
    ///   - threads: 1 for this thread only, 0 for all that the machine offers. Never changes the mask.
    /// - Throws: as ``transposableMask(of:rows:columns:rowStride:method:threads:)``, ``HalftoneError/convolution``,
    ///   ``HalftoneError/depthwise``.
    public func transposableMask(
        of filters: Span<Float>, shape: ConvShape, rowStride: Int? = nil, method: TransposableMethod = .exact,
        threads: Int = 0
    ) throws(HalftoneError) -> NMMask {
        try checkUnshared()
        let form = try NMFilterForm(shape)
        let stride = try form.byteStride(filters.count, of: Float.self, stride: rowStride)
        var (code, options) = (form.code, try ht_options(threads: threads))
        return try NMMask(rows: form.rows, columns: form.columns) { bits in
            filters.withUnsafeBufferPointer {
                ht_nm_conv_transposable_mask_f32(&code, n, m, method.code, $0.baseAddress, stride, bits, 0, &options)
            }
        }
    }

    /// Brings an exact mask of filters up to date; see ``refreshTransposable(_:of:rowStride:threads:)``.
    ///
    /// - Throws: as ``transposableMask(of:shape:rowStride:method:threads:)``; ``HalftoneError/shape(_:)`` when the mask is
    ///   not of such filters.
    public func refreshTransposable(
        _ mask: inout NMMask, of filters: Span<Float>, shape: ConvShape, rowStride: Int? = nil, threads: Int = 0
    ) throws(HalftoneError) -> Int {
        try checkUnshared()
        let form = try NMFilterForm(shape)
        try mask.check(rows: form.rows, columns: form.columns)
        let stride = try form.byteStride(filters.count, of: Float.self, stride: rowStride)
        var (code, options) = (form.code, try ht_options(threads: threads))
        var changed = 0
        let status = filters.withUnsafeBufferPointer {
            ht_nm_conv_transposable_refresh_f32(
                &code, n, m, $0.baseAddress, stride, &mask.bytes, 0, &changed, &options)
        }
        try HalftoneError.check(status)
        return changed
    }
}
