import CHalftone

/// Packed signs: one blob, or one for each group of a convolution's channels, one behind the other and all alike.
struct BinaryBlobs: Sendable {
    let bytes: PackedBytes
    /// At least one.
    let count: Int
    /// Of each blob, as its header has them.
    let outputs: Int
    let inputs: Int
    let design: BinaryDesign
    private let blobByteCount: Int

    /// Of all blobs; there may be other bytes behind them.
    var byteCount: Int { count * blobByteCount }

    /// Reads the first header. That the other blobs are there and alike is for ``Operation/check(input:)`` to say.
    init(_ bytes: PackedBytes, count: Int = 1) throws(HalftoneError) {
        var info = ht_binary_info()
        try HalftoneError.check(ht_binary_packed_info(bytes.start, bytes.count, &info))
        // size_t is an Int here. A header without inputs can claim more outputs than that, which arrive as negative.
        guard info.outputs >= 0, info.inputs >= 0, let design = BinaryDesign(info.design) else { throw .blobCorrupt }
        self.bytes = bytes
        self.count = count
        self.design = design
        outputs = info.outputs
        inputs = info.inputs
        blobByteCount = info.bytes
    }

    /// The tree that each blob was packed along; nil where they were packed without.
    func unpackedTrees() throws(HalftoneError) -> [ChannelTree]? {
        guard design == .tree else { return nil }
        var trees: [ChannelTree] = []
        for first in stride(from: 0, to: byteCount, by: blobByteCount) {
            var parents = [Int32](repeating: -1, count: outputs)
            try HalftoneError.check(
                ht_mst_unpack_tree(outputs, bytes.start + first, bytes.count - first, &parents))
            guard let tree = try? ChannelTree(parents: parents) else { throw .blobCorrupt }
            trees.append(tree)
        }
        return trees
    }

    /// Whether these bytes begin with the same blobs.
    func hold(_ other: BinaryBlobs) -> Bool {
        withBytes { mine in
            other.withBytes { theirs in
                mine.withUnsafeBytes { mine in theirs.withUnsafeBytes { mine.elementsEqual($0) } }
            }
        }
    }

    func withBytes<Result, Failure: Error>(
        _ body: (RawSpan) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        let all = UnsafeRawBufferPointer(start: bytes.start, count: byteCount)
        return try withExtendedLifetime(bytes) { () throws(Failure) in try body(all.bytes) }
    }
}
