import CHalftone
import Halftone
import Testing

/// Masks of both directions and the search for their permutation.
@Suite struct BiMaskTests {
    /// The backward mask by its definition, a column and a block at a time.
    private func backward(_ w: [Float], _ forward: NMMask, _ permutation: [UInt32], _ p: NMPattern) -> [[Bool]] {
        var kept = [[Bool]](repeating: .init(repeating: false, count: forward.columns), count: forward.rows)
        for column in 0..<forward.columns {
            for begin in stride(from: 0, to: forward.rows, by: p.m) {
                let block = permutation[begin..<min(begin + p.m, forward.rows)].map { Int($0) }
                let entries = block.filter { forward[$0, column] }
                let order = entries.enumerated().sorted { a, b in
                    let (x, y) = (
                        abs(w[a.element * forward.columns + column]), abs(w[b.element * forward.columns + column])
                    )
                    return x != y ? x > y : a.offset < b.offset
                }
                for (_, row) in order.prefix(p.n) { kept[row][column] = true }
            }
        }
        return kept
    }

    private func permutation(_ count: Int, _ g: inout Generator) -> [UInt32] {
        (0..<UInt32(count)).shuffled(using: &g)
    }

    @Test func masksFollowTheDefinition() throws {
        var g = Generator(seed: 1)
        for (rows, columns) in [(8, 16), (13, 21), (1, 3), (33, 40)] {
            for pattern in [try NMPattern(2, of: 4), try NMPattern(1, of: 4), try NMPattern(3, of: 5)] {
                let w = eighths(rows * columns, &g)
                let order = permutation(rows, &g)
                let masks = try BiMask(
                    of: w.span, rows: rows, columns: columns, pattern: pattern, permutation: order)
                #expect(masks.forward == (try pattern.mask(of: w, rows: rows, columns: columns)))
                let expected = backward(w, masks.forward, order, pattern)
                for row in 0..<rows {
                    for column in 0..<columns { #expect(masks.backward[row, column] == expected[row][column]) }
                }
                let score = try masks.forward.score(of: order, pattern: pattern)
                #expect(masks.backward.count == score)
                #expect(masks.retained == Double(score) / Double(masks.forward.count))
            }
        }
    }

    @Test func masksOfFiltersStayInTheirGroups() throws {
        var g = Generator(seed: 2)
        let pattern = try NMPattern(2, of: 4)
        let shape = ConvShape(height: 5, width: 5, channels: 16, outputs: 16, kernel: 3, groups: 2)
        let w = eighths(16 * 9 * 8, &g)
        let order = permutation(8, &g) + permutation(8, &g).map { $0 + 8 }
        let masks = try BiMask(of: w.span, shape: shape, pattern: pattern, permutation: order)
        #expect(masks.forward == (try pattern.mask(of: w, shape: shape)))
        let expected = backward(w, masks.forward, order, pattern)
        for row in 0..<16 { for c in 0..<72 { #expect(masks.backward[row, c] == expected[row][c]) } }
        _ = try NMBackwardFilters(
            packing: w, shape: shape, pattern: pattern, mask: masks.backward, permutation: order)
        let found = try BiMaskSearch(seed: 1).permutation(for: masks.forward, shape: shape, pattern: pattern)
        #expect(Set(found.prefix(8)) == Set(0..<8) && Set(found) == Set(0..<16))
        let (own, best) = (
            try masks.forward.score(shape: shape, pattern: pattern),
            try masks.forward.score(of: found, shape: shape, pattern: pattern)
        )
        #expect(best >= own)
        #expect(throws: HalftoneError.permutation) {
            _ = try BiMask(of: w.span, shape: shape, pattern: pattern, permutation: order.reversed())
        }
    }

    @Test(arguments: BiMaskSearch.Method.allCases) func searchNeverLoses(method: BiMaskSearch.Method) throws {
        var g = Generator(seed: 3)
        let pattern = try NMPattern(2, of: 4)
        let w = (0..<64 * 64).map { _ in Float.random(in: -1...1, using: &g) }
        let mask = try pattern.mask(of: w, rows: 64, columns: 64)
        for score in BiMaskSearch.Score.allCases {
            let search = BiMaskSearch(method: method, score: score, seed: 5)
            let start = permutation(64, &g)
            let found = try search.permutation(for: mask, pattern: pattern, from: start)
            #expect(Set(found) == Set(0..<64))
            #expect(found == (try search.permutation(for: mask, pattern: pattern, from: start, threads: 2)))
            let before = try mask.score(score, of: start, pattern: pattern)
            #expect(try mask.score(score, of: found, pattern: pattern) >= before)
        }
    }

    /// The expected share of i.i.d. entries, and what a search makes of it at this size.
    @Test func searchRetainsMoreThanChance() throws {
        var g = Generator(seed: 4)
        let pattern = try NMPattern(2, of: 4)
        let w = (0..<256 * 512).map { _ in Float.random(in: -1...1, using: &g) }
        let mask = try pattern.mask(of: w, rows: 256, columns: 512)
        let own = Double(try mask.score(pattern: pattern)) / Double(mask.count)
        #expect(abs(own - 0.8125) < 0.01)
        let found = try BiMaskSearch().permutation(for: mask, pattern: pattern)
        let masks = try BiMask(of: w.span, rows: 256, columns: 512, pattern: pattern, permutation: found)
        #expect(masks.retained > own + 0.01)
    }

    @Test func wrongArgumentsAreRefused() throws {
        let pattern = try NMPattern(2, of: 4)
        let w = [Float](repeating: 1, count: 32)
        func masks(_ order: [UInt32]?, _ pattern: NMPattern) throws -> BiMask {
            try BiMask(of: w.span, rows: 4, columns: 8, pattern: pattern, permutation: order)
        }
        #expect(throws: HalftoneError.permutation) { _ = try masks([0, 1, 2, 2], pattern) }
        #expect(throws: HalftoneError.shape("the permutation holds 3 places, 4 outputs need 4")) {
            _ = try masks([0, 1, 2], pattern)
        }
        #expect(throws: HalftoneError.pattern) { _ = try masks(nil, NMPattern(2, of: 4, sharedRows: 2)) }
        let mask = try pattern.mask(of: w, rows: 4, columns: 8)
        #expect(throws: HalftoneError.shape("a search cannot have 0 steps")) {
            _ = try BiMaskSearch(steps: 0).permutation(for: mask, pattern: pattern)
        }
        #expect(throws: HalftoneError.permutation) {
            _ = try BiMaskSearch().permutation(for: mask, pattern: pattern, from: [3, 2, 1, 1])
        }
        #expect(throws: HalftoneError.threads) { _ = try mask.score(pattern: pattern, threads: -1) }
    }
}
