import CHalftone

/// What runs N:M weights over activations: a product or a convolution, forward or backward.
protocol NMOperation: Operation {
    var packed: NMBlobs { get }
}

extension NMOperation {
    /// As ``Operation/run(_:stride:into:stride:epilogue:residual:residualStride:options:scratch:)``, for types that
    /// N:M weights are multiplied with.
    func multiply<Input: NMInput, Output: NMOutput>(
        _ xs: Span<Input>, stride xStride: Int?, into ys: inout MutableSpan<Output>, stride yStride: Int?,
        epilogue: Epilogue, residual: Span<Output.Residual>?, residualStride: Int?, options: ProductOptions,
        scratch: Scratch?
    ) throws(HalftoneError) {
        // The C functions of floats write floats, whatever the epilogue says.
        guard Input.dataType != .f32 || Output.dataType == .f32 else { throw .epilogue }
        try run(
            xs, stride: xStride, into: &ys, stride: yStride, epilogue: epilogue, residual: residual,
            residualStride: residualStride, options: options, scratch: scratch)
    }

    /// Throws unless the packed weights are such that this operation takes. It must be one of no samples.
    func check() throws(HalftoneError) { try check(input: packed.weightType.input) }
}

extension DataType {
    /// A type of inputs that weights of this type are multiplied with.
    fileprivate var input: DataType { self == .f16 ? .f32 : self }
}
