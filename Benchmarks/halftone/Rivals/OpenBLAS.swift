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

    func offers(_ operation: Operation, _ kind: ProductKind) -> Bool {
        kind == .f32 && !operation.isConvolution
    }

    func forms(_ problem: Problem, _ operands: Operands) throws -> [RivalForm] {
        problem.operation.direction == .gradient
            ? gradients(problem, operands) : try products(problem, operands)
    }

    /// Y = X * transpose(W) or dX = dY * W: activations times the weights, turned one way or the other.
    private func products(_ problem: Problem, _ operands: Operands) throws -> [RivalForm] {
        let isForward = problem.operation.direction == .forward
        let (t, o, k) = (Int32(problem.t), Int32(problem.o), Int32(problem.k))
        let (from, to) = isForward ? (operands.x, operands.y) : (operands.y, operands.x)
        let (inner, outer) = isForward ? (k, o) : (o, k)
        let (w, turned) = (operands.w, try transpose(operands.w))
        let (gemm, gemv) = (gemm, gemv)
        let (asItIs, other) = isForward ? (Self.transposing, Self.plain) : (Self.plain, Self.transposing)
        let forms = [
            RivalForm(config: "sgemm, W as it is") {
                gemm(
                    Self.rowMajor, Self.plain, asItIs, t, outer, inner, 1, from.floats, inner, w.floats, k, 0,
                    to.floats, outer)
            },
            RivalForm(config: "sgemm, W transposed before") {
                gemm(
                    Self.rowMajor, Self.plain, other, t, outer, inner, 1, from.floats, inner, turned.floats, o, 0,
                    to.floats, outer)
            },
        ]
        guard t == 1 else { return forms }
        return forms + [
            RivalForm(config: "sgemv") {
                gemv(Self.rowMajor, other, o, k, 1, w.floats, k, from.floats, 1, 0, to.floats, 1)
            }
        ]
    }

    /// dW = transpose(dY) * X.
    private func gradients(_ problem: Problem, _ operands: Operands) -> [RivalForm] {
        let (t, o, k) = (Int32(problem.t), Int32(problem.o), Int32(problem.k))
        let (gemm, x, dy, dw) = (gemm, operands.x, operands.y, operands.w)
        return [
            RivalForm(config: "sgemm") {
                gemm(
                    Self.rowMajor, Self.transposing, Self.plain, o, k, t, 1, dy.floats, o, x.floats, k, 0, dw.floats, k)
            }
        ]
    }

    private func transpose(_ w: TypedMatrix) throws -> TypedMatrix {
        if let transposed, transposed.of === w { return transposed.matrix }
        let matrix = try TypedMatrix(rows: w.columns, columns: w.rows, type: w.type)
        htb_transpose(w.rows, w.columns, w.floats, matrix.floats)
        transposed = (w, matrix)
        return matrix
    }
}
