import CHalftone
import CHalftoneBench

/// What the cases of one layer share: its weights, and for each T the operands and the rivals' preparations.
final class LayerBench {
    let layer: Layer
    let weights: FloatMatrix
    private let rivals: [any Rival]
    private let seed: UInt64
    private var inputs: [Int: Input] = [:]

    private struct Input {
        let x: FloatMatrix
        let y: FloatMatrix
        let rivalY: FloatMatrix
        /// The product with the weights as they were before pruning.
        let dense: Reference
        let forms: [[CheckedForm]]
    }

    private struct CheckedForm {
        let form: RivalForm
        let isRight: Bool
    }

    init(layer: Layer, weights: FloatMatrix, rivals: [any Rival], seed: UInt64) {
        self.layer = layer
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
        let measured = try stopwatch.measure([ours] + theirs + [ours], budget: budget)
        let maxError = Reference(x: input.x, w: pruned.dense, count: sampledRows).maxError(of: input.y)
        return record(pruned, t: t, row: row, stopwatch: stopwatch, input: input, measured, maxError: maxError)
    }

    /// Rows of Y that are checked: more where the output error is reported.
    private var sampledRows: Int { layer.isReal ? 8 : 3 }

    private func input(t: Int) throws -> Input {
        if let known = inputs[t] { return known }
        let x = try FloatMatrix(rows: t, columns: layer.k)
        htb_fill_normal(x.data, x.count, seed &+ UInt64(t) &* 7919, 1)
        let rivalY = try FloatMatrix(rows: t, columns: layer.o)
        let dense = Reference(x: x, w: weights, count: sampledRows)
        let bound = errorBound(terms: layer.k, columns: layer.k)
        let forms = try rivals.map { rival in
            try rival.forms(x: x, w: weights, y: rivalY).map { form in
                try form.run()
                return CheckedForm(form: form, isRight: dense.maxError(of: rivalY) <= bound)
            }
        }
        let input = Input(
            x: x, y: try FloatMatrix(rows: t, columns: layer.o), rivalY: rivalY, dense: dense, forms: forms)
        inputs[t] = input
        return input
    }

    private func record(
        _ pruned: PrunedLayer, t: Int, row: KernelRow, stopwatch: Stopwatch, input: Input, _ measured: Measurement,
        maxError: Double
    ) -> CaseRecord {
        let first = measured.samples[0]
        let again = measured.samples[measured.samples.count - 1]
        let seconds = first.minimum
        let rate = operations(t: t, o: layer.o, k: layer.k) / seconds
        let bound = errorBound(terms: pruned.pattern.entries(columns: layer.k), columns: layer.k)
        let against = rivalRecords(input, measured, ours: seconds, t: t)
        let aaRatio = again.minimum / seconds
        return CaseRecord(
            layer: layer.name, op: row.op, isa: row.isa, dtype: "f32", pattern: pruned.pattern.description,
            o: layer.o, k: layer.k, t: t, threads: stopwatch.threads, cache: stopwatch.cache.rawValue,
            secondsMin: seconds, secondsMedian: first.median, runs: first.seconds.count, rate: rate,
            peak: measured.peak, ofPeak: rate / measured.peak, aaRatio: aaRatio, maxError: maxError, errorBound: bound,
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
