import CHalftone
import Testing

/// Sizes of zero, as BLAS has them.
@Suite struct EmptySizeTests {
    @Test(arguments: Pattern.all) func noColumnsGiveTheEpilogueOfZero(_ pattern: Pattern) {
        var g = Generator(seed: 1)
        for relu in [false, true] {
            for bias in [false, true] {
                let product = Product(
                    Product.Shape(
                        t: 19, o: 37, k: 0, pattern: pattern, data: .special, yGap: 3, bias: bias, relu: relu),
                    &g)
                for isa in Kernels.product {
                    for threads: CInt in [1, 5] {
                        let failure = product.failure(Run(isa: isa, threads: threads))
                        #expect(failure == nil)
                    }
                }
            }
        }
    }

    @Test(arguments: Pattern.all) func noRowsOrOutputsDoNothing(_ pattern: Pattern) {
        var g = Generator(seed: 2)
        for (t, o, k) in [(0, 20, 30), (7, 0, 30), (0, 0, 30), (0, 20, 0), (7, 0, 0), (0, 0, 0)] {
            let product = Product(Product.Shape(t: t, o: o, k: k, pattern: pattern), &g)
            for isa in Kernels.product {
                for threads: CInt in [1, 5] {
                    let failure = product.failure(Run(isa: isa, threads: threads))
                    #expect(failure == nil)
                }
            }
        }
    }

    /// Operands without elements may be null, with any stride that is long enough.
    @Test func emptyOperandsMayBeNull() {
        #expect(ht_nm_mask_f32(0, 9, 2, 4, nil, 0, nil, 0, nil) == HT_OK)
        #expect(ht_nm_mask_f32(9, 0, 2, 4, nil, 8, nil, 3, nil) == HT_OK)
        #expect(ht_nm_prune_f32(0, 9, 2, 4, nil, 36, nil, 0, nil) == HT_OK)
        let packed = Guarded<UInt8>(count: 1024, repeating: 0)
        #expect(ht_nm_pack_f32(0, 9, 2, 4, nil, 0, nil, 0, packed.start, packed.count, nil) == HT_OK)
        #expect(ht_nm_unpack(0, 9, packed.start, packed.count, nil, 0, nil) == HT_OK)
        #expect(
            ht_nm_gemm_f32(3, 0, 9, [Float](repeating: 1, count: 27), 0, packed.start, packed.count, nil, nil, 0, nil)
                == HT_OK)
    }

    /// Rows without columns are not walked, however many there are.
    @Test func rowsWithoutColumnsCostNothing() {
        let packed = Guarded<UInt8>(count: 1024, repeating: 0)
        let rows = Int.max / 16
        #expect(ht_nm_mask_f32(rows, 0, 2, 4, nil, 0, nil, 0, nil) == HT_OK)
        #expect(ht_nm_prune_f32(rows, 0, 2, 4, nil, 0, nil, 0, nil) == HT_OK)
        #expect(ht_nm_pack_f32(rows, 0, 2, 4, nil, 0, nil, 0, packed.start, packed.count, nil) == HT_OK)
        #expect(ht_nm_packed_check(packed.start, packed.count) == HT_OK)
        #expect(ht_nm_unpack(rows, 0, packed.start, packed.count, nil, 0, nil) == HT_OK)
    }
}
