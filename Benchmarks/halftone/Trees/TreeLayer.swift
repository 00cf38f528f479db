extension BenchPlan.Entry {
    /// The same with a layer of its own.
    func alongTrees(distance: Double, seed: UInt64) -> BenchPlan.Entry {
        let layer = layer.alongTrees(distance: distance, seed: seed)
        return BenchPlan.Entry(layer: layer, operation: operation, ts: ts, count: count)
    }
}

extension Layer {
    /// The same sizes with weights of ±1 that a tree in each group of channels derives from each other: output c, counted
    /// in its group, from output (c - 1) / 4, in `distance` of whose signs, rounded to a number of them, it differs.
    func alongTrees(distance: Double, seed: UInt64) -> Layer {
        let (rows, groups) = (o, convolution?.groups ?? 1)
        let flips = Int((distance * Double(k)).rounded())
        return Layer(name: "\(name), d/K \(distance)", o: o, k: k, convolution: convolution, isReal: false) { [k] in
            let signs = try FloatMatrix(rows: rows, columns: k)
            var random = SplitMix(seed: seed, number: UInt64(rows) &* 1_000_003 &+ UInt64(k))
            var places = Array(0..<k)
            for row in 0..<rows {
                let place = row % (rows / groups)
                if place == 0 {
                    for column in 0..<k { signs.row(row)[column] = random.chance(0.5) ? -1 : 1 }
                } else {
                    let parent = row - place + (place - 1) / 4
                    signs.row(row).update(from: signs.row(parent), count: k)
                    flip(flips, in: signs.row(row), &places, &random)
                }
            }
            return signs
        }
    }
}

/// Flips so many distinct signs of a row. `places` is its columns in any order, and stays that.
private func flip(
    _ count: Int, in row: UnsafeMutablePointer<Float>, _ places: inout [Int], _ random: inout SplitMix
) {
    for index in 0..<count {
        places.swapAt(index, random.int(index...places.count - 1))
        row[places[index]] = -row[places[index]]
    }
}
