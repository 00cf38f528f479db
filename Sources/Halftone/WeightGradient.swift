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
