import CHalftone

/// Masks of both directions of a layer in training: the forward one is N:M along the inputs; the backward one, inside it,
/// is N:M along the outputs, taken in the order of a permutation, so that the gradient of the inputs is a sparse product
/// too.
///
/// Method: Zhang et al. 2023, "Bi-directional masks for efficient N:M sparse training". ``BiMaskSearch`` finds
/// permutations with which the backward mask loses little.
public struct BiMask: Hashable, Sendable {
    /// The pattern of both masks.
    public let pattern: NMPattern
    /// The N weights of each M consecutive inputs of an output with the largest magnitude.
    public let forward: NMMask
    /// Of the entries of ``forward`` the N with the largest magnitude in each M consecutive places of an input.
    public let backward: NMMask
    /// The output at each place.
    public let permutation: [UInt32]

    /// The masks of weights by magnitude.
    ///
    /// - Parameters:
    ///   - weights: `rows` x `columns` values, row-major, outputs by inputs.
    ///   - rowStride: elements from one row to the next; nil for rows without a gap.
    ///   - pattern: without shared rows or taps.
    ///   - permutation: the output at each place, every one once; nil for their own order.
    ///   - threads: 1 for this thread only, 0 for all that the machine offers.
    /// - Throws: ``HalftoneError/shape(_:)`` when `weights` is too short, `permutation` has another length or a size is
    ///   negative, ``HalftoneError/permutation``, ``HalftoneError/pattern`` for shared rows or taps,
    ///   ``HalftoneError/stride``, ``HalftoneError/overflow``, ``HalftoneError/threads``, ``HalftoneError/memory``.
    public init(
        of weights: Span<Float>, rows: Int, columns: Int, rowStride: Int? = nil, pattern: NMPattern,
        permutation: [UInt32]? = nil, threads: Int = 0
    ) throws(HalftoneError) {
        let form = NMMatrixForm(rows: rows, columns: columns)
        try self.init(form, weights, rowStride, pattern, permutation, threads)
    }

    /// The masks of filters by magnitude, at each tap; places and permutation stay inside each group of channels.
    ///
    /// - Parameters:
    ///   - filters: OHWI, as ``NMFilters/init(packing:shape:rowStride:pattern:mask:threads:)`` takes them.
    ///   - shape: the convolution; its images and steps do not matter here.
    ///   - rowStride: elements from one filter to the next; nil for filters without a gap.
    ///   - pattern: without shared rows or taps.
    ///   - permutation: the output channel at each place, every one once and in its own group; nil for their own order.
    ///   - threads: 1 for this thread only, 0 for all that the machine offers.
    /// - Throws: as ``init(of:rows:columns:rowStride:pattern:permutation:threads:)``, ``HalftoneError/convolution``,
    ///   ``HalftoneError/depthwise``.
    public init(
        of filters: Span<Float>, shape: ConvShape, rowStride: Int? = nil, pattern: NMPattern,
        permutation: [UInt32]? = nil, threads: Int = 0
    ) throws(HalftoneError) {
        try self.init(NMFilterForm(shape), filters, rowStride, pattern, permutation, threads)
    }

    private init(
        _ form: some BiMaskForm, _ weights: Span<Float>, _ rowStride: Int?, _ pattern: NMPattern,
        _ permutation: [UInt32]?, _ threads: Int
    ) throws(HalftoneError) {
        try pattern.checkUnshared()
        try permutation?.check(outputs: form.rows)
        let byteStride = try form.byteStride(weights.count, of: Float.self, stride: rowStride)
        let permutation = permutation ?? (0..<UInt32(form.rows)).map { $0 }
        let forward = try form.mask(of: weights, rowStride: rowStride, pattern: pattern, threads: threads)
        var options = try ht_options(threads: threads)
        backward = try NMMask(rows: form.rows, columns: form.columns) { bits in
            weights.withUnsafeBufferPointer { weights in
                let w = NMWeights(type: .f32, pattern: pattern, address: weights.baseAddress, byteStride: byteStride)
                return form.backward(w, forward: forward.bytes, permutation, into: bits, &options)
            }
        }
        (self.pattern, self.forward, self.permutation) = (pattern, forward, permutation)
    }

    /// The share of the forward entries that the backward mask keeps.
    public var retained: Double { forward.count == 0 ? 1 : Double(backward.count) / Double(forward.count) }
}
