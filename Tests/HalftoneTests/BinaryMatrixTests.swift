import Halftone
import Testing

/// Products of signs through the Swift API, against their sums in Int.
@Suite struct BinaryMatrixTests {
    private static let isas = ISA.running(of: "binary_gemm")

    /// Signs and their sums.
    private struct Case {
        let x, w: SignMatrix
        let values: BitValues
        let sums: [Int]
        let matrix: BinaryMatrix

        init(_ t: Int, _ o: Int, _ k: Int, _ values: BitValues = .signs, _ g: inout Generator) throws {
            (x, w) = (try .random(t, k, &g), try .random(o, k, &g))
            self.values = values
            sums =
                k > 0
                ? SignReference.product(x.values(values), w.values(), columns: k, outputs: o)
                : Array(repeating: 0, count: t * o)
            matrix = try BinaryMatrix(packing: w, design: g.pick(BinaryDesign.allCases), &g)
        }

        static func random(_ g: inout Generator) throws -> Case {
            try Case(
                g.pick([1, 2, 5, 14, 15, 31]), g.pick([1, 3, 16, 17, 33, 65]),
                g.pick([0, 1, 31, 32, 33, 64, 97, 200, 256]), g.pick(BitValues.allCases), &g)
        }
    }

    @Test func equalsTheSums() throws {
        var g = Generator(seed: 1)
        for _ in 0..<40 {
            let c = try Case.random(&g)
            for isa in Self.isas {
                let options = ProductOptions(
                    threads: g.pick([0, 1, 3]), isa: isa, binaryDesign: g.pick([.automatic, .direct]))
                let y = try c.matrix.multiply(c.x, values: c.values, options: options)
                #expect(y == c.sums.map { Int32($0) }, "\(isa) \(c.x.rows) \(c.w.rows) \(c.w.columns)")
                let narrow = try c.matrix.multiply(c.x, values: c.values, as: Int16.self, options: options)
                #expect(narrow == c.sums.map { Int16($0) })
            }
        }
    }

