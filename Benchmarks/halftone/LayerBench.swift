import CHalftone
import CHalftoneBench

/// What the cases of one layer, operation and type share: its weights, and for each T the operands and the rivals'
/// preparations.
final class LayerBench: CaseBench {
    struct Settings {
        let orders: Orders
        /// Whether a backward operation takes the outputs in a random order.
        let permutes: Bool
        let seed: UInt64
    }

    /// The layer's weights with a pattern, packed for the operation and for the one it is to be seen beside.
    private struct Weights {
        let pruned: PrunedLayer
        let companion: (Companion, PrunedLayer?)?
    }

    let layer: Layer
    let operation: Operation
    let kind: ProductKind
    private let dense: FloatMatrix
    private let typedDense: TypedMatrix
    private let contests: [Contest]
    private let settings: Settings
    private let permutation: [UInt32]?
    private var inputs: [Int: BenchInput] = [:]
    /// `nil` for an operation without weights.
    private var current: Weights?

    init(
        layer: Layer, operation: Operation, kind: ProductKind, weights: FloatMatrix, contests: [Contest],
        settings: Settings
    ) throws {
        let weights = try kind.rounded(weights: weights)
        typedDense = try TypedMatrix(weights, type: kind.weights)
        self.layer = layer
        self.operation = operation
        self.kind = kind
        dense = weights
        self.contests = contests
        self.settings = settings
        permutation = settings.permutes ? Self.permutation(layer.geometry(t: 1), seed: settings.seed) : nil
    }

    /// The outputs in a random order, each in its group.
    private static func permutation(_ geometry: Convolution, seed: UInt64) -> [UInt32] {
        var random = SplitMix(seed: seed, number: 0)
        return (0..<geometry.groups).flatMap { group in
            let outputs = group * geometry.groupOutputs..<(group + 1) * geometry.groupOutputs
            return outputs.map { UInt32($0) }.shuffled(using: &random)
        }
    }

    private func problem(_ operation: Operation, t: Int) -> Problem {
        Problem(operation: operation, kind: kind, geometry: layer.geometry(t: t))
    }

    func prepare(_ form: CaseForm) throws {
        current = try form.pattern.map(weights)
    }

    private func weights(_ pattern: Pattern) throws -> Weights {
        // T does not matter to weights.
        let problem = problem(operation, t: 1)
        let pruned = try PrunedLayer(dense, pattern: pattern, problem: problem, permutation: permutation)
        let companion = try Companion(of: operation, pattern).map { companion in
            let other = self.problem(companion.operation, t: 1)
            return (companion, try companion.form.pattern.map { try PrunedLayer(dense, pattern: $0, problem: other) })
        }
        return Weights(pruned: pruned, companion: companion)
    }

    func measure(t: Int, row: KernelRow, stopwatch: Stopwatch, budget: Double) throws -> CaseRecord {
        let input = try input(t: t)
        let (problem, pruned) = (input.problem, current?.pruned)
        let sampled = try operation == .sampledGradient ? pruned.map { try SampledColumns(of: $0, problem) } : nil
        let operands = try sampled.map { try input.operands.withGradient(columns: $0.count) } ?? input.operands
        let call = try LibraryCall(
            problem, layer: pruned, operands: operands, isa: row.isaOption, threads: stopwatch.threads)
        let companion = try opponent(current?.companion, input, isa: row.isaOption, threads: stopwatch.threads)
        let opponents = input.rivals + (companion.map { [$0] } ?? [])

        let ours = Contender(run: call.run)
        let theirs = opponents.flatMap { $0.forms.map { Contender(run: $0.form.run) } }
        let streamed = t == 1 && stopwatch.threads == 1 && operation.direction != .gradient ? pruned?.packed : nil
        let stream = streamed.map { packed in [Contender { _ = htb_read(packed.address, packed.bytes) }] } ?? []
        let measured = try stopwatch.measure([ours] + theirs + [ours] + stream, budget: budget)

        let result = operation.result(of: operands)
        let isGradient = operation.direction == .gradient
        let exact = try isGradient ? input.dense : input.reference(pruned?.dense ?? dense)
        let used = CaseWeights(
            form: pruned.map { .pruned($0.pattern) } ?? .dense, bytes: pruned?.packed.bytes ?? 0,
            keptL1: layer.isReal ? pruned?.keptL1 : nil)
        return CaseRecord(
            layer: layer, problem: problem, weights: used, row: row, stopwatch: stopwatch, measured: measured,
            opponents: opponents, hasStream: !stream.isEmpty,
            bytes: used.bytes + operands.bytes(operation),
            maxError: exact.maxError(of: result, kept: sampled),
            outputError: layer.isReal && !isGradient ? input.dense.frobeniusError(of: result) : nil)
    }

    private func input(t: Int) throws -> BenchInput {
        if let known = inputs[t] { return known }
        let input = try BenchInput(
            problem(operation, t: t), w: dense, typed: typedDense, contests: contests, orders: settings.orders,
            seed: settings.seed, sampledRows: layer.isReal ? 8 : 3)
        inputs[t] = input
        return input
    }

    private func opponent(
        _ other: (companion: Companion, layer: PrunedLayer?)?, _ input: BenchInput, isa: ht_isa, threads: Int
    ) throws -> Opponent? {
        guard let (companion, layer) = other else { return nil }
        let problem = Problem(operation: companion.operation, kind: kind, geometry: input.problem.geometry)
        let call = try LibraryCall(
            problem, layer: layer, operands: input.companionOperands(), isa: isa, threads: threads)
        let form = RivalForm(config: companion.operation.rawValue, run: call.run)
        return Opponent(
            name: companion.name, description: "of this library", isDense: companion.form == .dense,
            forms: [Opponent.Form(form: form, isRight: true)])
    }
}
