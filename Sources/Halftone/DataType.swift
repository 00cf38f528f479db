import CHalftone

/// The types of the numbers that kernels read and write.
public enum DataType: Hashable, Sendable, CaseIterable {
    /// IEEE binary32, `Float`.
    case f32
    /// IEEE binary16, `Float16`.
    case f16
    /// The upper half of an f32, ``BFloat16``.
    case bf16
    /// `Int8`.
    case i8
    /// `UInt8`.
    case u8
    /// `Int32`.
    case i32
    /// `Int16`.
    case i16
    /// A bit that stands for a sign, 0 for +1 and 1 for -1; see ``SignMatrix``.
    case b1
    /// A bit that stands for itself.
    case u1

    var code: ht_dtype {
        switch self {
        case .f32: HT_DTYPE_F32
        case .f16: HT_DTYPE_F16
        case .bf16: HT_DTYPE_BF16
        case .i8: HT_DTYPE_I8
        case .u8: HT_DTYPE_U8
        case .i32: HT_DTYPE_I32
        case .i16: HT_DTYPE_I16
        case .b1: HT_DTYPE_B1
        case .u1: HT_DTYPE_U1
        }
    }

    /// Nil for a code that this module has no case for.
    init?(_ code: ht_dtype) {
        guard let type = Self.allCases.first(where: { $0.code == code }) else { return nil }
        self = type
    }

    /// The size of one number in bytes; 0 of bits.
    public var byteCount: Int { ht_dtype_size(code) }
}

/// A type whose values the kernels read or write as they lie in memory. The conformances of this module are all there
/// are: another one would name a type that the kernels do not know.
public protocol KernelNumber: BitwiseCopyable, Sendable {
    /// What the kernels call the type.
    static var dataType: DataType { get }
}

/// A type of weights: `Float`, `Float16`, ``BFloat16`` or `Int8`.
public protocol NMWeight: KernelNumber {}

/// A type of the values that weights are multiplied with: `Float` with weights of any floating-point type, ``BFloat16``
/// with ``BFloat16``, `UInt8` and `Int8` with `Int8`.
public protocol NMInput: KernelNumber {}

/// A type of results.
public protocol OutputNumber: KernelNumber {
    /// The type of what an epilogue adds to the results.
    associatedtype Residual: KernelNumber
}

/// A type of results of N:M weights: `Float` of `Float` inputs; `Float` or ``BFloat16`` of ``BFloat16`` inputs; `Int32`,
/// `Float`, ``BFloat16``, `UInt8` or `Int8` of 8-bit inputs.
public protocol NMOutput: OutputNumber {}

/// A type of the numbers that signs are multiplied with: `Float` or `Int8`.
public protocol BinaryInput: KernelNumber {}

/// A type of results of products with signs that are no signs themselves: `Int32`, `Int16`, `Float`, ``BFloat16``,
/// `UInt8` or `Int8` of signs; all but `Int16` of `Int8` inputs; `Float` or ``BFloat16`` of `Float` inputs.
public protocol BinaryOutput: OutputNumber {}

extension Float: NMWeight, NMInput, NMOutput, BinaryInput, BinaryOutput {
    /// ``DataType/f32``.
    public static var dataType: DataType { .f32 }
    /// `Float`.
    public typealias Residual = Float
}

extension Float16: NMWeight {
    /// ``DataType/f16``.
    public static var dataType: DataType { .f16 }
}

extension BFloat16: NMWeight, NMInput, NMOutput, BinaryOutput {
    /// ``DataType/bf16``.
    public static var dataType: DataType { .bf16 }
    /// ``BFloat16``.
    public typealias Residual = BFloat16
}

extension Int8: NMWeight, NMInput, NMOutput, BinaryInput, BinaryOutput {
    /// ``DataType/i8``.
    public static var dataType: DataType { .i8 }
    /// `Float`.
    public typealias Residual = Float
}

extension UInt8: NMInput, NMOutput, BinaryOutput {
    /// ``DataType/u8``.
    public static var dataType: DataType { .u8 }
    /// `Float`.
    public typealias Residual = Float
}

extension Int32: NMOutput, BinaryOutput {
    /// ``DataType/i32``.
    public static var dataType: DataType { .i32 }
    /// `Float`, but there is no epilogue for sums.
    public typealias Residual = Float
}

extension Int16: BinaryOutput {
    /// ``DataType/i16``.
    public static var dataType: DataType { .i16 }
    /// `Float`, but there is no epilogue for sums.
    public typealias Residual = Float
}
