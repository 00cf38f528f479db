import CHalftone

/// A second branch beside an N:M convolution in training: it exists only at the taps that unstructured pruning would
/// leave denser than average, shares the mask of the first, and folds into it after training.
///
/// Y = norm_a(conv(X, A)) + norm_b(conv(X, Q)), with A the masked weights W, and Q the weights R of the branch where A is
/// not 0, at the branch's taps. In training W and R move by ``SGD`` or another optimizer, and masks and taps follow W.
///
/// Method: Zhang et al. 2023, "Spatial re-parameterization for N:M sparsity" (SpRe).
public struct SpReBranch: Hashable, Sendable {
    /// The convolution; its images and steps do not matter to weights.
    public let shape: ConvShape
    /// The pattern of both branches along the input channels.
    public let pattern: NMPattern
    /// The N:M mask of W by magnitude, which both branches have.
    public let mask: NMMask
    /// Whether the branch has each tap of the kernel, row by row.
    public let taps: [Bool]
    /// The share of each tap's weights that unstructured pruning of the whole layer to the same density drops.
    public let tapSparsity: [Double]

    /// The mask and the taps of filters W.
    ///
    /// - Parameters:
    ///   - filters: OHWI without gaps, as ``NMFilters/init(packing:shape:rowStride:pattern:mask:threads:)`` takes them.
    ///   - shape: the convolution that they are for.
    ///   - pattern: without shared taps.
    ///   - threads: 1 for this thread only, 0 for all that the machine offers.
    /// - Throws: ``HalftoneError/pattern`` for shared taps, ``HalftoneError/shape(_:)`` when `filters` is too short or
    ///   `shape` has a number that no convolution has, ``HalftoneError/convolution``, ``HalftoneError/depthwise``,
    ///   ``HalftoneError/overflow``, ``HalftoneError/threads``, ``HalftoneError/memory``.
    public init(
        of filters: Span<Float>, shape: ConvShape, pattern: NMPattern, threads: Int = 0
    ) throws(HalftoneError) {
        guard !pattern.sharedTaps else { throw .pattern }
        let form = try NMFilterForm(shape)
        let mask = try form.mask(of: filters, rowStride: nil, pattern: pattern, threads: threads)
        var (code, options) = (form.code, try ht_options(threads: threads))
        let count = shape.kernel.height * shape.kernel.width
        var (taps, dropped) = ([UInt8](repeating: 0, count: count), [Int](repeating: 0, count: count))
        let status = filters.withUnsafeBufferPointer {
            ht_spre_taps_f32(&code, pattern.n, pattern.m, $0.baseAddress, 0, &taps, &dropped, &options)
        }
        try HalftoneError.check(status)
        let each = Double(max(form.rows * form.columns / count, 1))
        (self.shape, self.pattern, self.mask) = (shape, pattern, mask)
        self.taps = taps.map { $0 != 0 }
        tapSparsity = dropped.map { Double($0) / each }
    }

    /// Packs both branches for the convolution.
    ///
    /// - Parameters:
    ///   - filters: W, as in ``init(of:shape:pattern:threads:)``.
    ///   - branch: R, as W lies; it is looked at only where W has entries at the branch's taps.
    ///   - threads: 1 for this thread only, 0 for all that the machine offers. The bytes are the same for any number.
    /// - Throws: as ``NMFilters/init(packing:shape:rowStride:pattern:mask:threads:)``.
    public func packed(
        _ filters: Span<Float>, branch: Span<Float>, threads: Int = 0
    ) throws(HalftoneError) -> SpReFilters {
        var options = try pattern.options(threads: threads)
        var code = try shape.code()
        let (n, m) = (pattern.n, pattern.m)
        var size = 0
        try HalftoneError.check(ht_spre_packed_size(&code, n, m, &options, &size))
        let bytes = try pack(filters, branch, size) { w, r, taps, to in
            ht_spre_pack_f32(&code, n, m, w, 0, mask.bytes, 0, r, 0, taps, to, size, &options)
        }
        return try SpReFilters(bytes, shape)
    }

