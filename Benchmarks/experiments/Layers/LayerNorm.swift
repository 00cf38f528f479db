/// A layer normalisation: the features of each row get a mean of 0 and a variance of 1, then a scale and a shift each.
final class LayerNorm: Layer {
    let scale: Parameter
    let shift: Parameter

    private static let epsilon: Float = 1e-5

    private let features: Int
    private var normal: [Float] = []
    private var inverseDeviations: [Float] = []

    init(features: Int) {
        self.features = features
        scale = Parameter([Float](repeating: 1, count: features), decays: false)
        shift = Parameter([Float](repeating: 0, count: features), decays: false)
    }

    var parameters: [Parameter] { [scale, shift] }

    func forward(_ x: [Float], _ pass: Pass) -> [Float] {
        normal = x
        inverseDeviations = [Float](repeating: 0, count: x.count / features)
        let share = 1 / Float(features)
        normal.withUnsafeMutableBufferPointer { normal in
            for row in inverseDeviations.indices {
                let values = UnsafeMutableBufferPointer(rebasing: normal[row * features..<(row + 1) * features])
                let mean = values.reduce(0, +) * share
                for c in 0..<features { values[c] -= mean }
                let variance = values.reduce(0) { $0 + $1 * $1 } * share
                inverseDeviations[row] = 1 / (variance + Self.epsilon).squareRoot()
                for c in 0..<features { values[c] *= inverseDeviations[row] }
            }
        }
        let (scale, shift) = (scale.values, shift.values)
        return mapRows(normal, features: features) { normal, c in normal * scale[c] + shift[c] }
    }

    func backward(_ dy: [Float], _ pass: Pass) -> [Float] {
        if !pass.isProbe {
            shift.gradient = sumRows(dy, dy, features: features) { dy, _ in dy }
            scale.gradient = sumRows(dy, normal, features: features) { dy, normal in dy * normal }
        }
        let scale = scale.values
        var dx = mapRows(dy, features: features) { dy, c in dy * scale[c] }
        let share = 1 / Float(features)
        for row in inverseDeviations.indices {
            let places = row * features..<(row + 1) * features
            let mean = places.reduce(0) { $0 + dx[$1] } * share
            let slope = places.reduce(0) { $0 + dx[$1] * normal[$1] } * share
            for i in places { dx[i] = inverseDeviations[row] * (dx[i] - mean - normal[i] * slope) }
        }
        return dx
    }
}
