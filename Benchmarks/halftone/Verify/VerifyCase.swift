import CHalftone

/// One random product or convolution, forward or backward: sizes, weights, operands and options. It follows from the
/// operation, the type, the seed and the number alone.
struct VerifyCase: CustomStringConvertible {
    let problem: Problem
    let weightType: ht_dtype
    let outputType: ht_dtype
    let weights: VerifyWeights
    /// What goes in, row-major.
    let x: [Float]
    /// Elements between the lines of the weights, of what goes in and what comes out.
    let gaps: (w: Int, x: Int, y: Int)
    let orders: Orders
    let epilogue: VerifyEpilogue
    let threads: Int
    /// Rows and columns of the result to compute.
    let rows: Range<Int>
    let columns: Range<Int>
    let givesScratch: Bool

    var kind: ProductKind { problem.kind }

    /// Of what goes in and what comes out.
    var inputSize: (rows: Int, columns: Int) { problem.operation.direction == .forward ? problem.xSize : problem.ySize }
    var outputSize: (rows: Int, columns: Int) {
        problem.operation.direction == .forward ? problem.ySize : problem.xSize
    }

    init(_ operation: Operation, _ kind: ProductKind, seed: UInt64, number: Int) {
        var random = SplitMix(seed: seed, number: UInt64(number))
        weightType =
            kind == .f32 ? random.pick([HT_DTYPE_F32, HT_DTYPE_F32, HT_DTYPE_F16, HT_DTYPE_BF16]) : kind.weights
        outputType = random.pick(kind.offeredOutputs(operation))
        var pattern = Self.pattern(&random)
        if random.chance(0.3) { pattern.sharedRows = random.pick([2, 4, 8]) }
        if operation.isConvolution { pattern.sharesTaps = random.chance(0.25) }
        let geometry = operation.isConvolution ? Self.convolution(&random) : Self.product(&random)
        problem = Problem(operation: operation, kind: kind, geometry: geometry)
        let style = ValueStyle(&random)
        weights = VerifyWeights(
            problem, pattern, type: weightType, style: style,
            permutes: operation.direction == .backward && random.chance(0.5), &random)
        let isForward = operation.direction == .forward
        let (input, output) = isForward ? (problem.xSize, problem.ySize) : (problem.ySize, problem.xSize)
        x = (0..<input.rows * input.columns).map { _ in style.value(of: kind.inputs, &random) }
        gaps = (Self.gap(&random), Self.gap(&random), Self.gap(&random))
        orders = Orders(x: Self.order(&random), y: Self.order(&random))
        epilogue = VerifyEpilogue(operation, kind, outputType, t: output.rows, o: output.columns, style, &random)
        threads = random.chance(0.5) ? 1 : random.int(2...4)
        // Columns are cut in the only group.
        let columns = geometry.groups == 1 ? output.columns : 0
        let window = Self.window(output.rows, columns, &random)
        (rows, self.columns) = geometry.groups == 1 ? window : (window.0, 0..<output.columns)
        givesScratch = random.chance(0.5)
    }

    var description: String {
        let options = [
            weights.mask == nil ? "no mask" : "mask", weights.permutation == nil ? nil : "permuted",
            "\(epilogue)", "threads \(threads)", "rows \(rows)", "columns \(columns)",
            givesScratch ? "scratch given" : nil,
        ]
        return "\(weights.pattern), types \(weightType.rawValue) to \(outputType.rawValue), \(sizes), "
            + "gaps w \(gaps.w) x \(gaps.x) y \(gaps.y), orders \(orders.x.rawValue) \(orders.y.rawValue), "
            + options.compactMap { $0 }.joined(separator: ", ")
    }

    private var sizes: String {
        let geometry = problem.geometry
        guard problem.operation.isConvolution else { return "t \(problem.t), o \(problem.o), k \(problem.k)" }
        let (before, after) = (geometry.padBefore, geometry.padAfter)
        return "\(geometry), pads \(before.y) \(before.x) \(after.y) \(after.x)"
    }

    /// The row of what goes in that a row of the result sees through a tap; `nil` where it sees zeros.
    func inputRow(of row: Int, tap: Int) -> Int? {
        problem.operation.direction == .forward
            ? problem.geometry.inputPixel(of: row, tap: tap) : problem.geometry.outputPixel(of: row, tap: tap)
    }

    // MARK: parts

    static func gap(_ random: inout SplitMix) -> Int { random.chance(0.3) ? random.int(1...9) : 0 }

    static func order(_ random: inout SplitMix) -> ht_order {
        random.chance(0.25) ? HT_ORDER_FEATURES : HT_ORDER_ROWS
    }

    private static let common = [(1, 2), (2, 4), (1, 4), (4, 8), (2, 8), (1, 8), (1, 16), (2, 16), (1, 1), (4, 4)]

    static func pattern(_ random: inout SplitMix) -> Pattern {
        if random.chance(0.7) {
            let (n, m) = common[random.int(0...common.count - 1)]
            return Pattern(n: n, m: m)
        }
        let m = random.int(1...64)
        return Pattern(n: random.int(1...m), m: m)
    }

