import CHalftone

// The calls of the C library on weights of signs.

extension Problem {
    /// The problem's weights packed: rows of signs that are `stride` bytes apart, 0 without a gap; with `parents` along
    /// the trees of the groups.
    func pack(
        signs w: UnsafeRawPointer, stride: Int = 0, design: BinaryDesign, parents: [Int32] = []
    ) throws -> Memory {
        if design == .tree { return try pack(signs: w, stride: stride, along: parents) }
        var (options, shape, size) = (ht_options(), geometry.code, 0)
        options.binary_design = design.code
        let (o, k, words) = (o, k, w.assumingMemoryBound(to: UInt64.self))
        let isConvolution = operation.isConvolution
        let sized =
            isConvolution
            ? ht_binary_conv_packed_size(&shape, &options, &size) : ht_binary_packed_size(o, k, &options, &size)
        try check(sized, "sizing weights of signs")
        let packed = try Memory(bytes: size)
        let status =
            isConvolution
            ? ht_binary_conv_pack(&shape, words, stride, packed.address, size, &options)
            : ht_binary_pack(o, k, words, stride, packed.address, size, &options)
        try check(status, "packing weights of signs")
        return packed
    }

    private func pack(signs w: UnsafeRawPointer, stride: Int, along parents: [Int32]) throws -> Memory {
        guard parents.count == o else { throw ToolError("\(parents.count) parents are no trees over \(o) outputs") }
        var (shape, size) = (geometry.code, 0)
        let (o, k, words) = (o, k, w.assumingMemoryBound(to: UInt64.self))
        let isConvolution = operation.isConvolution
        let sized =
            isConvolution
            ? ht_mst_conv_packed_size(&shape, words, stride, parents, &size)
            : ht_mst_packed_size(o, k, words, stride, parents, &size)
        try check(sized, "sizing weights along trees")
        let packed = try Memory(bytes: size)
        let status =
            isConvolution
            ? ht_mst_conv_pack(&shape, words, stride, parents, packed.address, size, nil)
            : ht_mst_pack(o, k, words, stride, parents, packed.address, size, nil)
        try check(status, "packing weights along trees")
        return packed
    }

    /// Runs a product or a convolution on matrices that begin at an address and have a stride.
    func runBinary(
        from input: (data: UnsafeMutableRawPointer, stride: Int), packed: Memory,
        epilogue: UnsafePointer<ht_epilogue>?, to output: (data: UnsafeMutableRawPointer, stride: Int),
        _ options: inout ht_options
    ) -> ht_status {
        var shape = geometry.code
        let (t, o, k, blob, size) = (t, o, k, packed.address, packed.bytes)
        let (y, ys, xs) = (output.data, output.stride, input.stride)
        let bits = input.data.assumingMemoryBound(to: UInt64.self)
        let floats = input.data.assumingMemoryBound(to: Float.self)
        let bytes = input.data.assumingMemoryBound(to: Int8.self)
        return switch (operation.isConvolution, kind) {
        case (true, .f32): ht_binary_conv_f32(&shape, floats, xs, blob, size, epilogue, y, ys, &options)
        case (true, .i8): ht_binary_conv_i8(&shape, bytes, xs, blob, size, epilogue, y, ys, &options)
        case (true, _): ht_binary_conv_b1(&shape, bits, xs, blob, size, epilogue, y, ys, &options)
        case (_, .f32): ht_binary_gemm_f32(t, o, k, floats, xs, blob, size, epilogue, y, ys, &options)
        case (_, .i8): ht_binary_gemm_i8(t, o, k, bytes, xs, blob, size, epilogue, y, ys, &options)
        case (_, .u1): ht_binary_gemm_u1(t, o, k, bits, xs, blob, size, epilogue, y, ys, &options)
        default: ht_binary_gemm_b1(t, o, k, bits, xs, blob, size, epilogue, y, ys, &options)
        }
    }
}

extension ProductKind {
    /// Packs the signs of a matrix of this kind, less a threshold for each column: floats, or of bytes 32-bit integers.
    func packSigns(
        _ size: (rows: Int, columns: Int), from x: (data: UnsafeMutableRawPointer, stride: Int),
        threshold: UnsafeRawPointer? = nil, to y: (data: UnsafeMutableRawPointer, stride: Int),
        _ options: inout ht_options
    ) -> ht_status {
        let (rows, columns) = size
        let bits = y.data.assumingMemoryBound(to: UInt64.self)
        let level = threshold?.assumingMemoryBound(to: Float.self)
        let integerLevel = threshold?.assumingMemoryBound(to: Int32.self)
        let (floats, halves) = (x.data.assumingMemoryBound(to: Float.self), x.data.assumingMemoryBound(to: UInt16.self))
        let bytes = x.data.assumingMemoryBound(to: Int8.self)
        return switch self {
        case .bf16: ht_sign_pack_bf16(rows, columns, halves, x.stride, level, bits, y.stride, &options)
        case .i8: ht_sign_pack_i8(rows, columns, bytes, x.stride, integerLevel, bits, y.stride, &options)
        default: ht_sign_pack_f32(rows, columns, floats, x.stride, level, bits, y.stride, &options)
        }
    }
}
