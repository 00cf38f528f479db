import CHalftone
import Halftone
import Testing

/// The product through the Swift API.
@Suite struct ProductAPITests {
    private static let (t, o, k) = (9, 37, 26)

    private let pattern = try! NMPattern(1, of: 4)
    private let matrix: NMMatrix
    private let x: [Float]
    private let bias: [Float]
    private let biasAndReLU: Epilogue
    /// Y with the bias and a ReLU, by the reference.
    private let expected: [Float]

    init() throws {
        var g = Generator(seed: 1)
        let (t, o, k) = (Self.t, Self.o, Self.k)
        let w = try pattern.pruned((0..<o * k).map { _ in Data.plain.value(&g) }, rows: o, columns: k)
        matrix = try NMMatrix(packing: w, rows: o, columns: k, pattern: pattern)
        let x = (0..<t * k).map { _ in Data.plain.value(&g) }
        let bias = (0..<o).map { _ in Data.plain.value(&g) }
        expected = x.withUnsafeBufferPointer { x in
            (0..<t * o).map { at in
                let (row, column) = (at / o, at % o)
                let line = Array(w[column * k..<(column + 1) * k])
                let entries = Reference.entries([line], own: [line.map { $0 != 0 }], masked: false, n: 1, m: 4)!
                return max(0, Reference.sum(entries[0], x.baseAddress! + row * k) + bias[column])
            }
        }
        (self.x, self.bias, biasAndReLU) = (x, bias, Epilogue(bias: bias, activation: .relu))
    }

    @Test func everyFormGivesTheSame() throws {
        #expect(try matrix.multiply(x, rows: Self.t, epilogue: biasAndReLU) == expected)
        var y = [Float](repeating: -7, count: expected.count)
        try matrix.multiply(x, rows: Self.t, into: &y, epilogue: biasAndReLU)
        #expect(y == expected)
        y = [Float](repeating: -7, count: expected.count)
        var span = y.mutableSpan
        try matrix.multiply(x.span, rows: Self.t, into: &span, epilogue: biasAndReLU)
        #expect(y == expected)
    }

