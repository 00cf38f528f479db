import CHalftone
import Foundation
import Testing

@testable import halftone

@Suite struct BinaryOptionTests {
    private static func plan(_ arguments: String...) throws -> BenchPlan {
        try BenchCommand.parse(arguments + ["--isa", "ref"]).plan()
    }

    private static func forms(_ plan: BenchPlan) -> [String] {
        plan.operations.flatMap { operation in
            plan.kinds(of: operation).flatMap { kind in plan.forms(of: operation, kind).map { "\(kind): \($0)" } }
        }
    }

    @Test func timesBitsAndSumsWhereNothingIsNamed() throws {
        let plan = try Self.plan("--op", "binary_conv", "--conv", "9x8x64x32x3")
        #expect(Self.forms(plan) == ["b1: auto to b1", "b1: auto to i32"])
        #expect(plan.companions.map(\.name) == ["direct"])
        #expect(plan.entries.map { plan.caseCount(of: $0) } == [2])
    }

    @Test func takesEveryDesignToEveryOutput() throws {
        let plan = try Self.plan(
            "--op", "binary_gemm", "--shape", "64x64x9", "--design", "direct,pixels", "--output", "i16,f32", "--dtype",
            "u1,b1")
        let forms = ["direct to i16", "direct to f32", "pixels to i16", "pixels to f32"]
        #expect(Self.forms(plan) == forms.map { "u1: " + $0 } + forms.map { "b1: " + $0 })
    }

    /// Designs are ways to count bits.
    @Test func floatsAndBytesHaveNoDesigns() throws {
        let plan = try Self.plan("--op", "binary_gemm", "--dtype", "f32,i8", "--design", "pixels")
        #expect(Self.forms(plan) == ["f32: direct to f32", "i8: direct to i32"])
        #expect(plan.companions.isEmpty)
    }

    @Test func packsFloats() throws {
        let plan = try Self.plan("--op", "binary_conv", "--conv", "9x8x64x32x3", "--from", "f32")
        #expect(Self.forms(plan) == ["b1: auto from f32 to f32"])
    }

    @Test func packsRowsOfAnyType() throws {
        let plan = try Self.plan("--op", "sign_pack", "--shape", "1x70x9", "--dtype", "i8,f32")
        #expect(Self.forms(plan) == ["i8: dense", "f32: dense"])
        let problem = Problem(operation: .signPacking, kind: .i8, geometry: plan.entries[0].layer.geometry(t: 9))
        #expect(problem.denseOperations == 630)
        #expect(plan.operations == [.signPacking])
    }

    @Test func padsAsAsked() throws {
        let plan = try Self.plan("--op", "binary_conv", "--conv", "9x8x64x32x3", "--padding", "plus")
        let geometry = try #require(plan.entries.first?.layer.convolution)
        #expect(geometry.code.padding == HT_PADDING_PLUS_ONE && geometry.padding.value == 1)
        #expect(geometry.description == "9x8x64 to 32, 3x3, padding plus")
    }

    @Test(arguments: [
        ["--output", "i32"], ["--design", "direct"], ["--op", "nm_conv", "--conv", "8x8x8x8x3", "--padding", "plus"],
        ["--op", "binary_gemm", "--padding", "plus"], ["--op", "binary_gemm", "--conv", "8x8x8x8x3"],
        ["--from", "f32"], ["--op", "binary_gemm", "--from", "i8"], ["--op", "sign_pack", "--shape", "2x8x8"],
        ["--op", "binary_conv", "--shape", "8x8x8"],
        ["--op", "binary_gemm", "--shared-rows", "4"],
        ["--op", "binary_gemm", "--x-order", "features"], ["--op", "binary_conv", "--permute"],
    ])
    func refusesWhatDoesNotFit(_ arguments: [String]) {
        #expect(throws: (any Error).self) { try BenchCommand.parse(arguments) }
    }

