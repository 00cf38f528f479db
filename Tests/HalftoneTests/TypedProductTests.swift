import CHalftone
import Testing

/// Products of every type with every epilogue, order and kind of pattern, bit by bit, on every kernel that runs here.
@Suite struct TypedProductTests {
    @Test(arguments: Types.all, Pattern.all) func equalsTheFormula(_ types: Types, _ pattern: Pattern) {
        var g = Generator(seed: UInt64(pattern.n * 100 + pattern.m))
        for round in 0..<6 {
            var shape = Self.shape(types, pattern, &g)
            if round < 3 { shape.t = 1 + round }
            check(Product(shape, &g), &g)
        }
    }

    /// Blocks of columns, panels of rows and the loops over outputs end in every way.
    @Test(arguments: Types.all) func equalsItForManySizes(_ types: Types) {
        var g = Generator(seed: 2)
        for k in Sizes.columns {
            var shape = Self.shape(types, g.pick(Pattern.all), &g)
            shape.k = k
            check(Product(shape, &g), &g)
        }
        for t in Sizes.rows {
            var shape = Self.shape(types, g.pick(Pattern.all), &g)
            (shape.t, shape.k) = (t, g.pick([9, 64, 130]))
            check(Product(shape, &g), &g)
        }
        for (t, o, k) in [(1, 2003, 5), (4, 1013, 9), (3, 505, 140), (25, 497, 7), (130, 250, 7)] {
            var shape = Self.shape(types, g.pick(Pattern.withKernels), &g)
            (shape.t, shape.o, shape.k) = (t, o, k)
            shape.epilogue = .random(types, outputs: o, shape.data, &g)
            shape.residual = .none
            check(Product(shape, &g), &g)
        }
    }

    /// Threads, windows, scratch of exactly the asked size: on every kernel, none of it changes a bit.
    @Test(arguments: Types.all) func nothingElseChangesABit(_ types: Types) {
        var g = Generator(seed: 3)
        for _ in 0..<16 {
            let product = Product(Self.shape(types, g.pick(Pattern.all), &g), &g)
            let (t, o) = (product.t, product.o)
            let strips = (o + 15) / 16
            let (first, last) = (g.below(strips), 1 + g.below(strips))
            let (from, to) = (g.below(t), 1 + g.below(t))
            let columns = min(first, last - 1) * 16..<min(o, max(first + 1, last) * 16)
            let rows = min(from, to - 1)..<max(from + 1, to)
            for isa in Kernels.product(of: types) {
                for run in [
                    Run(isa: isa, threads: g.pick([0, 2, 5])), Run(isa: isa, threads: g.pick([1, 2]), rows: rows),
                    Run(isa: isa, threads: g.pick([1, 2]), columns: columns),
                    Run(isa: isa, threads: g.pick([1, 2, 5]), rows: rows, columns: columns),
                ] {
                    let failure = product.failure(run)
                    #expect(failure == nil)
                    let scratch = product.scratch(run)
                    let withScratch = product.failure(run, scratch: scratch)
                    #expect(withScratch == nil)
                    #expect(scratch.slackIsIntact)
                }
            }
        }
    }

    /// Sizes of zero, as BLAS has them.
    @Test(arguments: Types.all) func emptySizes(_ types: Types) {
        var g = Generator(seed: 4)
        for (t, o, k) in [(19, 37, 0), (0, 20, 30), (7, 0, 30), (0, 0, 0)] {
            for _ in 0..<6 {
                var shape = Self.shape(types, g.pick(Pattern.all), &g)
                (shape.t, shape.o, shape.k) = (t, o, k)
                shape.epilogue = .random(types, outputs: o, shape.data, &g)
                shape.residual = .none
                check(Product(shape, &g), &g)
            }
        }
    }

    /// Sums are exact up to the limit that the header names, and wrap beyond it.
    @Test(arguments: [Number.u8, .i8]) func longSumsOfExtremesAreExact(_ x: Number) {
        for (k, weight, input) in [
            (65793, Float(-128), x.limits.upperBound), (65793, 127, x.limits.lowerBound),
            (140_000, -128, x.limits.upperBound), (140_000, -128, x.limits.lowerBound),
        ] {
            let w = Matrix(1, k, .i8)
            let xs = Matrix(2, k, x)
            for c in 0..<k {
                w.set(0, c, bits: Number.i8.bits(weight))
                for row in 0..<2 { xs.set(row, c, bits: x.bits(Float(input))) }
            }
            for pattern in [Pattern(n: 1, m: 1), Pattern(n: 4, m: 4), Pattern(n: 64, m: 64)] {
                var size = 0
                var options = ht_options()
                #expect(ht_nm_packed_size(1, k, pattern.n, pattern.m, HT_DTYPE_I8, nil, &size) == HT_OK)
                let packed = Guarded<UInt8>(count: size, repeating: 0)
                #expect(Calls.pack(w, pattern, mask: nil, 0, packed.start, size, &options) == HT_OK)
                let sum = Int32(truncatingIfNeeded: k * Int(weight) * input)
                for isa in Kernels.isas(of: "nm_gemm_i8") {
                    options.isa = isa
                    for t in 1...2 {
                        var y: [Int32] = [7, 7]
                        let status =
                            x == .u8
                            ? ht_nm_gemm_u8(
                                t, 1, k, xs.memory.typed(), 0, packed.start, size, nil, &y, 0, &options)
                            : ht_nm_gemm_i8(
                                t, 1, k, xs.memory.typed(), 0, packed.start, size, nil, &y, 0, &options)
                        #expect(status == HT_OK)
                        #expect(y == [sum, t == 2 ? sum : 7])
                    }
                }
            }
        }
    }

