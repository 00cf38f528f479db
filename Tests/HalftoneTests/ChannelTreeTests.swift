import Halftone
import Testing

/// Trees over rows of signs: those of known rows, and what they save.
@Suite struct ChannelTreeTests {
    private static func signs(_ rows: [String]) throws -> SignMatrix {
        try SignMatrix(
            rows.joined().map { $0 == "-" ? -1 : 1 }, rows: rows.count, columns: rows.first?.count ?? 0)
    }

    private static func parents(_ rows: [String], _ rules: ChannelTree.Rules = .init()) throws -> [Int32] {
        try ChannelTree(growing: signs(rows), rules: rules).parents
    }

    private static let chain = ["++++++", "-+++++", "--++++", "---+++", "----++"]
    private static let star = ["++++++", "-+++++", "+-++++", "++-+++", "+++-++"]

    @Test func aChainIsRootedAtItsMiddle() throws {
        #expect(try Self.parents(Self.chain) == [1, 2, -1, 2, 3])
        let figures = try ChannelTree(growing: Self.signs(Self.chain)).figures(for: Self.signs(Self.chain))
        #expect(figures.roots == 1 && figures.depth == 2 && figures.longest == 1 && figures.distance == 4)
        #expect(figures.meanDistance == 1.0 / 6)
        #expect(figures.operationRatio == 10.0 / 30)
        // A root, and for each edge 3 bits of a parent and 3 of a place.
        #expect(figures.parameterRatio == 30.0 / 30)
    }

    @Test func aStarIsRootedAtItsCentre() throws {
        #expect(try Self.parents(Self.star) == [-1, 0, 0, 0, 0])
        #expect(try Self.parents(Array(Self.star.reversed())) == [4, 4, 4, 4, -1])
    }

    @Test func depthsHaveALimit() throws {
        #expect(try Self.parents(Self.chain, .init(maxDepth: 1)) == [2, 2, -1, 2, 2])
        #expect(try Self.parents(Self.chain, .init(maxDepth: 2)) == [1, 2, -1, 2, 3])
    }

    @Test func equalRowsCostNothing() throws {
        let rows = try Self.signs(["+-+", "+-+", "+-+"])
        let tree = try ChannelTree(growing: rows)
        #expect(tree.parents == [-1, 0, 0])
        let figures = try tree.figures(for: rows)
        #expect(figures.distance == 0 && figures.meanDistance == 0)
        #expect(figures.operationRatio == 1.0 / 3)
    }

    @Test func oppositeRowsAreNearWithComplements() throws {
        let rows = ["++++++", "+++--+", "------", "---++-"]
        let signs = try Self.signs(rows)
        let plain = try ChannelTree(growing: signs).figures(for: signs)
        #expect(plain.distance == 8 && plain.longest == 4)
        let tree = try ChannelTree(growing: signs, rules: .init(complement: true))
        let figures = try tree.figures(for: signs, complement: true)
        #expect(figures.distance == 2 && figures.longest == 2)
        #expect(figures.operationRatio == 8.0 / 24)
        #expect(try tree.figures(for: signs).distance > figures.distance)
    }

    @Test func severalTreesLoseTheLongestEdges() throws {
        let rows = ["++++++", "-+++++", "-----+", "------"]
        for (trees, roots, longest) in [(1, 1, 4), (2, 2, 1), (3, 3, 1), (4, 4, 0), (9, 4, 0)] {
            let tree = try ChannelTree(growing: Self.signs(rows), rules: .init(trees: trees))
            let figures = try tree.figures(for: Self.signs(rows))
            #expect(figures.roots == roots)
            #expect(figures.longest == longest)
        }
    }

    @Test func sizesOfZero() throws {
        #expect(try Self.parents([]) == [])
        #expect(try ChannelTree(parents: []).parents == [])
        let blank = try SignMatrix(rows: 3, columns: 0)
        let figures = try ChannelTree(growing: blank).figures(for: blank)
        #expect(figures.operationRatio == 1 && figures.parameterRatio == 1)
        #expect(figures.meanDistance == 0)
    }
}

