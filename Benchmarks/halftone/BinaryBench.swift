import CHalftone
import CHalftoneBench
import Halftone

/// What the cases of one layer with weights of signs share: its weights, and for each T the operands and the rivals'
/// preparations.
final class BinaryBench: CaseBench {
    let layer: Layer
    let operation: Operation
    let kind: ProductKind
    /// The weights as floats, and as bits.
    private let signs: FloatMatrix
    private let bits: TypedMatrix
    /// Over the weights, where the operation packs them along some.
    let trees: GrownTrees?
    private let thresholds: BinaryThresholds
    private let contests: [Contest]
    private let seed: UInt64
    private var inputs: [Int: Input] = [:]
    private var current: Weights?

    private struct Weights {
        let form: BinaryForm
        let packed: BinaryWeights
        let companions: [(Companion, BinaryWeights)]
    }

    /// X of one T and what is known about it.
    private struct Input {
        let problem: Problem
        /// Normal values; and of the type of X, what becomes of them.
        let floats: TypedMatrix
        let x: TypedMatrix
        let reference: Reference
        /// What the dense libraries work on.
        let dense: [BenchInput]

        var rivals: [Opponent] { dense.flatMap(\.rivals) }
    }

    init(
        layer: Layer, operation: Operation, kind: ProductKind, weights: FloatMatrix, contests: [Contest], seed: UInt64,
        rules: ChannelTree.Rules = GrownTrees.usualRules
    ) throws {
        (self.layer, self.operation, self.kind) = (layer, operation, kind)
        signs = try ProductKind.b1.rounded(weights: weights)
        bits = try TypedMatrix(signs, type: HT_DTYPE_B1)
        let groups = layer.convolution?.groups ?? 1
        trees = try operation.reusesChannels ? GrownTrees(bits, groups: groups, rules: rules) : nil
        thresholds = BinaryThresholds(outputs: layer.o, inputs: layer.k, seed: seed)
        (self.contests, self.seed) = (contests, seed)
    }

    func prepare(_ form: CaseForm) throws {
        guard case .binary(let binary) = form else { throw ToolError("\(operation.rawValue) takes no \(form) weights") }
        let packed = try packed(binary.design)
        let companions = try Companion.all(of: operation, form).compactMap { companion in
            guard case .binary(let other) = companion.form, other.design != packed.design else {
                return nil as (Companion, BinaryWeights)?
            }
            return (companion, try self.packed(other.design))
        }
        current = Weights(form: binary, packed: packed, companions: companions)
    }

    private func packed(_ design: BinaryDesign) throws -> BinaryWeights {
        // T does not matter to weights.
        try BinaryWeights(bits, problem: problem(t: 1), design: design, trees: trees)
    }

    /// The size of the weights that were prepared.
    var packedBytes: Int { current?.packed.packed.bytes ?? 0 }

    private func problem(t: Int) -> Problem {
        Problem(operation: operation, kind: kind, geometry: layer.geometry(t: t))
    }

