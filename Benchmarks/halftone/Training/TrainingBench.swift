import CHalftone
import CHalftoneBench

/// Times what training does with one layer under one pattern.
final class TrainingBench {
    struct Settings {
        /// For each line.
        let seconds: Double
        let seed: UInt64
        let openBLAS: (any Rival)?
    }

    private let layer: Layer
    private let t: Int
    private let pattern: Pattern
    private let settings: Settings
    private let weights: TypedMatrix
    private let mask: Memory
    private let forward: Memory
    private let backward: Memory
    private var options = ht_options()

    private var o: Int { layer.o }
    private var k: Int { layer.k }

    init(layer: Layer, t: Int, pattern: Pattern, _ settings: Settings) throws {
        (self.layer, self.t, self.pattern, self.settings) = (layer, t, pattern, settings)
        weights = try TypedMatrix(layer.weights(), type: HT_DTYPE_F32)
        mask = try Memory(bytes: layer.o * (layer.k + 7) / 8 + layer.o)
        options.threads = 1
        var (forwardBytes, backwardBytes) = (0, 0)
        let (o, k, n, m) = (layer.o, layer.k, pattern.n, pattern.m)
        try check(ht_nm_packed_size(o, k, n, m, HT_DTYPE_F32, nil, &forwardBytes), "the forward blob")
        try check(ht_nm_backward_packed_size(o, k, n, m, HT_DTYPE_F32, nil, nil, &backwardBytes), "the backward blob")
        forward = try Memory(bytes: forwardBytes)
        backward = try Memory(bytes: backwardBytes)
    }

    func measure(_ phase: TrainingPhase) throws -> [TrainingRecord] {
        switch phase {
        case .mask: [try measureMask()]
        case .transposable: try measureTransposable()
        case .search: try measureSearch()
        case .pack: [try measurePacking()]
        case .step: try measureStep()
        case .update: try measureUpdates()
        }
    }

    // MARK: rounds

    private func stopwatch(_ cache: CacheState) throws -> Stopwatch {
        let unit = ProductKind.f32.unit(isa: cpuHasAVX512 ? HT_ISA_AVX512 : cpuHasAVX2 ? HT_ISA_AVX2 : HT_ISA_REF)
        return Stopwatch(
            cache: cache, threads: 1, unit: unit, otherMemory: try Stopwatch.memoryToRead(for: cache))
    }

    /// Times a call twice, and what it is held against, in turn.
    private func round(
        _ call: @escaping () throws -> Void, against others: [() throws -> Void], _ cache: CacheState
    ) throws -> Measurement {
        let contenders = ([call, call] + others).map { Contender(run: $0) }
        return try stopwatch(cache).measure(contenders, budget: settings.seconds)
    }

    private func record(_ what: String, _ measured: Measurement, isBounded: Bool = false) -> TrainingRecord {
        let (own, again) = (measured.samples[0], measured.samples[1])
        let aaRatio = again.minimum / own.minimum
        let bound = measured.samples.dropFirst(2).reduce(0) { $0 + $1.minimum }
        return TrainingRecord(
            layer: layer.name, o: o, k: k, t: t, pattern: "\(pattern)", what: what,
            secondsMin: min(own.minimum, again.minimum), secondsMedian: own.median,
            secondsBound: isBounded ? bound : nil, aaRatio: aaRatio,
            verdict: Verdict.of(
                maxError: 0, bound: 0, aaRatio: aaRatio, isSteady: own.isSteady,
                hasEnoughRuns: measured.hasEnoughRuns, against: []))
    }

    private var bits: UnsafeMutablePointer<UInt8> { mask.address.assumingMemoryBound(to: UInt8.self) }

    private func reading(_ memory: Memory) -> () -> Void { { _ = htb_read(memory.address, memory.bytes) } }
    private func writing(_ memory: Memory) -> () -> Void { { htb_write(memory.address, memory.bytes) } }

    // MARK: masks

