import CHalftone
import Halftone
import Testing

/// Plans, and the tuning files that they can be made from.
@Suite struct PlanTests {
    /// The types of X and W of every product that has kernels.
    private static let products = [
        ("nm_gemm_f32", HT_DTYPE_F32, HT_DTYPE_F32), ("nm_gemm_bf16", HT_DTYPE_BF16, HT_DTYPE_BF16),
        ("nm_gemm_i8", HT_DTYPE_U8, HT_DTYPE_I8), ("nm_gemm_i8", HT_DTYPE_I8, HT_DTYPE_I8),
    ].filter { product in Machine.kernels.contains { $0.op == product.0 } }.map { ($0.1, $0.2) }

    private static func plan(
        _ t: Int, _ o: Int, _ k: Int, _ n: Int, _ m: Int, x: ht_dtype = HT_DTYPE_F32, w: ht_dtype = HT_DTYPE_F32,
        threads: Int32 = 1, isa: ht_isa = HT_ISA_AUTO, machine: ht_machine? = nil
    ) throws -> ht_plan {
        var options = ht_options()
        (options.threads, options.isa) = (threads, isa)
        var plan = ht_plan()
        var machine = try machine ?? model()
        try #require(ht_nm_plan(t, o, k, n, m, x, w, &options, &machine, &plan) == HT_OK)
        return plan
    }

    private static func model() throws -> ht_machine {
        var machine = ht_machine()
        try #require(ht_machine_default(&machine) == HT_OK)
        return machine
    }

    // MARK: predictions

    @Test(arguments: products) func timeNeverGrowsWithSparsity(x: ht_dtype, w: ht_dtype) throws {
        var generator = Generator(seed: 20)
        for _ in 0..<300 {
            let (o, k) = (Int.random(in: 256...4608, using: &generator), Int.random(in: 256...4608, using: &generator))
            let t = [1, 4, 16, 33, Int.random(in: 1...700, using: &generator)].randomElement(using: &generator)!
            let threads = Int32.random(in: 1...2, using: &generator)
            let seconds =
                try [2, 1].map { try Self.plan(t, o, k, $0, 4, x: x, w: w, threads: threads).seconds }
                + [8, 16].map { try Self.plan(t, o, k, 1, $0, x: x, w: w, threads: threads).seconds }
            #expect(zip(seconds, seconds.dropFirst()).allSatisfy { $0 >= $1 }, "\(o)x\(k)x\(t): \(seconds)")
        }
    }

    /// A pattern that prunes nothing is a dense product with indices on top, and at 1:16 nothing dense keeps up.
    @Test(arguments: products) func denseWinsWhereItShould(x: ht_dtype, w: ht_dtype) throws {
        for t in [1, 16, 128, 512] {
            let whole = try Self.plan(t, 1024, 1024, 4, 4, x: x, w: w)
            let sparse = try Self.plan(t, 1024, 1024, 1, 16, x: x, w: w)
            #expect(whole.dense_wins == 1, "\(t) rows, 4:4: \(whole.seconds) against \(whole.dense_seconds)")
            #expect((whole.dense_wins == 1) == (whole.dense_seconds < whole.seconds))
            #expect((sparse.dense_wins == 1) == (sparse.dense_seconds < sparse.seconds))
            guard sparse.design != HT_NM_DESIGN_REFERENCE else { continue }
            #expect(sparse.dense_wins == 0, "\(t) rows, 1:16: \(sparse.seconds) against \(sparse.dense_seconds)")
        }
    }

    @Test func aPlanIsTheSumOfItsParts() throws {
        for (o, k, t) in [(256, 256, 1), (768, 3072, 33), (4096, 4096, 512), (1, 1, 1), (17, 100, 5)] {
            let plan = try Self.plan(t, o, k, 2, 4)
            let sum = plan.arithmetic + plan.weights + plan.x + plan.y + plan.overhead
            #expect(abs(plan.seconds - sum) <= plan.seconds * 1e-12)
            #expect(plan.seconds > 0 && plan.seconds.isFinite && plan.dense_seconds > 0)
            var size = 0
            #expect(ht_nm_packed_size(o, k, 2, 4, HT_DTYPE_F32, nil, &size) == HT_OK)
            #expect(plan.bytes >= Double(size + 4 * t * (o + k)))
            #expect(String(cString: plan.op) == "nm_gemm_f32")
        }
    }

