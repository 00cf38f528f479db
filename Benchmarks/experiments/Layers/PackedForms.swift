import Halftone

/// Weights packed for Y = X · transpose(W), or the convolution.
enum ForwardWeights {
    case matrix(NMMatrix)
    case filters(NMFilters)

    /// - Parameter mask: nil for the magnitude mask.
    init(_ form: WeightForm, packing weights: [Float], _ pattern: NMPattern, mask: NMMask? = nil) throws {
        switch form {
        case .matrix:
            self = .matrix(
                try NMMatrix(
                    packing: weights, rows: form.rows, columns: form.columns, pattern: pattern, mask: mask, threads: 1))
        case .filters(let shape):
            self = .filters(try NMFilters(packing: weights, shape: shape, pattern: pattern, mask: mask, threads: 1))
        }
    }

    func product(_ x: [Float], bias: [Float]? = nil) throws -> [Float] {
        let epilogue = Epilogue(bias: bias)
        switch self {
        case .matrix(let matrix):
            return try matrix.multiply(x, rows: x.count / matrix.columns, epilogue: epilogue, options: oneThread)
        case .filters(let filters):
            let shape = filters.shape.with(pixels: x.count / filters.shape.channels)
            return try filters.convolve(x, shape: shape, epilogue: epilogue, options: oneThread)
        }
    }
}

/// Weights packed for dX = dY · W, or the gradient of a convolution's input.
enum BackwardWeights {
    case matrix(NMBackwardMatrix)
    case filters(NMBackwardFilters)

    /// - Parameter mask: nil for the largest magnitudes of each M outputs.
    init(
        _ form: WeightForm, packing weights: [Float], _ pattern: NMPattern, mask: NMMask? = nil,
        permutation: [UInt32]? = nil
    ) throws {
        switch form {
        case .matrix:
            self = .matrix(
                try NMBackwardMatrix(
                    packing: weights, rows: form.rows, columns: form.columns, pattern: pattern, mask: mask,
                    permutation: permutation, threads: 1))
        case .filters(let shape):
            self = .filters(
                try NMBackwardFilters(
                    packing: weights, shape: shape, pattern: pattern, mask: mask, permutation: permutation, threads: 1))
        }
    }

    func product(_ dy: [Float]) throws -> [Float] {
        switch self {
        case .matrix(let matrix): return try matrix.multiply(dy, rows: dy.count / matrix.rows, options: oneThread)
        case .filters(let filters):
            let shape = filters.shape.with(pixels: dy.count / filters.shape.outputs)
            return try filters.convolve(dy, shape: shape, options: oneThread)
        }
    }
}

/// Weights that are masked and packed for both directions in one pass.
struct TrainingWeights {
    // One of them, not an enumeration, so that they are packed where they lie.
    private var matrix: NMTrainingMatrix?
    private var filters: NMTrainingFilters?

    init(_ form: WeightForm, packing weights: [Float], _ pattern: NMPattern, _ permutation: [UInt32]?) throws {
        switch form {
        case .matrix:
            matrix = try NMTrainingMatrix(
                packing: weights.span, rows: form.rows, columns: form.columns, pattern: pattern,
                permutation: permutation, threads: 1)
        case .filters(let shape):
            filters = try NMTrainingFilters(
                packing: weights.span, shape: shape, pattern: pattern, permutation: permutation, threads: 1)
        }
    }

    /// - Parameter permutation: nil for that of the last step.
    mutating func pack(_ weights: [Float], _ permutation: [UInt32]?) throws {
        try matrix?.pack(weights.span, permutation: permutation, threads: 1)
        try filters?.pack(weights.span, permutation: permutation, threads: 1)
    }

    var mask: NMMask? { matrix?.mask ?? filters?.mask }
    var permutation: [UInt32]? { matrix?.permutation ?? filters?.permutation }
    var forward: ForwardWeights? { matrix.map { .matrix($0.forward) } ?? filters.map { .filters($0.forward) } }
    var backward: BackwardWeights? { matrix.map { .matrix($0.backward) } ?? filters.map { .filters($0.backward) } }
}

/// Signs packed for products with signs.
enum BinaryWeights {
    case matrix(BinaryMatrix)
    case filters(BinaryFilters)

    init(_ form: WeightForm, packing signs: SignMatrix) throws {
        switch form {
        case .matrix: self = .matrix(try BinaryMatrix(packing: signs))
        case .filters(let shape): self = .filters(try BinaryFilters(packing: signs, shape: shape))
        }
    }

    func product(_ x: SignMatrix) throws -> [Float] {
        switch self {
        case .matrix(let matrix): return try matrix.multiply(x, as: Float.self, options: oneThread)
        case .filters(let filters):
            return try filters.convolve(
                x, shape: filters.shape.with(pixels: x.rows), as: Float.self, options: oneThread)
        }
    }
}
