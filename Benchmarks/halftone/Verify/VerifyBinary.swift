import CHalftone

/// One random product or convolution with weights of signs, with what the reference kernel and the formula make of it.
/// It follows from the operation, the type, the seed and the number alone.
struct VerifyBinary: VerifyJudge {
    private let problem: Problem
    private let outputType: ht_dtype
    /// That the weights are packed for, and that the call asks for.
    private let designs: (packed: BinaryDesign, asked: BinaryDesign)
    private let packed: Memory
    private let x: StridedMemory
    private let residual: StridedMemory?
    private let orders: Orders
    private let gap: Int
    private let epilogue: VerifyEpilogue
    private let threshold: Threshold?
    private let threads: Int
    private let rows: Range<Int>
    private let columns: Range<Int>
    private let givesScratch: Bool
    private let reference: StridedMemory
    /// Of the formula, row by row.
    private let sums: [ExactSum]

    private struct Threshold {
        let level: [Int32]?
        let flip: [UInt8]?
    }

    init(_ operation: Operation, _ kind: ProductKind, seed: UInt64, number: Int) throws {
        var random = SplitMix(seed: seed, number: UInt64(number))
        outputType = random.pick(kind.offeredOutputs(operation))
        let geometry = Self.geometry(operation, kind, &random)
        let problem = Problem(operation: operation, kind: kind, geometry: geometry)
        self.problem = problem
        designs = Self.designs(operation, kind, &random)
        let style = ValueStyle(&random)
        let trees = try operation.reusesChannels ? VerifyTrees(problem, &random) : nil
        let w = trees?.signs ?? Self.signs(problem.o * problem.k, &random)
        let values = Self.inputs(problem, style, &random)
        // Images and bits lie in rows.
        orders = Orders(
            x: kind.isBits || operation.isConvolution ? HT_ORDER_ROWS : VerifyCase.order(&random),
            y: outputType.isBits ? HT_ORDER_ROWS : VerifyCase.order(&random))
        gap = VerifyCase.gap(&random)
        let (t, o) = problem.ySize
        epilogue = VerifyEpilogue(operation, kind, outputType, t: t, o: o, style, &random)
        threshold = outputType == HT_DTYPE_B1 && random.chance(0.7) ? Self.threshold(problem, &random) : nil
        threads = random.chance(0.5) ? 1 : random.int(2...4)
        let window = VerifyCase.window(t, geometry.groups == 1 ? o : 0, &random)
        (rows, columns) = geometry.groups == 1 ? window : (window.0, 0..<o)
        givesScratch = random.chance(0.5)
        x = try StridedMemory(problem.xSize, type: kind.inputs, order: orders.x, gap: VerifyCase.gap(&random), values)
        let residualType = outputType == HT_DTYPE_BF16 ? HT_DTYPE_BF16 : HT_DTYPE_F32
        let (orders, epilogue) = (orders, epilogue)
        residual = try epilogue.residual.map {
            try StridedMemory(problem.ySize, type: residualType, order: orders.y, gap: 3, $0)
        }
        sums = Self.sums(problem, values, w, zero: epilogue.quantization?.xZero ?? 0)
        let bits = try StridedMemory(
            (problem.o, problem.k), type: HT_DTYPE_B1, order: HT_ORDER_ROWS, gap: VerifyCase.gap(&random), w)
        let design = designs.packed
        packed = try describing("\(problem.geometry), packing for \(design)") {
            try withExtendedLifetime(bits) {
                try problem.pack(
                    signs: bits.memory.address, stride: bits.stride, design: design,
                    parents: trees?.parents ?? [])
            }
        }
        reference = try Self.blank(problem, outputType, orders.y, gap)
        var options = ht_options()
        (options.isa, options.threads) = (HT_ISA_REF, 1)
        try describing(description) { try run(to: reference, options) }
    }

