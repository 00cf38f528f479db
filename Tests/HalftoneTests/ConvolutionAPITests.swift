import Halftone
import Testing

/// Convolutions through the Swift API.
@Suite struct ConvolutionAPITests {
    private static let patterns = [(2, 4), (1, 4), (1, 3), (3, 5), (2, 8), (4, 4), (5, 16)]

    /// A convolution whose sums are exact in every type.
    private struct Case {
        let shape: ConvShape
        let pattern: NMPattern
        let w: [Float]
        let x: [Float]
        let y: [Float]

        init(_ shape: ConvShape, _ pattern: NMPattern, _ g: inout Generator) throws {
            (self.shape, self.pattern) = (shape, pattern)
            w = try pattern.pruned(eighths(shape.weightCount, &g), shape: shape)
            x = eighths(shape.xCount, &g)
            y = try ConvReference.forward(shape, shape.outputSize, x: x, w: w).map { Float($0) }
        }

        static func random(_ g: inout Generator) throws -> Case {
            let (n, m) = g.pick(patterns)
            return try Case(
                .random(&g), NMPattern(n, of: m, sharedRows: g.pick([1, 1, 2, 4]), sharedTaps: g.coin(3)), &g)
        }

        func filters<Weight: NMWeight>(_ convert: (Float) -> Weight) throws -> NMFilters {
            try NMFilters(packing: w.map(convert), shape: shape, pattern: pattern)
        }
    }

    @Test func equalsTheSevenLoops() throws {
        var g = Generator(seed: 1)
        for _ in 0..<150 {
            let c = try Case.random(&g)
            let filters = try c.filters { $0 }
            #expect(try filters.convolve(c.x) == c.y, "\(c.shape) \(c.pattern)")
            #expect(try filters.unpacked() == c.w)
            try filters.verify()
        }
    }

    @Test func typesOfEveryKindGiveTheSame() throws {
        var g = Generator(seed: 2)
        for _ in 0..<40 {
            let c = try Case.random(&g)
            #expect(try c.filters { Float16($0) }.convolve(c.x) == c.y)
            let narrow = try c.filters { BFloat16($0) }
            #expect(try narrow.convolve(c.x) == c.y)
            #expect(try narrow.convolve(c.x.map { BFloat16($0) }) == c.y)
            let bits = try narrow.convolve(c.x.map { BFloat16($0) }, as: BFloat16.self).map(\.bitPattern)
            #expect(bits == c.y.map { BFloat16($0).bitPattern })

            let bytes = try c.filters { Int8($0 * 8) }
            #expect(bytes.weightType == .i8)
            let sums = c.y.map { Int32($0 * 64) }
            #expect(try bytes.convolve(c.x.map { Int8($0 * 8) }, as: Int32.self) == sums, "\(c.shape)")
            // A pixel outside the image is a real zero.
            let zero = Epilogue(quantization: Quantization(xZero: 100))
            #expect(try bytes.convolve(c.x.map { UInt8($0 * 8 + 100) }, as: Int32.self, epilogue: zero) == sums)
        }
    }

    @Test func epiloguesAndResiduals() throws {
        var g = Generator(seed: 3)
        for _ in 0..<40 {
            let c = try Case.random(&g)
            let bias = eighths(c.shape.outputs, &g)
            let residual = eighths(c.y.count, &g)
            let expected = c.y.indices.map { max(0, c.y[$0] + bias[$0 % c.shape.outputs] + residual[$0]) }
            let filters = try c.filters { $0 }
            var epilogue = Epilogue(bias: bias, activation: .relu)
            #expect(try filters.convolve(c.x, epilogue: epilogue, residual: residual) == expected)
            epilogue.addsToOutput = true
            var y = residual
            try filters.convolve(c.x, into: &y, epilogue: epilogue)
            #expect(y == expected)
        }
    }

