import Testing

@testable import HalftoneFiles

/// A file with any header and data, the length of the header being right.
func safetensorsBytes(_ header: some Collection<UInt8>, data: [UInt8] = []) -> [UInt8] {
    littleEndian([UInt64(header.count)]) + header + data
}

func safetensorsBytes(_ header: String, data: [UInt8] = []) -> [UInt8] {
    safetensorsBytes(Array(header.utf8), data: data)
}

/// A header with tensors of one byte wide elements in the given ranges, named t0, t1, ...
private func header(ranges: [ClosedRange<Int>]) -> String {
    let members = ranges.enumerated().map { index, range in
        "\"t\(index)\":{\"dtype\":\"U8\",\"shape\":[\(range.upperBound - range.lowerBound)],"
            + "\"data_offsets\":[\(range.lowerBound),\(range.upperBound)]}"
    }
    return "{\(members.joined(separator: ","))}"
}

/// A header with one tensor.
private func header(dtype: String = "\"F32\"", shape: String = "[1]", offsets: String = "[0,4]") -> String {
    "{\"t\":{\"dtype\":\(dtype),\"shape\":\(shape),\"data_offsets\":\(offsets)}}"
}

@Suite struct SafetensorsHostileTests {
    struct Refusal: CustomTestStringConvertible, Sendable {
        var testDescription: String
        var bytes: [UInt8]
        var error: FileError
    }

