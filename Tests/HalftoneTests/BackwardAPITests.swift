import Halftone
import Testing

/// Backward products and convolutions through the Swift API.
@Suite struct BackwardAPITests {
    private static let patterns = [(2, 4), (1, 4), (1, 3), (3, 5), (2, 8), (4, 4), (5, 16)]

    /// The convolution that a product of so many rows is: a pixel for each row, and one tap.
    private static func product(rows: Int, outputs: Int, inputs: Int) -> ConvShape {
        ConvShape(height: rows, width: 1, channels: inputs, outputs: outputs, kernel: 1)
    }

    /// Places of outputs under a permutation that leaves no group, and weights of which each group of m consecutive
    /// places keeps up to n at each tap and input; so do those of as many next inputs as share a pattern.
    private struct Case {
        let shape: ConvShape
        let pattern: NMPattern
        let permutation: [UInt32]?
        /// Dense, and the mask that says which of them count.
        let dense: [Float]
        let mask: NMMask
        let w: [Float]
        let dy: [Float]
        let dx: [Float]

        init(_ shape: ConvShape, permuted: Bool, _ g: inout Generator) throws {
            let (n, m) = g.pick(patterns)
            self.shape = shape
            pattern = try NMPattern(n, of: m, sharedRows: g.pick([1, 1, 2, 4]))
            let outputs = shape.outputs / shape.groups
            let places = (0..<shape.groups).flatMap { group in
                let own = (group * outputs..<(group + 1) * outputs).map { UInt32($0) }
                return permuted ? own.shuffled(using: &g) : own
            }
            permutation = permuted ? places : nil
            dense = eighths(shape.weightCount, &g)
            let kept = Self.choose(shape, pattern, places, &g)
            let columns = shape.outputs > 0 ? shape.weightCount / shape.outputs : 0
            var bytes = [UInt8](repeating: 0, count: shape.outputs * ((columns + 7) / 8))
            for at in kept.indices where kept[at] {
                bytes[at / columns * ((columns + 7) / 8) + at % columns / 8] |= 1 << UInt8(at % columns % 8)
            }
            mask = try NMMask(rows: shape.outputs, columns: columns, bytes: bytes)
            w = zip(dense, kept).map { $1 ? $0 : 0 }
            dy = eighths(try shape.yCount, &g)
            dx = try ConvReference.backward(shape, shape.outputSize, dy: dy, w: w).map { Float($0) }
        }

        private static func choose(
            _ shape: ConvShape, _ pattern: NMPattern, _ places: [UInt32], _ g: inout Generator
        ) -> [Bool] {
            var kept = [Bool](repeating: false, count: shape.weightCount)
            let (outputs, inputs) = (shape.outputs / shape.groups, shape.channels / shape.groups)
            let taps = shape.kernel.height * shape.kernel.width
            for group in 0..<shape.groups {
                for tap in 0..<taps {
                    for first in stride(from: 0, to: inputs, by: pattern.sharedRows) {
                        for members in Reference.groups(columns: outputs, m: pattern.m) {
                            let count = g.coin(6) ? g.below(pattern.n + 1) : pattern.n
                            for place in Array(members).shuffled(using: &g).prefix(count) {
                                let output = Int(places[group * outputs + place])
                                for k in first..<min(inputs, first + pattern.sharedRows) where !g.coin(8) {
                                    kept[(output * taps + tap) * inputs + k] = true
                                }
                            }
                        }
                    }
                }
            }
            return kept
        }

        func filters<Weight: NMWeight>(_ convert: (Float) -> Weight) throws -> NMBackwardFilters {
            try NMBackwardFilters(
                packing: w.map(convert), shape: shape, pattern: pattern, permutation: permutation)
        }
    }

