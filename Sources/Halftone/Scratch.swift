import CHalftone

/// Working memory that several products share, so that none of them allocates.
///
/// It grows when a product needs more than there is, and never shrinks. One product at a time may use it, so it is not
/// `Sendable`: give each task its own.
public final class Scratch {
    private(set) var memory: UnsafeMutableRawPointer?

    /// Its size in bytes.
    public private(set) var byteCount = 0

    /// Working memory of no size yet.
    public init() {}

    deinit { ht_free(memory) }

    /// Makes sure that there are at least so many bytes. What was there may be lost.
    ///
    /// - Throws: ``HalftoneError/memory`` when there are not that many; then the old ones stay.
    public func reserve(_ bytes: Int) throws(HalftoneError) {
        guard bytes > byteCount else { return }
        guard let larger = ht_allocate(bytes) else { throw .memory }
        ht_free(memory)
        memory = larger
        byteCount = bytes
    }
}