    @Test func everyRowThatRunsHasAPlanOfItsOwn() throws {
        for kernel in Machine.kernels where kernel.runs && kernel.op == "nm_gemm_f32" {
            let isa = ht_isa(rawValue: ht_isa.RawValue(ht_isa_named(kernel.isa)))
            let plan = try Self.plan(128, 1024, 1024, 2, 4, isa: isa)
            #expect(plan.isa == isa)
            #expect((plan.design == HT_NM_DESIGN_REFERENCE) == (kernel.isa == "ref"))
        }
        #expect(ht_nm_design_name(ht_nm_design(rawValue: 99)) == nil)
    }

    @Test func threadsShareTheWork() throws {
        let one = try Self.plan(512, 4096, 4096, 1, 4)
        let two = try Self.plan(512, 4096, 4096, 1, 4, threads: 2)
        #expect(one.threads == 1 && two.threads == 2 && two.row_pieces * two.column_pieces == 2)
        #expect(two.seconds < one.seconds * 0.6 && two.seconds >= one.seconds * 0.5)
        let narrow = try Self.plan(1, 16, 4096, 1, 4, threads: 8)
        #expect(narrow.threads == 1)
    }

    @Test func emptyProductsCostACall() throws {
        for (o, k, t) in [(0, 0, 0), (0, 64, 5), (64, 64, 0), (5, 0, 3)] {
            let plan = try Self.plan(t, o, k, 2, 4, threads: 2)
            #expect(plan.seconds >= plan.overhead && plan.seconds < 1e-3)
            #expect(plan.arithmetic == 0 && plan.weights == 0)
        }
    }

    @Test func plansFollowTheMachine() throws {
        let slow = try Self.model()
        var fast = slow
        fast.clock *= 2
        let (before, after) = (
            try Self.plan(128, 768, 768, 2, 4, machine: slow), try Self.plan(128, 768, 768, 2, 4, machine: fast)
        )
        #expect(abs(after.arithmetic - before.arithmetic / 2) <= before.arithmetic * 1e-9)
        var options = ht_options()
        options.threads = 1
        var plan = ht_plan()
        #expect(ht_nm_plan(128, 768, 768, 2, 4, HT_DTYPE_F32, HT_DTYPE_F32, &options, nil, &plan) == HT_OK)
        #expect(plan.seconds == before.seconds)
    }

    @Test func badRequestsAreRefused() {
        var plan = ht_plan()
        func status(
            _ n: Int, _ m: Int, x: ht_dtype = HT_DTYPE_F32, w: ht_dtype = HT_DTYPE_F32, k: Int = 16,
            options: ht_options = ht_options()
        ) -> ht_status {
            var options = options
            return ht_nm_plan(1, 16, k, n, m, x, w, &options, nil, &plan)
        }
        #expect(ht_nm_plan(1, 1, 1, 1, 2, HT_DTYPE_F32, HT_DTYPE_F32, nil, nil, nil) == HT_ERROR_NULL)
        #expect(status(5, 4) == HT_ERROR_PATTERN && status(0, 4) == HT_ERROR_PATTERN)
        #expect(status(2, 4, x: HT_DTYPE_F16) == HT_ERROR_BLOB_DTYPE)
        #expect(status(2, 4, x: HT_DTYPE_U8, w: HT_DTYPE_F32) == HT_ERROR_BLOB_DTYPE)
        #expect(status(2, 4, w: HT_DTYPE_I32) == HT_ERROR_BLOB_DTYPE)
        #expect(status(2, 4, k: Int.max) == HT_ERROR_OVERFLOW)
        var options = ht_options()
        options.threads = -1
        #expect(status(2, 4, options: options) == HT_ERROR_THREADS)
        options = ht_options()
        options.isa = ht_isa(rawValue: 99)
        #expect(status(2, 4, options: options) == HT_ERROR_ISA)
        options = ht_options()
        options.shared_rows = 3
        #expect(status(2, 4, options: options) == HT_ERROR_PATTERN)
    }

    // MARK: tuning files

