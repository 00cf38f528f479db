import CHalftone
import Testing

/// Packed blobs that are cut, foreign, forged or damaged.
@Suite struct BlobTests {
    /// A blob to damage, and all calls that read one.
    private final class Victim {
        let product: Product
        let original: Guarded<UInt8>
        let blob: Guarded<UInt8>
        let dense: Guarded<Float>

        init(_ pattern: Pattern, t: Int = 3, o: Int = 21, k: Int = 70) {
            var g = Generator(seed: 1)
            product = Product(Product.Shape(t: t, o: o, k: k, pattern: pattern), &g)
            original = product.packed
            blob = Guarded(count: original.count, repeating: 0)
            blob.copy(original)
            dense = Guarded(count: o * k, repeating: Product.canary)
        }

        /// What each call says of the blob's first `size` bytes, which end where an unreadable page begins.
        func statuses(size: Int? = nil) -> [ht_status] {
            let size = size ?? blob.count
            let (o, k) = (product.o, product.k)
            var info = ht_nm_info()
            return [
                ht_nm_packed_info(blob.start, size, &info),
                ht_nm_packed_check(blob.start, size),
                ht_nm_unpack(o, k, blob.start, size, dense.start, 0, nil),
                ht_nm_gemm_f32(
                    product.t, o, k, product.x.memory.floats, 0, blob.start, size, nil, product.y.memory.floats, 0, nil),
            ]
        }

        /// All calls refuse the blob for the same reason and write nothing.
        func expectRefused(_ status: ht_status, size: Int? = nil, _ comment: Comment) {
            let all = statuses(size: size)
            #expect(all.allSatisfy { $0 == status }, comment)
            #expect(dense.values.allSatisfy { $0.bitPattern == Product.canary.bitPattern }, comment)
            #expect(product.y.memory.hasSameBytes(as: product.blank), comment)
        }

        func forge(_ change: (inout BlobHeader) -> Void) {
            blob.copy(original)
            var header = BlobHeader(of: original)
            change(&header)
            header.sealed(into: blob)
        }
    }

    private static let pattern = Pattern(n: 2, m: 4)

    @Test func theUndamagedBlobIsTaken() {
        let victim = Victim(Self.pattern)
        #expect(victim.statuses().allSatisfy { $0 == HT_OK })
        victim.forge { _ in }
        #expect(victim.blob.hasSameBytes(as: victim.original), "the tests' header is not the format's")
    }

    @Test func everyTruncationIsRefused() {
        let victim = Victim(Self.pattern)
        for size in 0..<victim.blob.count {
            victim.expectRefused(HT_ERROR_BLOB_TRUNCATED, size: size, "\(size) bytes")
        }
    }

    /// The rest of a short blob is not only ignored: it is not there.
    @Test func aTruncatedBlobIsNotReadBehindItsEnd() {
        let victim = Victim(Self.pattern)
        for size in stride(from: 64, to: victim.original.count, by: 64) {
            let short = Guarded<UInt8>(Array(victim.original.values[..<size]))
            #expect(ht_nm_packed_check(short.start, size) == HT_ERROR_BLOB_TRUNCATED)
        }
        let empty = Guarded<UInt8>([])
        #expect(ht_nm_packed_check(empty.start, 0) == HT_ERROR_BLOB_TRUNCATED)
    }

    @Test func everyFlippedHeaderBitIsRefused() {
        let victim = Victim(Self.pattern)
        for byte in 0..<BlobHeader.byteCount {
            for bit in 0..<8 {
                victim.blob.start[byte] ^= 1 << UInt8(bit)
                let status =
                    byte < 8 ? HT_ERROR_BLOB_FOREIGN : byte < 10 ? HT_ERROR_BLOB_VERSION : HT_ERROR_BLOB_CORRUPT
                victim.expectRefused(status, "bit \(bit) of byte \(byte)")
                victim.blob.start[byte] ^= 1 << UInt8(bit)
            }
        }
    }

