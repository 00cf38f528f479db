import CHalftone

/// An instruction set that kernels are written for.
public enum ISA: Hashable, Sendable, CaseIterable {
    /// The best that runs here, or that the environment variable `HALFTONE_ISA` allows.
    case automatic
    /// Portable C, on every machine: the definition of each operation.
    case reference
    /// AVX2, FMA, BMI2 and F16C.
    case avx2
    /// AVX-512 F, BW, DQ and VL.
    case avx512
    /// AVX2 and AVX-VNNI.
    case avxVNNI
    /// AVX-512 as above, VNNI, VBMI and VBMI2.
    case avx512VNNI
    /// AVX-512 as above, and BF16.
    case avx512BF16
    /// AArch64 Advanced SIMD.
    case neon
    /// NEON and the 8-bit dot products.
    case neonDotProduct
    /// NEON, dot products and 8-bit matrix products.
    case neonI8MM
    /// NEON and bfloat16 products.
    case neonBF16
    /// AVX-512 as above, VPOPCNTDQ, BITALG, VBMI2 and GFNI.
    case avx512Popcount

    var code: ht_isa {
        switch self {
        case .automatic: HT_ISA_AUTO
        case .reference: HT_ISA_REF
        case .avx2: HT_ISA_AVX2
        case .avx512: HT_ISA_AVX512
        case .avxVNNI: HT_ISA_AVX_VNNI
        case .avx512VNNI: HT_ISA_AVX512_VNNI
        case .avx512BF16: HT_ISA_AVX512_BF16
        case .neon: HT_ISA_NEON
        case .neonDotProduct: HT_ISA_NEON_DOTPROD
        case .neonI8MM: HT_ISA_NEON_I8MM
        case .neonBF16: HT_ISA_NEON_BF16
        case .avx512Popcount: HT_ISA_AVX512_POPCNT
        }
    }
}

extension ISA: LosslessStringConvertible {
    /// The ISA with this ``description``, as in `"auto"`, `"ref"`, `"avx512vnni"`; nil for another name.
    public init?(_ description: String) {
        guard let isa = Self.allCases.first(where: { $0.description == description }) else { return nil }
        self = isa
    }

    /// The name by which the C library, `HALFTONE_ISA` and ``Machine/kernels`` call it.
    public var description: String { String(cString: ht_isa_name(code)) }
}
