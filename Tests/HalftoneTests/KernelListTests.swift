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

/// The list of kernels, the ISA names, and the environment variable that picks one.
@Suite struct KernelListTests {
    private static var ops: [String: [Machine.Kernel]] { Dictionary(grouping: Machine.kernels, by: \.op) }

    @Test func eachOpEndsWithItsReference() {
        #expect(Self.ops.keys.contains("nm_gemm_f32"))
        for rows in Self.ops.values {
            #expect(rows.last?.isa == "ref")
            #expect(rows.last?.runs == true)
            #expect(Set(rows.map(\.isa)).count == rows.count)
        }
    }

    @Test func eachOpHasOneChosenRowAndItRuns() {
        for rows in Self.ops.values {
            let chosen = rows.filter(\.chosen)
            #expect(chosen.count == 1)
            #expect(chosen.allSatisfy { $0.runs })
        }
    }

    /// Silently slow is a bug: a machine with vectors uses them.
    @Test(.enabled(if: getenv("HALFTONE_ISA") == nil)) func theBestThatRunsIsChosen() {
        for rows in Self.ops.values {
            #expect(rows.first(where: \.runs)?.chosen == true)
            if Machine.cpuFeatures.contains("avx2"), Machine.cpuFeatures.contains("fma") {
                #expect(rows.first(where: \.chosen)?.isa != "ref")
            }
        }
    }

    @Test func theListIsCutAtItsCapacity() {
        let whole = ht_kernels(nil, 0)
        #expect(whole == Machine.kernels.count)
        let list = Guarded<ht_kernel_info>(count: 1, repeating: ht_kernel_info())
        #expect(ht_kernels(list.start, 1) == whole)
        #expect(list.start[0].op.map { String(cString: $0) } == Machine.kernels[0].op)
        #expect(ht_kernels(list.start, 0) == whole)
    }

    @Test func everyRowHasAnISAByName() {
        for row in Machine.kernels { #expect(ISA(row.isa)?.description == row.isa) }
        for isa in ISA.allCases { #expect(ISA(isa.description) == isa) }
        #expect(ISA("auto") == .automatic && ISA("ref") == .reference)
        #expect(ISA("sse9") == nil && ISA("") == nil && ISA("AVX2") == nil)
        #expect(ht_isa_named(nil) == -1 && ht_isa_named("sse9") == -1)
        #expect(ht_isa_name(ht_isa(rawValue: 99)) == nil)
    }

    @Test func theMachineHasThreads() {
        #expect(Machine.threadCount >= 1)
        #expect(!Machine.threadRuntime.isEmpty)
        if Machine.threadRuntime == "serial" { #expect(Machine.threadCount == 1) }
    }

    /// In processes of their own: an environment is shared by all threads of one.
    @Test func theEnvironmentPicksTheRow() async {
        await #expect(processExitsWith: .success) {
            for row in Machine.kernels where row.runs {
                setenv("HALFTONE_ISA", row.isa, 1)
                try #require(Machine.kernels.filter { $0.op == row.op && $0.chosen }.map(\.isa) == [row.isa])
            }
        }
        await #expect(processExitsWith: .success) {
            setenv("HALFTONE_ISA", "sse9", 1)
            try #require(Machine.kernels.allSatisfy { !$0.chosen })
            let matrix = try NMMatrix(packing: [1] as [Float], rows: 1, columns: 1, pattern: NMPattern(1, of: 1))
            #expect(throws: HalftoneError.isa) { try matrix.multiply([1] as [Float], rows: 1) }
            // A row that is asked for by name does not need the variable.
            #expect(try matrix.multiply([3] as [Float], rows: 1, options: ProductOptions(isa: .reference)) == [3])
        }
        await #expect(processExitsWith: .success) {
            setenv("HALFTONE_ISA", "", 1)
            try #require(Machine.kernels.contains { $0.chosen })
        }
    }

    /// Without threads the results are the same.
    @Test func theEnvironmentCanForbidThreads() async {
        await #expect(processExitsWith: .success) {
            setenv("HALFTONE_RUNTIME", "serial", 1)
            #if !os(macOS)
                try #require(Machine.threadRuntime == "serial" && Machine.threadCount == 1)
            #endif
            var g = Generator(seed: 1)
            let product = Product(Product.Shape(t: 70, o: 70, k: 70, pattern: Pattern(n: 2, m: 4)), &g)
            for threads: CInt in [0, 1, 5] { #expect(product.failure(Run(threads: threads)) == nil) }
        }
    }

    @Test func everyStatusHasATextOfItsOwn() {
        var texts = Set<String>()
        let unknown = String(cString: ht_status_text(ht_status(rawValue: 999)))
        let known = (0..<999).map { String(cString: ht_status_text(ht_status(rawValue: .init($0)))) }
            .prefix { $0 != unknown }
        for text in known { #expect(texts.insert(text).inserted, "\(text)") }
        #expect(known.count == Int(HT_ERROR_OPTIMIZER.rawValue) + 1)
    }
}
