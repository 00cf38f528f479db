extension NMPattern {
    /// The mask of the filters' weights with the largest magnitude: N of each M consecutive input channels at each tap.
    ///
    /// The choice is that of ``mask(of:rows:columns:rowStride:threads:)``. Taps that share a pattern keep the channels
    /// whose magnitudes, summed over the taps (and rows that share it), are the largest.
    ///
    /// - Parameters:
    ///   - filters: OHWI, ``ConvShape/outputs`` rows of ``ConvShape/kernel`` taps of ``ConvShape/channels`` /
    ///     ``ConvShape/groups`` values.
    ///   - shape: the convolution; its images and steps do not matter here.
    ///   - rowStride: elements from one filter to the next; nil for filters without a gap.
    ///   - threads: 1 for this thread only, 0 for all that the machine offers.
    /// - Throws: ``HalftoneError/shape(_:)`` when `filters` is too short or the shape has a number that no convolution
    ///   has, ``HalftoneError/convolution``, ``HalftoneError/depthwise``, ``HalftoneError/stride``,
    ///   ``HalftoneError/overflow``, ``HalftoneError/threads``.
    public func mask<Weight: NMWeight>(
        of filters: Span<Weight>, shape: ConvShape, rowStride: Int? = nil, threads: Int = 0
    ) throws(HalftoneError) -> NMMask {
        try NMFilterForm(shape).mask(of: filters, rowStride: rowStride, pattern: self, threads: threads)
    }

    /// The mask of an array of filters; see the variant over spans.
    public func mask<Weight: NMWeight>(
        of filters: [Weight], shape: ConvShape, threads: Int = 0
    ) throws(HalftoneError) -> NMMask {
        try mask(of: filters.span, shape: shape, threads: threads)
    }

    /// Sets every weight outside the filters' magnitude mask to +0, in place. A gap between filters is not touched.
    ///
    /// - Parameters:
    ///   - filters: as in ``mask(of:shape:rowStride:threads:)``.
    ///   - shape: the convolution; its images and steps do not matter here.
    ///   - rowStride: elements from one filter to the next; nil for filters without a gap.
    ///   - threads: 1 for this thread only, 0 for all that the machine offers.
    /// - Throws: as ``mask(of:shape:rowStride:threads:)``.
    public func prune<Weight: NMWeight>(
        _ filters: inout MutableSpan<Weight>, shape: ConvShape, rowStride: Int? = nil, threads: Int = 0
    ) throws(HalftoneError) {
        try NMFilterForm(shape).prune(&filters, rowStride: rowStride, pattern: self, threads: threads)
    }

    /// Prunes an array of filters in place; see the variant over spans.
    public func prune<Weight: NMWeight>(
        _ filters: inout [Weight], shape: ConvShape, threads: Int = 0
    ) throws(HalftoneError) {
        var span = filters.mutableSpan
        try prune(&span, shape: shape, threads: threads)
    }

    /// A copy of the filters, without gaps between them, in which every weight outside the magnitude mask is +0.
    ///
    /// - Parameters:
    ///   - filters: as in ``mask(of:shape:rowStride:threads:)``.
    ///   - shape: the convolution; its images and steps do not matter here.
    ///   - rowStride: elements from one filter to the next; nil for filters without a gap.
    ///   - threads: 1 for this thread only, 0 for all that the machine offers.
    /// - Throws: as ``mask(of:shape:rowStride:threads:)``.
    public func pruned<Weight: NMWeight>(
        _ filters: Span<Weight>, shape: ConvShape, rowStride: Int? = nil, threads: Int = 0
    ) throws(HalftoneError) -> [Weight] {
        try NMFilterForm(shape).pruned(filters, rowStride: rowStride, pattern: self, threads: threads)
    }

    /// A pruned copy of an array of filters; see the variant over spans.
    public func pruned<Weight: NMWeight>(
        _ filters: [Weight], shape: ConvShape, threads: Int = 0
    ) throws(HalftoneError) -> [Weight] {
        try pruned(filters.span, shape: shape, threads: threads)
    }
}
