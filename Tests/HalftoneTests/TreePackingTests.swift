import Halftone
import Testing

/// Signs that are packed along trees give the results of those that are not, and come back.
@Suite struct TreePackingTests {
    private static let isas = ISA.running(of: "binary_gemm")

    /// Rows that resemble each other: each differs in a few places from one before it, or from its negation.
    private static func related(_ rows: Int, _ columns: Int, _ g: inout Generator) throws -> SignMatrix {
        var signs = try SignMatrix.random(rows, columns, &g)
        for row in 0..<rows where row > 0 && columns > 0 && !g.coin(6) {
            let (from, sign) = (g.below(row), g.coin(4) ? -1 : 1)
            for column in 0..<columns { signs[row, column] = sign * signs[from, column] }
            for _ in 0..<g.below(columns / 8 + 1) {
                let column = g.below(columns)
                signs[row, column] = -signs[row, column]
            }
        }
        return signs
    }

    private static func rules(_ g: inout Generator) -> ChannelTree.Rules {
        ChannelTree.Rules(complement: g.coin(), maxDepth: g.pick([nil, 1, 3]), trees: g.pick([1, 1, 3]))
    }

    private static func threshold(_ outputs: Int, inputs: Int, _ g: inout Generator) throws -> BinaryThreshold {
        let levels = (0..<outputs).map { _ in Int32(g.below(inputs / 2 + 5) - inputs / 4 - 2) }
        return try BinaryThreshold(levels: levels, flips: levels.map { $0 % 2 == 0 })
    }

    @Test func productsAreThoseOfTheDirectDesign() throws {
        var g = Generator(seed: 1)
        for t in [1, 63, 512, 513, 1100] {
            for _ in 0..<6 {
                let (o, k) = (g.pick([1, 16, 33, 64, 130]), g.pick([1, 31, 64, 200, 600]))
                let (x, w) = (try SignMatrix.random(t, k, &g), try Self.related(o, k, &g))
                let direct = try BinaryMatrix(packing: w, design: .direct)
                let tree = try ChannelTree(growing: w, rules: Self.rules(&g))
                let threshold = try Self.threshold(o, inputs: k, &g)
                for tree in [tree, try .random(o, &g)] {
                    let matrix = try BinaryMatrix(packing: w, tree: tree)
                    #expect(matrix.design == .tree)
                    #expect(try matrix.unpacked() == w && matrix.unpackedTree() == tree)
                    for values in BitValues.allCases {
                        for isa in Self.isas {
                            let options = ProductOptions(threads: g.pick([1, 3]), isa: isa)
                            #expect(
                                try matrix.multiply(x, values: values, threshold: threshold, options: options)
                                    == direct.multiply(x, values: values, threshold: threshold), "\(t) \(o) \(k)")
                            #expect(
                                try matrix.multiply(x, values: values, options: options)
                                    == direct.multiply(x, values: values))
                        }
                    }
                }
            }
        }
    }

    private static let shapes = [
        ConvShape(images: 2, height: 16, width: 17, channels: 32, outputs: 40, kernel: 3, padding: .same),
        ConvShape(height: 24, width: 24, channels: 64, outputs: 128, kernel: 3, padding: .same, groups: 2),
        ConvShape(height: 30, width: 18, channels: 130, outputs: 33, kernel: 1),
        ConvShape(
            height: 23, width: 25, channels: 96, outputs: 192, kernel: 3, padding: .all(1), paddingValue: .minusOne,
            groups: 3),
        ConvShape(height: 9, width: 40, channels: 6, outputs: 6, kernel: 5, strides: 2, padding: .same, groups: 3),
    ]

    @Test(arguments: shapes) func convolutionsAreThoseOfTheDirectDesign(_ shape: ConvShape) throws {
        var g = Generator(seed: 2)
        let inputs = shape.weightCount / shape.outputs
        let w = try Self.related(shape.outputs, inputs, &g)
        let x = try SignMatrix.random(shape.images * shape.height * shape.width, shape.channels, &g)
        let direct = try BinaryFilters(packing: w, shape: shape, design: .direct)
        let threshold = try Self.threshold(shape.outputs, inputs: inputs, &g)
        for _ in 0..<4 {
            let trees = try ChannelTree.growing(w, shape: shape, rules: Self.rules(&g))
            let filters = try BinaryFilters(packing: w, shape: shape, trees: trees)
            #expect(filters.design == .tree)
            #expect(try filters.unpacked() == w && filters.unpackedTrees() == trees)
            try filters.verify()
            for isa in Self.isas {
                let options = ProductOptions(threads: g.pick([1, 3]), isa: isa)
                #expect(
                    try filters.convolve(x, threshold: threshold, options: options)
                        == direct.convolve(x, threshold: threshold), "\(isa)")
                #expect(try filters.convolve(x, options: options) == direct.convolve(x))
            }
        }
    }

    /// Filters of one tap are the matrix that a product takes.
    @Test func oneTapIsAProduct() throws {
        var g = Generator(seed: 3)
        let shape = ConvShape(images: 2, height: 5, width: 3, channels: 22, outputs: 35, kernel: 1)
        let w = try Self.related(35, 22, &g)
        let tree = try ChannelTree(growing: w)
        let filters = try BinaryFilters(packing: w, shape: shape, trees: [tree])
        #expect(filters.packedArray == (try BinaryMatrix(packing: w, tree: tree)).packedArray)
    }

    @Test func otherDesignsHaveNoTree() throws {
        let signs = try SignMatrix(rows: 4, columns: 8)
        let shape = ConvShape(height: 4, width: 4, channels: 8, outputs: 4, kernel: 1)
        for design in BinaryDesign.allCases where design != .tree {
            #expect(try BinaryMatrix(packing: signs, design: design).unpackedTree() == nil)
            #expect(try BinaryFilters(packing: signs, shape: shape, design: design).unpackedTrees() == nil)
        }
    }
}

