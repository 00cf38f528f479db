/// A batch normalisation: each feature gets a mean of 0 and a variance of 1 over the rows, then a scale and a shift.
final class BatchNormLayer: Layer {
    let scale: Parameter
    let shift: Parameter
    private(set) var mean: [Float]
    private(set) var variance: [Float]

    static let epsilon: Float = 1e-5
    /// The weight of a new batch in the running statistics.
    private static let share: Float = 0.1

    private let features: Int
    private var normal: [Float] = []
    private var inverseDeviation: [Float] = []

    init(features: Int) {
        self.features = features
        scale = Parameter([Float](repeating: 1, count: features), decays: false)
        shift = Parameter([Float](repeating: 0, count: features), decays: false)
        mean = [Float](repeating: 0, count: features)
        variance = [Float](repeating: 1, count: features)
    }

    var parameters: [Parameter] { [scale, shift] }

    func forward(_ x: [Float], _ pass: Pass) -> [Float] {
        let (mean, variance) = pass.isTraining ? statistics(of: x) : (self.mean, self.variance)
        if pass.isTraining && !pass.isProbe { remember(mean, variance, rows: x.count / features) }
        inverseDeviation = variance.map { 1 / ($0 + Self.epsilon).squareRoot() }
        normal = mapRows(x, features: features) { x, c in (x - mean[c]) * inverseDeviation[c] }
        let (scale, shift) = (scale.values, shift.values)
        return mapRows(normal, features: features) { normal, c in normal * scale[c] + shift[c] }
    }

    func backward(_ dy: [Float], _ pass: Pass) -> [Float] {
        let dShift = sumRows(dy, dy, features: features) { dy, _ in dy }
        let dScale = sumRows(dy, normal, features: features) { dy, normal in dy * normal }
        if !pass.isProbe { (scale.gradient, shift.gradient) = (dScale, dShift) }
        let share = Float(features) / Float(dy.count)
        let (meanShift, meanScale) = (dShift.map { $0 * share }, dScale.map { $0 * share })
        let factor = zip(scale.values, inverseDeviation).map { $0 * $1 }
        return mapRows(dy, normal, features: features) { dy, normal, c in
            factor[c] * (dy - meanShift[c] - normal * meanScale[c])
        }
    }

    private func statistics(of x: [Float]) -> (mean: [Float], variance: [Float]) {
        let share = Float(features) / Float(x.count)
        let mean = sumRows(x, x, features: features) { x, _ in x }.map { $0 * share }
        let centred = mapRows(x, features: features) { x, c in x - mean[c] }
        return (mean, sumRows(centred, centred, features: features) { a, b in a * b }.map { $0 * share })
    }

    private func remember(_ batchMean: [Float], _ batchVariance: [Float], rows: Int) {
        let unbiased = Float(rows) / Float(max(1, rows - 1))
        for c in 0..<features {
            mean[c] += Self.share * (batchMean[c] - mean[c])
            variance[c] += Self.share * (batchVariance[c] * unbiased - variance[c])
        }
    }
}
