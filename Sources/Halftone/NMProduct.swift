import CHalftone

extension NMMatrix {
    /// The product Y = epilogue(X · transpose(W)), where W is this matrix.
    ///
    /// Each floating-point sum is one chain of fused multiply-adds over the entries of its row of W in column order,
    /// started at +0. So it has the same bits for any number of rows, threads, any window and order, on every ISA, and
    /// differs from the exact one by at most γ(entries) · Σ |x·w|. Weights of 16 bits are widened exactly for `Float`
    /// inputs; between ``BFloat16`` inputs and weights, subnormal numbers count as zero. Sums of 8-bit products are
    /// exact. With no columns, Y is the epilogue of 0.
    ///
    /// - Parameters:
    ///   - x: `rows` x ``columns`` values, in the order that `options` say.
    ///   - rows: rows of X and of Y; 0 does nothing.
    ///   - xStride: elements from one row of X to the next, or from one feature to the next where X is feature-major; nil
    ///     for no gaps.
    ///   - y: receives `rows` x ``NMMatrix/rows`` values. Its type says what the results are converted to. A gap between
    ///     its rows or features is not touched.
    ///   - yStride: as `xStride`, of Y.
    ///   - epilogue: what happens to the sums before they are stored.
    ///   - residual: as many values as Y, added to the results before the activation, or nil.
    ///   - residualStride: as `yStride`, of the residual.
    ///   - options: threads, instruction set, windows and orders.
    ///   - scratch: working memory; with one that is large enough, the call allocates nothing.
    /// - Throws: ``HalftoneError/shape(_:)`` when `x`, `y` or an array of the epilogue is too short or `rows` negative,
    ///   ``HalftoneError/stride``, ``HalftoneError/overflow``, ``HalftoneError/threads``, ``HalftoneError/window``,
    ///   ``HalftoneError/isa``, ``HalftoneError/memory``, ``HalftoneError/blobType`` where inputs of this type are not
    ///   multiplied with weights of this type, ``HalftoneError/epilogue`` where the epilogue or the type of Y is not
    ///   offered for them.
    public func multiply<Input: NMInput, Output: NMOutput>(
        _ x: Span<Input>, rows t: Int, xStride: Int? = nil, into y: inout MutableSpan<Output>, yStride: Int? = nil,
        epilogue: Epilogue = Epilogue(), residual: Span<Output.Residual>? = nil, residualStride: Int? = nil,
        options: ProductOptions = ProductOptions(), scratch: Scratch? = nil
    ) throws(HalftoneError) {
        let xs = try operand(
            "X holds", count: x.count, of: Input.self, rows: t, columns: columns, options.xOrder, stride: xStride)
        let ys = try operand(
            "Y holds", count: y.count, of: Output.self, rows: t, columns: rows, options.yOrder, stride: yStride)
        var residualByteStride = ys.byteStride
        if let residual {
            residualByteStride = try operand(
                "the residual holds", count: residual.count, of: Output.Residual.self, rows: t, columns: rows,
                options.yOrder, stride: residualStride
            ).byteStride
        }
        try epilogue.check(columns: rows)
        // Its values would be read as those of the residual.
        guard !epilogue.addsToOutput || residual == nil && Output.self == Output.Residual.self else { throw .epilogue }
        var code = try options.code(rows: t, columns: rows)
        try provide(scratch, rows: t, input: Input.dataType, options: &code)
        let status = x.withUnsafeBufferPointer { x in
            y.withUnsafeMutableBufferPointer { y in
                Span.withPointer(to: residual) { residual in
                    epilogue.withCode { epilogueCode in
                        epilogueCode.output = Output.dataType.code
                        epilogueCode.residual = UnsafeRawPointer(residual)
                        if epilogue.addsToOutput { epilogueCode.residual = UnsafeRawPointer(y.baseAddress) }
                        epilogueCode.residual_stride = residualByteStride
                        let operands = NMOperands(
                            t: t, o: rows, k: columns, xType: Input.dataType, x: x.baseAddress, xStride: xs.byteStride,
                            packed: packed, y: y.baseAddress, yStride: ys.byteStride)
                        return operands.multiply(&epilogueCode, &code)
                    }
                }
            }
        }
        try HalftoneError.check(status)
    }