    @Test(arguments: [false, true]) func convolutionEqualsTheTransposedLoops(_ permuted: Bool) throws {
        var g = Generator(seed: 1)
        for _ in 0..<100 {
            let c = try Case(.random(&g), permuted: permuted, &g)
            let filters = try c.filters { $0 }
            #expect(try filters.convolve(c.dy) == c.dx, "\(c.shape) \(c.pattern)")
            let masked = try NMBackwardFilters(
                packing: c.dense, shape: c.shape, pattern: c.pattern, mask: c.mask, permutation: c.permutation)
            #expect(try masked.convolve(c.dy) == c.dx)
            try filters.verify()
            try masked.verify()
        }
    }

    @Test(arguments: [false, true]) func productEqualsItsFormula(_ permuted: Bool) throws {
        var g = Generator(seed: 2)
        for _ in 0..<100 {
            let (t, o, k) = (g.pick([1, 2, 5, 17, 40]), g.pick([1, 3, 16, 35, 70]), g.pick([1, 2, 16, 19, 33]))
            let c = try Case(Self.product(rows: t, outputs: o, inputs: k), permuted: permuted, &g)
            let matrix = try NMBackwardMatrix(
                packing: c.dense, rows: o, columns: k, pattern: c.pattern, mask: c.mask, permutation: c.permutation)
            #expect(matrix.rows == o && matrix.columns == k && matrix.pattern == c.pattern)
            #expect(try matrix.multiply(c.dy, rows: t) == c.dx)
            let sparse = try NMBackwardMatrix(
                packing: c.w, rows: o, columns: k, pattern: c.pattern, permutation: c.permutation)
            #expect(try sparse.multiply(c.dy, rows: t) == c.dx)
            try sparse.verify()
            // The same weights as filters of one tap.
            #expect(try c.filters { $0 }.convolve(c.dy) == c.dx)
        }
    }

    @Test func typesOfEveryKindGiveTheSame() throws {
        var g = Generator(seed: 3)
        for _ in 0..<30 {
            let c = try Case(.random(&g), permuted: g.coin(), &g)
            #expect(try c.filters { Float16($0) }.convolve(c.dy) == c.dx)
            let narrow = try c.filters { BFloat16($0) }
            #expect(narrow.weightType == .bf16)
            #expect(try narrow.convolve(c.dy) == c.dx)
            #expect(try narrow.convolve(c.dy.map { BFloat16($0) }) == c.dx)
            let bits = try narrow.convolve(c.dy.map { BFloat16($0) }, as: BFloat16.self).map(\.bitPattern)
            #expect(bits == c.dx.map { BFloat16($0).bitPattern })
        }
        let c = try Case(Self.product(rows: 5, outputs: 20, inputs: 9), permuted: true, &g)
        let matrix = try NMBackwardMatrix(
            packing: c.w.map { BFloat16($0) }, rows: 20, columns: 9, pattern: c.pattern, permutation: c.permutation)
        #expect(try matrix.multiply(c.dy.map { BFloat16($0) }, rows: 5) == c.dx)
    }

    /// Gradients of layers before and after this one come in here.
    @Test func epiloguesAddToGradients() throws {
        var g = Generator(seed: 4)
        let c = try Case(.random(&g), permuted: true, &g)
        let before = eighths(c.dx.count, &g)
        let expected = c.dx.indices.map { c.dx[$0] + before[$0] }
        let filters = try c.filters { $0 }
        #expect(try filters.convolve(c.dy, residual: before) == expected)
        var dx = before
        try filters.convolve(c.dy, into: &dx, epilogue: Epilogue(addsToOutput: true))
        #expect(dx == expected)

        let p = try Case(Self.product(rows: 7, outputs: 12, inputs: 18), permuted: true, &g)
        let matrix = try NMBackwardMatrix(
            packing: p.w, rows: 12, columns: 18, pattern: p.pattern, permutation: p.permutation)
        dx = eighths(7 * 18, &g)
        let sum = dx.indices.map { p.dx[$0] + dx[$0] }
        try matrix.multiply(p.dy, rows: 7, into: &dx, epilogue: Epilogue(addsToOutput: true))
        #expect(dx == sum)
    }

