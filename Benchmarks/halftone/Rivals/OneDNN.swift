import Foundation

/// oneDNN 3 through its C interface: matmuls and convolutions whose weights are brought into the format they ask for
/// beforehand.
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

    func offers(_ operation: Operation, _ kind: ProductKind) -> Bool { true }

    func forms(_ problem: Problem, _ operands: Operands) throws -> [RivalForm] {
        let setting = OneDNNPrimitive.Setting(calls: calls, engine: engine, stream: stream)
        let primitives: [OneDNNPrimitive] =
            switch problem.operation {
            case .convolution: try OneDNNConvolution.forward(problem, operands, setting)
            case .backwardConvolution: try OneDNNConvolution.backward(problem, operands, setting)
            default: [try OneDNNMatmul.primitive(problem, operands, setting)]
            }
        return primitives.map { primitive in
            RivalForm(config: primitive.config, shortcoming: Self.shortcoming(of: primitive.implementation)) {
                try primitive.run()
            }
        }
    }

    /// Implementations that name an ISA name it behind a colon, as "brg:avx512_core" does; "ref" is plain C++.
    private static func shortcoming(of implementation: String) -> String? {
        if implementation.hasPrefix("ref") { return "uses its reference implementation" }
        let isLower = implementation.contains(":avx2") || implementation.contains(":sse")
        return cpuHasAVX512 && isLower ? "uses \(implementation) on a CPU with AVX-512" : nil
    }
}
