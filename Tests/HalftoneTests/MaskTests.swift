import CHalftone
import Testing

/// Masks and pruning by magnitude against the reference.
@Suite struct MaskTests {
    /// Dense weights with strides, and the two results of the library.
    private final class Case {
        let o, k: Int
        let pattern: Pattern
        let stride, prunedStride, maskStride: Int
        let w: Guarded<Float>
        let mask: Guarded<UInt8>
        let pruned: Guarded<Float>

        static let canary: UInt8 = 0xb7

        init(o: Int, k: Int, _ pattern: Pattern, _ data: Data, _ g: inout Generator) {
            (self.o, self.k, self.pattern) = (o, k, pattern)
            let rowBytes = (k + 7) / 8
            stride = k + g.pick([0, 1, 7])
            prunedStride = k + g.pick([0, 2, 16])
            maskStride = rowBytes + g.pick([0, 1, 5])
            let empty = o == 0 || k == 0
            w = Guarded(count: empty ? 0 : (o - 1) * stride + k, repeating: .nan)
            mask = Guarded(count: empty ? 0 : (o - 1) * maskStride + rowBytes, repeating: Self.canary)
            pruned = Guarded(count: empty ? 0 : (o - 1) * prunedStride + k, repeating: Product.canary)
            for row in 0..<(empty ? 0 : o) { for c in 0..<k { w.start[row * stride + c] = data.value(&g) } }
            w.seal()
        }

        func run(threads: CInt) -> [ht_status] {
            var options = Run(threads: threads).options
            return [
                ht_nm_mask_f32(o, k, pattern.n, pattern.m, w.start, stride * 4, mask.start, maskStride, &options),
                ht_nm_prune_f32(
                    o, k, pattern.n, pattern.m, w.start, stride * 4, pruned.start, prunedStride * 4, &options),
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

        var expectedPruned: [UInt32] {
            var bits = [UInt32](repeating: Product.canary.bitPattern, count: pruned.count)
            for row in 0..<(k == 0 ? 0 : o) {
                for c in 0..<k { bits[row * prunedStride + c] = 0 }
                for c in kept(row) { bits[row * prunedStride + c] = w.start[row * stride + c].bitPattern }
            }
            return bits
        }

        private func kept(_ row: Int) -> [Int] {
            Reference.kept(w.start + row * stride, columns: k, n: pattern.n, m: pattern.m)
        }
    }

    private func check(_ c: Case, threads: CInt) {
        #expect(c.run(threads: threads) == [HT_OK, HT_OK])
        #expect(c.mask.values == c.expectedMask, "\(c.pattern.testDescription) o \(c.o) k \(c.k)")
        #expect(c.pruned.values.map(\.bitPattern) == c.expectedPruned, "\(c.pattern.testDescription) o \(c.o) k \(c.k)")
        #expect(c.mask.slackIsIntact && c.pruned.slackIsIntact)
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

    @Test func prunesInPlace() {
        var g = Generator(seed: 2)
        for threads: CInt in [1, 2, 5] {
            let c = Case(o: 50, k: 67, Pattern(n: 2, m: 8), .special, &g)
            var options = Run(threads: threads).options
            let w = Guarded<Float>(count: c.w.count, repeating: 0)
            w.copy(c.w)
            #expect(
                ht_nm_prune_f32(50, 67, 2, 8, w.start, c.stride * 4, w.start, c.stride * 4, &options) == HT_OK)
            #expect(
                ht_nm_prune_f32(50, 67, 2, 8, c.w.start, c.stride * 4, c.pruned.start, c.prunedStride * 4, nil) == HT_OK
            )
            for row in 0..<50 {
                let same = (0..<67).allSatisfy { column in
                    w.start[row * c.stride + column].bitPattern
                        == c.pruned.start[row * c.prunedStride + column].bitPattern
                }
                #expect(same)
                let gap = row < 49 ? 67..<c.stride : 0..<0
                #expect(gap.allSatisfy { w.start[row * c.stride + $0].isNaN })
            }
        }
    }
}
