import CHalftone

/// The filters of a convolution packed for its backward direction, from the gradient of Y to that of X: at each tap at
/// most N of each M consecutive output channels are kept for each input channel.
///
/// With several groups of channels, groups of M and permutations stay inside each. For masks see ``NMBackwardMatrix``.
public struct NMBackwardFilters: NMPackedWeights {
    /// The forward convolution that these filters were packed for.
    public let shape: ConvShape

    var blobs: NMBlobs

    /// Packs the entries of the forward filters, as they lie, for the backward convolution. They are chosen as in
    /// ``NMBackwardMatrix/init(packing:rows:columns:rowStride:pattern:mask:permutation:threads:)``, at each tap.
    ///
    /// - Parameters:
    ///   - filters: of a floating-point type, OHWI as in
    ///     ``NMFilters/init(packing:shape:rowStride:pattern:mask:threads:)``.
    ///   - shape: the forward convolution. Calls can name another one with the same filters.
    ///   - rowStride: elements from one filter to the next; nil for filters without a gap.
    ///   - pattern: the pattern that they obey along the output channels.
    ///   - mask: the entries, with a row for each filter, or nil to take the non-zero weights.
    ///   - permutation: the output channel at each place, every one once and in its own group; nil for their own order.
    ///   - threads: 1 for this thread only, 0 for all that the machine offers. The bytes are the same for any number.
    /// - Throws: ``HalftoneError/permutation``, ``HalftoneError/blobType`` for weights of 8 bits,
    ///   ``HalftoneError/shape(_:)`` when `permutation` has another length than the outputs, and as
    ///   ``NMFilters/init(packing:shape:rowStride:pattern:mask:threads:)``.
    public init<Weight: NMWeight>(
        packing filters: Span<Weight>, shape: ConvShape, rowStride: Int? = nil, pattern: NMPattern,
        mask: NMMask? = nil, permutation: [UInt32]? = nil, threads: Int = 0
    ) throws(HalftoneError) {
        let packed = try NMBackwardFilterForm(shape, permutation: permutation)
            .packed(filters, rowStride: rowStride, pattern: pattern, mask: mask, threads: threads)
        try self.init(packed, shape)
    }

    /// Packs an array of filters; see the variant over spans.
    public init<Weight: NMWeight>(
        packing filters: [Weight], shape: ConvShape, pattern: NMPattern, mask: NMMask? = nil,
        permutation: [UInt32]? = nil, threads: Int = 0
    ) throws(HalftoneError) {
        try self.init(
            packing: filters.span, shape: shape, pattern: pattern, mask: mask, permutation: permutation,
            threads: threads)
    }

    /// Takes over packed bytes after checking their headers.
    init(_ packed: PackedBytes, _ shape: ConvShape) throws(HalftoneError) {
        _ = try shape.code()
        self.shape = shape
        blobs = try NMBlobs(packed, count: shape.groups)
        try NMBackwardConvolution(filters: self, shape: shape.empty).check()
    }
}

extension NMBackwardFilters {
    /// The pattern that the filters were packed under. A single tap shares it with none.
    public var pattern: NMPattern { blobs.pattern }
    /// The type of the weights.
    public var weightType: DataType { blobs.weightType }
    /// The size of the packed form in bytes, its headers included.
    public var packedByteCount: Int { blobs.byteCount }

    /// Copies packed filters out of bytes that ``withPackedBytes(_:)`` or ``write(to:)`` gave; see
    /// ``NMFilters/init(copying:shape:)``.
    ///
    /// - Throws: as ``NMFilters/init(copying:shape:)``; ``HalftoneError/blobForeign`` for filters that are packed
    ///   forward.
    public init(copying bytes: RawSpan, shape: ConvShape) throws(HalftoneError) {
        try self.init(PackedBytes(copying: bytes), shape)
    }

    /// Maps a file that ``write(to:)`` wrote; see ``NMMatrix/init(mapping:)``.
    ///
    /// - Throws: ``HalftoneError/file(path:reason:)`` and as ``init(copying:shape:)``.
    public init(mapping path: String, shape: ConvShape) throws(HalftoneError) {
        try self.init(PackedBytes(mapping: path), shape)
    }

    public func verify() throws(HalftoneError) { try blobs.verify() }

    public func withPackedBytes<Result, Failure: Error>(
        _ body: (RawSpan) throws(Failure) -> Result
    ) throws(Failure) -> Result { try blobs.withBytes(body) }
}

/// Filters of a convolution, packed for its backward direction.
struct NMBackwardFilterForm: NMForm {
    let code: ht_conv_shape
    let rows: Int
    let columns: Int
    let permutation: [UInt32]?

    init(_ shape: ConvShape, permutation: [UInt32]?) throws(HalftoneError) {
        code = try shape.code()
        rows = shape.outputs
        columns = try shape.filterWeights
        try permutation?.check(outputs: rows)
        self.permutation = permutation
    }

    func packedSize(
        _ type: ht_dtype, _ pattern: NMPattern, _ options: inout ht_options, _ size: inout Int
    ) -> ht_status {
        var code = code
        return withPointer(to: permutation) {
            ht_nm_conv_backward_packed_size(&code, pattern.n, pattern.m, type, $0, &options, &size)
        }
    }

    func pack(
        _ w: NMWeights, mask: UnsafePointer<UInt8>?, into packed: UnsafeMutableRawBufferPointer,
        _ options: inout ht_options
    ) -> ht_status {
        var code = code
        let (n, m, stride, to, size) = (w.n, w.m, w.byteStride, packed.baseAddress, packed.count)
        return withPointer(to: permutation) { p in
            switch w.type {
            case .f32:
                ht_nm_conv_backward_pack_f32(&code, n, m, w.typed(), stride, mask, 0, p, to, size, &options)
            case .f16:
                ht_nm_conv_backward_pack_f16(&code, n, m, w.typed(), stride, mask, 0, p, to, size, &options)
            case .bf16:
                ht_nm_conv_backward_pack_bf16(&code, n, m, w.typed(), stride, mask, 0, p, to, size, &options)
            default: HT_ERROR_BLOB_DTYPE
            }
        }
    }
}
