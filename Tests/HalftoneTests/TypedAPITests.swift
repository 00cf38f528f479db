import CHalftone
import Halftone
import Testing

/// Types, epilogues, orders and shared patterns through the Swift API.
@Suite struct TypedAPITests {
    private static let (t, o, k) = (5, 35, 24)
    private let pattern = try! NMPattern(2, of: 4)

    private static func eighths(_ count: Int, seed: UInt64) -> [Float] {
        var g = Generator(seed: seed)
        return HalftoneTests.eighths(count, &g)
    }

    private static func dense(_ x: [Float], _ w: [Float]) -> [Float] {
        (0..<t * o).map { at in (0..<k).reduce(0) { $0 + x[at / o * k + $1] * w[at % o * k + $1] } }
    }

    private func matrix<Weight: NMWeight>(_ w: [Weight]) throws -> NMMatrix {
        try NMMatrix(packing: w, rows: Self.o, columns: Self.k, pattern: pattern)
    }

    private let w: [Float]
    private let x: [Float]
    private let y: [Float]

    init() throws {
        w = try pattern.pruned(Self.eighths(Self.o * Self.k, seed: 1), rows: Self.o, columns: Self.k)
        x = Self.eighths(Self.t * Self.k, seed: 2)
        y = Self.dense(x, w)
    }

    @Test func weightsOfEveryFloatingPointTypeGiveTheSame() throws {
        for matrix in [try matrix(w), try matrix(w.map { Float16($0) }), try matrix(w.map { BFloat16($0) })] {
            #expect(try matrix.multiply(x, rows: Self.t) == y)
            let sizes = [DataType.f32: 4, .f16: 2, .bf16: 2]
            #expect(matrix.packedByteCount >= sizes[matrix.weightType]! * w.count / 2)
        }
        #expect(try matrix(w.map { Float16($0) }).unpacked(as: Float16.self) == w.map { Float16($0) })
        #expect(throws: HalftoneError.blobType) { try matrix(w).unpacked(as: Float16.self) }
    }

    @Test func bfloat16InputsGiveFloatsOrTheirOwnType() throws {
        let matrix = try matrix(w.map { BFloat16($0) })
        let inputs = x.map { BFloat16($0) }
        #expect(try matrix.multiply(inputs, rows: Self.t) == y)
        let narrow = try matrix.multiply(inputs, rows: Self.t, as: BFloat16.self)
        #expect(narrow.map { $0.bitPattern } == y.map { BFloat16($0).bitPattern })
    }

    @Test func bytesGiveSumsAndWhatQuantizationMakesOfThem() throws {
        let weights = w.map { Int8($0 * 8) }
        let inputs = x.map { UInt8($0 * 8 + 100) }
        let sums = y.map { Int32($0 * 64) }
        let matrix = try matrix(weights)
        #expect(matrix.weightType == .i8)
        let zero = Epilogue(quantization: Quantization(xZero: 100))
        #expect(try matrix.multiply(inputs, rows: Self.t, as: Int32.self, epilogue: zero) == sums)
        let signed = x.map { Int8($0 * 8) }
        #expect(try matrix.multiply(signed, rows: Self.t, as: Int32.self) == sums)

        let scale = (0..<Self.o).map { Float($0 + 1) / 64 }
        let real = Epilogue(quantization: Quantization(xZero: 100, form: .real(scale: scale)))
        let expected = y.indices.map { y[$0] * Float($0 % Self.o + 1) }
        #expect(try matrix.multiply(inputs, rows: Self.t, epilogue: real) == expected)

        let bytes = Epilogue(
            activation: .relu, quantization: Quantization(xZero: 100, form: .real(yScale: 16), yZero: 3))
        let rounded = sums.map { UInt8(min(255, max(0, Float($0) / 16).rounded(.toNearestOrEven) + 3)) }
        #expect(try matrix.multiply(inputs, rows: Self.t, as: UInt8.self, epilogue: bytes) == rounded)

        for (ties, rule) in [(Quantization.Ties.toEven, FloatingPointRoundingRule.toNearestOrEven), (.up, .up)] {
            let dyadic = Quantization.Form.dyadic(
                multiplier: Array(repeating: 1, count: Self.o), shift: Array(repeating: 1, count: Self.o),
                offset: Array(repeating: 2, count: Self.o), ties: ties)
            let epilogue = Epilogue(quantization: Quantization(xZero: 100, form: dyadic))
            let halves = sums.map { Int8(max(-128, min(127, (Double($0 + 2) / 2).rounded(rule)))) }
            #expect(try matrix.multiply(inputs, rows: Self.t, as: Int8.self, epilogue: epilogue) == halves)
        }
    }

    @Test func activations() throws {
        let matrix = try matrix(w)
        func activated(_ activation: Activation) throws -> [Float] {
            try matrix.multiply(x, rows: Self.t, epilogue: Epilogue(activation: activation))
        }
        #expect(try activated(.none) == y)
        #expect(try activated(.relu) == y.map { max(0, $0) })
        #expect(try activated(.clamp(-1...2.5)) == y.map { min(2.5, max(-1, $0)) })
        for (found, v) in zip(try activated(.gelu), y) {
            #expect(abs(Double(found) - Reference.gelu(Double(v))) <= 4 * Double(abs(v).ulp))
        }
    }

