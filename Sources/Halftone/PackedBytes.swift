import CHalftone

/// The bytes of a packed blob, 64-byte aligned. The last owner frees them.
///
/// Unchecked, because a raw pointer is not Sendable; the bytes behind it do not change while they have several owners.
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

    /// Memory for other bytes of the same size: these, where nobody else has them, or new ones.
    static func reusing(_ bytes: inout PackedBytes) throws(HalftoneError) -> PackedBytes {
        if isKnownUniquelyReferenced(&bytes), bytes.origin == .allocated { return bytes }
        return try PackedBytes(count: bytes.count) { _ in }
    }

    /// For bytes that ``reusing(_:)`` or an initialiser just gave.
    var writable: UnsafeMutableRawBufferPointer { UnsafeMutableRawBufferPointer(start: memory, count: count) }

    deinit {
        switch origin {
        case .allocated: ht_free(memory)
        case .mapped: File.unmap(memory, count: count)
        }
    }
}
