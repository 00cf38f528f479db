import Testing

@testable import HalftoneFiles

/// A version 1.0 file with any header and data, the length of the header being right.
func numpyBytes(_ header: String, data: [UInt8] = []) -> [UInt8] {
    [0x93] + Array("NUMPY".utf8) + [1, 0] + littleEndian([UInt16(header.utf8.count)]) + Array(header.utf8) + data
}

private func header(
    descr: String = "'<f4'", order: String = "False", shape: String = "(1,)"
) -> String {
    "{'descr': \(descr), 'fortran_order': \(order), 'shape': \(shape), }"
}

@Suite struct NumPyHostileTests {
    static let refusals: [([UInt8], FileError)] = [
        ([], .numpyBadMagic(found: [])),
        (Array("PK\u{3}\u{4} archive".utf8), .numpyBadMagic(found: [0x50, 0x4B, 3, 4, 0x20, 0x61])),
        (Array(numpyBytes("")[..<7]), .numpyTooShort(byteCount: 7, expected: 8)),
        (Array(numpyBytes("")[..<9]), .numpyTooShort(byteCount: 9, expected: 10)),
        (Array(numpyBytes("")[..<6]) + [2, 0, 0, 0], .numpyTooShort(byteCount: 10, expected: 12)),
        (Array(numpyBytes("")[..<6]) + [4, 0, 0, 0], .numpyUnsupportedVersion(major: 4, minor: 0)),
        (Array(numpyBytes("")[..<6]) + [1, 1, 0, 0], .numpyUnsupportedVersion(major: 1, minor: 1)),
        (
            Array(numpyBytes("")[..<6]) + [2, 0, 255, 255, 255, 255, 1],
            .numpyHeaderBeyondEnd(byteCount: 0xFFFF_FFFF, available: 1)
        ),
        (numpyBytes(header(descr: "'|O'")), .numpyUnsupportedElementType("|O")),
        (numpyBytes(header(descr: "'<c8'")), .numpyUnsupportedElementType("<c8")),
        (numpyBytes(header(descr: "'=f4'")), .numpyUnsupportedElementType("=f4")),
        (numpyBytes(header(descr: "'|f4'")), .numpyUnsupportedElementType("|f4")),
        (numpyBytes(header(descr: "'f4'")), .numpyUnsupportedElementType("f4")),
        (numpyBytes(header(descr: "''")), .numpyUnsupportedElementType("")),
        (numpyBytes(header(descr: "[('a', '<f4')]")), .numpyUnsupportedElementType("[...]")),
        (numpyBytes(header(shape: "(-1,)")), .negativeDimension(shape: [-1])),
        (numpyBytes(header(shape: "(4294967296, 4294967296)")), .shapeOverflow(shape: [1 << 32, 1 << 32])),
        (numpyBytes(header(shape: "(9223372036854775808,)")), .numpyDimensionTooLarge(offset: 51)),
        (numpyBytes(header(shape: "(99999999999999999999,)")), .numpyDimensionTooLarge(offset: 51)),
        (numpyBytes(header(), data: [0, 0, 0]), .numpyDataSizeMismatch(shape: [1], found: 3, expected: 4)),
        (numpyBytes(header(), data: [0, 0, 0, 0, 0]), .numpyDataSizeMismatch(shape: [1], found: 5, expected: 4)),
        (numpyBytes(header(shape: "()")), .numpyDataSizeMismatch(shape: [], found: 0, expected: 4)),
        (
            numpyBytes(header(shape: "(9223372036854775807,)").replacing("<f4", with: "<i1")),
            .numpyDataSizeMismatch(shape: [.max], found: 0, expected: .max)
        ),
        (numpyBytes("{}"), .numpyMissingKey("descr")),
        (numpyBytes("{'descr': '<f4'}"), .numpyMissingKey("fortran_order")),
        (numpyBytes("{'descr': '<f4', 'fortran_order': True}"), .numpyMissingKey("shape")),
        (numpyBytes("{'descr': '<f4', 'descr': '<f4'}"), .numpyDuplicateKey("descr")),
        (numpyBytes("{'shape': (), 'shape': ()}"), .numpyDuplicateKey("shape")),
        (numpyBytes("{'more': 1}"), .numpyUnknownKey("more")),
    ]

