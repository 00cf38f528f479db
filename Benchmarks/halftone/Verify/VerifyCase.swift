import CHalftone

/// One random product: sizes, weights, operands and options. It follows from the op, the seed and the number alone.
struct VerifyCase: CustomStringConvertible {
    let kind: ProductKind
    let weightType: ht_dtype
    let outputType: ht_dtype
    let pattern: Pattern
    let t: Int
    let o: Int
    let k: Int
    /// The dense weights, row-major, with anything at all where a mask leaves them out; values of their type.
    let w: [Float]
    /// Which weights are entries, `nil` for "those that are not zero".
    let mask: [UInt8]?
    let x: [Float]
    /// Elements between the lines of w, x and y.
    let gaps: (w: Int, x: Int, y: Int)
    let orders: (x: ht_order, y: ht_order)
    let epilogue: VerifyEpilogue
    let threads: Int
    /// Rows and columns of y to compute.
    let rows: Range<Int>
    let columns: Range<Int>
    let givesScratch: Bool

    init(_ kind: ProductKind, seed: UInt64, number: Int) {
        var random = SplitMix(seed: seed, number: UInt64(number))
        self.kind = kind
        weightType =
            kind == .f32 ? random.pick([HT_DTYPE_F32, HT_DTYPE_F32, HT_DTYPE_F16, HT_DTYPE_BF16]) : kind.weights
        outputType = random.pick(kind.offeredOutputs)
        var pattern = Self.pattern(&random)
        if random.chance(0.3) { pattern.sharedRows = random.pick([2, 4, 8]) }
        self.pattern = pattern
        (t, o, k) = Self.sizes(&random)
        let style = ValueStyle(&random)
        x = (0..<t * k).map { _ in style.value(of: kind.inputs, &random) }
        let masked = random.chance(0.4)
        var weights: [Float] = []
        weights.reserveCapacity(o * k)
        for _ in 0..<o * k { weights.append(style.value(of: weightType, &random)) }
        let kept = Self.mask(o, k, pattern, &random)
        if !masked {
            for index in weights.indices where !Self.isSet(kept, index / k, index % k, k) { weights[index] = 0 }
        }
        w = weights
        mask = masked ? kept : nil
        gaps = (Self.gap(&random), Self.gap(&random), Self.gap(&random))
        orders = (Self.order(&random), Self.order(&random))
        epilogue = VerifyEpilogue(kind, outputType, t: t, o: o, style, &random)
        threads = random.chance(0.5) ? 1 : random.int(2...4)
        (rows, columns) = Self.window(t, o, &random)
        givesScratch = random.chance(0.5)
    }

    var description: String {
        "\(pattern), types \(weightType.rawValue) to \(outputType.rawValue), t \(t), o \(o), k \(k), "
            + "gaps w \(gaps.w) x \(gaps.x) y \(gaps.y), orders \(orders.x.rawValue) \(orders.y.rawValue), "
            + "\(mask == nil ? "no mask" : "mask"), \(epilogue), "
            + "threads \(threads), rows \(rows), columns \(columns)\(givesScratch ? ", scratch given" : "")"
    }

    /// The entries of weight row `row` by the rule of halftone/nm.h: those of the mask or not zero, in this row or in one
    /// that shares its pattern, and the lowest other columns of a group until there are N.
    func entries(row: Int) -> [Int] {
        let first = row / pattern.sharedRows * pattern.sharedRows
        let set = first..<min(o, first + pattern.sharedRows)
        return stride(from: 0, to: k, by: pattern.m).flatMap { start in
            let group = start..<min(start + pattern.m, k)
            let isNamed = group.map { column in set.contains { isChosen($0, column) } }
            var free = min(pattern.n, group.count) - isNamed.count { $0 }
            return zip(group, isNamed).compactMap { column, isNamed in
                if isNamed { return column }
                free -= 1
                return free >= 0 ? column : nil
            }
        }
    }

    /// The weight of an entry; one that only fills its group up has none.
    func weight(row: Int, column: Int) -> Float {
        isChosen(row, column) ? w[row * k + column] : 0
    }

    private func isChosen(_ row: Int, _ column: Int) -> Bool {
        guard let mask else { return w[row * k + column] != 0 }
        return Self.isSet(mask, row, column, k)
    }

    private static func isSet(_ mask: [UInt8], _ row: Int, _ column: Int, _ k: Int) -> Bool {
        mask[row * ((k + 7) / 8) + column / 8] >> (column % 8) & 1 == 1
    }

    // MARK: parts

    private static func gap(_ random: inout SplitMix) -> Int { random.chance(0.3) ? random.int(1...9) : 0 }

    private static func order(_ random: inout SplitMix) -> ht_order {
        random.chance(0.25) ? HT_ORDER_FEATURES : HT_ORDER_ROWS
    }

    private static let common = [(1, 2), (2, 4), (1, 4), (4, 8), (2, 8), (1, 8), (1, 16), (2, 16), (1, 1), (4, 4)]

    private static func pattern(_ random: inout SplitMix) -> Pattern {
        if random.chance(0.7) {
            let (n, m) = common[random.int(0...common.count - 1)]
            return Pattern(n: n, m: m)
        }
        let m = random.int(1...64)
        return Pattern(n: random.int(1...m), m: m)
    }

    /// Small and large ones, about the widths of vectors and panels and between them, sometimes none.
    private static func sizes(_ random: inout SplitMix) -> (Int, Int, Int) {
        var size: [Int] = (0..<3).map { _ in
            if random.chance(0.03) { return 0 }
            let scale = random.int(0...9)
            return scale < 4 ? random.int(1...20) : scale < 9 ? random.int(1...160) : random.int(1...600)
        }
        while size.reduce(1, *) > 3_000_000 { size = size.map { max(1, $0 * 3 / 4) } }
        return (size[0], size[1], size[2])
    }

    /// At most N bits in each group of M, fewer in some, none in others; of rows that share a pattern, in all of them
    /// together.
    private static func mask(_ o: Int, _ k: Int, _ pattern: Pattern, _ random: inout SplitMix) -> [UInt8] {
        let rowBytes = (k + 7) / 8
        var mask = [UInt8](repeating: 0, count: o * rowBytes)
        for first in Swift.stride(from: 0, to: o, by: pattern.sharedRows) {
            for start in Swift.stride(from: 0, to: k, by: pattern.m) {
                let width = min(pattern.m, k - start)
                let count = random.chance(0.8) ? pattern.n : random.int(0...pattern.n)
                for column in (0..<width).shuffled(using: &random).prefix(count) {
                    let c = start + column
                    for row in first..<min(o, first + pattern.sharedRows) where row == first || random.chance(0.8) {
                        mask[row * rowBytes + c / 8] |= 1 << UInt8(c % 8)
                    }
                }
            }
        }
        return mask
    }

    private static func window(_ t: Int, _ o: Int, _ random: inout SplitMix) -> (Range<Int>, Range<Int>) {
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