    /// The gradient of sum(y^2) / 2 at X is the backward convolution of y, when both directions keep the same weights.
    @Test func gradientsAreCentralDifferences() throws {
        var g = Generator(seed: 5)
        for _ in 0..<12 {
            let c = try Case(.random(&g), permuted: g.coin(), &g)
            let output = try c.shape.outputSize
            var x = (0..<c.shape.xCount).map { _ in Data.plain.value(&g) }
            func loss() -> Double {
                ConvReference.forward(c.shape, output, x: x, w: c.w).reduce(0) { $0 + $1 * $1 / 2 }
            }
            let forward = try NMFilters(packing: c.w, shape: c.shape, pattern: NMPattern(4, of: 4))
            let dx = try c.filters { $0 }.convolve(forward.convolve(x))
            for _ in 0..<6 {
                let at = g.below(x.count)
                let value = x[at]
                let step: Float = 1 / 64
                x[at] = value + step
                let (above, up) = (loss(), Double(x[at]))
                x[at] = value - step
                let (below, down) = (loss(), Double(x[at]))
                x[at] = value
                let slope = (above - below) / (up - down)
                #expect(abs(Double(dx[at]) - slope) < 1e-4 * max(1, abs(slope)), "\(c.shape)")
            }
        }
    }

    /// Threads, instruction sets, windows, orders, strides and scratch: none of it changes a bit.
    @Test func nothingElseChangesABit() throws {
        var g = Generator(seed: 6)
        let isas = Set(Machine.kernels.filter(\.runs).map(\.isa)).compactMap { ISA($0) }
        for _ in 0..<30 {
            let shape = ConvShape.random(&g)
            let c = try Case(shape, permuted: g.coin(), &g)
            let filters = try NMBackwardFilters(
                packing: c.dense.map { $0 + 0.3 * Data.plain.value(&g) }, shape: shape, pattern: c.pattern,
                mask: c.mask,
                permutation: c.permutation)
            let dy = try (0..<shape.yCount).map { _ in Data.plain.value(&g) }
            let dx = try filters.convolve(dy, options: ProductOptions(threads: 1, isa: .reference))
            let scratch = Scratch()
            let channels = shape.channels
            for isa in isas + [.automatic] {
                for (xOrder, yOrder) in [(MatrixOrder.rows, MatrixOrder.rows), (.features, .rows), (.rows, .features)] {
                    let options = ProductOptions(threads: g.pick([0, 1, 2]), isa: isa, xOrder: xOrder, yOrder: yOrder)
                    let turned = xOrder == .rows ? dy : transposed(dy, columns: shape.outputs)
                    let result = try filters.convolve(turned, options: options, scratch: scratch)
                    #expect(result == (yOrder == .rows ? dx : transposed(dx, columns: channels)), "\(shape) \(isa)")
                    #expect(try scratch.byteCount >= filters.scratchByteCount(options: options))
                }
                let pixels = shape.xCount / channels
                let rows = pixels / 3..<pixels / 3 + g.below(pixels - pixels / 3 + 1)
                var result = [Float](repeating: -7, count: pixels * (channels + 3))
                var span = result.mutableSpan
                try filters.convolve(
                    dy.span, into: &span, dxStride: channels + 3, options: ProductOptions(isa: isa, rowWindow: rows))
                for at in result.indices {
                    let (pixel, channel) = (at / (channels + 3), at % (channels + 3))
                    let inside = rows ~= pixel && channel < channels
                    #expect(result[at] == (inside ? dx[pixel * channels + channel] : -7))
                }
            }
        }
    }

