/// A small seeded generator (SplitMix64), so that every run of the tests sees the same data.
struct Generator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
        return z ^ z >> 31
    }

    /// A number in 0 ..< bound, near enough to uniform for a test.
    mutating func below(_ bound: Int) -> Int { Int(next() >> 33) % bound }

    mutating func pick<Element>(_ list: [Element]) -> Element { list[below(list.count)] }

    mutating func coin(_ oneIn: Int = 2) -> Bool { below(oneIn) == 0 }
}

/// What kind of numbers a test uses.
enum Data: CaseIterable {
    /// About -1 ... 1, no two alike.
    case plain
    /// Small integers, so that magnitudes are often equal and sums exact.
    case integers
    /// One value in eight is ±0, a denormal, an infinity or a NaN.
    case special
    /// So small that most products underflow, to either zero.
    case tiny

    func value(_ g: inout Generator) -> Float {
        let plain = Float(Int32(truncatingIfNeeded: g.next() >> 32)) * 0x1p-31
        switch self {
        case .plain: return plain
        case .integers: return Float(g.below(9) - 4)
        case .special: return g.coin(8) ? g.pick(Self.specials) : plain
        case .tiny: return plain * 0x1p-80
        }
    }

    private static let specials: [Float] = [
        0, -0.0, .leastNonzeroMagnitude, -.leastNonzeroMagnitude, .leastNormalMagnitude / 3, .infinity, -.infinity,
        .nan,
        .greatestFiniteMagnitude,
    ]
}