    private func findMask() throws {
        try check(
            ht_nm_mask_f32(o, k, pattern.n, pattern.m, weights.floats, 0, bits, 0, &options), "the magnitude mask")
    }

    private func measureMask() throws -> TrainingRecord {
        let measured = try round({ [self] in try findMask() }, against: [reading(weights.memory)], .cold)
        return record("magnitude mask", measured, isBounded: true)
    }

    private func measureTransposable() throws -> [TrainingRecord] {
        guard pattern.m <= 32 else { return [] }
        let methods = [
            ("exact", HT_TRANSPOSABLE_EXACT), ("greedy", HT_TRANSPOSABLE_GREEDY), ("dykstra", HT_TRANSPOSABLE_DYKSTRA),
        ]
        return try methods.map { name, method in
            let call = { [self] in
                try check(
                    ht_nm_transposable_mask_f32(
                        o, k, pattern.n, pattern.m, method, weights.floats, 0, bits, 0, &options),
                    "the transposable mask")
            }
            return record(
                "transposable, \(name)", try round(call, against: [reading(weights.memory)], .cold), isBounded: true)
        }
    }

    // MARK: permutations

    private func measureSearch() throws -> [TrainingRecord] {
        try findMask()
        let own = [UInt32](0..<UInt32(o))
        let entries = Double((0..<mask.bytes).reduce(0) { $0 + bits[$1].nonzeroBitCount })
        var retained: [UInt64] = [0, 0, 0]
        let methods = [HT_BIMASK_ASSIGNMENT, HT_BIMASK_RANDOM, HT_BIMASK_SWAPS]
        let calls = methods.enumerated().map { index, method in
            { [self] in
                var rules = ht_bimask_rules(
                    scorer: HT_BIMASK_SURVIVORS, method: method, seed: settings.seed, steps: 0)
                var permutation = own
                try check(
                    ht_bimask_search(
                        o, k, pattern.n, pattern.m, bits, 0, &rules, &permutation, &retained[index], &options),
                    "the search")
            }
        }
        let measured = try round(calls[0], against: Array(calls.dropFirst()), .warm)
        var score: UInt64 = 0
        try check(
            ht_bimask_score(o, k, pattern.n, pattern.m, HT_BIMASK_SURVIVORS, bits, 0, nil, &score, &options),
            "the score")
        let samples = [measured.samples[0], measured.samples[2], measured.samples[3]]
        return ["search, assignments", "search, 100 at random", "search, swaps"].enumerated().map { index, name in
            var record = record(name, measured)
            record.secondsMin = samples[index].minimum
            record.secondsMedian = samples[index].median
            if index > 0 { record.aaRatio = nil }
            record.retained = Double(retained[index]) / entries
            record.retainedBefore = Double(score) / entries
            return record
        }
    }

    // MARK: steps

    private func pack() throws {
        var step = ht_nm_step()
        (step.mask, step.forward, step.backward) = (bits, forward.address, backward.address)
        (step.forward_size, step.backward_size) = (forward.bytes, backward.bytes)
        try check(ht_nm_step_pack_f32(o, k, pattern.n, pattern.m, weights.floats, 0, &step, &options), "packing")
    }

    private func measurePacking() throws -> TrainingRecord {
        let bound = [reading(weights.memory), writing(forward), writing(backward)]
        return record(
            "mask, pack both ways", try round({ [self] in try pack() }, against: bound, .cold), isBounded: true)
    }

