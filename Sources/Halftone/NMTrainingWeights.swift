import CHalftone

/// The weights of a layer in training, masked and packed anew in each step: for Y = X · transpose(W) and for dX = dY · W.
///
/// ```swift
/// var layer = try NMTrainingMatrix(packing: shadow.span, rows: 768, columns: 3072, pattern: pattern)
/// for step in steps {
///     try layer.pack(shadow.span)
///     let y = try layer.forward.multiply(x, rows: t) ...
///     let dx = try layer.backward.multiply(dy, rows: t)
///     try optimizer.update(&shadow, ..., decaying: SRSTE(mask: layer.mask))
/// }
/// ```
///
/// Each step takes one pass over the dense weights, and no new memory unless copies of ``forward`` or ``backward`` are
/// kept. Both are by magnitude, and the backward mask lies inside the forward one: see ``BiMask``.
public struct NMTrainingMatrix: Sendable {
    /// The forward mask of the last step.
    public var mask: NMMask { step.mask }
    /// The output at each place of the backward direction; nil for their own order.
    public var permutation: [UInt32]? { step.permutation }
    /// The weights for products with X.
    public private(set) var forward: NMMatrix
    /// The weights for products with dY.
    public private(set) var backward: NMBackwardMatrix

    private var step: NMStep

    /// Masks and packs dense weights.
    ///
    /// - Parameters:
    ///   - weights: `rows` x `columns` values, row-major, outputs by inputs.
    ///   - rowStride: elements from one row to the next; nil for rows without a gap.
    ///   - pattern: of both directions, without shared rows or taps.
    ///   - permutation: the output at each place of the backward direction, every one once; nil for their own order.
    ///   - type: of the packed weights, ``DataType/f32`` or ``DataType/bf16``; masks are by the dense ones.
    ///   - threads: 1 for this thread only, 0 for all that the machine offers. The bytes are the same for any number.
    /// - Throws: ``HalftoneError/shape(_:)`` when `weights` is too short, `permutation` has another length or a size is
    ///   negative, ``HalftoneError/permutation``, ``HalftoneError/pattern`` for shared rows or taps,
    ///   ``HalftoneError/blobType``, ``HalftoneError/stride``, ``HalftoneError/overflow``, ``HalftoneError/threads``,
    ///   ``HalftoneError/memory``.
    public init(
        packing weights: Span<Float>, rows: Int, columns: Int, rowStride: Int? = nil, pattern: NMPattern,
        permutation: [UInt32]? = nil, type: DataType = .f32, threads: Int = 0
    ) throws(HalftoneError) {
        let form = NMMatrixForm(rows: rows, columns: columns)
        let backwardForm = try NMBackwardMatrixForm(rows: rows, columns: columns, permutation: permutation)
        step = try NMStep(form, pattern, permutation, type)
        let (forward, backward) = (try step.memory(for: form), try step.memory(for: backwardForm))
        try step.pack(weights, form, rowStride, into: forward, backward, threads)
        self.forward = try NMMatrix(forward)
        self.backward = try NMBackwardMatrix(backward)
    }

    /// Masks and packs other weights of the same shape.
    ///
    /// - Parameters:
    ///   - weights: as in ``init(packing:rows:columns:rowStride:pattern:permutation:type:threads:)``.
    ///   - rowStride: elements from one row to the next; nil for rows without a gap.
    ///   - permutation: another one from now on; nil to keep the last.
    ///   - threads: 1 for this thread only, 0 for all that the machine offers. The bytes are the same for any number.
    /// - Throws: as the initialiser; then the packed weights are as they were.
    public mutating func pack(
        _ weights: Span<Float>, rowStride: Int? = nil, permutation: [UInt32]? = nil, threads: Int = 0
    ) throws(HalftoneError) {
        let form = NMMatrixForm(rows: mask.rows, columns: mask.columns)
        let (to, back) = (
            try PackedBytes.reusing(&forward.blobs.bytes), try PackedBytes.reusing(&backward.blobs.bytes)
        )
        try step.pack(weights, form, rowStride, permutation: permutation, into: to, back, threads)
        (forward.blobs.bytes, backward.blobs.bytes) = (to, back)
    }
}

/// The filters of a convolution in training, masked and packed anew in each step; see ``NMTrainingMatrix``.
public struct NMTrainingFilters: Sendable {
    /// The forward mask of the last step, with a row for each filter.
    public var mask: NMMask { step.mask }
    /// The output channel at each place of the backward direction; nil for their own order.
    public var permutation: [UInt32]? { step.permutation }
    /// The filters for the convolution.
    public private(set) var forward: NMFilters
    /// The filters for the gradient of its input.
    public private(set) var backward: NMBackwardFilters

    private var step: NMStep

