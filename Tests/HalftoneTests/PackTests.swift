import CHalftone
import Testing

/// The way from dense weights to the packed blob and back.
@Suite struct PackTests {
    /// What unpacking gives: entries as they were, +0 elsewhere, and a gap that nobody touched.
    private func expectUnpacks(_ weights: Weights, _ packed: Guarded<UInt8>, gap: Int, threads: CInt) {
        let (o, k, number) = (weights.o, weights.k, weights.number)
        let dense = Matrix(o, k, number, gap: gap)
        let expected = Matrix(o, k, number, gap: gap)
        for row in 0..<(k > 0 ? o : 0) {
            for c in 0..<k { expected.set(row, c, bits: 0) }
            for (column, weight) in zip(weights.entries[row].columns, weights.entries[row].weights) {
                expected.set(row, column, bits: number.bits(weight))
            }
        }
        var options = Run(threads: threads).options
        let status = ht_nm_unpack(o, k, packed.start, packed.count, dense.memory.start, dense.stride, &options)
        #expect(status == HT_OK)
        let isSame = dense.memory.hasSameBytes(as: expected.memory)
        #expect(isSame, "\(number) \(weights.pattern.testDescription):\(weights.sharedRows) o \(o) k \(k)")
        #expect(dense.memory.slackIsIntact)
    }

    private func check(o: Int, k: Int, _ pattern: Pattern, _ g: inout Generator) {
        let weights = Weights(
            o: o, k: k, pattern: pattern, number: g.pick([.f32, .f16, .bf16, .i8]), data: g.pick(Data.allCases),
            gap: g.pick([0, 0, 3]), masked: g.coin(), maskGap: g.pick([0, 0, 2]), sharedRows: g.pick([1, 1, 2, 4, 8]),
            &g)
        let packed = weights.packed(threads: g.pick([1, 2, 5]))
        var info = ht_nm_info()
        #expect(ht_nm_packed_info(packed.start, packed.count, &info) == HT_OK)
        #expect([info.o, info.k, info.n, info.m, info.bytes] == [o, k, pattern.n, pattern.m, packed.count])
        #expect(info.dtype == weights.number.code && info.shared_rows == CInt(weights.sharedRows))
        #expect(ht_nm_packed_check(packed.start, packed.count) == HT_OK)
        expectUnpacks(weights, packed, gap: g.pick([0, 0, 5]), threads: g.pick([1, 2, 5]))
    }

    @Test(arguments: Pattern.all) func unpacksToTheEntries(_ pattern: Pattern) {
        var g = Generator(seed: UInt64(pattern.n * 100 + pattern.m))
        for k in Sizes.columns where k % 3 == 0 || k < 20 || k > 250 { check(o: g.pick([1, 3, 5]), k: k, pattern, &g) }
        for o in Sizes.outputs { check(o: o, k: g.pick([1, 7, 33, 65]), pattern, &g) }
        check(o: 0, k: 9, pattern, &g)
    }

    @Test func unpacksToTheEntriesForRandomPatterns() {
        var g = Generator(seed: 1)
        for _ in 0..<200 { check(o: g.below(20), k: g.below(300), Pattern.random(&g), &g) }
    }