    var description: String {
        let geometry = problem.geometry
        let (before, after) = (geometry.padBefore, geometry.padAfter)
        let sizes =
            problem.operation.isConvolution
            ? "\(geometry), pads \(before.y) \(before.x) \(after.y) \(after.x)"
            : "t \(problem.t), o \(problem.o), k \(problem.k)"
        let options = [
            sizes, "to type \(outputType.rawValue)", "packed for \(designs.packed)", "asked for \(designs.asked)",
            "\(epilogue)",
            threshold.map { "threshold\($0.level == nil ? "" : " level")\($0.flip == nil ? "" : " flip")" },
            "x stride \(x.stride)", "y gap \(gap)", "orders \(orders.x.rawValue) \(orders.y.rawValue)",
            "threads \(threads)", "rows \(rows)", "columns \(columns)", givesScratch ? "scratch given" : nil,
        ]
        return options.compactMap { $0 }.joined(separator: ", ")
    }

    func fault(of row: KernelRow) throws -> String? {
        var options = ht_options()
        options.isa = row.isaOption
        options.threads = Int32(threads)
        options.binary_design = designs.asked.code
        (options.row_begin, options.row_end) = (rows.lowerBound, rows.upperBound)
        (options.column_begin, options.column_end) = (columns.lowerBound, columns.upperBound)
        let scratch = try givesScratch ? problem.scratch(packed, options) : nil
        (options.scratch, options.scratch_size) = (scratch?.address, scratch?.bytes ?? 0)
        let y = try Self.blank(problem, outputType, orders.y, gap)
        try withExtendedLifetime(scratch) { try run(to: y, options) }
        let before = try Self.blank(problem, outputType, orders.y, gap)
        let bitFault = y.fault(reference: reference, before: before) { row, column in
            rows.contains(row) && columns.contains(column)
        }
        return bitFault ?? formulaFault(y)
    }

    // MARK: parts

    private static func geometry(
        _ operation: Operation, _ kind: ProductKind, _ random: inout SplitMix
    ) -> Convolution {
        if operation.isConvolution { return convolution(kind, &random) }
        return operation.reusesChannels ? VerifyTrees.product(&random) : VerifyCase.product(&random)
    }

    private static func designs(
        _ operation: Operation, _ kind: ProductKind, _ random: inout SplitMix
    ) -> (packed: BinaryDesign, asked: BinaryDesign) {
        guard kind.isBits else { return (.auto, .auto) }
        let packed = operation.reusesChannels ? .tree : random.pick(BinaryDesign.withoutTree)
        return (packed, random.pick([.auto, .auto, .direct]))
    }

    /// Any geometry, depthwise ones among them, and of signs any padding.
    private static func convolution(_ kind: ProductKind, _ random: inout SplitMix) -> Convolution {
        var geometry = VerifyCase.convolution(&random)
        if kind == .b1 { geometry.padding = random.pick(Convolution.Padding.allCases) }
        if geometry.groups == 1, geometry.channels > 0, random.chance(0.1) {
            geometry.groups = geometry.channels
            geometry.outputs = geometry.channels * random.int(1...2)
        }
        return geometry
    }

    /// Half of them of each sign, or nearly all of one.
    private static func signs(_ count: Int, _ random: inout SplitMix) -> [Float] {
        let share = random.pick([0.5, 0.5, 0.03, 0.97])
        return (0..<count).map { _ in random.chance(share) ? -1 : 1 }
    }

    private static func inputs(_ problem: Problem, _ style: ValueStyle, _ random: inout SplitMix) -> [Float] {
        let count = problem.xSize.rows * problem.xSize.columns
        switch problem.kind {
        case .b1: return signs(count, &random)
        case .u1: return signs(count, &random).map { $0 < 0 ? 1 : 0 }
        default: return (0..<count).map { _ in style.value(of: problem.kind.inputs, &random) }
        }
    }

