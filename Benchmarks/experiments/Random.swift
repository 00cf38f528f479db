/// A small generator of random numbers (Steele, Lea and Flood 2014) whose sequence follows from its seed.
struct SplitMix: RandomNumberGenerator {
    private var state: UInt64

    /// Generators of different purposes do not overlap: the purpose goes through the mixer once.
    init(seed: UInt64, purpose: Purpose) {
        state = purpose.rawValue
        state = seed ^ next()
    }

    enum Purpose: UInt64 {
        case weights = 1
        case batches = 2
        case test = 3
    }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ z >> 30) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ z >> 27) &* 0x94d0_49bb_1331_11eb
        return z ^ z >> 31
    }

    /// About normal with this standard deviation: the sum of four uniform values.
    mutating func normal(_ deviation: Float) -> Float {
        let sum = (0..<4).reduce(Float(0)) { sum, _ in sum + Float.random(in: -1...1, using: &self) }
        return sum * deviation * Float(0.75).squareRoot()
    }

    mutating func normals(_ count: Int, deviation: Float) -> [Float] {
        (0..<count).map { _ in normal(deviation) }
    }
}
