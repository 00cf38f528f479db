import Foundation
import Testing

@testable import HalftoneExperiments

/// Compares what a layer's way back gives with central differences of Σ weight · y, for random weights.
struct GradientCheck {
    let layer: Layer
    let x: [Float]
    private let weights: [Float]
    private let pass = Pass(clock: PhaseClock())

    init(_ layer: Layer, inputs: Int, seed: UInt64) throws {
        self.layer = layer
        var random = SplitMix(seed: seed, purpose: .test)
        x = random.normals(inputs, deviation: 1)
        try Self.prepare(layer, pass)
        weights = random.normals(try layer.forward(x, pass).count, deviation: 1)
    }

    /// The largest error of a gradient of an input, over the largest of these gradients.
    func inputError(step: Float = 1e-2) throws -> Double {
        _ = try layer.forward(x, pass)
        let gradient = try layer.backward(weights, pass)
        let differences = try x.indices.map { i in
            try difference(step) { step in
                var moved = x
                moved[i] += step
                return moved
            }
        }
        return Self.error(gradient, differences)
    }

    /// The same for a parameter of the layer or of one of its parts.
    func parameterError(_ parameter: Parameter, step: Float = 1e-2) throws -> Double {
        _ = try layer.forward(x, pass)
        _ = try layer.backward(weights, pass)
        let gradient = parameter.gradient
        let differences = try parameter.values.indices.map { i in
            let value = parameter.values[i]
            defer { parameter.values[i] = value }
            return try difference(step) { step in
                parameter.values[i] = value + step
                return x
            }
        }
        return Self.error(gradient, differences)
    }

    private func difference(_ step: Float, _ input: (Float) -> [Float]) throws -> Double {
        let above = try value(input(step))
        let below = try value(input(-step))
        return (above - below) / (2 * Double(step))
    }

    private func value(_ x: [Float]) throws -> Double {
        try Self.prepare(layer, pass)
        return zip(try layer.forward(x, pass), weights).reduce(0) { $0 + Double($1.0) * Double($1.1) }
    }

    private static func prepare(_ layer: Layer, _ pass: Pass) throws {
        for case let layer as PackedLayer in layer.all { try layer.prepare(Moment(step: 1, progress: 0), pass) }
    }

    private static func error(_ gradient: [Float], _ differences: [Double]) -> Double {
        let scale = differences.reduce(0) { max($0, abs($1)) }
        guard gradient.count == differences.count, scale > 0 else { return .infinity }
        return zip(gradient, differences).reduce(0) { max($0, abs(Double($1.0) - $1.1)) } / scale
    }
}
