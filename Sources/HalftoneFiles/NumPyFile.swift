import Foundation

/// Reading and writing of NumPy's `.npy` files, which hold one array each.
///
/// Layout: the bytes `\x93NUMPY`, the format version as two bytes, the length of the header as an unsigned
/// little-endian integer (16 bits in version 1.0, 32 bits in 2.0 and 3.0), the header as a Python dictionary, and the
/// elements up to the end of the file.
public enum NumPyFile {
    /// The most dimensions that an array can have since NumPy 2.0; before, it was 32.
    private static let dimensionLimit = 64

    /// The array in the file at `path`, as a tensor.
    ///
    /// The tensor is little-endian and in row-major (C) order whatever the file has: big-endian elements are swapped,
    /// and an array in Fortran order of any number of dimensions is transposed, so that shape and indices are those
    /// that `numpy.load` shows.
    ///
    /// - Throws: ``FileError/cannotRead(path:reason:)``, or as ``tensor(bytes:)``.
    public static func read(path: String) throws(FileError) -> Tensor {
        try tensor(contents: FileAccess.map(path))
    }

    /// The array in a file that is already in memory, as a tensor like that of ``read(path:)``.
    ///
    /// - Parameter bytes: the whole file.
    /// - Throws: the ``FileError`` case that tells what is wrong with the content. Arrays of strings, objects, complex
    ///   numbers, dates and records are refused, and so are bytes after the array.
    public static func tensor(bytes: [UInt8]) throws(FileError) -> Tensor {
        try tensor(contents: Data(bytes))
    }

    /// Writes `tensor` as an `.npy` file to `path`, replacing any file that is there.
    ///
    /// The file is complete under a temporary name in the same folder before it gets its own name: a reader sees the
    /// old file or the new one, and a failure leaves the old one as it was. While writing, the file is also in memory.
    ///
    /// - Throws: ``FileError/cannotWrite(path:reason:)``, or as ``bytes(of:)``.
    public static func write(_ tensor: Tensor, to path: String) throws(FileError) {
        try FileAccess.replace(path, with: bytes(of: tensor))
    }

    /// The bytes of an `.npy` file with `tensor`: version 1.0, little-endian, row-major, the data beginning at a
    /// multiple of 64 bytes.
    ///
    /// - Throws: ``FileError/numpyCannotStore(_:)`` for ``ElementType/bf16``, which NumPy does not have, or
    ///   ``FileError/numpyTooManyDimensions(found:limit:)`` beyond 64 dimensions.
    public static func bytes(of tensor: Tensor) throws(FileError) -> [UInt8] {
        guard let typeName = tensor.elementType.numpyName else { throw .numpyCannotStore(tensor.elementType) }
        guard tensor.shape.count <= dimensionLimit else {
            throw .numpyTooManyDimensions(found: tensor.shape.count, limit: dimensionLimit)
        }
        return NumPyPreamble.bytes(typeName: typeName, shape: tensor.shape) + tensor.bytes
    }

    private static func tensor(contents: Data) throws(FileError) -> Tensor {
        let preamble = try NumPyPreamble(contents)
        let header = try NumPyHeader(text: [UInt8](contents[preamble.headerRange]))
        let dataStart = preamble.headerRange.upperBound
        let expected = try Tensor.byteCount(shape: header.shape, elementType: header.elementType)
        guard contents.count - dataStart == expected else {
            throw .numpyDataSizeMismatch(
                shape: header.shape, found: contents.count - dataStart, expected: expected)
        }
        var bytes = [UInt8](contents[dataStart...])
        if header.isBigEndian {
            ElementLayout.swapByteOrder(&bytes, width: header.elementType.byteWidth)
        }
        if header.isFortranOrder {
            bytes = ElementLayout.rowMajor(
                fromColumnMajor: bytes, shape: header.shape, width: header.elementType.byteWidth)
        }
        return try Tensor(elementType: header.elementType, shape: header.shape, bytes: bytes)
    }
}