    /// Headers whose check is right.
    @Test func forgedHeadersAreRefused() {
        let victim = Victim(Self.pattern)
        let forgeries: [(Comment, ht_status, (inout BlobHeader) -> Void)] = [
            ("magic", HT_ERROR_BLOB_FOREIGN, { $0.words[0] ^= 1 << 40 }),
            ("big-endian", HT_ERROR_BLOB_FOREIGN, { $0.words[0] = $0.words[0].byteSwapped }),
            ("version", HT_ERROR_BLOB_VERSION, { $0.setShort(0, 1) }),
            ("kind", HT_ERROR_BLOB_FOREIGN, { $0.setShort(1, 99) }),
            ("layout", HT_ERROR_BLOB_VERSION, { $0.setShort(2, 99) }),
            ("dtype of another size", HT_ERROR_BLOB_CORRUPT, { $0.setShort(3, 2) }),
            ("dtype of no weights", HT_ERROR_BLOB_CORRUPT, { $0.setShort(3, 5) }),
            ("unknown dtype", HT_ERROR_BLOB_CORRUPT, { $0.setShort(3, 99) }),
            ("n = 0", HT_ERROR_BLOB_CORRUPT, { $0.setPattern(n: 0, m: 4) }),
            ("n > m", HT_ERROR_BLOB_CORRUPT, { $0.setPattern(n: 5, m: 4) }),
            ("m > 64", HT_ERROR_BLOB_CORRUPT, { $0.setPattern(n: 2, m: 65) }),
            ("another pattern", HT_ERROR_BLOB_CORRUPT, { $0.setPattern(n: 4, m: 4) }),
            ("more rows", HT_ERROR_BLOB_CORRUPT, { $0.words[3] += 4 }),
            ("endless rows", HT_ERROR_BLOB_CORRUPT, { $0.words[3] = .max }),
            ("endless columns", HT_ERROR_BLOB_CORRUPT, { $0.words[4] = .max }),
            ("endless both", HT_ERROR_BLOB_CORRUPT, { ($0.words[3], $0.words[4]) = (.max, .max) }),
            ("fewer bytes", HT_ERROR_BLOB_CORRUPT, { $0.words[5] -= 64 }),
            ("more bytes", HT_ERROR_BLOB_TRUNCATED, { $0.words[5] += 64 }),
            ("endless bytes", HT_ERROR_BLOB_TRUNCATED, { $0.words[5] = .max }),
            ("no shared rows", HT_ERROR_BLOB_CORRUPT, { $0.words[6] = 0 }),
            ("three shared rows", HT_ERROR_BLOB_CORRUPT, { $0.words[6] = 3 }),
            ("endless shared rows", HT_ERROR_BLOB_CORRUPT, { $0.words[6] = 0xffff_ffff }),
            ("a permutation", HT_ERROR_BLOB_CORRUPT, { $0.words[6] |= 1 << 16 }),
            ("shared taps", HT_ERROR_BLOB_CORRUPT, { $0.words[6] |= 1 << 17 }),
            ("an unknown flag", HT_ERROR_BLOB_CORRUPT, { $0.words[6] |= 1 << 18 }),
            ("a kernel of one row", HT_ERROR_BLOB_CORRUPT, { $0.words[6] |= 1 << 32 }),
            ("a kernel of one column", HT_ERROR_BLOB_CORRUPT, { $0.words[6] |= 1 << 48 }),
            ("nine taps", HT_ERROR_BLOB_CORRUPT, { $0.words[6] |= 3 << 32 | 3 << 48 }),
        ]
        for (name, status, change) in forgeries {
            victim.forge(change)
            victim.expectRefused(status, name)
        }
    }

    /// The header of a matrix without columns may claim very many rows; nothing walks them.
    @Test func endlessRowsWithoutColumnsAreHarmless() {
        let victim = Victim(Self.pattern, k: 0)
        victim.forge { $0.words[3] = 1 << 58 }
        #expect(ht_nm_packed_check(victim.blob.start, victim.blob.count) == HT_OK)
        for rows in [UInt64.max, 1 << 63, 1 << 62] {
            victim.forge { $0.words[3] = rows }
            #expect(ht_nm_packed_check(victim.blob.start, victim.blob.count) == HT_ERROR_BLOB_CORRUPT)
        }
    }

