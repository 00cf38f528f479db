import Halftone

/// Two 3x3 convolutions with 2:4 filters and a way past them, y = relu(conv(relu(conv(x))) + x).
struct ResidualBlock {
    static let shape = ConvShape(height: 14, width: 14, channels: 64, outputs: 64, kernel: 3, padding: .same)

    private let convolutions: [NMFilters]
    private let backward: [NMBackwardFilters]

    init() throws {
        let pattern = try NMPattern(2, of: 4)
        let weights = (1...2).map(Self.weights)
        convolutions = try weights.map { try NMFilters(packing: $0, shape: Self.shape, pattern: pattern) }
        backward = try weights.map { try NMBackwardFilters(packing: $0, shape: Self.shape, pattern: pattern) }
    }

    /// Two of each four neighbours are kept, among the inputs as among the outputs: one mask for both directions.
    private static func weights(seed: Int) -> [Float] {
        (0..<shape.outputs * 9 * shape.channels).map { at in
            let (output, input) = (at / (9 * shape.channels), at % shape.channels)
            return (output + input) % 4 < 2 ? Float((at + seed) % 11 - 5) / 8 : 0
        }
    }

    func run(_ x: [Float]) throws -> (hidden: [Float], y: [Float]) {
        let relu = Epilogue(activation: .relu)
        let hidden = try convolutions[0].convolve(x, epilogue: relu)
        return (hidden, try convolutions[1].convolve(hidden, epilogue: relu, residual: x))
    }

    /// The gradient of x from that of y.
    func gradient(_ dy: [Float], hidden: [Float], y: [Float]) throws -> [Float] {
        let inner = zip(dy, y).map { $1 > 0 ? $0 : 0 }
        let dHidden = zip(try backward[1].convolve(inner), hidden).map { $1 > 0 ? $0 : 0 }
        return try backward[0].convolve(dHidden, residual: inner)
    }
}
