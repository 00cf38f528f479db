import CHalftone

/// What runs packed signs over activations.
protocol BinaryOperation: Operation {}

extension BinaryOperation {
    /// As ``Operation/run(_:stride:into:stride:epilogue:residual:residualStride:options:scratch:)`` for an X of bits.
    func run<Output: BinaryOutput>(
        _ xs: SignMatrix, _ values: BitValues, into ys: inout MutableSpan<Output>, stride yStride: Int?,
        epilogue: Epilogue, residual: Span<Output.Residual>?, residualStride: Int?, options: ProductOptions,
        scratch: Scratch?
    ) throws(HalftoneError) {
        try x.check(xs)
        try run(
            xs.words.span, OperandForm(type: values.dataType, byteStride: xs.byteStride), into: &ys, stride: yStride,
            epilogue: epilogue, residual: residual, residualStride: residualStride, options: options, scratch: scratch)
    }

    /// The same into bits.
    func run(
        _ xs: SignMatrix, _ values: BitValues, into ys: inout SignMatrix, threshold: BinaryThreshold,
        options: ProductOptions, scratch: Scratch?
    ) throws(HalftoneError) {
        try x.check(xs)
        try y.check(ys)
        try threshold.check(columns: y.features)
        let yForm = OperandForm(type: .b1, byteStride: ys.byteStride)
        var words = ys.words.mutableSpan
        try run(
            xs.words.span, OperandForm(type: values.dataType, byteStride: xs.byteStride), into: &words, yForm,
            options: options, scratch: scratch
        ) { _, call in threshold.withEpilogue(call) }
    }
}
