import Halftone
import Testing

#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Weight gradients, dense and at the entries of packed weights, through the Swift API.
@Suite struct GradientAPITests {
    private static let shapes = [(1, 1, 1), (5, 3, 7), (16, 20, 33), (17, 50, 24), (40, 7, 100), (131, 33, 65)]

    private static func isas(of op: String) -> [ISA] {
        Machine.kernels.filter { $0.op == op && $0.runs }.compactMap { ISA($0.isa) }
    }

    private static func plain(_ count: Int, _ g: inout Generator) -> [Float] {
        (0..<count).map { _ in Data.plain.value(&g) }
    }

    // MARK: dense

    @Test func denseGradientsAreTheirFormula() throws {
        var g = Generator(seed: 1)
        for (t, o, k) in Self.shapes {
            let (dy, x) = (eighths(t * o, &g), eighths(t * k, &g))
            let expected = (0..<o * k).map { at in
                (0..<t).reduce(0) { $0 + dy[$1 * o + at / k] * x[$1 * k + at % k] }
            }
            for isa in Self.isas(of: "weight_gradient_f32") + [.automatic] {
                for threads in [0, 1, 3] {
                    let dw = try weightGradient(dy, x, rows: t, outputs: o, inputs: k, threads: threads, isa: isa)
                    #expect(dw == expected, "\(t) \(o) \(k) \(isa)")
                }
            }
        }
    }

    /// Of this library's kernels, which are used where an ISA is named.
    @Test func denseSumsAreChains() throws {
        var g = Generator(seed: 2)
        for (t, o, k) in Self.shapes {
            let (dy, x) = (Self.plain(t * o, &g), Self.plain(t * k, &g))
            let expected = (0..<o * k).map { at in
                (0..<t).reduce(into: Float(0)) { $0.addProduct(dy[$1 * o + at / k], x[$1 * k + at % k]) }
            }
            for isa in Self.isas(of: "weight_gradient_f32") {
                #expect(try weightGradient(dy, x, rows: t, outputs: o, inputs: k, isa: isa) == expected)
            }
        }
    }

    @Test func denseStridesCountElements() throws {
        var g = Generator(seed: 3)
        let (t, o, k) = (9, 5, 18)
        let (dyStride, xStride, dwStride) = (7, 18, 21)
        let (dy, x) = (eighths(t * dyStride, &g), eighths(t * xStride, &g))
        for isa in [ISA.automatic, .reference] {
            var dw = [Float](repeating: -7, count: (o - 1) * dwStride + k)
            var span = dw.mutableSpan
            try weightGradient(
                dy.span, dyStride: dyStride, x.span, xStride: xStride, rows: t, outputs: o, inputs: k, into: &span,
                dwStride: dwStride, isa: isa)
            for at in dw.indices {
                let (row, column) = (at / dwStride, at % dwStride)
                let sum = (0..<t).reduce(0) {
                    $0 + dy[$1 * dyStride + row] * (column < k ? x[$1 * xStride + column] : 0)
                }
                #expect(dw[at] == (column < k ? sum : -7))
            }
        }
    }

    @Test func denseSizesOfZero() throws {
        #expect(try weightGradient([], [], rows: 0, outputs: 2, inputs: 3) == [0, 0, 0, 0, 0, 0])
        #expect(try weightGradient([], [1, 2], rows: 2, outputs: 0, inputs: 1).isEmpty)
        #expect(try weightGradient([1, 2], [], rows: 2, outputs: 1, inputs: 0).isEmpty)
    }