    /// In floats that are exact whatever the order: powers of two and small numbers.
    @Test func epilogues() throws {
        var g = Generator(seed: 2)
        for _ in 0..<20 {
            let c = try Case.random(&g)
            let (t, o) = (c.x.rows, c.w.rows)
            let scale = (0..<o).map { _ in g.pick([0.25, -0.5, 1]) as Float }
            let rowScales = (0..<t).map { _ in g.pick([0.5, 2]) as Float }
            let (bias, residual) = (eighths(o, &g), eighths(t * o, &g))
            let reals = c.sums.indices.map { at in
                let (row, column) = (at / o, at % o)
                return max(0, Float(c.sums[at]) * rowScales[row] * scale[column] + bias[column] + residual[at])
            }
            var epilogue = Epilogue(
                bias: bias, activation: .relu, quantization: Quantization(form: .real(scale: scale)),
                rowScales: rowScales)
            for isa in Self.isas {
                let options = ProductOptions(isa: isa)
                #expect(
                    try c.matrix.multiply(
                        c.x, values: c.values, as: Float.self, epilogue: epilogue, residual: residual, options: options)
                        == reals)
                let turned = ProductOptions(isa: isa, yOrder: .features)
                #expect(
                    try c.matrix.multiply(
                        c.x, values: c.values, as: Float.self, epilogue: epilogue,
                        residual: transposed(residual, columns: o), options: turned) == transposed(reals, columns: o))
                let bytes = try c.matrix.multiply(
                    c.x, values: c.values, as: Int8.self,
                    epilogue: Epilogue(quantization: Quantization(yZero: 3)), options: options)
                #expect(bytes == c.sums.map { Int8(clamping: $0 + 3) })
            }
            epilogue.addsToOutput = true
            var y = residual
            try c.matrix.multiply(c.x, values: c.values, into: &y, epilogue: epilogue)
            #expect(y == reals)
            let wide = try c.matrix.multiply(c.x, values: c.values, as: BFloat16.self)
            #expect(wide.map(\.bitPattern) == c.sums.map { BFloat16(Float($0)).bitPattern })
        }
    }

    @Test func signsAreThoseOfTheThreshold() throws {
        var g = Generator(seed: 3)
        for _ in 0..<30 {
            let c = try Case.random(&g)
            let (t, o, k) = (c.x.rows, c.w.rows, c.w.columns)
            let levels = (0..<o).map { _ in Int32(g.below(2 * k + 3) - k - 1) }
            let flips = (0..<o).map { _ in g.coin(3) }
            let threshold = try BinaryThreshold(levels: levels, flips: flips)
            for o in 0..<o { #expect(threshold.flips(o) == flips[o]) }
            let expected = c.sums.indices.map { at in
                (c.sums[at] < Int(levels[at % o])) != flips[at % o] ? -1 : 1
            }
            for isa in Self.isas {
                let options = ProductOptions(threads: g.pick([1, 3]), isa: isa)
                let y = try c.matrix.multiply(c.x, values: c.values, threshold: threshold, options: options)
                #expect(y == (try SignMatrix(expected, rows: t, columns: o)))
                let signs = try c.matrix.multiply(c.x, values: c.values, threshold: .zero, options: options)
                #expect(signs == (try SignMatrix(c.sums, rows: t, columns: o)))
            }
        }
    }

    /// Nothing but the window is written, and a scratch serves every call.
    @Test func windowsStridesAndScratch() throws {
        var g = Generator(seed: 4)
        let scratch = Scratch()
        for isa in Self.isas {
            let c = try Case(37, 70, 100, .signs, &g)
            let (rows, columns) = (3..<20, 16..<64)
            let options = ProductOptions(threads: 2, isa: isa, rowWindow: rows, columnWindow: columns)
            var y = [Int32](repeating: -7, count: 37 * 75)
            var span = y.mutableSpan
            try c.matrix.multiply(c.x, into: &span, yStride: 75, options: options, scratch: scratch)
            var signs = try SignMatrix(rows: 37, columns: 70).negated()
            try c.matrix.multiply(c.x, into: &signs, threshold: .zero, options: options, scratch: scratch)
            for row in 0..<37 {
                for column in 0..<75 {
                    let inside = rows ~= row && columns ~= column
                    #expect(y[row * 75 + column] == (inside ? Int32(c.sums[row * 70 + column]) : -7))
                    if column < 70 {
                        #expect(signs[row, column] == (inside && c.sums[row * 70 + column] >= 0 ? 1 : -1))
                    }
                }
            }
            #expect(signs.words == signs.negated().negated().words, "bits behind the last are clear")
            #expect(scratch.byteCount >= (try c.matrix.scratchByteCount(rows: 37, options: options)))
        }
    }

    /// Floats and bytes times signs; sums of eighths are exact.
    @Test func floatsAndBytes() throws {
        var g = Generator(seed: 5)
        for _ in 0..<15 {
            let (t, o, k) = (g.pick([1, 3, 17]), g.pick([1, 16, 33]), g.pick([1, 5, 32, 67, 130]))
            let w = try SignMatrix.random(o, k, &g)
            let matrix = try BinaryMatrix(packing: w)
            let x = eighths(t * k, &g)
            let eight = SignReference.product(x.map { Int($0 * 8) }, w.values(), columns: k, outputs: o)
            let bias = eighths(o, &g)
            for isa in ISA.running(of: "binary_gemm_f32") {
                let options = ProductOptions(isa: isa)
                #expect(try matrix.multiply(x, rows: t, options: options) == eight.map { Float($0) / 8 })
                let turned = ProductOptions(isa: isa, xOrder: .features)
                #expect(
                    try matrix.multiply(
                        transposed(x, columns: k), rows: t, epilogue: Epilogue(bias: bias), options: turned)
                        == eight.indices.map { Float(eight[$0]) / 8 + bias[$0 % o] })
            }
            for isa in ISA.running(of: "binary_gemm_i8") {
                let options = ProductOptions(isa: isa)
                let bytes = x.map { Int8($0 * 8) }
                #expect(
                    try matrix.multiply(bytes, rows: t, as: Int32.self, options: options) == eight.map { Int32($0) })
                let zero = Epilogue(quantization: Quantization(xZero: 9))
                let moved = bytes.map { $0 + 9 }
                #expect(
                    try matrix.multiply(moved, rows: t, as: Float.self, epilogue: zero, options: options)
                        == eight.map { Float($0) })
            }
            #expect(try matrix.scratchByteCount(rows: t, input: Float.self) >= 0)
        }
    }
}

// MARK: weights

extension BinaryMatrixTests {
    private static func copy(_ bytes: [UInt8]) throws -> BinaryMatrix { try BinaryMatrix(copying: bytes.span.bytes) }

    @Test func packedSignsComeBack() throws {
        var g = Generator(seed: 6)
        for design in BinaryDesign.allCases {
            for (o, k) in [(0, 5), (5, 0), (1, 1), (17, 33), (40, 129)] {
                let w = try SignMatrix.random(o, k, &g)
                let matrix = try BinaryMatrix(packing: w, design: design, &g)
                #expect(matrix.rows == o && matrix.columns == k)
                #expect(design == .automatic ? matrix.design != .automatic : matrix.design == design)
                #expect(try matrix.unpacked() == w)
                try matrix.verify()
            }
        }
    }

    @Test(arguments: BinaryDesign.allCases) func filesKeepMatrices(_ design: BinaryDesign) throws {
        var g = Generator(seed: 7)
        let folder = TemporaryFolder()
        let (w, x) = (try SignMatrix.random(40, 70, &g), try SignMatrix.random(5, 70, &g))
        let matrix = try BinaryMatrix(packing: w, design: design, &g)
        let path = folder.file("matrix")
        try matrix.write(to: path)
        let good = matrix.packedArray
        #expect(folder.read("matrix") == good && good.count == matrix.packedByteCount)
        for other in [try BinaryMatrix(mapping: path), try Self.copy(good + [1, 2])] {
            try other.verify()
            #expect(other.design == matrix.design && other.packedArray == good)
            #expect(try other.unpacked() == w)
            #expect(try other.multiply(x) == matrix.multiply(x))
        }
        for count in [0, 63, good.count - 1] {
            #expect(throws: HalftoneError.blobTruncated) { try Self.copy(Array(good[..<count])) }
        }
        // A bit of an input that is not there.
        var damaged = good
        damaged[64 + 2 * 64 + 3] |= 0x80
        let forged = try Self.copy(damaged)
        #expect(throws: HalftoneError.blobCorrupt) { try forged.verify() }
    }

