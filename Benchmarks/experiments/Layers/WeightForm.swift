import Halftone

/// Weights as the library takes them: a matrix of outputs by inputs, or the filters of a convolution.
enum WeightForm {
    case matrix(outputs: Int, inputs: Int)
    /// One image; calls have as many as there are activations for.
    case filters(ConvShape)

    var rows: Int {
        switch self {
        case .matrix(let outputs, _): outputs
        case .filters(let shape): shape.outputs
        }
    }

    var columns: Int {
        switch self {
        case .matrix(_, let inputs): inputs
        case .filters(let shape): taps * shape.channels
        }
    }

    /// The features of the activations that go in.
    var inputs: Int { columns / taps }

    var taps: Int {
        switch self {
        case .matrix: 1
        case .filters(let shape): shape.kernel.height * shape.kernel.width
        }
    }
}

extension NMPattern {
    /// All weights: products with dense weights are those of a pattern that keeps everything.
    static var dense: NMPattern {
        get throws { try NMPattern(4, of: 4) }
    }
}

/// What all calls share: a step is timed on one core.
let oneThread = ProductOptions(threads: 1)

// MARK: - Masks and gradients

extension WeightForm {
    /// The magnitude mask.
    func mask(of weights: [Float], _ pattern: NMPattern) throws -> NMMask {
        switch self {
        case .matrix: try pattern.mask(of: weights, rows: rows, columns: columns, threads: 1)
        case .filters(let shape): try pattern.mask(of: weights, shape: shape, threads: 1)
        }
    }

    /// The magnitude mask, from that of earlier weights if there is one.
    func refresh(_ mask: inout NMMask?, of weights: [Float], _ pattern: NMPattern) throws {
        guard var last = mask else {
            mask = try self.mask(of: weights, pattern)
            return
        }
        mask = nil  // so that it need not be copied
        switch self {
        case .matrix: _ = try pattern.refresh(&last, of: weights.span, threads: 1)
        case .filters(let shape): _ = try pattern.refresh(&last, of: weights.span, shape: shape, threads: 1)
        }
        mask = last
    }

    /// The best mask that is N:M in both directions, from that of earlier weights if there is one.
    func refreshTransposable(_ mask: inout NMMask?, of weights: [Float], _ pattern: NMPattern) throws {
        guard var last = mask else {
            mask =
                switch self {
                case .matrix:
                    try pattern.transposableMask(of: weights.span, rows: rows, columns: columns, threads: 1)
                case .filters(let shape): try pattern.transposableMask(of: weights.span, shape: shape, threads: 1)
                }
            return
        }
        mask = nil
        switch self {
        case .matrix: _ = try pattern.refreshTransposable(&last, of: weights.span, threads: 1)
        case .filters(let shape): _ = try pattern.refreshTransposable(&last, of: weights.span, shape: shape, threads: 1)
        }
        mask = last
    }

    /// Both masks of Bi-Mask.
    func biMask(of weights: [Float], _ pattern: NMPattern, _ permutation: [UInt32]?) throws -> BiMask {
        switch self {
        case .matrix:
            try BiMask(
                of: weights.span, rows: rows, columns: columns, pattern: pattern, permutation: permutation, threads: 1)
        case .filters(let shape):
            try BiMask(of: weights.span, shape: shape, pattern: pattern, permutation: permutation, threads: 1)
        }
    }

    func permutation(
        for mask: NMMask, _ pattern: NMPattern, _ search: BiMaskSearch, from start: [UInt32]?
    ) throws -> [UInt32] {
        switch self {
        case .matrix: try search.permutation(for: mask, pattern: pattern, from: start, threads: 1)
        case .filters(let shape):
            try search.permutation(for: mask, shape: shape, pattern: pattern, from: start, threads: 1)
        }
    }

    /// The weights where the mask is set, +0 elsewhere.
    func masked(_ weights: [Float], _ mask: NMMask) throws -> [Float] {
        try NMMatrix(packing: weights, rows: rows, columns: columns, pattern: .dense, mask: mask, threads: 1)
            .unpacked(threads: 1)
    }

    /// The dense gradient of the weights.
    func weightGradient(_ dy: [Float], _ x: [Float]) throws -> [Float] {
        try Halftone.weightGradient(
            dy, patches(of: x), rows: dy.count / rows, outputs: rows, inputs: columns, threads: 1)
    }

    /// What each output pixel sees, a row for each; of a matrix the activations themselves.
    func patches(of x: [Float]) -> [Float] {
        guard case .filters(let shape) = self else { return x }
        return shape.patches(of: x)
    }
}

extension ConvShape {
    /// For kernels of odd size, steps of one pixel and a padding that keeps the image's size.
    fileprivate func patches(of x: [Float]) -> [Float] {
        let rowCount = x.count / channels
        let columns = kernel.height * kernel.width * channels
        return [Float](unsafeUninitializedCapacity: rowCount * columns) { patches, count in
            patches.initialize(repeating: 0)
            x.withUnsafeBufferPointer { x in
                for row in 0..<rowCount {
                    for tap in 0..<kernel.height * kernel.width {
                        guard let from = neighbour(of: row, at: tap) else { continue }
                        let to = row * columns + tap * channels
                        for c in 0..<channels { patches[to + c] = x[from * channels + c] }
                    }
                }
            }
            count = rowCount * columns
        }
    }

    /// The pixel that a tap sees, if it is inside the image.
    private func neighbour(of pixel: Int, at tap: Int) -> Int? {
        let down = tap / kernel.width - kernel.height / 2
        let across = tap % kernel.width - kernel.width / 2
        guard 0..<height ~= pixel / width % height + down, 0..<width ~= pixel % width + across else { return nil }
        return pixel + down * width + across
    }
}