    @Test func refusesDenseOperandsThatDoNotFit() {
        let (dy, x) = ([Float](repeating: 1, count: 6), [Float](repeating: 1, count: 8))
        var dw = [Float](repeating: -7, count: 12)
        func gradient(
            rows: Int = 2, outputs: Int = 3, inputs: Int = 4, dyStride: Int? = nil, xStride: Int? = nil,
            dwStride: Int? = nil, threads: Int = 1
        ) throws(HalftoneError) {
            var span = dw.mutableSpan
            try weightGradient(
                dy.span, dyStride: dyStride, x.span, xStride: xStride, rows: rows, outputs: outputs, inputs: inputs,
                into: &span, dwStride: dwStride, threads: threads)
        }
        #expect(throws: HalftoneError.shape("dY holds 6 values, 3 x 3 need 9")) { try gradient(rows: 3) }
        #expect(throws: HalftoneError.shape("X holds 8 values, 2 x 5 need 10")) { try gradient(inputs: 5) }
        #expect(throws: HalftoneError.shape("dW holds 12 values, 3 x 4 at a row stride of 5 need 14")) {
            try gradient(dwStride: 5)
        }
        #expect(throws: HalftoneError.shape("a matrix cannot be -1 x 3")) { try gradient(rows: -1) }
        #expect(throws: HalftoneError.stride) { try gradient(dyStride: 2) }
        #expect(throws: HalftoneError.stride) { try gradient(xStride: 3) }
        #expect(throws: HalftoneError.stride) { try gradient(dwStride: 3) }
        #expect(throws: HalftoneError.threads) { try gradient(threads: -1) }
        #expect(throws: HalftoneError.shape("X holds 8 values, 3 x 4 need 12")) {
            try weightGradient(dy, x, rows: 3, outputs: 2, inputs: 4)
        }
        #expect(throws: HalftoneError.overflow) { try weightGradient([], [], rows: 0, outputs: .max, inputs: .max) }
        #expect(dw.allSatisfy { $0 == -7 })
    }

    /// In a process of its own: a BLAS is looked for once.
    @Test func theEnvironmentCanForbidABLAS() async {
        await #expect(processExitsWith: .success) {
            setenv("HALFTONE_BLAS", "none", 1)
            try #require(Machine.blasRuntime == "none")
            try #require(try weightGradient([1, 2], [3, 4], rows: 2, outputs: 1, inputs: 1) == [11])
        }
        #expect(!Machine.blasRuntime.isEmpty)
    }
}

// MARK: - Sampled

extension GradientAPITests {
    /// Packed weights, and the columns of their entries by the reference.
    private struct Sampled {
        let matrix: NMMatrix
        let columns: [[Int]]

        init<Weight: NMWeight>(_ o: Int, _ k: Int, _ convert: (Float) -> Weight, _ g: inout Generator) throws {
            let (n, m) = g.pick([(2, 4), (1, 4), (2, 8), (1, 16), (4, 8), (3, 5), (4, 4), (7, 64)])
            let rows = g.pick([1, 1, 2, 4])
            let pattern = try NMPattern(n, of: m, sharedRows: rows)
            let w = try pattern.pruned(eighths(o * k, &g).map { $0 * 8 }, rows: o, columns: k)
            matrix = try NMMatrix(packing: w.map(convert), rows: o, columns: k, pattern: pattern)
            columns = stride(from: 0, to: o, by: rows).flatMap { first in
                let lines = (first..<min(o, first + rows)).map { Array(w[$0 * k..<($0 + 1) * k]) }
                let own = lines.map { line in line.map { $0 != 0 } }
                return Reference.entries(lines, own: own, masked: false, n: n, m: m)!.map(\.columns)
            }
        }

        func gradient(_ dy: [Float], _ x: [Float], rows t: Int) -> [Float] {
            columns.enumerated().flatMap { row, columns in
                columns.map { column in
                    GradientAPITests.sum(
                        (0..<t).map {
                            (dy[$0 * matrix.rows + row], x[$0 * matrix.columns + column])
                        })
                }
            }
        }
    }

    /// 16 chains by t mod 16, added in pairs.
    private static func sum(_ terms: [(Float, Float)]) -> Float {
        var chains = [Float](repeating: 0, count: 16)
        for (t, (a, b)) in terms.enumerated() { chains[t % 16].addProduct(a, b) }
        for half in [8, 4, 2, 1] { for at in 0..<half { chains[at] += chains[at + half] } }
        return chains[0]
    }

