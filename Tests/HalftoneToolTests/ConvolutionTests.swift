import CHalftone
import Testing

@testable import halftone

@Suite struct ConvolutionTests {
    private static let geometries: [Convolution] = (0..<60).map { number in
        var random = SplitMix(seed: 7, number: UInt64(number))
        func pair(_ range: ClosedRange<Int>) -> Convolution.Pair { .init(y: random.int(range), x: random.int(range)) }
        return Convolution(
            images: random.int(1...2), height: random.int(1...9), width: random.int(1...9), channels: 4, outputs: 6,
            kernel: pair(1...4), stride: pair(1...3), dilation: pair(1...3), padBefore: pair(0...4),
            padAfter: pair(0...4))
    }

    @Test(arguments: geometries) func sizesAreTheLibrarys(_ geometry: Convolution) throws {
        var (shape, height, width) = (geometry.code, 0, 0)
        #expect(ht_conv_output_size(&shape, &height, &width) == HT_OK)
        #expect(geometry.outputHeight == height && geometry.outputWidth == width)
    }

    /// By the formula of halftone/conv.h, all pixels against all.
    @Test(arguments: geometries) func pixelsMeetThroughTaps(_ g: Convolution) {
        for tap in 0..<g.taps {
            var inputs = [Int?](repeating: nil, count: g.outputPixels)
            var outputs = [Int?](repeating: nil, count: g.inputPixels)
            for image in 0..<g.images {
                for (row, column) in pixels(g.outputHeight, g.outputWidth) {
                    let y = row * g.stride.y + tap / g.kernel.x * g.dilation.y - g.padBefore.y
                    let x = column * g.stride.x + tap % g.kernel.x * g.dilation.x - g.padBefore.x
                    guard 0 <= y, y < g.height, 0 <= x, x < g.width else { continue }
                    let output = (image * g.outputHeight + row) * g.outputWidth + column
                    let input = (image * g.height + y) * g.width + x
                    inputs[output] = input
                    outputs[input] = output
                }
            }
            #expect((0..<g.outputPixels).map { g.inputPixel(of: $0, tap: tap) } == inputs)
            #expect((0..<g.inputPixels).map { g.outputPixel(of: $0, tap: tap) } == outputs)
        }
    }

    private func pixels(_ height: Int, _ width: Int) -> [(Int, Int)] {
        (0..<height).flatMap { row in (0..<width).map { (row, $0) } }
    }

    @Test func readsText() throws {
        let plain = try #require(Convolution("28x14x128x64x3"))
        #expect((plain.height, plain.width, plain.channels, plain.outputs) == (28, 14, 128, 64))
        #expect(plain.kernel == .both(3) && plain.stride == .both(1) && plain.padBefore == .both(1))
        #expect((plain.outputHeight, plain.outputWidth) == (28, 14))
        let other = try #require(Convolution("56x56x64x64x5x2", dilation: 3, groups: 4, images: 2))
        #expect(other.padAfter == .both(6) && other.stride == .both(2) && other.dilation == .both(3))
        #expect(other.outputPixels == 2 * 28 * 28 && other.filterSize == 25 * 16)
    }

    @Test func productIsAConvolution() {
        let product = Problem(operation: .product, kind: .f32, geometry: .product(o: 30, k: 20, t: 7))
        #expect((product.o, product.k, product.t) == (30, 20, 7))
        #expect(product.xSize == (7, 20) && product.ySize == (7, 30))
        #expect(product.denseOperations == 2 * 30 * 20 * 7)
    }
}
