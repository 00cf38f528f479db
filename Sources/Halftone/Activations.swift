/// Activations as a call sees them: samples, which are rows or pixels, of so many features each.
struct Activations {
    /// How error texts call them, as in "X".
    let name: String
    let samples: Int
    let features: Int

    /// The matrix that they are in memory, in this order.
    func operand<Element: KernelNumber>(
        _ subject: String? = nil, count: Int, of type: Element.Type, _ order: MatrixOrder, stride: Int? = nil
    ) throws(HalftoneError) -> Operand {
        let (lines, length) = order == .rows ? (samples, features) : (features, samples)
        return try Operand(
            subject ?? "\(name) holds", count: count, of: type, rows: lines, columns: length, rowStride: stride)
    }

    /// Throws unless they fit into rows of signs of this shape.
    func check(_ signs: SignMatrix) throws(HalftoneError) {
        guard signs.rows == samples, signs.columns == features else {
            throw .shape("\(name) is \(signs.rows) x \(signs.columns), not \(samples) x \(features)")
        }
    }

    /// Values of zero in memory without gaps.
    func zeros<Element: KernelNumber>() throws(HalftoneError) -> [Element] {
        let (count, overflow) = samples.multipliedReportingOverflow(by: features)
        guard !overflow, count <= Int.max / MemoryLayout<Element>.stride else { throw .overflow }
        return [Element](unsafeUninitializedCapacity: count) { buffer, initialized in
            UnsafeMutableRawBufferPointer(buffer).initializeMemory(as: UInt8.self, repeating: 0)
            initialized = count
        }
    }
}
