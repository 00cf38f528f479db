import CHalftone

extension NMPattern {
    /// Brings a magnitude mask up to date after its weights changed; groups whose order did not change are not ranked
    /// again. The result is that of ``mask(of:rows:columns:rowStride:threads:)``.
    ///
    /// - Parameters:
    ///   - mask: the mask of earlier weights; any other is put right as well.
    ///   - weights: as many values as the mask has bits, row-major.
    ///   - rowStride: elements from one row to the next; nil for rows without a gap.
    ///   - threads: 1 for this thread only, 0 for all that the machine offers.
    /// - Returns: how many weights are kept that were not kept before.
    /// - Throws: as ``mask(of:rows:columns:rowStride:threads:)``; then the mask is as it was.
    public func refresh(
        _ mask: inout NMMask, of weights: Span<Float>, rowStride: Int? = nil, threads: Int = 0
    ) throws(HalftoneError) -> Int {
        try refresh(&mask, NMMatrixForm(rows: mask.rows, columns: mask.columns), weights, rowStride, threads)
    }

    /// Brings the magnitude mask of filters up to date; see ``refresh(_:of:rowStride:threads:)``.
    ///
    /// - Throws: as ``mask(of:shape:rowStride:threads:)``; ``HalftoneError/shape(_:)`` when the mask is not of such
    ///   filters.
    public func refresh(
        _ mask: inout NMMask, of filters: Span<Float>, shape: ConvShape, rowStride: Int? = nil, threads: Int = 0
    ) throws(HalftoneError) -> Int {
        let form = try NMFilterForm(shape)
        try mask.check(rows: form.rows, columns: form.columns)
        return try refresh(&mask, form, filters, rowStride, threads)
    }

    private func refresh(
        _ mask: inout NMMask, _ form: some NMRefreshForm, _ weights: Span<Float>, _ rowStride: Int?, _ threads: Int
    ) throws(HalftoneError) -> Int {
        let byteStride = try form.byteStride(weights.count, of: Float.self, stride: rowStride)
        var options = try options(threads: threads)
        var changed = 0
        let status = weights.withUnsafeBufferPointer { weights in
            let w = NMWeights(type: .f32, pattern: self, address: weights.baseAddress, byteStride: byteStride)
            return form.refresh(w, &mask.bytes, &changed, &options)
        }
        try HalftoneError.check(status)
        return changed
    }
}

private protocol NMRefreshForm: NMForm {
    func refresh(
        _ w: NMWeights, _ mask: UnsafeMutablePointer<UInt8>, _ changed: inout Int, _ options: inout ht_options
    ) -> ht_status
}

extension NMMatrixForm: NMRefreshForm {
    func refresh(
        _ w: NMWeights, _ mask: UnsafeMutablePointer<UInt8>, _ changed: inout Int, _ options: inout ht_options
    ) -> ht_status {
        ht_nm_mask_refresh_f32(rows, columns, w.n, w.m, w.typed(), w.byteStride, mask, 0, &changed, &options)
    }
}

extension NMFilterForm: NMRefreshForm {
    func refresh(
        _ w: NMWeights, _ mask: UnsafeMutablePointer<UInt8>, _ changed: inout Int, _ options: inout ht_options
    ) -> ht_status {
        var code = code
        return ht_nm_conv_mask_refresh_f32(&code, w.n, w.m, w.typed(), w.byteStride, mask, 0, &changed, &options)
    }
}
