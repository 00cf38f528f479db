import CHalftone
import CHalftoneBench

/// A layer's weights pruned by magnitude, for one direction, and packed.
final class PrunedLayer {
    let pattern: Pattern
    /// As a dense matrix with zeros; what the kernels' results are checked against.
    let dense: FloatMatrix
    let packed: Memory
    /// Sum of |w| that is left, as a share of the sum before.
    let keptL1: Double

    /// The weights are such as the problem's kind has. Backward operations have groups of the outputs, in the order of
    /// the permutation.
    init(_ weights: FloatMatrix, pattern: Pattern, problem: Problem, permutation: [UInt32]? = nil) throws {
        let isBackward = problem.operation.direction == .backward
        let geometry = problem.geometry
        dense =
            try isBackward
            ? geometry.turnedBack(
                Self.prune(geometry.turned(weights, permutation), pattern, geometry.turned), permutation)
            : Self.prune(weights, pattern, geometry)
        let typed = try TypedMatrix(dense, type: problem.kind.weights)
        packed = try problem.pack(typed.data, type: typed.type, pattern: pattern, permutation: permutation)
        keptL1 = magnitude(of: dense) / magnitude(of: weights)
        self.pattern = pattern
    }

    private static func prune(
        _ weights: FloatMatrix, _ pattern: Pattern, _ geometry: Convolution
    ) throws -> FloatMatrix {
        let pruned = try FloatMatrix(rows: weights.rows, columns: weights.columns)
        var (shape, options) = (geometry.code, pattern.options)
        try check(
            ht_nm_conv_prune_f32(&shape, pattern.n, pattern.m, weights.data, 0, pruned.data, 0, &options),
            "pruning to \(pattern)")
        return pruned
    }
}

private func magnitude(of matrix: FloatMatrix) -> Double {
    matrix.values.reduce(0) { $0 + Double(abs($1)) }
}

extension Convolution {
    /// The one whose filters are those of this one seen from X: for each channel, tap by tap, the outputs of its group.
    fileprivate var turned: Convolution {
        var turned = self
        (turned.channels, turned.outputs) = (outputs, channels)
        return turned
    }

    /// Filters seen from X, where place j of the outputs is the permutation's j-th.
    func turned(_ w: FloatMatrix, _ permutation: [UInt32]? = nil) throws -> FloatMatrix {
        let turned = try FloatMatrix(rows: channels, columns: taps * groupOutputs)
        exchange(w, turned, permutation) { $1.pointee = $0.pointee }
        return turned
    }

    /// The filters that `turned` was made of.
    fileprivate func turnedBack(_ turned: FloatMatrix, _ permutation: [UInt32]?) throws -> FloatMatrix {
        let w = try FloatMatrix(rows: outputs, columns: filterSize)
        exchange(w, turned, permutation) { $0.pointee = $1.pointee }
        return w
    }

    /// Calls `body` with each weight of the filters and its place among the turned ones.
    private func exchange(
        _ w: FloatMatrix, _ turned: FloatMatrix, _ permutation: [UInt32]?,
        _ body: (UnsafeMutablePointer<Float>, UnsafeMutablePointer<Float>) -> Void
    ) {
        for place in 0..<outputs {
            let filter = w.row(permutation.map { Int($0[place]) } ?? place)
            let group = place / groupOutputs
            for tap in 0..<taps {
                let column = tap * groupOutputs + place % groupOutputs
                for channel in 0..<groupChannels {
                    body(filter + tap * groupChannels + channel, turned.row(group * groupChannels + channel) + column)
                }
            }
        }
    }
}