    /// Threads, instruction sets, windows, orders, strides and scratch: none of it changes a bit.
    @Test func nothingElseChangesABit() throws {
        var g = Generator(seed: 4)
        let isas = Set(Machine.kernels.filter(\.runs).map(\.isa)).compactMap { ISA($0) }
        for _ in 0..<30 {
            let (n, m) = g.pick(Self.patterns)
            let shape = ConvShape.random(&g)
            let w = (0..<shape.weightCount).map { _ in Data.plain.value(&g) }
            let x = (0..<shape.xCount).map { _ in Data.plain.value(&g) }
            let pattern = try NMPattern(n, of: m)
            let filters = try NMFilters(
                packing: w, shape: shape, pattern: pattern, mask: pattern.mask(of: w, shape: shape))
            let y = try filters.convolve(x, options: ProductOptions(threads: 1, isa: .reference))
            let scratch = Scratch()
            for isa in isas + [.automatic] {
                for (xOrder, yOrder) in [(MatrixOrder.rows, MatrixOrder.rows), (.features, .rows), (.rows, .features)] {
                    let options = ProductOptions(
                        threads: g.pick([0, 1, 2, 5]), isa: isa, xOrder: xOrder, yOrder: yOrder)
                    let turned = xOrder == .rows ? x : transposed(x, columns: shape.channels)
                    let result = try filters.convolve(turned, options: options, scratch: scratch)
                    #expect(result == (yOrder == .rows ? y : transposed(y, columns: shape.outputs)), "\(shape) \(isa)")
                    #expect(try scratch.byteCount >= filters.scratchByteCount(options: options))
                }
                try checkWindow(filters, x, y, isa, &g)
                try checkStrides(filters, x, y, isa, &g)
            }
        }
    }

    private func checkWindow(
        _ filters: NMFilters, _ x: [Float], _ y: [Float], _ isa: ISA, _ g: inout Generator
    ) throws {
        let pixels = try filters.shape.yPixels
        let outputs = filters.shape.outputs
        guard pixels > 0 else { return }
        let from = g.below(pixels)
        let rows = from..<from + g.below(pixels - from + 1)
        let columns = filters.shape.groups == 1 && outputs > 16 && g.coin() ? 16..<outputs : nil
        var result = [Float](repeating: -7, count: y.count)
        let options = ProductOptions(threads: g.pick([1, 2]), isa: isa, rowWindow: rows, columnWindow: columns)
        try filters.convolve(x, into: &result, options: options)
        for at in y.indices {
            let inside = rows ~= at / outputs && (columns ?? 0..<outputs) ~= at % outputs
            #expect(result[at] == (inside ? y[at] : -7))
        }
    }

    /// X and Y as some channels of wider images.
    private func checkStrides(
        _ filters: NMFilters, _ x: [Float], _ y: [Float], _ isa: ISA, _ g: inout Generator
    ) throws {
        let (channels, outputs) = (filters.shape.channels, filters.shape.outputs)
        let (xStride, yStride) = (channels + g.pick([1, 3, 16]), outputs + g.pick([1, 5]))
        var wide = [Float](repeating: .nan, count: x.count / channels * xStride)
        for at in x.indices { wide[at / channels * xStride + at % channels] = x[at] }
        var result = [Float](repeating: -7, count: y.count / outputs * yStride)
        var span = result.mutableSpan
        try filters.convolve(
            wide.span, xStride: xStride, into: &span, yStride: yStride, options: ProductOptions(isa: isa))
        for at in result.indices {
            let (pixel, channel) = (at / yStride, at % yStride)
            #expect(result[at] == (channel < outputs ? y[pixel * outputs + channel] : -7))
        }
    }

    /// Filters of one tap are the matrix that a product takes.
    @Test func oneTapIsAProduct() throws {
        var g = Generator(seed: 5)
        let shape = ConvShape(images: 2, height: 5, width: 3, channels: 22, outputs: 35, kernel: 1)
        let c = try Case(shape, NMPattern(2, of: 4, sharedRows: 2), &g)
        let filters = try c.filters { $0 }
        let matrix = try NMMatrix(packing: c.w, rows: 35, columns: 22, pattern: c.pattern)
        #expect(bytes(filters) == bytes(matrix))
        let x = (0..<shape.xCount).map { _ in Data.plain.value(&g) }
        #expect(try filters.convolve(x) == matrix.multiply(x, rows: 30))
        let packed = bytes(filters)
        #expect(try NMMatrix(copying: packed.span.bytes).multiply(c.x, rows: 30) == c.y)
    }

