/// A 16-bit floating-point number with the exponent range of `Float` and 8 bits of precision.
///
/// From the most significant bit: one sign bit, eight exponent bits with bias 127, seven fraction bits. These are the
/// upper 16 bits of the `Float` of the same value, so that widening is exact.
///
/// The type is for storage and has no arithmetic and no `==`: compare ``bitPattern`` for identity, or widen to
/// `Float` for the numeric comparison of IEEE 754.
public struct BFloat16: BitwiseCopyable, Sendable {
    /// The 16 bits of the number.
    public var bitPattern: UInt16

    /// The number with these bits.
    public init(bitPattern: UInt16) {
        self.bitPattern = bitPattern
    }

    /// The number nearest to `value`; of two equally near ones, the one whose last bit is zero.
    ///
    /// A value that rounds beyond the largest finite number becomes infinity of the same sign. NaN stays NaN: it
    /// keeps its sign and the upper bits of its payload, and becomes quiet.
    public init(_ value: Float) {
        let bits = value.bitPattern
        if value.isNaN {
            // Cutting off the lower half could leave an all-zero fraction, which would be an infinity.
            bitPattern = UInt16(truncatingIfNeeded: bits >> 16) | 0x0040
        } else {
            // Adding just under half a unit, or exactly half when the kept part is odd, rounds ties to even. A carry
            // out of the fraction raises the exponent, which is the right result, infinity included. The sum cannot
            // wrap: without NaN the upper half is at most 0xFF80.
            let lowestKeptBit = (bits >> 16) & 1
            bitPattern = UInt16(truncatingIfNeeded: (bits + 0x7FFF + lowestKeptBit) >> 16)
        }
    }
}

extension Float {
    /// The value of `number`, exactly. NaN keeps its sign and payload.
    public init(_ number: BFloat16) {
        self.init(bitPattern: UInt32(number.bitPattern) << 16)
    }
}