    /// Small and large sizes, about the widths of vectors and panels and between them, sometimes none.
    private static func size(_ random: inout SplitMix) -> Int {
        if random.chance(0.03) { return 0 }
        let scale = random.int(0...9)
        return scale < 4 ? random.int(1...20) : scale < 9 ? random.int(1...160) : random.int(1...600)
    }

    private static let mostOperations = 3_000_000
    private static let mostOperationsOfConvolutions = 1_000_000

    static func product(_ random: inout SplitMix) -> Convolution {
        var sizes = (0..<3).map { _ in size(&random) }
        while sizes.reduce(1, *) > mostOperations { sizes = sizes.map { max(1, $0 * 3 / 4) } }
        return .product(o: sizes[0], k: sizes[1], t: sizes[2])
    }

    /// Any geometry that is not depthwise: kernels larger than the image, strides larger than the kernel, paddings of
    /// any size on each side.
    static func convolution(_ random: inout SplitMix) -> Convolution {
        func pair(_ range: ClosedRange<Int>, usually value: Int) -> Convolution.Pair {
            random.chance(0.6) ? .both(value) : .init(y: random.int(range), x: random.int(range))
        }
        func side() -> Int { random.chance(0.02) ? 0 : random.chance(0.8) ? random.int(1...12) : random.int(1...40) }
        var geometry = Convolution(
            height: side(), width: side(), channels: size(&random), outputs: size(&random),
            kernel: pair(1...4, usually: random.pick([1, 3])))
        geometry.images = random.chance(0.8) ? 1 : random.int(2...3)
        geometry.stride = pair(1...4, usually: 1)
        geometry.dilation = pair(1...3, usually: 1)
        let pad = random.chance(0.5) ? geometry.kernel.y / 2 : 0
        geometry.padBefore = pair(0...4, usually: pad)
        geometry.padAfter = random.chance(0.8) ? geometry.padBefore : pair(0...4, usually: 0)
        func operations() -> Int { geometry.outputPixels * geometry.filterSize * geometry.outputs }
        while operations() > mostOperationsOfConvolutions {
            (geometry.channels, geometry.outputs) = (geometry.channels * 3 / 4, geometry.outputs * 3 / 4)
        }
        if random.chance(0.2) {
            let groups = random.int(2...4)
            (geometry.channels, geometry.outputs) = (
                groups * max(2, geometry.channels / groups), groups * max(2, geometry.outputs / groups)
            )
            geometry.groups = groups
        }
        return geometry
    }

    static func window(_ t: Int, _ o: Int, _ random: inout SplitMix) -> (Range<Int>, Range<Int>) {
        // An end of 0 would mean "to the last".
        guard random.chance(0.4), t > 1, o > 16 else { return (0..<t, 0..<o) }
        let rowBegin = random.int(0...t - 1)
        let strips = (o + 15) / 16
        let stripBegin = random.int(0...strips - 1)
        let columnEnd = min(o, random.int(stripBegin + 1...strips) * 16)
        return (rowBegin..<random.int(rowBegin + 1...t), stripBegin * 16..<columnEnd)
    }
}

/// What kinds of numbers a case has.
enum ValueStyle {
    case ordinary
    case withZeros
    case withDenormals
    case withSpecials

    init(_ random: inout SplitMix) {
        let pick = random.int(0...9)
        self = pick < 5 ? .ordinary : pick < 7 ? .withZeros : pick < 8 ? .withDenormals : .withSpecials
    }

    /// A value of a type of weights or inputs.
    func value(of type: ht_dtype, _ random: inout SplitMix) -> Float {
        let value = value(&random)
        switch type {
        case HT_DTYPE_F16: return Float(Float16(value))
        case HT_DTYPE_BF16: return value.isNaN ? value : upperHalf(value)
        case HT_DTYPE_U8, HT_DTYPE_I8: return integer(type == HT_DTYPE_U8 ? 0...255 : -128...127, value)
        default: return value
        }
    }

    private func integer(_ range: ClosedRange<Float>, _ value: Float) -> Float {
        if value.isNaN { return range.lowerBound }
        let scaled = (value * 80).rounded() + (range.lowerBound == 0 ? 128 : 0)
        return min(range.upperBound, max(range.lowerBound, scaled))
    }

    func value(_ random: inout SplitMix) -> Float {
        let value = random.value()
        switch self {
        case .ordinary: return value
        case .withZeros: return random.chance(0.4) ? (random.chance(0.5) ? 0 : -0.0) : value
        case .withDenormals: return random.chance(0.5) ? value * 0x1p-130 : value * 0x1p-20
        case .withSpecials: return random.chance(0.01) ? Self.special(&random) : value
        }
    }

    private static func special(_ random: inout SplitMix) -> Float {
        let specials: [Float] = [.nan, .infinity, -.infinity, 0, -0.0, .leastNonzeroMagnitude]
        return specials[random.int(0...specials.count - 1)]
    }
}