    /// Two layers that hand channel planes on, without a transposition between them.
    @Test func layersChainChannelMajor() throws {
        var g = Generator(seed: 6)
        let first = ConvShape(
            images: 2, height: 9, width: 7, channels: 6, outputs: 20, kernel: 3, strides: 2, padding: .same)
        let second = ConvShape(
            images: 2, height: 5, width: 4, channels: 20, outputs: 5, kernel: .init(height: 3, width: 1), padding: .same
        )
        let (a, b) = (try Case(first, NMPattern(2, of: 4), &g), try Case(second, NMPattern(1, of: 4), &g))
        #expect(try first.outputSize == .init(height: 5, width: 4))
        let (one, two) = (try a.filters { $0 }, try b.filters { $0 })
        let relu = Epilogue(activation: .relu)
        let planes = ProductOptions(xOrder: .features, yOrder: .features)
        let hidden = try one.convolve(transposed(a.x, columns: 6), epilogue: relu, options: planes)
        let result = try two.convolve(hidden, options: planes)
        let expected = try ConvReference.forward(second, second.outputSize, x: a.y.map { max(0, $0) }, w: b.w)
        #expect(result == transposed(expected.map { Float($0) }, columns: 5))
    }

    /// The same filters over images of another size and number.
    @Test func callsCanNameAnotherShape() throws {
        var g = Generator(seed: 7)
        let c = try Case(
            ConvShape(height: 4, width: 4, channels: 8, outputs: 8, kernel: 3, padding: .same),
            NMPattern(2, of: 4), &g)
        let filters = try c.filters { $0 }
        var other = c.shape
        (other.images, other.height, other.strides, other.padding) = (3, 6, 2, .none)
        let x = eighths(other.xCount, &g)
        let expected = try ConvReference.forward(other, other.outputSize, x: x, w: c.w).map { Float($0) }
        #expect(try filters.convolve(x, shape: other) == expected)
        #expect(filters.shape == c.shape)
        for change: (inout ConvShape) -> Void in [
            { $0.channels = 12 }, { $0.outputs = 4 }, { $0.kernel = 5 }, { $0.groups = 2 },
        ] {
            var wrong = c.shape
            change(&wrong)
            #expect(throws: HalftoneError.blobShape) { try filters.scratchByteCount(shape: wrong) }
            let x = [Float](repeating: 0, count: wrong.xCount)
            #expect(throws: HalftoneError.blobShape) { try filters.convolve(x, shape: wrong) }
        }
    }