    @Test(arguments: Pattern.all) func writesTheSameBytesOnAnyNumberOfThreads(_ pattern: Pattern) {
        var g = Generator(seed: 2)
        for masked in [false, true] {
            for (number, shared) in [(Number.f32, 1), (.f16, 2), (.bf16, 4), (.i8, 8)] {
                let weights = Weights(
                    o: 83, k: 130, pattern: pattern, number: number, masked: masked, sharedRows: shared, &g)
                let one = weights.packed()
                for threads: CInt in [0, 2, 5] { #expect(weights.packed(threads: threads).hasSameBytes(as: one)) }
            }
        }
    }

    /// Pruning first, or packing with the mask, are the same.
    @Test(arguments: Pattern.all) func packsPrunedWeightsLikeMaskedOnes(_ pattern: Pattern) {
        var g = Generator(seed: 3)
        let (o, k) = (19, 133)
        for data in Data.allCases {
            let w = (0..<o * k).map { _ in data.value(&g) }
            var pruned = [Float](repeating: 7, count: o * k)
            var mask = [UInt8](repeating: 0, count: o * ((k + 7) / 8))
            var size = 0
            #expect(ht_nm_prune_f32(o, k, pattern.n, pattern.m, w, 0, &pruned, 0, nil) == HT_OK)
            #expect(ht_nm_mask_f32(o, k, pattern.n, pattern.m, w, 0, &mask, 0, nil) == HT_OK)
            #expect(ht_nm_packed_size(o, k, pattern.n, pattern.m, HT_DTYPE_F32, nil, &size) == HT_OK)
            let (a, b) = (Guarded<UInt8>(count: size, repeating: 1), Guarded<UInt8>(count: size, repeating: 2))
            #expect(ht_nm_pack_f32(o, k, pattern.n, pattern.m, pruned, 0, nil, 0, a.start, size, nil) == HT_OK)
            #expect(ht_nm_pack_f32(o, k, pattern.n, pattern.m, w, 0, mask, 0, b.start, size, nil) == HT_OK)
            #expect(a.hasSameBytes(as: b))
        }
    }

    /// A group with fewer than N entries gets more, of weight 0, even where the weight that the mask leaves out is not.
    @Test func fillsMaskedGroupsUpWithZeros() {
        let w: [Float] = [1, 2, 3, 4, 5, 6, 7, 8]
        let packed = Guarded<UInt8>(count: 1024, repeating: 0)
        #expect(ht_nm_pack_f32(1, 8, 2, 4, w, 0, [0b1000_0000], 0, packed.start, packed.count, nil) == HT_OK)
        var dense = [Float](repeating: 9, count: 8)
        #expect(ht_nm_unpack(1, 8, packed.start, packed.count, &dense, 0, nil) == HT_OK)
        #expect(dense == [0, 0, 0, 0, 0, 0, 0, 8])
        // The entries that fill up are columns 0, 1 and 4: an infinity there makes a NaN, and nowhere else.
        for column in 0..<8 {
            var x = [Float](repeating: 1, count: 8)
            x[column] = .infinity
            var y: Float = 0
            #expect(ht_nm_gemm_f32(1, 1, 8, x, 0, packed.start, packed.count, nil, &y, 0, nil) == HT_OK)
            #expect(y.isNaN == [0, 1, 4].contains(column))
            #expect((y == .infinity) == (column == 7))
        }
    }

    @Test func refusesGroupsWithTooManyEntries() {
        let size = 1024
        let packed = Guarded<UInt8>(count: size, repeating: 0xee)
        func pack(_ w: [Float], _ mask: [UInt8]?, n: Int, m: Int) -> ht_status {
            let count = w.count
            return mask.map { ht_nm_pack_f32(1, count, n, m, w, 0, $0, 0, packed.start, size, nil) }
                ?? ht_nm_pack_f32(1, count, n, m, w, 0, nil, 0, packed.start, size, nil)
        }
        #expect(pack([0, 0, 0, 0, 1, 2, 3, 0], nil, n: 2, m: 4) == HT_ERROR_NOT_SPARSE)
        #expect(pack([0, .nan, .leastNonzeroMagnitude, -1], nil, n: 2, m: 4) == HT_ERROR_NOT_SPARSE)
        #expect(pack([0, 0, 0, 0], [0b0111], n: 2, m: 4) == HT_ERROR_NOT_SPARSE)
        #expect(pack([0, 0, 0, 0, 0, 1, 1], nil, n: 1, m: 4) == HT_ERROR_NOT_SPARSE)  // in the last, shorter group
        #expect(packed.values.allSatisfy { $0 == 0xee })
        #expect(pack([0, -0.0, 3, -1], nil, n: 2, m: 4) == HT_OK)
        #expect(pack([0, 0, 1, 1, 1, 1, 0, 0], nil, n: 2, m: 4) == HT_OK)  // no group of its own lies across the border
    }
}
