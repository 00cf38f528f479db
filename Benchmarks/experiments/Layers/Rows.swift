// Loops over rows of features, the features innermost so that the compiler makes vectors of them.

/// `body` of each value and the number of its feature.
@inline(__always)
func mapRows(_ x: [Float], features: Int, _ body: (Float, Int) -> Float) -> [Float] {
    [Float](unsafeUninitializedCapacity: x.count) { result, count in
        x.withUnsafeBufferPointer { x in
            for row in stride(from: 0, to: x.count, by: features) {
                for c in 0..<features { result[row + c] = body(x[row + c], c) }
            }
        }
        count = x.count
    }
}

/// `body` of the values of two arrays and the number of their feature.
@inline(__always)
func mapRows(_ a: [Float], _ b: [Float], features: Int, _ body: (Float, Float, Int) -> Float) -> [Float] {
    [Float](unsafeUninitializedCapacity: a.count) { result, count in
        a.withUnsafeBufferPointer { a in
            b.withUnsafeBufferPointer { b in
                for row in stride(from: 0, to: a.count, by: features) {
                    for c in 0..<features { result[row + c] = body(a[row + c], b[row + c], c) }
                }
            }
        }
        count = a.count
    }
}

/// For each feature the sum over the rows of `body` of the values of two arrays.
@inline(__always)
func sumRows(_ a: [Float], _ b: [Float], features: Int, _ body: (Float, Float) -> Float) -> [Float] {
    [Float](unsafeUninitializedCapacity: features) { sums, count in
        sums.initialize(repeating: 0)
        a.withUnsafeBufferPointer { a in
            b.withUnsafeBufferPointer { b in
                for row in stride(from: 0, to: a.count, by: features) {
                    for c in 0..<features { sums[c] += body(a[row + c], b[row + c]) }
                }
            }
        }
        count = features
    }
}