    /// Masks and packs dense filters.
    ///
    /// - Parameters:
    ///   - filters: OHWI, as ``NMFilters/init(packing:shape:rowStride:pattern:mask:threads:)`` takes them.
    ///   - shape: the convolution that they are for. Calls can name another one with the same filters.
    ///   - rowStride: elements from one filter to the next; nil for filters without a gap.
    ///   - pattern: of both directions, without shared rows or taps.
    ///   - permutation: the output channel at each place of the backward direction, every one once and in its own group;
    ///     nil for their own order.
    ///   - type: of the packed weights, ``DataType/f32`` or ``DataType/bf16``; masks are by the dense ones.
    ///   - threads: 1 for this thread only, 0 for all that the machine offers. The bytes are the same for any number.
    /// - Throws: as ``NMTrainingMatrix/init(packing:rows:columns:rowStride:pattern:permutation:type:threads:)``,
    ///   ``HalftoneError/convolution``, ``HalftoneError/depthwise``.
    public init(
        packing filters: Span<Float>, shape: ConvShape, rowStride: Int? = nil, pattern: NMPattern,
        permutation: [UInt32]? = nil, type: DataType = .f32, threads: Int = 0
    ) throws(HalftoneError) {
        let form = try NMFilterForm(shape)
        let backwardForm = try NMBackwardFilterForm(shape, permutation: permutation)
        step = try NMStep(form, pattern, permutation, type)
        let (forward, backward) = (try step.memory(for: form), try step.memory(for: backwardForm))
        try step.pack(filters, form, rowStride, into: forward, backward, threads)
        self.forward = try NMFilters(forward, shape)
        self.backward = try NMBackwardFilters(backward, shape)
    }

    /// Masks and packs other filters of the same shape; see ``NMTrainingMatrix/pack(_:rowStride:permutation:threads:)``.
    ///
    /// - Throws: as the initialiser; then the packed filters are as they were.
    public mutating func pack(
        _ filters: Span<Float>, rowStride: Int? = nil, permutation: [UInt32]? = nil, threads: Int = 0
    ) throws(HalftoneError) {
        let form = try NMFilterForm(forward.shape)
        let (to, back) = (
            try PackedBytes.reusing(&forward.blobs.bytes), try PackedBytes.reusing(&backward.blobs.bytes)
        )
        try step.pack(filters, form, rowStride, permutation: permutation, into: to, back, threads)
        (forward.blobs.bytes, backward.blobs.bytes) = (to, back)
    }
}

// MARK: - For the C library

/// What a step of training knows of a layer besides its weights.
private struct NMStep {
    let pattern: NMPattern
    let type: DataType
    var mask: NMMask
    var permutation: [UInt32]?

    init(
        _ form: some NMForm, _ pattern: NMPattern, _ permutation: [UInt32]?, _ type: DataType
    ) throws(HalftoneError) {
        try pattern.checkUnshared()
        guard type == .f32 || type == .bf16 else { throw .blobType }
        guard form.rows >= 0, form.columns >= 0 else {
            throw .shape("a matrix cannot be \(form.rows) x \(form.columns)")
        }
        let (count, overflow) = form.rows.multipliedReportingOverflow(by: NMMask.rowBytes(form.columns))
        guard !overflow else { throw .overflow }
        let bytes = [UInt8](repeating: 0, count: count)
        mask = try NMMask(rows: form.rows, columns: form.columns, bytes: bytes)
        (self.pattern, self.type, self.permutation) = (pattern, type, permutation)
    }

    func memory(for form: some NMForm) throws(HalftoneError) -> PackedBytes {
        var options = try pattern.options(threads: 1)
        var size = 0
        try HalftoneError.check(form.packedSize(type.code, pattern, &options, &size))
        return try PackedBytes(count: size) { _ in }
    }

    mutating func pack(
        _ weights: Span<Float>, _ form: some NMStepForm, _ rowStride: Int?, permutation other: [UInt32]? = nil,
        into forward: PackedBytes, _ backward: PackedBytes, _ threads: Int
    ) throws(HalftoneError) {
        try other?.check(outputs: form.rows)
        let byteStride = try form.byteStride(weights.count, of: Float.self, stride: rowStride)
        let permutation = other ?? permutation
        var options = try ht_options(threads: threads)
        let status = weights.withUnsafeBufferPointer { weights in
            mask.bytes.withUnsafeMutableBufferPointer { mask in
                withPointer(to: permutation) { permutation in
                    let w = NMWeights(
                        type: type, pattern: pattern, address: weights.baseAddress, byteStride: byteStride)
                    var step = ht_nm_step(
                        mask: mask.baseAddress, mask_stride: 0, forward: forward.writable.baseAddress,
                        forward_size: forward.count, backward: backward.writable.baseAddress,
                        backward_size: backward.count, permutation: permutation, dtype: type.code)
                    return form.packStep(w, &step, &options)
                }
            }
        }
        try HalftoneError.check(status)
        self.permutation = permutation
    }
}

private protocol NMStepForm: NMForm {
    func packStep(_ w: NMWeights, _ step: inout ht_nm_step, _ options: inout ht_options) -> ht_status
}

extension NMMatrixForm: NMStepForm {
    func packStep(_ w: NMWeights, _ step: inout ht_nm_step, _ options: inout ht_options) -> ht_status {
        ht_nm_step_pack_f32(rows, columns, w.n, w.m, w.typed(), w.byteStride, &step, &options)
    }
}

extension NMFilterForm: NMStepForm {
    func packStep(_ w: NMWeights, _ step: inout ht_nm_step, _ options: inout ht_options) -> ht_status {
        var code = code
        return ht_nm_conv_step_pack_f32(&code, w.n, w.m, w.typed(), w.byteStride, &step, &options)
    }
}
