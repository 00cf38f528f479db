import CHalftone

/// One random product: sizes, weights, operands and options. It follows from the seed and the number alone.
struct VerifyCase: CustomStringConvertible {
    let pattern: Pattern
    let t: Int
    let o: Int
    let k: Int
    /// Of the dense weights, with anything at all where a mask leaves them out.
    let w: Strided
    /// Which weights are entries, `nil` for "those that are not zero".
    let mask: [UInt8]?
    let x: Strided
    /// Floats from one row of y to the next.
    let yStride: Int
    let bias: [Float]?
    let relu: Bool
    let threads: Int
    /// Rows and columns of y to compute.
    let rows: Range<Int>
    let columns: Range<Int>
    let givesScratch: Bool

    /// Rows of floats with a gap behind each.
    struct Strided {
        let stride: Int
        var values: [Float]
    }

    init(seed: UInt64, number: Int) {
        var random = SplitMix(seed: seed, number: UInt64(number))
        pattern = Self.pattern(&random)
        (t, o, k) = Self.sizes(&random)
        let style = ValueStyle(&random)
        x = Self.matrix(t, k, &random, style.value)
        let masked = random.chance(0.4)
        var weights = Self.matrix(o, k, &random, style.value)
        let kept = Self.mask(o, k, pattern, &random)
        if !masked { Self.clear(&weights, k, where: kept) }
        w = weights
        mask = masked ? kept : nil
        yStride = o + (random.chance(0.3) ? random.int(1...9) : 0)
        bias = random.chance(0.5) ? (0..<o).map { _ in style.value(&random) } : nil
        relu = random.chance(0.4)
        threads = random.chance(0.5) ? 1 : random.int(2...4)
        (rows, columns) = Self.window(t, o, &random)
        givesScratch = random.chance(0.5)
    }

    var description: String {
        "\(pattern), t \(t), o \(o), k \(k), strides w \(w.stride) x \(x.stride) y \(yStride), "
            + "\(mask == nil ? "no mask" : "mask"), \(bias == nil ? "no bias" : "bias")\(relu ? ", relu" : ""), "
            + "threads \(threads), rows \(rows), columns \(columns)\(givesScratch ? ", scratch given" : "")"
    }

    /// The entries of weight row `row` by the rule of halftone/nm.h: those of the mask or not zero, and the lowest
    /// other columns of a group until there are N.
    func entries(row: Int) -> [Int] {
        stride(from: 0, to: k, by: pattern.m).flatMap { start in
            let group = start..<min(start + pattern.m, k)
            var chosen = group.filter { isChosen(row, $0) }
            let missing = min(pattern.n, group.count) - chosen.count
            chosen += group.filter { !isChosen(row, $0) }.prefix(max(0, missing))
            return chosen.sorted()
        }
    }

    /// The weight of an entry; one that only fills its group up has none.
    func weight(row: Int, column: Int) -> Float {
        isChosen(row, column) ? w.values[row * w.stride + column] : 0
    }

    private func isChosen(_ row: Int, _ column: Int) -> Bool {
        guard let mask else { return w.values[row * w.stride + column] != 0 }
        return mask[row * ((k + 7) / 8) + column / 8] >> (column % 8) & 1 == 1
    }

    // MARK: parts

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

    private static func matrix(
        _ rows: Int, _ columns: Int, _ random: inout SplitMix, _ value: (inout SplitMix) -> Float
    ) -> Strided {
        let stride = columns + (random.chance(0.3) ? random.int(1...9) : 0)
        var values = [Float](repeating: 0, count: rows * stride)
        for index in values.indices { values[index] = value(&random) }
        return Strided(stride: stride, values: values)
    }

    /// At most N bits in each group of M, fewer in some, none in others.
    private static func mask(_ o: Int, _ k: Int, _ pattern: Pattern, _ random: inout SplitMix) -> [UInt8] {
        let rowBytes = (k + 7) / 8
        var mask = [UInt8](repeating: 0, count: o * rowBytes)
        for row in 0..<o {
            for start in Swift.stride(from: 0, to: k, by: pattern.m) {
                let width = min(pattern.m, k - start)
                let count = random.chance(0.8) ? pattern.n : random.int(0...pattern.n)
                for column in (0..<width).shuffled(using: &random).prefix(count) {
                    let c = start + column
                    mask[row * rowBytes + c / 8] |= 1 << UInt8(c % 8)
                }
            }
        }
        return mask
    }

    private static func clear(_ matrix: inout Strided, _ k: Int, where mask: [UInt8]) {
        let rowBytes = (k + 7) / 8
        for index in matrix.values.indices where index % matrix.stride < k {
            let (row, column) = (index / matrix.stride, index % matrix.stride)
            if mask[row * rowBytes + column / 8] >> (column % 8) & 1 == 0 { matrix.values[index] = 0 }
        }
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
private enum ValueStyle {
    case ordinary
    case withZeros
    case withDenormals
    case withSpecials

    init(_ random: inout SplitMix) {
        let pick = random.int(0...9)
        self = pick < 5 ? .ordinary : pick < 7 ? .withZeros : pick < 8 ? .withDenormals : .withSpecials
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
