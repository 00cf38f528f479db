import Halftone
import Testing

@testable import HalftoneFiles

private let formats: [(ElementType, SmallFloatFormat)] = [(.f16, .f16), (.bf16, .bf16)]

@Suite struct FloatConversionTests {
    @Test(arguments: formats)
    func widensEveryPatternExactly(elementType: ElementType, format: SmallFloatFormat) throws {
        let patterns = Array(UInt16.min...UInt16.max)
        let tensor = try Tensor(elementType: elementType, shape: [65536], bytes: littleEndian(patterns))
        let floats = try tensor.floats()
        let wrong = zip(patterns, floats).filter { pattern, float in
            let expected = format.value(pattern)
            return expected.isNaN ? !float.isNaN : Double(float).bitPattern != expected.bitPattern
        }
        #expect(floats.count == 65536)
        #expect(wrong.isEmpty)
    }

    @Test(arguments: formats)
    func narrowingUndoesWideningForEveryPattern(elementType: ElementType, format: SmallFloatFormat) throws {
        let patterns = (UInt16.min...UInt16.max).filter { !format.value($0).isNaN }
        let bytes = littleEndian(patterns)
        let wide = try Tensor(elementType: elementType, shape: [patterns.count], bytes: bytes).floats()
        #expect(try Tensor(wide, shape: [patterns.count], as: elementType).bytes == bytes)
    }

    @Test(arguments: formats)
    func roundsTiesAndTheirNeighboursToNearestEven(elementType: ElementType, format: SmallFloatFormat) throws {
        let magnitudes = format.magnitudes()
        let ties = zip(magnitudes, magnitudes.dropFirst()).map { Float(($0 + $1) / 2) }
        let floats = ties.flatMap { [$0, $0.nextUp, $0.nextDown, -$0, -$0.nextUp, -$0.nextDown] }
        try expectNearest(floats, elementType, format, magnitudes)
    }

    @Test(arguments: formats)
    func roundsRandomNumbersToNearest(elementType: ElementType, format: SmallFloatFormat) throws {
        var generator = SeededGenerator(seed: 1)
        let patterns: [UInt32] = (0..<20_000).map { _ in generator.next() }
        let anyBits = patterns.map { Float(bitPattern: $0) }.filter { !$0.isNaN }
        let common = (0..<20_000).map { _ in Float.random(in: -70_000...70_000, using: &generator) }
        let extremes: [Float] = [
            0, -0.0, .infinity, -.infinity, .greatestFiniteMagnitude, -.greatestFiniteMagnitude,
            .leastNonzeroMagnitude, -.leastNonzeroMagnitude, .leastNormalMagnitude, 65_519.996, 65_520,
        ]
        try expectNearest(anyBits + common + extremes, elementType, format, format.magnitudes())
    }

    @Test(arguments: formats)
    func keepsNaNWhateverItsPayload(elementType: ElementType, format: SmallFloatFormat) throws {
        let payloads: [UInt32] = [1, 0x1FFF, 0xFFFF, 0x10000, 0x400000, 0x7FFFFF, 0x3FFFFF]
        let floats = payloads.flatMap { [Float(bitPattern: 0x7F80_0000 | $0), Float(bitPattern: 0xFF80_0000 | $0)] }
        let tensor = try Tensor(floats, shape: [floats.count], as: elementType)
        #expect(try tensor.floats().allSatisfy(\.isNaN))
        let signs = stride(from: 1, to: tensor.bytes.count, by: 2).map { tensor.bytes[$0] >> 7 }
        #expect(signs == floats.map { $0.sign == .minus ? 1 : 0 })
    }

    @Test func bfloat16KeepsThePayloadOfNaN() {
        #expect(Float(BFloat16(bitPattern: 0xFFA5)).bitPattern == 0xFFA5_0000)
        #expect(BFloat16(Float(bitPattern: 0x7FC1_2345)).bitPattern == 0x7FC1)
    }

    @Test func f32KeepsEveryBit() throws {
        let patterns: [UInt32] = [0, 0x8000_0000, 1, 0x3F80_0001, 0x7F80_0000, 0xFF80_0000, 0x7FC0_1234]
        let tensor = try Tensor(patterns.map { Float(bitPattern: $0) }, shape: [7])
        #expect(tensor.elementType == .f32)
        #expect(tensor.bytes == littleEndian(patterns))
        #expect(try tensor.floats().map(\.bitPattern) == patterns)
    }

    @Test func refusesOtherElementTypes() throws {
        for elementType in ElementType.allCases where ![.f32, .f16, .bf16].contains(elementType) {
            let tensor = try countingTensor(elementType, [2])
            #expect(throws: FileError.noFloatConversion(elementType)) { try tensor.floats() }
            #expect(throws: FileError.noFloatConversion(elementType)) {
                try Tensor([1, 2], shape: [2], as: elementType)
            }
        }
    }

    private func expectNearest(
        _ floats: [Float], _ elementType: ElementType, _ format: SmallFloatFormat, _ magnitudes: [Double]
    ) throws {
        let tensor = try Tensor(floats, shape: [floats.count], as: elementType)
        let expected = floats.map { format.nearest(to: Double($0), in: magnitudes) }
        let found = (0..<floats.count).map { UInt16(tensor.bytes[2 * $0]) | UInt16(tensor.bytes[2 * $0 + 1]) << 8 }
        let wrong = zip(floats, zip(found, expected)).filter { $1.0 != $1.1 }.map(\.0)
        #expect(wrong.isEmpty)
    }
}
