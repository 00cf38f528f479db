import CHalftone

/// The filters of a convolution under an N:M pattern, packed: at each tap at most N of each M consecutive input
/// channels are kept.
///
/// Groups of M begin anew at each tap; a tap's last group is shorter where M does not divide ``ConvShape/channels`` /
/// ``ConvShape/groups``. A convolution in which each group has a single channel, a depthwise one, has nothing to choose
/// from and is refused.
public struct NMFilters: NMPackedWeights {
    /// The convolution that these filters were packed for.
    public let shape: ConvShape

    var blobs: NMBlobs

    /// Packs filters that obey the pattern. Entries are chosen as in
    /// ``NMMatrix/init(packing:rows:columns:rowStride:pattern:mask:threads:)``.
    ///
    /// - Parameters:
    ///   - filters: OHWI, ``ConvShape/outputs`` rows of ``ConvShape/kernel`` taps of ``ConvShape/channels`` /
    ///     ``ConvShape/groups`` values.
    ///   - shape: the convolution that they are for. Calls can name another one with the same filters.
    ///   - rowStride: elements from one filter to the next; nil for filters without a gap.
    ///   - pattern: the pattern that they obey.
    ///   - mask: the entries, with a row for each filter, or nil to take the non-zero weights.
    ///   - threads: 1 for this thread only, 0 for all that the machine offers. The bytes are the same for any number.
    /// - Throws: ``HalftoneError/notSparse`` when a group has more than N entries, ``HalftoneError/shape(_:)`` when
    ///   `filters` is too short, `mask` has another shape or `shape` has a number that no convolution has,
    ///   ``HalftoneError/convolution``, ``HalftoneError/depthwise``, ``HalftoneError/stride``,
    ///   ``HalftoneError/overflow``, ``HalftoneError/threads``, ``HalftoneError/memory``.
    public init<Weight: NMWeight>(
        packing filters: Span<Weight>, shape: ConvShape, rowStride: Int? = nil, pattern: NMPattern,
        mask: NMMask? = nil, threads: Int = 0
    ) throws(HalftoneError) {
        let packed = try NMFilterForm(shape)
            .packed(filters, rowStride: rowStride, pattern: pattern, mask: mask, threads: threads)
        try self.init(packed, shape)
    }

    /// Packs an array of filters; see the variant over spans.
    public init<Weight: NMWeight>(
        packing filters: [Weight], shape: ConvShape, pattern: NMPattern, mask: NMMask? = nil, threads: Int = 0
    ) throws(HalftoneError) {
        try self.init(packing: filters.span, shape: shape, pattern: pattern, mask: mask, threads: threads)
    }

    /// Takes over packed bytes after checking their headers.
    init(_ packed: PackedBytes, _ shape: ConvShape) throws(HalftoneError) {
        _ = try shape.code()
        self.shape = shape
        blobs = try NMBlobs(packed, count: shape.groups)
        try NMConvolution(filters: self, shape: shape.empty).check()
    }
}

extension NMFilters {
    /// The pattern that the filters were packed under. A single tap shares it with none.
    public var pattern: NMPattern { blobs.pattern }
    /// The type of the weights.
    public var weightType: DataType { blobs.weightType }
    /// The size of the packed form in bytes, its headers included.
    public var packedByteCount: Int { blobs.byteCount }

    /// The dense filters, OHWI without gaps: entries as they were packed, +0 elsewhere.
    ///
    /// - Parameters:
    ///   - type: that of ``weightType``.
    ///   - threads: 1 for this thread only, 0 for all that the machine offers.
    /// - Throws: ``HalftoneError/blobType`` when the weights are of another type, ``HalftoneError/overflow`` when they
    ///   are too many to be addressed.
    public func unpacked<Weight: NMWeight>(
        as type: Weight.Type = Float.self, threads: Int = 0
    ) throws(HalftoneError) -> [Weight] {
        try blobs.unpacked(as: type, threads: threads)
    }
}

// MARK: - The packed form in memory and in files

extension NMFilters {
    /// Copies packed filters out of bytes that ``withPackedBytes(_:)`` or ``write(to:)`` gave. They may lie anywhere
    /// and be followed by others. The bytes do not tell the convolution, so `shape` does.
    ///
    /// - Throws: ``HalftoneError/blobShape`` when they hold other filters, ``HalftoneError/blobTruncated``,
    ///   ``HalftoneError/blobForeign``, ``HalftoneError/blobVersion``, ``HalftoneError/blobCorrupt``,
    ///   ``HalftoneError/memory``; those of a shape as ``init(packing:shape:rowStride:pattern:mask:threads:)``.
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
