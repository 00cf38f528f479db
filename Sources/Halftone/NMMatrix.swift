import CHalftone

/// A weight matrix under an N:M pattern, packed for products: `rows` outputs by `columns` inputs, as PyTorch's `Linear`
/// keeps them.
public struct NMMatrix: NMPackedWeights {
    var blobs: NMBlobs

    /// Packs weights that obey the pattern.
    ///
    /// The entries of a group are its columns in `mask`, or, without one, its non-zero weights. Either way a group with
    /// fewer than N of them is filled up, from its lowest free column on, with columns of weight 0. An entry is a term
    /// of the product even when its weight is 0, so a NaN or infinity in X reaches Y through it.
    ///
    /// To prune and pack in one step, pass the pattern's own mask:
    /// `NMMatrix(packing: w, rows: o, columns: k, pattern: p, mask: p.mask(of: w, rows: o, columns: k))`.
    ///
    /// - Parameters:
    ///   - weights: `rows` x `columns` values, row-major, outputs by inputs.
    ///   - rowStride: elements from one row to the next; nil for rows without a gap.
    ///   - mask: the entries, or nil to take the non-zero weights.
    ///   - threads: 1 for this thread only, 0 for all that the machine offers. The bytes are the same for any number.
    /// - Throws: ``HalftoneError/notSparse`` when a group has more than N entries, ``HalftoneError/shape(_:)`` when
    ///   `weights` is too short, `mask` has another shape or a size is negative, ``HalftoneError/stride``,
    ///   ``HalftoneError/overflow``, ``HalftoneError/threads``, ``HalftoneError/memory``.
    public init<Weight: NMWeight>(
        packing weights: Span<Weight>, rows: Int, columns: Int, rowStride: Int? = nil, pattern: NMPattern,
        mask: NMMask? = nil, threads: Int = 0
    ) throws(HalftoneError) {
        try self.init(
            NMMatrixForm(rows: rows, columns: columns)
                .packed(weights, rowStride: rowStride, pattern: pattern, mask: mask, threads: threads))
    }

    /// Packs an array of weights; see the variant over spans.
    public init<Weight: NMWeight>(
        packing weights: [Weight], rows: Int, columns: Int, pattern: NMPattern, mask: NMMask? = nil, threads: Int = 0
    ) throws(HalftoneError) {
        try self.init(
            packing: weights.span, rows: rows, columns: columns, pattern: pattern, mask: mask, threads: threads)
    }

    /// Takes over packed bytes after checking their header.
    init(_ packed: PackedBytes) throws(HalftoneError) {
        blobs = try NMBlobs(packed)
        try NMProduct(matrix: self, t: 0).check()
    }
}

extension NMMatrix {
    /// Outputs: the columns of a product.
    public var rows: Int { blobs.rows }
    /// Inputs: the columns of X.
    public var columns: Int { blobs.columns }
    /// The pattern that the weights were packed under.
    public var pattern: NMPattern { blobs.pattern }
    /// The type of the weights.
    public var weightType: DataType { blobs.weightType }
    /// The size of the packed form in bytes, its header included.
    public var packedByteCount: Int { blobs.byteCount }

    /// The dense weights, `rows` x `columns` values, row-major: entries as they were packed, +0 elsewhere.
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

extension NMMatrix {
    /// Copies a packed matrix out of bytes that ``withPackedBytes(_:)`` or ``write(to:)`` gave. They may lie anywhere
    /// and be followed by others.
    ///
    /// - Throws: ``HalftoneError/blobTruncated``, ``HalftoneError/blobForeign``, ``HalftoneError/blobVersion``,
    ///   ``HalftoneError/blobCorrupt``, ``HalftoneError/memory``.
    public init(copying bytes: RawSpan) throws(HalftoneError) {
        try self.init(PackedBytes(copying: bytes))
    }

    /// Maps a file that ``write(to:)`` wrote. Nothing is read ahead of its use, and processes that map the same file
    /// share its memory. The mapping lasts as long as this value and its copies; the file must not be written to
    /// meanwhile (``write(to:)`` replaces files instead of writing to them).
    ///
    /// - Throws: ``HalftoneError/file(path:reason:)``, ``HalftoneError/blobTruncated``, ``HalftoneError/blobForeign``,
    ///   ``HalftoneError/blobVersion``, ``HalftoneError/blobCorrupt``.
    public init(mapping path: String) throws(HalftoneError) {
        try self.init(PackedBytes(mapping: path))
    }

    public func verify() throws(HalftoneError) { try blobs.verify() }

    public func withPackedBytes<Result, Failure: Error>(
        _ body: (RawSpan) throws(Failure) -> Result
    ) throws(Failure) -> Result { try blobs.withBytes(body) }
}
