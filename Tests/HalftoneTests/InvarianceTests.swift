import CHalftone
import Testing

/// What must not change a bit: threads, windows, the number of rows of X, scratch, strides.
@Suite struct InvarianceTests {
    private static let shapes = [(1, 47), (3, 130), (17, 33), (65, 64), (66, 5), (131, 50)]

    private func products(_ pattern: Pattern, _ g: inout Generator) -> [Product] {
        Self.shapes.map { t, o in
            let shape = Product.Shape(
                t: t, o: o, k: g.pick([9, 64, 133, 260]), pattern: pattern, data: g.pick([.plain, .special]),
                xGap: g.pick([0, 3]), yGap: g.pick([0, 5]), bias: g.coin(), relu: g.coin())
            return Product(shape, &g)
        }
    }

    @Test(arguments: Pattern.all) func threadsChangeNothing(_ pattern: Pattern) {
        var g = Generator(seed: 1)
        for product in products(pattern, &g) {
            for isa in Kernels.product {
                for threads: CInt in [0, 1, 2, 5] {
                    let failure = product.failure(Run(isa: isa, threads: threads))
                    #expect(failure == nil)
                }
            }
        }
    }

    /// One window writes its part and nothing else.
    @Test(arguments: Pattern.all) func windowsTouchNothingElse(_ pattern: Pattern) {
        var g = Generator(seed: 2)
        for product in products(pattern, &g) {
            for isa in Kernels.product {
                let (from, to) = (g.below(product.t), 1 + g.below(product.t))
                let strips = (product.o + 15) / 16
                let (first, last) = (g.below(strips), 1 + g.below(strips))
                let rows = min(from, to - 1)..<max(from + 1, to)
                let columns = min(first, last - 1) * 16..<min(product.o, max(first + 1, last) * 16)
                for run in [
                    Run(isa: isa, threads: 1, rows: rows), Run(isa: isa, threads: 2, columns: columns),
                    Run(isa: isa, threads: g.pick([1, 2, 5]), rows: rows, columns: columns),
                ] {
                    let failure = product.failure(run)
                    #expect(failure == nil)
                }
            }
        }
    }

    /// Windows side by side give the whole.
    @Test(arguments: Pattern.all) func windowsAddUpToTheWhole(_ pattern: Pattern) {
        var g = Generator(seed: 3)
        for product in products(pattern, &g) {
            for isa in Kernels.product {
                product.y.memory.copy(product.blank)
                let (row, column) = (g.below(product.t + 1), 16 * g.below((product.o + 15) / 16))
                for rows in [0..<row, row..<product.t] where !rows.isEmpty {
                    for columns in [0..<column, column..<product.o] where !columns.isEmpty {
                        let status = product.runAgain(Run(isa: isa, rows: rows, columns: columns))
                        #expect(status == HT_OK)
                    }
                }
                #expect(product.mismatch() == nil)
            }
        }
    }

    /// Windows that begin where they end do nothing.
    @Test func emptyWindowsTouchNothing() {
        var g = Generator(seed: 4)
        let product = Product(Product.Shape(t: 5, o: 33, k: 20, pattern: Pattern(n: 2, m: 4)), &g)
        for run in [Run(rows: 2..<2), Run(rows: 5..<5), Run(columns: 16..<16)] {
            let status = product.run(run)
            #expect(status == HT_OK)
            #expect(product.y.memory.hasSameBytes(as: product.blank))
        }
    }

    /// Each row of Y is what it is when it is computed alone.
    @Test(arguments: Pattern.all) func otherRowsChangeNothing(_ pattern: Pattern) {
        var g = Generator(seed: 5)
        let product = Product(Product.Shape(t: 140, o: 20, k: 70, pattern: pattern, bias: true), &g)
        for isa in Kernels.product {
            let whole = product.failure(Run(isa: isa))
            #expect(whole == nil)
            for rows in 1..<50 {
                let from = g.below(140 - rows)
                let failure = product.failure(Run(isa: isa, rows: from..<from + rows))
                #expect(failure == nil)
            }
        }
    }

    /// Scratch of exactly the asked size, with an unreadable page behind it and whatever was in it before.
    @Test(arguments: Pattern.all) func scratchOfTheAskedSizeIsEnough(_ pattern: Pattern) {
        var g = Generator(seed: 6)
        for product in products(pattern, &g) {
            for isa in Kernels.product {
                for threads: CInt in [0, 1, 2, 5] {
                    let run = Run(isa: isa, threads: threads)
                    let scratch = product.scratch(run)
                    let failure = product.failure(run, scratch: scratch)
                    #expect(failure == nil)
                    let again = product.failure(run, scratch: scratch)
                    #expect(again == nil)
                    #expect(scratch.slackIsIntact)
                }
            }
        }
    }

    /// The forced rows and the automatic one agree, so a packed file gives the same everywhere.
    @Test func automaticIsOneOfThem() {
        var g = Generator(seed: 7)
        let product = Product(Product.Shape(t: 40, o: 40, k: 100, pattern: Pattern(n: 1, m: 4), data: .tiny), &g)
        let failure = product.failure(Run())
        #expect(failure == nil)
    }
}
