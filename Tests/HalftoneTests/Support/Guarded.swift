#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Memory of exactly the asked size that ends where an unreadable page begins, so that one element too far crashes.
/// Another such page lies before it, and the slack behind that one is filled with a pattern.
///
/// Old emulators (QEMU 7.2) also read the lanes that a masked AVX load leaves out. For them, the environment variable
/// HALFTONE_TEST_READABLE_GUARDS makes the page behind readable and full of NaNs; a write there still crashes.
final class Guarded<Element: BitwiseCopyable> {
    let start: UnsafeMutablePointer<Element>
    let count: Int

    private let mapping: UnsafeMutableRawPointer
    private let page: Int
    private let dataBytes: Int  // whole pages
    private static var slackByte: UInt8 { 0xa5 }

    private var byteCount: Int { count * MemoryLayout<Element>.stride }

    init(count: Int, repeating value: Element) {
        page = sysconf(CInt(_SC_PAGESIZE))
        let bytes = count * MemoryLayout<Element>.stride
        dataBytes = (bytes + page - 1) / page * page
        let whole = dataBytes + 2 * page
        mapping = mmap(nil, whole, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0)!
        precondition(mapping != MAP_FAILED, "no memory for a guarded buffer")
        mprotect(mapping, page, PROT_NONE)
        let readable = getenv("HALFTONE_TEST_READABLE_GUARDS") != nil
        if readable { memset(mapping + page + dataBytes, 0xff, page) }
        mprotect(mapping + page + dataBytes, page, readable ? PROT_READ : PROT_NONE)
        memset(mapping + page, CInt(Self.slackByte), dataBytes)
        start = (mapping + page + dataBytes - bytes).bindMemory(to: Element.self, capacity: count)
        start.initialize(repeating: value, count: count)
        self.count = count
    }

    convenience init(_ values: [Element]) where Element: ExpressibleByIntegerLiteral {
        self.init(count: values.count, repeating: 0)
        start.update(from: values, count: count)
    }

    deinit { munmap(mapping, dataBytes + 2 * page) }

    var values: [Element] { Array(UnsafeBufferPointer(start: start, count: count)) }

    /// From now on a write to it crashes: it is an input.
    func seal() { mprotect(mapping + page, dataBytes, PROT_READ) }

    /// Nothing was written before its start.
    var slackIsIntact: Bool {
        let slack = UnsafeRawBufferPointer(start: mapping + page, count: dataBytes - byteCount)
        return slack.allSatisfy { $0 == Self.slackByte }
    }

    func hasSameBytes(as other: Guarded) -> Bool {
        count == other.count && memcmp(start, other.start, byteCount) == 0
    }

    /// Becomes a copy of another buffer of the same size.
    func copy(_ other: Guarded) {
        precondition(count == other.count)
        memcpy(start, other.start, byteCount)
    }
}
