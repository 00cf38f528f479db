import CHalftone
import Halftone
import Testing

#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// Every status that bad arguments give, with outputs untouched.
@Suite struct ArgumentErrorTests {
    private static let huge = Int(bitPattern: UInt.max)
    private static let misaligned = 2

    /// A valid product whose arguments a test then spoils.
    private struct Gemm {
        static let (t, o, k) = (5, 35, 20)

        var t = Self.t
        var o = Self.o
        var k = Self.k
        var x: UnsafePointer<Float>?
        var xStride = 0
        var packed: UnsafeRawPointer?
        var packedSize: Int
        var activation = HT_ACTIVATION_NONE
        var bias: UnsafePointer<Float>?
        var y: UnsafeMutablePointer<Float>?
        var yStride = 0
        var options = ht_options()

        func call() -> ht_status {
            var epilogue = ht_epilogue()
            (epilogue.bias, epilogue.activation) = (bias, activation)
            return withUnsafePointer(to: options) { options in
                ht_nm_gemm_f32(t, o, k, x, xStride, packed, packedSize, &epilogue, y, yStride, options)
            }
        }
    }

    /// Operands longer than the valid call needs, so that what a wrong check lets through shows in Y, not in a crash.
    private final class Operands {
        let x = Guarded<Float>(count: 4096, repeating: 1)
        let y = Guarded<Float>(count: 4096, repeating: Product.canary)
        let bias = Guarded<Float>(count: 64, repeating: 2)
        let scratch: Guarded<UInt8>
        let packed: Guarded<UInt8>

        init() {
            var g = Generator(seed: 1)
            let weights = Weights(o: Gemm.o, k: Gemm.k, pattern: Pattern(n: 2, m: 4), &g)
            packed = weights.packed()
            var size = 0
            var options = Run().options
            let status = ht_nm_gemm_scratch_size(
                Gemm.t, HT_DTYPE_F32, packed.start, packed.count, &options, &size)
            precondition(status == HT_OK)
            scratch = Guarded(count: size, repeating: 0)
        }

        var gemm: Gemm {
            Gemm(x: x.start, packed: packed.start, packedSize: packed.count, bias: bias.start, y: y.start)
        }

        var yIsUntouched: Bool { y.values.allSatisfy { $0.bitPattern == Product.canary.bitPattern } }
    }

    @Test func theUnspoiledProductRuns() {
        let operands = Operands()
        #expect(operands.gemm.call() == HT_OK)
        #expect(!operands.yIsUntouched)
    }

    @Test func aSpoiledProductIsRefused() {
        let operands = Operands()
        let scratch = UnsafeMutableRawPointer(operands.scratch.start)
        let wrongs: [(String, ht_status, (inout Gemm) -> Void)] = [
            ("no x", HT_ERROR_NULL, { $0.x = nil }),
            ("no y", HT_ERROR_NULL, { $0.y = nil }),
            ("no blob", HT_ERROR_NULL, { $0.packed = nil }),
            ("short x stride", HT_ERROR_STRIDE, { $0.xStride = 4 * Gemm.k - 4 }),
            ("odd x stride", HT_ERROR_STRIDE, { $0.xStride = 4 * Gemm.k + 2 }),
            ("short y stride", HT_ERROR_STRIDE, { $0.yStride = 4 * Gemm.o - 4 }),
            ("odd y stride", HT_ERROR_STRIDE, { $0.yStride = 4 * Gemm.o + 3 }),
            ("misaligned x", HT_ERROR_ALIGNMENT, { $0.x = Self.shifted($0.x) }),
            ("misaligned y", HT_ERROR_ALIGNMENT, { $0.y = UnsafeMutablePointer(mutating: Self.shifted($0.y)) }),
            ("misaligned bias", HT_ERROR_ALIGNMENT, { $0.bias = Self.shifted($0.bias) }),
            ("misaligned blob", HT_ERROR_ALIGNMENT, { $0.packed = $0.packed.map { $0 + 32 } }),
            ("endless t", HT_ERROR_OVERFLOW, { $0.t = Self.huge }),
            ("endless x", HT_ERROR_OVERFLOW, { $0.xStride = .max / 4 * 4 }),
            ("endless y", HT_ERROR_OVERFLOW, { $0.yStride = .max / 4 * 4 }),
            ("other o", HT_ERROR_BLOB_SHAPE, { $0.o += 1 }),
            ("other k", HT_ERROR_BLOB_SHAPE, { $0.k -= 1 }),
            ("endless o", HT_ERROR_BLOB_SHAPE, { $0.o = Self.huge }),
            ("endless k", HT_ERROR_BLOB_SHAPE, { $0.k = Self.huge }),
            ("short blob", HT_ERROR_BLOB_TRUNCATED, { $0.packedSize -= 1 }),
            ("activation", HT_ERROR_EPILOGUE, { $0.activation = ht_activation(rawValue: 9) }),
            ("threads", HT_ERROR_THREADS, { $0.options.threads = -1 }),
            ("least threads", HT_ERROR_THREADS, { $0.options.threads = .min }),
            ("unknown ISA", HT_ERROR_ISA, { $0.options.isa = ht_isa(rawValue: 99) }),
            ("rows behind the end", HT_ERROR_WINDOW, { $0.options.row_end = Gemm.t + 1 }),
            ("backward rows", HT_ERROR_WINDOW, { ($0.options.row_begin, $0.options.row_end) = (3, 2) }),
            ("rows from behind the end", HT_ERROR_WINDOW, { $0.options.row_begin = Gemm.t + 1 }),
            ("columns behind the end", HT_ERROR_WINDOW, { $0.options.column_end = 48 }),
            ("odd first column", HT_ERROR_WINDOW, { $0.options.column_begin = 8 }),
            ("odd last column", HT_ERROR_WINDOW, { $0.options.column_end = 24 }),
            ("backward columns", HT_ERROR_WINDOW, { ($0.options.column_begin, $0.options.column_end) = (32, 16) }),
            (
                "small scratch", HT_ERROR_BUFFER_SIZE,
                { ($0.options.threads, $0.options.scratch, $0.options.scratch_size) = (1, scratch, 64) }
            ),
            (
                "misaligned scratch", HT_ERROR_ALIGNMENT,
                { ($0.options.threads, $0.options.scratch, $0.options.scratch_size) = (1, scratch + 16, 1 << 20) }
            ),
        ]
        for (name, status, spoil) in wrongs {
            var gemm = operands.gemm
            spoil(&gemm)
            #expect(gemm.call() == status, "\(name)")
            #expect(operands.yIsUntouched, "\(name)")
        }
    }

