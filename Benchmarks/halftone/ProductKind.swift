import CHalftone
import CHalftoneBench

/// The operations of the library by the type of their inputs, which is also the word that `--dtype` knows it by.
enum ProductKind: String, CaseIterable {
    case f32, bf16, u8, i8
    /// Bits: signs, and zeros and ones.
    case b1, u1

    /// The name of an operation on this kind in the list of kernels, which serve signed and unsigned bytes alike, both
    /// kinds of bits, and signs of any type.
    func op(_ operation: Operation) -> String {
        if operation == .signPacking { return "signs" }
        return switch self {
        case .b1, .u1: operation.rawValue
        case .u8, .i8: "\(operation.rawValue)_i8"
        case .f32, .bf16: "\(operation.rawValue)_\(self)"
        }
    }

    var isBits: Bool { self == .b1 || self == .u1 }

    var weights: ht_dtype {
        switch self {
        case .f32: HT_DTYPE_F32
        case .bf16: HT_DTYPE_BF16
        case .u8, .i8: HT_DTYPE_I8
        case .b1, .u1: HT_DTYPE_B1
        }
    }

    var inputs: ht_dtype {
        switch self {
        case .f32: HT_DTYPE_F32
        case .bf16: HT_DTYPE_BF16
        case .u8: HT_DTYPE_U8
        case .i8: HT_DTYPE_I8
        case .b1: HT_DTYPE_B1
        case .u1: HT_DTYPE_U1
        }
    }

    var outputs: ht_dtype { isExact ? HT_DTYPE_I32 : HT_DTYPE_F32 }

    /// What y can be.
    func offeredOutputs(_ operation: Operation) -> [ht_dtype] {
        let ofIntegers = [HT_DTYPE_I32, HT_DTYPE_F32, HT_DTYPE_BF16, HT_DTYPE_U8, HT_DTYPE_I8]
        return switch self {
        case .f32: operation.isBinary ? [HT_DTYPE_F32, HT_DTYPE_BF16] : [HT_DTYPE_F32]
        case .bf16: [HT_DTYPE_F32, HT_DTYPE_BF16]
        case .u8, .i8: ofIntegers
        case .b1, .u1: ofIntegers + [HT_DTYPE_I16, HT_DTYPE_B1]
        }
    }

    /// Sums of integers have no error.
    var isExact: Bool { self != .f32 && self != .bf16 }

    /// The kinds of dense products that an operation on this kind is compared with.
    func denseKinds(_ operation: Operation) -> [ProductKind] {
        if operation == .signPacking { return [] }
        guard operation.isBinary else { return [self] }
        return isBits ? [.f32, .u8] : [self]
    }

    /// Weights as this kind has them: rounded, those of 8 bits after scaling the largest to 127.
    func rounded(weights w: FloatMatrix) throws -> FloatMatrix {
        switch self {
        case .f32: return w
        case .bf16: return try w.map(upperHalf)
        case .u8, .i8:
            let largest = w.values.reduce(0) { max($0, abs($1)) }
            let scale = largest > 0 ? 127 / largest : 1
            return try w.map { ($0 * scale).rounded() }
        case .b1, .u1: return try w.map { $0 < 0 ? -1 : 1 }
        }
    }

    /// Normal inputs as this kind has them: those of 8 bits with a deviation of 40 round the middle of their range.
    func rounded(inputs x: FloatMatrix) throws -> FloatMatrix {
        switch self {
        case .f32: return x
        case .bf16: return try x.map(upperHalf)
        case .u8: return try x.map { min(255, max(0, ($0 * 40).rounded() + 128)) }
        case .i8: return try x.map { min(127, max(-128, ($0 * 40).rounded())) }
        case .b1: return try x.map { $0 < 0 ? -1 : 1 }
        case .u1: return try x.map { $0 < 0 ? 1 : 0 }
        }
    }

    /// |y - exact| / sum |x w| that a sum of so many products may have.
    func bound(terms: Int, columns: Int) -> Double {
        isExact ? 0 : errorBound(terms: terms, columns: columns)
    }

    /// What a kernel of this kind and ISA is compared with: the best that a dense one on the same instructions has; of
    /// bits, the rate at which words of them are compared and counted.
    func unit(isa: ht_isa) -> htb_unit {
        switch (self, isa) {
        case (.b1, HT_ISA_AVX512_POPCNT), (.u1, HT_ISA_AVX512_POPCNT): HTB_B1_AVX512_POPCNT
        case (.b1, HT_ISA_AVX512), (.u1, HT_ISA_AVX512): HTB_B1_AVX512
        case (.b1, HT_ISA_AVX2), (.u1, HT_ISA_AVX2): HTB_B1_AVX2
        case (.b1, HT_ISA_NEON), (.u1, HT_ISA_NEON), (.b1, HT_ISA_NEON_DOTPROD), (.u1, HT_ISA_NEON_DOTPROD):
            HTB_B1_NEON
        case (.b1, _), (.u1, _): HTB_B1_PORTABLE
        case (.bf16, HT_ISA_AVX512_BF16): HTB_BF16_AVX512
        case (.u8, HT_ISA_AVX512_VNNI), (.i8, HT_ISA_AVX512_VNNI): HTB_I8_AVX512
        case (.u8, HT_ISA_AVX_VNNI), (.i8, HT_ISA_AVX_VNNI): HTB_I8_AVX_VNNI
        case (.u8, HT_ISA_AVX2), (.i8, HT_ISA_AVX2): HTB_I8_AVX2
        case (_, HT_ISA_AVX512): HTB_F32_AVX512
        case (_, HT_ISA_AVX2): HTB_F32_AVX2
        default: HTB_F32_PORTABLE
        }
    }
}

/// The nearest bfloat16, ties to even; not of a NaN.
func upperHalf(_ value: Float) -> Float {
    let bits = value.bitPattern
    return Float(bitPattern: (bits &+ 0x7fff &+ (bits >> 16 & 1)) & 0xffff_0000)
}