// MARK: against plain sums

extension ChannelTreeTests {
    /// Of any tree, from its definition.
    private static func check(_ tree: ChannelTree, _ signs: SignMatrix, complement: Bool) throws {
        let (rows, columns) = (signs.rows, signs.columns)
        let figures = try tree.figures(for: signs, complement: complement)
        let edges = tree.parents.indices.filter { tree.parents[$0] >= 0 }
        let lengths = edges.map { length(signs, $0, Int(tree.parents[$0]), complement: complement) }
        let distance = lengths.reduce(0, +)
        #expect(figures.roots == rows - edges.count && figures.longest == lengths.max() ?? 0)
        #expect(figures.distance == distance && figures.depth == tree.depths.max() ?? 0)
        let mean = edges.isEmpty ? 0 : Double(distance) / Double(edges.count * columns)
        #expect(abs(figures.meanDistance - mean) < 1e-12)
        let additions = figures.roots * columns + distance
        #expect(abs(figures.operationRatio - Double(additions) / Double(rows * columns)) < 1e-12)
        let edgeBits = edges.count * (bits(below: rows) + (complement ? 1 : 0))
        let stored = figures.roots * columns + edgeBits + distance * bits(below: columns)
        #expect(abs(figures.parameterRatio - Double(stored) / Double(rows * columns)) < 1e-12)
    }

    private static func length(_ signs: SignMatrix, _ a: Int, _ b: Int, complement: Bool) -> Int {
        let d = (0..<signs.columns).count { signs[a, $0] != signs[b, $0] }
        return complement ? min(d, signs.columns - d) : d
    }

    private static func bits(below count: Int) -> Int { count > 1 ? Int.bitWidth - (count - 1).leadingZeroBitCount : 0 }

    /// How long all edges of the shortest tree are (Kruskal 1956: an edge counts if it joins two trees).
    private static func shortest(_ signs: SignMatrix, complement: Bool) -> Int {
        var tree = Array(0..<signs.rows)
        let pairs = tree.flatMap { a in (0..<a).map { ($0, a, length(signs, $0, a, complement: complement)) } }
        return pairs.sorted { $0.2 < $1.2 }.reduce(0) { sum, pair in
            let (a, b) = (tree[pair.0], tree[pair.1])
            for row in tree.indices where tree[row] == b { tree[row] = a }
            return a == b ? sum : sum + pair.2
        }
    }

    @Test func figuresAreTheSums() throws {
        var g = Generator(seed: 1)
        for _ in 0..<40 {
            let signs = try SignMatrix.random(g.pick([1, 2, 5, 17, 40]), g.pick([1, 31, 64, 65, 130]), &g)
            try Self.check(.random(signs.rows, &g), signs, complement: g.coin())
        }
    }

    @Test func grownTreesAreTheShortest() throws {
        var g = Generator(seed: 2)
        for _ in 0..<40 {
            let signs = try SignMatrix.random(g.pick([1, 2, 7, 20, 70]), g.pick([1, 9, 64, 100]), &g)
            let rules = ChannelTree.Rules(complement: g.coin())
            let tree = try ChannelTree(growing: signs, rules: rules)
            try Self.check(tree, signs, complement: rules.complement)
            let figures = try tree.figures(for: signs, complement: rules.complement)
            #expect(figures.roots == 1)
            #expect(figures.distance == Self.shortest(signs, complement: rules.complement))
            for isa in ISA.running(of: "binary_gemm") {
                #expect(try ChannelTree(growing: signs, rules: rules, threads: g.pick([1, 3]), isa: isa) == tree)
            }
        }
    }

