import Halftone
import Testing

/// Convolutions of signs through the Swift API, against their sums in Int.
@Suite struct BinaryFiltersTests {
    private static let isas = ISA.running(of: "binary_gemm")

    private struct Case {
        let shape: ConvShape
        let w, x: SignMatrix
        let sums: [Int]
        let filters: BinaryFilters

        init(_ shape: ConvShape, design: BinaryDesign = .automatic, _ g: inout Generator) throws {
            self.shape = shape
            w = try .random(shape.outputs, shape.weightCount / shape.outputs, &g)
            x = try .random(shape.images * shape.height * shape.width, shape.channels, &g)
            sums = try SignReference.convolution(shape, x: x.values(), w: w.values())
            filters = try BinaryFilters(packing: w, shape: shape, design: design, &g)
        }

        static func random(_ g: inout Generator) throws -> Case {
            try Case(.randomOfSigns(&g), design: g.pick(BinaryDesign.allCases), &g)
        }
    }

    @Test func equalsTheSevenLoops() throws {
        var g = Generator(seed: 1)
        for _ in 0..<60 {
            let c = try Case.random(&g)
            let pixels = try c.shape.yPixels
            let levels = (0..<c.shape.outputs).map { _ in Int32(g.below(9) - 4) }
            let threshold = try BinaryThreshold(levels: levels, flips: levels.map { $0 % 2 == 0 })
            let bits = try SignMatrix(
                c.sums.indices.map { at in
                    let level = levels[at % c.shape.outputs]
                    return (c.sums[at] < Int(level)) != (level % 2 == 0) ? -1 : 1
                }, rows: pixels, columns: c.shape.outputs)
            #expect(try c.filters.unpacked() == c.w)
            try c.filters.verify()
            for isa in Self.isas {
                let options = ProductOptions(threads: g.pick([0, 1, 3]), isa: isa)
                #expect(try c.filters.convolve(c.x, options: options) == c.sums.map { Int32($0) }, "\(isa) \(c.shape)")
                #expect(try c.filters.convolve(c.x, threshold: threshold, options: options) == bits, "\(c.shape)")
            }
        }
    }

