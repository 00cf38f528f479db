import Halftone

/// A part of a network: activations in, activations out, and the gradients on the way back.
///
/// Activations are rows of features, sample by sample; those of images are NHWC, so that a row is a pixel.
protocol Layer: AnyObject {
    /// Keeps what the way back needs.
    func forward(_ x: [Float], _ pass: Pass) throws -> [Float]

    /// The gradient of the last forward call's x, from that of its result. Leaves those of the parameters with them.
    func backward(_ dy: [Float], _ pass: Pass) throws -> [Float]

    /// What this layer is made of, if it is made of layers.
    var parts: [Layer] { get }

    /// What moves in training, without that of the parts.
    var parameters: [Parameter] { get }
}

extension Layer {
    var parts: [Layer] { [] }
    var parameters: [Parameter] { [] }

    /// This layer and all that it is made of.
    var all: [Layer] { [self] + parts.flatMap(\.all) }
}

/// What a pass through a network is for.
struct Pass {
    let clock: PhaseClock
    /// Whether batch normalisations take their statistics from the batch.
    var isTraining = true
    /// Whether running statistics and gradients of parameters are left as they are.
    var isProbe = false
    /// Whether gradients go back through all forward weights, whatever the method's backward mask is.
    var ignoresBackwardMasks = false
}

/// Values that training moves, their gradient, and what the optimizer remembers of them.
final class Parameter {
    var values: [Float]
    var gradient: [Float]
    /// Whether weight decay applies: to weights, not to scales and shifts.
    let decays: Bool
    /// Weights outside of this mask decay; nil where none do.
    var decaying: NMMask?
    var state: OptimizerState

    init(_ values: [Float], decays: Bool) {
        self.values = values
        self.decays = decays
        gradient = [Float](repeating: 0, count: values.count)
        state = OptimizerState(count: values.count)
    }
}

/// Layers one behind the other.
final class Chain: Layer {
    let parts: [Layer]

    init(_ parts: [Layer]) {
        self.parts = parts
    }

    func forward(_ x: [Float], _ pass: Pass) throws -> [Float] {
        try parts.reduce(x) { try $1.forward($0, pass) }
    }

    func backward(_ dy: [Float], _ pass: Pass) throws -> [Float] {
        try parts.reversed().reduce(dy) { try $1.backward($0, pass) }
    }
}

/// Adds what goes in to what comes out.
final class Residual: Layer {
    let parts: [Layer]

    init(_ parts: [Layer]) {
        self.parts = [Chain(parts)]
    }

    func forward(_ x: [Float], _ pass: Pass) throws -> [Float] {
        sum(x, try parts[0].forward(x, pass))
    }

    func backward(_ dy: [Float], _ pass: Pass) throws -> [Float] {
        sum(dy, try parts[0].backward(dy, pass))
    }
}

func sum(_ a: [Float], _ b: [Float]) -> [Float] {
    [Float](unsafeUninitializedCapacity: a.count) { result, count in
        for i in 0..<a.count { result[i] = a[i] + b[i] }
        count = a.count
    }
}