    func measure(t: Int, row: KernelRow, stopwatch: Stopwatch, budget: Double) throws -> CaseRecord {
        guard let weights = current else { throw ToolError("no weights are packed") }
        let (input, form) = (try input(t: t), weights.form)
        let y = try output(input.problem, form)
        let call = try call(input, weights.packed, form, y, row, stopwatch)
        let planned = row.chosen ? try trees.map { try input.problem.plan($0, output: form.output) } : nil
        let companions = try weights.companions.compactMap { companion, packed -> Opponent? in
            // The direct kernels run where another design does not apply.
            guard packed.design == .direct || planned?.designs.contains(packed.design) == true else { return nil }
            let other = try self.call(input, packed, form, output(input.problem, form), row, stopwatch)
            let form = RivalForm(config: operation.rawValue, run: other.run)
            return Opponent(
                name: companion.name, description: "of this library", isDense: false,
                forms: [Opponent.Form(form: form, isRight: true)])
        }
        let opponents = input.rivals + companions

        let ours = Contender(run: call.run)
        let theirs = opponents.flatMap { $0.forms.map { Contender(run: $0.form.run) } }
        let (blob, read) = (weights.packed.packed, weights.packed.wordBytes)
        let hasStream = t == 1 && stopwatch.threads == 1 && !operation.isConvolution
        let stream = hasStream ? [Contender { _ = htb_read(blob.address, read) }] : []
        let measured = try stopwatch.measure([ours] + theirs + [ours] + stream, budget: budget)

        let x = form.packsSigns ? input.floats : input.x
        let design = weights.packed.design
        let used = CaseWeights(
            form: .binary(form), bytes: read, design: design, tree: design == .tree ? trees?.figures : nil)
        var record = CaseRecord(
            layer: layer, problem: input.problem, weights: used, row: row, stopwatch: stopwatch, measured: measured,
            opponents: opponents, hasStream: hasStream, bytes: read + x.memory.bytes + y.memory.bytes,
            maxError: maxError(of: y, input.reference, form), outputError: nil)
        record.plan = planned?.plan.compared(with: seconds(record, design))
        return record
    }

    /// What each design took that was timed.
    private func seconds(_ record: CaseRecord, _ own: BinaryDesign) -> [BinaryDesign: Double] {
        let others = record.against.compactMap { other in
            BinaryDesign(rawValue: other.name).map { ($0, other.secondsMin) }
        }
        return Dictionary([(own, record.secondsMin)] + others) { own, _ in own }
    }

    private func output(_ problem: Problem, _ form: BinaryForm) throws -> TypedMatrix {
        try TypedMatrix(rows: problem.ySize.rows, columns: problem.ySize.columns, type: form.output.code)
    }

    private func call(
        _ input: Input, _ weights: BinaryWeights, _ form: BinaryForm, _ y: TypedMatrix, _ row: KernelRow,
        _ stopwatch: Stopwatch
    ) throws -> BinaryCall {
        try BinaryCall(
            input.problem, packed: weights.packed, x: form.packsSigns ? input.floats : input.x, y: y,
            thresholds: thresholds, isa: row.isaOption, threads: stopwatch.threads)
    }

    private func maxError(of y: TypedMatrix, _ reference: Reference, _ form: BinaryForm) -> Double {
        let thresholds = thresholds
        return reference.maxError(of: y) { sum, column in
            switch form.output {
            case .b1: thresholds.sign(sum, column: column)
            case .i8: min(127, max(-128, sum))
            case .bf16: Double(upperHalf(Float(sum)))
            case .i32, .i16, .f32: sum
            }
        }
    }

    // MARK: inputs

    private func input(t: Int) throws -> Input {
        if let known = inputs[t] { return known }
        let problem = problem(t: t)
        let floats = try problem.normalX(seed: seed)
        let x = try kind.rounded(inputs: floats)
        let input = Input(
            problem: problem, floats: try TypedMatrix(floats, type: HT_DTYPE_F32),
            x: try TypedMatrix(x, type: kind.inputs),
            reference: try Reference(problem, x: x, y: nil, w: signs, count: Self.sampledRows),
            dense: try denseInputs(problem.geometry))
        inputs[t] = input
        return input
    }

    private static let sampledRows = 3

    /// The dense libraries on the same signs as weights, and inputs of their own types.
    private func denseInputs(_ geometry: Convolution) throws -> [BenchInput] {
        var geometry = geometry
        geometry.padding = .zero
        return try kind.denseKinds(operation).compactMap { dense in
            let contests = contests.filter { $0.kind == dense }
            guard !contests.isEmpty else { return nil }
            let problem = Problem(operation: operation.dense, kind: dense, geometry: geometry)
            return try BenchInput(
                problem, w: signs, typed: TypedMatrix(signs, type: dense.weights), contests: contests,
                orders: Orders(), seed: seed, sampledRows: Self.sampledRows)
        }
    }
}
