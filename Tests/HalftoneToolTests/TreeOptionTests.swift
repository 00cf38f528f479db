import CHalftone
import Foundation
import Halftone
import HalftoneFiles
import Testing

@testable import halftone

@Suite struct TreeOptionTests {
    private static func plan(_ arguments: String...) throws -> BenchPlan {
        try BenchCommand.parse(arguments + ["--isa", "ref"]).plan()
    }

    private static func forms(_ plan: BenchPlan) -> [String] {
        plan.operations.flatMap { operation in
            plan.kinds(of: operation).flatMap { kind in plan.forms(of: operation, kind).map { "\($0)" } }
        }
    }

    @Test func goesAlongTreesBesideTheDirectDesign() throws {
        let plan = try Self.plan("--op", "mst_conv", "--conv", "9x8x64x32x3")
        #expect(Self.forms(plan) == ["tree to b1", "tree to i32"])
        #expect(plan.companions.map(\.name) == ["direct", "pixels", "channels"])
        #expect(plan.operations == [.treeConvolution])
        #expect(plan.entries.map(\.layer.name) == ["random filters, d/K 0.05"])
    }

    @Test func takesSeveralDistancesAndDesigns() throws {
        let plan = try Self.plan(
            "--op", "mst_gemm", "--shape", "64x60x9", "--distance", "0.02, 0.1,random", "--design", "tree,pixels",
            "--output",
            "b1", "--dtype", "u1")
        #expect(Self.forms(plan) == ["tree to b1", "pixels to b1"])
        #expect(
            plan.entries.map(\.layer.name) == [
                "random weights, d/K 0.02", "random weights, d/K 0.1", "random weights, independent",
            ])
        #expect(plan.entries.map { plan.caseCount(of: $0) } == [2, 2, 2])
        #expect(plan.companions.map(\.name) == ["direct", "pixels", "tree"])
    }

    @Test func networksGoAlongTreesThroughout() throws {
        let shapes = URL(filePath: #filePath).deletingLastPathComponent()
            .appending(path: "../../Benchmarks/Shapes/resnet18.txt").path()
        let plan = try Self.plan("--op", "mst_conv", "--shapes", shapes)
        #expect(plan.operations == [.treeConvolution, .treeProduct])
        #expect(plan.entries.allSatisfy { $0.layer.name.hasSuffix(", d/K 0.05") })
        #expect(throws: ToolError.self) {
            try Self.plan("--op", "mst_conv", "--shapes", shapes, "--distance", "0.1,0.2")
        }
    }

    @Test(arguments: [
        ["--distance", "0.1"], ["--op", "binary_gemm", "--distance", "0.1"], ["--op", "mst_conv", "--shape", "8x8x8"],
        ["--op", "mst_gemm", "--weights", "w", "--distance", "0.1"], ["--op", "mst_gemm", "--conv", "8x8x8x8x3"],
        ["--op", "mst_gemm", "--shared-rows", "4"],
    ])
    func refusesWhatDoesNotFit(_ arguments: [String]) {
        #expect(throws: (any Error).self) { try BenchCommand.parse(arguments) }
    }

    @Test(arguments: [
        ["--op", "mst_gemm", "--distance", "1.5"], ["--op", "mst_gemm", "--distance", "far"],
        ["--op", "mst_gemm", "--distance", ","], ["--op", "mst_gemm", "--dtype", "f32"],
        ["--op", "mst_conv", "--dtype", "u1"], ["--op", "binary_gemm", "--design", "tree"],
    ])
    func refusesWordsThatItDoesNotKnow(_ arguments: [String]) throws {
        let command = try BenchCommand.parse(arguments)
        #expect(throws: ToolError.self) { try command.plan() }
    }

    @Test(arguments: [["w", "--max-depth", "0"], ["w", "--trees", "0"], ["w", "--seconds", "0"], []])
    func refusesRulesThatMakeNoSense(_ arguments: [String]) {
        #expect(throws: (any Error).self) { try MSTCommand.parse(arguments) }
    }

    @Test func rulesAreThoseOfTheOptions() throws {
        let command = try MSTCommand.parse(["w", "--complement", "--max-depth", "3", "--trees", "2"])
        #expect(command.rules == ChannelTree.Rules(complement: true, maxDepth: 3, trees: 2))
        #expect(try MSTCommand.parse(["w"]).rules == ChannelTree.Rules())
    }
}

