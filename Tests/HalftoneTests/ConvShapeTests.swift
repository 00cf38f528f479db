import Halftone
import Testing

@Suite struct ConvShapeTests {
    private let shape = ConvShape(height: 7, width: 5, channels: 8, outputs: 6, kernel: 3)

    private func changed(_ change: (inout ConvShape) -> Void) -> ConvShape {
        var other = shape
        change(&other)
        return other
    }

    @Test func hasTheDefaultsOfPyTorch() {
        #expect(shape.images == 1 && shape.groups == 1 && shape.padding == .none)
        #expect(shape.strides == 1 && shape.dilation == 1)
        #expect(shape.kernel == ConvShape.Size(height: 3, width: 3))
        #expect(shape == ConvShape(height: 7, width: 5, channels: 8, outputs: 6, kernel: .init(height: 3, width: 3)))
        #expect("\(ConvShape.Size(height: 3, width: 1))" == "3 x 1")
    }

    /// The places of a kernel in the padded image, counted one by one.
    @Test func theOutputSizeCountsThePlacesOfTheKernel() throws {
        func count(_ size: Int, _ pads: Int, _ kernel: Int, _ step: Int, _ dilation: Int) -> Int {
            stride(from: 0, to: size + pads, by: step).count { $0 + (kernel - 1) * dilation < size + pads }
        }
        for size in [0, 1, 2, 5, 8] {
            for kernel in 1...4 {
                for (step, dilation) in [(1, 1), (2, 1), (1, 3), (3, 2), (7, 1)] {
                    for (before, after) in [(0, 0), (1, 1), (0, 3), (5, 2)] {
                        let shape = ConvShape(
                            height: size, width: 9, channels: 1, outputs: 1, kernel: .init(height: kernel, width: 2),
                            strides: .init(height: step, width: 1), dilation: .init(height: dilation, width: 4),
                            padding: .edges(top: before, left: 1, bottom: after, right: 2))
                        #expect(try shape.outputHeight == count(size, before + after, kernel, step, dilation))
                        #expect(try shape.outputWidth == 8)
                        #expect(try shape.outputSize == .init(height: shape.outputHeight, width: 8))
                    }
                }
            }
        }
    }

    @Test func samePaddingKeepsTheSize() throws {
        for kernel in 1...6 {
            for dilation in 1...3 {
                let shape = changed {
                    $0.padding = .same
                    ($0.kernel.height, $0.dilation.height) = (kernel, dilation)
                }
                #expect(try shape.outputSize == .init(height: 7, width: 5))
            }
        }
        for (step, height, width) in [(2, 4, 3), (3, 3, 2), (9, 1, 1)] {
            let size = try changed { ($0.padding, $0.strides) = (.same, .init(integerLiteral: step)) }.outputSize
            #expect(size == .init(height: height, width: width))
        }
        #expect(ConvShape.Padding.all(2) == .edges(top: 2, left: 2, bottom: 2, right: 2))
    }

    @Test func refusesWhatIsNoConvolution() {
        let wrongs: [(HalftoneError, (inout ConvShape) -> Void)] = [
            (.convolution, { $0.kernel.height = 0 }), (.convolution, { $0.kernel.width = -3 }),
            (.convolution, { $0.groups = 4 }), (.convolution, { $0.groups = 3 }), (.convolution, { $0.groups = 0 }),
            (.convolution, { $0.groups = -1 }),
            (.shape("a convolution cannot have 0 images"), { $0.images = 0 }),
            (.shape("an image cannot be -7 x 5"), { $0.height = -7 }),
            (.shape("an image cannot be 7 x -1"), { $0.width = -1 }),
            (.shape("channels cannot be -8 and 6"), { $0.channels = -8 }),
            (.shape("channels cannot be 8 and -6"), { $0.outputs = -6 }),
            (.shape("strides cannot be 0 x 2"), { $0.strides = .init(height: 0, width: 2) }),
            (.shape("dilation cannot be 1 x -1"), { $0.dilation.width = -1 }),
            (.shape("a padding cannot be negative"), { $0.padding = .all(-1) }),
            (.shape("a padding cannot be negative"), { $0.padding = .edges(top: 0, left: 0, bottom: 0, right: -2) }),
            (.overflow, { $0.height = .max }), (.overflow, { $0.padding = .all(.max) }),
            (.overflow, { ($0.padding, $0.kernel, $0.dilation) = (.same, .init(integerLiteral: .max), 2) }),
            (.overflow, { ($0.images, $0.height, $0.width) = (1 << 30, 1 << 30, 1 << 30) }),
        ]
        for (error, change) in wrongs {
            let shape = changed(change)
            #expect(throws: error) { try shape.outputSize }
            #expect(throws: error) { try NMPattern(2, of: 4).mask(of: [Float](), shape: shape) }
        }
    }
}