    /// Packs both branches for the gradient of their input.
    ///
    /// - Parameters:
    ///   - filters: W, as in ``init(of:shape:pattern:threads:)``.
    ///   - branch: R, as W lies.
    ///   - backwardPattern: along the output channels; the pattern M:M takes any mask.
    ///   - backwardMask: the entries of both branches: ``BiMask/backward``, or with the pattern M:M ``mask`` itself.
    ///   - permutation: the output channel at each place, every one once and in its own group; nil for their own order.
    ///   - threads: 1 for this thread only, 0 for all that the machine offers. The bytes are the same for any number.
    /// - Throws: as ``NMBackwardFilters/init(packing:shape:rowStride:pattern:mask:permutation:threads:)``.
    public func packedBackward(
        _ filters: Span<Float>, branch: Span<Float>, pattern backwardPattern: NMPattern, mask backwardMask: NMMask,
        permutation: [UInt32]? = nil, threads: Int = 0
    ) throws(HalftoneError) -> SpReBackwardFilters {
        try backwardMask.check(rows: mask.rows, columns: mask.columns)
        try permutation?.check(outputs: shape.outputs)
        var options = try backwardPattern.options(threads: threads)
        var code = try shape.code()
        let (n, m) = (backwardPattern.n, backwardPattern.m)
        var size = 0
        let sized = withPointer(to: permutation) { ht_spre_backward_packed_size(&code, n, m, $0, &options, &size) }
        try HalftoneError.check(sized)
        let bytes = try pack(filters, branch, size) { w, r, taps, to in
            withPointer(to: permutation) {
                ht_spre_backward_pack_f32(
                    &code, n, m, w, 0, backwardMask.bytes, 0, r, 0, taps, $0, to, size, &options)
            }
        }
        return try SpReBackwardFilters(bytes, shape)
    }

    /// Turns the dense gradient of Q, which ``weightGradient(_:_:shape:taps:into:threads:isa:)`` gives with the branch's
    /// taps, into that of R, in place: 0 where Q has no weight.
    ///
    /// - Parameters:
    ///   - gradient: as W lies.
    ///   - filters: W, as in ``init(of:shape:pattern:threads:)``.
    /// - Throws: ``HalftoneError/shape(_:)`` when an operand is too short.
    public func maskGradient(
        _ gradient: inout MutableSpan<Float>, filters: Span<Float>
    ) throws(HalftoneError) {
        _ = try Operand(
            "the gradient holds", count: gradient.count, of: Float.self, rows: mask.rows, columns: mask.columns)
        _ = try operand(filters, "weights hold")
        var code = try shape.code()
        let status = filters.withUnsafeBufferPointer { w in
            gradient.withUnsafeMutableBufferPointer { dq in
                ht_spre_gradient_f32(
                    &code, w.baseAddress, 0, mask.bytes, 0, tapBytes, dq.baseAddress, 0, dq.baseAddress, 0)
            }
        }
        try HalftoneError.check(status)
    }

    /// Folds both branches, with their normalisations as they are after training, into one N:M convolution.
    ///
    /// Sums are in double precision and rounded once. The mask of the result lies inside ``mask``.
    ///
    /// - Parameters:
    ///   - filters: W, as in ``init(of:shape:pattern:threads:)``.
    ///   - branch: R, as W lies.
    ///   - norm: of the first branch.
    ///   - branchNorm: of the second.
    /// - Returns: filters, to be packed with ``mask``, and the bias of each output.
    /// - Throws: ``HalftoneError/shape(_:)`` when an operand is too short or a normalisation has another number of
    ///   outputs.
    public func folded(
        _ filters: Span<Float>, branch: Span<Float>, norm: BatchNorm, branchNorm: BatchNorm
    ) throws(HalftoneError) -> (filters: [Float], bias: [Float]) {
        _ = try (operand(filters, "weights hold"), operand(branch, "the branch holds"))
        try norm.check(outputs: shape.outputs)
        try branchNorm.check(outputs: shape.outputs)
        var code = try shape.code()
        var bias = [Float](repeating: 0, count: shape.outputs)
        let (status, folded): (ht_status, [Float]) = array(count: mask.rows * mask.columns) { to in
            filters.withUnsafeBufferPointer { w in
                branch.withUnsafeBufferPointer { r in
                    norm.withCode { a in
                        branchNorm.withCode { b in
                            ht_spre_fold_f32(
                                &code, w.baseAddress, 0, mask.bytes, 0, r.baseAddress, 0, tapBytes, &a, &b,
                                to?.typed(), 0, &bias)
                        }
                    }
                }
            }
        }
        try HalftoneError.check(status)
        return (folded, bias)
    }

    private var tapBytes: [UInt8] { taps.map { $0 ? 1 : 0 } }

    private func operand(_ values: Span<Float>, _ subject: String) throws(HalftoneError) -> Operand {
        try Operand(subject, count: values.count, of: Float.self, rows: mask.rows, columns: mask.columns)
    }

    private func pack(
        _ filters: Span<Float>, _ branch: Span<Float>, _ size: Int,
        _ call: (UnsafePointer<Float>?, UnsafePointer<Float>?, [UInt8], UnsafeMutableRawPointer?) -> ht_status
    ) throws(HalftoneError) -> PackedBytes {
        _ = try (operand(filters, "weights hold"), operand(branch, "the branch holds"))
        return try PackedBytes(count: size) { packed throws(HalftoneError) in
            let status = filters.withUnsafeBufferPointer { w in
                branch.withUnsafeBufferPointer { r in
                    call(w.baseAddress, r.baseAddress, tapBytes, packed.baseAddress)
                }
            }
            try HalftoneError.check(status)
        }
    }
}
