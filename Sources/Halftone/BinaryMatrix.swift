import CHalftone

/// A weight matrix of signs, packed for products: `rows` outputs by `columns` inputs, as PyTorch's `Linear` keeps them.
public struct BinaryMatrix: PackedWeights {
    let blobs: BinaryBlobs

    /// Packs signs, a row for each output.
    ///
    /// - Parameters:
    ///   - signs: outputs by inputs.
    ///   - design: the kernels to pack for; ``BinaryDesign/tree`` needs a tree, see ``init(packing:tree:)``.
    /// - Throws: ``HalftoneError/overflow``, ``HalftoneError/memory``, ``HalftoneError/design``.
    public init(packing signs: SignMatrix, design: BinaryDesign = .automatic) throws(HalftoneError) {
        var options = design.options
        var size = 0
        try HalftoneError.check(ht_binary_packed_size(signs.rows, signs.columns, &options, &size))
        let packed = try PackedBytes(count: size) { packed throws(HalftoneError) in
            try HalftoneError.check(
                ht_binary_pack(
                    signs.rows, signs.columns, signs.words, signs.byteStride, packed.baseAddress, packed.count,
                    &options))
        }
        try self.init(packed)
    }

    /// Packs signs, a row for each output, along a tree: outputs are computed from each other where ``BinaryDesign/tree``
    /// applies, and by the direct kernels elsewhere. No result depends on the tree. See ``ChannelTree`` for the method.
    ///
    /// - Parameters:
    ///   - signs: outputs by inputs.
    ///   - tree: over as many rows, for which it need not be the shortest.
    /// - Throws: ``HalftoneError/shape(_:)`` when the tree has another number of rows, ``HalftoneError/overflow``,
    ///   ``HalftoneError/memory``.
    public init(packing signs: SignMatrix, tree: ChannelTree) throws(HalftoneError) {
        try tree.check(rows: signs.rows)
        var size = 0
        try HalftoneError.check(
            ht_mst_packed_size(
                signs.rows, signs.columns, signs.words, signs.byteStride, tree.parents, &size))
        let packed = try PackedBytes(count: size) { packed throws(HalftoneError) in
            try HalftoneError.check(
                ht_mst_pack(
                    signs.rows, signs.columns, signs.words, signs.byteStride, tree.parents, packed.baseAddress,
                    packed.count, nil))
        }
        try self.init(packed)
    }

    /// Takes over packed bytes after checking their header.
    private init(_ packed: PackedBytes) throws(HalftoneError) {
        blobs = try BinaryBlobs(packed)
        try BinaryProduct(matrix: self, t: 0).check(input: .b1)
    }
}

extension BinaryMatrix {
    /// Outputs: the columns of a product.
    public var rows: Int { blobs.outputs }
    /// Inputs: the columns of X.
    public var columns: Int { blobs.inputs }
    /// The kernels that the weights were packed for.
    public var design: BinaryDesign { blobs.design }
    /// The size of the packed form in bytes, its header included.
    public var packedByteCount: Int { blobs.byteCount }

    /// The signs that were packed.
    ///
    /// - Throws: ``HalftoneError/overflow`` when they are too many to be addressed.
    public func unpacked() throws(HalftoneError) -> SignMatrix {
        var signs = try SignMatrix(rows: rows, columns: columns)
        let stride = signs.byteStride
        try HalftoneError.check(
            ht_binary_unpack(rows, columns, blobs.bytes.start, blobs.bytes.count, &signs.words, stride, nil))
        return signs
    }

    /// The tree that the weights were packed along; nil where they were packed without.
    ///
    /// - Throws: ``HalftoneError/blobCorrupt`` when bytes of unknown origin hold something else.
    public func unpackedTree() throws(HalftoneError) -> ChannelTree? { try blobs.unpackedTrees()?.first }
}

// MARK: - The packed form in memory and in files

extension BinaryMatrix {
    /// Copies a packed matrix out of bytes that ``withPackedBytes(_:)`` or ``write(to:)`` gave. They may lie anywhere
    /// and be followed by others.
    ///
    /// - Throws: ``HalftoneError/blobTruncated``, ``HalftoneError/blobForeign``, ``HalftoneError/blobVersion``,
    ///   ``HalftoneError/blobCorrupt``, ``HalftoneError/blobShape`` when they hold filters of several taps,
    ///   ``HalftoneError/memory``.
    public init(copying bytes: RawSpan) throws(HalftoneError) {
        try self.init(PackedBytes(copying: bytes))
    }

    /// Maps a file that ``write(to:)`` wrote; see ``NMMatrix/init(mapping:)``.
    ///
    /// - Throws: ``HalftoneError/file(path:reason:)`` and as ``init(copying:)``.
    public init(mapping path: String) throws(HalftoneError) {
        try self.init(PackedBytes(mapping: path))
    }

    public func verify() throws(HalftoneError) {
        let signs = try unpacked()
        let again =
            if let tree = try unpackedTree() {
                try BinaryMatrix(packing: signs, tree: tree)
            } else {
                try BinaryMatrix(packing: signs, design: design)
            }
        guard blobs.hold(again.blobs) else { throw .blobCorrupt }
    }

    public func withPackedBytes<Result, Failure: Error>(
        _ body: (RawSpan) throws(Failure) -> Result
    ) throws(Failure) -> Result { try blobs.withBytes(body) }
}
