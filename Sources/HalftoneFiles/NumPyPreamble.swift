import Foundation

/// What stands in front of the header of an `.npy` file, and the header in the form in which it is written.
struct NumPyPreamble {
    /// The bytes of the header, counted from the beginning of the file.
    let headerRange: Range<Int>

    private static let magic: [UInt8] = [0x93] + Array("NUMPY".utf8)
    private static let alignment = 64

    /// - Parameter contents: the whole file, with indices from 0.
    init(_ contents: Data) throws(FileError) {
        let versionEnd = Self.magic.count + 2
        guard contents.starts(with: Self.magic) else {
            throw .numpyBadMagic(found: [UInt8](contents.prefix(Self.magic.count)))
        }
        guard contents.count >= versionEnd else {
            throw .numpyTooShort(byteCount: contents.count, expected: versionEnd)
        }
        let headerStart = try versionEnd + Self.lengthWidth(major: contents[6], minor: contents[7])
        guard contents.count >= headerStart else {
            throw .numpyTooShort(byteCount: contents.count, expected: headerStart)
        }
        let length = contents[versionEnd..<headerStart].reversed().reduce(0) { $0 << 8 | Int($1) }
        let available = contents.count - headerStart
        guard length <= available else { throw .numpyHeaderBeyondEnd(byteCount: length, available: available) }
        headerRange = headerStart..<headerStart + length
    }

    /// The width in bytes of the integer that gives the length of the header.
    private static func lengthWidth(major: UInt8, minor: UInt8) throws(FileError) -> Int {
        switch (major, minor) {
        case (1, 0): 2
        case (2, 0), (3, 0): 4
        default: throw .numpyUnsupportedVersion(major: major, minor: minor)
        }
    }

    /// Everything in front of the elements of a version 1.0 file in row-major order, a multiple of 64 bytes.
    ///
    /// - Parameter shape: at most 64 dimensions, so that the length of the header fits in 16 bits.
    static func bytes(typeName: String, shape: [Int]) -> [UInt8] {
        let dictionary = "{'descr': '\(typeName)', 'fortran_order': False, 'shape': \(tuple(shape)), }"
        let start = magic + [1, 0]
        let unpadded = start.count + 2 + dictionary.utf8.count + 1
        let padding = (alignment - unpadded % alignment) % alignment
        let header = Array(dictionary.utf8) + [UInt8](repeating: UInt8(ascii: " "), count: padding) + Array("\n".utf8)
        return start + [UInt8(header.count & 0xFF), UInt8(header.count >> 8)] + header
    }

    /// A Python tuple, which with one element takes a comma: `(3,)`.
    private static func tuple(_ shape: [Int]) -> String {
        shape.count == 1 ? "(\(shape[0]),)" : "(\(shape.map(String.init).joined(separator: ", ")))"
    }
}