    /// A product of two subnormal-free numbers that is subnormal counts as zero, and so do subnormal operands.
    @Test func bfloat16FlushesSubnormals() {
        let (least, tiny): (Float, Float) = (.leastNormalMagnitude, .leastNormalMagnitude / 2)
        let cases: [(w: [Float], x: [Float], y: Float)] = [
            ([tiny], [1], 0), ([1], [tiny], 0), ([least], [1], least), ([least], [0.5], 0),
            // The second term lifts what would be a subnormal sum without the first one's loss.
            ([least, least], [0.5, 0.75], 0), ([least, least], [1, -0.5], 0), ([least, least], [1, 0.5], least * 1.5),
        ]
        for (w, x, y) in cases {
            let k = w.count
            let weights = w.map { UInt16(Number.bf16.bits($0)) }
            let inputs = x.map { UInt16(Number.bf16.bits($0)) }
            var size = 0
            #expect(ht_nm_packed_size(1, k, 1, 1, HT_DTYPE_BF16, nil, &size) == HT_OK)
            let packed = Guarded<UInt8>(count: size, repeating: 0)
            #expect(ht_nm_pack_bf16(1, k, 1, 1, weights, 0, nil, 0, packed.start, size, nil) == HT_OK)
            for isa in Kernels.isas(of: "nm_gemm_bf16") {
                var options = Run(isa: isa).options
                var result: Float = 7
                #expect(ht_nm_gemm_bf16(1, 1, k, inputs, 0, packed.start, size, nil, &result, 0, &options) == HT_OK)
                #expect(result == y, "\(w) \(x) \(isa)")
            }
        }
    }

    /// GELU of a product with the weight 1 against its definition in Double, over all magnitudes of both signs.
    @Test func geluIsNearItsDefinition() throws {
        var g = Generator(seed: 5)
        var x = (-4000...4000).map { Float($0) / 250 }
        for exponent in -149...127 {
            x += [1, -1].map { $0 * Float(sign: .plus, exponent: exponent, significand: 1.37) }
        }
        x += (0..<20_000).map { _ in Data.plain.value(&g) * 16 }
        let packed = Guarded<UInt8>(count: 1024, repeating: 0)
        #expect(ht_nm_pack_f32(1, 1, 1, 1, [1], 0, nil, 0, packed.start, packed.count, nil) == HT_OK)
        var epilogue = ht_epilogue()
        epilogue.activation = HT_ACTIVATION_GELU
        for isa in Kernels.product {
            var options = Run(isa: isa).options
            var y = [Float](repeating: 7, count: x.count)
            let status = ht_nm_gemm_f32(x.count, 1, 1, x, 0, packed.start, packed.count, &epilogue, &y, 0, &options)
            #expect(status == HT_OK)
            let worst = zip(x, y).max { Self.geluError($0.0, $0.1) < Self.geluError($1.0, $1.1) }
            let (v, found) = try #require(worst)
            #expect(Self.geluError(v, found) <= 3.5, "gelu(\(v)) = \(found) on \(isa)")
            var ends: [Float] = [7, 7, 7, 7, 7]
            let extremes: [Float] = [.infinity, .nan, 0, -.infinity, -100]
            #expect(
                ht_nm_gemm_f32(5, 1, 1, extremes, 0, packed.start, packed.count, &epilogue, &ends, 0, &options) == HT_OK
            )
            #expect(ends[0] == .infinity && ends[1].isNaN && ends[2...] == [0, 0, 0])
        }
    }

    /// In units in the last place of the exact value.
    private static func geluError(_ v: Float, _ found: Float) -> Double {
        let exact = Reference.gelu(Double(v))
        return abs(Double(found) - exact) / Double(Float(exact).ulp)
    }

    private func check(_ product: Product, _ g: inout Generator) {
        for isa in Kernels.product(of: product.types) {
            let failure = product.failure(Run(isa: isa, threads: g.pick([1, 1, 1, 3])))
            #expect(failure == nil)
        }
    }

    /// A product of these types with anything that they offer.
    static func shape(_ types: Types, _ pattern: Pattern, _ g: inout Generator) -> Product.Shape {
        let data = g.pick(Data.allCases)
        let outputs = g.pick(Sizes.outputs)
        var shape = Product.Shape(
            t: g.pick([1, 2, 3, 5, 8, 9, 13, 16, 17, 33, 40, 66]), o: outputs, k: g.pick(Sizes.columns),
            pattern: pattern,
            types: types, data: data, xGap: g.pick([0, 0, 1, 3, 16]), yGap: g.pick([0, 0, 1, 5, 16]), masked: g.coin(),
            sharedRows: g.pick([1, 1, 2, 4, 8]))
        let orders = [HT_ORDER_ROWS, HT_ORDER_ROWS, HT_ORDER_FEATURES]
        (shape.xOrder, shape.yOrder) = (g.pick(orders), g.pick(orders))
        let epilogue = TestEpilogue.random(types, outputs: outputs, data, &g)
        shape.epilogue = epilogue
        if types.y != .i32, epilogue.quantized?.dyadic == nil, g.coin(3) {
            shape.residual = types.y.isInteger || g.coin() ? .apart : .output
        }
        return shape
    }
}