    @Test func sharedTapsKeepTheSameChannels() throws {
        var g = Generator(seed: 8)
        let shape = ConvShape(height: 3, width: 3, channels: 11, outputs: 7, kernel: 3, padding: .same)
        let w = (0..<shape.weightCount).map { _ in Data.plain.value(&g) }
        for rows in [1, 2, 4] {
            let pattern = try NMPattern(2, of: 4, sharedRows: rows, sharedTaps: true)
            let mask = try pattern.mask(of: w, shape: shape)
            for o in 0..<7 {
                let set = o / rows * rows..<min(7, o / rows * rows + rows)
                let lines = set.flatMap { o in
                    (0..<9).map { tap in Array(w[(o * 9 + tap) * 11..<(o * 9 + tap + 1) * 11]) }
                }
                let kept = Set(Reference.kept(lines, n: 2, m: 4))
                for at in 0..<99 { #expect(mask[o, at] == kept.contains(at % 11)) }
            }
            let pruned = try pattern.pruned(w, shape: shape)
            #expect(pruned.indices.allSatisfy { (pruned[$0] != 0) == mask[$0 / 99, $0 % 99] })
            let filters = try NMFilters(packing: pruned, shape: shape, pattern: pattern)
            #expect(filters.pattern == pattern)
            #expect(try filters.unpacked() == pruned)
            // They lie in another order than each tap's own, in which only exact sums are the same.
            let exact = pruned.map { ($0 * 16).rounded() }
            let x = eighths(shape.xCount, &g)
            let expected = try ConvReference.forward(shape, shape.outputSize, x: x, w: exact).map { Float($0) }
            let masked = try NMFilters(packing: exact, shape: shape, pattern: pattern, mask: mask)
            #expect(try masked.convolve(x) == expected)
        }
    }

    /// Groups of M begin anew at each tap, and spans may have gaps between filters.
    @Test func masksAreThoseOfEachTap() throws {
        var g = Generator(seed: 9)
        let shape = ConvShape(
            height: 1, width: 1, channels: 14, outputs: 6, kernel: .init(height: 2, width: 3), groups: 2)
        let (taps, inputs, stride) = (6, 7, 45)
        let wide = (0..<6 * stride).map { _ in Data.plain.value(&g) }
        let pattern = try NMPattern(2, of: 4)
        let mask = try pattern.mask(of: wide.span, shape: shape, rowStride: stride)
        #expect(mask.rows == 6 && mask.columns == 42)
        for o in 0..<6 {
            for tap in 0..<taps {
                let from = o * stride + tap * inputs
                let kept = Reference.kept([Array(wide[from..<from + inputs])], n: 2, m: 4)
                for k in 0..<inputs { #expect(mask[o, tap * inputs + k] == kept.contains(k)) }
            }
        }
        let pruned = try pattern.pruned(wide.span, shape: shape, rowStride: stride)
        #expect(
            pruned.indices.allSatisfy { at in
                pruned[at] == (mask[at / 42, at % 42] ? wide[at / 42 * stride + at % 42] : 0)
            })
        var inPlace = wide
        var span = inPlace.mutableSpan
        try pattern.prune(&span, shape: shape, rowStride: stride)
        for at in wide.indices {
            let (o, place) = (at / stride, at % stride)
            #expect(inPlace[at] == (place < 42 ? pruned[o * 42 + place] : wide[at]))
        }
        let filters = try NMFilters(
            packing: wide.span, shape: shape, rowStride: stride, pattern: pattern, mask: mask)
        #expect(try filters.unpacked() == pruned)
        #expect(filters.pattern == pattern && filters.weightType == .f32 && filters.shape == shape)
    }

    @Test func sizesOfZero() throws {
        let pattern = try NMPattern(2, of: 4)
        let shape = ConvShape(height: 4, width: 4, channels: 8, outputs: 3, kernel: 3)
        func convolve(_ change: (inout ConvShape) -> Void) throws -> [Float] {
            var other = shape
            change(&other)
            let w = [Float](repeating: 0, count: other.weightCount)
            let filters = try NMFilters(packing: w, shape: other, pattern: pattern)
            let x = [Float](repeating: 1, count: other.xCount)
            return try filters.convolve(x, epilogue: Epilogue(bias: [1, 2, 3]))
        }
        #expect(try convolve { $0.height = 0 }.isEmpty)
        #expect(try convolve { $0.height = 2 }.isEmpty, "the kernel is higher than the image")
        #expect(try convolve { $0.outputs = 0 }.isEmpty)
        #expect(try convolve { $0.channels = 0 } == [1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3])
        #expect(try convolve { ($0.height, $0.padding) = (0, .all(1)) }.isEmpty)
        let onlyPadding = try convolve { ($0.height, $0.width, $0.padding) = (0, 0, .all(2)) }
        #expect(onlyPadding == [1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3])
    }
}

// MARK: errors

extension ConvolutionAPITests {
    private static let shape = ConvShape(
        images: 2, height: 4, width: 3, channels: 8, outputs: 18, kernel: 3, padding: .same)

    private func filters(_ shape: ConvShape = shape) throws -> NMFilters {
        try NMFilters(
            packing: [Float](repeating: 0, count: shape.weightCount), shape: shape, pattern: NMPattern(2, of: 4))
    }