// MARK: errors

extension TreePackingTests {
    /// Whatever byte behind a header is damaged, in whichever group.
    @Test func theCheckFindsDamage() throws {
        var g = Generator(seed: 4)
        let shape = ConvShape(height: 4, width: 4, channels: 24, outputs: 10, kernel: 1, groups: 2)
        let w = try Self.related(10, 12, &g)
        let filters = try BinaryFilters(
            packing: w, shape: shape, trees: ChannelTree.growing(w, shape: shape, rules: .init(trees: 2)))
        let good = filters.packedArray
        for at in good.indices where at % (good.count / 2) >= 64 {
            var damaged = good
            damaged[at] ^= g.pick([1, 0x10, 0xff])
            #expect(throws: HalftoneError.blobCorrupt, "\(at)") {
                try BinaryFilters(copying: damaged.span.bytes, shape: shape).verify()
            }
        }
    }

    @Test func refusesTreesThatDoNotFit() throws {
        let tree = try ChannelTree(parents: [-1, 0, 0])
        let shape = ConvShape(height: 4, width: 4, channels: 8, outputs: 6, kernel: 1, groups: 2)
        let (matrix, filters) = (try SignMatrix(rows: 4, columns: 8), try SignMatrix(rows: 6, columns: 4))
        #expect(throws: HalftoneError.shape("the tree has 3 rows, the signs have 4")) {
            try BinaryMatrix(packing: matrix, tree: tree)
        }
        #expect(throws: HalftoneError.shape("there are 1 trees for 2 groups")) {
            try BinaryFilters(packing: filters, shape: shape, trees: [tree])
        }
        #expect(throws: HalftoneError.shape("the tree has 4 rows, the signs have 3")) {
            try BinaryFilters(packing: filters, shape: shape, trees: [tree, ChannelTree(parents: [-1, 0, 0, 0])])
        }
        #expect(throws: HalftoneError.shape("filters are 4 x 8, not 6 x 4")) {
            try BinaryFilters(packing: matrix, shape: shape, trees: [tree, tree])
        }
        #expect(throws: HalftoneError.design) { try BinaryMatrix(packing: matrix, design: .tree) }
        #expect(throws: HalftoneError.design) { try BinaryFilters(packing: filters, shape: shape, design: .tree) }
    }
}
