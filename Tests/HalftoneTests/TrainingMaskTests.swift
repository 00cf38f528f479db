import Halftone
import Testing

/// Masks that training needs besides those by magnitude.
@Suite struct TrainingMaskTests {
    private func random(_ count: Int, _ g: inout Generator) -> [Float] {
        (0..<count).map { _ in Float.random(in: -1...1, using: &g) }
    }

    private func sum(_ w: [Float], _ mask: NMMask) -> Double {
        w.indices.reduce(0) { $0 + (mask[$1 / mask.columns, $1 % mask.columns] ? Double(abs(w[$1])) : 0) }
    }

    @Test(arguments: TransposableMethod.allCases) func transposableMasksHoldBothWays(method: TransposableMethod) throws
    {
        var g = Generator(seed: 1)
        for (n, m) in [(2, 4), (1, 4), (4, 8), (2, 8), (8, 16), (3, 5)] {
            let pattern = try NMPattern(n, of: m)
            for (rows, columns) in [(2 * m, 3 * m), (2 * m + 1, m + 3)] {
                let w = random(rows * columns, &g)
                let mask = try pattern.transposableMask(of: w, rows: rows, columns: columns, method: method)
                // Packing refuses a mask that is not N:M in both directions.
                if m <= 16, [4, 8, 16].contains(m) {
                    _ = try NMMatrix(
                        packingTransposable: w, rows: rows, columns: columns, pattern: pattern, mask: mask)
                }
                if rows % m == 0 { #expect(mask.count == rows * columns * n / m) }
                let exact = try pattern.transposableMask(of: w, rows: rows, columns: columns)
                #expect(sum(w, mask) <= sum(w, exact) * 1.000001)
                #expect(sum(w, mask) >= sum(w, exact) * 0.95)
                #expect(sum(w, exact) <= sum(w, try pattern.mask(of: w, rows: rows, columns: columns)))
            }
        }
    }

    @Test func refreshedMasksAreThoseOfTheNewWeights() throws {
        var g = Generator(seed: 2)
        for (n, m) in [(2, 4), (4, 8), (8, 16)] {
            let pattern = try NMPattern(n, of: m)
            var w = random(48 * 67, &g)
            var mask = try pattern.mask(of: w, rows: 48, columns: 67)
            var transposable = try pattern.transposableMask(of: w, rows: 48, columns: 67)
            #expect(try pattern.refresh(&mask, of: w.span) == 0)
            #expect(try pattern.refreshTransposable(&transposable, of: w.span) == 0)
            for i in stride(from: 0, to: w.count, by: 29) { w[i] *= -3 }
            let old = mask
            let changed = try pattern.refresh(&mask, of: w.span)
            #expect(mask == (try pattern.mask(of: w, rows: 48, columns: 67)))
            #expect(changed == zip(mask.bytes, old.bytes).reduce(0) { $0 + ($1.0 & ~$1.1).nonzeroBitCount })
            #expect(changed > 0)
            _ = try pattern.refreshTransposable(&transposable, of: w.span)
            let fresh = try pattern.transposableMask(of: w, rows: 48, columns: 67)
            #expect(abs(sum(w, transposable) - sum(w, fresh)) < 1e-5 * sum(w, fresh))
        }
    }

    @Test func filtersAreRefreshedAtEachTap() throws {
        var g = Generator(seed: 3)
        let shape = ConvShape(height: 5, width: 5, channels: 6, outputs: 5, kernel: 3)
        let pattern = try NMPattern(2, of: 4)
        let w = random(5 * 54, &g)
        var mask = try NMMask(rows: 5, columns: 54, bytes: [UInt8](repeating: 0, count: 5 * 7))
        let changed = try pattern.refresh(&mask, of: w.span, shape: shape)
        #expect(mask == (try pattern.mask(of: w, shape: shape)) && changed == mask.count)
        #expect(throws: HalftoneError.shape("the mask is 5 x 54, the weights are 6 x 54")) {
            var other = shape
            other.outputs = 6
            _ = try pattern.refresh(&mask, of: w.span, shape: other)
        }
    }

    @Test func transposableMasksOfFiltersHoldAtEachTap() throws {
        var g = Generator(seed: 5)
        let pattern = try NMPattern(2, of: 4)
        for channels in [16, 6] {
            let shape = ConvShape(height: 5, width: 5, channels: 2 * channels, outputs: 18, kernel: 3, groups: 2)
            var w = random(18 * 9 * channels, &g)
            var mask = try pattern.transposableMask(of: w.span, shape: shape)
            for group in 0..<2 {
                for tap in 0..<9 {
                    let rows = group * 9..<group * 9 + 9
                    let part = rows.flatMap { row in (0..<channels).map { w[(row * 9 + tap) * channels + $0] } }
                    let expected = try pattern.transposableMask(of: part, rows: 9, columns: channels)
                    for (r, row) in rows.enumerated() {
                        for c in 0..<channels { #expect(mask[row, tap * channels + c] == expected[r, c]) }
                    }
                }
            }
            let same = mask
            #expect(try pattern.refreshTransposable(&mask, of: w.span, shape: shape) == 0 && mask == same)
            for i in stride(from: 0, to: w.count, by: 11) { w[i] *= -3 }
            #expect(try pattern.refreshTransposable(&mask, of: w.span, shape: shape) > 0)
            _ = try NMFilters(packing: w, shape: shape, pattern: pattern, mask: mask)
            _ = try NMBackwardFilters(packing: w, shape: shape, pattern: pattern, mask: mask)
        }
    }

    @Test func scoresLeadToAMask() throws {
        var g = Generator(seed: 4)
        let pattern = try NMPattern(2, of: 4)
        var learning = try NMPatternScores(rows: 3, columns: 10, pattern: pattern)
        #expect(learning.ways == 6 && learning.scores.count == 3 * 3 * 6)
        #expect(try learning.mask(remaining: 6).count == 30)
        let w = random(30, &g)
        let gradient = random(30, &g)
        for _ in 0..<20 {
            let step = try learning.gradient(weights: w.span, gradient: gradient.span)
            for i in step.indices where learning.scores[i] > -.infinity { learning.scores[i] -= 0.01 * step[i] }
        }
        let mask = try learning.mask(remaining: 1)
        #expect(mask.count == 3 * (2 + 2 + 2))
        _ = try NMMatrix(packing: w, rows: 3, columns: 10, pattern: pattern, mask: mask)
        #expect(try learning.gradient(weights: w.span, gradient: gradient.span).allSatisfy { $0 == 0 })
        #expect(NMPatternScores.remaining(of: 6, at: 0) == 6 && NMPatternScores.remaining(of: 6, at: 1) == 1)
        #expect(throws: HalftoneError.pattern) {
            _ = try NMPatternScores(rows: 1, columns: 1, pattern: NMPattern(16, of: 32))
        }
    }
}