    @Test func entriesAreThoseOfTheWeights() throws {
        var g = Generator(seed: 4)
        for _ in 0..<60 {
            let (o, k) = (1 + g.below(40), 1 + g.below(150))
            let sampled = try Sampled(o, k, { $0 }, &g)
            let columns = try sampled.matrix.entryColumns()
            #expect(columns.map { Int($0) } == sampled.columns.flatMap { $0 })
            #expect(columns.count == o * sampled.matrix.rowEntries)
        }
        let empty = try NMMatrix(packing: [Float](), rows: .max / 16, columns: 0, pattern: NMPattern(2, of: 4))
        #expect(try empty.rowEntries == 0 && empty.entryColumns().isEmpty)
        #expect(try empty.sampledGradient([], [], rows: 0).isEmpty)
    }

    @Test func sampledGradientsAreTheirChains() throws {
        var g = Generator(seed: 5)
        for (t, o, k) in Self.shapes {
            for _ in 0..<4 {
                let sampled = try Sampled(o, k, { $0 }, &g)
                let (dy, x) = (Self.plain(t * o, &g), Self.plain(t * k, &g))
                let expected = sampled.gradient(dy, x, rows: t)
                let planes = (transposed(dy, columns: o), transposed(x, columns: k))
                for isa in Self.isas(of: "nm_sampled_gradient_f32") + [.automatic] {
                    for threads in [0, 1, 3] {
                        let byRows = try sampled.matrix.sampledGradient(dy, x, rows: t, threads: threads, isa: isa)
                        #expect(byRows == expected, "\(t) \(o) \(k) \(sampled.matrix.pattern) \(isa)")
                        let byFeatures = try sampled.matrix.sampledGradient(
                            planes.0, planes.1, rows: t, order: .features, threads: threads, isa: isa)
                        #expect(byFeatures == expected)
                    }
                }
            }
        }
    }

    @Test func weightsOfEveryTypeHaveEntries() throws {
        var g = Generator(seed: 6)
        let (t, o, k) = (19, 21, 50)
        func check<Weight: NMWeight>(_ convert: (Float) -> Weight) throws {
            let sampled = try Sampled(o, k, convert, &g)
            let (dy, x) = (eighths(t * o, &g), eighths(t * k, &g))
            #expect(try sampled.matrix.entryColumns().map { Int($0) } == sampled.columns.flatMap { $0 })
            #expect(try sampled.matrix.sampledGradient(dy, x, rows: t) == sampled.gradient(dy, x, rows: t))
            // They are the dense gradient's.
            let dense = try weightGradient(dy, x, rows: t, outputs: o, inputs: k)
            let picked = sampled.columns.enumerated().flatMap { row, columns in columns.map { dense[row * k + $0] } }
            #expect(try sampled.matrix.sampledGradient(dy, x, rows: t) == picked)
        }
        try check { $0 }
        try check { Float16($0) }
        try check { BFloat16($0) }
        try check { Int8($0) }
    }

    @Test func sampledStridesCountElements() throws {
        var g = Generator(seed: 7)
        let (t, o, k) = (18, 6, 40)
        let sampled = try Sampled(o, k, { $0 }, &g)
        let (dy, x) = (Self.plain(t * o, &g), Self.plain(t * k, &g))
        let expected = sampled.gradient(dy, x, rows: t)
        let entries = sampled.matrix.rowEntries
        var (wideDY, wideX) = (
            [Float](repeating: .nan, count: t * (o + 3)), [Float](repeating: .nan, count: t * (k + 1))
        )
        for at in dy.indices { wideDY[at / o * (o + 3) + at % o] = dy[at] }
        for at in x.indices { wideX[at / k * (k + 1) + at % k] = x[at] }
        var gradient = [Float](repeating: -7, count: o * (entries + 2))
        var span = gradient.mutableSpan
        try sampled.matrix.sampledGradient(
            wideDY.span, dyStride: o + 3, wideX.span, xStride: k + 1, rows: t, into: &span, gradientStride: entries + 2)
        for at in gradient.indices {
            let (row, e) = (at / (entries + 2), at % (entries + 2))
            #expect(gradient[at] == (e < entries ? expected[row * entries + e] : -7))
        }
    }

