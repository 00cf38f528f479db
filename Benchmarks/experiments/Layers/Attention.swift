import Foundation

/// Attention of several heads within each sequence of so many tokens. A row that goes in is a token's query, key and
/// value, one behind the other, each of all heads; a row that comes out is what it attends to, of all heads.
final class Attention: Layer {
    private let tokens: Int
    private let heads: Int
    private let width: Int
    /// Features of a row that comes out.
    private var features: Int { heads * width }

    private var x: [Float] = []
    /// Of each sequence and head, a row for each query and a column for each key; rows sum to 1.
    private var shares: [Float] = []

    init(tokens: Int, heads: Int, features: Int) {
        (self.tokens, self.heads, width) = (tokens, heads, features / heads)
    }

    func forward(_ x: [Float], _ pass: Pass) -> [Float] {
        self.x = x
        let rows = x.count / (3 * features)
        shares = [Float](repeating: 0, count: rows * heads * tokens)
        var y = [Float](repeating: 0, count: rows * features)
        let scale = 1 / Float(width).squareRoot()
        forEachQuery(rows) { query, output, keys, shareRow in
            for (j, key) in keys.enumerated() { shares[shareRow + j] = scale * dot(x, query, x, key) }
            normalise(shareRow)
            for (j, key) in keys.enumerated() {
                add(shares[shareRow + j], of: x, key + features, to: &y, output)
            }
        }
        return y
    }

    func backward(_ dy: [Float], _ pass: Pass) -> [Float] {
        var dx = [Float](repeating: 0, count: x.count)
        let scale = 1 / Float(width).squareRoot()
        forEachQuery(dy.count / features) { query, output, keys, shareRow in
            var dShares = keys.map { dot(dy, output, x, $0 + features) }
            let mean = dShares.indices.reduce(0) { $0 + dShares[$1] * shares[shareRow + $1] }
            for (j, key) in keys.enumerated() {
                add(shares[shareRow + j], of: dy, output, to: &dx, key + features)
                dShares[j] = scale * shares[shareRow + j] * (dShares[j] - mean)
                add(dShares[j], of: x, key, to: &dx, query)
                add(dShares[j], of: x, query, to: &dx, key)
            }
        }
        return dx
    }

    /// The places of each query in the rows that go in, of its output, of the keys of its sequence (their values lie
    /// `features` behind) and of its shares.
    private func forEachQuery(
        _ rows: Int, _ body: (_ query: Int, _ output: Int, _ keys: [Int], _ shareRow: Int) -> Void
    ) {
        for first in stride(from: 0, to: rows, by: tokens) {
            for head in 0..<heads {
                let keys = (first..<first + tokens).map { $0 * 3 * features + features + head * width }
                for row in first..<first + tokens {
                    body(
                        row * 3 * features + head * width, row * features + head * width, keys,
                        (row * heads + head) * tokens)
                }
            }
        }
    }

    /// The softmax of a row of scores, in place.
    private func normalise(_ row: Int) {
        let largest = shares[row..<row + tokens].max() ?? 0
        var total: Float = 0
        for i in row..<row + tokens {
            shares[i] = exp(shares[i] - largest)
            total += shares[i]
        }
        for i in row..<row + tokens { shares[i] /= total }
    }

    private func dot(_ a: [Float], _ i: Int, _ b: [Float], _ j: Int) -> Float {
        (0..<width).reduce(0) { $0 + a[i + $1] * b[j + $1] }
    }

    private func add(_ factor: Float, of a: [Float], _ i: Int, to b: inout [Float], _ j: Int) {
        for c in 0..<width { b[j + c] += factor * a[i + c] }
    }
}

/// Adds a learnt vector to each token, by its place in its sequence.
final class Positions: Layer {
    private let positions: Parameter

    init(tokens: Int, features: Int, random: inout SplitMix) {
        positions = Parameter(random.normals(tokens * features, deviation: 0.02), decays: false)
    }

    var parameters: [Parameter] { [positions] }

    func forward(_ x: [Float], _ pass: Pass) -> [Float] {
        let values = positions.values
        return mapRows(x, features: values.count) { x, c in x + values[c] }
    }

    func backward(_ dy: [Float], _ pass: Pass) -> [Float] {
        if !pass.isProbe { positions.gradient = sumRows(dy, dy, features: positions.values.count) { dy, _ in dy } }
        return dy
    }
}
