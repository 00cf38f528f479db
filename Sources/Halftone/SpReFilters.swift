import CHalftone

/// Both branches of a ``SpReBranch`` packed for their convolutions: one table of indices, two of values.
public struct SpReFilters: NMPackedWeights {
    /// The convolution that they were packed for.
    public let shape: ConvShape

    let blobs: NMBlobs

    init(_ packed: PackedBytes, _ shape: ConvShape) throws(HalftoneError) {
        self.shape = shape
        blobs = try NMBlobs(packed, count: shape.groups)
    }

    /// Both convolutions, each to a Y of its own, since each has a normalisation of its own in training. The second takes
    /// the time of the first times the share of the taps that the branch has.
    ///
    /// - Parameters:
    ///   - x: ``ConvShape/channels`` values for each pixel of the images.
    ///   - shape: another convolution with the same filters than ``shape``, as for other images; nil for that one.
    ///   - main: receives ``ConvShape/outputs`` values for each pixel of ``ConvShape/outputSize`` and image.
    ///   - branch: likewise, of the second branch.
    ///   - threads: 1 for this thread only, 0 for all that the machine offers. Never changes a bit of a result.
    ///   - isa: the instruction set to use.
    /// - Throws: as ``NMFilters/convolve(_:shape:xStride:into:yStride:epilogue:residual:residualStride:options:scratch:)``.
    public func convolve(
        _ x: Span<Float>, shape: ConvShape? = nil, into main: inout MutableSpan<Float>,
        _ branch: inout MutableSpan<Float>, threads: Int = 0, isa: ISA = .automatic
    ) throws(HalftoneError) {
        let shape = shape ?? self.shape
        var (code, options) = (try shape.code(), try ht_options(threads: threads, isa: isa))
        try shape.checkImages(input: x.count, "X holds")
        try shape.checkImages(output: main.count, "Y holds")
        try shape.checkImages(output: branch.count, "the branch's Y holds")
        let status = x.withUnsafeBufferPointer { x in
            main.withUnsafeMutableBufferPointer { ya in
                branch.withUnsafeMutableBufferPointer { yb in
                    ht_spre_conv_f32(
                        &code, x.baseAddress, 0, blobs.bytes.start, blobs.bytes.count, ya.baseAddress, yb.baseAddress,
                        0, &options)
                }
            }
        }
        try HalftoneError.check(status)
    }

    /// Both convolutions as new arrays; see the variant over spans.
    public func convolve(
        _ x: [Float], shape: ConvShape? = nil, threads: Int = 0, isa: ISA = .automatic
    ) throws(HalftoneError) -> (main: [Float], branch: [Float]) {
        let called = shape ?? self.shape
        try called.checkImages(input: x.count, "X holds")
        var main = [Float](repeating: 0, count: try called.outputPixels * called.outputs)
        var branch = main
        var mainSpan = main.mutableSpan
        var branchSpan = branch.mutableSpan
        try convolve(x.span, shape: shape, into: &mainSpan, &branchSpan, threads: threads, isa: isa)
        return (main, branch)
    }
}

/// Both branches of a ``SpReBranch`` packed for the gradient of their input.
public struct SpReBackwardFilters: NMPackedWeights {
    /// The forward convolution that they were packed for.
    public let shape: ConvShape

    let blobs: NMBlobs

    init(_ packed: PackedBytes, _ shape: ConvShape) throws(HalftoneError) {
        self.shape = shape
        blobs = try NMBlobs(packed, count: shape.groups)
    }

    /// The gradient of X from those of both branches.
    ///
    /// - Parameters:
    ///   - main: the gradient of the first branch's Y.
    ///   - branch: likewise, of the second.
    ///   - shape: another forward convolution with the same filters than ``shape``; nil for that one.
    ///   - dx: receives ``ConvShape/channels`` values for each pixel of the images.
    ///   - threads: 1 for this thread only, 0 for all that the machine offers. Never changes a bit of a result.
    ///   - isa: the instruction set to use.
    /// - Throws: as ``SpReFilters/convolve(_:shape:into:_:threads:isa:)``.
    public func convolve(
        _ main: Span<Float>, _ branch: Span<Float>, shape: ConvShape? = nil, into dx: inout MutableSpan<Float>,
        threads: Int = 0, isa: ISA = .automatic
    ) throws(HalftoneError) {
        let shape = shape ?? self.shape
        var (code, options) = (try shape.code(), try ht_options(threads: threads, isa: isa))
        try shape.checkImages(output: main.count, "dY holds")
        try shape.checkImages(output: branch.count, "the branch's dY holds")
        try shape.checkImages(input: dx.count, "dX holds")
        let status = main.withUnsafeBufferPointer { dya in
            branch.withUnsafeBufferPointer { dyb in
                dx.withUnsafeMutableBufferPointer { dx in
                    ht_spre_backward_f32(
                        &code, dya.baseAddress, dyb.baseAddress, 0, blobs.bytes.start, blobs.bytes.count,
                        dx.baseAddress, 0, &options)
                }
            }
        }
        try HalftoneError.check(status)
    }

    /// The gradient of X as a new array; see the variant over spans.
    public func convolve(
        _ main: [Float], _ branch: [Float], shape: ConvShape? = nil, threads: Int = 0, isa: ISA = .automatic
    ) throws(HalftoneError) -> [Float] {
        let called = shape ?? self.shape
        try called.checkImages(output: main.count, "dY holds")
        var dx = [Float](repeating: 0, count: try called.inputPixels * called.channels)
        var span = dx.mutableSpan
        try convolve(main.span, branch.span, shape: shape, into: &span, threads: threads, isa: isa)
        return dx
    }
}

// MARK: - The packed form in memory

extension SpReFilters {
    /// The pattern that the filters were packed under.
    public var pattern: NMPattern { blobs.pattern }
    /// The type of the weights.
    public var weightType: DataType { blobs.weightType }
    /// The size of the packed form in bytes, its headers included.
    public var packedByteCount: Int { blobs.byteCount }

    public func verify() throws(HalftoneError) { try blobs.verify() }

    public func withPackedBytes<Result, Failure: Error>(
        _ body: (RawSpan) throws(Failure) -> Result
    ) throws(Failure) -> Result { try blobs.withBytes(body) }
}

extension SpReBackwardFilters {
    /// The pattern that the filters were packed under.
    public var pattern: NMPattern { blobs.pattern }
    /// The type of the weights.
    public var weightType: DataType { blobs.weightType }
    /// The size of the packed form in bytes, its headers included.
    public var packedByteCount: Int { blobs.byteCount }

    public func verify() throws(HalftoneError) { try blobs.verify() }

    public func withPackedBytes<Result, Failure: Error>(
        _ body: (RawSpan) throws(Failure) -> Result
    ) throws(Failure) -> Result { try blobs.withBytes(body) }
}

extension ConvShape {
    /// Throws unless an operand holds all images of X.
    func checkImages(input count: Int, _ subject: String) throws(HalftoneError) {
        _ = try Operand(subject, count: count, of: Float.self, rows: try inputPixels, columns: channels)
    }

    /// Throws unless an operand holds all images of Y.
    func checkImages(output count: Int, _ subject: String) throws(HalftoneError) {
        _ = try Operand(subject, count: count, of: Float.self, rows: try outputPixels, columns: outputs)
    }
}
