import Foundation

/// The header of a safetensors file: well-formed JSON of the expected kinds, with numbers not yet checked.
struct SafetensorsHeader {
    /// The number of bytes in front of the header that give its length.
    static let lengthByteCount = 8
    /// The longest header that the reference implementation accepts, in bytes.
    static let byteCountLimit = 100_000_000
    /// The key that holds strings about the file and not a tensor.
    static let metadataKey = "__metadata__"

    /// A tensor's entry in the header.
    struct Record: Equatable {
        var name: String
        var elementTypeName: String
        var shape: [Int]
        var begin: Int
        var end: Int
    }

    /// The tensors in no particular order.
    private(set) var records: [Record] = []
    private(set) var metadata: [String: String] = [:]
    /// The number of distinct keys of the header and of the objects directly in it.
    private var keyCount = 0

    /// The bytes of the header of the file `contents`, whose indices begin at 0.
    static func bytes(in contents: Data) throws(FileError) -> Data {
        guard contents.count >= lengthByteCount else { throw .safetensorsTooShort(byteCount: contents.count) }
        let length = contents.prefix(lengthByteCount).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        try checkByteCount(length)
        let available = contents.count - lengthByteCount
        guard length <= available else {
            throw .safetensorsHeaderBeyondEnd(byteCount: Int(length), available: available)
        }
        return contents.subdata(in: lengthByteCount..<lengthByteCount + Int(length))
    }

    /// Refuses a header that is longer than any header may be.
    static func checkByteCount(_ count: UInt64) throws(FileError) {
        guard count <= byteCountLimit else {
            throw .safetensorsHeaderTooLong(byteCount: count, limit: byteCountLimit)
        }
    }

    /// - Parameter json: the bytes of the header alone.
    init(json: Data) throws(FileError) {
        try Self.checkEncoding(of: json)
        do {
            self = try JSONDecoder().decode(Self.self, from: json)
        } catch let error as FileError {
            throw error
        } catch {
            throw .safetensorsHeaderNotJSON
        }
        let written = JSONKeyCounter.count(in: json, maximumDepth: 2)
        guard written == keyCount else { throw .safetensorsDuplicateKeys(written: written, distinct: keyCount) }
    }

    /// The JSON decoder also accepts a byte order mark and UTF-16 and UTF-32, which the format does not.
    private static func checkEncoding(of json: Data) throws(FileError) {
        guard json.first == UInt8(ascii: "{") else { throw .safetensorsHeaderNotObject(firstByte: json.first) }
        guard String(data: json, encoding: .utf8) != nil else { throw .safetensorsHeaderNotUTF8 }
        guard !json.contains(0) else { throw .safetensorsHeaderNotJSON }
    }
}

extension SafetensorsHeader: Decodable {
    init(from decoder: any Decoder) throws {
        let header = try decoder.container(keyedBy: AnyKey.self)
        keyCount = header.allKeys.count
        for key in header.allKeys {
            if key.stringValue == Self.metadataKey {
                metadata = try Self.metadata(in: header, key)
                keyCount += metadata.count
            } else {
                let entry = try Self.entry(in: header, key)
                records.append(try Self.record(of: entry, name: key.stringValue))
                keyCount += entry.allKeys.count
            }
        }
    }

    private typealias Object = KeyedDecodingContainer<AnyKey>

    private static func metadata(in header: Object, _ key: AnyKey) throws(FileError) -> [String: String] {
        do {
            return try header.decode([String: String].self, forKey: key)
        } catch {
            throw .safetensorsInvalidMetadata(found: reason(of: error))
        }
    }

    private static func entry(in header: Object, _ key: AnyKey) throws(FileError) -> Object {
        do {
            return try header.nestedContainer(keyedBy: AnyKey.self, forKey: key)
        } catch {
            throw .safetensorsInvalidField(
                tensor: key.stringValue, field: "entry", found: reason(of: error), expected: "an object")
        }
    }

    /// Fields other than the three that the format defines are ignored, as the reference implementation does.
    private static func record(of entry: Object, name: String) throws(FileError) -> Record {
        let offsets: [Int] = try field("data_offsets", of: entry, tensor: name, expected: "two integers")
        guard offsets.count == 2 else {
            throw .safetensorsInvalidField(
                tensor: name, field: "data_offsets", found: "\(offsets.count) integers", expected: "two integers")
        }
        return Record(
            name: name,
            elementTypeName: try field("dtype", of: entry, tensor: name, expected: "a string"),
            shape: try field("shape", of: entry, tensor: name, expected: "an array of integers"),
            begin: offsets[0],
            end: offsets[1])
    }

    private static func field<Value: Decodable>(
        _ field: String, of entry: Object, tensor: String, expected: String
    ) throws(FileError) -> Value {
        do {
            return try entry.decode(Value.self, forKey: AnyKey(stringValue: field))
        } catch {
            throw .safetensorsInvalidField(
                tensor: tensor, field: field, found: reason(of: error), expected: expected)
        }
    }
}

/// A key of a JSON object, whatever it is.
private struct AnyKey: CodingKey {
    let stringValue: String
    var intValue: Int? { nil }

    init(stringValue: String) {
        self.stringValue = stringValue
    }

    init?(intValue: Int) {
        nil
    }
}

/// What the JSON decoder found, without the path that its errors also carry.
private func reason(of error: any Error) -> String {
    switch error as? DecodingError {
    case .keyNotFound:
        "nothing"
    case .typeMismatch(_, let context), .valueNotFound(_, let context), .dataCorrupted(let context):
        context.debugDescription
    default:
        // On Linux the decoder's own errors, as for a number that is no Int, arrive as they are.
        String(describing: error)
    }
}
