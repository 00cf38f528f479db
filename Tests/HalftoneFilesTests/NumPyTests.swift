import Foundation
import Testing

@testable import HalftoneFiles

@Suite struct NumPyTests {
    @Test func roundTripsEveryTypeAndShape() throws {
        for elementType in ElementType.allCases where elementType != .bf16 {
            for shape in sampleShapes {
                let tensor = try countingTensor(elementType, shape)
                let bytes = try NumPyFile.bytes(of: tensor)
                #expect(try NumPyFile.tensor(bytes: bytes) == tensor)
                #expect((bytes.count - tensor.bytes.count) % 64 == 0)
            }
        }
    }

    @Test func roundTripsThroughAFile() throws {
        let tensor = try countingTensor(.f32, [3, 5])
        try withTemporaryFolder { folder in
            try NumPyFile.write(tensor, to: folder + "/a.npy")
            #expect(try NumPyFile.read(path: folder + "/a.npy") == tensor)
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["a.npy"])
        }
    }

    @Test func roundTripsTheMostDimensionsOfNumPy() throws {
        let tensor = try countingTensor(.u8, [Int](repeating: 1, count: 63) + [3])
        #expect(try NumPyFile.tensor(bytes: NumPyFile.bytes(of: tensor)) == tensor)
        // The longest header: 64 dimensions of 19 digits each, with a first one of 0 so that there are no bytes.
        let empty = try Tensor(elementType: .u8, shape: [0] + [Int](repeating: .max, count: 63), bytes: [])
        #expect(try NumPyFile.tensor(bytes: NumPyFile.bytes(of: empty)) == empty)
    }

    @Test(arguments: ElementType.allCases.filter { $0 != .bf16 })
    func readsAndWritesTheOfficialFileOfEachType(elementType: ElementType) throws {
        let name = "type_\(elementType).npy"
        let tensor = try NumPyFile.read(path: fixturePath(name))
        #expect(try tensor == Tensor(elementType: elementType, shape: [2, 3], bytes: fixtureElements(elementType)))
        #expect(try NumPyFile.bytes(of: tensor) == fixtureBytes(name))
    }

    @Test(
        arguments: [
            ("shape_scalar", [], [7.5]), ("shape_vector", [3], [1, 2, 3]), ("shape_empty", [0, 5], []),
            ("shape_cube", [2, 3, 4], (0..<24).map(Float.init)),
        ] as [(String, [Int], [Float])])
    func readsAndWritesTheOfficialFileOfEachShape(name: String, shape: [Int], floats: [Float]) throws {
        let tensor = try NumPyFile.read(path: fixturePath("\(name).npy"))
        #expect(try tensor == Tensor(floats, shape: shape))
        #expect(try NumPyFile.bytes(of: tensor) == fixtureBytes("\(name).npy"))
    }

    @Test(arguments: ["version_2.npy", "version_3.npy", "big_endian.npy"])
    func readsOtherVersionsAndByteOrders(name: String) throws {
        let expected = try Tensor(elementType: .f32, shape: [2, 3], bytes: fixtureElements(.f32))
        #expect(try NumPyFile.read(path: fixturePath(name)) == expected)
    }

    @Test func transposesFortranOrder() throws {
        #expect(
            try NumPyFile.read(path: fixturePath("fortran_matrix.npy"))
                == Tensor((0..<6).map(Float.init), shape: [2, 3]))
        #expect(
            try NumPyFile.read(path: fixturePath("fortran_cube.npy"))
                == Tensor(elementType: .i16, shape: [2, 3, 4], bytes: littleEndian((0..<24).map(Int16.init))))
    }

    @Test func readsHeadersInOtherSpellings() throws {
        let tensor = try countingTensor(.u16, [2])
        for header in [
            "{\"shape\":(2,),\"descr\":\"<u2\",\"fortran_order\":False}",
            "{'descr':'<u2','fortran_order':True,'shape':(2 , )}",
            " { 'descr' : '<u2' , 'fortran_order' : False , 'shape' : ( 2, ) , } \n\n",
        ] {
            #expect(try NumPyFile.tensor(bytes: numpyBytes(header, data: tensor.bytes)) == tensor)
        }
    }

    @Test func refusesWhatNumPyDoesNotHave() throws {
        let bfloats = try Tensor([1], shape: [1], as: .bf16)
        #expect(throws: FileError.numpyCannotStore(.bf16)) { try NumPyFile.bytes(of: bfloats) }
        let deep = try Tensor([1], shape: [Int](repeating: 1, count: 65))
        #expect(throws: FileError.numpyTooManyDimensions(found: 65, limit: 64)) { try NumPyFile.bytes(of: deep) }
    }
}
