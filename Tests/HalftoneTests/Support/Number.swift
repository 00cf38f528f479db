import CHalftone

/// A type of numbers as the tests know it. Every value but those of i32 is a Float's.
enum Number: UInt32, CaseIterable, Sendable {
    case f32 = 1
    case f16, bf16, i8, u8, i32

    var code: ht_dtype { ht_dtype(rawValue: .init(rawValue)) }

    var size: Int { [4, 2, 2, 1, 1, 4][Int(rawValue) - 1] }

    var isInteger: Bool { self == .i8 || self == .u8 || self == .i32 }

    /// The least and greatest value of an integer type.
    var limits: ClosedRange<Int> {
        switch self {
        case .u8: 0...255
        case .i8: -128...127
        default: Int(Int32.min)...Int(Int32.max)
        }
    }

    /// The bits that stand for a value: of a Float the nearest, ties to even.
    func bits(_ value: Float) -> UInt32 {
        switch self {
        case .f32: value.bitPattern
        case .f16: UInt32(Float16(value).bitPattern)
        case .bf16: Self.roundedToUpperHalf(value)
        case .i8, .u8: UInt32(truncatingIfNeeded: Int(value)) & 0xff
        case .i32: UInt32(truncatingIfNeeded: Int(value))
        }
    }

    /// The value of bits; not of i32.
    func value(_ bits: UInt32) -> Float {
        switch self {
        case .f32: Float(bitPattern: bits)
        case .f16: Float(Float16(bitPattern: UInt16(bits)))
        case .bf16: Float(bitPattern: bits << 16)
        case .i8: Float(Int8(truncatingIfNeeded: bits))
        case .u8: Float(bits)
        case .i32: preconditionFailure("an i32 is no Float")
        }
    }

    func store(_ bits: UInt32, at address: UnsafeMutableRawPointer) {
        switch size {
        case 4: address.storeBytes(of: bits, as: UInt32.self)
        case 2: address.storeBytes(of: UInt16(bits), as: UInt16.self)
        default: address.storeBytes(of: UInt8(bits), as: UInt8.self)
        }
    }

    func load(_ address: UnsafeRawPointer) -> UInt32 {
        switch size {
        case 4: address.loadUnaligned(as: UInt32.self)
        case 2: UInt32(address.loadUnaligned(as: UInt16.self))
        default: UInt32(address.loadUnaligned(as: UInt8.self))
        }
    }

    /// A value of the type, with something of what makes `data` difficult.
    func random(_ data: Data, _ g: inout Generator) -> Float {
        if isInteger { return Float(randomInteger(data, &g)) }
        // The smallest numbers of 16 bits, or such whose products round to zero or are subnormal.
        let scale: Float = data != .tiny ? 1 : self == .f16 ? 0x1p-16 : self == .bf16 ? 0x1p-63 : 0x1p-80
        return value(bits((data == .tiny ? Data.plain : data).value(&g) * scale))
    }

    private func randomInteger(_ data: Data, _ g: inout Generator) -> Int {
        switch data {
        case .plain: limits.lowerBound + g.below(256)
        case .integers: max(limits.lowerBound, g.below(9) - 4)
        case .special: g.pick([limits.lowerBound, limits.upperBound, 0, 1, limits.lowerBound + 1])
        case .tiny: g.coin(8) ? 1 : 0
        }
    }

    /// The two bfloat16 neighbours of a value are tried, as the definition has it.
    private static func roundedToUpperHalf(_ value: Float) -> UInt32 {
        if value.isNaN { return 0x7fc0 }
        let below = value.bitPattern >> 16
        guard value.isFinite, value.bitPattern & 0xffff != 0 else { return below }
        let half = value.bitPattern & 0xffff
        if half == 0x8000 { return below + (below & 1) }
        return half > 0x8000 ? below + 1 : below
    }
}

/// The types of a product that the library offers.
struct Types: Hashable, Sendable, CustomStringConvertible {
    let w: Number, x: Number, y: Number

    /// The name of its rows of kernels, which serve signed and unsigned bytes alike.
    var op: String { x == .u8 ? "nm_gemm_i8" : "nm_gemm_\(x)" }

    var description: String { "\(x) \(w) \(y)" }

    static let f32 = Types(w: .f32, x: .f32, y: .f32)
    static let widened = [Types(w: .f16, x: .f32, y: .f32), Types(w: .bf16, x: .f32, y: .f32)]
    static let bf16 = [Types(w: .bf16, x: .bf16, y: .f32), Types(w: .bf16, x: .bf16, y: .bf16)]
    static let int8 = [Number.u8, .i8].flatMap { x in
        [Number.i32, .f32, .bf16, .u8, .i8].map { Types(w: .i8, x: x, y: $0) }
    }
    static let all = [f32] + widened + bf16 + int8
}
