import Halftone
import Testing

/// Centres of rows, and the gradients of what pulls rows together against central differences.
@Suite struct ChannelGradientTests {
    private static let (rows, columns) = (9, 70)
    private static let parents: [Int32] = [-1, 0, 0, 1, 2, 2, -1, 6, 7]
    private static let clusters: [Int32] = [0, 2, 0, 1, 1, 2, 0, 0, 1]

    /// Odd sixteenths in -2 ... 2, so that none is where clip has a kink.
    private static func weights(_ seed: UInt64) -> [Float] {
        var g = Generator(seed: seed)
        return eighths(rows * columns, &g).map { $0 + 1 / 16 }
    }

    private static func clip(_ w: Double) -> Double { max(-1, min(1, w)) }

    /// Checks that a gradient is added, and that it is that of the penalty, which is straight between the kinks.
    private func check(
        _ w: [Float], adds add: ([Float], inout [Float]) throws -> Void, of penalty: ([Double]) -> Double
    ) throws {
        var g = Generator(seed: 9)
        let before = eighths(w.count, &g)
        var gradient = before
        try add(w, &gradient)
        var moved = w.map { Double($0) }
        let step = 0x1p-6
        for at in w.indices {
            moved[at] = Double(w[at]) + step
            let above = penalty(moved)
            moved[at] = Double(w[at]) - step
            let slope = (above - penalty(moved)) / (2 * step)
            moved[at] = Double(w[at])
            #expect(abs(Double(gradient[at] - before[at]) - slope) < 1e-5, "\(at / Self.columns) \(at % Self.columns)")
        }
    }

    @Test(arguments: [1, 0, 3]) func edges(_ threads: Int) throws {
        let tree = try ChannelTree(parents: Self.parents)
        try check(Self.weights(1)) { w, gradient in
            try tree.addGradient(of: w, columns: Self.columns, strength: 0.5, to: &gradient, threads: threads)
        } of: { w in
            Self.parents.indices.filter { Self.parents[$0] >= 0 }.reduce(0) { sum, row in
                (0..<Self.columns).reduce(sum) { sum, column in
                    let (a, b) = (row * Self.columns + column, Int(Self.parents[row]) * Self.columns + column)
                    return sum + 0.5 * (1 - Self.clip(w[a]) * Self.clip(w[b])) / 2
                }
            }
        }
    }

    @Test(arguments: [nil, clusters]) func centres(_ clusters: [Int32]?) throws {
        let w = Self.weights(2)
        let centres = try ChannelCentres(
            of: w, rows: Self.rows, columns: Self.columns, clusters: clusters, count: clusters == nil ? 1 : 3)
        try check(w) { w, gradient in
            try centres.addGradient(of: w, rows: Self.rows, strength: 0.25, to: &gradient)
        } of: { w in
            w.indices.reduce(0) { sum, at in
                let cluster = Int(clusters?[at / Self.columns] ?? 0)
                return sum + 0.25 * (1 - Double(centres.signs[cluster, at % Self.columns]) * Self.clip(w[at])) / 2
            }
        }
    }

    @Test func centresAreTheMajority() throws {
        let w: [Float] = [-1, -1, 1, 0, -2, -1, -1, .nan, 3, -1, 1, -0.0, 0, -1, 1, -1]
        let all = try ChannelCentres(of: w, rows: 4, columns: 4)
        #expect(all.signs.values() == [1, -1, 1, 1] && all.clusters == nil)
        let two = try ChannelCentres(of: w, rows: 4, columns: 4, clusters: [2, 0, 2, 0], count: 4)
        #expect(two.signs.values() == [1, -1, 1, 1, 1, 1, 1, 1, 1, -1, 1, 1, 1, 1, 1, 1])
        let most = try ChannelCentres(of: Array(w[..<12]), rows: 3, columns: 4, threads: 2)
        #expect(most.signs.values() == [-1, -1, 1, 1])
    }