    @Test func otherShapesAreRefused() {
        let victim = Victim(Self.pattern)
        let (packed, size) = (victim.blob.start, victim.blob.count)
        for (o, k) in [(20, 70), (22, 70), (21, 69), (21, 71), (70, 21), (0, 0)] {
            let x = Guarded<Float>(count: 3 * k, repeating: 1)
            let y = Guarded<Float>(count: 3 * o, repeating: Product.canary)
            #expect(ht_nm_gemm_f32(3, o, k, x.start, 0, packed, size, nil, y.start, 0, nil) == HT_ERROR_BLOB_SHAPE)
            #expect(ht_nm_unpack(o, k, packed, size, y.start, 0, nil) == HT_ERROR_BLOB_SHAPE)
            #expect(y.values.allSatisfy { $0.bitPattern == Product.canary.bitPattern })
        }
    }

    /// Damage behind the header changes results at most: no call crashes or leaves its operands.
    @Test(arguments: Pattern.all) func damagedBodiesNeverCrash(_ pattern: Pattern) {
        var g = Generator(seed: 2)
        for (t, o, k) in [(1, 21, 70), (3, 19, 300), (9, 16, 130), (70, 5, 257)] {
            let victim = Victim(pattern, t: t, o: o, k: k)
            let body = BlobHeader.byteCount..<victim.blob.count
            for round in 0..<8 {
                victim.blob.copy(victim.original)
                if round < 2 {
                    for byte in body {
                        victim.blob.start[byte] = round == 0 ? 0xff : UInt8(truncatingIfNeeded: g.next())
                    }
                } else {
                    for _ in 0..<body.count / 16 {
                        victim.blob.start[body.lowerBound + g.below(body.count)] ^= 1 << UInt8(g.below(8))
                    }
                }
                _ = ht_nm_packed_check(victim.blob.start, victim.blob.count)
                let (w, x, y) = (victim.dense, victim.product.x.memory, victim.product.y.memory)
                #expect(ht_nm_unpack(o, k, victim.blob.start, victim.blob.count, w.start, 0, nil) == HT_OK)
                for isa in Kernels.product {
                    let run = Run(isa: isa, threads: g.pick([1, 2]))
                    let scratch = victim.product.scratch(run)
                    var options = run.options
                    (options.scratch, options.scratch_size) = (.init(scratch.start), scratch.count)
                    let status = ht_nm_gemm_f32(
                        t, o, k, x.floats, 0, victim.blob.start, victim.blob.count, nil, y.floats, 0, &options)
                    #expect(status == HT_OK)
                    #expect(scratch.slackIsIntact && y.slackIsIntact && w.slackIsIntact)
                }
            }
        }
    }

    /// Where two blobs of equal weights and different entries differ, they hold index words of real entries. With every
    /// bit of one turned over, its columns run backwards or leave their group. A map, which is what the last ones have,
    /// has one bit too many or too few when one is turned over.
    @Test(
        arguments: [
            (2, 4, 0xff), (2, 8, 0xff), (2, 16, 0xff), (3, 7, 0xff), (4, 8, 1), (4, 16, 1), (8, 16, 1),
        ] as [(Int, Int, UInt8)])
    func theCheckFindsDamagedIndices(_ n: Int, _ m: Int, _ damage: UInt8) {
        let (o, k) = (9, 5 * 112)
        func packed(_ isEntry: (Int) -> Bool) -> Guarded<UInt8> {
            let w = (0..<o * k).map { isEntry($0 % k % m) ? Float(1) : 0 }
            var size = 0
            #expect(ht_nm_packed_size(o, k, n, m, HT_DTYPE_F32, nil, &size) == HT_OK)
            let blob = Guarded<UInt8>(count: size, repeating: 0)
            #expect(ht_nm_pack_f32(o, k, n, m, w, 0, nil, 0, blob.start, size, nil) == HT_OK)
            return blob
        }
        let (first, last) = (packed { $0 < n }, packed { $0 >= m - n })
        var words = 0
        for word in stride(from: BlobHeader.byteCount, to: first.count, by: 4) {
            let bytes = word..<word + 4
            guard bytes.contains(where: { first.start[$0] != last.start[$0] }) else { continue }
            words += 1
            for byte in damage == 0xff ? bytes : bytes.prefix(1) { first.start[byte] ^= damage }
            #expect(ht_nm_packed_check(first.start, first.count) == HT_ERROR_BLOB_CORRUPT, "\(n):\(m) word at \(word)")
            for byte in damage == 0xff ? bytes : bytes.prefix(1) { first.start[byte] ^= damage }
        }
        #expect(words >= o * k * n / m / 16)
        #expect(ht_nm_packed_check(first.start, first.count) == HT_OK)
    }
}