    @Test func rulesAreKept() throws {
        var g = Generator(seed: 3)
        for _ in 0..<40 {
            let signs = try SignMatrix.random(g.pick([2, 20, 70]), g.pick([9, 64, 100]), &g)
            let rules = ChannelTree.Rules(
                complement: g.coin(), maxDepth: g.pick([nil, 1, 2, 3]), trees: g.pick([1, 2, 5]))
            let tree = try ChannelTree(growing: signs, rules: rules)
            try Self.check(tree, signs, complement: rules.complement)
            #expect(tree.depths.max()! <= rules.maxDepth ?? 70)
            #expect(tree.parents.count { $0 < 0 } == min(rules.trees, signs.rows))
        }
    }

    @Test func groupsHaveTreesOfTheirOwn() throws {
        var g = Generator(seed: 4)
        let shape = ConvShape(height: 3, width: 3, channels: 12, outputs: 30, kernel: 3, groups: 3)
        let filters = try SignMatrix.random(30, 36, &g)
        let rules = ChannelTree.Rules(complement: true, trees: 2)
        let trees = try ChannelTree.growing(filters, shape: shape, rules: rules)
        #expect(trees.count == 3)
        for (group, tree) in trees.enumerated() {
            let rows = filters[rows: group * 10..<group * 10 + 10]
            #expect(rows.values() == Array(filters.values()[group * 360..<group * 360 + 360]))
            #expect(try tree == ChannelTree(growing: rows, rules: rules))
        }
    }
}

extension ChannelTree {
    /// Edges from each row to its root.
    fileprivate var depths: [Int] {
        parents.indices.map { row in
            var (at, depth) = (row, 0)
            while parents[at] >= 0 { (at, depth) = (Int(parents[at]), depth + 1) }
            return depth
        }
    }
}

// MARK: errors

extension ChannelTreeTests {
    @Test func refusesWhatIsNoTree() {
        for parents: [Int32] in [[0], [1, 0], [-1, 2, 1], [-1, 2], [-2, 0], [-1, .max], [1, 2, 3, 1]] {
            #expect(throws: HalftoneError.tree, "\(parents)") { try ChannelTree(parents: parents) }
        }
    }

    @Test func refusesRulesThatMakeNoSense() throws {
        let signs = try SignMatrix(rows: 3, columns: 5)
        for depth in [0, -1] {
            #expect(throws: HalftoneError.shape("a tree cannot be \(depth) edges deep at most")) {
                try ChannelTree(growing: signs, rules: .init(maxDepth: depth))
            }
        }
        for trees in [0, -1] {
            #expect(throws: HalftoneError.shape("there cannot be \(trees) trees")) {
                try ChannelTree(growing: signs, rules: .init(trees: trees))
            }
        }
        #expect(throws: HalftoneError.threads) { try ChannelTree(growing: signs, threads: -1) }
        #expect(throws: HalftoneError.isa) {
            let missing = try #require(
                ISA.allCases.first { !Set(Machine.kernels.map(\.isa)).contains("\($0)") && $0 != .automatic })
            _ = try ChannelTree(growing: signs, isa: missing)
        }
    }

    @Test func refusesRowsThatDoNotFit() throws {
        let tree = try ChannelTree(parents: [-1, 0])
        #expect(throws: HalftoneError.shape("the tree has 2 rows, the signs have 3")) {
            try tree.figures(for: SignMatrix(rows: 3, columns: 5))
        }
        let shape = ConvShape(height: 3, width: 3, channels: 4, outputs: 6, kernel: 1, groups: 2)
        #expect(throws: HalftoneError.shape("filters are 6 x 3, not 6 x 2")) {
            try ChannelTree.growing(SignMatrix(rows: 6, columns: 3), shape: shape)
        }
        var odd = shape
        odd.groups = 4
        #expect(throws: HalftoneError.convolution) {
            try ChannelTree.growing(SignMatrix(rows: 6, columns: 1), shape: odd)
        }
    }
}
