/// Checks that the tensors of a safetensors header fit their types and shapes and fill the data exactly.
enum SafetensorsLayout {
    /// The tensors that `records` describe, in the order of their bytes.
    ///
    /// - Parameter dataByteCount: the number of bytes after the header.
    static func entries(
        of records: [SafetensorsHeader.Record], dataByteCount: Int
    ) throws(FileError) -> [SafetensorsFile.Entry] {
        var entries: [SafetensorsFile.Entry] = []
        entries.reserveCapacity(records.count)
        for record in records {
            entries.append(try entry(of: record, dataByteCount: dataByteCount))
        }
        entries.sort { sortKey(of: $0) < sortKey(of: $1) }
        try checkTiling(entries, dataByteCount: dataByteCount)
        return entries
    }

    private static func entry(
        of record: SafetensorsHeader.Record, dataByteCount: Int
    ) throws(FileError) -> SafetensorsFile.Entry {
        guard 0 <= record.begin, record.begin <= record.end else {
            throw .safetensorsInvalidRange(tensor: record.name, begin: record.begin, end: record.end)
        }
        guard record.end <= dataByteCount else {
            throw .safetensorsRangeBeyondEnd(tensor: record.name, end: record.end, dataByteCount: dataByteCount)
        }
        let elementType = ElementType(safetensorsName: record.elementTypeName)
        let byteRange = record.begin..<record.end
        if let expected = try byteCount(of: record, elementType), expected != byteRange.count {
            throw .safetensorsRangeSizeMismatch(tensor: record.name, found: byteRange.count, expected: expected)
        }
        return SafetensorsFile.Entry(
            name: record.name,
            elementTypeName: record.elementTypeName,
            elementType: elementType,
            shape: record.shape,
            byteRange: byteRange)
    }

    /// The number of bytes that shape and type call for, or `nil` where the type and so the width is unknown.
    private static func byteCount(
        of record: SafetensorsHeader.Record, _ elementType: ElementType?
    ) throws(FileError) -> Int? {
        do {
            // An unknown type is at least checked for a shape that no type can have; its width of 1 is for that only.
            let count = try Tensor.byteCount(shape: record.shape, elementType: elementType ?? .u8)
            return elementType == nil ? nil : count
        } catch .negativeDimension(let shape) {
            throw .safetensorsNegativeDimension(tensor: record.name, shape: shape)
        } catch {
            throw .safetensorsShapeOverflow(tensor: record.name, shape: record.shape)
        }
    }

    /// Every byte of the data must belong to exactly one tensor: the format forbids holes, so that nothing can be
    /// hidden in a file, and overlaps.
    private static func checkTiling(_ entries: [SafetensorsFile.Entry], dataByteCount: Int) throws(FileError) {
        var previousEnd = 0
        for entry in entries {
            let begin = entry.byteRange.lowerBound
            guard begin >= previousEnd else {
                throw .safetensorsOverlap(tensor: entry.name, begin: begin, previousEnd: previousEnd)
            }
            guard begin == previousEnd else {
                throw .safetensorsHole(tensor: entry.name, begin: begin, previousEnd: previousEnd)
            }
            previousEnd = entry.byteRange.upperBound
        }
        guard previousEnd == dataByteCount else {
            throw .safetensorsTrailingBytes(lastEnd: previousEnd, dataByteCount: dataByteCount)
        }
    }

    /// Tensors without bytes come before the tensor that begins at the same place; the name makes the order certain.
    private static func sortKey(of entry: SafetensorsFile.Entry) -> (Int, Int, String) {
        (entry.byteRange.lowerBound, entry.byteRange.upperBound, entry.name)
    }
}
