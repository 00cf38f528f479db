import CHalftone
import CHalftoneBench

/// Times the packing of signs, T rows of a layer's K inputs, against a plain read of them.
final class SignBench: CaseBench {
    let layer: Layer
    let operation = Operation.signPacking
    let kind: ProductKind
    private let seed: UInt64

    init(layer: Layer, kind: ProductKind, seed: UInt64) {
        (self.layer, self.kind, self.seed) = (layer, kind, seed)
    }

    func prepare(_ form: CaseForm) {}

    func measure(t: Int, row: KernelRow, stopwatch: Stopwatch, budget: Double) throws -> CaseRecord {
        let problem = Problem(operation: operation, kind: kind, geometry: layer.geometry(t: t))
        let values = try kind.rounded(inputs: problem.normalX(seed: seed))
        let x = try TypedMatrix(values, type: kind.inputs)
        let y = try TypedMatrix(rows: t, columns: layer.k, type: HT_DTYPE_B1)
        var options = ht_options()
        (options.isa, options.threads) = (row.isaOption, Int32(stopwatch.threads))
        let kind = kind
        let packing = Contender {
            try check(
                kind.packSigns((x.rows, x.columns), from: (x.data, 0), to: (y.data, 0), &options), "packing signs")
        }
        let reading = Contender { _ = htb_read(x.data, x.memory.bytes) }
        var measured = try stopwatch.measure([packing, packing, reading], budget: budget)
        measured.peak = Double(x.memory.bytes) / measured.samples[2].minimum
        return CaseRecord(
            layer: layer, problem: problem, weights: CaseWeights(form: .dense), row: row, stopwatch: stopwatch,
            measured: Measurement(
                samples: Array(measured.samples.prefix(2)), peak: measured.peak,
                hasEnoughRuns: measured.hasEnoughRuns),
            opponents: [], hasStream: false, bytes: x.memory.bytes + y.memory.bytes,
            maxError: isRight(y, values) ? 0 : 1, outputError: nil)
    }

    private func isRight(_ y: TypedMatrix, _ values: FloatMatrix) -> Bool {
        (0..<y.rows).allSatisfy { row in
            (0..<y.columns).allSatisfy { (y.value(row, $0) < 0) == (values.row(row)[$0] < 0) }
        }
    }
}
