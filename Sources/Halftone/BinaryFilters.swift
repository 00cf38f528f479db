import CHalftone

/// The filters of a convolution, signs, packed for it.
public struct BinaryFilters: PackedWeights {
    /// The convolution that these filters were packed for.
    public let shape: ConvShape

    let blobs: BinaryBlobs

    /// Packs filters of signs.
    ///
    /// - Parameters:
    ///   - signs: OHWI, ``ConvShape/outputs`` rows of ``ConvShape/kernel`` taps of ``ConvShape/channels`` /
    ///     ``ConvShape/groups`` signs, one tap behind the other.
    ///   - shape: the convolution that they are for. Calls can name another one with the same filters.
    ///   - design: the kernels to pack for; the automatic choice goes by the whole shape. ``BinaryDesign/tree`` needs
    ///     trees, see ``init(packing:shape:trees:)``.
    /// - Throws: ``HalftoneError/shape(_:)`` when `signs` has another shape or `shape` has a number that no convolution
    ///   has, ``HalftoneError/convolution``, ``HalftoneError/overflow``, ``HalftoneError/memory``,
    ///   ``HalftoneError/design``.
    public init(
        packing signs: SignMatrix, shape: ConvShape, design: BinaryDesign = .automatic
    ) throws(HalftoneError) {
        try shape.check(filters: signs)
        var code = try shape.code()
        var options = design.options
        var size = 0
        try HalftoneError.check(ht_binary_conv_packed_size(&code, &options, &size))
        let packed = try PackedBytes(count: size) { packed throws(HalftoneError) in
            try HalftoneError.check(
                ht_binary_conv_pack(&code, signs.words, signs.byteStride, packed.baseAddress, packed.count, &options))
        }
        try self.init(packed, shape)
    }

    /// Packs filters of signs along trees: outputs are computed from each other where ``BinaryDesign/tree`` applies, and
    /// by the direct kernels elsewhere. No result depends on the trees. See ``ChannelTree`` for the method.
    ///
    /// - Parameters:
    ///   - signs: OHWI, as ``init(packing:shape:design:)`` takes them.
    ///   - shape: the convolution that they are for.
    ///   - trees: one for each group of channels, over the filters of its outputs, as
    ///     ``ChannelTree/growing(_:shape:rules:threads:isa:)`` finds them.
    /// - Throws: as ``init(packing:shape:design:)``; ``HalftoneError/shape(_:)`` too when there are not as many trees as
    ///   groups, or one has another number of rows.
    public init(packing signs: SignMatrix, shape: ConvShape, trees: [ChannelTree]) throws(HalftoneError) {
        let parents = try ChannelTree.parents(of: trees, for: signs, shape: shape)
        var code = try shape.code()
        var size = 0
        try HalftoneError.check(
            ht_mst_conv_packed_size(&code, signs.words, signs.byteStride, parents, &size))
        let packed = try PackedBytes(count: size) { packed throws(HalftoneError) in
            try HalftoneError.check(
                ht_mst_conv_pack(
                    &code, signs.words, signs.byteStride, parents, packed.baseAddress, packed.count, nil))
        }
        try self.init(packed, shape)
    }

    /// Takes over packed bytes after checking their headers.
    private init(_ packed: PackedBytes, _ shape: ConvShape) throws(HalftoneError) {
        _ = try shape.code()
        self.shape = shape
        blobs = try BinaryBlobs(packed, count: shape.groups)
        try BinaryConvolution(filters: self, shape: shape.empty).check(input: .b1)
    }
}

extension BinaryFilters {
    /// The signs of a filter, which is how many a sum has inside the image.
    public var inputs: Int { blobs.inputs * shape.kernel.height * shape.kernel.width }
    /// The kernels that the filters were packed for.
    public var design: BinaryDesign { blobs.design }
    /// The size of the packed form in bytes, its headers included.
    public var packedByteCount: Int { blobs.byteCount }

    /// The signs that were packed, OHWI.
    ///
    /// - Throws: ``HalftoneError/overflow`` when they are too many to be addressed.
    public func unpacked() throws(HalftoneError) -> SignMatrix {
        var signs = try SignMatrix(rows: shape.outputs, columns: inputs)
        var code = try shape.code()
        let stride = signs.byteStride
        try HalftoneError.check(
            ht_binary_conv_unpack(&code, blobs.bytes.start, blobs.bytes.count, &signs.words, stride, nil))
        return signs
    }

    /// The trees that the filters were packed along, one for each group; nil where they were packed without.
    ///
    /// - Throws: ``HalftoneError/blobCorrupt`` when bytes of unknown origin hold something else.
    public func unpackedTrees() throws(HalftoneError) -> [ChannelTree]? { try blobs.unpackedTrees() }
}

// MARK: - The packed form in memory and in files

extension BinaryFilters {
    /// Copies packed filters out of bytes that ``withPackedBytes(_:)`` or ``write(to:)`` gave. They may lie anywhere
    /// and be followed by others. The bytes do not tell the convolution, so `shape` does.
    ///
    /// - Throws: ``HalftoneError/blobShape`` when they hold other filters, ``HalftoneError/blobTruncated``,
    ///   ``HalftoneError/blobForeign``, ``HalftoneError/blobVersion``, ``HalftoneError/blobCorrupt``,
    ///   ``HalftoneError/memory``; those of a shape as ``init(packing:shape:design:)``.
    public init(copying bytes: RawSpan, shape: ConvShape) throws(HalftoneError) {
        try self.init(PackedBytes(copying: bytes), shape)
    }

    /// Maps a file that ``write(to:)`` wrote; see ``NMMatrix/init(mapping:)``.
    ///
    /// - Throws: ``HalftoneError/file(path:reason:)`` and as ``init(copying:shape:)``.
    public init(mapping path: String, shape: ConvShape) throws(HalftoneError) {
        try self.init(PackedBytes(mapping: path), shape)
    }

    public func verify() throws(HalftoneError) {
        let signs = try unpacked()
        let again =
            if let trees = try unpackedTrees() {
                try BinaryFilters(packing: signs, shape: shape, trees: trees)
            } else {
                try BinaryFilters(packing: signs, shape: shape, design: design)
            }
        guard blobs.hold(again.blobs) else { throw .blobCorrupt }
    }

    public func withPackedBytes<Result, Failure: Error>(
        _ body: (RawSpan) throws(Failure) -> Result
    ) throws(Failure) -> Result { try blobs.withBytes(body) }
}