    @Test func biasAndActivationAreOptional() throws {
        let plain = try matrix.multiply(x, rows: Self.t)
        let biased = try matrix.multiply(x, rows: Self.t, epilogue: Epilogue(bias: bias))
        for at in plain.indices { #expect(biased[at] == plain[at] + bias[at % Self.o]) }
        #expect(biased.map { max(0, $0) } == expected)
        #expect(plain.contains { $0 < 0 })
    }

    @Test func stridesCountElements() throws {
        let (t, o, k) = (Self.t, Self.o, Self.k)
        let (xStride, yStride) = (k + 5, o + 3)
        var wide = [Float](repeating: .nan, count: (t - 1) * xStride + k)
        for row in 0..<t { for c in 0..<k { wide[row * xStride + c] = x[row * k + c] } }
        var y = [Float](repeating: -7, count: (t - 1) * yStride + o)
        var span = y.mutableSpan
        try matrix.multiply(
            wide.span, rows: t, xStride: xStride, into: &span, yStride: yStride, epilogue: biasAndReLU)
        for at in y.indices {
            let (row, column) = (at / yStride, at % yStride)
            #expect(y[at] == (column < o ? expected[row * o + column] : -7))
        }
    }

    @Test func optionsChangeNothing() throws {
        for threads in [0, 1, 2, 5] {
            for row in Machine.kernels where row.op == "nm_gemm_f32" && row.runs {
                let options = ProductOptions(threads: threads, isa: try #require(ISA(row.isa)))
                let y = try matrix.multiply(x, rows: Self.t, epilogue: biasAndReLU, options: options)
                #expect(y == expected)
            }
        }
    }

    @Test func windowsTouchTheirPartOnly() throws {
        let (t, o) = (Self.t, Self.o)
        let windows: [(Range<Int>?, Range<Int>?)] = [
            (nil, nil), (2..<5, nil), (0..<t, 16..<32), (nil, 32..<o), (8..<9, 0..<16), (0..<0, nil), (nil, 0..<0),
            (t..<t, nil), (3..<3, 16..<16), (0..<0, 0..<0), (0..<t, 0..<o),
        ]
        for (rows, columns) in windows {
            var y = [Float](repeating: -7, count: t * o)
            try matrix.multiply(
                x, rows: t, into: &y, epilogue: biasAndReLU,
                options: ProductOptions(rowWindow: rows, columnWindow: columns))
            for at in y.indices {
                let inside = (rows ?? 0..<t) ~= at / o && (columns ?? 0..<o) ~= at % o
                #expect(y[at] == (inside ? expected[at] : -7), "\(String(describing: (rows, columns)))")
            }
        }
    }

    @Test func refusesBadWindows() {
        let bad: [(Range<Int>?, Range<Int>?)] = [
            (-1..<3, nil), (0..<10, nil), (10..<10, nil), (.min ..< .max, nil), (nil, -16..<16), (nil, 0..<38),
            (nil, 1..<16),
            (nil, 0..<17), (-1..<3, 0..<0), (0..<0, 0..<99),
        ]
        for (rows, columns) in bad {
            #expect(throws: HalftoneError.window) {
                try matrix.multiply(x, rows: Self.t, options: ProductOptions(rowWindow: rows, columnWindow: columns))
            }
        }
    }

    @Test func refusesSizesThatDoNotFit() {
        var y = [Float](repeating: -7, count: Self.t * Self.o)
        #expect(throws: HalftoneError.shape("X holds 234 values, 10 x 26 need 260")) {
            try matrix.multiply(x, rows: 10, into: &y)
        }
        #expect(throws: HalftoneError.shape("X holds 234 values, 10 x 26 need 260")) {
            try matrix.multiply(x, rows: 10)
        }
        #expect(throws: HalftoneError.shape("the bias holds 36 values, 37 columns need 37")) {
            try matrix.multiply(x, rows: 9, into: &y, epilogue: Epilogue(bias: Array(bias.dropLast())))
        }
        var short = Array(y.dropLast())
        #expect(throws: HalftoneError.shape("Y holds 332 values, 9 x 37 need 333")) {
            try matrix.multiply(x, rows: 9, into: &short)
        }
        for rows in [-1, Int.min, .max, 1 << 60] {
            #expect(throws: HalftoneError.self) { try matrix.multiply(x, rows: rows) }
            #expect(throws: HalftoneError.self) { try matrix.multiply(x, rows: rows, into: &y) }
        }
        for threads in [-1, Int.min, .max] {
            #expect(throws: HalftoneError.threads) {
                try matrix.multiply(x, rows: 9, into: &y, options: ProductOptions(threads: threads))
            }
        }
        #expect(y.allSatisfy { $0 == -7 } && short.allSatisfy { $0 == -7 })
    }

    @Test func refusesStridesThatDoNotFit() {
        var y = [Float](repeating: -7, count: Self.t * Self.o)
        func multiply(xStride: Int? = nil, yStride: Int? = nil) throws(HalftoneError) {
            var span = y.mutableSpan
            try matrix.multiply(x.span, rows: Self.t, xStride: xStride, into: &span, yStride: yStride)
        }
        for stride in [25, 0, -26, Int.min] {
            #expect(throws: HalftoneError.stride) { try multiply(xStride: stride) }
            #expect(throws: HalftoneError.stride) { try multiply(yStride: stride) }
        }
        for stride in [Int.max, .max / 8, 27] {
            #expect(throws: HalftoneError.self) { try multiply(xStride: stride) }
        }
        #expect(y.allSatisfy { $0 == -7 })
    }

    /// A product with no columns of W, whose rows are bounded by nothing but Y.
    @Test func refusesRowsBeyondMemory() throws {
        let empty = try NMMatrix(packing: [Float](), rows: 1, columns: 0, pattern: pattern)
        #expect(throws: HalftoneError.overflow) { try empty.multiply([Float](), rows: .max) }
        #expect(try empty.multiply([Float](), rows: 3, epilogue: Epilogue(bias: [2])) == [2, 2, 2])
        #expect(try matrix.multiply([Float](), rows: 0).isEmpty)
    }

    @Test func scratchGrowsOnceAndIsReused() throws {
        let scratch = Scratch()
        #expect(scratch.byteCount == 0)
        let options = ProductOptions(threads: 2)
        for rows in [1, Self.t, 3, Self.t] {
            let y = try matrix.multiply(
                x, rows: rows, epilogue: biasAndReLU, options: options, scratch: scratch)
            #expect(y == Array(expected[..<(rows * Self.o)]))
        }
        #expect(scratch.byteCount == (try matrix.scratchByteCount(rows: Self.t, options: options)))
        try scratch.reserve(1 << 20)
        #expect(scratch.byteCount == 1 << 20)
        #expect(throws: HalftoneError.memory) { try scratch.reserve(.max) }
        #expect(scratch.byteCount == 1 << 20)
        try scratch.reserve(-5)
        #expect(scratch.byteCount == 1 << 20)
        #expect(throws: HalftoneError.self) { try matrix.scratchByteCount(rows: -1) }
    }

    /// A matrix is used from several tasks at once.
    @Test func isSharedBetweenTasks() async throws {
        let (matrix, x, biasAndReLU) = (matrix, x, biasAndReLU)
        let results = try await withThrowingTaskGroup(of: [Float].self) { group in
            for _ in 0..<8 {
                group.addTask { try matrix.multiply(x, rows: Self.t, epilogue: biasAndReLU) }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(results.count == 8)
        #expect(results.allSatisfy { $0 == expected })
    }
}
