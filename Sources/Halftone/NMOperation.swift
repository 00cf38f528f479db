import CHalftone

/// Activations as a call sees them: samples, which are rows or pixels, of so many features each.
struct NMActivations {
    /// How error texts call them, as in "X".
    let name: String
    let samples: Int
    let features: Int

    /// The matrix that they are in memory, in this order.
    func operand<Element: KernelNumber>(
        _ subject: String? = nil, count: Int, of type: Element.Type, _ order: MatrixOrder, stride: Int? = nil
    ) throws(HalftoneError) -> Operand {
        let (lines, length) = order == .rows ? (samples, features) : (features, samples)
        return try Operand(
            subject ?? "\(name) holds", count: count, of: type, rows: lines, columns: length, rowStride: stride)
    }
}

/// The operands of a call, whatever their types.
struct NMOperands {
    let xType: DataType
    let x: UnsafeRawPointer?
    let xStride: Int
    let y: UnsafeMutableRawPointer?
    let yStride: Int
}

/// What runs packed weights over activations: a product or a convolution, forward or backward.
protocol NMOperation {
    var packed: NMBlobs { get }
    var x: NMActivations { get }
    var y: NMActivations { get }

    func scratchSize(_ input: ht_dtype, _ options: inout ht_options, _ size: inout Int) -> ht_status
    func run(_ operands: NMOperands, _ epilogue: inout ht_epilogue, _ options: inout ht_options) -> ht_status
}

extension NMOperation {
    /// Checks the operands, runs the operation and throws what went wrong. Strides are nil for operands without gaps.
    func run<Input: NMInput, Output: NMOutput>(
        _ xs: Span<Input>, stride xStride: Int?, into ys: inout MutableSpan<Output>, stride yStride: Int?,
        epilogue: Epilogue, residual: Span<Output.Residual>?, residualStride: Int?, options: ProductOptions,
        scratch: Scratch?
    ) throws(HalftoneError) {
        let xByteStride = try x.operand(count: xs.count, of: Input.self, options.xOrder, stride: xStride).byteStride
        let yByteStride = try y.operand(count: ys.count, of: Output.self, options.yOrder, stride: yStride).byteStride
        var residualByteStride = yByteStride
        if let residual {
            residualByteStride = try y.operand(
                "the residual holds", count: residual.count, of: Output.Residual.self, options.yOrder,
                stride: residualStride
            ).byteStride
        }
        try epilogue.check(columns: y.features)
        // Its values would be read as those of the residual.
        guard !epilogue.addsToOutput || residual == nil && Output.self == Output.Residual.self else { throw .epilogue }
        // Its C functions write floats, whatever the epilogue says.
        guard Input.dataType != .f32 || Output.dataType == .f32 else { throw .epilogue }
        var code = try options.code(rows: y.samples, columns: y.features)
        try provide(scratch, input: Input.dataType, options: &code)
        let status = xs.withUnsafeBufferPointer { xs in
            ys.withUnsafeMutableBufferPointer { ys in
                Span.withPointer(to: residual) { residual in
                    epilogue.withCode { epilogueCode in
                        epilogueCode.output = Output.dataType.code
                        epilogueCode.residual = UnsafeRawPointer(residual)
                        if epilogue.addsToOutput { epilogueCode.residual = UnsafeRawPointer(ys.baseAddress) }
                        epilogueCode.residual_stride = residualByteStride
                        let operands = NMOperands(
                            xType: Input.dataType, x: xs.baseAddress, xStride: xByteStride, y: ys.baseAddress,
                            yStride: yByteStride)
                        return run(operands, &epilogueCode, &code)
                    }
                }
            }
        }
        try HalftoneError.check(status)
    }

    /// Throws unless the packed weights are such that this operation takes. It must be one of no samples.
    func check() throws(HalftoneError) {
        let nothing = NMOperands(xType: packed.weightType.input, x: nil, xStride: 0, y: nil, yStride: 0)
        var epilogue = ht_epilogue()
        var options = ht_options()
        // The reference: whether there is a better kernel does not matter here.
        options.isa = HT_ISA_REF
        try HalftoneError.check(run(nothing, &epilogue, &options))
    }

    /// A Y of zeros for this X, which is checked first: wrong sizes must not ask for the memory of their result.
    func zeros<Input: NMInput, Output: NMOutput>(
        for xs: [Input], _ order: MatrixOrder
    ) throws(HalftoneError) -> [Output] {
        _ = try x.operand(count: xs.count, of: Input.self, order)
        let (count, overflow) = y.samples.multipliedReportingOverflow(by: y.features)
        guard !overflow, count <= Int.max / MemoryLayout<Output>.stride else { throw .overflow }
        return [Output](unsafeUninitializedCapacity: count) { buffer, initialized in
            UnsafeMutableRawBufferPointer(buffer).initializeMemory(as: UInt8.self, repeating: 0)
            initialized = count
        }
    }

    /// How many bytes of scratch the operation needs.
    func scratchByteCount(input: DataType, options: ProductOptions) throws(HalftoneError) -> Int {
        var code = try options.code()
        return try scratchByteCount(input: input, options: &code)
    }

    private func scratchByteCount(input: DataType, options: inout ht_options) throws(HalftoneError) -> Int {
        var size = 0
        try HalftoneError.check(scratchSize(input.code, &options, &size))
        // size_t is an Int here, so that a size beyond Int.max arrives as a negative one.
        guard size >= 0 else { throw .overflow }
        return size
    }

    /// Lets the call use `scratch`, grown to what it needs.
    private func provide(
        _ scratch: Scratch?, input: DataType, options: inout ht_options
    ) throws(HalftoneError) {
        guard let scratch else { return }
        try scratch.reserve(try scratchByteCount(input: input, options: &options))
        options.scratch = scratch.memory
        options.scratch_size = scratch.byteCount
    }
}

extension DataType {
    /// A type of inputs that weights of this type are multiplied with.
    fileprivate var input: DataType { self == .f16 ? .f32 : self }
}