    /// The product of arrays, into an array; see the variant over spans.
    public func multiply<Input: NMInput, Output: NMOutput>(
        _ x: [Input], rows t: Int, into y: inout [Output], epilogue: Epilogue = Epilogue(),
        residual: [Output.Residual]? = nil, options: ProductOptions = ProductOptions(), scratch: Scratch? = nil
    ) throws(HalftoneError) {
        var result = y.mutableSpan
        try multiply(
            x.span, rows: t, into: &result, epilogue: epilogue, residual: residual?.span, options: options,
            scratch: scratch)
    }

    /// The product as a new array of `rows` x ``NMMatrix/rows`` values; see the variant over spans. Outside the windows
    /// of `options`, and before an epilogue adds to it, it holds 0.
    public func multiply<Input: NMInput, Output: NMOutput>(
        _ x: [Input], rows t: Int, as type: Output.Type = Float.self, epilogue: Epilogue = Epilogue(),
        residual: [Output.Residual]? = nil, options: ProductOptions = ProductOptions(), scratch: Scratch? = nil
    ) throws(HalftoneError) -> [Output] {
        // X is checked first: a wrong number of rows must not ask for the memory of its result.
        _ = try operand("X holds", count: x.count, of: Input.self, rows: t, columns: columns, options.xOrder)
        let (count, overflow) = t.multipliedReportingOverflow(by: rows)
        guard !overflow, count <= Int.max / MemoryLayout<Output>.stride else { throw .overflow }
        var y = [Output](unsafeUninitializedCapacity: count) { buffer, initialized in
            UnsafeMutableRawBufferPointer(buffer).initializeMemory(as: UInt8.self, repeating: 0)
            initialized = count
        }
        try multiply(
            x, rows: t, into: &y, epilogue: epilogue, residual: residual, options: options, scratch: scratch)
        return y
    }

    /// How many bytes of ``Scratch`` a product of so many rows of X needs.
    ///
    /// - Throws: ``HalftoneError/shape(_:)`` when `rows` is negative, ``HalftoneError/blobType`` when inputs of this
    ///   type are not multiplied with weights of this type, ``HalftoneError/overflow``, ``HalftoneError/threads``,
    ///   ``HalftoneError/isa``.
    public func scratchByteCount<Input: NMInput>(
        rows t: Int, input: Input.Type = Float.self, options: ProductOptions = ProductOptions()
    ) throws(HalftoneError) -> Int {
        guard t >= 0 else { throw .shape("X cannot have \(t) rows") }
        var code = try options.code()
        return try scratchByteCount(rows: t, input: input.dataType, options: &code)
    }

    private func scratchByteCount(
        rows t: Int, input: DataType, options: inout ht_options
    ) throws(HalftoneError) -> Int {
        var size = 0
        try HalftoneError.check(
            ht_nm_gemm_scratch_size(t, input.code, packed.start, packed.count, &options, &size))
        // size_t is an Int here, so that a size beyond Int.max arrives as a negative one.
        guard size >= 0 else { throw .overflow }
        return size
    }

    /// Lets the call use `scratch`, grown to what it needs.
    private func provide(
        _ scratch: Scratch?, rows t: Int, input: DataType, options: inout ht_options
    ) throws(HalftoneError) {
        guard let scratch else { return }
        try scratch.reserve(try scratchByteCount(rows: t, input: input, options: &options))
        options.scratch = scratch.memory
        options.scratch_size = scratch.byteCount
    }

    /// A matrix of activations that lies in memory in this order.
    private func operand<Element: KernelNumber>(
        _ subject: String, count: Int, of type: Element.Type, rows: Int, columns: Int, _ order: MatrixOrder,
        stride: Int? = nil
    ) throws(HalftoneError) -> Operand {
        let (lines, length) = order == .rows ? (rows, columns) : (columns, rows)
        return try Operand(subject, count: count, of: type, rows: lines, columns: length, rowStride: stride)
    }
}
