import CHalftone
import Halftone

/// Weights of signs that resemble each other, and trees over them: those along which they were made, or those that grow.
struct VerifyTrees {
    /// Row by row.
    let signs: [Float]
    /// Of each row in its group, or -1.
    let parents: [Int32]

    init(_ problem: Problem, _ random: inout SplitMix) throws {
        let (k, groups) = (problem.k, problem.geometry.groups)
        let outputs = problem.o / groups
        let share = random.pick([0, 0.02, 0.1, 0.5])
        var signs = [Float](repeating: 1, count: problem.o * k)
        var parents = [Int32](repeating: -1, count: problem.o)
        for group in 0..<groups {
            let first = group * outputs
            let order = (0..<outputs).shuffled(using: &random)
            for step in order.indices {
                let row = first + order[step]
                guard step > 0, !random.chance(0.1) else {
                    for column in 0..<k { signs[row * k + column] = random.chance(0.5) ? -1 : 1 }
                    continue
                }
                let parent = order[random.int(0...step - 1)]
                parents[row] = Int32(parent)
                let turn: Float = random.chance(0.2) ? -1 : 1
                for column in 0..<k {
                    let sign = turn * signs[(first + parent) * k + column]
                    signs[row * k + column] = random.chance(share) ? -sign : sign
                }
            }
        }
        self.signs = signs
        if random.chance(0.5) {
            let depth = random.chance(0.5) ? random.int(1...4) : nil
            let rules = ChannelTree.Rules(
                complement: random.chance(0.7), maxDepth: depth, trees: random.pick([1, 1, 2, 5]))
            let matrix = try FloatMatrix(rows: problem.o, columns: k, values: signs)
            parents = try GrownTrees(TypedMatrix(matrix, type: HT_DTYPE_B1), groups: groups, rules: rules).parents
        }
        self.parents = parents
    }

    /// As other products, or with as many rows of X as several panels have.
    static func product(_ random: inout SplitMix) -> Convolution {
        let product = VerifyCase.product(&random)
        guard random.chance(0.5) else { return product }
        let (o, k) = (min(product.outputs, 70), min(product.channels, 150))
        return .product(o: o, k: k, t: random.int(200...1600) * 10_000 / max(10_000, o * k))
    }
}