    /// At ±1 a weight still feels its pull; a NaN neither pulls nor feels one.
    @Test func theEndsOfTheClip() throws {
        let w: [Float] = [1, -1, .nan, 2, 0, 0.5, -0.5, 0.25, -4, .nan]
        var gradient = [Float](repeating: 0, count: 10)
        try ChannelTree(parents: [-1, 0]).addGradient(of: w, columns: 5, strength: 2, to: &gradient)
        #expect(gradient == [-0.5, 0.5, 0, 0, 0, -1, 1, 0, 0, 0])
        gradient = [Float](repeating: 0, count: 10)
        let centres = try ChannelCentres(of: [1, -1, 1, 1, -1], rows: 1, columns: 5)
        try centres.addGradient(of: w, rows: 2, strength: 2, to: &gradient)
        #expect(gradient == [-1, 1, 0, 0, 1, -1, 1, -1, 0, 0])
    }

    /// Gaps are neither read nor written.
    @Test func strides() throws {
        let tight = Self.weights(3)
        let (wide, wider) = (Self.columns + 3, Self.columns + 5)
        var w = [Float](repeating: .nan, count: Self.rows * wide)
        for at in tight.indices { w[at / Self.columns * wide + at % Self.columns] = tight[at] }
        let tree = try ChannelTree(parents: Self.parents)
        let centres = try ChannelCentres(
            of: w.span, rows: Self.rows, columns: Self.columns, rowStride: wide, clusters: Self.clusters, count: 3)
        #expect(
            try centres
                == ChannelCentres(
                    of: tight, rows: Self.rows, columns: Self.columns, clusters: Self.clusters, count: 3))
        var expected = [Float](repeating: 0, count: tight.count)
        try tree.addGradient(of: tight, columns: Self.columns, strength: 1, to: &expected)
        try centres.addGradient(of: tight, rows: Self.rows, strength: 3, to: &expected)
        var gradient = [Float](repeating: 0, count: Self.rows * wider)
        var span = gradient.mutableSpan
        try tree.addGradient(
            of: w.span, columns: Self.columns, rowStride: wide, strength: 1, to: &span, gradientStride: wider)
        try centres.addGradient(
            of: w.span, rows: Self.rows, rowStride: wide, strength: 3, to: &span, gradientStride: wider)
        for at in gradient.indices {
            let (row, column) = (at / wider, at % wider)
            #expect(gradient[at] == (column < Self.columns ? expected[row * Self.columns + column] : 0))
        }
    }

    @Test func refusesOperandsThatDoNotFit() throws {
        let w: [Float] = [1, 2, 3, 4, 5, 6]
        var gradient = w
        let tree = try ChannelTree(parents: [-1, 0, 1])
        #expect(throws: HalftoneError.shape("W holds 6 values, 3 x 3 need 9")) {
            try tree.addGradient(of: w, columns: 3, strength: 1, to: &gradient)
        }
        #expect(throws: HalftoneError.shape("the gradient holds 5 values, 3 x 2 need 6")) {
            var short = Array(gradient.dropLast())
            try tree.addGradient(of: w, columns: 2, strength: 1, to: &short)
        }
        #expect(throws: HalftoneError.threads) {
            try tree.addGradient(of: w, columns: 2, strength: 1, to: &gradient, threads: -1)
        }
        #expect(throws: HalftoneError.stride) {
            var span = gradient.mutableSpan
            try tree.addGradient(of: w.span, columns: 2, rowStride: 1, strength: 1, to: &span)
        }
        #expect(throws: HalftoneError.shape("there are 2 clusters, 3 rows need 3")) {
            try ChannelCentres(of: w, rows: 3, columns: 2, clusters: [0, 0])
        }
        #expect(throws: HalftoneError.shape("a matrix cannot be -1 x 2")) {
            try ChannelCentres(of: w, rows: 3, columns: 2, count: -1)
        }
        for clusters: [Int32] in [[0, 1, 0], [0, -1, 0]] {
            #expect(throws: HalftoneError.tree) {
                try ChannelCentres(of: w, rows: 3, columns: 2, clusters: clusters, count: 1)
            }
        }
        #expect(throws: HalftoneError.tree) { try ChannelCentres(of: w, rows: 3, columns: 2, count: 0) }
        let centres = try ChannelCentres(of: w, rows: 3, columns: 2, clusters: [0, 0, 0])
        #expect(throws: HalftoneError.shape("there are 3 clusters, 2 rows need 2")) {
            try centres.addGradient(of: w, rows: 2, strength: 1, to: &gradient)
        }
        #expect(gradient == w)
    }
}