    /// Of the loss sum(y^2) / 2 with y = X · transpose(W), in Double.
    @Test func sampledGradientsAreCentralDifferences() throws {
        var g = Generator(seed: 8)
        let (t, o, k) = (23, 9, 44)
        let pattern = try NMPattern(2, of: 4)
        let w = try pattern.pruned(Self.plain(o * k, &g), rows: o, columns: k)
        let matrix = try NMMatrix(packing: w, rows: o, columns: k, pattern: pattern)
        let x = Self.plain(t * k, &g)
        let gradient = try matrix.sampledGradient(matrix.multiply(x, rows: t), x, rows: t)
        let columns = try matrix.entryColumns()
        func loss(_ row: Int, _ column: Int, _ change: Double) -> Double {
            (0..<t).reduce(0) { sum, at in
                let y = (0..<k).reduce(0) { $0 + Double(x[at * k + $1]) * Double(w[row * k + $1]) }
                let changed = y + change * Double(x[at * k + column])
                return sum + changed * changed / 2
            }
        }
        for at in gradient.indices {
            let (row, column) = (at / matrix.rowEntries, Int(columns[at]))
            let slope = (loss(row, column, 1e-4) - loss(row, column, -1e-4)) / 2e-4
            #expect(abs(Double(gradient[at]) - slope) < 1e-4 * max(1, abs(slope)))
        }
    }

    @Test func refusesSampledOperandsThatDoNotFit() throws {
        let matrix = try NMMatrix(
            packing: [Float](repeating: 0, count: 24), rows: 3, columns: 8, pattern: NMPattern(2, of: 4))
        let (dy, x) = ([Float](repeating: 1, count: 6), [Float](repeating: 1, count: 16))
        var gradient = [Float](repeating: -7, count: 12)
        func sample(
            rows: Int = 2, dyStride: Int? = nil, xStride: Int? = nil, gradientStride: Int? = nil,
            order: MatrixOrder = .rows, threads: Int = 1
        ) throws(HalftoneError) {
            var span = gradient.mutableSpan
            try matrix.sampledGradient(
                dy.span, dyStride: dyStride, x.span, xStride: xStride, rows: rows, into: &span,
                gradientStride: gradientStride, order: order, threads: threads)
        }
        #expect(throws: HalftoneError.shape("dY holds 6 values, 3 x 3 need 9")) { try sample(rows: 3) }
        #expect(throws: HalftoneError.shape("dY holds 6 values, 3 x 3 need 9")) {
            try sample(rows: 3, order: .features)
        }
        #expect(throws: HalftoneError.shape("X holds 16 values, 2 x 8 at a row stride of 9 need 17")) {
            try sample(xStride: 9)
        }
        #expect(throws: HalftoneError.shape("the gradient holds 12 values, 3 x 4 at a row stride of 5 need 14")) {
            try sample(gradientStride: 5)
        }
        #expect(throws: HalftoneError.stride) { try sample(dyStride: 2) }
        #expect(throws: HalftoneError.stride) { try sample(xStride: 1, order: .features) }
        #expect(throws: HalftoneError.stride) { try sample(gradientStride: 3) }
        #expect(throws: HalftoneError.threads) { try sample(threads: -1) }
        #expect(throws: HalftoneError.shape("a matrix cannot be -1 x 3")) { try sample(rows: -1) }
        #expect(gradient.allSatisfy { $0 == -7 })
    }
}