    @Test func refusesDepthwiseConvolutions() throws {
        let depthwise = ConvShape(height: 4, width: 4, channels: 6, outputs: 12, kernel: 3, groups: 6)
        let w = [Float](repeating: 1, count: depthwise.weightCount)
        let pattern = try NMPattern(1, of: 4)
        #expect(throws: HalftoneError.depthwise) { try pattern.mask(of: w, shape: depthwise) }
        #expect(throws: HalftoneError.depthwise) { try pattern.pruned(w, shape: depthwise) }
        #expect(throws: HalftoneError.depthwise) { try NMFilters(packing: w, shape: depthwise, pattern: pattern) }
        #expect(throws: HalftoneError.depthwise) {
            try NMBackwardFilters(packing: w, shape: depthwise, pattern: pattern)
        }
    }

    @Test func refusesFiltersThatDoNotFit() throws {
        let pattern = try NMPattern(2, of: 4)
        var w = [Float](repeating: 0, count: 18 * 72 - 1)
        let short = HalftoneError.shape("weights hold 1295 values, 18 x 72 need 1296")
        #expect(throws: short) { try pattern.mask(of: w, shape: Self.shape) }
        #expect(throws: short) { try pattern.prune(&w, shape: Self.shape) }
        #expect(throws: short) { try pattern.pruned(w, shape: Self.shape) }
        #expect(throws: short) { try NMFilters(packing: w, shape: Self.shape, pattern: pattern) }
        w.append(0)
        let mask = try NMMask(rows: 18, columns: 8, bytes: [UInt8](repeating: 0, count: 18))
        #expect(throws: HalftoneError.shape("the mask is 18 x 8, the weights are 18 x 72")) {
            try NMFilters(packing: w, shape: Self.shape, pattern: pattern, mask: mask)
        }
        #expect(throws: HalftoneError.stride) { try pattern.mask(of: w.span, shape: Self.shape, rowStride: 71) }
        #expect(throws: HalftoneError.threads) { try pattern.mask(of: w, shape: Self.shape, threads: -1) }
        #expect(throws: HalftoneError.notSparse) {
            try NMFilters(packing: w.map { $0 + 1 }, shape: Self.shape, pattern: pattern)
        }
    }

    @Test func refusesOperandsThatDoNotFit() throws {
        let filters = try filters()
        let x = [Float](repeating: 1, count: 24 * 8)
        var y = [Float](repeating: -7, count: 24 * 18)
        #expect(throws: HalftoneError.shape("X holds 191 values, 24 x 8 need 192")) {
            try filters.convolve(Array(x.dropLast()))
        }
        #expect(throws: HalftoneError.shape("Y holds 431 values, 24 x 18 need 432")) {
            var short = Array(y.dropLast())
            try filters.convolve(x, into: &short)
        }
        #expect(throws: HalftoneError.shape("the bias holds 17 values, 18 columns need 18")) {
            try filters.convolve(x, epilogue: Epilogue(bias: [Float](repeating: 0, count: 17)))
        }
        #expect(throws: HalftoneError.shape("the residual holds 1 values, 24 x 18 need 432")) {
            try filters.convolve(x, residual: [0])
        }
        #expect(throws: HalftoneError.stride) {
            var span = y.mutableSpan
            try filters.convolve(x.span, xStride: 7, into: &span)
        }
        #expect(throws: HalftoneError.stride) {
            var span = y.mutableSpan
            try filters.convolve(x.span, into: &span, yStride: 17)
        }
        for window in [-1..<3, 0..<25, 25..<25] {
            #expect(throws: HalftoneError.window) {
                try filters.convolve(x, into: &y, options: ProductOptions(rowWindow: window))
            }
        }
        for window in [0..<19, 1..<16, 0..<8] {
            #expect(throws: HalftoneError.window) {
                try filters.convolve(x, into: &y, options: ProductOptions(columnWindow: window))
            }
        }
        #expect(throws: HalftoneError.threads) {
            try filters.convolve(x, into: &y, options: ProductOptions(threads: -1))
        }
        #expect(throws: HalftoneError.blobType) { try filters.convolve(x.map { Int8($0) }, as: Int32.self) }
        #expect(throws: HalftoneError.blobType) { try filters.scratchByteCount(input: UInt8.self) }
        #expect(throws: HalftoneError.epilogue) { try filters.convolve(x, as: BFloat16.self) }
        #expect(y.allSatisfy { $0 == -7 })
    }

    /// Channels of several groups have no common columns.
    @Test func refusesColumnWindowsOfGroups() throws {
        var shape = Self.shape
        (shape.outputs, shape.groups) = (32, 2)
        let filters = try filters(shape)
        let x = [Float](repeating: 1, count: shape.xCount)
        #expect(throws: HalftoneError.window) {
            try filters.convolve(x, options: ProductOptions(columnWindow: 0..<16))
        }
        #expect(throws: Never.self) { try filters.convolve(x, options: ProductOptions(columnWindow: 0..<32)) }
    }
}