    /// An ISA of the list that this machine lacks. There may be none here; other machines have some.
    @Test func anISAThatDoesNotRunIsRefused() {
        let operands = Operands()
        for isa in Kernels.isas(of: "nm_gemm_f32", running: false) {
            var gemm = operands.gemm
            gemm.options.isa = isa
            #expect(gemm.call() == HT_ERROR_ISA)
            var size = 7
            let status = ht_nm_gemm_scratch_size(
                1, HT_DTYPE_F32, operands.packed.start, operands.packed.count, &gemm.options, &size)
            #expect(status == HT_ERROR_ISA)
        }
        #expect(operands.yIsUntouched)
    }

    @Test func aSpoiledScratchSizeIsRefused() {
        let blob = Operands().packed
        let whole = UnsafeRawPointer(blob.start)
        func call(
            x: ht_dtype = HT_DTYPE_F32, blob start: UnsafeRawPointer? = whole, short: Int = 0, threads: CInt = 1,
            isa: UInt32 = 0
        ) -> ht_status {
            var options = Run(isa: ht_isa(rawValue: .init(isa)), threads: threads).options
            var size = 77
            let status = ht_nm_gemm_scratch_size(5, x, start, blob.count - short, &options, &size)
            #expect((size == 77) == (status != HT_OK))
            return status
        }
        #expect(call() == HT_OK)
        #expect(call(x: HT_DTYPE_I8) == HT_ERROR_BLOB_DTYPE)
        #expect(call(x: HT_DTYPE_I32) == HT_ERROR_BLOB_DTYPE)
        #expect(call(blob: nil) == HT_ERROR_NULL)
        #expect(call(blob: whole + 32) == HT_ERROR_ALIGNMENT)
        #expect(call(short: 1) == HT_ERROR_BLOB_TRUNCATED)
        #expect(call(threads: -1) == HT_ERROR_THREADS)
        #expect(call(isa: 99) == HT_ERROR_ISA)
        #expect(ht_nm_gemm_scratch_size(1, HT_DTYPE_F32, blob.start, blob.count, nil, nil) == HT_ERROR_NULL)
    }

    private static let badPatterns = [(0, 4), (5, 4), (1, 65), (65, 65), (0, 0), (huge, huge), (1, huge), (huge, 4)]

    @Test func badPatternsAreRefused() {
        let w = [Float](repeating: 0, count: 8)
        for (n, m) in Self.badPatterns {
            var mask: [UInt8] = [0x5a]
            var pruned = [Float](repeating: 3, count: 8)
            var size = 77
            let packed = Guarded<UInt8>(count: 1024, repeating: 0xee)
            #expect(ht_nm_mask_f32(1, 8, n, m, w, 0, &mask, 0, nil) == HT_ERROR_PATTERN)
            #expect(ht_nm_prune_f32(1, 8, n, m, w, 0, &pruned, 0, nil) == HT_ERROR_PATTERN)
            #expect(ht_nm_packed_size(1, 8, n, m, HT_DTYPE_F32, nil, &size) == HT_ERROR_PATTERN)
            #expect(ht_nm_pack_f32(1, 8, n, m, w, 0, nil, 0, packed.start, packed.count, nil) == HT_ERROR_PATTERN)
            #expect(mask == [0x5a] && pruned.allSatisfy { $0 == 3 } && size == 77)
            #expect(packed.values.allSatisfy { $0 == 0xee })
        }
    }

