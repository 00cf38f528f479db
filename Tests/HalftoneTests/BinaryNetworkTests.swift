import Halftone
import Testing

/// A small network, from bytes through bits to scores, against the same network in Double.
@Suite struct BinaryNetworkTests {
    /// A convolution of signs, its scales and what normalises it.
    private struct Layer {
        let shape: ConvShape
        let w: SignMatrix
        let scale: [Float]
        let norm: BatchNorm

        init(_ shape: ConvShape, _ g: inout Generator) throws {
            self.shape = shape
            w = try .random(shape.outputs, shape.weightCount / shape.outputs, &g)
            // Some scales and gammas are negative or zero: both turn or fix the sign of the output.
            scale = (0..<shape.outputs).map { _ in g.coin(16) ? 0 : Data.plain.value(&g) / 8 }
            let gamma = (0..<shape.outputs).map { _ in g.coin(16) ? 0 : Data.plain.value(&g) }
            norm = BatchNorm(
                gamma: gamma, beta: gamma.map { _ in Data.plain.value(&g) / 4 },
                mean: gamma.map { _ in Data.plain.value(&g) }, variance: gamma.map { _ in abs(Data.plain.value(&g)) })
        }

        func filters(_ design: BinaryDesign) throws -> BinaryFilters {
            var g = Generator(seed: 2)
            return try BinaryFilters(packing: w, shape: shape, design: design, &g)
        }

        func threshold(inputs: Int) throws -> BinaryThreshold {
            try BinaryThreshold(folding: norm, inputs: inputs, scale: scale)
        }

        /// Results of this layer in Double, for activations of ±1.
        func reference(_ x: [Int]) throws -> [Double] {
            try SignReference.convolution(shape, x: x, w: w.values()).enumerated().map { at, sum in
                let o = at % shape.outputs
                let centred = Double(sum) * Double(scale[o]) - Double(norm.mean[o])
                let deviation = (Double(norm.variance[o]) + Double(norm.epsilon)).squareRoot()
                return Double(norm.gamma![o]) * (centred / deviation) + Double(norm.beta![o])
            }
        }
    }

    /// Bytes to signs by filters of signs, three layers in bits, one from bits to floats, and a dense one.
    private struct Network {
        static let images = 2
        let stem: Layer
        let stemBias: [Float]
        let body: [Layer]
        let last: Layer
        let lastBias: [Float]
        let classifier: [Float]

        init(_ g: inout Generator) throws {
            let n = Self.images
            stem = try Layer(
                ConvShape(images: n, height: 12, width: 10, channels: 3, outputs: 33, kernel: 3, padding: .same), &g)
            stemBias = (0..<33).map { _ in Data.plain.value(&g) * 30 }
            body = [
                try Layer(
                    ConvShape(
                        images: n, height: 12, width: 10, channels: 33, outputs: 48, kernel: 3, padding: .same,
                        paddingValue: .plusOne), &g),
                try Layer(
                    ConvShape(
                        images: n, height: 12, width: 10, channels: 48, outputs: 36, kernel: 3, strides: 2,
                        padding: .all(1), groups: 3), &g),
                try Layer(ConvShape(images: n, height: 6, width: 5, channels: 36, outputs: 70, kernel: 1), &g),
                try Layer(
                    ConvShape(
                        images: n, height: 6, width: 5, channels: 70, outputs: 70, kernel: 3, padding: .same,
                        paddingValue: .minusOne, groups: 70), &g),
            ]
            last = try Layer(
                ConvShape(
                    images: n, height: 6, width: 5, channels: 70, outputs: 20, kernel: 3, strides: 2, padding: .same),
                &g)
            lastBias = (0..<20).map { _ in Data.plain.value(&g) }
            classifier = (0..<5 * 20).map { _ in Data.plain.value(&g) }
        }

        /// The means of each image's pixels, times the classifier.
        func scores<Number: BinaryFloatingPoint>(_ features: [Number]) throws -> [Number] {
            let pixels = try last.shape.yPixels / Self.images
            return (0..<Self.images).flatMap { image in
                (0..<5).map { score in
                    (0..<20).reduce(0) { sum, channel in
                        let values = (0..<pixels).map { features[(image * pixels + $0) * 20 + channel] }
                        return sum + values.reduce(0, +) / Number(pixels) * Number(classifier[score * 20 + channel])
                    }
                }
            }
        }
    }

    /// Where the results of the stem are rounded to a Float, they keep their sign.
    @Test func equalsTheNetworkInDouble() throws {
        var g = Generator(seed: 1)
        let network = try Network(&g)
        let image = (0..<network.stem.shape.xCount).map { _ in Int8(truncatingIfNeeded: g.below(256)) }

        let stemSums = try ConvReference.forward(
            network.stem.shape, network.stem.shape.outputSize, x: image.map { Float($0) },
            w: network.stem.w.values().map { Float($0) })
        let stem = stemSums.enumerated().map { at, sum in
            sum * Double(network.stem.scale[at % 33]) + Double(network.stemBias[at % 33])
        }
        var expected = [stem.map { $0 < 0 ? -1 : 1 }]
        for layer in network.body { expected.append(try layer.reference(expected.last!).map { $0 < 0 ? -1 : 1 }) }
        let sums = try SignReference.convolution(network.last.shape, x: expected.last!, w: network.last.w.values())
        let features = sums.enumerated().map { at, sum in
            max(0, Double(sum) * Double(network.last.scale[at % 20]) + Double(network.lastBias[at % 20]))
        }
        let scores = try network.scores(features)
        for layer in expected { #expect(Set(layer) == [1, -1], "a layer that says something") }

        for isa in ISA.running(of: "binary_gemm") {
            for design in BinaryDesign.allCases {
                try check(
                    network, image, expected, sums, scores, ProductOptions(threads: g.pick([1, 3]), isa: isa), design)
            }
        }
    }

    private func check(
        _ network: Network, _ image: [Int8], _ expected: [[Int]], _ sums: [Int], _ scores: [Double],
        _ options: ProductOptions, _ design: BinaryDesign
    ) throws {
        let scratch = Scratch()
        let stem = try network.stem.filters(design).convolve(
            image,
            epilogue: Epilogue(bias: network.stemBias, quantization: .init(form: .real(scale: network.stem.scale))),
            options: options, scratch: scratch)
        var bits = try SignMatrix(signsOf: stem, rows: stem.count / 33, columns: 33)
        #expect(bits.values() == expected[0], "the stem, \(options.isa)")
        for (number, layer) in network.body.enumerated() {
            let filters = try layer.filters(design)
            bits = try filters.convolve(
                bits, threshold: layer.threshold(inputs: filters.inputs), options: options, scratch: scratch)
            #expect(bits.values() == expected[number + 1], "layer \(number), \(options.isa) \(design)")
        }
        let last = try network.last.filters(design)
        #expect(try last.convolve(bits, options: options, scratch: scratch) == sums.map { Int32($0) })
        let features = try last.convolve(
            bits, as: Float.self,
            epilogue: Epilogue(
                bias: network.lastBias, activation: .relu, quantization: .init(form: .real(scale: network.last.scale))),
            options: options, scratch: scratch)
        for (found, wanted) in zip(try network.scores(features), scores) {
            #expect(abs(Double(found) - wanted) < 1e-4 * max(1, abs(wanted)))
        }
    }
}
