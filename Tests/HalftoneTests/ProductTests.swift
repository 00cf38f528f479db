import CHalftone
import Testing

/// The product against the reference, bit by bit, on every kernel that runs here.
@Suite struct ProductTests {
    /// Every number of columns with some number of rows, and every number of rows with some number of columns.
    @Test(arguments: Pattern.all) func equalsTheChainOfFusedMultiplyAdds(_ pattern: Pattern) {
        var g = Generator(seed: UInt64(pattern.n * 100 + pattern.m))
        for k in Sizes.columns { check(Self.shape(g.pick(Sizes.rows), k, pattern, &g), &g) }
        for t in Sizes.rows { check(Self.shape(t, g.pick(Sizes.columns), pattern, &g), &g) }
    }

    @Test func equalsItForRandomPatterns() {
        var g = Generator(seed: 1)
        for _ in 0..<400 {
            let pattern = Pattern.random(&g)
            check(Self.shape(g.pick(Sizes.rows), g.pick(Sizes.columns), pattern, &g), &g)
        }
    }

    /// More outputs than the kernels' loops take at once, for few rows of X and for many.
    @Test(arguments: Pattern.withKernels + [Pattern(n: 3, m: 7)]) func equalsItForManyOutputs(_ pattern: Pattern) {
        var g = Generator(seed: 2)
        let shapes = [
            (1, 8003, 5), (2, 4001, 5), (4, 2003, 5), (8, 1013, 9), (3, 1005, 140), (25, 533, 17), (130, 497, 7),
        ]
        for (t, o, k) in shapes {
            check(Product.Shape(t: t, o: o, k: k, pattern: pattern, bias: true), &g)
        }
    }

    /// The bound that the header promises, against sums in Double.
    @Test(arguments: Pattern.all) func staysWithinTheErrorBound(_ pattern: Pattern) {
        var g = Generator(seed: 3)
        for (t, o, k) in [(1, 17, 513), (9, 5, 700), (33, 16, 257)] {
            let product = Product(
                Product.Shape(t: t, o: o, k: k, pattern: pattern, bias: true, relu: g.coin()), &g)
            for isa in Kernels.product {
                #expect(product.run(Run(isa: isa)) == HT_OK)
                #expect(worstShareOfBound(product) <= 1)
            }
        }
    }

    private func worstShareOfBound(_ p: Product) -> Double {
        var worst = 0.0
        for row in 0..<p.t {
            for column in 0..<p.o {
                let (sum, bound) = p.xValues.withUnsafeBufferPointer { x in
                    Reference.exact(
                        p.weights.entries[column], x.baseAddress! + row * p.k,
                        bias: p.epilogue.bias?.start[column] ?? 0)
                }
                let exact = p.shape.relu ? max(0, sum) : sum
                worst = max(worst, abs(Double(Float(bitPattern: p.y.bits(row, column))) - exact) / bound)
            }
        }
        return worst
    }

    private func check(_ shape: Product.Shape, _ g: inout Generator) {
        let product = Product(shape, &g)
        for isa in Kernels.product {
            let failure = product.failure(Run(isa: isa))
            #expect(failure == nil)
        }
    }

    private static func shape(_ t: Int, _ k: Int, _ pattern: Pattern, _ g: inout Generator) -> Product.Shape {
        Product.Shape(
            t: t, o: g.pick(Sizes.outputs), k: k, pattern: pattern, data: g.pick(Data.allCases),
            xGap: g.pick([0, 0, 1, 3, 16]), yGap: g.pick([0, 0, 1, 5, 16]), bias: g.coin(), relu: g.coin(3),
            masked: g.coin())
    }
}