    @Test func residuals() throws {
        let matrix = try matrix(w)
        let residual = Self.eighths(y.count, seed: 3)
        let bias = Self.eighths(Self.o, seed: 4)
        let expected = y.indices.map { max(0, y[$0] + bias[$0 % Self.o] + residual[$0]) }
        var epilogue = Epilogue(bias: bias, activation: .relu)
        #expect(try matrix.multiply(x, rows: Self.t, epilogue: epilogue, residual: residual) == expected)
        epilogue.addsToOutput = true
        var result = residual
        try matrix.multiply(x, rows: Self.t, into: &result, epilogue: epilogue)
        #expect(result == expected)
        #expect(throws: HalftoneError.epilogue) {
            try matrix.multiply(x, rows: Self.t, epilogue: epilogue, residual: residual)
        }
        #expect(throws: HalftoneError.shape("the residual holds 174 values, 5 x 35 need 175")) {
            try matrix.multiply(x, rows: Self.t, residual: Array(residual.dropLast()))
        }

        let narrow = try self.matrix(w.map { BFloat16($0) })
        let sum = try narrow.multiply(
            x.map { BFloat16($0) }, rows: Self.t, as: BFloat16.self, epilogue: Epilogue(bias: bias, activation: .relu),
            residual: residual.map { BFloat16($0) })
        #expect(sum.map { $0.bitPattern } == expected.map { BFloat16($0).bitPattern })
    }

    @Test func ordersTransposeTheOperands() throws {
        let matrix = try matrix(w)
        let (turnedX, turnedY) = (transposed(x, columns: Self.k), transposed(y, columns: Self.o))
        for (xOrder, yOrder) in [(MatrixOrder.features, MatrixOrder.rows), (.rows, .features), (.features, .features)] {
            let options = ProductOptions(xOrder: xOrder, yOrder: yOrder)
            let result = try matrix.multiply(xOrder == .rows ? x : turnedX, rows: Self.t, options: options)
            #expect(result == (yOrder == .rows ? y : turnedY))
        }
        // Strides go from feature to feature.
        var wide = [Float](repeating: .nan, count: Self.k * 8)
        for at in turnedX.indices { wide[at / Self.t * 8 + at % Self.t] = turnedX[at] }
        var result = [Float](repeating: -7, count: Self.o * 6)
        var span = result.mutableSpan
        try matrix.multiply(
            wide.span, rows: Self.t, xStride: 8, into: &span, yStride: 6,
            options: ProductOptions(xOrder: .features, yOrder: .features))
        for at in result.indices {
            #expect(result[at] == (at % 6 < Self.t ? turnedY[at / 6 * Self.t + at % 6] : -7))
        }
        #expect(throws: HalftoneError.stride) {
            var span = result.mutableSpan
            try matrix.multiply(
                wide.span, rows: Self.t, xStride: 4, into: &span, options: ProductOptions(xOrder: .features))
        }
    }

    @Test func sharedPatternsAreTheSameInEachSetOfRows() throws {
        for rows in [2, 4, 8] {
            let pattern = try NMPattern(2, of: 4, sharedRows: rows)
            let dense = Self.eighths(Self.o * Self.k, seed: 5).map { $0 + 0.01 }
            let mask = try pattern.mask(of: dense, rows: Self.o, columns: Self.k)
            for row in 0..<Self.o {
                for c in 0..<Self.k { #expect(mask[row, c] == mask[row / rows * rows, c]) }
            }
            let pruned = try pattern.pruned(dense, rows: Self.o, columns: Self.k)
            #expect(pruned.indices.allSatisfy { (pruned[$0] != 0) == mask[$0 / Self.k, $0 % Self.k] })
            let matrix = try NMMatrix(packing: pruned, rows: Self.o, columns: Self.k, pattern: pattern)
            #expect(matrix.pattern == pattern)
            #expect(try matrix.unpacked() == pruned)
            let own = try NMMatrix(packing: pruned, rows: Self.o, columns: Self.k, pattern: self.pattern)
            #expect(try matrix.multiply(x, rows: Self.t) == own.multiply(x, rows: Self.t))
            #expect(matrix.packedByteCount <= own.packedByteCount)
        }
        // The second row has other columns than the first, which it may not where they share them.
        #expect(throws: HalftoneError.notSparse) {
            try NMMatrix(
                packing: [1, 2, 0, 0, 0, 0, 3, 4] as [Float], rows: 2, columns: 4,
                pattern: NMPattern(2, of: 4, sharedRows: 2))
        }
    }

    @Test func typesThatAreNotMultipliedAreRefused() throws {
        let floats = try matrix(w)
        let bytes = try matrix(w.map { Int8($0) })
        let narrow = x.map { BFloat16($0) }
        #expect(throws: HalftoneError.blobType) { try floats.multiply(narrow, rows: Self.t) }
        #expect(throws: HalftoneError.blobType) { try bytes.multiply(x, rows: Self.t) }
        #expect(throws: HalftoneError.blobType) { try floats.scratchByteCount(rows: 1, input: UInt8.self) }
        #expect(throws: HalftoneError.epilogue) { try floats.multiply(x, rows: Self.t, as: Int32.self) }
        #expect(throws: HalftoneError.epilogue) { try floats.multiply(x, rows: Self.t, as: BFloat16.self) }
        let quantized = Epilogue(quantization: Quantization(xZero: 1))
        #expect(throws: HalftoneError.epilogue) { try floats.multiply(x, rows: Self.t, epilogue: quantized) }
        let short = Epilogue(quantization: Quantization(form: .real(scale: [1])))
        #expect(throws: HalftoneError.shape("the scale holds 1 values, 35 columns need 35")) {
            try bytes.multiply(x.map { Int8($0) }, rows: Self.t, epilogue: short)
        }
    }

    @Test func typesHaveTheirSizes() {
        #expect(DataType.allCases.map(\.byteCount) == [4, 2, 2, 1, 1, 4, 2, 0, 0])
        #expect(Float.dataType == .f32 && Float16.dataType == .f16 && BFloat16.dataType == .bf16)
        #expect(Int8.dataType == .i8 && UInt8.dataType == .u8 && Int32.dataType == .i32)
    }
}
