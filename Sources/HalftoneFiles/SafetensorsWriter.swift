import Foundation

extension SafetensorsFile {
    /// Writes `tensors` as a safetensors file to `path`, replacing any file that is there.
    ///
    /// The file is complete under a temporary name in the same folder before it gets its own name: a reader sees the
    /// old file or the new one, and a failure leaves the old one as it was. While writing, the file is also in memory.
    ///
    /// - Parameters:
    ///   - tensors: names and tensors, in the order in which their bytes are to stand in the file. Only the first is
    ///     certain to begin at a multiple of 8 bytes; to have each tensor begin at a multiple of its element width,
    ///     put wider element types first.
    ///   - metadata: strings about the file, stored under `__metadata__`; left out if empty.
    ///   - path: where the file is to be.
    /// - Throws: ``FileError/cannotWrite(path:reason:)``, or as ``bytes(of:metadata:)``.
    public static func write(
        _ tensors: [(String, Tensor)], metadata: [String: String] = [:], to path: String
    ) throws(FileError) {
        try FileAccess.replace(path, with: bytes(of: tensors, metadata: metadata))
    }

    /// The bytes of a safetensors file with `tensors`.
    ///
    /// The same input always gives the same bytes. The header is padded with spaces so that the data begins at a
    /// multiple of 8 bytes.
    ///
    /// - Parameters: as of ``write(_:metadata:to:)``.
    /// - Throws: ``FileError/safetensorsDuplicateName(_:)``, ``FileError/safetensorsReservedName(_:)``, or
    ///   ``FileError/safetensorsHeaderTooLong(byteCount:limit:)``.
    public static func bytes(
        of tensors: [(String, Tensor)], metadata: [String: String] = [:]
    ) throws(FileError) -> [UInt8] {
        try checkNames(tensors.map(\.0))
        let header = paddedHeader(tensors, metadata)
        try SafetensorsHeader.checkByteCount(UInt64(header.count))
        var bytes: [UInt8] = []
        bytes.reserveCapacity(
            tensors.reduce(SafetensorsHeader.lengthByteCount + header.count) { $0 + $1.1.bytes.count })
        withUnsafeBytes(of: UInt64(header.count).littleEndian) { bytes.append(contentsOf: $0) }
        bytes.append(contentsOf: header)
        for (_, tensor) in tensors {
            bytes.append(contentsOf: tensor.bytes)
        }
        return bytes
    }

    private static func checkNames(_ names: [String]) throws(FileError) {
        var seen: Set<String> = []
        for name in names {
            guard name != SafetensorsHeader.metadataKey else { throw .safetensorsReservedName(name) }
            guard seen.insert(name).inserted else { throw .safetensorsDuplicateName(name) }
        }
    }

    /// The header as JSON with trailing spaces. The members are joined here, since a JSON encoder would not keep the
    /// order of the tensors.
    private static func paddedHeader(_ tensors: [(String, Tensor)], _ metadata: [String: String]) -> [UInt8] {
        var members = metadata.isEmpty ? [] : [metadataMember(metadata)]
        var begin = 0
        for (name, tensor) in tensors {
            members.append(tensorMember(name, tensor, begin: begin))
            begin += tensor.bytes.count
        }
        let json = Array("{\(members.joined(separator: ","))}".utf8)
        let padding = (8 - json.count % 8) % 8
        return json + [UInt8](repeating: UInt8(ascii: " "), count: padding)
    }

    private static func metadataMember(_ metadata: [String: String]) -> String {
        let members = metadata.sorted { $0.key < $1.key }.map { "\(jsonString($0.key)):\(jsonString($0.value))" }
        return "\(jsonString(SafetensorsHeader.metadataKey)):{\(members.joined(separator: ","))}"
    }

    private static func tensorMember(_ name: String, _ tensor: Tensor, begin: Int) -> String {
        let shape = tensor.shape.map(String.init).joined(separator: ",")
        return "\(jsonString(name)):{\"dtype\":\"\(tensor.elementType.safetensorsName)\","
            + "\"shape\":[\(shape)],\"data_offsets\":[\(begin),\(begin + tensor.bytes.count)]}"
    }

    private static func jsonString(_ text: String) -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = .withoutEscapingSlashes
        guard let json = try? encoder.encode(text) else {
            preconditionFailure("every String has a JSON form")
        }
        return String(decoding: json, as: UTF8.self)
    }
}
