import Foundation
import Halftone

/// How long and how fast to train.
struct Schedule: Codable {
    var epochs: Int
    var batch: Int
    /// The highest rate; it rises over the first twentieth of the steps and falls as a cosine to 0.
    var rate: Double
    var optimizer: Optimizer.Kind
    var weightDecay: Double
    /// Steps from one search, for a permutation or a tree, to the next.
    var searchInterval: Int

    enum CodingKeys: String, CodingKey {
        case epochs, batch, rate, optimizer
        case weightDecay = "weight_decay"
        case searchInterval = "search_interval"
    }

    func steps(images: Int) -> Int { epochs * (images / batch) }

    func rate(_ progress: Double) -> Float {
        let warmUp = 0.05
        return Float(rate * min(1, progress / warmUp) * 0.5 * (1 + cos(.pi * progress)))
    }
}

/// Trains one network once.
struct Trainer {
    let network: Network
    let schedule: Schedule
    let dataset: Dataset
    let seed: UInt64

    /// What a training leaves, the network aside.
    struct Outcome {
        let accuracy: Double
        let loss: Double
        /// Of the gradient that reaches the body, on average over the epochs; nil where it goes back through all forward weights.
        let gradientGap: Double?
        let steps: Int
        let clock: PhaseClock
    }

    func run(onEpoch: (Int) -> Void = { _ in }) throws -> Outcome {
        var random = SplitMix(seed: seed, purpose: .batches)
        let images = dataset.training
        let clock = PhaseClock()
        let steps = schedule.steps(images: images.count)
        var (step, gaps, loss): (Int, [Double], Double) = (0, [], 0)
        for epoch in 0..<schedule.epochs {
            let order = Array(0..<images.count).shuffled(using: &random)
            loss = 0
            for first in stride(from: 0, through: order.count - schedule.batch, by: schedule.batch) {
                let batch = order[first..<first + schedule.batch]
                let moment = Moment(step: step, progress: Double(step) / Double(steps))
                let isLast = first + 2 * schedule.batch > order.count
                let (lossOfBatch, gap) = try clock.measure(.other) {
                    try self.step(batch, moment, Pass(clock: clock), measuresGap: isLast)
                }
                loss += lossOfBatch * Double(schedule.batch) / Double(images.count)
                if let gap { gaps.append(gap) }
                step += 1
            }
            onEpoch(epoch)
        }
        let gap = gaps.isEmpty ? nil : gaps.reduce(0, +) / Double(gaps.count)
        return Outcome(accuracy: try accuracy(), loss: loss, gradientGap: gap, steps: steps, clock: clock)
    }

    private func step(
        _ batch: ArraySlice<Int>, _ moment: Moment, _ pass: Pass, measuresGap: Bool
    ) throws -> (loss: Double, gap: Double?) {
        try network.prepare(moment, pass)
        let logits = try network.forward(dataset.training.pixels(of: batch), pass)
        let (loss, gradient) = crossEntropy(logits, labels: batch.map { dataset.training.labels[$0] })
        try network.backward(gradient, pass)
        let gap = try measuresGap ? gradientGap(gradient) : nil
        try pass.clock.measure(.update) {
            let optimizer = Optimizer(schedule, rate: schedule.rate(moment.progress))
            for parameter in network.parameters { try optimizer.update(parameter) }
        }
        return (loss, gap)
    }

    /// How far the gradient that reaches the body is from the one that goes back through all forward weights: the norm
    /// of the difference over that of the latter. Of the last forward call; not part of any figure of time.
    private func gradientGap(_ gradient: [Float]) throws -> Double? {
        guard network.layers.contains(where: { ($0 as? WeightLayer)?.packer.dropsBackwardEntries == true }) else {
            return nil
        }
        var probe = Pass(clock: PhaseClock(), isProbe: true)
        let own = try network.bodyGradient(gradient, probe)
        probe.ignoresBackwardMasks = true
        let full = try network.bodyGradient(gradient, probe)
        var (difference, norm) = (0.0, 0.0)
        for (a, b) in zip(own, full) {
            difference += Double(a - b) * Double(a - b)
            norm += Double(b) * Double(b)
        }
        return norm == 0 ? nil : (difference / norm).squareRoot()
    }

    /// The share of the test images that the network names rightly, normalised by running statistics.
    private func accuracy() throws -> Double {
        let pass = Pass(clock: PhaseClock(), isTraining: false)
        let images = dataset.test
        try network.prepare(Moment(step: schedule.steps(images: dataset.training.count), progress: 1), pass)
        var right = 0
        for first in stride(from: 0, to: images.count, by: 200) {
            let part = first..<min(first + 200, images.count)
            right += hits(try network.forward(images.pixels(of: part), pass), labels: Array(images.labels[part]))
        }
        return Double(right) / Double(images.count)
    }
}
