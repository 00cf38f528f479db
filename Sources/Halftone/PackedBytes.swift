import CHalftone

/// The bytes of a packed blob, 64-byte aligned and never written after they are filled. The last owner frees them.
///
/// Unchecked, because a raw pointer is not Sendable; the bytes behind it do not change.
final class PackedBytes: @unchecked Sendable {
    private enum Origin { case allocated, mapped }

    private let origin: Origin
    private let memory: UnsafeMutableRawPointer
    let count: Int

    var start: UnsafeRawPointer { UnsafeRawPointer(memory) }

    /// Bytes of undefined contents, for `fill` to write.
    init(
        count: Int, fill: (UnsafeMutableRawBufferPointer) throws(HalftoneError) -> Void
    ) throws(HalftoneError) {
        guard let memory = ht_allocate(count) else { throw .memory }
        self.memory = memory
        self.count = count
        origin = .allocated
        try fill(UnsafeMutableRawBufferPointer(start: memory, count: count))
    }

    /// The contents of a file, mapped read-only.
    init(mapping path: String) throws(HalftoneError) {
        (memory, count) = try File.map(path)
        origin = .mapped
    }

    deinit {
        switch origin {
        case .allocated: ht_free(memory)
        case .mapped: File.unmap(memory, count: count)
        }
    }
}
