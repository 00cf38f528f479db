import Testing

/// Patterns and sizes that the sweeps walk.
struct Pattern: CustomTestStringConvertible, Sendable {
    let n, m: Int

    var testDescription: String { "\(n):\(m)" }

    /// Those that specialised kernels were written for.
    static let withKernels = make((1, 2), (2, 4), (1, 4), (4, 8), (2, 8), (1, 8), (1, 16), (2, 16))

    /// Those and some that must find their way without.
    static let all =
        withKernels
        + make(
            (1, 1), (3, 4), (4, 4), (3, 7), (3, 8), (5, 8), (4, 16), (5, 16), (8, 16), (7, 32), (16, 32), (1, 64),
            (63, 64),
            (64, 64))

    private static func make(_ patterns: (Int, Int)...) -> [Pattern] { patterns.map { Pattern(n: $0.0, m: $0.1) } }

    static func random(_ g: inout Generator) -> Pattern {
        let m = 1 + g.below(64)
        return Pattern(n: 1 + g.below(m), m: m)
    }
}

enum Sizes {
    /// Around the multiples that groups, vectors and blocks have, and primes.
    static let columns =
        Array(0...9) + [
            11, 13, 15, 16, 17, 23, 31, 32, 33, 47, 61, 63, 64, 65, 79, 97, 112, 113, 126, 127, 128, 129, 130, 191, 193,
            223,
        ] + Array(250...258) + [271, 383, 384, 385, 509, 513]

    static let outputs = [1, 2, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 20, 31, 32, 33, 47, 50, 64, 65]

    static let rows = Array(0...40) + Array(47...50) + Array(63...66) + Array(127...130)
}
