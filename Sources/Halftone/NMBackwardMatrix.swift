import CHalftone

/// A weight matrix packed for the backward product dX = dY · W of a layer Y = X · transpose(W): at most N of each M
/// consecutive outputs are kept for each input.
///
/// The mask can be another one than that of the forward product (Zhang et al. 2023, "Bi-directional masks for efficient
/// N:M sparse training"), with the outputs taken in the order of a permutation; or one mask obeys the pattern in both
/// directions (Hubara et al. 2021, "Accelerated sparse neural training").
public struct NMBackwardMatrix: NMPackedWeights {
    /// Outputs of the layer: the columns of dY.
    public let rows: Int
    /// Inputs of the layer: the columns of dX.
    public let columns: Int

    var blobs: NMBlobs

    /// Packs the entries of the forward weights, as they lie, for the backward product.
    ///
    /// A group is M consecutive places of one column of W. The entries of a group are the rows in `mask`, or, without
    /// one, those of its non-zero weights; what fills a group up follows
    /// ``NMMatrix/init(packing:rows:columns:rowStride:pattern:mask:threads:)``. Where the pattern shares rows, so many
    /// consecutive columns of W keep the same places.
    ///
    /// - Parameters:
    ///   - weights: `rows` x `columns` values of a floating-point type, row-major, outputs by inputs.
    ///   - rowStride: elements from one row to the next; nil for rows without a gap.
    ///   - mask: the entries, as the weights lie, or nil to take the non-zero weights.
    ///   - permutation: the row of W at each place, every one once; nil for their own order.
    ///   - threads: 1 for this thread only, 0 for all that the machine offers. The bytes are the same for any number.
    /// - Throws: ``HalftoneError/notSparse`` when a group has more than N entries, ``HalftoneError/permutation``,
    ///   ``HalftoneError/shape(_:)`` when `weights` is too short, `mask` has another shape, `permutation` has another
    ///   length or a size is negative, ``HalftoneError/blobType`` for weights of 8 bits, ``HalftoneError/stride``,
    ///   ``HalftoneError/overflow``, ``HalftoneError/threads``, ``HalftoneError/memory``.
    public init<Weight: NMWeight>(
        packing weights: Span<Weight>, rows: Int, columns: Int, rowStride: Int? = nil, pattern: NMPattern,
        mask: NMMask? = nil, permutation: [UInt32]? = nil, threads: Int = 0
    ) throws(HalftoneError) {
        let form = try NMBackwardMatrixForm(rows: rows, columns: columns, permutation: permutation)
        try self.init(form.packed(weights, rowStride: rowStride, pattern: pattern, mask: mask, threads: threads))
    }

    /// Packs an array of weights; see the variant over spans.
    public init<Weight: NMWeight>(
        packing weights: [Weight], rows: Int, columns: Int, pattern: NMPattern, mask: NMMask? = nil,
        permutation: [UInt32]? = nil, threads: Int = 0
    ) throws(HalftoneError) {
        try self.init(
            packing: weights.span, rows: rows, columns: columns, pattern: pattern, mask: mask,
            permutation: permutation, threads: threads)
    }

    /// The backward direction of a matrix that
    /// ``NMMatrix/init(packingTransposable:rows:columns:rowStride:pattern:mask:threads:)`` packed for both, or that was
    /// mapped or copied from such a one. They share the packed bytes.
    ///
    /// - Throws: ``HalftoneError/blobForeign`` when the matrix was packed for one direction.
    public init(transposing matrix: NMMatrix) throws(HalftoneError) {
        (rows, columns, blobs) = (matrix.rows, matrix.columns, matrix.blobs)
        try NMBackwardProduct(matrix: self, t: 0).check()
    }

    /// Takes over packed bytes after checking their header.
    init(_ packed: PackedBytes) throws(HalftoneError) {
        blobs = try NMBlobs(packed)
        (rows, columns) = (blobs.columns, blobs.rows)
        try NMBackwardProduct(matrix: self, t: 0).check()
    }
}

extension NMBackwardMatrix {
    /// The pattern that the weights were packed under.
    public var pattern: NMPattern { blobs.pattern }
    /// The type of the weights.
    public var weightType: DataType { blobs.weightType }
    /// The size of the packed form in bytes, its header included.
    public var packedByteCount: Int { blobs.byteCount }

    /// Copies a packed matrix out of bytes that ``withPackedBytes(_:)`` or ``write(to:)`` gave. They may lie anywhere
    /// and be followed by others.
    ///
    /// - Throws: as ``NMMatrix/init(copying:)``; ``HalftoneError/blobForeign`` for weights that are packed forward.
    public init(copying bytes: RawSpan) throws(HalftoneError) { try self.init(PackedBytes(copying: bytes)) }

    /// Maps a file that ``write(to:)`` wrote; see ``NMMatrix/init(mapping:)``.
    ///
    /// - Throws: ``HalftoneError/file(path:reason:)`` and as ``init(copying:)``.
    public init(mapping path: String) throws(HalftoneError) { try self.init(PackedBytes(mapping: path)) }

    public func verify() throws(HalftoneError) { try blobs.verify() }

    public func withPackedBytes<Result, Failure: Error>(
        _ body: (RawSpan) throws(Failure) -> Result
    ) throws(Failure) -> Result { try blobs.withBytes(body) }
}

/// Weights of outputs by inputs, packed for backward products.
struct NMBackwardMatrixForm: NMForm {
    let rows: Int
    let columns: Int
    let permutation: [UInt32]?

    init(rows: Int, columns: Int, permutation: [UInt32]?) throws(HalftoneError) {
        try permutation?.check(outputs: rows)
        self.rows = rows
        self.columns = columns
        self.permutation = permutation
    }

    func packedSize(
        _ type: ht_dtype, _ pattern: NMPattern, _ options: inout ht_options, _ size: inout Int
    ) -> ht_status {
        withPointer(to: permutation) {
            ht_nm_backward_packed_size(rows, columns, pattern.n, pattern.m, type, $0, &options, &size)
        }
    }

    func pack(
        _ w: NMWeights, mask: UnsafePointer<UInt8>?, into packed: UnsafeMutableRawBufferPointer,
        _ options: inout ht_options
    ) -> ht_status {
        let (o, k, stride, to, size) = (rows, columns, w.byteStride, packed.baseAddress, packed.count)
        return withPointer(to: permutation) { p in
            switch w.type {
            case .f32: ht_nm_backward_pack_f32(o, k, w.n, w.m, w.typed(), stride, mask, 0, p, to, size, &options)
            case .f16: ht_nm_backward_pack_f16(o, k, w.n, w.m, w.typed(), stride, mask, 0, p, to, size, &options)
            case .bf16: ht_nm_backward_pack_bf16(o, k, w.n, w.m, w.typed(), stride, mask, 0, p, to, size, &options)
            default: HT_ERROR_BLOB_DTYPE
            }
        }
    }
}

extension [UInt32] {
    /// Throws unless a permutation has a place for each output.
    func check(outputs: Int) throws(HalftoneError) {
        guard count == outputs else {
            throw .shape("the permutation holds \(count) places, \(outputs) outputs need \(outputs)")
        }
    }
}
