import CHalftone

/// The dense gradient of the weights of a layer Y = X · transpose(W): dW = transpose(dY) · X.
///
/// It comes from a BLAS that is found at run time, ``Machine/blasRuntime``, which has threads of its own and sums of
/// its own order. Where there is none, or `isa` names one of this library's kernels, each sum is a chain of fused
/// multiply-adds over the rows.
///
/// - Parameters:
///   - dy: `rows` x `outputs` values, row-major.
///   - dyStride: elements from one row of dY to the next; nil for rows without a gap.
///   - x: `rows` x `inputs` values, row-major.
///   - xStride: as `dyStride`, of X.
///   - rows: rows of dY and X; 0 gives +0.
///   - outputs: columns of dY and rows of dW.
///   - inputs: columns of X and of dW.
///   - dw: receives `outputs` x `inputs` values, as the weights lie. A gap between its rows is not touched.
///   - dwStride: as `dyStride`, of dW.
///   - threads: 1 for this thread only, 0 for all that the machine offers.
///   - isa: the instruction set to use.
/// - Throws: ``HalftoneError/shape(_:)`` when an operand is too short or a size negative, ``HalftoneError/stride``,
///   ``HalftoneError/overflow``, ``HalftoneError/threads``, ``HalftoneError/isa``, ``HalftoneError/memory``.
public func weightGradient(
    _ dy: Span<Float>, dyStride: Int? = nil, _ x: Span<Float>, xStride: Int? = nil, rows t: Int, outputs o: Int,
    inputs k: Int, into dw: inout MutableSpan<Float>, dwStride: Int? = nil, threads: Int = 0, isa: ISA = .automatic
) throws(HalftoneError) {
    let dys = try Operand("dY holds", count: dy.count, of: Float.self, rows: t, columns: o, rowStride: dyStride)
    let xs = try Operand("X holds", count: x.count, of: Float.self, rows: t, columns: k, rowStride: xStride)
    let dws = try Operand("dW holds", count: dw.count, of: Float.self, rows: o, columns: k, rowStride: dwStride)
    var options = try ht_options(threads: threads)
    options.isa = isa.code
    let status = dy.withUnsafeBufferPointer { dy in
        x.withUnsafeBufferPointer { x in
            dw.withUnsafeMutableBufferPointer { dw in
                ht_weight_gradient_f32(
                    t, o, k, dy.baseAddress, dys.byteStride, x.baseAddress, xs.byteStride, dw.baseAddress,
                    dws.byteStride, &options)
            }
        }
    }
    try HalftoneError.check(status)
}

/// The dense weight gradient of arrays, as a new array of `outputs` x `inputs` values; see the variant over spans.
public func weightGradient(
    _ dy: [Float], _ x: [Float], rows t: Int, outputs o: Int, inputs k: Int, threads: Int = 0, isa: ISA = .automatic
) throws(HalftoneError) -> [Float] {
    // The operands are checked first: wrong sizes must not ask for the memory of their result.
    _ = try Operand("dY holds", count: dy.count, of: Float.self, rows: t, columns: o)
    _ = try Operand("X holds", count: x.count, of: Float.self, rows: t, columns: k)
    let (count, overflow) = o.multipliedReportingOverflow(by: k)
    guard !overflow, count <= Int.max / MemoryLayout<Float>.stride else { throw .overflow }
    var dw = [Float](repeating: 0, count: count)
    var span = dw.mutableSpan
    try weightGradient(dy.span, x.span, rows: t, outputs: o, inputs: k, into: &span, threads: threads, isa: isa)
    return dw
}

/// The dense gradient of the filters of a convolution: of each weight the sum over the pixels of Y of dY at its output
/// times X at its channel where its tap looks. Each sum is a chain of fused multiply-adds over the pixels.
///
/// - Parameters:
///   - dy: ``ConvShape/outputs`` values for each pixel of ``ConvShape/outputSize`` and image.
///   - x: ``ConvShape/channels`` values for each pixel of the images.
///   - shape: the forward convolution, with any number of groups.
///   - taps: whether each tap of the kernel is wanted, row by row; the others get 0 and cost no time. nil for all.
///   - dw: receives the gradient as the filters lie, OHWI without gaps.
///   - threads: 1 for this thread only, 0 for all that the machine offers. Never changes a bit of a result.
///   - isa: the instruction set to use.
/// - Throws: ``HalftoneError/shape(_:)`` when an operand is too short, `taps` are not as many as the kernel's or `shape`
///   has a number that no convolution has, ``HalftoneError/convolution``, ``HalftoneError/overflow``,
///   ``HalftoneError/threads``, ``HalftoneError/isa``, ``HalftoneError/memory``.
public func weightGradient(
    _ dy: Span<Float>, _ x: Span<Float>, shape: ConvShape, taps: [Bool]? = nil, into dw: inout MutableSpan<Float>,
    threads: Int = 0, isa: ISA = .automatic
) throws(HalftoneError) {
    let count = shape.kernel.height * shape.kernel.width
    if let taps, taps.count != count { throw .shape("there are \(taps.count) taps, the kernel has \(count)") }
    var (code, options) = (try shape.code(), try ht_options(threads: threads, isa: isa))
    try shape.checkImages(output: dy.count, "dY holds")
    try shape.checkImages(input: x.count, "X holds")
    let columns = try shape.filterWeights
    _ = try Operand("dW holds", count: dw.count, of: Float.self, rows: shape.outputs, columns: columns)
    let status = dy.withUnsafeBufferPointer { dy in
        x.withUnsafeBufferPointer { x in
            dw.withUnsafeMutableBufferPointer { dw in
                withPointer(to: taps?.map { $0 ? 1 : 0 as UInt8 }) { taps in
                    ht_conv_weight_gradient_f32(
                        &code, dy.baseAddress, 0, x.baseAddress, 0, taps, dw.baseAddress, 0, &options)
                }
            }
        }
    }
    try HalftoneError.check(status)
}

/// The dense gradient of filters from arrays, as a new array; see the variant over spans.
public func weightGradient(
    _ dy: [Float], _ x: [Float], shape: ConvShape, taps: [Bool]? = nil, threads: Int = 0, isa: ISA = .automatic
) throws(HalftoneError) -> [Float] {
    var dw = [Float](repeating: 0, count: try shape.outputs * shape.filterWeights)
    var span = dw.mutableSpan
    try weightGradient(dy.span, x.span, shape: shape, taps: taps, into: &span, threads: threads, isa: isa)
    return dw
}