    @Test func spoiledMasksAndPruningsAreRefused() {
        let (o, k) = (3, 20)
        let w = Guarded<Float>(count: 256, repeating: 1)
        let mask = Guarded<UInt8>(count: 256, repeating: 0x5a)
        let pruned = Guarded<Float>(count: 256, repeating: Product.canary)
        struct Call {
            var o: Int, k: Int
            var w: UnsafePointer<Float>?
            var wStride = 0
            var out = true
            var outStride = 0
            var threads: CInt = 1
        }
        let wrongs: [(String, ht_status, (inout Call) -> Void)] = [
            ("no w", HT_ERROR_NULL, { $0.w = nil }),
            ("no output", HT_ERROR_NULL, { $0.out = false }),
            ("short w stride", HT_ERROR_STRIDE, { $0.wStride = 4 * k - 4 }),
            ("odd w stride", HT_ERROR_STRIDE, { $0.wStride = 4 * k + 1 }),
            ("short output stride", HT_ERROR_STRIDE, { $0.outStride = 2 }),
            ("misaligned w", HT_ERROR_ALIGNMENT, { $0.w = Self.shifted($0.w) }),
            ("endless o", HT_ERROR_OVERFLOW, { $0.o = Self.huge }),
            ("endless k", HT_ERROR_OVERFLOW, { $0.k = Self.huge }),
            ("endless w", HT_ERROR_OVERFLOW, { $0.wStride = .max / 4 * 4 }),
            ("endless output", HT_ERROR_OVERFLOW, { $0.outStride = .max / 4 * 4 }),
            ("threads", HT_ERROR_THREADS, { $0.threads = -3 }),
        ]
        for (name, status, spoil) in wrongs {
            var c = Call(o: o, k: k, w: w.start)
            spoil(&c)
            var options = Run(threads: c.threads).options
            let masked = ht_nm_mask_f32(
                c.o, c.k, 2, 4, c.w, c.wStride, c.out ? mask.start : nil, c.outStride, &options)
            let prunedStatus = ht_nm_prune_f32(
                c.o, c.k, 2, 4, c.w, c.wStride, c.out ? pruned.start : nil, c.outStride, &options)
            #expect(masked == status, "mask: \(name)")
            #expect(prunedStatus == status, "prune: \(name)")
        }
        let shifted = UnsafeMutablePointer(mutating: Self.shifted(UnsafePointer(pruned.start)))
        #expect(ht_nm_prune_f32(o, k, 2, 4, w.start, 0, shifted, 0, nil) == HT_ERROR_ALIGNMENT)
        #expect(ht_nm_prune_f32(o, k, 2, 4, w.start, 0, pruned.start, 4 * k + 2, nil) == HT_ERROR_STRIDE)
        #expect(mask.values.allSatisfy { $0 == 0x5a })
        #expect(pruned.values.allSatisfy { $0.bitPattern == Product.canary.bitPattern })
    }