    /// Levels among the sums, at their ends, and beyond them.
    private static func threshold(_ problem: Problem, _ random: inout SplitMix) -> Threshold {
        let reach = problem.k
        let level = (0..<problem.o).map { _ -> Int32 in
            let ends = [Int32.min, .max, Int32(-reach), Int32(reach), Int32(reach + 1)]
            return random.chance(0.2) ? random.pick(ends) : Int32(random.int(-reach / 4...reach / 4))
        }
        let flip = (0..<(problem.o + 7) / 8).map { _ in UInt8.random(in: .min ... .max, using: &random) }
        return Threshold(level: random.chance(0.8) ? level : nil, flip: random.chance(0.5) ? flip : nil)
    }

    private static func sums(_ problem: Problem, _ x: [Float], _ w: [Float], zero: Int32) -> [ExactSum] {
        let geometry = problem.geometry
        let (length, zero) = (geometry.groupChannels, Double(zero))
        let outside = Double(geometry.padding.value)
        return (0..<problem.t).flatMap { row in
            let pixels = (0..<geometry.taps).map { geometry.inputPixel(of: row, tap: $0) }
            return (0..<problem.o).map { column -> ExactSum in
                var sum = ExactSum(terms: problem.k)
                let first = length == 0 ? 0 : column / geometry.groupOutputs * length
                for (tap, pixel) in pixels.enumerated() {
                    for channel in 0..<length {
                        let value = pixel.map { Double(x[$0 * geometry.channels + first + channel]) - zero } ?? outside
                        sum.add(value * Double(w[column * problem.k + tap * length + channel]))
                    }
                }
                return sum
            }
        }
    }

    // MARK: calls

    private static func blank(
        _ problem: Problem, _ type: ht_dtype, _ order: ht_order, _ gap: Int
    ) throws -> StridedMemory {
        try StridedMemory(problem.ySize, type: type, order: order, gap: gap, nil)
    }

    private func run(to y: StridedMemory, _ options: ht_options) throws {
        var options = options
        (options.x_order, options.y_order) = (orders.x, orders.y)
        let status = withThreshold { threshold in
            epilogue.withCode { code in
                code.output = outputType
                code.threshold = threshold
                (code.residual, code.residual_stride) = (
                    residual.map { UnsafeRawPointer($0.memory.address) }, residual?.stride ?? 0
                )
                return problem.run(
                    from: (x.memory.address, x.stride), packed: packed, epilogue: &code,
                    to: (y.memory.address, y.stride), &options)
            }
        }
        try check(status, "the call")
    }

    private func withThreshold<Result>(_ body: (UnsafePointer<ht_binary_threshold>?) -> Result) -> Result {
        guard let threshold else { return body(nil) }
        return withOptionalPointer(threshold.level) { level in
            withOptionalPointer(threshold.flip) { flip in
                var code = ht_binary_threshold()
                (code.level, code.flip) = (level, flip)
                return body(&code)
            }
        }
    }

    // MARK: judgement

    /// Sums and signs are exact; floats lie within a bound where the formula is in doubles.
    private func formulaFault(_ y: StridedMemory) -> String? {
        for row in rows {
            for column in columns {
                let sum = sums[row * problem.o + column]
                if let fault = fault(of: y, row, column, sum) {
                    return "y[\(row)][\(column)] = \(y.text(row, column)), \(fault)"
                }
            }
        }
        return nil
    }

    private func fault(of y: StridedMemory, _ row: Int, _ column: Int, _ sum: ExactSum) -> String? {
        let bits = y.bits(row, column)
        switch outputType {
        case HT_DTYPE_I32: return sum.integerFault(of: bits)
        case HT_DTYPE_I16: return sum.integerFault(of: UInt32(bitPattern: Int32(Int16(truncatingIfNeeded: bits))))
        case HT_DTYPE_B1:
            let isFlipped = threshold?.flip.map { $0[column / 8] >> (column % 8) & 1 == 1 } ?? false
            let isNegative = (sum.value < Double(threshold?.level?[column] ?? 0)) != isFlipped
            return bits == (isNegative ? 1 : 0) ? nil : "the exact sum is \(sum.value)"
        case HT_DTYPE_F32:
            return sum.fault(
                of: y.float(row, column), problem.kind, epilogue, row: row, column: column, of: problem.o)
        default: return nil
        }
    }
}
