import Halftone
import Testing

/// Packed matrices in files and in other people's memory.
@Suite struct FileTests {
    private let folder = TemporaryFolder()
    private let pattern = try! NMPattern(2, of: 4)

    private func matrix(seed: UInt64 = 1, rows: Int = 40, columns: Int = 70) throws -> NMMatrix {
        var g = Generator(seed: seed)
        let w = (0..<rows * columns).map { _ in Data.plain.value(&g) }
        return try NMMatrix(
            packing: pattern.pruned(w, rows: rows, columns: columns), rows: rows, columns: columns, pattern: pattern)
    }

    private func bytes(_ matrix: NMMatrix) -> [UInt8] {
        matrix.withPackedBytes { span in span.withUnsafeBytes { Array($0) } }
    }

    @Test func aMappedFileGivesTheSameProduct() throws {
        var g = Generator(seed: 2)
        let original = try matrix()
        let x = (0..<5 * 70).map { _ in Data.plain.value(&g) }
        let path = folder.file("layer")
        try original.write(to: path)
        let mapped = try NMMatrix(mapping: path)
        #expect(mapped.rows == 40 && mapped.columns == 70 && mapped.pattern == pattern)
        #expect(mapped.packedByteCount == original.packedByteCount)
        try mapped.verify()
        #expect(bytes(mapped) == bytes(original))
        #expect(folder.read("layer") == bytes(original))
        #expect(try mapped.multiply(x, rows: 5) == original.multiply(x, rows: 5))
        #expect(try mapped.unpacked() == original.unpacked())
    }

    /// A mapping stays what it was when its file is replaced or removed, and nothing else is left in the folder.
    @Test func replacingAFileLeavesItsMappings() throws {
        let path = folder.file("layer")
        let (first, second) = (try matrix(seed: 1), try matrix(seed: 2))
        try first.write(to: path)
        let mapped = try NMMatrix(mapping: path)
        let copy = mapped
        try second.write(to: path)
        #expect(folder.names == ["layer"])
        #expect(try mapped.unpacked() == first.unpacked())
        #expect(try copy.unpacked() == first.unpacked())
        #expect(try NMMatrix(mapping: path).unpacked() == second.unpacked())
    }

    @Test func filesThatCannotBeReadSaySo() throws {
        let missing = folder.file("missing")
        #expect(throws: HalftoneError.file(path: missing, reason: "No such file or directory")) {
            try NMMatrix(mapping: missing)
        }
        #expect(throws: HalftoneError.self) { try NMMatrix(mapping: folder.path) }
        folder.write([], to: "empty")
        #expect(throws: HalftoneError.blobTruncated) { try NMMatrix(mapping: folder.file("empty")) }
    }

    @Test func filesThatCannotBeWrittenSaySo() throws {
        let matrix = try matrix()
        let nowhere = folder.file("missing/layer")
        #expect(throws: HalftoneError.file(path: nowhere, reason: "No such file or directory")) {
            try matrix.write(to: nowhere)
        }
        // A folder cannot be replaced by a file; the temporary file goes away again.
        let inner = TemporaryFolder(in: folder.path)
        #expect(throws: HalftoneError.self) { try matrix.write(to: inner.path) }
        #expect(folder.names.count == 1 && inner.names.isEmpty)
    }

    @Test func foreignAndDamagedFilesAreRefused() throws {
        let good = bytes(try matrix())
        func expect(_ bytes: [UInt8], _ error: HalftoneError) {
            folder.write(bytes, to: "file")
            #expect(throws: error) { try NMMatrix(mapping: folder.file("file")) }
            #expect(throws: error) { try NMMatrix(copying: bytes.span.bytes) }
        }
        for count in [1, 63, 64, good.count - 1] { expect(Array(good[..<count]), .blobTruncated) }
        expect([UInt8](repeating: 65, count: 4096), .blobForeign)
        var damaged = good
        damaged[8] ^= 1
        expect(damaged, .blobVersion)
        damaged = good
        damaged[30] ^= 1
        expect(damaged, .blobCorrupt)
    }

    /// Only `verify` reads what is behind the header.
    @Test func verifyFindsADamagedBody() throws {
        var damaged = bytes(try matrix())
        for at in damaged.count / 2..<damaged.count - 128 { damaged[at] = 0 }
        folder.write(damaged, to: "file")
        let mapped = try NMMatrix(mapping: folder.file("file"))
        #expect(throws: HalftoneError.blobCorrupt) { try mapped.verify() }
    }

    /// Bytes may lie at any address and have others behind them.
    @Test func copiesFromAnywhere() throws {
        let original = try matrix()
        let good = bytes(original)
        for offset in [0, 1, 3, 32] {
            let padded = [UInt8](repeating: 7, count: offset) + good + [1, 2, 3]
            let copy = try padded.withUnsafeBytes { bytes in
                try NMMatrix(copying: UnsafeRawBufferPointer(rebasing: bytes[offset...]).bytes)
            }
            #expect(bytes(copy) == good)
            try copy.verify()
        }
        folder.write(good + [1, 2, 3], to: "file")
        #expect(bytes(try NMMatrix(mapping: folder.file("file"))) == good)
    }

    @Test func packedBytesAreAligned() throws {
        let original = try matrix()
        try original.write(to: folder.file("file"))
        for matrix in [original, try NMMatrix(mapping: folder.file("file"))] {
            matrix.withPackedBytes { span in
                span.withUnsafeBytes { bytes in
                    #expect(bytes.count == original.packedByteCount)
                    #expect(UInt(bitPattern: bytes.baseAddress) % 64 == 0)
                }
            }
        }
    }
}
