import CHalftone

/// An operation on operands of certain sizes and types.
struct Problem {
    let operation: Operation
    let kind: ProductKind
    let geometry: Convolution

    /// Outputs, weights of one of them, rows of Y.
    var o: Int { geometry.outputs }
    var k: Int { geometry.filterSize }
    var t: Int { geometry.outputPixels }

    /// The rows and columns of X and Y, the activations on both sides of a layer, or of their gradients.
    var xSize: (rows: Int, columns: Int) { (geometry.inputPixels, geometry.channels) }
    var ySize: (rows: Int, columns: Int) { (geometry.outputPixels, geometry.outputs) }

    /// Operations of the dense computation, a multiply-add being two. Taps outside the image count as well. Of packed
    /// signs, the bytes of X.
    var denseOperations: Double {
        operation == .signPacking
            ? Double(t) * Double(k) * Double(ht_dtype_size(kind.inputs)) : 2 * Double(t) * Double(o) * Double(k)
    }

    /// How many products a sum of the dense computation has, or of one with a pattern.
    func terms(_ pattern: Pattern?) -> Int {
        func entries(_ columns: Int) -> Int { pattern?.entries(columns: columns) ?? columns }
        return switch operation.direction {
        case .forward: geometry.taps * entries(geometry.groupChannels)
        case .backward: geometry.taps * entries(geometry.groupOutputs)
        case .gradient: t
        }
    }

    /// |result - exact| / sum of |products| that may be.
    func errorBound(_ pattern: Pattern?) -> Double {
        kind.bound(terms: terms(pattern), columns: terms(nil))
    }
}

/// How activations lie in memory, `x` those that go in and `y` those that come out. Of gradients both go in.
struct Orders {
    var x = HT_ORDER_ROWS
    var y = HT_ORDER_ROWS

    /// The orders of the matrices of this operation on the side of X and on that of Y.
    func sides(of operation: Operation) -> (x: ht_order, y: ht_order) {
        switch operation.direction {
        case .forward: (x, y)
        case .backward: (y, x)
        case .gradient: (x, x)
        }
    }
}

/// The matrices of a problem: activations on both sides of the layer, and its weights. Two go in, one comes out; of
/// gradients that is `w`.
struct Operands {
    let x: TypedMatrix
    let y: TypedMatrix
    let w: TypedMatrix

    /// Of the activations, and of the gradient where that is the result; weights are counted as they are packed.
    func bytes(_ operation: Operation) -> Int {
        x.memory.bytes + y.memory.bytes + (operation.direction == .gradient ? w.memory.bytes : 0)
    }

    /// The same activations and a gradient with so many values a row.
    func withGradient(columns: Int) throws -> Operands {
        Operands(x: x, y: y, w: try TypedMatrix(rows: w.rows, columns: columns, type: HT_DTYPE_F32))
    }
}

extension Operation {
    /// Which of the operands is the result.
    func result(of operands: Operands) -> TypedMatrix {
        switch direction {
        case .forward: operands.y
        case .backward: operands.x
        case .gradient: operands.w
        }
    }
}
