import Halftone
import Testing

/// Layers that are masked and packed anew in each step, against the separate calls.
@Suite struct TrainingWeightsTests {
    private func random(_ count: Int, _ g: inout Generator) -> [Float] {
        (0..<count).map { _ in Float.random(in: -1...1, using: &g) }
    }

    private func bytes(_ weights: some PackedWeights) -> [UInt8] {
        weights.withPackedBytes { span in span.withUnsafeBytes { [UInt8]($0) } }
    }

    @Test func matricesAreThoseOfTheSeparateCalls() throws {
        var g = Generator(seed: 1)
        for (rows, columns) in [(64, 96), (21, 37), (1, 5)] {
            let pattern = try NMPattern(2, of: 4)
            let order = (0..<UInt32(rows)).shuffled(using: &g)
            var w = random(rows * columns, &g)
            var layer = try NMTrainingMatrix(
                packing: w.span, rows: rows, columns: columns, pattern: pattern, permutation: order)
            for step in 0..<3 {
                if step > 0 {
                    w = random(rows * columns, &g)
                    try layer.pack(w.span, threads: 1 + step % 2)
                }
                let masks = try BiMask(
                    of: w.span, rows: rows, columns: columns, pattern: pattern, permutation: order)
                #expect(layer.mask == masks.forward && layer.permutation == order)
                let forward = try NMMatrix(
                    packing: w, rows: rows, columns: columns, pattern: pattern, mask: masks.forward)
                let backward = try NMBackwardMatrix(
                    packing: w, rows: rows, columns: columns, pattern: pattern, mask: masks.backward,
                    permutation: order)
                #expect(bytes(layer.forward) == bytes(forward))
                #expect(bytes(layer.backward) == bytes(backward))
            }
        }
    }

    @Test func filtersAreThoseOfTheSeparateCalls() throws {
        var g = Generator(seed: 2)
        let shape = ConvShape(height: 6, width: 6, channels: 12, outputs: 8, kernel: 3, padding: .same, groups: 2)
        let pattern = try NMPattern(1, of: 4)
        var layer = try NMTrainingFilters(packing: random(8 * 54, &g).span, shape: shape, pattern: pattern)
        let w = random(8 * 54, &g)
        let order: [UInt32] = [3, 0, 1, 2, 7, 6, 5, 4]
        try layer.pack(w.span, permutation: order)
        let masks = try BiMask(of: w.span, shape: shape, pattern: pattern, permutation: order)
        #expect(layer.mask == masks.forward && layer.permutation == order)
        let forward = try NMFilters(packing: w, shape: shape, pattern: pattern, mask: masks.forward)
        let backward = try NMBackwardFilters(
            packing: w, shape: shape, pattern: pattern, mask: masks.backward, permutation: order)
        #expect(bytes(layer.forward) == bytes(forward))
        #expect(bytes(layer.backward) == bytes(backward))
    }

    @Test func copiesKeepTheirWeights() throws {
        var g = Generator(seed: 3)
        let pattern = try NMPattern(2, of: 4)
        let w = random(16 * 16, &g)
        var layer = try NMTrainingMatrix(packing: w.span, rows: 16, columns: 16, pattern: pattern)
        let (copy, kept) = (layer, layer.forward)
        let before = bytes(kept)
        try layer.pack(random(16 * 16, &g).span)
        #expect(bytes(kept) == before && bytes(copy.forward) == before && copy.mask != layer.mask)
        #expect(bytes(layer.forward) != before)
    }

    @Test func bfloatsAreRoundedFromTheDenseWeights() throws {
        var g = Generator(seed: 4)
        let pattern = try NMPattern(2, of: 4)
        let w = random(8 * 16, &g)
        let layer = try NMTrainingMatrix(packing: w.span, rows: 8, columns: 16, pattern: pattern, type: .bf16)
        let expected = try pattern.pruned(w, rows: 8, columns: 16).map { BFloat16($0) }
        #expect(try layer.forward.unpacked(as: BFloat16.self).map(\.bitPattern) == expected.map(\.bitPattern))
        #expect(throws: HalftoneError.blobType) {
            _ = try NMTrainingMatrix(packing: w.span, rows: 8, columns: 16, pattern: pattern, type: .i8)
        }
    }

    @Test func wrongArgumentsChangeNothing() throws {
        var g = Generator(seed: 5)
        let pattern = try NMPattern(2, of: 4)
        let w = random(8 * 16, &g)
        var layer = try NMTrainingMatrix(packing: w.span, rows: 8, columns: 16, pattern: pattern)
        let (forward, mask) = (bytes(layer.forward), layer.mask)
        #expect(throws: HalftoneError.shape("weights hold 127 values, 8 x 16 need 128")) {
            try layer.pack(w.dropLast().map { $0 + 1 }.span)
        }
        #expect(throws: HalftoneError.permutation) {
            try layer.pack(w.map { $0 * 2 }.span, permutation: [0, 1, 2, 3, 4, 5, 6, 6])
        }
        #expect(throws: HalftoneError.threads) { try layer.pack(w.map { $0 * 2 }.span, threads: -1) }
        #expect(bytes(layer.forward) == forward && layer.mask == mask && layer.permutation == nil)
        #expect(throws: HalftoneError.pattern) {
            let shared = try NMPattern(2, of: 4, sharedRows: 4)
            _ = try NMTrainingMatrix(packing: w.span, rows: 8, columns: 16, pattern: shared)
        }
    }
}