    @Test func sizesOfZero() throws {
        let pattern = try NMPattern(2, of: 4)
        for (o, k) in [(0, 0), (0, 5), (5, 0)] {
            let matrix = try NMBackwardMatrix(packing: [Float](), rows: o, columns: k, pattern: pattern)
            #expect(matrix.rows == o && matrix.columns == k)
            let dx = try matrix.multiply([Float](repeating: 1, count: 3 * o), rows: 3)
            #expect(dx == [Float](repeating: 0, count: 3 * k))
            #expect(try matrix.multiply([Float](), rows: 0).isEmpty)
        }
        let permuted = try NMBackwardMatrix(packing: [Float](), rows: 0, columns: 5, pattern: pattern, permutation: [])
        #expect(try permuted.multiply([Float](), rows: 1) == [0, 0, 0, 0, 0])
        // No pixel of Y: a gradient of zeros.
        let shape = ConvShape(height: 2, width: 3, channels: 4, outputs: 4, kernel: 3)
        let w = [Float](repeating: 0, count: shape.weightCount)
        let filters = try NMBackwardFilters(packing: w, shape: shape, pattern: pattern)
        #expect(try filters.convolve([Float]()) == [Float](repeating: 0, count: 24))
    }
}

// MARK: both directions

extension BackwardAPITests {
    /// Of each tile of m x m weights n in each row and each column, all around a diagonal.
    private static func transposable(_ o: Int, _ k: Int, _ n: Int, _ m: Int, _ g: inout Generator) -> [Float] {
        var w = eighths(o * k, &g)
        for at in w.indices where (at / k + at % k) % m >= n { w[at] = 0 }
        return w
    }

    @Test(arguments: [(2, 4), (1, 4), (3, 8), (1, 8), (2, 16)]) func oneMatrixGoesBothWays(_ n: Int, _ m: Int) throws {
        var g = Generator(seed: 8)
        let folder = TemporaryFolder()
        let pattern = try NMPattern(n, of: m)
        func check<Weight: NMWeight>(_ t: Int, _ o: Int, _ k: Int, _ convert: (Float) -> Weight) throws {
            let w = Self.transposable(o, k, n, m, &g)
            let shape = Self.product(rows: t, outputs: o, inputs: k)
            let (x, dy) = (eighths(t * k, &g), eighths(t * o, &g))
            let y = try ConvReference.forward(shape, shape.outputSize, x: x, w: w).map { Float($0) }
            let dx = try ConvReference.backward(shape, shape.outputSize, dy: dy, w: w).map { Float($0) }
            let packed = try NMMatrix(
                packingTransposable: w.map(convert), rows: o, columns: k, pattern: pattern)
            try packed.write(to: folder.file("both"))
            for matrix in [packed, try NMMatrix(mapping: folder.file("both"))] {
                try matrix.verify()
                #expect(matrix.rows == o && matrix.columns == k && matrix.pattern == pattern)
                #expect(try matrix.multiply(x, rows: t) == y)
                #expect(try matrix.unpacked(as: Weight.self).map { "\($0)" } == w.map { "\(convert($0))" })
                let backward = try NMBackwardMatrix(transposing: matrix)
                #expect(backward.rows == o && backward.columns == k && backward.weightType == matrix.weightType)
                #expect(try backward.multiply(dy, rows: t) == dx)
                #expect(try backward.multiply(dy, rows: t, options: ProductOptions(isa: .reference)) == dx)
                // What it writes is mapped as a matrix.
                try backward.write(to: folder.file("again"))
                #expect(folder.read("again") == folder.read("both"))
            }
        }
        for (t, o, k) in [(1, 1, 1), (5, 16, 33), (17, 35, 20), (40, 70, 9), (3, 4, 130)] {
            try check(t, o, k) { $0 }
            try check(t, o, k) { Float16($0) }
            try check(t, o, k) { BFloat16($0) }
        }
    }

