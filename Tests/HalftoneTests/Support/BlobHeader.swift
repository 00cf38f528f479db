/// A blob's header as the file format defines it, for tests that forge one.
struct BlobHeader {
    static let byteCount = 64

    /// The 64 bytes as eight little-endian words: magic; version, kind, layout, dtype; n, m; rows; columns; bytes;
    /// rows that share a pattern, flags, kernel height and width; check.
    var words: [UInt64]

    init(of blob: Guarded<UInt8>) {
        words = (0..<8).map { word in
            (0..<8).reduce(0) { $0 | UInt64(blob.start[word * 8 + $1]) << UInt64($1 * 8) }
        }
    }

    mutating func setShort(_ index: Int, _ value: UInt16) {
        let shift = UInt64(index * 16)
        words[1] = words[1] & ~(0xffff << shift) | UInt64(value) << shift
    }

    mutating func setPattern(n: UInt32, m: UInt32) { words[2] = UInt64(n) | UInt64(m) << 32 }

    /// Computes the check anew (64-bit FNV-1a with a word in a byte's place) and writes the header into a blob.
    func sealed(into blob: Guarded<UInt8>) {
        let check = words[..<7].reduce(0xcbf2_9ce4_8422_2325) { ($0 ^ $1) &* 0x100_0000_01b3 }
        for (index, word) in (words[..<7] + [check]).enumerated() {
            for byte in 0..<8 { blob.start[index * 8 + byte] = UInt8(truncatingIfNeeded: word >> UInt64(byte * 8)) }
        }
    }
}