    @Test func epiloguesAndResiduals() throws {
        var g = Generator(seed: 2)
        for _ in 0..<20 {
            let c = try Case.random(&g)
            let outputs = c.shape.outputs
            let scale = (0..<outputs).map { _ in g.pick([0.25, -0.5, 1]) as Float }
            let (bias, residual) = (eighths(outputs, &g), eighths(c.sums.count, &g))
            let expected = c.sums.indices.map { at in
                max(0, Float(c.sums[at]) * scale[at % outputs] + bias[at % outputs] + residual[at])
            }
            let epilogue = Epilogue(
                bias: bias, activation: .relu, quantization: Quantization(form: .real(scale: scale)))
            for isa in Self.isas {
                let options = ProductOptions(isa: isa)
                #expect(
                    try c.filters.convolve(
                        c.x, as: Float.self, epilogue: epilogue, residual: residual, options: options) == expected)
            }
        }
    }

    /// W1A32 and W1A8: images of floats and bytes, padded with zeros.
    @Test func imagesOfFloatsAndBytes() throws {
        var g = Generator(seed: 3)
        for _ in 0..<20 {
            let shape = ConvShape.random(&g)
            let w = try SignMatrix.random(shape.outputs, shape.weightCount / shape.outputs, &g)
            let filters = try BinaryFilters(packing: w, shape: shape)
            let x = eighths(shape.xCount, &g)
            let y = try ConvReference.forward(shape, shape.outputSize, x: x, w: w.values().map { Float($0) })
            for isa in ISA.running(of: "binary_gemm_f32") {
                #expect(try filters.convolve(x, options: ProductOptions(isa: isa)) == y.map { Float($0) })
            }
            let zero = Epilogue(quantization: Quantization(xZero: -5))
            let bytes = x.map { Int8($0 * 8) - 5 }
            for isa in ISA.running(of: "binary_gemm_i8") {
                #expect(
                    try filters.convolve(bytes, as: Int32.self, epilogue: zero, options: ProductOptions(isa: isa))
                        == y.map { Int32($0 * 8) })
            }
            #expect(try filters.scratchByteCount(input: Float.self) >= 0)
        }
    }

    /// The packed output of a layer is the input of the next, and a scratch serves both.
    @Test func layersChainInBits() throws {
        var g = Generator(seed: 4)
        let first = ConvShape(
            images: 2, height: 9, width: 7, channels: 40, outputs: 70, kernel: 3, strides: 2, padding: .same,
            paddingValue: .plusOne)
        let second = ConvShape(images: 2, height: 5, width: 4, channels: 70, outputs: 5, kernel: 3, padding: .same)
        let a = try Case(first, &g)
        let w = try SignMatrix.random(5, 630, &g)
        let b = try BinaryFilters(packing: w, shape: second)
        let scratch = Scratch()
        var hidden = try SignMatrix(rows: 40, columns: 70)
        try a.filters.convolve(a.x, into: &hidden, threshold: .zero, scratch: scratch)
        let y = try b.convolve(hidden, scratch: scratch)
        let expected = try SignReference.convolution(second, x: a.sums.map { $0 < 0 ? -1 : 1 }, w: w.values())
        #expect(y == expected.map { Int32($0) })
        #expect(scratch.byteCount >= (try b.scratchByteCount()))
    }

    /// Filters of one tap are the matrix that a product takes.
    @Test func oneTapIsAProduct() throws {
        var g = Generator(seed: 5)
        let shape = ConvShape(images: 2, height: 5, width: 3, channels: 22, outputs: 35, kernel: 1)
        let c = try Case(shape, design: .direct, &g)
        let matrix = try BinaryMatrix(packing: c.w, design: .direct)
        #expect(c.filters.packedArray == matrix.packedArray)
        #expect(try matrix.multiply(c.x) == c.sums.map { Int32($0) })
    }

    /// The same filters over images of another size, number and padding, whatever they were packed for.
    @Test(arguments: BinaryDesign.allCases) func callsCanNameAnotherShape(_ design: BinaryDesign) throws {
        var g = Generator(seed: 6)
        let c = try Case(
            ConvShape(height: 4, width: 4, channels: 8, outputs: 8, kernel: 3, padding: .same), design: design, &g)
        #expect(c.filters.inputs == 72)
        var other = c.shape
        (other.images, other.height, other.strides, other.padding) = (3, 6, 2, .all(2))
        other.paddingValue = .minusOne
        let x = try SignMatrix.random(3 * 6 * 4, 8, &g)
        let expected = try SignReference.convolution(other, x: x.values(), w: c.w.values())
        #expect(try c.filters.convolve(x, shape: other) == expected.map { Int32($0) })
        for change: (inout ConvShape) -> Void in [
            { $0.channels = 12 }, { $0.outputs = 4 }, { $0.kernel = 5 }, { $0.groups = 2 },
        ] {
            var wrong = c.shape
            change(&wrong)
            #expect(throws: HalftoneError.blobShape) { try c.filters.scratchByteCount(shape: wrong) }
            let x = try SignMatrix(rows: 16, columns: wrong.channels)
            #expect(throws: HalftoneError.blobShape) { try c.filters.convolve(x, shape: wrong) }
        }
    }

    @Test(arguments: [1, 2, 3]) func filesKeepFilters(_ groups: Int) throws {
        var g = Generator(seed: 7)
        let folder = TemporaryFolder()
        let shape = ConvShape(
            height: 5, width: 4, channels: groups * 6, outputs: groups * 5, kernel: 3, padding: .same, groups: groups)
        let c = try Case(shape, &g)
        let path = folder.file("filters")
        try c.filters.write(to: path)
        let good = c.filters.packedArray
        func copy(_ bytes: [UInt8]) throws -> BinaryFilters {
            try BinaryFilters(copying: bytes.span.bytes, shape: shape)
        }
        for other in [try BinaryFilters(mapping: path, shape: shape), try copy(good + [1, 2])] {
            try other.verify()
            #expect(other.shape == shape && other.packedArray == good && other.design == c.filters.design)
            #expect(try other.unpacked() == c.w)
            #expect(try other.convolve(c.x) == c.sums.map { Int32($0) })
        }
        for count in [0, 63, good.count / groups - 1, good.count - 1] {
            #expect(throws: HalftoneError.blobTruncated) { try copy(Array(good[..<count])) }
        }
        var other = shape
        other.kernel = 1
        #expect(throws: HalftoneError.blobShape) { try BinaryFilters(mapping: path, shape: other) }
    }

    @Test func refusesWhatDoesNotFit() throws {
        let shape = ConvShape(images: 2, height: 4, width: 3, channels: 8, outputs: 18, kernel: 3, padding: .same)
        #expect(throws: HalftoneError.shape("filters are 18 x 71, not 18 x 72")) {
            try BinaryFilters(packing: SignMatrix(rows: 18, columns: 71), shape: shape)
        }
        let filters = try BinaryFilters(packing: SignMatrix(rows: 18, columns: 72), shape: shape)
        var signs = try SignMatrix(rows: 24, columns: 18).negated()
        let before = signs
        #expect(throws: HalftoneError.shape("X is 23 x 8, not 24 x 8")) {
            try filters.convolve(SignMatrix(rows: 23, columns: 8), into: &signs, threshold: .zero)
        }
        #expect(throws: HalftoneError.shape("Y is 24 x 18, not 48 x 18")) {
            var other = shape
            other.images = 4
            try filters.convolve(SignMatrix(rows: 48, columns: 8), shape: other, into: &signs, threshold: .zero)
        }
        var padded = shape
        padded.paddingValue = .plusOne
        #expect(throws: HalftoneError.convolution) {
            try filters.convolve([Float](repeating: 1, count: shape.xCount), shape: padded)
        }
        // N:M filters are padded with zeros only.
        let w = [Float](repeating: 0, count: shape.weightCount)
        #expect(throws: HalftoneError.convolution) {
            try NMFilters(packing: w, shape: padded, pattern: NMPattern(2, of: 4))
        }
        #expect(signs == before)
    }
}
