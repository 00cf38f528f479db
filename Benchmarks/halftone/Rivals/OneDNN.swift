import Foundation

/// oneDNN 3 through its C interface: a matmul whose weights are brought into the format it asks for beforehand.
final class OneDNN: Rival {
    let name = "onednn"
    let description: String
    let shortcoming: String?
    private let calls: OneDNNCalls
    private let engine: OpaquePointer
    private let stream: OpaquePointer

    init(threads: Int) throws {
        // A preset ceiling would keep it below what the CPU has.
        unsetenv("ONEDNN_MAX_CPU_ISA")
        unsetenv("DNNL_MAX_CPU_ISA")
        let library = try SharedLibrary(
            variable: "HALFTONE_ONEDNN", names: ["libdnnl.so.3", "libdnnl.so"],
            hint: "onednn 3 is not installed: apt install libdnnl3 where there is one, "
                + "or let HALFTONE_ONEDNN name a libdnnl.so.3 (PyPI's onednn-cpu-gomp has one)")
        calls = try OneDNNCalls(library: library)
        let version = calls.version()
        guard version[0] == 3 else {
            throw NotInstalled(
                description: "\(library.name) is oneDNN \(version[0]).\(version[1]); version 3 is needed")
        }
        var engine: OpaquePointer?
        guard calls.createEngine(&engine, OneDNNCalls.cpu, 0) == 0, let engine else {
            throw NotInstalled(
                description: "\(library.name) has no CPU engine (a SYCL build needs Intel's OpenCL runtime for CPUs)")
        }
        self.engine = engine
        var stream: OpaquePointer?
        try OneDNNCalls.check(calls.createStream(&stream, engine, OneDNNCalls.inOrder), "create a stream")
        self.stream = stream!
        calls.setThreads?(Int32(threads))
        let isa = calls.effectiveISA()
        let isaName = OneDNN.name(ofISA: isa)
        description = "\(version[0]).\(version[1]).\(version[2]), kernels up to \(isaName)"
        shortcoming = Self.shortcoming(
            isa: isa, isaName: isaName, setsThreads: calls.setThreads != nil, threads: threads)
    }

    // Bits of dnnl_cpu_isa_t: each level has those of the ones below.
    private static let avx2Bits: Int32 = 0x7
    private static let avx512Bits: Int32 = 0x27

    private static func name(ofISA isa: Int32) -> String {
        if isa == 0 { return "all the CPU has" }
        if isa & avx512Bits == avx512Bits { return "AVX-512" }
        return isa & avx2Bits == avx2Bits ? "AVX2" : "less than AVX2"
    }

    private static func shortcoming(isa: Int32, isaName: String, setsThreads: Bool, threads: Int) -> String? {
        if isa != 0, cpuHasAVX512, isa & avx512Bits != avx512Bits { return "runs \(isaName) on a CPU with AVX-512" }
        if isa != 0, cpuHasAVX2, isa & avx2Bits != avx2Bits { return "runs \(isaName) on a CPU with AVX2" }
        return setsThreads ? nil : "has no OpenMP runtime that could be told to use \(threads) threads"
    }

    func offers(_ kind: ProductKind) -> Bool { true }

    func forms(x: TypedMatrix, w: TypedMatrix, y: TypedMatrix) throws -> [RivalForm] {
        let product = try OneDNNProduct(calls: calls, engine: engine, stream: stream, x: x, w: w, y: y)
        let implementation = product.implementation
        return [
            RivalForm(
                config: "matmul \(implementation), W reordered before",
                shortcoming: Self.shortcoming(of: implementation)
            ) { try product.run() }
        ]
    }

    /// Implementations that name an ISA name it behind a colon, as "brg:avx512_core" does; "ref" is plain C++.
    private static func shortcoming(of implementation: String) -> String? {
        if implementation.hasPrefix("ref") { return "uses its reference implementation" }
        let isLower = implementation.contains(":avx2") || implementation.contains(":sse")
        return cpuHasAVX512 && isLower ? "uses \(implementation) on a CPU with AVX-512" : nil
    }
}

/// One matmul with its operands. It owns what it made.
private final class OneDNNProduct {
    let implementation: String
    private let calls: OneDNNCalls
    private let stream: OpaquePointer
    private let primitive: OpaquePointer
    private let memories: [OpaquePointer]
    private let arguments: UnsafeMutablePointer<OneDNNCalls.Argument>
    private let reordered: Memory

    init(
        calls: OneDNNCalls, engine: OpaquePointer, stream: OpaquePointer, x: TypedMatrix, w: TypedMatrix, y: TypedMatrix
    ) throws {
        let source = try calls.describe(x.type, rows: x.rows, columns: x.columns, strides: (x.columns, 1))
        let plain = try calls.describe(w.type, rows: w.columns, columns: w.rows, strides: (1, w.columns))
        let result = try calls.describe(y.type, rows: y.rows, columns: y.columns, strides: (y.columns, 1))
        let wished = try calls.describeAny(w.type, rows: w.columns, columns: w.rows)
        defer { for description in [source, plain, result, wished] { _ = calls.destroyDescription(description) } }

        var made: OpaquePointer?
        try OneDNNCalls.check(
            calls.describeMatmul(&made, engine, source, wished, nil, result, nil), "describe a matmul")
        let matmul = made!
        defer { _ = calls.destroyPrimitiveDescription(matmul) }
        implementation = calls.implementation(of: matmul)
        guard let packed = calls.queryDescription(matmul, OneDNNCalls.queryWeights, 0) else {
            throw ToolError("oneDNN does not say which weights its matmul wants")
        }
        reordered = try Memory(bytes: calls.size(packed))

        let from = try calls.memory(plain, engine, w.data)
        let weights = try calls.memory(packed, engine, reordered.address)
        defer { _ = calls.destroyMemory(from) }
        try calls.reorder(plain, packed, from: from, to: weights, engine, stream)

        try OneDNNCalls.check(calls.createPrimitive(&made, matmul), "create a matmul")
        primitive = made!
        memories = [try calls.memory(source, engine, x.data), weights, try calls.memory(result, engine, y.data)]
        arguments = .allocate(capacity: 3)
        arguments.initialize(to: .init(index: OneDNNCalls.source, memory: memories[0]))
        (arguments + 1).initialize(to: .init(index: OneDNNCalls.weights, memory: memories[1]))
        (arguments + 2).initialize(to: .init(index: OneDNNCalls.destination, memory: memories[2]))
        self.calls = calls
        self.stream = stream
    }

    deinit {
        _ = calls.destroyPrimitive(primitive)
        for memory in memories { _ = calls.destroyMemory(memory) }
        arguments.deallocate()
    }

    func run() throws {
        try OneDNNCalls.check(calls.execute(primitive, stream, 3, arguments), "run a matmul")
        try OneDNNCalls.check(calls.wait(stream), "wait for a matmul")
    }
}
