import Foundation

/// A safetensors file that is open for reading.
///
/// Layout: the length of the header as an unsigned 64-bit little-endian integer, the header as a JSON object in UTF-8,
/// and the bytes of the tensors, without gaps, up to the end of the file.
///
/// The file is checked as a whole when it is opened, and anything the format does not allow is refused with a
/// ``FileError``. There is one exception: a tensor whose element type has no case in ``ElementType`` (such as the
/// 8-bit floating-point types) is listed, so that the file's other tensors stay readable, and refused when it is
/// asked for.
public struct SafetensorsFile: Sendable {
    /// What the header says of one tensor.
    public struct Entry: Equatable, Sendable {
        /// The name of the tensor.
        public let name: String
        /// The element type as the header spells it, for example `"F32"`.
        public let elementTypeName: String
        /// The element type, or `nil` if ``ElementType`` has no case for it.
        public let elementType: ElementType?
        /// The length of each dimension, in elements, outermost first; empty for a scalar.
        public let shape: [Int]
        /// The bytes of the tensor, counted from the first byte after the header.
        public let byteRange: Range<Int>
    }

    /// The tensors in the order of their bytes in the file. Tensors without bytes at the same place are in the order
    /// of their names.
    public let entries: [Entry]
    /// The strings under `__metadata__`; empty if the header has none.
    public let metadata: [String: String]

    private let contents: Data
    private let dataStart: Int
    private let entryIndices: [String: Int]

    /// Opens the file at `path`.
    ///
    /// The file is mapped into memory, not read: only the header and the tensors that are asked for are loaded.
    /// Another process must not shorten the file while it is open; the system ends a process that touches mapped
    /// bytes which are no longer there.
    ///
    /// - Throws: ``FileError/cannotRead(path:reason:)``, or the case that tells what is wrong with the content.
    public init(path: String) throws(FileError) {
        try self.init(contents: FileAccess.map(path))
    }

    /// Opens a file that is already in memory.
    ///
    /// - Parameter bytes: the whole file, header length included.
    /// - Throws: the ``FileError`` case that tells what is wrong with the content.
    public init(bytes: [UInt8]) throws(FileError) {
        try self.init(contents: Data(bytes))
    }

    /// - Parameter contents: the whole file, with indices from 0.
    private init(contents: Data) throws(FileError) {
        let headerBytes = try SafetensorsHeader.bytes(in: contents)
        let header = try SafetensorsHeader(json: headerBytes)
        dataStart = SafetensorsHeader.lengthByteCount + headerBytes.count
        entries = try SafetensorsLayout.entries(of: header.records, dataByteCount: contents.count - dataStart)
        entryIndices = Dictionary(zip(entries.map(\.name), entries.indices)) { first, _ in first }
        metadata = header.metadata
        self.contents = contents
    }

    /// The tensor named `name`, as a copy that does not depend on the file.
    ///
    /// - Throws: ``FileError/safetensorsNoSuchTensor(_:)`` or
    ///   ``FileError/safetensorsUnsupportedElementType(tensor:name:)``.
    public func tensor(named name: String) throws(FileError) -> Tensor {
        guard let index = entryIndices[name] else { throw .safetensorsNoSuchTensor(name) }
        let entry = entries[index]
        guard let elementType = entry.elementType else {
            throw .safetensorsUnsupportedElementType(tensor: name, name: entry.elementTypeName)
        }
        let range = dataStart + entry.byteRange.lowerBound..<dataStart + entry.byteRange.upperBound
        return try Tensor(elementType: elementType, shape: entry.shape, bytes: [UInt8](contents[range]))
    }
}
