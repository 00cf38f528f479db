import CHalftoneBench
import Foundation

/// OpenBLAS through its C interface.
///
/// The environment variable OPENBLAS_CORETYPE makes it run kernels below what the CPU has, and some systems preset it;
/// a comparison with those would flatter us twofold. So the variable is set for the best kernels before the library is
/// loaded, and the library is asked afterwards which ones it took.
final class OpenBLAS: Rival {
    private typealias In = UnsafePointer<Float>
    private typealias Out = UnsafeMutablePointer<Float>
    private typealias Gemm =
        @convention(c) (
            Int32, Int32, Int32, Int32, Int32, Int32, Float, In, Int32, In, Int32, Float, Out, Int32
        ) -> Void
    private typealias Gemv =
        @convention(c) (Int32, Int32, Int32, Int32, Float, In, Int32, In, Int32, Float, Out, Int32) -> Void
    private typealias Text = @convention(c) () -> UnsafePointer<CChar>?

    let name = "openblas"
    let description: String
    let shortcoming: String?
    private let gemm: Gemm
    private let gemv: Gemv
    // The transposed weights of the last layer, which the products for each T and pattern share.
    private var transposed: (of: TypedMatrix, matrix: TypedMatrix)?

    init(threads: Int) throws {
        Self.askForBestKernels()
        let library = try SharedLibrary(
            variable: "HALFTONE_OPENBLAS", names: ["libopenblas.so.0", "libopenblas.so", "libopenblas.dylib"],
            hint: "openblas is not installed: apt install libopenblas0, "
                + "or let HALFTONE_OPENBLAS name a libopenblas.so (PyPI's scipy-openblas32 has one)")
        // The builds for SciPy put a prefix before every name.
        let prefix = library.function("scipy_cblas_sgemm", as: Gemm.self) == nil ? "" : "scipy_"
        gemm = try library.required(prefix + "cblas_sgemm", as: Gemm.self)
        gemv = try library.required(prefix + "cblas_sgemv", as: Gemv.self)
        let setThreads = try library.required(
            prefix + "openblas_set_num_threads", as: (@convention(c) (Int32) -> Void).self)
        let getThreads = try library.required(
            prefix + "openblas_get_num_threads", as: (@convention(c) () -> Int32).self)
        let core = Self.text(try library.required(prefix + "openblas_get_corename", as: Text.self))
        let config = Self.text(try library.required(prefix + "openblas_get_config", as: Text.self))
        setThreads(Int32(threads))
        let granted = Int(getThreads())
        let version = config.split(separator: " ").dropFirst().first.map(String.init) ?? "of unknown version"
        description = "\(version), kernels \(core), \(granted) thread\(granted == 1 ? "" : "s")"
        shortcoming = Self.shortcoming(core: core, granted: granted, threads: threads)
    }

    private static let avx512Cores = ["skylakex", "cooperlake", "sapphirerapids"]
    private static let avx2Cores = ["haswell", "zen"]

    private static func askForBestKernels() {
        let preset = ProcessInfo.processInfo.environment["OPENBLAS_CORETYPE"]?.lowercased()
        if cpuHasAVX512 {
            if !avx512Cores.contains(preset ?? "") { setenv("OPENBLAS_CORETYPE", "SkylakeX", 1) }
        } else {
            unsetenv("OPENBLAS_CORETYPE")
        }
        // A preset cache size would change its blocking; what it detects itself is its best.
        unsetenv("OPENBLAS_L2_SIZE")
    }

    private static func shortcoming(core: String, granted: Int, threads: Int) -> String? {
        let isAVX512 = avx512Cores.contains(core.lowercased())
        if cpuHasAVX512, !isAVX512 { return "runs kernels for \(core) on a CPU with AVX-512" }
        if cpuHasAVX2, !isAVX512, !avx2Cores.contains(core.lowercased()) {
            return "runs kernels for \(core) on a CPU with AVX2"
        }
        return granted == threads ? nil : "uses \(granted) threads instead of \(threads)"
    }

    private static func text(_ function: Text) -> String {
        function().map { String(cString: $0).trimmingCharacters(in: .whitespacesAndNewlines) } ?? "unknown"
    }

    // The values of CblasRowMajor, CblasNoTrans and CblasTrans.
    private static let rowMajor: Int32 = 101
    private static let plain: Int32 = 111
    private static let transposing: Int32 = 112

    func offers(_ kind: ProductKind) -> Bool { kind == .f32 }

    func forms(x: TypedMatrix, w: TypedMatrix, y: TypedMatrix) throws -> [RivalForm] {
        let (t, o, k) = (Int32(x.rows), Int32(w.rows), Int32(w.columns))
        let (gemm, gemv, turned) = (gemm, gemv, try transpose(w))
        var forms = [
            RivalForm(config: "sgemm, W as it is") {
                gemm(
                    Self.rowMajor, Self.plain, Self.transposing, t, o, k, 1, x.floats, k, w.floats, k, 0, y.floats, o)
            },
            RivalForm(config: "sgemm, W transposed before") {
                gemm(Self.rowMajor, Self.plain, Self.plain, t, o, k, 1, x.floats, k, turned.floats, o, 0, y.floats, o)
            },
        ]
        if t == 1 {
            forms.append(
                RivalForm(config: "sgemv") {
                    gemv(Self.rowMajor, Self.plain, o, k, 1, w.floats, k, x.floats, 1, 0, y.floats, 1)
                })
        }
        return forms
    }

    private func transpose(_ w: TypedMatrix) throws -> TypedMatrix {
        if let transposed, transposed.of === w { return transposed.matrix }
        let matrix = try TypedMatrix(rows: w.columns, columns: w.rows, type: w.type)
        htb_transpose(w.rows, w.columns, w.floats, matrix.floats)
        transposed = (w, matrix)
        return matrix
    }
}
