/// A 16-bit floating-point format by its definition, in `Double` arithmetic on the bit fields.
///
/// It is what the conversions are tested against, and shares no code with them.
struct SmallFloatFormat: Sendable {
    let exponentBits: Int
    let fractionBits: Int

    static let f16 = SmallFloatFormat(exponentBits: 5, fractionBits: 10)
    static let bf16 = SmallFloatFormat(exponentBits: 8, fractionBits: 7)

    /// The bits of positive infinity.
    var infinity: UInt16 {
        UInt16((1 << exponentBits) - 1) << fractionBits
    }

    /// The value of a pattern from its sign, exponent and fraction.
    func value(_ bits: UInt16) -> Double {
        let magnitude = bits & 0x7FFF
        let sign: Double = bits == magnitude ? 1 : -1
        if magnitude > infinity { return .nan }
        return sign * (magnitude == infinity ? .infinity : finiteMagnitude(magnitude))
    }

    /// The magnitudes of the patterns from 0 up to infinity, where infinity stands for the number that would follow
    /// the largest finite one: rounding to it is overflow.
    func magnitudes() -> [Double] {
        (0...infinity).map(finiteMagnitude)
    }

    private func finiteMagnitude(_ bits: UInt16) -> Double {
        let bias = (1 << (exponentBits - 1)) - 1
        let exponent = Int(bits >> fractionBits)
        let fraction = Double(bits & ((1 << fractionBits) - 1)) / Double(1 << fractionBits)
        return exponent == 0
            ? fraction * power(1 - bias)
            : (1 + fraction) * power(exponent - bias)
    }

    private func power(_ exponent: Int) -> Double {
        Double(sign: .plus, exponent: exponent, significand: 1)
    }

    /// The pattern nearest to a number that is not NaN, found by searching `magnitudes`.
    func nearest(to number: Double, in magnitudes: [Double]) -> UInt16 {
        let sign: UInt16 = number.sign == .minus ? 0x8000 : 0
        let magnitude = number.magnitude
        var low = 0
        var high = magnitudes.count - 1
        guard magnitude < magnitudes[high] else { return sign | infinity }
        while high - low > 1 {
            let middle = (low + high) / 2
            if magnitudes[middle] <= magnitude { low = middle } else { high = middle }
        }
        let below = magnitude - magnitudes[low]
        let above = magnitudes[high] - magnitude
        let evenOne = low % 2 == 0 ? low : high
        return sign | UInt16(below == above ? evenOne : below < above ? low : high)
    }
}
