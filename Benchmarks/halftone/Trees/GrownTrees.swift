import CHalftone
import Halftone

/// Trees that grew over a layer's weights of signs, one for each group of channels.
struct GrownTrees {
    let signs: SignMatrix
    let trees: [ChannelTree]
    let figures: TreeFigures

    /// Of each output its parent in the group, or -1.
    var parents: [Int32] { trees.flatMap(\.parents) }

    static let usualRules = ChannelTree.Rules(complement: true)

    /// `bits` is the weights, a row for each output.
    init(_ bits: TypedMatrix, groups: Int, rules: ChannelTree.Rules) throws {
        let outputs = bits.rows / groups
        do throws(HalftoneError) {
            signs = try SignMatrix(bits)
            var (trees, figures) = ([ChannelTree](), [ChannelTree.Figures]())
            for group in 0..<groups {
                let rows = signs[rows: group * outputs..<(group + 1) * outputs]
                trees.append(try ChannelTree(growing: rows, rules: rules))
                figures.append(try trees[group].figures(for: rows, complement: rules.complement))
            }
            self.trees = trees
            self.figures = TreeFigures(figures, outputs: bits.rows, inputs: bits.columns)
        } catch {
            throw ToolError("growing trees: \(error)")
        }
    }
}

extension SignMatrix {
    /// A copy of a matrix of bits.
    init(_ bits: TypedMatrix) throws(HalftoneError) {
        let words = bits.data.assumingMemoryBound(to: UInt64.self)
        let count = bits.memory.bytes / MemoryLayout<UInt64>.stride
        try self.init(
            rows: bits.rows, columns: bits.columns, words: Array(UnsafeBufferPointer(start: words, count: count)))
    }
}

/// What the trees of all groups save together, as a record has it.
struct TreeFigures: Codable {
    let roots: Int
    /// Of the deepest.
    let depth: Int
    /// Of an edge, as a share of an output's signs.
    let meanDistance: Double
    /// Additions and bits, over those of all outputs by themselves.
    let operationRatio: Double
    let parameterRatio: Double

    enum CodingKeys: String, CodingKey {
        case roots, depth
        case meanDistance = "mean_distance"
        case operationRatio = "operation_ratio"
        case parameterRatio = "parameter_ratio"
    }

    /// Groups are as large as each other.
    fileprivate init(_ groups: [ChannelTree.Figures], outputs: Int, inputs: Int) {
        let roots = groups.reduce(0) { $0 + $1.roots }
        let distance = groups.reduce(0) { $0 + $1.distance }
        let places = (outputs - roots) * inputs
        self.roots = roots
        depth = groups.map(\.depth).max() ?? 0
        meanDistance = places > 0 ? Double(distance) / Double(places) : 0
        operationRatio = groups.reduce(0) { $0 + $1.operationRatio } / Double(groups.count)
        parameterRatio = groups.reduce(0) { $0 + $1.parameterRatio } / Double(groups.count)
    }
}
