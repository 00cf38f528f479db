import CHalftone

/// An instruction set that kernels are written for.
public enum ISA: Hashable, Sendable, CaseIterable {
    /// The best that runs here, or what the environment variable `HALFTONE_ISA` names.
    case automatic
    /// Portable C, on every machine: the definition of each operation.
    case reference
    /// AVX2 and FMA.
    case avx2
    /// AVX-512 F, BW, DQ and VL.
    case avx512

    var code: ht_isa {
        switch self {
        case .automatic: HT_ISA_AUTO
        case .reference: HT_ISA_REF
        case .avx2: HT_ISA_AVX2
        case .avx512: HT_ISA_AVX512
        }
    }
}

extension ISA: LosslessStringConvertible {
    /// The ISA named `"auto"`, `"ref"`, `"avx2"` or `"avx512"`; nil for another name.
    public init?(_ description: String) {
        guard let isa = Self.allCases.first(where: { $0.description == description }) else { return nil }
        self = isa
    }

    /// The name by which the C library, `HALFTONE_ISA` and ``Machine/kernels`` call it.
    public var description: String { String(cString: ht_isa_name(code)) }
}