    private func measureStep() throws -> [TrainingRecord] {
        let x = try Problem(operation: .product, kind: .f32, geometry: layer.geometry(t: t)).normalX(
            seed: settings.seed)
        let dy = try FloatMatrix(rows: t, columns: o)
        htb_fill_normal(dy.data, dy.count, settings.seed &+ 1, 1)
        let operands = Operands(
            x: try TypedMatrix(x, type: HT_DTYPE_F32), y: try TypedMatrix(rows: t, columns: o, type: HT_DTYPE_F32),
            w: weights)
        let dx = try TypedMatrix(rows: t, columns: k, type: HT_DTYPE_F32)
        let call = { [self] in
            try pack()
            try check(
                ht_nm_gemm_f32(
                    t, o, k, operands.x.floats, 0, forward.address, forward.bytes, nil, operands.y.floats, 0, &options),
                "the forward product")
            try check(
                ht_nm_gemm_backward_f32(
                    t, o, k, dy.data, 0, backward.address, backward.bytes, nil, dx.floats, 0, &options),
                "the backward product")
        }
        return try records(call, dense(operands, dy, dx))
    }

    /// The ways of the dense library to do each of the three products of a step, of which the fastest counts.
    private func dense(_ operands: Operands, _ dy: FloatMatrix, _ dx: TypedMatrix) throws -> [[RivalForm]] {
        guard let rival = settings.openBLAS else { return [] }
        let gradients = try TypedMatrix(dy, type: HT_DTYPE_F32)
        let backward = Operands(x: dx, y: gradients, w: weights)
        let dw = Operands(x: operands.x, y: gradients, w: try TypedMatrix(rows: o, columns: k, type: HT_DTYPE_F32))
        return try [(Operation.product, operands), (.backwardProduct, backward), (.weightGradient, dw)].map {
            try rival.forms(Problem(operation: $0, kind: .f32, geometry: layer.geometry(t: t)), $1)
        }
    }

    private func records(_ call: @escaping () throws -> Void, _ dense: [[RivalForm]]) throws -> [TrainingRecord] {
        let measured = try round(call, against: dense.joined().map(\.run), .warm)
        var step = record("step: pack, Y, dX", measured)
        guard !dense.isEmpty else { return [step] }
        var place = 2
        let least = dense.map { forms in
            defer { place += forms.count }
            return measured.samples[place..<place + forms.count].map(\.minimum).min() ?? .infinity
        }
        step.secondsDense = least[0] + least[1]
        var whole = step
        whole.what = "the same and dense dW"
        whole.secondsMin += least[2]
        whole.secondsMedian += least[2]
        whole.secondsDense = least.reduce(0, +)
        return [step, whole]
    }

    // MARK: updates

    private func measureUpdates() throws -> [TrainingRecord] {
        try findMask()
        let states = try (0..<3).map { _ in try FloatMatrix(rows: o, columns: k) }
        htb_fill_normal(states[0].data, states[0].count, settings.seed, 1e-3)
        var decay = ht_sr_ste(mask: bits, mask_stride: 0, decay: 2e-4)
        var sgd = ht_sgd(rate: 1e-6, momentum: 0.9, dampening: 0, weight_decay: 1e-4, nesterov: 0)
        var adamw = ht_adamw(rate: 1e-6, beta1: 0, beta2: 0, epsilon: 0, weight_decay: 0.01, step: 1)
        let descend = { [self] in
            try check(
                ht_sgd_f32(o, k, &sgd, &decay, states[0].data, 0, states[1].data, weights.floats, 0, &options), "SGD")
        }
        let adapt = { [self] in
            try check(
                ht_adamw_f32(
                    o, k, &adamw, &decay, states[0].data, 0, states[1].data, states[2].data, weights.floats, 0,
                    &options), "AdamW")
        }
        let (gradient, first, second) = (states[0].memory, states[1].memory, states[2].memory)
        // Weights and state are read and written in place, which no bound of separate loops has: this one reads all
        // and writes other memory.
        let other = try Memory(bytes: first.bytes)
        let reads = [gradient, first, weights.memory].map(reading)
        let writes = [other, other].map(writing)
        return [
            record("SGD, momentum, SR-STE", try round(descend, against: reads + writes, .cold), isBounded: true),
            record(
                "AdamW, SR-STE",
                try round(adapt, against: reads + [reading(second)] + writes + [writing(other)], .cold),
                isBounded: true),
        ]
    }
}
