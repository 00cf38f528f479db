import Halftone

// Stands in for calls of the library that are not there yet.

enum BiMaskSearch {
    case random
    case assignment
}

extension WeightForm {
    func transposableMask(of weights: [Float], _ pattern: NMPattern) throws -> NMMask {
        throw ExperimentError("transposable masks are not there yet")
    }

    func permutation(
        for mask: NMMask, _ pattern: NMPattern, _ search: BiMaskSearch, from last: [UInt32]?
    ) throws -> [UInt32]? {
        last ?? (0..<UInt32(rows)).map { $0 }
    }

    /// Interim: bit by bit.
    func backwardMask(
        of weights: [Float], in forward: NMMask, _ pattern: NMPattern, _ permutation: [UInt32]?
    ) throws -> NMMask {
        let order = permutation?.map { Int($0) } ?? Array(0..<rows)
        let rowBytes = (columns + 7) / 8
        var bytes = [UInt8](repeating: 0, count: rows * rowBytes)
        for column in 0..<columns {
            for block in stride(from: 0, to: rows, by: pattern.m) {
                let members = order[block..<min(rows, block + pattern.m)].filter { forward[$0, column] }
                let kept = members.sorted { abs(weights[$0 * columns + column]) > abs(weights[$1 * columns + column]) }
                for row in kept.prefix(pattern.n) { bytes[row * rowBytes + column / 8] |= 1 << UInt8(column % 8) }
            }
        }
        return try NMMask(rows: rows, columns: columns, bytes: bytes)
    }
}

/// What an optimizer remembers of a parameter.
struct OptimizerState {
    var first: [Float] = []
    var second: [Float] = []
}

struct Optimizer {
    enum Kind: String, Codable {
        case sgd, adamW
    }

    let kind: Kind
    let rate: Float
    let step: Int
    let weightDecay: Float
    let srSTEDecay: Float

    init(_ schedule: Schedule, step: Int, rate: Float) {
        kind = schedule.optimizer
        self.step = step
        self.rate = rate
        weightDecay = Float(schedule.weightDecay)
        srSTEDecay = Float(schedule.pruningDecay)
    }

    func update(_ parameter: Parameter) throws {
        let count = parameter.values.count
        if parameter.state.first.isEmpty {
            parameter.state.first = [Float](repeating: 0, count: count)
            parameter.state.second = [Float](repeating: 0, count: count)
        }
        var gradient = parameter.gradient
        switch parameter.pruning {
        case .decay(let mask):
            for row in 0..<parameter.rows {
                for column in 0..<parameter.columns where !mask[row, column] {
                    let i = row * parameter.columns + column
                    gradient[i] += srSTEDecay * parameter.values[i]
                }
            }
        case .zero(let mask):
            for row in 0..<parameter.rows {
                for column in 0..<parameter.columns where !mask[row, column] {
                    let i = row * parameter.columns + column
                    gradient[i] = 0
                    parameter.values[i] = 0
                    parameter.state.first[i] = 0
                }
            }
        case nil: break
        }
        switch kind {
        case .sgd:
            let momentum: Float = 0.9
            let decay = parameter.decays ? weightDecay : 0
            for i in 0..<count {
                let g = gradient[i] + decay * parameter.values[i]
                parameter.state.first[i] = momentum * parameter.state.first[i] + g
                parameter.values[i] -= rate * parameter.state.first[i]
            }
        case .adamW:
            let decay = parameter.decays ? weightDecay : 0
            var (power1, power2): (Float, Float) = (1, 1)
            for _ in 0..<step { (power1, power2) = (power1 * 0.9, power2 * 0.999) }
            for i in 0..<count {
                parameter.values[i] -= rate * decay * parameter.values[i]
                parameter.state.first[i] = 0.9 * parameter.state.first[i] + 0.1 * gradient[i]
                parameter.state.second[i] = 0.999 * parameter.state.second[i] + 0.001 * gradient[i] * gradient[i]
                let mean = parameter.state.first[i] / (1 - power1)
                parameter.values[i] -= rate * mean / ((parameter.state.second[i] / (1 - power2)).squareRoot() + 1e-8)
            }
        }
    }
}