    @Test func refusesWhatDoesNotGoBothWays() throws {
        let w = [1, 2, 0, 0, 3, 4, 0, 0, 5, 0, 0, 0, 0, 0, 0, 6] as [Float]
        let pattern = try NMPattern(2, of: 4)
        #expect(throws: HalftoneError.notSparse) {
            try NMMatrix(packingTransposable: w, rows: 4, columns: 4, pattern: pattern)
        }
        let mask = try NMMask(rows: 4, columns: 4, bytes: [0b11, 0b11, 0b100, 0b1000])
        let both = try NMMatrix(packingTransposable: w, rows: 4, columns: 4, pattern: pattern, mask: mask)
        #expect(try NMBackwardMatrix(transposing: both).multiply([1, 1, 1, 1] as [Float], rows: 1) == [4, 6, 0, 6])
        for pattern in [try NMPattern(4, of: 4), try NMPattern(1, of: 5), try NMPattern(1, of: 4, sharedRows: 2)] {
            #expect(throws: HalftoneError.pattern) {
                try NMMatrix(packingTransposable: [0] as [Float], rows: 1, columns: 1, pattern: pattern)
            }
        }
        #expect(throws: HalftoneError.blobType) {
            try NMMatrix(packingTransposable: [0] as [Int8], rows: 1, columns: 1, pattern: pattern)
        }
        let forward = try NMMatrix(packing: w, rows: 4, columns: 4, pattern: pattern)
        #expect(throws: HalftoneError.blobForeign) { try NMBackwardMatrix(transposing: forward) }
    }
}

// MARK: errors

extension BackwardAPITests {
    private static let shape = ConvShape(
        height: 4, width: 3, channels: 6, outputs: 8, kernel: 3, padding: .same, groups: 2)

    @Test func refusesWhatIsNoPermutation() throws {
        let pattern = try NMPattern(2, of: 4)
        let w = [Float](repeating: 0, count: Self.shape.weightCount)
        func pack(_ permutation: [UInt32]) throws {
            _ = try NMBackwardFilters(packing: w, shape: Self.shape, pattern: pattern, permutation: permutation)
        }
        for permutation: [UInt32] in [
            [0, 1, 2, 2, 4, 5, 6, 7], [0, 1, 2, 8, 4, 5, 6, 7], [0, 1, 2, .max, 4, 5, 6, 7], [0, 1, 2, 4, 3, 5, 6, 7],
        ] {
            #expect(throws: HalftoneError.permutation) { try pack(permutation) }
        }
        #expect(throws: Never.self) { try pack([3, 0, 1, 2, 7, 5, 6, 4]) }
        #expect(throws: HalftoneError.shape("the permutation holds 3 places, 8 outputs need 8")) {
            try pack([0, 1, 2])
        }