    static let refusals: [Refusal] = [
        Refusal(testDescription: "empty file", bytes: [], error: .safetensorsTooShort(byteCount: 0)),
        Refusal(
            testDescription: "7 bytes", bytes: [0, 0, 0, 0, 0, 0, 0], error: .safetensorsTooShort(byteCount: 7)),
        Refusal(
            testDescription: "header length of all ones", bytes: [UInt8](repeating: 0xFF, count: 9),
            error: .safetensorsHeaderTooLong(byteCount: .max, limit: 100_000_000)),
        Refusal(
            testDescription: "header length just over the limit", bytes: littleEndian([100_000_001 as UInt64]),
            error: .safetensorsHeaderTooLong(byteCount: 100_000_001, limit: 100_000_000)),
        Refusal(
            testDescription: "header longer than the file", bytes: littleEndian([3 as UInt64]) + Array("{}".utf8),
            error: .safetensorsHeaderBeyondEnd(byteCount: 3, available: 2)),
        Refusal(
            testDescription: "empty header", bytes: safetensorsBytes(""),
            error: .safetensorsHeaderNotObject(firstByte: nil)),
        Refusal(
            testDescription: "array", bytes: safetensorsBytes("[]"),
            error: .safetensorsHeaderNotObject(firstByte: 0x5B)),
        Refusal(
            testDescription: "blank before the object", bytes: safetensorsBytes(" {}"),
            error: .safetensorsHeaderNotObject(firstByte: 0x20)),
        Refusal(
            testDescription: "byte order mark", bytes: safetensorsBytes("\u{FEFF}{}"),
            error: .safetensorsHeaderNotObject(firstByte: 0xEF)),
        Refusal(
            testDescription: "invalid UTF-8",
            bytes: safetensorsBytes(Array("{\"".utf8) + [0xC3, 0x28] + Array("\":1}".utf8)),
            error: .safetensorsHeaderNotUTF8),
        Refusal(
            testDescription: "UTF-16", bytes: safetensorsBytes("{}".utf16.flatMap { [UInt8($0), 0] }),
            error: .safetensorsHeaderNotJSON),
        Refusal(testDescription: "unclosed", bytes: safetensorsBytes("{"), error: .safetensorsHeaderNotJSON),
        Refusal(
            testDescription: "second object", bytes: safetensorsBytes("{}{}"), error: .safetensorsHeaderNotJSON),
        Refusal(
            testDescription: "lone surrogate in a name", bytes: safetensorsBytes(#"{"\ud800":{}}"#),
            error: .safetensorsHeaderNotJSON),
        Refusal(
            testDescription: "deep arrays",
            bytes: safetensorsBytes("{\"a\":" + String(repeating: "[", count: 100_000)),
            error: .safetensorsHeaderNotJSON),
        Refusal(
            testDescription: "deep objects", bytes: safetensorsBytes(String(repeating: "{\"a\":", count: 100_000)),
            error: .safetensorsHeaderNotJSON),
        Refusal(
            testDescription: "duplicate tensor",
            bytes: safetensorsBytes(
                #"{"t":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"#
                    + #""\u0074":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}"#),
            error: .safetensorsDuplicateKeys(written: 8, distinct: 4)),
        Refusal(
            testDescription: "canonically equivalent metadata keys",
            bytes: safetensorsBytes(#"{"__metadata__":{"\u00e9":"1","e\u0301":"2"}}"#),
            error: .safetensorsDuplicateKeys(written: 3, distinct: 2)),
        Refusal(
            testDescription: "duplicate metadata", bytes: safetensorsBytes(#"{"__metadata__":{"a":"1","a":"2"}}"#),
            error: .safetensorsDuplicateKeys(written: 3, distinct: 2)),
        Refusal(
            testDescription: "duplicate field",
            bytes: safetensorsBytes(#"{"t":{"dtype":"U8","shape":[0],"shape":[0],"data_offsets":[0,0]}}"#),
            error: .safetensorsDuplicateKeys(written: 5, distinct: 4)),
        Refusal(
            testDescription: "one offset", bytes: safetensorsBytes(header(offsets: "[0]")),
            error: .safetensorsInvalidField(
                tensor: "t", field: "data_offsets", found: "1 integers", expected: "two integers")),
        Refusal(
            testDescription: "three offsets", bytes: safetensorsBytes(header(offsets: "[0,4,4]")),
            error: .safetensorsInvalidField(
                tensor: "t", field: "data_offsets", found: "3 integers", expected: "two integers")),
        Refusal(
            testDescription: "negative dimension", bytes: safetensorsBytes(header(shape: "[-1]"), data: [0, 0, 0, 0]),
            error: .safetensorsNegativeDimension(tensor: "t", shape: [-1])),
        Refusal(
            testDescription: "two negative dimensions",
            bytes: safetensorsBytes(header(shape: "[-1,-1]"), data: [0, 0, 0, 0]),
            error: .safetensorsNegativeDimension(tensor: "t", shape: [-1, -1])),
        Refusal(
            testDescription: "elements overflow",
            bytes: safetensorsBytes(header(shape: "[4294967296,4294967296]", offsets: "[0,0]")),
            error: .safetensorsShapeOverflow(tensor: "t", shape: [1 << 32, 1 << 32])),
        Refusal(
            testDescription: "bytes overflow",
            bytes: safetensorsBytes(header(shape: "[4611686018427387904]", offsets: "[0,0]")),
            error: .safetensorsShapeOverflow(tensor: "t", shape: [1 << 62])),
        Refusal(
            testDescription: "unknown type with overflow",
            bytes: safetensorsBytes(header(dtype: "\"F4\"", shape: "[9223372036854775807,2]", offsets: "[0,0]")),
            error: .safetensorsShapeOverflow(tensor: "t", shape: [.max, 2])),
        Refusal(
            testDescription: "reversed range", bytes: safetensorsBytes(header(offsets: "[4,0]"), data: [0, 0, 0, 0]),
            error: .safetensorsInvalidRange(tensor: "t", begin: 4, end: 0)),
        Refusal(
            testDescription: "negative begin", bytes: safetensorsBytes(header(offsets: "[-4,0]"), data: [0, 0, 0, 0]),
            error: .safetensorsInvalidRange(tensor: "t", begin: -4, end: 0)),
        Refusal(
            testDescription: "extreme range",
            bytes: safetensorsBytes(header(offsets: "[-9223372036854775808,9223372036854775807]")),
            error: .safetensorsInvalidRange(tensor: "t", begin: .min, end: .max)),
        Refusal(
            testDescription: "range beyond the end", bytes: safetensorsBytes(header(), data: [0, 0, 0]),
            error: .safetensorsRangeBeyondEnd(tensor: "t", end: 4, dataByteCount: 3)),
        Refusal(
            testDescription: "range too small", bytes: safetensorsBytes(header(offsets: "[0,3]"), data: [0, 0, 0, 0]),
            error: .safetensorsRangeSizeMismatch(tensor: "t", found: 3, expected: 4)),
        Refusal(
            testDescription: "range too large", bytes: safetensorsBytes(header(shape: "[0]"), data: [0, 0, 0, 0]),
            error: .safetensorsRangeSizeMismatch(tensor: "t", found: 4, expected: 0)),
        Refusal(
            testDescription: "overlap", bytes: safetensorsBytes(header(ranges: [0...3, 2...4]), data: [0, 0, 0, 0]),
            error: .safetensorsOverlap(tensor: "t1", begin: 2, previousEnd: 3)),
        Refusal(
            testDescription: "same range",
            bytes: safetensorsBytes(header(ranges: [0...4, 0...4]), data: [0, 0, 0, 0]),
            error: .safetensorsOverlap(tensor: "t1", begin: 0, previousEnd: 4)),
        Refusal(
            testDescription: "hole in front", bytes: safetensorsBytes(header(ranges: [1...4]), data: [0, 0, 0, 0]),
            error: .safetensorsHole(tensor: "t0", begin: 1, previousEnd: 0)),
        Refusal(
            testDescription: "hole between",
            bytes: safetensorsBytes(header(ranges: [3...4, 0...2]), data: [0, 0, 0, 0]),
            error: .safetensorsHole(tensor: "t0", begin: 3, previousEnd: 2)),
        Refusal(
            testDescription: "trailing bytes", bytes: safetensorsBytes(header(ranges: [0...3]), data: [0, 0, 0, 0]),
            error: .safetensorsTrailingBytes(lastEnd: 3, dataByteCount: 4)),
        Refusal(
            testDescription: "data without tensors", bytes: safetensorsBytes("{}", data: [0]),
            error: .safetensorsTrailingBytes(lastEnd: 0, dataByteCount: 1)),
    ]

    @Test(arguments: refusals)
    func refuses(_ refusal: Refusal) {
        #expect(throws: refusal.error) { try SafetensorsFile(bytes: refusal.bytes) }
    }

    @Test(arguments: [
        ("shape", header(shape: "3")), ("shape", header(shape: "null")), ("shape", header(shape: "[true]")),
        ("shape", header(shape: "[\"1\"]")), ("shape", header(shape: "[1.5]")), ("shape", header(shape: "[1e400]")),
        ("shape", header(shape: "[9223372036854775808]")), ("shape", header(shape: "[-1e308]")),
        ("shape", header(shape: "[[1]]")), ("shape", header(shape: "[1" + String(repeating: "0", count: 9999) + "]")),
        ("dtype", header(dtype: "4")), ("dtype", header(dtype: "null")), ("dtype", header(dtype: "[]")),
        ("data_offsets", header(offsets: "{}")), ("data_offsets", header(offsets: "[0,0.5]")),
        ("data_offsets", header(offsets: "[0,18446744073709551616]")), ("data_offsets", header(offsets: "[0,null]")),
        ("entry", "{\"t\":1}"), ("entry", "{\"t\":null}"), ("entry", "{\"t\":[]}"), ("entry", "{\"t\":1e999}"),
        ("data_offsets", "{\"t\":{}}"), ("dtype", "{\"t\":{\"shape\":[],\"data_offsets\":[0,0]}}"),
        ("shape", "{\"t\":{\"dtype\":\"U8\",\"data_offsets\":[0,0]}}"),
    ])
    func refusesFieldsOfTheWrongKind(field: String, header: String) throws {
        let error = #expect(throws: FileError.self) {
            try SafetensorsFile(bytes: safetensorsBytes(header, data: [0, 0, 0, 0]))
        }
        guard case .safetensorsInvalidField("t", field, let found, _) = error else {
            Issue.record("unexpected \(String(describing: error))")
            return
        }
        #expect(!found.isEmpty)
    }

    @Test(arguments: ["1", "null", "[]", "{\"a\":1}", "{\"a\":null}", "{\"a\":{}}", "\"x\""])
    func refusesMetadataOtherThanStrings(metadata: String) {
        let error = #expect(throws: FileError.self) {
            try SafetensorsFile(bytes: safetensorsBytes("{\"__metadata__\":\(metadata)}"))
        }
        guard case .safetensorsInvalidMetadata = error else {
            Issue.record("unexpected \(String(describing: error))")
            return
        }
    }

    @Test func refusesATensorThatIsNotThere() throws {
        let file = try SafetensorsFile(bytes: safetensorsBytes(header(), data: [0, 0, 0, 0]))
        #expect(throws: FileError.safetensorsNoSuchTensor("u")) { try file.tensor(named: "u") }
        #expect(throws: FileError.safetensorsNoSuchTensor("__metadata__")) { try file.tensor(named: "__metadata__") }
    }

    @Test func refusesAValidFileCutAtAnyLength() throws {
        let bytes = try fixtureBytes("all_types.safetensors")
        for length in 0..<bytes.count {
            #expect(throws: FileError.self) { try SafetensorsFile(bytes: Array(bytes[..<length])) }
        }
    }

    @Test(arguments: ["all_types.safetensors", "shapes.safetensors", "metadata.safetensors"])
    func parsesOrThrowsAfterRandomChanges(name: String) throws {
        let original = try fixtureBytes(name)
        var generator = SeededGenerator(seed: 2)
        for _ in 0..<2_000 {
            var bytes = original
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                bytes[Int.random(in: bytes.indices, using: &generator)] ^= UInt8(
                    1 << Int.random(in: 0..<8, using: &generator))
            }
            guard let file = try? SafetensorsFile(bytes: bytes) else { continue }
            for entry in file.entries {
                guard let tensor = try? file.tensor(named: entry.name) else { continue }
                #expect(tensor.bytes.count == entry.byteRange.count)
            }
        }
    }
}
