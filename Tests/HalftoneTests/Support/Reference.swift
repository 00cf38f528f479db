/// The operations from their formulas, sharing nothing with the library.
enum Reference {
    /// |w| as an integer whose order is that of magnitudes, NaN above infinity.
    static func magnitude(_ w: Float) -> UInt32 { w.bitPattern & 0x7fff_ffff }

    /// The columns of each group of a row: m of them, the last group what is left.
    static func groups(columns: Int, m: Int) -> [Range<Int>] {
        stride(from: 0, to: columns, by: m).map { $0..<min(columns, $0 + m) }
    }

    /// The n columns of largest magnitude in each group of a row; the lower column first when equal. Ascending.
    static func kept(_ row: UnsafePointer<Float>, columns: Int, n: Int, m: Int) -> [Int] {
        groups(columns: columns, m: m).flatMap { group in
            let order = group.sorted { a, b in
                let (x, y) = (magnitude(row[a]), magnitude(row[b]))
                return x == y ? a < b : x > y
            }
            return order.prefix(n).sorted()
        }
    }

    /// One row's terms of a product.
    struct Entries {
        var columns: [Int] = []
        var weights: [Float] = []
    }

    /// The entries of a row: the columns that `chosen` names, or the weights that are not zero; each group filled up to
    /// n from its lowest free column on, with weight 0. Nil when a group has more than n.
    static func entries(
        _ row: UnsafePointer<Float>, columns: Int, n: Int, m: Int, chosen: [Bool]? = nil
    ) -> Entries? {
        let own = chosen ?? (0..<columns).map { row[$0] != 0 }
        var result = Entries()
        for group in groups(columns: columns, m: m) {
            var free = n
            for column in group where own[column] { free -= 1 }
            guard free >= 0 else { return nil }
            for column in group where own[column] || free > 0 {
                result.columns.append(column)
                result.weights.append(chosen == nil || own[column] ? row[column] : 0)
                if !own[column] { free -= 1 }
            }
        }
        return result
    }

    /// sum + bias after the activation, for a sum that is the chain of fused multiply-adds over the entries.
    static func result(
        _ entries: Entries, _ x: UnsafePointer<Float>, bias: Float, relu: Bool
    ) -> Float {
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
        sum += bias
        return relu && sum < 0 ? 0 : sum
    }

    /// The same in Double, and how far a Float result may be from it: gamma(entries + 1) of the sum of magnitudes, one
    /// rounding each for a term and the bias, and half a denormal for each that underflows.
    static func exact(
        _ entries: Entries, _ x: UnsafePointer<Float>, bias: Float, relu: Bool
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
        return (relu ? max(0, sum) : sum, gamma * magnitudes + roundings * 0x1p-150)
    }
}
