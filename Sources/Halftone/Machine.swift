import CHalftone

/// What this machine offers and what the library makes of it.
public enum Machine {
    /// One kernel of the library.
    public struct Kernel: Hashable, Sendable {
        /// The operation, as in `"nm_gemm_f32"`.
        public let op: String
        /// The name of the ISA it is written for, as in `"avx512"`.
        public let isa: String
        /// Whether this machine can run it.
        public let runs: Bool
        /// Whether ``ISA/automatic`` picks it.
        public let chosen: Bool
    }

    /// Every kernel there is, each operation's best first and its portable reference last.
    public static var kernels: [Kernel] {
        let count = ht_kernels(nil, 0)
        let rows = [ht_kernel_info](unsafeUninitializedCapacity: count) { buffer, initialized in
            initialized = min(count, ht_kernels(buffer.baseAddress, count))
        }
        return rows.map { row in
            Kernel(
                op: String(cString: row.op), isa: String(cString: row.isa), runs: row.runs != 0,
                chosen: row.chosen != 0)
        }
    }

    /// The CPU features that kernels ask about and this machine has, as in `["avx2", "fma"]`.
    public static var cpuFeatures: [String] {
        String(cString: ht_cpu_features()).split(separator: " ").map(String.init)
    }

    /// The OpenMP runtime that threads come from, as in `"libomp.so.5"`; `"serial"` when none was found.
    public static var threadRuntime: String { String(cString: ht_thread_runtime()) }

    /// The file that dense weight gradients come from, as in `"libopenblas.so.0"`; `"none"` when no BLAS was found. The
    /// environment variable `HALFTONE_BLAS` names one, or `none`.
    public static var blasRuntime: String { String(cString: ht_blas_runtime()) }

    /// How many threads a call uses when it may use all.
    public static var threadCount: Int { Int(ht_thread_count()) }
}