        func matrix(_ permutation: [UInt32]) throws {
            _ = try NMBackwardMatrix(packing: w, rows: 4, columns: 3, pattern: pattern, permutation: permutation)
        }
        #expect(throws: HalftoneError.permutation) { try matrix([0, 1, 3, 3]) }
        #expect(throws: HalftoneError.permutation) { try matrix([1, 2, 3, 4]) }
        #expect(throws: HalftoneError.shape("the permutation holds 5 places, 4 outputs need 4")) {
            try matrix([0, 1, 2, 3, 4])
        }
    }

    @Test func refusesWeightsThatDoNotFit() throws {
        let pattern = try NMPattern(2, of: 4)
        let ones = [Float](repeating: 1, count: Self.shape.weightCount)
        #expect(throws: HalftoneError.notSparse) {
            try NMBackwardMatrix(packing: ones, rows: 3, columns: 2, pattern: pattern)
        }
        #expect(throws: HalftoneError.notSparse) {
            try NMBackwardFilters(packing: ones, shape: Self.shape, pattern: pattern)
        }
        #expect(throws: HalftoneError.blobType) {
            try NMBackwardMatrix(packing: [0, 0, 0, 0] as [Int8], rows: 2, columns: 2, pattern: pattern)
        }
        #expect(throws: HalftoneError.blobType) {
            try NMBackwardFilters(packing: ones.map { Int8($0) }, shape: Self.shape, pattern: pattern)
        }
        #expect(throws: HalftoneError.shape("weights hold 3 values, 2 x 2 need 4")) {
            try NMBackwardMatrix(packing: [0, 0, 0] as [Float], rows: 2, columns: 2, pattern: pattern)
        }
        #expect(throws: HalftoneError.shape("a matrix cannot be -1 x 2")) {
            try NMBackwardMatrix(packing: ones, rows: -1, columns: 2, pattern: pattern)
        }
        #expect(throws: HalftoneError.threads) {
            try NMBackwardMatrix(packing: ones, rows: 1, columns: 1, pattern: pattern, threads: -1)
        }
        let mask = try NMMask(rows: 2, columns: 2, bytes: [0, 0])
        #expect(throws: HalftoneError.shape("the mask is 2 x 2, the weights are 3 x 2")) {
            try NMBackwardMatrix(packing: ones, rows: 3, columns: 2, pattern: pattern, mask: mask)
        }
    }

    @Test func refusesOperandsThatDoNotFit() throws {
        let matrix = try NMBackwardMatrix(
            packing: [Float](repeating: 0, count: 12), rows: 4, columns: 3, pattern: NMPattern(2, of: 4))
        let dy = [Float](repeating: 1, count: 8)
        var dx = [Float](repeating: -7, count: 6)
        #expect(throws: HalftoneError.shape("dY holds 8 values, 3 x 4 need 12")) { try matrix.multiply(dy, rows: 3) }
        #expect(throws: HalftoneError.shape("dX holds 5 values, 2 x 3 need 6")) {
            var short = Array(dx.dropLast())
            try matrix.multiply(dy, rows: 2, into: &short)
        }
        #expect(throws: HalftoneError.shape("dY cannot have -1 rows")) { try matrix.scratchByteCount(rows: -1) }
        #expect(throws: HalftoneError.window) {
            try matrix.multiply(dy, rows: 2, into: &dx, options: ProductOptions(rowWindow: 0..<3))
        }
        #expect(throws: HalftoneError.blobType) { try matrix.multiply(dy.map { BFloat16($0) }, rows: 2) }
        #expect(throws: HalftoneError.blobType) { try matrix.multiply(dy.map { Int8($0) }, rows: 2) }
        #expect(throws: HalftoneError.epilogue) { try matrix.multiply(dy, rows: 2, as: Int32.self) }

        let filters = try NMBackwardFilters(
            packing: [Float](repeating: 0, count: Self.shape.weightCount), shape: Self.shape,
            pattern: NMPattern(2, of: 4))
        #expect(throws: HalftoneError.shape("dY holds 8 values, 12 x 8 need 96")) { try filters.convolve(dy) }
        #expect(throws: HalftoneError.shape("dX holds 6 values, 12 x 6 need 72")) {
            try filters.convolve([Float](repeating: 0, count: 96), into: &dx)
        }
        var other = Self.shape
        other.groups = 1
        #expect(throws: HalftoneError.blobShape) {
            try filters.convolve([Float](repeating: 0, count: 96), shape: other)
        }
        #expect(dx.allSatisfy { $0 == -7 })
    }

    @Test func filesKeepThem() throws {
        var g = Generator(seed: 7)
        let folder = TemporaryFolder()
        let path = folder.file("weights")
        for permuted in [false, true] {
            let c = try Case(Self.shape, permuted: permuted, &g)
            try c.filters { $0 }.write(to: path)
            let mapped = try NMBackwardFilters(mapping: path, shape: Self.shape)
            try mapped.verify()
            #expect(mapped.pattern == c.pattern && mapped.weightType == .f32 && mapped.shape == Self.shape)
            #expect(try mapped.convolve(c.dy) == c.dx)
            let bytes = folder.read("weights")
            #expect(bytes.count == mapped.packedByteCount)
            let copied = try NMBackwardFilters(copying: bytes.span.bytes, shape: Self.shape)
            #expect(try copied.convolve(c.dy) == c.dx)

            let p = try Case(Self.product(rows: 3, outputs: 10, inputs: 7), permuted: permuted, &g)
            let matrix = try NMBackwardMatrix(
                packing: p.w, rows: 10, columns: 7, pattern: p.pattern, permutation: p.permutation)
            try matrix.write(to: path)
            let again = try NMBackwardMatrix(mapping: path)
            #expect(again.rows == 10 && again.columns == 7 && again.pattern == p.pattern)
            #expect(again.packedByteCount == matrix.packedByteCount)
            #expect(try again.multiply(p.dy, rows: 3) == p.dx)
        }
    }
}
