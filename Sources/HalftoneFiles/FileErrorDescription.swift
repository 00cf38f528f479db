import Foundation

extension FileError: CustomStringConvertible, LocalizedError {
    /// One sentence for people: which part is wrong, what was found and what was expected.
    ///
    /// Text and shapes that come from the file are shown with escapes and cut to a readable length.
    public var description: String {
        // One long switch rather than several functions, so that the compiler sees that no case is left out.
        switch self {
        case .cannotRead(let path, let reason):
            "cannot read \(quoted(path)): \(reason)"
        case .cannotWrite(let path, let reason):
            "cannot write \(quoted(path)): \(reason)"

        case .negativeDimension(let shape):
            "tensor: shape \(short(shape)) has a dimension below 0"
        case .shapeOverflow(let shape):
            "tensor: shape \(short(shape)) has more bytes than can be counted"
        case .byteCountMismatch(let shape, let elementType, let found, let expected):
            "tensor: \(found) bytes given, but shape \(short(shape)) of \(elementType) has \(expected)"
        case .elementCountMismatch(let shape, let found, let expected):
            "tensor: \(found) values given, but shape \(short(shape)) has \(expected) elements"
        case .noFloatConversion(let elementType):
            "tensor: no conversion between \(elementType) and Float; expected f32, f16 or bf16"

        case .safetensorsTooShort(let byteCount):
            "safetensors: the file has \(byteCount) bytes; expected at least 8, which give the length of the header"
        case .safetensorsHeaderTooLong(let byteCount, let limit):
            "safetensors header: its length is given as \(byteCount) bytes; expected at most \(limit)"
        case .safetensorsHeaderBeyondEnd(let byteCount, let available):
            "safetensors header: its length is given as \(byteCount) bytes, but only \(available) follow"
        case .safetensorsHeaderNotObject(let firstByte):
            "safetensors header: begins with \(shown(firstByte)); expected {"
        case .safetensorsHeaderNotUTF8:
            "safetensors header: not valid UTF-8"
        case .safetensorsHeaderNotJSON:
            "safetensors header: not valid JSON"
        case .safetensorsDuplicateKeys(let written, let distinct):
            "safetensors header: of \(written) keys only \(distinct) are distinct; expected each key once"
        case .safetensorsInvalidMetadata(let found):
            "safetensors header: __metadata__ must be an object of strings; found: \(cut(found))"
        case .safetensorsInvalidField(let tensor, let field, let found, let expected):
            "safetensors header, tensor \(quoted(tensor)): \(field) must be \(expected); found: \(cut(found))"
        case .safetensorsNegativeDimension(let tensor, let shape):
            "safetensors header, tensor \(quoted(tensor)): shape \(short(shape)) has a dimension below 0"
        case .safetensorsShapeOverflow(let tensor, let shape):
            "safetensors header, tensor \(quoted(tensor)): shape \(short(shape)) has more bytes than can be counted"
        case .safetensorsInvalidRange(let tensor, let begin, let end):
            "safetensors header, tensor \(quoted(tensor)): data_offsets are [\(begin), \(end)]; "
                + "expected 0 <= begin <= end"
        case .safetensorsRangeBeyondEnd(let tensor, let end, let dataByteCount):
            "safetensors header, tensor \(quoted(tensor)): data_offsets end at \(end), "
                + "but only \(dataByteCount) bytes of data follow the header"
        case .safetensorsRangeSizeMismatch(let tensor, let found, let expected):
            "safetensors header, tensor \(quoted(tensor)): data_offsets span \(found) bytes; "
                + "expected \(expected) from shape and dtype"
        case .safetensorsOverlap(let tensor, let begin, let previousEnd):
            "safetensors data, tensor \(quoted(tensor)): begins at \(begin), inside another tensor; "
                + "expected \(previousEnd)"
        case .safetensorsHole(let tensor, let begin, let previousEnd):
            "safetensors data, tensor \(quoted(tensor)): begins at \(begin) after bytes of no tensor; "
                + "expected \(previousEnd)"
        case .safetensorsTrailingBytes(let lastEnd, let dataByteCount):
            "safetensors data: the last tensor ends at \(lastEnd); expected the end of the data at \(dataByteCount)"
        case .safetensorsNoSuchTensor(let name):
            "safetensors: no tensor is named \(quoted(name))"
        case .safetensorsUnsupportedElementType(let tensor, let name):
            "safetensors, tensor \(quoted(tensor)): dtype \(quoted(name)) is not supported; "
                + "expected one of \(ElementType.allCases.map(\.safetensorsName).joined(separator: ", "))"

        case .safetensorsDuplicateName(let name):
            "safetensors: two tensors to write are named \(quoted(name))"
        case .safetensorsReservedName(let name):
            "safetensors: the format reserves the name \(quoted(name)); a tensor cannot have it"

        case .numpyTooShort(let byteCount, let expected):
            "npy: the file has \(byteCount) bytes; expected at least \(expected) up to the header"
        case .numpyBadMagic(let found):
            "npy: begins with bytes \(found); expected \\x93NUMPY"
        case .numpyUnsupportedVersion(let major, let minor):
            "npy: format version \(major).\(minor); expected 1.0, 2.0 or 3.0"
        case .numpyHeaderBeyondEnd(let byteCount, let available):
            "npy header: its length is given as \(byteCount) bytes, but only \(available) follow"
        case .numpyInvalidHeader(let offset, let found, let expected):
            "npy header, byte \(offset): found \(found); expected \(expected)"
        case .numpyUnknownKey(let key):
            "npy header: unknown key \(quoted(key)); expected descr, fortran_order and shape"
        case .numpyDuplicateKey(let key):
            "npy header: key \(quoted(key)) is there twice; expected once"
        case .numpyMissingKey(let key):
            "npy header: key \(quoted(key)) is missing; expected descr, fortran_order and shape"
        case .numpyDimensionTooLarge(let offset):
            "npy header, byte \(offset): the dimension is too large; expected at most \(Int.max)"
        case .numpyUnsupportedElementType(let name):
            "npy header: descr \(quoted(name)) is not supported; expected < or > (or | for one byte) and one of "
                + ElementType.allCases.compactMap(\.numpyCode).joined(separator: ", ")
        case .numpyDataSizeMismatch(let shape, let found, let expected):
            "npy data: \(found) bytes follow the header; expected \(expected) from descr and shape \(short(shape))"

        case .numpyCannotStore(let elementType):
            "npy: NumPy has no type for \(elementType); convert to f32 or f16 first"
        case .numpyTooManyDimensions(let found, let limit):
            "npy: the tensor has \(found) dimensions; NumPy has at most \(limit)"
        }
    }

    /// The same as ``description``, so that `localizedDescription` tells it too.
    public var errorDescription: String? {
        description
    }
}

/// The beginning of `text` in quotation marks and with escapes.
private func quoted(_ text: String) -> String {
    String(reflecting: cut(text))
}

/// `text` cut to a length that fits a message.
private func cut(_ text: String) -> String {
    let limit = 120
    return text.prefix(limit) + (text.dropFirst(limit).isEmpty ? "" : "...")
}

/// `shape` cut to a number of dimensions that fits a message.
private func short(_ shape: [Int]) -> String {
    let limit = 8
    let dimensions = shape.prefix(limit).map(String.init) + (shape.count > limit ? ["..."] : [])
    return "[\(dimensions.joined(separator: ", "))]"
}

private func shown(_ byte: UInt8?) -> String {
    byte.map { "byte 0x" + String($0, radix: 16) } ?? "nothing"
}