    @Test func spoiledPackingsAreRefused() {
        let (o, k) = (3, 20)
        let w = Guarded<Float>(count: 256, repeating: 0)
        let mask = Guarded<UInt8>(count: 256, repeating: 0)
        let packed = Guarded<UInt8>(count: 1 << 14, repeating: 0xee)
        var size = 0
        #expect(ht_nm_packed_size(o, k, 2, 4, HT_DTYPE_F32, nil, &size) == HT_OK)
        let whole = size
        struct Call {
            var o: Int, k: Int
            var w: UnsafePointer<Float>?
            var wStride = 0
            var maskStride = 0
            var packed: UnsafeMutableRawPointer?
            var size: Int
            var threads: CInt = 1
        }
        let wrongs: [(String, ht_status, (inout Call) -> Void)] = [
            ("no w", HT_ERROR_NULL, { $0.w = nil }),
            ("no blob", HT_ERROR_NULL, { $0.packed = nil }),
            ("short w stride", HT_ERROR_STRIDE, { $0.wStride = 4 * k - 4 }),
            ("odd w stride", HT_ERROR_STRIDE, { $0.wStride = 4 * k + 2 }),
            ("short mask stride", HT_ERROR_STRIDE, { $0.maskStride = 2 }),
            ("misaligned w", HT_ERROR_ALIGNMENT, { $0.w = Self.shifted($0.w) }),
            ("misaligned blob", HT_ERROR_ALIGNMENT, { $0.packed = $0.packed.map { $0 + 32 } }),
            ("endless o", HT_ERROR_OVERFLOW, { $0.o = Self.huge }),
            ("endless k", HT_ERROR_OVERFLOW, { $0.k = Self.huge }),
            ("endless w", HT_ERROR_OVERFLOW, { $0.wStride = .max / 4 * 4 }),
            ("endless mask", HT_ERROR_OVERFLOW, { $0.maskStride = .max }),
            ("one byte too few", HT_ERROR_BUFFER_SIZE, { $0.size = whole - 1 }),
            ("no bytes", HT_ERROR_BUFFER_SIZE, { $0.size = 0 }),
            ("threads", HT_ERROR_THREADS, { $0.threads = -1 }),
        ]
        for (name, status, spoil) in wrongs {
            var c = Call(o: o, k: k, w: w.start, packed: packed.start, size: packed.count)
            spoil(&c)
            var options = Run(threads: c.threads).options
            let got = ht_nm_pack_f32(
                c.o, c.k, 2, 4, c.w, c.wStride, mask.start, c.maskStride, c.packed, c.size, &options)
            #expect(got == status, "\(name)")
        }
        #expect(packed.values.allSatisfy { $0 == 0xee })
        #expect(ht_nm_packed_size(1, 1, 1, 1, HT_DTYPE_F32, nil, nil) == HT_ERROR_NULL)
        for (o, k) in [(Int.max, Int.max), (Self.huge, Self.huge), (1 << 40, 1 << 40), (1 << 62, 4)] {
            size = 77
            #expect(ht_nm_packed_size(o, k, 2, 4, HT_DTYPE_F32, nil, &size) == HT_ERROR_OVERFLOW)
            #expect(size == 77)
        }
    }

    @Test func spoiledUnpackingsAreRefused() {
        let operands = Operands()
        let w = operands.y
        let (o, k) = (Gemm.o, Gemm.k)
        func unpack(
            o: Int = o, k: Int = k, null: Bool = false, short: Int = 0, shift: Int = 0, stride: Int = 0,
            threads: CInt = 1
        ) -> ht_status {
            var options = Run(threads: threads).options
            let out = UnsafeMutableRawPointer(w.start) + shift
            return ht_nm_unpack(
                o, k, operands.packed.start, operands.packed.count - short,
                null ? nil : out.assumingMemoryBound(to: Float.self), stride, &options)
        }
        #expect(unpack(null: true) == HT_ERROR_NULL)
        #expect(unpack(shift: Self.misaligned) == HT_ERROR_ALIGNMENT)
        #expect(unpack(stride: 4 * k - 4) == HT_ERROR_STRIDE)
        #expect(unpack(stride: 4 * k + 1) == HT_ERROR_STRIDE)
        #expect(unpack(stride: .max / 4 * 4) == HT_ERROR_OVERFLOW)
        #expect(unpack(short: 1) == HT_ERROR_BLOB_TRUNCATED)
        #expect(unpack(o: o + 1) == HT_ERROR_BLOB_SHAPE)
        #expect(unpack(k: k + 1) == HT_ERROR_BLOB_SHAPE)
        #expect(unpack(threads: -1) == HT_ERROR_THREADS)
        #expect(ht_nm_unpack(o, k, nil, 64, w.start, 0, nil) == HT_ERROR_NULL)
        #expect(ht_nm_packed_info(operands.packed.start, operands.packed.count, nil) == HT_ERROR_NULL)
        #expect(operands.yIsUntouched)
    }

    #if !os(macOS)
        /// In a process of its own, whose memory a limit then takes away. Eight threads' scratch is more than the heap
        /// can still have in reserve.
        @Test func missingMemoryIsReported() async {
            await #expect(processExitsWith: .success) {
                var g = Generator(seed: 1)
                let product = Product(Product.Shape(t: 128, o: 4, k: 20_000, pattern: Pattern(n: 1, m: 16)), &g)
                let run = Run(threads: 8)
                try #require(product.failure(run) == nil)
                product.y.memory.copy(product.blank)
                var limit = rlimit(rlim_cur: 0, rlim_max: 0)
                try #require(setrlimit(.init(RLIMIT_AS.rawValue), &limit) == 0)
                let status = product.runAgain(run)
                let untouched = product.y.memory.hasSameBytes(as: product.blank)
                exit(status == HT_ERROR_MEMORY && untouched ? EXIT_SUCCESS : EXIT_FAILURE)
            }
        }
    #endif

    private static func shifted(_ pointer: UnsafePointer<Float>?) -> UnsafePointer<Float>? {
        pointer.map { (UnsafeRawPointer($0) + misaligned).assumingMemoryBound(to: Float.self) }
    }
}
