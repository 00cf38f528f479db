import CHalftone
import Testing

/// Masks and pruning by magnitude against the reference.
@Suite struct MaskTests {
    /// Dense weights with strides, and the two results of the library.
    private final class Case {
        let o, k: Int
        let pattern: Pattern
        let sharedRows: Int
        let w: Matrix
        let mask: Guarded<UInt8>
        let maskStride: Int
        let pruned: Matrix

        static let canary: UInt8 = 0xb7

        init(
            o: Int, k: Int, _ pattern: Pattern, _ data: Data, number: Number = .f32, sharedRows: Int = 1,
            _ g: inout Generator
        ) {
            (self.o, self.k, self.pattern, self.sharedRows) = (o, k, pattern, sharedRows)
            let rowBytes = (k + 7) / 8
            w = Matrix(o, k, number, gap: g.pick([0, 1, 7]), filler: 0xff)
            pruned = Matrix(o, k, number, gap: g.pick([0, 2, 16]))
            maskStride = rowBytes + g.pick([0, 1, 5])
            mask = Guarded(count: o == 0 || k == 0 ? 0 : (o - 1) * maskStride + rowBytes, repeating: Self.canary)
            for row in 0..<o { for c in 0..<k { w.set(row, c, bits: number.bits(number.random(data, &g))) } }
            w.memory.seal()
        }

        var options: ht_options {
            var options = ht_options()
            options.shared_rows = CInt(sharedRows)
            return options
        }

        func run(threads: CInt) -> [ht_status] {
            var options = options
            options.threads = threads
            return [
                Calls.mask(w, pattern, mask.start, maskStride, &options),
                Calls.prune(w, pattern, into: pruned, &options),
            ]
        }

        var expectedMask: [UInt8] {
            var bytes = [UInt8](repeating: Self.canary, count: mask.count)
            for row in 0..<(k == 0 ? 0 : o) {
                for byte in 0..<(k + 7) / 8 { bytes[row * maskStride + byte] = 0 }
                for c in kept(row) { bytes[row * maskStride + c / 8] |= 1 << UInt8(c % 8) }
            }
            return bytes
        }

        /// What `pruned` has to be.
        func expectedPruned() -> [UInt8] {
            let expected = Matrix(o, k, w.number, gap: pruned.stride / w.number.size - k)
            for row in 0..<(k == 0 ? 0 : o) {
                for c in 0..<k { expected.set(row, c, bits: 0) }
                for c in kept(row) { expected.set(row, c, bits: w.bits(row, c)) }
            }
            return expected.memory.values
        }

        private func kept(_ row: Int) -> [Int] {
            let first = row / sharedRows * sharedRows
            let rows = (first..<min(o, first + sharedRows)).map { row in
                (0..<k).map { w.number.value(w.bits(row, $0)) }
            }
            return Reference.kept(rows, n: pattern.n, m: pattern.m)
        }

        var name: Comment { "\(w.number) \(pattern.testDescription):\(sharedRows) o \(o) k \(k)" }
    }

    private func check(_ c: Case, threads: CInt) {
        #expect(c.run(threads: threads) == [HT_OK, HT_OK])
        let (mask, pruned) = (c.mask.values == c.expectedMask, c.pruned.memory.values == c.expectedPruned())
        #expect(mask, c.name)
        #expect(pruned, c.name)
        #expect(c.mask.slackIsIntact && c.pruned.memory.slackIsIntact)
    }

    @Test(arguments: Pattern.all) func keepsTheLargest(_ pattern: Pattern) {
        var g = Generator(seed: UInt64(pattern.n * 100 + pattern.m))
        for k in [0, 1, 2, 3, 5, 7, 8, 9, 16, 31, 64, 65, 130, 257] {
            for data in [Data.integers, .special] {
                check(Case(o: g.pick([1, 3, 17]), k: k, pattern, data, &g), threads: g.pick([1, 2, 5]))
            }
        }
    }

    @Test func keepsTheLargestForRandomPatterns() {
        var g = Generator(seed: 1)
        for _ in 0..<100 {
            let pattern = Pattern.random(&g)
            check(
                Case(o: g.below(40), k: g.below(150), pattern, g.pick(Data.allCases), &g), threads: g.pick([1, 2, 5]))
        }
    }

    /// Every type, every number of rows that share a pattern, sets that are cut short.
    @Test(arguments: [Number.f32, .f16, .bf16, .i8], [1, 2, 4, 8])
    func keepsTheLargestOfSharedRows(_ number: Number, _ sharedRows: Int) {
        var g = Generator(seed: UInt64(sharedRows))
        for data in Data.allCases {
            for _ in 0..<15 {
                let pattern = g.pick(Pattern.all)
                let c = Case(
                    o: g.below(40), k: g.below(150), pattern, data, number: number, sharedRows: sharedRows, &g)
                check(c, threads: g.pick([1, 2, 5]))
            }
        }
    }

    /// Written out by hand, so that the reference is tested too.
    @Test func followsItsRulesOnExamples() {
        let nan = Float.nan
        let infinity = Float.infinity
        let examples: [(n: Int, m: Int, w: [Float], mask: [UInt8])] = [
            (2, 4, [1, -3, 2, 0], [0b0110]),
            (2, 4, [5, -5, 5, -5], [0b0011]),  // of equals the lower columns
            (1, 4, [0, -0.0, 0, 0], [0b0001]),  // zeros are equals, whatever their sign
            (1, 2, [infinity, nan], [0b10]),  // a NaN is larger than infinity
            (2, 4, [1, nan, infinity, 9], [0b0110]),
            (1, 2, [.leastNonzeroMagnitude, 0, 0, -.leastNonzeroMagnitude], [0b1001]),
            (2, 4, [1, 2, 3, 4, 5], [0b1_1100]),  // a last group of one keeps it
            (3, 4, [1, 2, 3, 4, 5, 6], [0b11_1110]),  // ... of two both
            (1, 8, [1, 2, 3, 4, 5, 6, 7, 8, 9, 8], [0b1000_0000, 0b01]),  // a row goes on in the next byte
        ]
        for e in examples {
            var mask = [UInt8](repeating: 0xff, count: e.mask.count)
            #expect(ht_nm_mask_f32(1, e.w.count, e.n, e.m, e.w, 0, &mask, 0, nil) == HT_OK)
            #expect(mask == e.mask, "\(e.n):\(e.m) of \(e.w)")
        }
    }

    @Test(arguments: [Number.f32, .f16, .bf16, .i8]) func prunesInPlace(_ number: Number) {
        var g = Generator(seed: 2)
        for threads: CInt in [1, 2, 5] {
            let c = Case(o: 50, k: 67, Pattern(n: 2, m: 8), .special, number: number, sharedRows: g.pick([1, 4]), &g)
            let inPlace = Matrix(50, 67, number, gap: c.w.stride / number.size - 67)
            inPlace.memory.copy(c.w.memory)
            var options = c.options
            options.threads = threads
            #expect(Calls.prune(inPlace, c.pattern, into: inPlace, &options) == HT_OK)
            #expect(c.run(threads: 1) == [HT_OK, HT_OK])
            for row in 0..<50 {
                let same = (0..<67).allSatisfy { inPlace.bits(row, $0) == c.pruned.bits(row, $0) }
                #expect(same)
                let gap = row < 49 ? 67 * number.size..<c.w.stride : 0..<0
                #expect(gap.allSatisfy { inPlace.memory.start[row * c.w.stride + $0] == 0xff })
            }
        }
    }
}
