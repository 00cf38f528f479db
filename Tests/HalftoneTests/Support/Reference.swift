#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// The operations from their formulas, sharing nothing with the library.
enum Reference {
    /// The columns of each group of a row: m of them, the last group what is left.
    static func groups(columns: Int, m: Int) -> [Range<Int>] {
        stride(from: 0, to: columns, by: m).map { $0..<min(columns, $0 + m) }
    }

    /// The n columns of each group whose magnitudes, summed over rows that share a pattern, are the largest, a NaN above
    /// infinity; the lower column first when equal. Ascending.
    static func kept(_ rows: [[Float]], n: Int, m: Int) -> [Int] {
        let columns = rows.first?.count ?? 0
        let sums = (0..<columns).map { c in rows.reduce(0.0) { $0 + abs(Double($1[c])) } }
        return groups(columns: columns, m: m).flatMap { group in
            let order = group.sorted { a, b in
                if sums[a].isNaN || sums[b].isNaN { return sums[a].isNaN == sums[b].isNaN ? a < b : sums[a].isNaN }
                return sums[a] == sums[b] ? a < b : sums[a] > sums[b]
            }
            return order.prefix(n).sorted()
        }
    }

    /// One row's terms of a product.
    struct Entries {
        var columns: [Int] = []
        var weights: [Float] = []
    }

    /// The entries of rows that share a pattern: the columns that any row names as its own, each group filled up to n from
    /// its lowest free column on. With `masked`, the weights of columns that are not a row's own count as 0. Nil when a
    /// group has more than n.
    static func entries(_ rows: [[Float]], own: [[Bool]], masked: Bool, n: Int, m: Int) -> [Entries]? {
        var result = rows.map { _ in Entries() }
        for group in groups(columns: rows.first?.count ?? 0, m: m) {
            let named = group.map { column in own.contains { $0[column] } }
            var free = n - named.count { $0 }
            guard free >= 0 else { return nil }
            for (column, isNamed) in zip(group, named) where isNamed || free > 0 {
                for row in rows.indices {
                    result[row].columns.append(column)
                    result[row].weights.append(masked && !own[row][column] ? 0 : rows[row][column])
                }
                if !isNamed { free -= 1 }
            }
        }
        return result
    }

    /// The chain of fused multiply-adds over the entries.
    static func sum(_ entries: Entries, _ x: UnsafePointer<Float>) -> Float {
        var sum: Float = 0
        entries.columns.withUnsafeBufferPointer { columns in
            entries.weights.withUnsafeBufferPointer { weights in
                var i = 0
                while i < columns.count {
                    sum.addProduct(weights[i], x[columns[i]])
                    i &+= 1
                }
            }
        }
        return sum
    }

    /// The same in the arithmetic of bfloat16 dot products: subnormal operands and results count as zeros of their sign.
    static func bfloat16Sum(_ entries: Entries, _ x: UnsafePointer<Float>) -> Float {
        var sum: Float = 0
        entries.columns.withUnsafeBufferPointer { columns in
            entries.weights.withUnsafeBufferPointer { weights in
                var i = 0
                while i < columns.count {
                    sum.addProduct(flushed(weights[i]), flushed(x[columns[i]]))
                    sum = flushed(sum)
                    i &+= 1
                }
            }
        }
        return sum
    }

    private static func flushed(_ value: Float) -> Float {
        // Without exponent bits it is a zero or subnormal.
        value.bitPattern & 0x7f80_0000 != 0 ? value : Float(bitPattern: value.bitPattern & 0x8000_0000)
    }

    /// The exact sum of (x - zero) w.
    static func integerSum(_ entries: Entries, _ x: UnsafePointer<Float>, zero: Int) -> Int {
        var sum = 0
        for (column, weight) in zip(entries.columns, entries.weights) { sum += (Int(x[column]) - zero) * Int(weight) }
        return sum
    }

    /// v/2 (1 + erf(v / sqrt 2)) in Double: v times the share of a normal distribution below v.
    static func gelu(_ v: Double) -> Double { v * 0.5 * erfc(-v * 0.5.squareRoot()) }

    /// A chain in Double, and how far a Float result may be from it: gamma(entries + 1) of the sum of magnitudes, one
    /// rounding each for a term and the bias, and half a denormal for each that underflows.
    static func exact(
        _ entries: Entries, _ x: UnsafePointer<Float>, bias: Float
    ) -> (value: Double, bound: Double) {
        var sum = Double(bias)
        var magnitudes = abs(sum)
        for (column, weight) in zip(entries.columns, entries.weights) {
            let term = Double(weight) * Double(x[column])
            sum += term
            magnitudes += abs(term)
        }
        let roundings = Double(entries.columns.count + 1)
        let gamma = roundings * 0x1p-24 / (1 - roundings * 0x1p-24)
        return (sum, gamma * magnitudes + roundings * 0x1p-150)
    }
}
