import Foundation
import Testing

@testable import halftone

@Suite struct ShapeFileTests {
    @Test func readsProductsAndConvolutions() throws {
        let text = """
            # a comment
            fc 1000 2048 1

              attention 768 768 128 48  # and another
            conv first 56x48x64x128x3x2
            conv second 7X7x512x256x1 12
            conv 64 32 16
            """
        let lines = try ShapeFile.lines(of: text, path: "net.txt")
        try #require(lines.count == 5)
        #expect(lines[0] == .init(name: "fc", work: .product(Shape(o: 1000, k: 2048, t: 1))))
        #expect(lines[1] == .init(name: "attention", work: .product(Shape(o: 768, k: 768, t: 128)), count: 48))
        let first = Convolution(
            height: 56, width: 48, channels: 64, outputs: 128, kernel: .both(3), stride: .both(2),
            padBefore: .both(1), padAfter: .both(1))
        #expect(lines[2] == .init(name: "first", work: .convolution(first)))
        let second = Convolution(height: 7, width: 7, channels: 512, outputs: 256, kernel: .both(1))
        #expect(lines[3] == .init(name: "second", work: .convolution(second), count: 12))
        #expect(lines[4] == .init(name: "conv", work: .product(Shape(o: 64, k: 32, t: 16))))
    }

    @Test(arguments: [
        "a 1 2", "a 1 2 0", "a 1 2 3 0", "a 1 2 3 x", "a 1 2 3 4 5", "conv a 7x7x8x8", "conv a 7x7x8x8x3x1x1",
        "conv a 7x7x8x8x0", "conv a 7x7x8x8x3 0", "conv a 7x7x8x8x3 1 1", "conv a",
        "conv a 7x7x8x8x99999999999999999999",
    ])
    func refusesOtherLines(_ line: String) throws {
        let error = try #require(throws: ToolError.self) { try ShapeFile.lines(of: "\n\(line)\n", path: "net.txt") }
        #expect(error.description.hasPrefix("net.txt, line 2: expected"))
    }

    @Test func refusesFilesWithoutShapes() {
        #expect(throws: ToolError.self) { try ShapeFile.lines(of: "# nothing\n\n", path: "net.txt") }
        #expect(throws: ToolError.self) { try ShapeFile.lines(path: "/there/is/none.txt") }
    }

    /// Weights and multiply-adds as the networks are known to have them, without the layers that the files leave out.
    @Test(arguments: [
        ("resnet18", 20, 11_669_504, 1_696_059_392), ("resnet50", 53, 25_493_504, 3_971_170_304),
        ("mobilenet-v2", 35, 3_404_672, 269_219_840), ("vit-base", 73, 85_702_656, 16_732_895_232),
    ])
    func networksAreWhole(_ name: String, _ layers: Int, _ weights: Int, _ multiplyAdds: Int) throws {
        let entries = try Self.entries(name, .product)
        var (counted, found, done) = (0, 0, 0)
        for entry in entries {
            let own = entry.layer.o * entry.layer.k
            counted += entry.count
            found += entry.count * own
            done += entry.count * own * entry.ts[0]
        }
        #expect(counted == layers)
        #expect(found == weights)
        #expect(done == multiplyAdds)
    }

    @Test(arguments: [("bert-base", [1, 128, 512]), ("llama-7b", [1, 16, 512]), ("minilm", [1, 128])])
    func everyLayerHasTheSameT(_ name: String, _ ts: [Int]) throws {
        let entries = try Self.entries(name, .backwardProduct)
        #expect(entries.count == 3)
        #expect(entries.allSatisfy { $0.ts == ts && $0.operation == .backwardProduct })
    }

    @Test func convolutionsTakeTheFormOfTheOperation() throws {
        let forward = try Self.entries("resnet18", .product)
        #expect(forward.map(\.operation).filter { $0 == .convolution }.count == 10)
        #expect(forward.last?.operation == .product)
        let backward = try Self.entries("resnet18", .backwardConvolution)
        #expect(backward.first?.operation == .backwardConvolution)
        #expect(backward.last?.operation == .backwardProduct)
        #expect(throws: ToolError.self) { try Self.entries("resnet18", .weightGradient) }
    }

    private static func entries(_ name: String, _ operation: halftone.Operation) throws -> [BenchPlan.Entry] {
        let root = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../Benchmarks/Shapes")
        return try BenchPlan.entries(
            ShapeFile.lines(path: root.appending(path: name + ".txt").path()), operation, seed: 1)
    }
}