@Suite struct TreeWeightTests {
    /// Each group of channels has a tree of its own, each output so many signs from its parent.
    @Test func randomWeightsDeriveFromEachOther() throws {
        let convolution = try #require(Convolution("4x4x40x34x3", groups: 2))
        let layer = Layer.random(name: "random", convolution, seed: 1).alongTrees(.share(0.05), seed: 1)
        let w = try layer.weights()
        #expect((w.rows, w.columns) == (34, 180) && w.values.allSatisfy { abs($0) == 1 })
        func distance(_ a: Int, _ b: Int) -> Int { (0..<180).count { w.row(a)[$0] != w.row(b)[$0] } }
        for row in 0..<34 where row % 17 > 0 {
            #expect(distance(row, row - row % 17 + (row % 17 - 1) / 4) == 9)
        }
        #expect(distance(0, 17) > 50)
        let trees = try GrownTrees(TypedMatrix(w, type: HT_DTYPE_B1), groups: 2, rules: GrownTrees.usualRules)
        #expect(trees.trees.count == 2 && trees.figures.roots == 2)
        #expect(trees.figures.meanDistance <= 0.05)
        #expect(trees.figures.operationRatio < 0.05 + 2.0 / 34)
    }

    @Test func independentRowsShareHalfOfTheirSigns() throws {
        let layer = Layer.random(name: "random", o: 30, k: 640, seed: 1).alongTrees(.random, seed: 1)
        let w = try layer.weights()
        for row in 1..<30 {
            let distance = (0..<640).count { w.row(row)[$0] != w.row((row - 1) / 4)[$0] }
            #expect((240...400).contains(distance))
        }
    }

    /// Against the library's model, on the designs that were timed.
    @Test func plansAreComparedWithTheFastestDesign() throws {
        let plan = TreePlan(design: "tree", gain: 2).compared(with: [.direct: 3, .pixels: 1, .tree: 1.5])
        #expect(plan.overBest == 1.5 && plan.measuredGain == 2)
        let other = TreePlan(design: "channels", gain: 2).compared(with: [.direct: 3, .pixels: 1])
        #expect(other.overBest == nil && other.measuredGain == nil)
    }

    @Test func plansAreThoseOfTheLibrary() throws {
        let layer = Layer.random(name: "random", o: 64, k: 640, seed: 1).alongTrees(.share(0.01), seed: 1)
        let bits = try TypedMatrix(layer.weights(), type: HT_DTYPE_B1)
        let trees = try GrownTrees(bits, groups: 1, rules: GrownTrees.usualRules)
        let problem = Problem(operation: .treeProduct, kind: .b1, geometry: layer.geometry(t: 1024))
        let planned = try problem.plan(trees, output: .b1)
        let expected = try trees.trees[0].plan(for: trees.signs, rows: 1024)
        #expect(planned.plan.design == "\(expected.design)" && planned.plan.gain == expected.gain)
        #expect(
            Set(planned.designs.map(\.rawValue))
                == Set(expected.cycles.keys.map { "\($0)" }.filter { $0 != "automatic" }))
    }

    /// Filters of PyTorch, OIHW, become rows of taps of channels.
    @Test func readsMatricesAndFilters() throws {
        let path = NSTemporaryDirectory() + "halftone-\(UUID().uuidString).safetensors"
        defer { try? FileManager.default.removeItem(atPath: path) }
        let values = (0..<2 * 3 * 2 * 2).map { Float($0) }
        try SafetensorsFile.write(
            [
                ("conv", Tensor(values, shape: [2, 3, 2, 2])), ("matrix", Tensor(values, shape: [4, 6])),
                ("bias", Tensor(values, shape: [24])), ("none", Tensor([], shape: [0, 3])),
            ], to: path)
        let layers = try WeightFile.outputRows(path: path, tensor: nil)
        #expect(Set(layers.map(\.name)) == ["conv", "matrix"])
        let filters = try #require(layers.first { $0.name == "conv" })
        #expect((filters.o, filters.k) == (2, 12))
        let rows = [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11] as [Float]
        #expect(try Self.values(filters) == rows + rows.map { $0 + 12 })
        let matrix = try WeightFile.outputRows(path: path, tensor: "matrix")
        #expect(matrix.map(\.k) == [6])
        #expect(try Self.values(matrix[0]) == values)
        for tensor in ["bias", "none", "nothing"] {
            #expect(throws: ToolError.self) { try WeightFile.outputRows(path: path, tensor: tensor) }
        }
    }

    private static func values(_ layer: Layer) throws -> [Float] {
        let weights = try layer.weights()
        return withExtendedLifetime(weights) { Array(weights.values) }
    }
}
