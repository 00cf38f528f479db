import Foundation
import Testing

@testable import HalftoneFiles

@Suite struct SafetensorsTests {
    @Test func roundTripsEveryTypeAndShape() throws {
        var tensors: [(String, Tensor)] = []
        for elementType in ElementType.allCases {
            for shape in sampleShapes {
                tensors.append(("\(elementType)\(shape)", try countingTensor(elementType, shape)))
            }
        }
        let file = try SafetensorsFile(bytes: SafetensorsFile.bytes(of: tensors))
        #expect(file.entries.count == tensors.count)
        for (name, tensor) in tensors {
            #expect(try file.tensor(named: name) == tensor)
        }
    }

    @Test func roundTripsThroughAFileWithMetadata() throws {
        let tensors = [("z", try countingTensor(.u8, [3])), ("a", try countingTensor(.f32, [2, 2]))]
        let metadata = ["format": "pt", "quote \" \\ / \n \u{1}": "é 字 \u{1F600}", "": ""]
        try withTemporaryFolder { folder in
            let path = folder + "/model.safetensors"
            try SafetensorsFile.write(tensors, metadata: metadata, to: path)
            let file = try SafetensorsFile(path: path)
            #expect(file.metadata == metadata)
            #expect(file.entries.map(\.name) == ["z", "a"])
            #expect(file.entries.map(\.byteRange) == [0..<3, 3..<19])
            #expect(try file.tensor(named: "a") == tensors[1].1)
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["model.safetensors"])
        }
    }

    @Test func writesAnEmptyFile() throws {
        let bytes = try SafetensorsFile.bytes(of: [])
        #expect(bytes == [8, 0, 0, 0, 0, 0, 0, 0] + Array("{}      ".utf8))
        #expect(try SafetensorsFile(bytes: bytes).entries.isEmpty)
    }

    @Test(arguments: 0..<17)
    func alignsTheDataTo8Bytes(nameLength: Int) throws {
        let name = String(repeating: "n", count: nameLength)
        let bytes = try SafetensorsFile.bytes(of: [(name, Tensor([1], shape: []))])
        #expect((bytes.count - 4) % 8 == 0)
        #expect(try SafetensorsFile(bytes: bytes).tensor(named: name).floats() == [1])
    }

    @Test func listsTensorsInTheOrderOfTheirBytes() throws {
        let file = try safetensors(
            """
            {"late":{"dtype":"U8","shape":[1],"data_offsets":[2,3]},"b":{"dtype":"U8","shape":[0],\
            "data_offsets":[2,2]},"a":{"dtype":"U8","shape":[0],"data_offsets":[2,2]},\
            "early":{"dtype":"I16","shape":[],"data_offsets":[0,2]}}
            """, data: [5, 6, 7])
        #expect(file.entries.map(\.name) == ["early", "a", "b", "late"])
        #expect(try file.tensor(named: "early").bytes == [5, 6])
        #expect(try file.tensor(named: "late").bytes == [7])
    }

    @Test func readsEscapedNamesExtraFieldsAndPadding() throws {
        let file = try safetensors(
            #"{ "a\u00e9\n": {"shape":[], "extra":[{"a":1,"a":2}], "dtype":"U8", "data_offsets":[0,1]} }"# + "  \n",
            data: [9])
        #expect(try file.tensor(named: "aé\n").bytes == [9])
    }

    @Test func readsTheOfficialFileOfAllTypes() throws {
        let file = try SafetensorsFile(path: fixturePath("all_types.safetensors"))
        #expect(file.entries.count == ElementType.allCases.count)
        for elementType in ElementType.allCases {
            let expected = try Tensor(elementType: elementType, shape: [2, 3], bytes: fixtureElements(elementType))
            #expect(try file.tensor(named: "\(elementType)") == expected)
        }
    }

    @Test func readsTheOfficialFileOfShapes() throws {
        let file = try SafetensorsFile(path: fixturePath("shapes.safetensors"))
        #expect(try file.tensor(named: "scalar") == Tensor([7.5], shape: []))
        #expect(try file.tensor(named: "vector") == Tensor([1, 2, 3], shape: [3]))
        #expect(try file.tensor(named: "cube") == Tensor((0..<24).map(Float.init), shape: [2, 3, 4]))
        #expect(try file.tensor(named: "empty") == Tensor([], shape: [0, 5]))
        #expect(try file.tensor(named: "näme \"x\"/y\n") == Tensor([-1], shape: [1]))
    }

    @Test func readsOfficialMetadata() throws {
        let file = try SafetensorsFile(path: fixturePath("metadata.safetensors"))
        #expect(file.metadata == ["source": "fixture \"äöü\" a/b"])
        #expect(try file.tensor(named: "w") == Tensor([0, 1, 2, 3, 4, 5], shape: [2, 3]))
    }

    @Test(arguments: ["all_types", "shapes", "metadata"])
    func writesTheSameBytesAsTheOfficialWriter(name: String) throws {
        let bytes = try fixtureBytes("\(name).safetensors")
        let file = try SafetensorsFile(bytes: bytes)
        let tensors = try file.entries.map { ($0.name, try file.tensor(named: $0.name)) }
        #expect(try SafetensorsFile.bytes(of: tensors, metadata: file.metadata) == bytes)
    }

    @Test func listsButDoesNotReadAnUnknownElementType() throws {
        let file = try SafetensorsFile(path: fixturePath("float8.safetensors"))
        let entry = try #require(file.entries.first { $0.name == "e4m3" })
        #expect(entry.elementType == nil)
        #expect(entry.elementTypeName == "F8_E4M3")
        #expect(entry.shape == [8])
        #expect(throws: FileError.safetensorsUnsupportedElementType(tensor: "e4m3", name: "F8_E4M3")) {
            try file.tensor(named: "e4m3")
        }
        #expect(try file.tensor(named: "f32").floats() == [1, 1])
    }

    @Test func refusesNamesThatCannotBeWritten() throws {
        let tensor = try Tensor([1], shape: [])
        #expect(throws: FileError.safetensorsDuplicateName("a")) {
            try SafetensorsFile.bytes(of: [("a", tensor), ("b", tensor), ("a", tensor)])
        }
        #expect(throws: FileError.safetensorsReservedName("__metadata__")) {
            try SafetensorsFile.bytes(of: [("__metadata__", tensor)])
        }
    }

    @Test func limitsTheLengthOfTheHeader() throws {
        try SafetensorsHeader.checkByteCount(100_000_000)
        #expect(throws: FileError.safetensorsHeaderTooLong(byteCount: 100_000_001, limit: 100_000_000)) {
            try SafetensorsHeader.checkByteCount(100_000_001)
        }
    }

    private func safetensors(_ header: String, data: [UInt8]) throws -> SafetensorsFile {
        try SafetensorsFile(bytes: safetensorsBytes(header, data: data))
    }
}
