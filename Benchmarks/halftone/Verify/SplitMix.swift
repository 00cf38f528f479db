/// A small generator of random numbers (Steele, Lea and Flood 2014) whose sequence follows from its seed.
struct SplitMix: RandomNumberGenerator {
    private var state: UInt64

    /// Generators of different cases do not overlap: the number goes through the mixer once.
    init(seed: UInt64, number: UInt64) {
        state = number
        state = seed ^ next()
    }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
        return z ^ z >> 31
    }

    mutating func int(_ range: ClosedRange<Int>) -> Int {
        Int.random(in: range, using: &self)
    }

    mutating func pick<Element>(_ list: [Element]) -> Element { list[int(0...list.count - 1)] }

    mutating func chance(_ share: Double) -> Bool {
        Double.random(in: 0..<1, using: &self) < share
    }

    /// About normal: the sum of four uniform values.
    mutating func value() -> Float {
        (0..<4).reduce(Float(0)) { sum, _ in sum + Float.random(in: -1...1, using: &self) }
    }
}
