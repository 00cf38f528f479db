import Foundation
import Testing

@testable import HalftoneFiles

@Suite struct FileAccessTests {
    @Test func readingReportsTheSystemsReason() throws {
        try withTemporaryFolder { folder in
            for path in [folder + "/absent", folder, ""] {
                let error = #expect(throws: FileError.self) { try SafetensorsFile(path: path) }
                guard case .cannotRead(path, let reason) = error else {
                    Issue.record("unexpected \(String(describing: error))")
                    continue
                }
                #expect(!reason.isEmpty)
                #expect(throws: FileError.cannotRead(path: path, reason: reason)) { try NumPyFile.read(path: path) }
            }
        }
    }

    @Test func emptyFilesAreRefusedByTheirContent() throws {
        try withTemporaryFolder { folder in
            let path = folder + "/empty"
            try Data().write(to: URL(fileURLWithPath: path))
            #expect(throws: FileError.safetensorsTooShort(byteCount: 0)) { try SafetensorsFile(path: path) }
            #expect(throws: FileError.numpyBadMagic(found: [])) { try NumPyFile.read(path: path) }
        }
    }

    @Test func aFailedWriteLeavesNothingBehind() throws {
        try withTemporaryFolder { folder in
            let tensor = try Tensor([1, 2], shape: [2])
            // A folder that is not empty cannot be replaced, so that the write fails at its last step, the renaming.
            let occupied = folder + "/occupied"
            try FileManager.default.createDirectory(atPath: occupied + "/inner", withIntermediateDirectories: true)
            for path in [occupied, folder + "/absent/file"] {
                let error = #expect(throws: FileError.self) { try NumPyFile.write(tensor, to: path) }
                guard case .cannotWrite(path, _) = error else {
                    Issue.record("unexpected \(String(describing: error))")
                    continue
                }
            }
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["occupied"])
            #expect(try FileManager.default.contentsOfDirectory(atPath: occupied) == ["inner"])
        }
    }

    @Test func anOpenFileKeepsItsContentWhenReplaced() throws {
        try withTemporaryFolder { folder in
            let path = folder + "/w.safetensors"
            let old = try countingTensor(.f32, [4096])
            try SafetensorsFile.write([("w", old)], to: path)
            let file = try SafetensorsFile(path: path)
            try SafetensorsFile.write([("w", Tensor([1], shape: []))], to: path)
            #expect(try file.tensor(named: "w") == old)
            #expect(try SafetensorsFile(path: path).tensor(named: "w") == Tensor([1], shape: []))
        }
    }

    @Test func refusedTensorsAreNotWritten() throws {
        try withTemporaryFolder { folder in
            let tensor = try Tensor([1], shape: [1], as: .bf16)
            #expect(throws: FileError.numpyCannotStore(.bf16)) { try NumPyFile.write(tensor, to: folder + "/x.npy") }
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == [])
        }
    }
}
