/// The type of one tensor element as it is stored in a file.
///
/// Elements of more than one byte are stored least significant byte first.
public enum ElementType: CaseIterable, Hashable, Sendable {
    /// IEEE 754 binary64.
    case f64
    /// IEEE 754 binary32.
    case f32
    /// IEEE 754 binary16.
    case f16
    /// The upper half of an IEEE 754 binary32, which module Halftone calls `BFloat16`.
    case bf16
    /// Signed 64-bit integer.
    case i64
    /// Signed 32-bit integer.
    case i32
    /// Signed 16-bit integer.
    case i16
    /// Signed 8-bit integer.
    case i8
    /// Unsigned 64-bit integer.
    case u64
    /// Unsigned 32-bit integer.
    case u32
    /// Unsigned 16-bit integer.
    case u16
    /// Unsigned 8-bit integer.
    case u8
    /// One byte, 0 for false and 1 for true. Readers keep the byte as found and do not check it.
    case bool

    /// The element type that a safetensors header spells `safetensorsName`, for example `"BF16"`.
    ///
    /// Returns `nil` for a name that has no case here, such as the 8-bit floating-point types.
    public init?(safetensorsName: String) {
        guard let match = Self.allCases.first(where: { $0.safetensorsName == safetensorsName }) else { return nil }
        self = match
    }

    /// The size of one element in bytes.
    public var byteWidth: Int {
        switch self {
        case .f64, .i64, .u64: 8
        case .f32, .i32, .u32: 4
        case .f16, .bf16, .i16, .u16: 2
        case .i8, .u8, .bool: 1
        }
    }

    /// How a safetensors header spells this type, for example `"F32"`.
    public var safetensorsName: String {
        switch self {
        case .f64: "F64"
        case .f32: "F32"
        case .f16: "F16"
        case .bf16: "BF16"
        case .i64: "I64"
        case .i32: "I32"
        case .i16: "I16"
        case .i8: "I8"
        case .u64: "U64"
        case .u32: "U32"
        case .u16: "U16"
        case .u8: "U8"
        case .bool: "BOOL"
        }
    }

    /// How the `descr` field of a little-endian `.npy` file spells this type, for example `"<f4"` or `"|u1"`.
    ///
    /// `nil` for ``bf16``, which NumPy does not have.
    public var numpyName: String? {
        numpyCode.map { (byteWidth == 1 ? "|" : "<") + $0 }
    }

    /// The part of ``numpyName`` after the byte order: the kind of number and its width in bytes.
    var numpyCode: String? {
        switch self {
        case .f64: "f8"
        case .f32: "f4"
        case .f16: "f2"
        case .bf16: nil
        case .i64: "i8"
        case .i32: "i4"
        case .i16: "i2"
        case .i8: "i1"
        case .u64: "u8"
        case .u32: "u4"
        case .u16: "u2"
        case .u8: "u1"
        case .bool: "b1"
        }
    }
}
