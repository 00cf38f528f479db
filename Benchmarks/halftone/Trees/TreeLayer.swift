/// How random weights resemble each other, by the word that `--distance` knows it by.
enum TreeDistance: Equatable, CustomStringConvertible {
    /// Each output differs in so many of its signs from the one that it derives from.
    case share(Double)
    /// No output derives from another.
    case random

    init?(_ word: String) {
        if word == "random" {
            self = .random
        } else if let share = Double(word), 0...1 ~= share {
            self = .share(share)
        } else {
            return nil
        }
    }

    var description: String {
        switch self {
        case .share(let share): "d/K \(share)"
        case .random: "independent"
        }
    }
}

extension BenchPlan.Entry {
    /// The same with a layer of its own.
    func alongTrees(_ distance: TreeDistance, seed: UInt64) -> BenchPlan.Entry {
        let layer = layer.alongTrees(distance, seed: seed)
        return BenchPlan.Entry(layer: layer, operation: operation, ts: ts, count: count)
    }
}

extension Layer {
    /// The same sizes with weights of ±1 that a tree in each group of channels derives from each other: output c, counted
    /// in its group, from output (c - 1) / 4, in the distance's share of whose signs, rounded to a number of them, it
    /// differs; or all signs are drawn.
    func alongTrees(_ distance: TreeDistance, seed: UInt64) -> Layer {
        let (rows, groups) = (o, convolution?.groups ?? 1)
        let flips = if case .share(let share) = distance { Int((share * Double(k)).rounded()) } else { 0 }
        return Layer(name: "\(name), \(distance)", o: o, k: k, convolution: convolution, isReal: false) { [k] in
            let signs = try FloatMatrix(rows: rows, columns: k)
            var random = SplitMix(seed: seed, number: UInt64(rows) &* 1_000_003 &+ UInt64(k))
            var places = Array(0..<k)
            for row in 0..<rows {
                let place = row % (rows / groups)
                if place == 0 || distance == .random {
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
