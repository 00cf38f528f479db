import CHalftone
import CHalftoneBench

/// What the cases of one layer share: its weights, and for each T the operands and the rivals' preparations.
final class LayerBench {
    let layer: Layer
    let kind: ProductKind
    let weights: FloatMatrix
    private let typedWeights: TypedMatrix
    private let rivals: [any Rival]
    private let seed: UInt64
    private var inputs: [Int: Input] = [:]

    private struct Input {
        let xValues: FloatMatrix
        let x: TypedMatrix
        let y: TypedMatrix
        let rivalY: TypedMatrix
        /// The product with the weights as they were before pruning.
        let dense: Reference
        let forms: [[CheckedForm]]
    }

    private struct CheckedForm {
        let form: RivalForm
        let isRight: Bool
    }

    /// The weights are such as the kind has.
    init(layer: Layer, kind: ProductKind, weights: FloatMatrix, rivals: [any Rival], seed: UInt64) throws {
        typedWeights = try TypedMatrix(weights, type: kind.weights)
        self.layer = layer
        self.kind = kind
        self.weights = weights
        self.rivals = rivals
        self.seed = seed
    }

    func measure(
        _ pruned: PrunedLayer, t: Int, row: KernelRow, stopwatch: Stopwatch, budget: Double
    ) throws -> CaseRecord {
        let input = try input(t: t)
        let product = try Product(
            layer: pruned, x: input.x, y: input.y, isa: row.isaOption, threads: stopwatch.threads)
        let ours = Contender(run: product.run)
        let theirs = input.forms.joined().map { Contender(run: $0.form.run) }
        let streams = t == 1 && stopwatch.threads == 1
        let stream = Contender { _ = htb_read(pruned.packed.address, pruned.packed.bytes) }
        let measured = try stopwatch.measure([ours] + theirs + [ours] + (streams ? [stream] : []), budget: budget)
        let maxError = Reference(x: input.xValues, w: pruned.dense, count: sampledRows).maxError(of: input.y)
        return record(
            pruned, t: t, row: row, stopwatch: stopwatch, input: input, measured, hasStream: streams, maxError: maxError
        )
    }

    /// Rows of Y that are checked: more where the output error is reported.
    private var sampledRows: Int { layer.isReal ? 8 : 3 }

    private func input(t: Int) throws -> Input {
        if let known = inputs[t] { return known }
        let normal = try FloatMatrix(rows: t, columns: layer.k)
        htb_fill_normal(normal.data, normal.count, seed &+ UInt64(t) &* 7919, 1)
        let xValues = try kind.rounded(inputs: normal)
        let x = try TypedMatrix(xValues, type: kind.inputs)
        let rivalY = try TypedMatrix(rows: t, columns: layer.o, type: kind.outputs)
        let dense = Reference(x: xValues, w: weights, count: sampledRows)
        let bound = kind.bound(terms: layer.k, columns: layer.k)
        let forms = try rivals.map { rival in
            try rival.forms(x: x, w: typedWeights, y: rivalY).map { form in
                try form.run()
                return CheckedForm(form: form, isRight: dense.maxError(of: rivalY) <= bound)
            }
        }
        let input = Input(
            xValues: xValues, x: x, y: try TypedMatrix(rows: t, columns: layer.o, type: kind.outputs), rivalY: rivalY,
            dense: dense, forms: forms)
        inputs[t] = input
        return input
    }

    private func record(
        _ pruned: PrunedLayer, t: Int, row: KernelRow, stopwatch: Stopwatch, input: Input, _ measured: Measurement,
        hasStream: Bool, maxError: Double
    ) -> CaseRecord {
        let first = measured.samples[0]
        let again = measured.samples[measured.samples.count - (hasStream ? 2 : 1)]
        let bytes = pruned.packed.bytes + input.x.memory.bytes + input.y.memory.bytes
        let streamRate = hasStream ? measured.samples.last.map { Double(pruned.packed.bytes) / $0.minimum } : nil
        let seconds = first.minimum
        let rate = operations(t: t, o: layer.o, k: layer.k) / seconds
        let bound = kind.bound(terms: pruned.pattern.entries(columns: layer.k), columns: layer.k)
        let against = rivalRecords(input, measured, ours: seconds, t: t)
        let aaRatio = again.minimum / seconds
        return CaseRecord(
            layer: layer.name, op: row.op, isa: row.isa, dtype: kind.rawValue, pattern: pruned.pattern.description,
            o: layer.o, k: layer.k, t: t, threads: stopwatch.threads, cache: stopwatch.cache.rawValue,
            secondsMin: seconds, secondsMedian: first.median, runs: first.seconds.count, rate: rate,
            peak: measured.peak, ofPeak: rate / measured.peak, bytes: bytes, streamRate: streamRate,
            ofStream: streamRate.map { Double(bytes) / seconds / $0 }, aaRatio: aaRatio, maxError: maxError,
            errorBound: bound,
            keptL1: layer.isReal ? pruned.keptL1 : nil,
            outputError: layer.isReal ? input.dense.frobeniusError(of: input.y) : nil, against: against,
            verdict: Verdict.of(
                maxError: maxError, bound: bound, aaRatio: aaRatio, isSteady: first.isSteady,
                hasEnoughRuns: measured.hasEnoughRuns,
                against: against))
    }

    /// The fastest form of each rival.
    private func rivalRecords(_ input: Input, _ measured: Measurement, ours: Double, t: Int) -> [RivalRecord] {
        var next = 1
        return zip(rivals, input.forms).map { rival, forms in
            let samples = Array(measured.samples[next..<next + forms.count])
            let times = samples.map(\.minimum)
            next += forms.count
            let best = times.indices.min { times[$0] < times[$1] } ?? 0
            let wrong = forms[best].isRight ? nil : "its result is wrong"
            let reasons = [rival.shortcoming, forms[best].form.shortcoming, wrong].compactMap { $0 }
            let remark = reasons.isEmpty ? "" : "; not comparable: " + reasons.joined(separator: ", ")
            return RivalRecord(
                name: rival.name, config: "\(rival.description); \(forms[best].form.config)\(remark)",
                secondsMin: times[best], ratio: times[best] / ours,
                ofPeak: operations(t: t, o: layer.o, k: layer.k) / times[best] / measured.peak,
                isComparable: reasons.isEmpty, isSteady: samples[best].isSteady)
        }
    }
}
