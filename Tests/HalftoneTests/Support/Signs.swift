import Halftone

extension SignMatrix {
    static func random(_ rows: Int, _ columns: Int, _ g: inout Generator) throws -> SignMatrix {
        var signs = try SignMatrix(rows: rows, columns: columns)
        for row in 0..<rows { for column in 0..<columns where g.coin() { signs[row, column] = -1 } }
        return signs
    }

    /// ±1, or what the bits stand for otherwise, row by row.
    func values(_ meaning: BitValues = .signs) -> [Int] {
        (0..<rows).flatMap { row in
            (0..<columns).map { meaning == .signs ? self[row, $0] : self[row, $0] < 0 ? 1 : 0 }
        }
    }

    init(_ values: [Int], rows: Int, columns: Int) throws {
        try self.init(rows: rows, columns: columns)
        for at in values.indices where values[at] < 0 { self[at / columns, at % columns] = -1 }
    }
}

extension ChannelTree {
    /// Any tree, or several: most rows are computed from one before them in some order.
    static func random(_ rows: Int, _ g: inout Generator) throws -> ChannelTree {
        let order = (0..<rows).shuffled(using: &g)
        var parents = [Int32](repeating: -1, count: rows)
        for at in order.indices.dropFirst() where !g.coin(8) { parents[order[at]] = Int32(order[g.below(at)]) }
        return try ChannelTree(parents: parents)
    }
}

extension BinaryMatrix {
    /// Packed for a design, along any tree if it wants one.
    init(packing signs: SignMatrix, design: BinaryDesign, _ g: inout Generator) throws {
        if design == .tree {
            try self.init(packing: signs, tree: .random(signs.rows, &g))
        } else {
            try self.init(packing: signs, design: design)
        }
    }
}

extension BinaryFilters {
    /// Packed for a design, along any trees if it wants them.
    init(packing signs: SignMatrix, shape: ConvShape, design: BinaryDesign, _ g: inout Generator) throws {
        if design == .tree {
            let outputs = shape.outputs / shape.groups
            let trees = try (0..<shape.groups).map { _ in try ChannelTree.random(outputs, &g) }
            try self.init(packing: signs, shape: shape, trees: trees)
        } else {
            try self.init(packing: signs, shape: shape, design: design)
        }
    }
}

/// Products and convolutions of signs from their formulas, in Int.
enum SignReference {
    static func product(_ x: [Int], _ w: [Int], columns: Int, outputs: Int) -> [Int] {
        guard columns > 0 else { return [] }
        return (0..<x.count / columns).flatMap { t in
            (0..<outputs).map { o in
                (0..<columns).reduce(0) { $0 + x[t * columns + $1] * w[o * columns + $1] }
            }
        }
    }

    /// With an image that is surrounded by what its shape pads with, so that none of its pixels is outside.
    static func convolution(_ s: ConvShape, x: [Int], w: [Int]) throws -> [Int] {
        let edges = s.edges
        var wide = s
        (wide.height, wide.width) = (s.height + edges.top + edges.bottom, s.width + edges.left + edges.right)
        (wide.padding, wide.paddingValue) = (.none, .zero)
        let outside = [ConvShape.PaddingValue.zero: 0, .plusOne: 1, .minusOne: -1][s.paddingValue]!
        var image = [Float](repeating: Float(outside), count: wide.xCount)
        for at in x.indices {
            let (pixel, channel) = (at / s.channels, at % s.channels)
            let (row, column) = (pixel / s.width % s.height + edges.top, pixel % s.width + edges.left)
            let to = (pixel / s.width / s.height * wide.height + row) * wide.width + column
            image[to * s.channels + channel] = Float(x[at])
        }
        return try ConvReference.forward(wide, wide.outputSize, x: image, w: w.map { Float($0) }).map { Int($0) }
    }
}

extension ConvShape {
    /// The pixels at each edge.
    var edges: (top: Int, left: Int, bottom: Int, right: Int) {
        switch padding {
        case .edges(let top, let left, let bottom, let right): return (top, left, bottom, right)
        case .same:
            let (down, across) = ((kernel.height - 1) * dilation.height, (kernel.width - 1) * dilation.width)
            return (down / 2, across / 2, down - down / 2, across - across / 2)
        }
    }

    /// As ``random(_:)``, with depthwise ones, words of odd lengths, and every value of the padding.
    static func randomOfSigns(_ g: inout Generator) -> ConvShape {
        var shape = random(&g)
        shape.paddingValue = g.pick(PaddingValue.allCases)
        if g.coin(4) { shape.channels = shape.groups * g.pick([1, 31, 32, 33, 64, 70]) }
        if g.coin(6) { (shape.groups, shape.outputs) = (shape.channels, shape.channels * g.pick([1, 2])) }
        return shape
    }
}
