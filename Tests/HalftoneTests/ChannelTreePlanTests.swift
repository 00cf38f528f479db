import Halftone
import Testing

/// Plans of what trees are worth.
@Suite struct ChannelTreePlanTests {
    /// Whether the chosen kernels have other designs than the direct one.
    private static let hasDesigns = Machine.kernels.contains {
        $0.op == "binary_gemm" && $0.chosen && $0.isa == "avx512popcnt"
    }

    /// Rows that differ from the one before in one sign of a hundred.
    private static func near(_ rows: Int, _ columns: Int, _ g: inout Generator) throws -> (SignMatrix, ChannelTree) {
        var signs = try SignMatrix.random(rows, columns, &g)
        for row in 1..<rows {
            for column in 0..<columns { signs[row, column] = signs[row - 1, column] }
            for _ in 0..<columns / 100 { signs[row, g.below(columns)] *= -1 }
        }
        return (signs, try ChannelTree(parents: (0..<rows).map { Int32($0) - 1 }))
    }

    private static func expectSound(_ plan: ChannelTree.Plan, _ comment: Comment) throws {
        let direct = try #require(plan.cycles[.direct])
        let best = try #require(plan.cycles[plan.design])
        #expect(plan.cycles[.automatic] == best, comment)
        #expect(plan.cycles.values.allSatisfy { best <= $0 * 1.05 && $0.isFinite }, comment)
        #expect(plan.gain >= 1 && abs(plan.gain * best - direct) <= direct * 1e-9, comment)
        if !hasDesigns { #expect(Set(plan.cycles.keys) == [.automatic, .direct], comment) }
    }

    @Test func rowsThatResembleEachOtherAreWorthATree() throws {
        var g = Generator(seed: 1)
        let (signs, tree) = try Self.near(128, 1152, &g)
        for output in DataType.allCases {
            let plan = try tree.plan(for: signs, rows: 1024, output: output)
            try Self.expectSound(plan, "\(output)")
            #expect(plan.cycles[.channels] == nil)
            #expect(plan.design == (Self.hasDesigns ? .tree : .direct), "\(output)")
        }
        #expect(try tree.plan(for: signs, rows: 1024) == tree.plan(for: signs, rows: 1024, output: .b1))
    }

    @Test func othersAreNot() throws {
        var g = Generator(seed: 2)
        let signs = try SignMatrix.random(128, 1152, &g)
        let plan = try ChannelTree(growing: signs).plan(for: signs, rows: 1024)
        try Self.expectSound(plan, "random rows")
        #expect(plan.design != .tree)
        let (near, tree) = try Self.near(64, 576, &g)
        let nothing = try tree.plan(for: near, rows: 0)
        #expect(nothing.design == .direct && nothing.gain == 1)
    }

    @Test func filtersHaveATreeForEachGroup() throws {
        var g = Generator(seed: 3)
        var shape = ConvShape(height: 40, width: 40, channels: 128, outputs: 128, kernel: 3, padding: .same, groups: 2)
        let (filters, _) = try Self.near(128, 576, &g)
        let trees = try ChannelTree.growing(filters, shape: shape)
        let plan = try ChannelTree.plan(trees, for: filters, shape: shape)
        try Self.expectSound(plan, "two groups")
        #expect(plan.design == (Self.hasDesigns ? .tree : .direct))
        shape.strides = 2
        let strided = try ChannelTree.plan(trees, for: filters, shape: shape, output: .i32)
        try Self.expectSound(strided, "stride 2")
        #expect(strided.cycles[.tree] == nil && strided.cycles[.pixels] == nil)
    }

    @Test func refusesTreesThatDoNotFit() throws {
        let tree = try ChannelTree(parents: [-1, 0, 0])
        let (matrix, filters) = (try SignMatrix(rows: 4, columns: 8), try SignMatrix(rows: 6, columns: 4))
        let shape = ConvShape(height: 4, width: 4, channels: 8, outputs: 6, kernel: 1, groups: 2)
        #expect(throws: HalftoneError.shape("the tree has 3 rows, the signs have 4")) {
            try tree.plan(for: matrix, rows: 9)
        }
        #expect(throws: HalftoneError.shape("there cannot be -1 rows")) {
            try tree.plan(for: SignMatrix(rows: 3, columns: 8), rows: -1)
        }
        #expect(throws: HalftoneError.shape("there are 1 trees for 2 groups")) {
            try ChannelTree.plan([tree], for: filters, shape: shape)
        }
        #expect(throws: HalftoneError.shape("filters are 4 x 8, not 6 x 4")) {
            try ChannelTree.plan([tree, tree], for: matrix, shape: shape)
        }
    }
}
