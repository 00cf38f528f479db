/// Rearranging the bytes of an array.
enum ElementLayout {
    /// Reverses the bytes of each element of `width` bytes. The number of bytes is a multiple of `width`.
    static func swapByteOrder(_ bytes: inout [UInt8], width: Int) {
        for start in stride(from: 0, to: bytes.count, by: width) {
            bytes[start..<start + width].reverse()
        }
    }

    /// The elements of an array in row-major (C) order, given in column-major (Fortran) order.
    ///
    /// - Parameters:
    ///   - bytes: product of `shape` × `width` bytes, the first dimension varying fastest.
    ///   - shape: the length of each dimension, outermost first.
    ///   - width: the size of one element in bytes.
    static func rowMajor(fromColumnMajor bytes: [UInt8], shape: [Int], width: Int) -> [UInt8] {
        guard !bytes.isEmpty else { return [] }
        // A dimension of 1 has no part in the order. Without them there are few dimensions, however many a hostile
        // header lists, since each of the rest doubles the number of elements at least.
        let shape = shape.filter { $0 != 1 }
        let steps = columnMajorSteps(shape, width: width)
        var result: [UInt8] = []
        result.reserveCapacity(bytes.count)
        var index = [Int](repeating: 0, count: shape.count)
        var source = 0
        while result.count < bytes.count {
            result.append(contentsOf: bytes[source..<source + width])
            // Count up the index like an odometer, the last dimension first, and keep `source` in step.
            for dimension in shape.indices.reversed() {
                index[dimension] += 1
                source += steps[dimension]
                guard index[dimension] == shape[dimension] else { break }
                source -= steps[dimension] * shape[dimension]
                index[dimension] = 0
            }
        }
        return result
    }

    /// How many bytes apart neighbours along each dimension are in column-major order.
    private static func columnMajorSteps(_ shape: [Int], width: Int) -> [Int] {
        var steps: [Int] = []
        var step = width
        for length in shape {
            steps.append(step)
            step *= length
        }
        return steps
    }
}
