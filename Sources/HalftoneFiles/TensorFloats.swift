import Halftone

extension Tensor {
    /// The elements of an ``ElementType/f32``, ``ElementType/f16`` or ``ElementType/bf16`` tensor as `Float`, in
    /// row-major order.
    ///
    /// Widening is exact: every number, signed zero and infinity keeps its value, and NaN stays NaN.
    ///
    /// - Throws: ``FileError/noFloatConversion(_:)`` for any other element type, `f64` included, whose values a
    ///   `Float` cannot hold exactly.
    public func floats() throws(FileError) -> [Float] {
        switch elementType {
        case .f32: widened { (bits: UInt32) in Float(bitPattern: bits) }
        case .f16: widened { (bits: UInt16) in Float(Float16(bitPattern: bits)) }
        case .bf16: widened { (bits: UInt16) in Float(BFloat16(bitPattern: bits)) }
        default: throw .noFloatConversion(elementType)
        }
    }

    /// A tensor with the values of `floats`, which are in row-major order.
    ///
    /// Narrowing rounds to the nearest number, ties to even. A value that rounds beyond the largest finite number
    /// becomes infinity of the same sign, and NaN stays NaN.
    ///
    /// - Parameters:
    ///   - floats: as many values as `shape` has elements.
    ///   - shape: the length of each dimension, outermost first; empty for a scalar.
    ///   - elementType: ``ElementType/f32``, ``ElementType/f16`` or ``ElementType/bf16``.
    /// - Throws: ``FileError/noFloatConversion(_:)`` for any other element type,
    ///   ``FileError/elementCountMismatch(shape:found:expected:)``, ``FileError/negativeDimension(shape:)``, or
    ///   ``FileError/shapeOverflow(shape:)``.
    public init(_ floats: [Float], shape: [Int], as elementType: ElementType = .f32) throws(FileError) {
        let expected = try Self.byteCount(shape: shape, elementType: elementType) / elementType.byteWidth
        guard floats.count == expected else {
            throw .elementCountMismatch(shape: shape, found: floats.count, expected: expected)
        }
        let bytes: [UInt8]
        switch elementType {
        case .f32: bytes = littleEndianBytes(of: floats) { $0.bitPattern }
        case .f16: bytes = littleEndianBytes(of: floats) { Float16($0).bitPattern }
        case .bf16: bytes = littleEndianBytes(of: floats) { BFloat16($0).bitPattern }
        default: throw .noFloatConversion(elementType)
        }
        try self.init(elementType: elementType, shape: shape, bytes: bytes)
    }

    private func widened<Bits: FixedWidthInteger & BitwiseCopyable>(_ widen: (Bits) -> Float) -> [Float] {
        bytes.withUnsafeBytes { raw in
            (0..<elementCount).map { index in
                let stored = raw.loadUnaligned(fromByteOffset: index * MemoryLayout<Bits>.size, as: Bits.self)
                return widen(Bits(littleEndian: stored))
            }
        }
    }
}

private func littleEndianBytes<Bits: FixedWidthInteger & BitwiseCopyable>(
    of floats: [Float],
    _ narrow: (Float) -> Bits
) -> [UInt8] {
    let width = MemoryLayout<Bits>.size
    return [UInt8](unsafeUninitializedCapacity: floats.count * width) { buffer, initializedCount in
        let raw = UnsafeMutableRawBufferPointer(buffer)
        for (index, value) in floats.enumerated() {
            raw.storeBytes(of: narrow(value).littleEndian, toByteOffset: index * width, as: Bits.self)
        }
        initializedCount = floats.count * width
    }
}
