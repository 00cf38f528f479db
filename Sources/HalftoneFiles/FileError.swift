/// Why a file or a tensor was refused.
///
/// Cases that name a format concern the content of such a file; the others concern tensors or the file system.
/// ``description`` says which part of the file is wrong, what was found and what was expected.
public enum FileError: Error, Equatable, Sendable {
    // MARK: File system

    /// The file cannot be opened or mapped; `reason` is the system's.
    case cannotRead(path: String, reason: String)
    /// The file cannot be written; `reason` is the system's. Whatever was at `path` is unchanged.
    case cannotWrite(path: String, reason: String)

    // MARK: Tensors

    /// A dimension is below 0.
    case negativeDimension(shape: [Int])
    /// The number of bytes does not fit in an `Int`.
    case shapeOverflow(shape: [Int])
    /// The number of bytes differs from shape × element width.
    case byteCountMismatch(shape: [Int], elementType: ElementType, found: Int, expected: Int)
    /// The number of values differs from the number of elements of the shape.
    case elementCountMismatch(shape: [Int], found: Int, expected: Int)
    /// Only `f32`, `f16` and `bf16` are converted from and to `Float`.
    case noFloatConversion(ElementType)

    // MARK: Reading safetensors

    /// The file is shorter than the 8 bytes that give the length of the header.
    case safetensorsTooShort(byteCount: Int)
    /// The header says it is longer than any header may be.
    case safetensorsHeaderTooLong(byteCount: UInt64, limit: Int)
    /// The header says it is longer than the rest of the file.
    case safetensorsHeaderBeyondEnd(byteCount: Int, available: Int)
    /// The header does not begin with `{`; `firstByte` is `nil` for an empty header.
    case safetensorsHeaderNotObject(firstByte: UInt8?)
    /// The header is not valid UTF-8.
    case safetensorsHeaderNotUTF8
    /// The header is not valid JSON, or nests objects and arrays too deeply for the JSON decoder (512 levels).
    case safetensorsHeaderNotJSON
    /// The header, or an object directly in it, has a key more than once.
    ///
    /// Keys that Unicode holds canonically equivalent count as the same, since Swift strings cannot tell them apart.
    case safetensorsDuplicateKeys(written: Int, distinct: Int)
    /// `__metadata__` is not an object whose values are all strings.
    case safetensorsInvalidMetadata(found: String)
    /// A field of a tensor's header entry is missing or not of the expected kind.
    case safetensorsInvalidField(tensor: String, field: String, found: String, expected: String)
    /// A dimension of a tensor is below 0.
    case safetensorsNegativeDimension(tensor: String, shape: [Int])
    /// The number of bytes of a tensor does not fit in an `Int`.
    case safetensorsShapeOverflow(tensor: String, shape: [Int])
    /// `data_offsets` begins below 0 or ends before it begins.
    case safetensorsInvalidRange(tensor: String, begin: Int, end: Int)
    /// `data_offsets` ends after the last byte of the file.
    case safetensorsRangeBeyondEnd(tensor: String, end: Int, dataByteCount: Int)
    /// `data_offsets` spans a number of bytes other than shape × element width.
    case safetensorsRangeSizeMismatch(tensor: String, found: Int, expected: Int)
    /// A tensor begins before the tensor in front of it ends.
    case safetensorsOverlap(tensor: String, begin: Int, previousEnd: Int)
    /// Bytes in front of a tensor belong to no tensor.
    case safetensorsHole(tensor: String, begin: Int, previousEnd: Int)
    /// Bytes after the last tensor belong to no tensor.
    case safetensorsTrailingBytes(lastEnd: Int, dataByteCount: Int)
    /// The file has no tensor of this name.
    case safetensorsNoSuchTensor(String)
    /// The tensor is listed, but its element type has no case in ``ElementType``.
    case safetensorsUnsupportedElementType(tensor: String, name: String)

    // MARK: Writing safetensors

    /// Two of the tensors to write have the same name.
    case safetensorsDuplicateName(String)
    /// A tensor to write has the name that the format reserves for metadata.
    case safetensorsReservedName(String)

    // MARK: Reading .npy

    /// The file ends before the end of its preamble (magic string, version and header length).
    case numpyTooShort(byteCount: Int, expected: Int)
    /// The file does not begin with `\x93NUMPY`.
    case numpyBadMagic(found: [UInt8])
    /// The format version is not 1.0, 2.0 or 3.0.
    case numpyUnsupportedVersion(major: UInt8, minor: UInt8)
    /// The header says it is longer than the rest of the file.
    case numpyHeaderBeyondEnd(byteCount: Int, available: Int)
    /// The header is not a dictionary of the expected form; `offset` counts from the first byte of the header.
    case numpyInvalidHeader(offset: Int, found: String, expected: String)
    /// The header has a key other than `descr`, `fortran_order` and `shape`.
    case numpyUnknownKey(String)
    /// The header has a key twice.
    case numpyDuplicateKey(String)
    /// The header lacks a key.
    case numpyMissingKey(String)
    /// A dimension does not fit in an `Int`; `offset` counts from the first byte of the header.
    case numpyDimensionTooLarge(offset: Int)
    /// The array has a type other than the plain numbers and booleans of ``ElementType``.
    case numpyUnsupportedElementType(String)
    /// The bytes after the header are fewer or more than shape × element width.
    case numpyDataSizeMismatch(shape: [Int], found: Int, expected: Int)

    // MARK: Writing .npy

    /// NumPy has no such element type.
    case numpyCannotStore(ElementType)
    /// NumPy has no arrays of so many dimensions.
    case numpyTooManyDimensions(found: Int, limit: Int)
}
