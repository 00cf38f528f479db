import Halftone

/// What an optimizer remembers of a parameter.
struct OptimizerState {
    var velocity: [Float]
    var moments: AdamW.State

    init(count: Int) {
        velocity = [Float](repeating: 0, count: count)
        moments = AdamW.State(count: count)
    }
}

/// Moves parameters by one step.
enum Optimizer {
    case sgd(SGD)
    case adamW(AdamW)

    enum Kind: String, Codable {
        case sgd, adamW
    }

    init(_ schedule: Schedule, rate: Float) {
        let weightDecay = Float(schedule.weightDecay)
        switch schedule.optimizer {
        case .sgd: self = .sgd(SGD(rate: rate, momentum: 0.9, weightDecay: weightDecay))
        case .adamW: self = .adamW(AdamW(rate: rate, weightDecay: weightDecay))
        }
    }

    func update(_ parameter: Parameter) throws {
        let pruning = parameter.decaying.map { SRSTE(mask: $0) }
        switch self {
        case .sgd(var sgd):
            if !parameter.decays { sgd.weightDecay = 0 }
            try sgd.update(
                &parameter.values, gradient: parameter.gradient, velocity: &parameter.state.velocity,
                decaying: pruning, threads: 1)
        case .adamW(var adamW):
            if !parameter.decays { adamW.weightDecay = 0 }
            try adamW.update(
                &parameter.values, gradient: parameter.gradient, state: &parameter.state.moments, decaying: pruning,
                threads: 1)
        }
    }
}