    @Test func otherWeightsAreRefused() throws {
        let shape = ConvShape(height: 4, width: 4, channels: 8, outputs: 4, kernel: 3)
        let filters = try BinaryFilters(packing: SignMatrix(rows: 4, columns: 72), shape: shape).packedArray
        let pruned = try NMMatrix(
            packing: [Float](repeating: 0, count: 32), rows: 4, columns: 8, pattern: NMPattern(2, of: 4)
        )
        .packedArray
        #expect(throws: HalftoneError.blobShape) { try Self.copy(filters) }
        #expect(throws: HalftoneError.blobForeign) { try Self.copy(pruned) }
        let signs = try BinaryMatrix(packing: SignMatrix(rows: 4, columns: 8)).packedArray
        #expect(throws: HalftoneError.blobForeign) { try NMMatrix(copying: signs.span.bytes) }
    }
}

// MARK: errors

extension BinaryMatrixTests {
    @Test func refusesOperandsThatDoNotFit() throws {
        var g = Generator(seed: 8)
        let matrix = try BinaryMatrix(packing: .random(18, 40, &g))
        let x = try SignMatrix.random(3, 40, &g)
        var y = [Float](repeating: -7, count: 54)
        var signs = try SignMatrix(rows: 3, columns: 18).negated()
        let before = signs
        #expect(throws: HalftoneError.shape("X is 3 x 39, not 3 x 40")) {
            try matrix.multiply(SignMatrix(rows: 3, columns: 39))
        }
        #expect(throws: HalftoneError.shape("Y holds 53 values, 3 x 18 need 54")) {
            var short = Array(y.dropLast())
            try matrix.multiply(x, into: &short)
        }
        #expect(throws: HalftoneError.shape("Y is 3 x 17, not 3 x 18")) {
            var wrong = try SignMatrix(rows: 3, columns: 17)
            try matrix.multiply(x, into: &wrong, threshold: .zero)
        }
        #expect(throws: HalftoneError.shape("the threshold holds 17 values, 18 columns need 18")) {
            try matrix.multiply(
                x, into: &signs, threshold: BinaryThreshold(levels: [Int32](repeating: 0, count: 17)))
        }
        #expect(throws: HalftoneError.shape("the row scales hold 2 values, 3 rows need 3")) {
            try matrix.multiply(x, into: &y, epilogue: Epilogue(rowScales: [1, 2]))
        }
        #expect(throws: HalftoneError.stride) {
            var span = y.mutableSpan
            try matrix.multiply(x, into: &span, yStride: 17)
        }
        #expect(throws: HalftoneError.stride) {
            try matrix.multiply(x, into: &y, options: ProductOptions(xOrder: .features))
        }
        for options in [ProductOptions(rowWindow: 0..<4), ProductOptions(columnWindow: 1..<16)] {
            #expect(throws: HalftoneError.window) { try matrix.multiply(x, into: &y, options: options) }
            #expect(throws: HalftoneError.window) {
                try matrix.multiply(x, into: &signs, threshold: .zero, options: options)
            }
        }
        #expect(throws: HalftoneError.threads) {
            try matrix.multiply(x, into: &y, options: ProductOptions(threads: -1))
        }
        #expect(throws: HalftoneError.epilogue) {
            try matrix.multiply(x, as: Int32.self, epilogue: Epilogue(activation: .relu))
        }
        #expect(throws: HalftoneError.epilogue) {
            try matrix.multiply([Float](repeating: 1, count: 120), rows: 3, as: Int32.self)
        }
        #expect(throws: HalftoneError.shape("X holds 119 values, 3 x 40 need 120")) {
            try matrix.multiply([Float](repeating: 1, count: 119), rows: 3)
        }
        #expect(throws: HalftoneError.shape("X cannot have -1 rows")) { try matrix.scratchByteCount(rows: -1) }
        #expect(throws: HalftoneError.isa) {
            let missing = try #require(
                ISA.allCases.first { !Set(Machine.kernels.map(\.isa)).contains("\($0)") && $0 != .automatic })
            try matrix.multiply(x, into: &y, options: ProductOptions(isa: missing))
        }
        #expect(y.allSatisfy { $0 == -7 } && signs == before)
    }

    /// Sums of more signs than an `Int16` counts.
    @Test func narrowSumsMustFit() throws {
        let (long, longer) = (try SignMatrix(rows: 1, columns: 32767), try SignMatrix(rows: 1, columns: 32768))
        #expect(try BinaryMatrix(packing: long).multiply(long.negated(), as: Int16.self) == [-32767])
        #expect(throws: HalftoneError.epilogue) { try BinaryMatrix(packing: longer).multiply(longer, as: Int16.self) }
        #expect(try BinaryMatrix(packing: longer).multiply(longer) == [32768])
    }
}