// MARK: files

extension ConvolutionAPITests {
    private func bytes(_ weights: some PackedWeights) -> [UInt8] {
        weights.withPackedBytes { span in span.withUnsafeBytes { Array($0) } }
    }

    @Test(arguments: [1, 2, 3]) func filesKeepFilters(_ groups: Int) throws {
        var g = Generator(seed: 10)
        let folder = TemporaryFolder()
        let shape = ConvShape(
            height: 5, width: 4, channels: groups * 6, outputs: groups * 5, kernel: 3, padding: .same, groups: groups)
        let c = try Case(shape, NMPattern(2, of: 4, sharedRows: 2, sharedTaps: groups == 2), &g)
        let filters = try c.filters { $0 }
        let path = folder.file("filters")
        try filters.write(to: path)
        let mapped = try NMFilters(mapping: path, shape: shape)
        let good = bytes(filters)
        func copy(_ bytes: [UInt8]) throws -> NMFilters { try NMFilters(copying: bytes.span.bytes, shape: shape) }
        let copied = try copy(good + [1, 2, 3])
        for other in [mapped, copied] {
            try other.verify()
            #expect(other.shape == shape && other.pattern == c.pattern && other.weightType == .f32)
            #expect(other.packedByteCount == filters.packedByteCount && bytes(other) == good)
            #expect(try other.convolve(c.x) == c.y)
            #expect(try other.unpacked() == c.w)
        }
        for count in [0, 63, good.count / groups - 1, good.count - 1] {
            #expect(throws: HalftoneError.blobTruncated) { try copy(Array(good[..<count])) }
        }
        var other = shape
        other.kernel = 1
        #expect(throws: HalftoneError.blobShape) { try NMFilters(mapping: path, shape: other) }
        #expect(throws: HalftoneError.convolution) {
            other.kernel = 0
            _ = try NMFilters(mapping: path, shape: other)
        }
        // The last group's indices.
        var damaged = good
        for at in damaged.count - 160..<damaged.count - 128 { damaged[at] ^= 0xff }
        let forged = try copy(damaged)
        #expect(throws: HalftoneError.blobCorrupt) { try forged.verify() }
    }

    /// Filters of several taps are not a matrix, and what is packed backward is no forward filter.
    @Test func otherWeightsAreRefused() throws {
        let filters = try filters()
        let backward = try NMBackwardFilters(
            packing: [Float](repeating: 0, count: Self.shape.weightCount), shape: Self.shape,
            pattern: NMPattern(2, of: 4))
        let (forwardBytes, backwardBytes) = (bytes(filters), bytes(backward))
        #expect(throws: HalftoneError.blobShape) { try NMMatrix(copying: forwardBytes.span.bytes) }
        #expect(throws: HalftoneError.blobForeign) { try NMMatrix(copying: backwardBytes.span.bytes) }
        #expect(throws: HalftoneError.blobForeign) { try NMBackwardMatrix(copying: forwardBytes.span.bytes) }
        #expect(throws: HalftoneError.blobShape) { try NMBackwardMatrix(copying: backwardBytes.span.bytes) }
        #expect(throws: HalftoneError.blobForeign) {
            try NMFilters(copying: backwardBytes.span.bytes, shape: Self.shape)
        }
        #expect(throws: HalftoneError.blobForeign) {
            try NMBackwardFilters(copying: forwardBytes.span.bytes, shape: Self.shape)
        }
    }
}
