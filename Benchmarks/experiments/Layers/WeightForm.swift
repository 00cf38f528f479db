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
        switch self {
        case .matrix:
            try Halftone.weightGradient(
                dy, x, rows: dy.count / rows, outputs: rows, inputs: columns, threads: 1)
        case .filters(let shape):
            try Halftone.weightGradient(dy, x, shape: shape.with(pixels: dy.count / rows), threads: 1)
        }
    }
}

extension ConvShape {
    /// The same convolution of so many pixels, all images together.
    func with(pixels: Int) -> ConvShape {
        var shape = self
        shape.images = pixels / (height * width)
        return shape
    }
}