    @Test(arguments: [
        ["--output", "u8"], ["--output", ","], ["--design", "best"], ["--dtype", "bf16"],
        ["--dtype", "f32", "--output", "b1"],
        ["--dtype", "i8", "--output", "i16"], ["--dtype", "f32", "--from", "f32"],
    ])
    func refusesWordsThatItDoesNotKnow(_ arguments: [String]) throws {
        let command = try BenchCommand.parse(["--op", "binary_gemm"] + arguments)
        #expect(throws: ToolError.self) { try command.plan() }
    }

    @Test func networksAreBinaryThroughout() throws {
        let plan = try Self.plan("--op", "binary_conv", "--shapes", Self.shapes("resnet18"))
        #expect(plan.operations == [.binaryConvolution, .binaryProduct])
    }

    /// The multiply-adds of the 3x3 convolutions of ResNet-18, but for the first layer.
    @Test func biRealNetIsWhole() throws {
        let plan = try Self.plan("--op", "binary_conv", "--shapes", Self.shapes("birealnet18"))
        #expect(plan.entries.reduce(0) { $0 + $1.count } == 16)
        #expect(plan.entries.reduce(0) { $0 + $1.count * $1.layer.o * $1.layer.k * $1.ts[0] } == 1_676_279_808)
    }

    private static func shapes(_ name: String) -> String {
        URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../Benchmarks/Shapes/\(name).txt")
            .path()
    }
}

@Suite struct BitMatrixTests {
    @Test(arguments: [HT_DTYPE_B1, HT_DTYPE_U1]) func bitsLieAsTheLibraryHasThem(_ type: ht_dtype) throws {
        var random = SplitMix(seed: 3, number: 1)
        let (rows, columns) = (5, 131)
        let set: Float = type == HT_DTYPE_B1 ? -1 : 1
        let clear: Float = type == HT_DTYPE_B1 ? 1 : 0
        let values = (0..<rows * columns).map { _ in random.chance(0.5) ? set : clear }
        let matrix = try TypedMatrix(FloatMatrix(rows: rows, columns: columns, values: values), type: type)
        #expect(matrix.memory.bytes == rows * 3 * 8)
        let bytes = UnsafeRawBufferPointer(start: matrix.data, count: matrix.memory.bytes)
        for row in 0..<rows {
            for column in 0..<192 {
                let bit = bytes[row * 24 + column / 8] >> (column % 8) & 1
                #expect((bit == 1) == (column < columns && values[row * columns + column] == set))
            }
        }
        guard type == HT_DTYPE_B1 else { return }
        for index in values.indices {
            #expect(matrix.value(index / columns, index % columns) == Double(values[index]))
        }
    }

    @Test func thresholdsGiveTheLibrarysSigns() throws {
        let (t, o, k) = (6, 37, 90)
        let problem = Problem(operation: .binaryProduct, kind: .b1, geometry: .product(o: o, k: k, t: t))
        var random = SplitMix(seed: 5, number: 2)
        func signs(_ rows: Int) throws -> FloatMatrix {
            let values = (0..<rows * k).map { _ -> Float in random.chance(0.5) ? -1 : 1 }
            return try FloatMatrix(rows: rows, columns: k, values: values)
        }
        let (x, w) = (try signs(t), try signs(o))
        let packed = try BinaryWeights(TypedMatrix(w, type: HT_DTYPE_B1), problem: problem, design: .direct).packed
        let thresholds = BinaryThresholds(outputs: o, inputs: k, seed: 1)
        let y = try TypedMatrix(rows: t, columns: o, type: HT_DTYPE_B1)
        try BinaryCall(
            problem, packed: packed, x: TypedMatrix(x, type: HT_DTYPE_B1), y: y, thresholds: thresholds,
            isa: HT_ISA_REF, threads: 1
        ).run()
        for row in 0..<t {
            for column in 0..<o {
                let sum = (0..<k).reduce(0.0) { $0 + Double(x.row(row)[$1] * w.row(column)[$1]) }
                #expect(y.value(row, column) == thresholds.sign(sum, column: column))
            }
        }
    }
}