    @Test(arguments: refusals)
    func refuses(bytes: [UInt8], error: FileError) {
        #expect(throws: error) { try NumPyFile.tensor(bytes: bytes) }
    }

    @Test(arguments: [
        ("", 0, "'{'"), ("[", 0, "'{'"), ("{", 1, "a string"), ("{,}", 1, "a string"), ("{'descr'", 8, "':'"),
        ("{'descr' '<f4'}", 9, "':'"), ("{'descr: 1}", 11, "the end of the string"),
        ("{'de\\x73cr': 1}", 4, "the end of the string"), ("{'é': 1}", 2, "the end of the string"),
        ("{'descr': 4}", 10, "a string"), ("{'descr': '<f4\"}", 16, "the end of the string"),
        ("{'fortran_order': 0}", 18, "True or False"), ("{'fortran_order': Tru", 18, "True or False"),
        ("{'fortran_order': Falsely}", 23, "'}'"), ("{'fortran_order': True,,}", 23, "a string"),
        ("{'shape': 3}", 10, "'('"), ("{'shape': (3)}", 12, "','"), ("{'shape': (,)}", 11, "an integer"),
        ("{'shape': (1,,)}", 13, "an integer"), ("{'shape': (1 2)}", 13, "','"), ("{'shape': (1, 2 3)}", 16, "')'"),
        ("{'shape': (1L,)}", 12, "','"), ("{'shape': (1.5,)}", 12, "','"), ("{'shape': (--1,)}", 12, "an integer"),
        ("{'shape': ((1,),)}", 11, "an integer"), ("{'shape': (1,", 13, "an integer"),
        ("{'shape': (1,)}", 15, ""), (header() + "x", 57, "the end of the header"),
        (header() + "\0", 57, "the end of the header"),
    ])
    func refusesSyntax(header: String, offset: Int, expected: String) throws {
        let error = #expect(throws: FileError.self) { try NumPyFile.tensor(bytes: numpyBytes(header)) }
        if expected.isEmpty {
            #expect(error == .numpyMissingKey("descr"))
        } else if case .numpyInvalidHeader(offset, _, expected) = error {
        } else {
            Issue.record("unexpected \(String(describing: error))")
        }
    }

    @Test(arguments: ["unsupported_complex", "unsupported_record"])
    func refusesOfficialFilesOfOtherTypes(name: String) throws {
        let error = #expect(throws: FileError.self) { try NumPyFile.read(path: fixturePath("\(name).npy")) }
        guard case .numpyUnsupportedElementType = error else {
            Issue.record("unexpected \(String(describing: error))")
            return
        }
    }

    @Test(arguments: ["type_f32.npy", "version_2.npy", "fortran_cube.npy", "shape_empty.npy", "shape_scalar.npy"])
    func refusesAValidFileCutAtAnyLength(name: String) throws {
        let bytes = try fixtureBytes(name)
        for length in 0..<bytes.count {
            #expect(throws: FileError.self) { try NumPyFile.tensor(bytes: Array(bytes[..<length])) }
        }
    }

    @Test(arguments: ["type_f32.npy", "version_2.npy", "fortran_cube.npy", "big_endian.npy"])
    func parsesOrThrowsAfterRandomChanges(name: String) throws {
        let original = try fixtureBytes(name)
        var generator = SeededGenerator(seed: 3)
        for _ in 0..<5_000 {
            var bytes = original
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                // The first 80 bytes hold all there is to parse.
                bytes[Int.random(in: 0..<80, using: &generator)] = UInt8.random(in: 0...127, using: &generator)
            }
            guard let tensor = try? NumPyFile.tensor(bytes: bytes) else { continue }
            #expect(tensor.bytes.count == tensor.elementCount * tensor.elementType.byteWidth)
        }
    }

    /// Many dimensions of 1 in Fortran order cost time in proportion to their number, not to that times the data.
    @Test func transposesWithManyDimensionsOfOne() throws {
        let ones = String(repeating: "1,", count: 20_000)
        let data = (0..<240).map { UInt8($0) }
        let bytes = numpyBytes(header(descr: "'|u1'", order: "True", shape: "(\(ones)16,15)"), data: data)
        let tensor = try NumPyFile.tensor(bytes: bytes)
        #expect(tensor.shape.count == 20_002)
        let expected = (0..<16).flatMap { row in (0..<15).map { column in UInt8(row + 16 * column) } }
        #expect(tensor.bytes == expected)
    }
}
