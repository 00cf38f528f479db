import CHalftone
import Foundation

/// A layer's weights of signs, packed for a design.
final class BinaryWeights {
    let packed: Memory
    /// That they were packed for: what the library chose where it was asked to.
    let design: BinaryDesign
    /// The size of the words of signs alone, which the direct design reads.
    let wordBytes: Int

    /// `signs` is the layer's weights, bits; the design along trees needs some over these.
    init(_ signs: TypedMatrix, problem: Problem, design: BinaryDesign, trees: GrownTrees? = nil) throws {
        func pack(_ design: BinaryDesign) throws -> Memory {
            try withExtendedLifetime(signs) {
                try problem.pack(signs: signs.data, design: design, parents: trees?.parents ?? [])
            }
        }
        let packed = try pack(design)
        self.packed = packed
        wordBytes = try pack(.direct).bytes
        guard design == .auto else {
            self.design = design
            return
        }
        self.design =
            try [BinaryDesign.pixels, .channels].first { other in
                let same = try pack(other)
                return same.bytes == packed.bytes && memcmp(same.address, packed.address, packed.bytes) == 0
            } ?? .direct
    }
}

/// The thresholds of outputs that are signs, as a batch normalisation folds to: near the middle of the sums.
struct BinaryThresholds {
    let level: [Int32]
    let flip: [UInt8]

    init(outputs: Int, inputs: Int, seed: UInt64) {
        var random = SplitMix(seed: seed, number: UInt64(outputs))
        let reach = Int(Double(inputs).squareRoot())
        level = (0..<outputs).map { _ in Int32(random.int(-reach...reach)) }
        flip = (0..<(outputs + 7) / 8).map { _ in UInt8.random(in: .min ... .max, using: &random) }
    }

    /// The sign of a sum.
    func sign(_ sum: Double, column: Int) -> Double {
        (sum < Double(level[column])) == (flip[column / 8] >> (column % 8) & 1 == 0) ? -1 : 1
    }

    func withCode<Result>(_ body: (UnsafePointer<ht_binary_threshold>) throws -> Result) rethrows -> Result {
        try level.withUnsafeBufferPointer { level in
            try flip.withUnsafeBufferPointer { flip in
                var code = ht_binary_threshold()
                (code.level, code.flip) = (level.baseAddress, flip.baseAddress)
                return try body(&code)
            }
        }
    }
}
