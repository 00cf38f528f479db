import CHalftone

/// The operands of a call, whatever their types.
struct Operands {
    let xType: DataType
    let x: UnsafeRawPointer?
    let xStride: Int
    let y: UnsafeMutableRawPointer?
    let yStride: Int
}

/// What runs packed weights over activations: a product or a convolution.
protocol Operation {
    var x: Activations { get }
    var y: Activations { get }

    func scratchSize(_ input: ht_dtype, _ options: inout ht_options, _ size: inout Int) -> ht_status
    func run(_ operands: Operands, _ epilogue: inout ht_epilogue, _ options: inout ht_options) -> ht_status
}

/// The elements of an operand and the bytes from one of its lines to the next, for memory that was checked to hold it.
struct OperandForm {
    let type: DataType
    let byteStride: Int
}

extension Operation {
    /// Checks the operands, runs the operation and throws what went wrong. Strides are nil for operands without gaps.
    func run<Input: KernelNumber, Output: OutputNumber>(
        _ xs: Span<Input>, stride xStride: Int?, into ys: inout MutableSpan<Output>, stride yStride: Int?,
        epilogue: Epilogue, residual: Span<Output.Residual>?, residualStride: Int?, options: ProductOptions,
        scratch: Scratch?
    ) throws(HalftoneError) {
        let xByteStride = try x.operand(count: xs.count, of: Input.self, options.xOrder, stride: xStride).byteStride
        try run(
            xs, OperandForm(type: Input.dataType, byteStride: xByteStride), into: &ys, stride: yStride,
            epilogue: epilogue, residual: residual, residualStride: residualStride, options: options, scratch: scratch)
    }

    /// The same for an X that has been checked.
    func run<Element, Output: OutputNumber>(
        _ xs: Span<Element>, _ xForm: OperandForm, into ys: inout MutableSpan<Output>, stride yStride: Int?,
        epilogue: Epilogue, residual: Span<Output.Residual>?, residualStride: Int?, options: ProductOptions,
        scratch: Scratch?
    ) throws(HalftoneError) {
        let yByteStride = try y.operand(count: ys.count, of: Output.self, options.yOrder, stride: yStride).byteStride
        var residualByteStride = yByteStride
        if let residual {
            residualByteStride = try y.operand(
                "the residual holds", count: residual.count, of: Output.Residual.self, options.yOrder,
                stride: residualStride
            ).byteStride
        }
        try epilogue.check(rows: y.samples, columns: y.features)
        // Its values would be read as those of the residual.
        guard !epilogue.addsToOutput || residual == nil && Output.self == Output.Residual.self else { throw .epilogue }
        let yForm = OperandForm(type: Output.dataType, byteStride: yByteStride)
        try run(xs, xForm, into: &ys, yForm, options: options, scratch: scratch) { y, call in
            Span.withPointer(to: residual) { residual in
                epilogue.withCode { code in
                    code.residual = epilogue.addsToOutput ? UnsafeRawPointer(y) : UnsafeRawPointer(residual)
                    code.residual_stride = residualByteStride
                    return call(&code)
                }
            }
        }
    }

    /// Runs the operation over operands that have been checked, with the epilogue that `finish` hands on with Y's
    /// address known.
    func run<XElement, YElement>(
        _ xs: Span<XElement>, _ xForm: OperandForm, into ys: inout MutableSpan<YElement>, _ yForm: OperandForm,
        options: ProductOptions, scratch: Scratch?,
        finish: (UnsafeMutableRawPointer?, (inout ht_epilogue) -> ht_status) -> ht_status
    ) throws(HalftoneError) {
        var code = try options.code(rows: y.samples, columns: y.features)
        try provide(scratch, input: xForm.type, options: &code)
        let status = xs.withUnsafeBufferPointer { xs in
            ys.withUnsafeMutableBufferPointer { ys in
                let operands = Operands(
                    xType: xForm.type, x: xs.baseAddress, xStride: xForm.byteStride, y: ys.baseAddress,
                    yStride: yForm.byteStride)
                return finish(operands.y) { epilogue in
                    epilogue.output = yForm.type.code
                    return run(operands, &epilogue, &code)
                }
            }
        }
        try HalftoneError.check(status)
    }

    /// Throws unless the packed weights are such that this operation takes. It must be one of no samples.
    func check(input: DataType) throws(HalftoneError) {
        let nothing = Operands(xType: input, x: nil, xStride: 0, y: nil, yStride: 0)
        var epilogue = ht_epilogue()
        var options = ht_options()
        // The reference: whether there is a better kernel does not matter here.
        options.isa = HT_ISA_REF
        try HalftoneError.check(run(nothing, &epilogue, &options))
    }

    /// A Y of zeros for this X, which is checked first: wrong sizes must not ask for the memory of their result.
    func zeros<Input: KernelNumber, Output: KernelNumber>(
        for xs: [Input], _ order: MatrixOrder
    ) throws(HalftoneError) -> [Output] {
        _ = try x.operand(count: xs.count, of: Input.self, order)
        return try y.zeros()
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
