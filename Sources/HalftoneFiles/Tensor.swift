/// An array of numbers as it stands in a file: element type, shape and bytes.
///
/// Elements are in row-major (C) order, the last dimension varying fastest, without padding, each least significant
/// byte first. An empty ``shape`` is a scalar with one element; a dimension of 0 makes a tensor without elements.
///
/// The number of bytes always fits the shape and the element type: no initialiser makes any other tensor.
public struct Tensor: Equatable, Sendable {
    /// The type of every element.
    public let elementType: ElementType
    /// The length of each dimension, in elements, outermost first.
    public let shape: [Int]
    /// The elements, in the layout that ``Tensor`` describes.
    public let bytes: [UInt8]

    /// A tensor with these bytes.
    ///
    /// - Parameter bytes: exactly product of `shape` × `elementType.byteWidth` bytes, little-endian, row-major.
    /// - Throws: ``FileError/negativeDimension(shape:)``, ``FileError/shapeOverflow(shape:)``, or
    ///   ``FileError/byteCountMismatch(shape:elementType:found:expected:)``.
    public init(elementType: ElementType, shape: [Int], bytes: [UInt8]) throws(FileError) {
        let expected = try Self.byteCount(shape: shape, elementType: elementType)
        guard bytes.count == expected else {
            throw .byteCountMismatch(shape: shape, elementType: elementType, found: bytes.count, expected: expected)
        }
        self.elementType = elementType
        self.shape = shape
        self.bytes = bytes
    }

    /// The number of elements: the product of ``shape``, 1 for a scalar.
    public var elementCount: Int {
        bytes.count / elementType.byteWidth
    }

    /// The number of bytes of a tensor with this shape and element type.
    ///
    /// The dimensions are multiplied from the first to the last, so that a shape whose leading dimensions overflow is
    /// refused even where a later dimension is 0, as the reference implementation of safetensors does.
    ///
    /// - Throws: ``FileError/negativeDimension(shape:)``, or ``FileError/shapeOverflow(shape:)`` where the number
    ///   does not fit in an `Int`.
    public static func byteCount(shape: [Int], elementType: ElementType) throws(FileError) -> Int {
        guard shape.allSatisfy({ $0 >= 0 }) else { throw .negativeDimension(shape: shape) }
        var count = 1
        for factor in shape + [elementType.byteWidth] {
            let (product, overflow) = count.multipliedReportingOverflow(by: factor)
            guard !overflow else { throw .shapeOverflow(shape: shape) }
            count = product
        }
        return count
    }
}
