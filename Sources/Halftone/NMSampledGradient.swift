import CHalftone

extension NMMatrix {
    /// How many entries each row has: N for each whole group and min(N, columns) for a shorter last one.
    public var rowEntries: Int { columns / pattern.m * pattern.n + min(pattern.n, columns % pattern.m) }

    /// The columns of the entries, ``rows`` rows of ``rowEntries`` numbers, each row ascending; those that a group was
    /// filled up with too.
    ///
    /// - Throws: ``HalftoneError/blobCorrupt`` where the packed bytes are not what packing writes,
    ///   ``HalftoneError/overflow`` when there are too many to be addressed.
    public func entryColumns() throws(HalftoneError) -> [UInt32] {
        let (status, numbers): (ht_status, [UInt32]) = array(count: try entryCount) { numbers in
            ht_nm_entry_columns(rows, columns, blobs.bytes.start, blobs.bytes.count, numbers?.typed(), 0)
        }
        try HalftoneError.check(status)
        return numbers
    }

    /// The sampled weight gradient: dW = transpose(dY) · X, only at the entries of this matrix, for training with a
    /// fixed mask.
    ///
    /// Element e of row r is the sum over the rows t of dY[t][r] · X[t][c], where c is number e of row r of
    /// ``entryColumns()``. It has the same bits for any number of threads, any order and on every ISA: the rows are cut
    /// into 16 chains of fused multiply-adds, by t mod 16, which are then added in pairs.
    ///
    /// - Parameters:
    ///   - dy: `rows` x ``NMMatrix/rows`` values, in this order.
    ///   - dyStride: elements from one row of dY to the next, or from one feature to the next where it is
    ///     feature-major; nil for no gaps.
    ///   - x: `rows` x ``columns`` values, in the same order.
    ///   - xStride: as `dyStride`, of X.
    ///   - rows: rows of dY and X; 0 gives +0.
    ///   - gradient: receives ``NMMatrix/rows`` rows of ``rowEntries`` values. A gap between its rows is not touched.
    ///   - gradientStride: elements from one row of the gradient to the next; nil for rows without a gap.
    ///   - order: how dY and X both lie in memory.
    ///   - threads: 1 for this thread only, 0 for all that the machine offers.
    ///   - isa: the instruction set to use.
    /// - Throws: ``HalftoneError/shape(_:)`` when an operand is too short or a size negative, ``HalftoneError/stride``,
    ///   ``HalftoneError/overflow``, ``HalftoneError/threads``, ``HalftoneError/isa``, ``HalftoneError/memory``.
    public func sampledGradient(
        _ dy: Span<Float>, dyStride: Int? = nil, _ x: Span<Float>, xStride: Int? = nil, rows t: Int,
        into gradient: inout MutableSpan<Float>, gradientStride: Int? = nil, order: MatrixOrder = .rows,
        threads: Int = 0, isa: ISA = .automatic
    ) throws(HalftoneError) {
        let dys = try outputGradient(t).operand(count: dy.count, of: Float.self, order, stride: dyStride)
        let xs = try input(t).operand(count: x.count, of: Float.self, order, stride: xStride)
        let gs = try Operand(
            "the gradient holds", count: gradient.count, of: Float.self, rows: rows, columns: rowEntries,
            rowStride: gradientStride)
        var options = try ht_options(threads: threads)
        options.isa = isa.code
        options.x_order = order.code
        let status = dy.withUnsafeBufferPointer { dy in
            x.withUnsafeBufferPointer { x in
                gradient.withUnsafeMutableBufferPointer { gradient in
                    ht_nm_sampled_gradient_f32(
                        t, rows, columns, dy.baseAddress, dys.byteStride, x.baseAddress, xs.byteStride,
                        blobs.bytes.start, blobs.bytes.count, gradient.baseAddress, gs.byteStride, &options)
                }
            }
        }
        try HalftoneError.check(status)
    }

    /// The sampled weight gradient of arrays, as a new array; see the variant over spans.
    public func sampledGradient(
        _ dy: [Float], _ x: [Float], rows t: Int, order: MatrixOrder = .rows, threads: Int = 0, isa: ISA = .automatic
    ) throws(HalftoneError) -> [Float] {
        var gradient = [Float](repeating: 0, count: try entryCount)
        var span = gradient.mutableSpan
        try sampledGradient(dy.span, x.span, rows: t, into: &span, order: order, threads: threads, isa: isa)
        return gradient
    }

    /// The entries of all rows.
    private var entryCount: Int {
        get throws(HalftoneError) {
            let (count, overflow) = rows.multipliedReportingOverflow(by: rowEntries)
            guard !overflow else { throw .overflow }
            return count
        }
    }

    private func outputGradient(_ t: Int) -> Activations { Activations(name: "dY", samples: t, features: rows) }

    private func input(_ t: Int) -> Activations { Activations(name: "X", samples: t, features: columns) }
}
