import Foundation
import Testing

@testable import HalftoneFiles

/// The path of a file that `make_fixtures.py` made.
func fixturePath(_ name: String) throws -> String {
    let url = try #require(Bundle.module.url(forResource: "Fixtures", withExtension: nil))
    return url.appendingPathComponent(name).path
}

func fixtureBytes(_ name: String) throws -> [UInt8] {
    [UInt8](try Data(contentsOf: URL(fileURLWithPath: fixturePath(name))))
}

/// Calls `body` with the path of an empty folder and removes the folder afterwards.
func withTemporaryFolder(_ body: (String) throws -> Void) throws {
    let url = FileManager.default.temporaryDirectory.appendingPathComponent("HalftoneFiles-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: url, withIntermediateDirectories: false)
    defer { try? FileManager.default.removeItem(at: url) }
    try body(url.path)
}

/// A generator that gives the same numbers in every run (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) {
        state = seed
    }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

/// The bytes of integers, least significant first.
func littleEndian<Value: FixedWidthInteger>(_ values: [Value]) -> [UInt8] {
    values.flatMap { value in
        (0..<Value.bitWidth / 8).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) }
    }
}

/// The six elements that every fixture of one element type has, as bytes; their shape is [2, 3].
func fixtureElements(_ elementType: ElementType) -> [UInt8] {
    func limits<Value: FixedWidthInteger>(_: Value.Type) -> [UInt8] {
        littleEndian([Value.min, Value.max, 0, 1, 2, 3])
    }
    // The floating-point elements are 0, -0, 1.5, -2.25, infinity and NaN.
    return switch elementType {
    case .f64:
        littleEndian(
            [
                0, 0x8000_0000_0000_0000, 0x3FF8_0000_0000_0000, 0xC002_0000_0000_0000, 0x7FF0_0000_0000_0000,
                0x7FF8_0000_0000_0000,
            ] as [UInt64])
    case .f32:
        littleEndian([0, 0x8000_0000, 0x3FC0_0000, 0xC010_0000, 0x7F80_0000, 0x7FC0_0000] as [UInt32])
    case .f16: littleEndian([0, 0x8000, 0x3E00, 0xC080, 0x7C00, 0x7E00] as [UInt16])
    case .bf16: littleEndian([0, 0x8000, 0x3FC0, 0xC010, 0x7F80, 0x7FC0] as [UInt16])
    case .i64: limits(Int64.self)
    case .i32: limits(Int32.self)
    case .i16: limits(Int16.self)
    case .i8: limits(Int8.self)
    case .u64: limits(UInt64.self)
    case .u32: limits(UInt32.self)
    case .u16: limits(UInt16.self)
    case .u8: limits(UInt8.self)
    case .bool: [1, 0, 1, 1, 0, 0]
    }
}

/// A tensor of some type and shape whose bytes count up.
func countingTensor(_ elementType: ElementType, _ shape: [Int]) throws -> Tensor {
    let count = shape.reduce(elementType.byteWidth, *)
    return try Tensor(elementType: elementType, shape: shape, bytes: (0..<count).map { UInt8($0 % 251) })
}

/// A scalar, zero-sized dimensions in each place, and one to four dimensions.
let sampleShapes: [[Int]] = [[], [0], [1], [7], [0, 3], [3, 0, 2], [2, 3], [2, 3, 4], [1, 2, 1, 3]]