    private static func text(of machine: ht_machine) -> String {
        var machine = machine
        var bytes = [CChar](repeating: 1, count: ht_machine_write(&machine, nil, 0) + 1)
        #expect(ht_machine_write(&machine, &bytes, bytes.count) == bytes.count - 1)
        #expect(bytes.last == 0)
        return String(decoding: bytes.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// The status of reading `text` out of memory that ends with it, and what became of a zeroed machine.
    private static func read(_ text: String) -> (ht_status, ht_machine) {
        var machine = ht_machine()
        let bytes = Guarded<CChar>(count: text.utf8.count, repeating: 0)
        for (index, byte) in text.utf8.enumerated() { bytes.start[index] = CChar(bitPattern: byte) }
        return (ht_machine_read(bytes.start, text.utf8.count, &machine), machine)
    }

    @Test func aTuningFileComesBackAsItWas() throws {
        let text = Self.text(of: try Self.model())
        let (status, machine) = Self.read(text)
        #expect(status == HT_OK)
        #expect(Self.text(of: machine) == text)
        let plan = try Self.plan(33, 768, 768, 1, 8)
        let again = try Self.plan(33, 768, 768, 1, 8, machine: machine)
        #expect(abs(plan.seconds - again.seconds) < plan.seconds * 0.01)
        #expect(Self.read("# measured at night\n\n" + text + "\n# the end").0 == HT_OK)
        #expect(Self.read(String(text.dropLast())).0 == HT_OK)
    }

    @Test func everyLineIsNeededOnceAndInItsPlace() throws {
        let lines = Self.text(of: try Self.model()).split(separator: "\n").map(String.init)
        func refuses(_ lines: [String]) -> Bool {
            let (status, machine) = Self.read(lines.joined(separator: "\n") + "\n")
            return status == HT_ERROR_TUNING && machine.clock == 0 && machine.rows.0.0.peak == 0
        }
        for index in lines.indices {
            var fewer = lines
            fewer.remove(at: index)
            #expect(refuses(fewer), "without \(lines[index])")
            #expect(refuses(Array(lines[...index]) + Array(lines[index...])), "\(lines[index]) twice")
            #expect(refuses(Array(lines[..<index])))
            for wrong in ["x", " 1", " nan", "9999999999999999999"] {
                var other = lines
                other[index] += wrong
                #expect(refuses(other), "\(other[index])")
            }
        }
        #expect(refuses(lines + ["nm_gemm_f64.avx512.peak 1"]))
        #expect(refuses([]))
    }

    @Test func numbersMustBeInRangeAndFitEachOther() throws {
        let text = Self.text(of: try Self.model())
        func changed(_ key: String, to numbers: String) -> ht_status {
            let lines = text.split(separator: "\n").map { $0.hasPrefix(key + " ") ? "\(key) \(numbers)" : String($0) }
            return Self.read(lines.joined(separator: "\n")).0
        }
        #expect(changed("clock_khz", to: "3000000") == HT_OK)
        for numbers in ["0", "-1", "3e6", "3000000.5", "+3000000", "1000000000000", "", "nan", "inf", "0x100000"] {
            #expect(changed("clock_khz", to: numbers) == HT_ERROR_TUNING, "\(numbers)")
        }
        #expect(changed("cache_bytes", to: "32768 1048576 1048576") == HT_OK)
        #expect(changed("cache_bytes", to: "32768 1048576 524288") == HT_ERROR_TUNING)
        #expect(changed("cache_bytes", to: "32768 16384 1048576") == HT_ERROR_TUNING)
        #expect(changed("memory_mb_per_s", to: "30000 20000") == HT_ERROR_TUNING)
        #expect(changed("halftone-tuning", to: "2") == HT_ERROR_TUNING)
        #expect(changed("features", to: "none") == HT_ERROR_TUNING)
    }

    @Test func writingStopsAtTheCapacity() throws {
        var machine = try Self.model()
        let whole = ht_machine_write(&machine, nil, 0)
        for capacity in [1, 2, 17, whole - 1, whole, whole + 1] {
            let bytes = Guarded<CChar>(count: capacity, repeating: 1)
            #expect(ht_machine_write(&machine, bytes.start, capacity) == whole)
            #expect(bytes.start[min(whole, capacity - 1)] == 0)
        }
        #expect(ht_machine_write(nil, nil, 0) == 0)
        #expect(ht_machine_default(nil) == HT_ERROR_NULL)
        #expect(ht_machine_read(nil, 0, &machine) == HT_ERROR_NULL)
    }
}
