import CHalftoneBench
import Halftone

/// What trees save of one layer: a line of the table and an object of the JSON.
struct TreeRecord: Codable {
    let layer: String
    let o: Int
    let k: Int
    let tree: TreeFigures
    /// Of the packed form, and of the signs as a bit each.
    let packedBytes: Int
    let plainBytes: Int
    /// What the library's model would pack for, and how it did with T rows of X from bits to bits.
    let plan: TreePlan
    /// The time of the direct design over that along the tree, as measured.
    let treeGain: Double
    let t: Int
    let aaRatio: Double
    let verdict: String

    enum CodingKeys: String, CodingKey {
        case layer, o, k, tree, plan, t, verdict
        case packedBytes = "packed_bytes"
        case plainBytes = "plain_bytes"
        case treeGain = "tree_gain"
        case aaRatio = "aa_ratio"
    }

    struct Settings {
        let rules: ChannelTree.Rules
        let row: KernelRow
        /// For the measurement of each layer.
        let seconds: Double
        let seed: UInt64
    }

    static let measuredRows = 1024

    /// Grows the tree over the signs of the layer's weights, and times products along it.
    init(_ layer: Layer, _ settings: Settings) throws {
        let bench = try BinaryBench(
            layer: layer, operation: .treeProduct, kind: .b1, weights: layer.weights(), contests: [],
            seed: settings.seed, rules: settings.rules)
        guard let trees = bench.trees else { throw ToolError("no tree grew") }
        try bench.prepare(.binary(BinaryForm(design: .tree, output: .b1)))
        let stopwatch = Stopwatch(
            cache: .warm, threads: 1, unit: ProductKind.b1.unit(isa: settings.row.isaOption), otherMemory: nil)
        let measured = try bench.measure(
            t: Self.measuredRows, row: settings.row, stopwatch: stopwatch, budget: settings.seconds)
        self.layer = layer.name
        (o, k, t) = (layer.o, layer.k, Self.measuredRows)
        tree = trees.figures
        packedBytes = bench.packedBytes
        plainBytes = layer.o * bitRowBytes(layer.k)
        guard let plan = measured.plan else { throw ToolError("the kernels of \(settings.row.isa) have no plan") }
        self.plan = plan
        treeGain = measured.against.first { $0.name == BinaryDesign.direct.rawValue }?.ratio ?? 1
        (aaRatio, verdict) = (measured.aaRatio, measured.verdict)
    }
}
