import CHalftone

/// A weight matrix under an N:M pattern, packed for products.
///
/// It has `rows` outputs and `columns` inputs, as PyTorch's `Linear` keeps them. Packing happens once; the packed form
/// is the same on every machine, can be written to a file and be mapped back. A value is immutable and cheap to copy:
/// copies share the packed bytes.
public struct NMMatrix: Sendable {
    /// Outputs: the columns of a product.
    public let rows: Int
    /// Inputs: the columns of X.
    public let columns: Int
    /// The pattern that the weights were packed under.
    public let pattern: NMPattern
    /// The type of the weights.
    public let weightType: DataType
    /// The size of the packed form in bytes, its header included.
    public let packedByteCount: Int

    let packed: PackedBytes

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
    private init(_ packed: PackedBytes) throws(HalftoneError) {
        var info = ht_nm_info()
        try HalftoneError.check(ht_nm_packed_info(packed.start, packed.count, &info))
        // size_t is an Int here. A header without columns can claim more rows than that, which arrive as negative.
        guard info.o >= 0, info.k >= 0, let type = DataType(info.dtype) else { throw .blobCorrupt }
        rows = info.o
        columns = info.k
        pattern = try NMPattern(info.n, of: info.m, sharedRows: Int(info.shared_rows))
        weightType = type
        packedByteCount = info.bytes
        self.packed = packed
    }
}

extension NMMatrix {
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
        guard type.dataType == weightType else { throw .blobType }
        var options = try ht_options(threads: threads)
        let (count, overflow) = rows.multipliedReportingOverflow(by: columns)
        guard !overflow else { throw .overflow }
        let (status, weights): (ht_status, [Weight]) = array(count: count) { weights in
            ht_nm_unpack(rows, columns, packed.start, packed.count, weights, 0, &options)
        }
        try HalftoneError.check(status)
        return weights
    }

    /// Checks the whole packed form, not only its header as the initialisers do: worth it for bytes of unknown origin.
    /// Products never read outside the packed bytes, whatever these hold; their results can still be wrong.
    ///
    /// - Throws: ``HalftoneError/blobCorrupt`` where the contents are not what packing writes.
    public func verify() throws(HalftoneError) {
        try HalftoneError.check(ht_nm_packed_check(packed.start, packed.count))
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
        let copy = try PackedBytes(count: bytes.byteCount) { copy throws(HalftoneError) in
            bytes.withUnsafeBytes { copy.copyMemory(from: $0) }
        }
        try self.init(copy)
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

    /// Writes the packed form to a file, replacing one that is there. The bytes go to a temporary file in the same
    /// folder, which then takes the name, so that the file is never half written.
    ///
    /// - Throws: ``HalftoneError/file(path:reason:)``; then a file that was there is as it was.
    public func write(to path: String) throws(HalftoneError) {
        try withPackedBytes { bytes throws(HalftoneError) in
            try bytes.withUnsafeBytes { bytes throws(HalftoneError) in try File.replace(path, with: bytes) }
        }
    }

    /// Calls `body` with the packed form: ``packedByteCount`` bytes, 64-byte aligned, that begin with a header and hold
    /// no addresses.
    public func withPackedBytes<Result, Failure: Error>(
        _ body: (RawSpan) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        let bytes = UnsafeRawBufferPointer(start: packed.start, count: packedByteCount)
        return try withExtendedLifetime(packed) { () throws(Failure) in try body(bytes.bytes) }
    }
}
