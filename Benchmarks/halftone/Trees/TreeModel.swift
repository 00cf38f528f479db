import Halftone

/// What a product of bits along a tree is foretold to take, in the terms of the library's own model: an entry of a list
/// 0.92 cycles for 512 rows of X, the counters of an output 54, an input of X 3. The direct design does 640 signs a cycle,
/// and runs where there are more inputs than trees are made for.
struct TreeModel {
    private let outputs: Int
    private let inputs: Int
    /// Of all lists, each a multiple of 8.
    private(set) var entries = 0

    private static let rows = 512.0
    private static let mostInputs = 8000

    init(_ signs: SignMatrix, _ tree: ChannelTree) {
        (outputs, inputs) = (signs.rows, signs.columns)
        var isTurned = [Bool](repeating: false, count: outputs)
        for row in tree.parentsFirst {
            let parent = tree.parents[row] < 0 ? nil : Int(tree.parents[row])
            let lists = signs.lists(row, parent: parent, isTurned: parent.map { isTurned[$0] } ?? false)
            isTurned[row] = lists.isTurned
            entries += (lists.added + 7) / 8 * 8 + (lists.subtracted + 7) / 8 * 8
        }
    }

    var cycles: Double { 0.92 * Double(entries) + 54 * Double(outputs) + 3 * Double(inputs) + 2000 }

    var directCycles: Double { Self.rows * Double(outputs * inputs) / 640 }

    /// How many times as fast as the direct design.
    var gain: Double { inputs > Self.mostInputs ? 1 : directCycles / cycles }
}

extension SignMatrix {
    /// How many inputs of an output are -1 and not of its parent, which may be negated, and the other way round. The
    /// output is negated where that makes fewer.
    fileprivate func lists(
        _ row: Int, parent: Int?, isTurned: Bool
    ) -> (added: Int, subtracted: Int, isTurned: Bool) {
        var (both, own, others) = (0, 0, 0)
        for word in 0..<wordsPerRow {
            let bits = words[row * wordsPerRow + word]
            let parentBits = parent.map { words[$0 * wordsPerRow + word] } ?? 0
            both += (bits & parentBits).nonzeroBitCount
            own += (bits & ~parentBits).nonzeroBitCount
            others += (parentBits & ~bits).nonzeroBitCount
        }
        var none = columns - both - own - others
        if isTurned { (both, own, others, none) = (own, both, none, others) }
        return own + others > both + none ? (none, both, true) : (own, others, false)
    }
}

extension ChannelTree {
    /// All rows, parents before their children.
    fileprivate var parentsFirst: [Int] {
        var children = [[Int]](repeating: [], count: parents.count)
        var order: [Int] = []
        for (row, parent) in parents.enumerated() {
            if parent < 0 { order.append(row) } else { children[Int(parent)].append(row) }
        }
        var next = 0
        while next < order.count {
            order += children[order[next]]
            next += 1
        }
        return order
    }
}
