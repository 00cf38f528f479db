import Testing

@testable import HalftoneFiles

@Suite struct TensorTests {
    @Test func elementTypesKnowWidthAndSpelling() {
        let expected: [(ElementType, Int, String, String?)] = [
            (.f64, 8, "F64", "<f8"), (.f32, 4, "F32", "<f4"), (.f16, 2, "F16", "<f2"), (.bf16, 2, "BF16", nil),
            (.i64, 8, "I64", "<i8"), (.i32, 4, "I32", "<i4"), (.i16, 2, "I16", "<i2"), (.i8, 1, "I8", "|i1"),
            (.u64, 8, "U64", "<u8"), (.u32, 4, "U32", "<u4"), (.u16, 2, "U16", "<u2"), (.u8, 1, "U8", "|u1"),
            (.bool, 1, "BOOL", "|b1"),
        ]
        #expect(expected.map(\.0) == ElementType.allCases)
        for (elementType, width, safetensorsName, numpyName) in expected {
            #expect(elementType.byteWidth == width)
            #expect(elementType.safetensorsName == safetensorsName)
            #expect(elementType.numpyName == numpyName)
            #expect(ElementType(safetensorsName: safetensorsName) == elementType)
        }
        #expect(ElementType(safetensorsName: "f32") == nil)
        #expect(ElementType(safetensorsName: "F8_E4M3") == nil)
    }

    @Test(arguments: sampleShapes)
    func countsElements(shape: [Int]) throws {
        for elementType in ElementType.allCases {
            #expect(try countingTensor(elementType, shape).elementCount == shape.reduce(1, *))
        }
    }

    @Test func refusesBytesThatDoNotFit() {
        for count in [0, 7, 9, 16] {
            let bytes = [UInt8](repeating: 0, count: count)
            #expect(
                throws: FileError.byteCountMismatch(shape: [2], elementType: .f32, found: count, expected: 8)
            ) {
                try Tensor(elementType: .f32, shape: [2], bytes: bytes)
            }
        }
    }

    @Test func refusesImpossibleShapes() {
        #expect(throws: FileError.negativeDimension(shape: [2, -1])) {
            try Tensor(elementType: .u8, shape: [2, -1], bytes: [])
        }
        #expect(throws: FileError.negativeDimension(shape: [-1, -1])) { try Tensor([1], shape: [-1, -1]) }
        for shape in [[Int.max, 2], [1 << 62, 2], [Int.max / 2, 1], [Int.max, Int.max, 0]] {
            #expect(throws: FileError.shapeOverflow(shape: shape)) {
                try Tensor(elementType: .f32, shape: shape, bytes: [])
            }
        }
        #expect(throws: FileError.elementCountMismatch(shape: [2, 2], found: 3, expected: 4)) {
            try Tensor([1, 2, 3], shape: [2, 2], as: .bf16)
        }
    }

    @Test func describesErrorsInOneShortLine() {
        let long = String(repeating: "n\n", count: 10_000)
        let errors: [FileError] = [
            .safetensorsNoSuchTensor(long),
            .safetensorsInvalidMetadata(found: long),
            .negativeDimension(shape: [Int](repeating: -1, count: 10_000)),
        ]
        for error in errors {
            #expect(error.description.count < 500)
            #expect(error.localizedDescription == error.description)
        }
        #expect(
            FileError.safetensorsRangeSizeMismatch(tensor: "a\"b", found: 3, expected: 4).description
                == #"safetensors header, tensor "a\"b": data_offsets span 3 bytes; expected 4 from shape and dtype"#)
    }
}
