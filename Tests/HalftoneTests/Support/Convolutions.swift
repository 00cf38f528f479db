import Halftone

/// Convolutions from the formula: seven loops in Double, which holds the sums of small numbers exactly.
enum ConvReference {
    /// Calls `body` with the places of each product of a pixel inside the image and a weight: in Y, in X and in W.
    private static func each(_ s: ConvShape, _ output: ConvShape.Size, _ body: (Int, Int, Int) -> Void) {
        let (top, left) = padding(s)
        let (inputs, outputs) = (s.channels / s.groups, s.outputs / s.groups)
        for i in 0..<s.images {
            for r in 0..<output.height {
                for c in 0..<output.width {
                    for u in 0..<s.kernel.height {
                        for v in 0..<s.kernel.width {
                            let row = r * s.strides.height + u * s.dilation.height - top
                            let column = c * s.strides.width + v * s.dilation.width - left
                            guard 0..<s.height ~= row, 0..<s.width ~= column else { continue }
                            let pixel = (i * s.height + row) * s.width + column
                            let yPixel = (i * output.height + r) * output.width + c
                            for o in 0..<s.outputs {
                                let x = pixel * s.channels + o / outputs * inputs
                                let w = ((o * s.kernel.height + u) * s.kernel.width + v) * inputs
                                let y = yPixel * s.outputs + o
                                for k in 0..<inputs { body(y, x + k, w + k) }
                            }
                        }
                    }
                }
            }
        }
    }

    private static func padding(_ s: ConvShape) -> (top: Int, left: Int) {
        switch s.padding {
        case .same:
            ((s.kernel.height - 1) * s.dilation.height / 2, (s.kernel.width - 1) * s.dilation.width / 2)
        case .edges(let top, let left, _, _): (top, left)
        }
    }

    static func forward(_ s: ConvShape, _ output: ConvShape.Size, x: [Float], w: [Float]) -> [Double] {
        sums(s.images * output.height * output.width * s.outputs, x, w) { y, x, w in
            each(s, output) { y[$0] += Double(x[$1]) * Double(w[$2]) }
        }
    }

    static func backward(_ s: ConvShape, _ output: ConvShape.Size, dy: [Float], w: [Float]) -> [Double] {
        sums(s.images * s.height * s.width * s.channels, dy, w) { dx, dy, w in
            each(s, output) { dx[$1] += Double(dy[$0]) * Double(w[$2]) }
        }
    }

    private static func sums(
        _ count: Int, _ a: [Float], _ b: [Float],
        _ body: (UnsafeMutablePointer<Double>, UnsafePointer<Float>, UnsafePointer<Float>) -> Void
    ) -> [Double] {
        var sums = [Double](repeating: 0, count: count)
        guard count > 0, !a.isEmpty, !b.isEmpty else { return sums }
        sums.withUnsafeMutableBufferPointer { sums in
            a.withUnsafeBufferPointer { a in
                b.withUnsafeBufferPointer { b in body(sums.baseAddress!, a.baseAddress!, b.baseAddress!) }
            }
        }
        return sums
    }
}

extension ConvShape {
    /// Small ones of every kind: pixels that no tap or many see, kernels larger than the image, steps larger than the
    /// kernel, any padding.
    static func random(_ g: inout Generator) -> ConvShape {
        let groups = g.pick([1, 1, 1, 2, 3])
        func size(_ values: [Int]) -> Size { Size(height: g.pick(values), width: g.pick(values)) }
        var edge: Int { g.pick([0, 0, 1, 2, 4]) }
        return ConvShape(
            images: g.pick([1, 1, 2, 3]), height: g.pick([1, 2, 3, 5, 8]), width: g.pick([1, 2, 4, 7, 9]),
            channels: groups * g.pick([2, 3, 4, 5, 8, 12, 17]), outputs: groups * g.pick([1, 2, 3, 5, 16, 18]),
            kernel: size([1, 1, 2, 3, 3, 5]), strides: size([1, 1, 2, 3]), dilation: size([1, 1, 2]),
            padding: g.coin() ? .same : .edges(top: edge, left: edge, bottom: edge, right: edge), groups: groups)
    }

    var weightCount: Int { outputs * kernel.height * kernel.width * (channels / groups) }
    var xCount: Int { images * height * width * channels }
    var yPixels: Int { get throws { try images * outputHeight * outputWidth } }
    var yCount: Int { get throws { try yPixels * outputs } }
}

/// Small multiples of 1/8, which every type of floats holds and whose products and sums are exact.
func eighths(_ count: Int, _ g: inout Generator) -> [Float] { (0..<count).map { _ in Float(g.below(33) - 16) / 8 } }

/// A matrix of lines of so many values with lines and columns exchanged.
func transposed<Element>(_ values: [Element], columns: Int) -> [Element] {
    (0..<columns).flatMap { column in stride(from: column, to: values.count, by: columns).map { values[$0] } }
}
