import CHalftone

// The calls of the C library, by operation and type.

extension Problem {
    /// The problem's weights packed: rows of `type` that are `stride` bytes apart, 0 without a gap, whose entries are
    /// those of the mask or, without one, not zero.
    func pack(
        _ w: UnsafeRawPointer, type: ht_dtype, stride: Int = 0, mask: UnsafePointer<UInt8>? = nil, pattern: Pattern,
        permutation: [UInt32]? = nil
    ) throws -> Memory {
        var (options, shape) = (pattern.options, geometry.code)
        let (o, k, n, m) = (o, k, pattern.n, pattern.m)
        return try withOptionalPointer(permutation) { places in
            var size = 0
            let sized =
                switch operation {
                case .convolution: ht_nm_conv_packed_size(&shape, n, m, type, &options, &size)
                case .backwardProduct: ht_nm_backward_packed_size(o, k, n, m, type, places, &options, &size)
                case .backwardConvolution: ht_nm_conv_backward_packed_size(&shape, n, m, type, places, &options, &size)
                default: ht_nm_packed_size(o, k, n, m, type, &options, &size)
                }
            try check(sized, "sizing \(pattern) weights")
            let packed = try Memory(bytes: size)
            let blob = packed.address
            let (floats, halves) = (w.assumingMemoryBound(to: Float.self), w.assumingMemoryBound(to: UInt16.self))
            let bytes = w.assumingMemoryBound(to: Int8.self)
            let status =
                switch (operation, type) {
                case (.convolution, HT_DTYPE_F32):
                    ht_nm_conv_pack_f32(&shape, n, m, floats, stride, mask, 0, blob, size, &options)
                case (.convolution, HT_DTYPE_F16):
                    ht_nm_conv_pack_f16(&shape, n, m, halves, stride, mask, 0, blob, size, &options)
                case (.convolution, HT_DTYPE_BF16):
                    ht_nm_conv_pack_bf16(&shape, n, m, halves, stride, mask, 0, blob, size, &options)
                case (.convolution, _):
                    ht_nm_conv_pack_i8(&shape, n, m, bytes, stride, mask, 0, blob, size, &options)
                case (.backwardProduct, HT_DTYPE_F32):
                    ht_nm_backward_pack_f32(o, k, n, m, floats, stride, mask, 0, places, blob, size, &options)
                case (.backwardProduct, HT_DTYPE_F16):
                    ht_nm_backward_pack_f16(o, k, n, m, halves, stride, mask, 0, places, blob, size, &options)
                case (.backwardProduct, _):
                    ht_nm_backward_pack_bf16(o, k, n, m, halves, stride, mask, 0, places, blob, size, &options)
                case (.backwardConvolution, HT_DTYPE_F32):
                    ht_nm_conv_backward_pack_f32(&shape, n, m, floats, stride, mask, 0, places, blob, size, &options)
                case (.backwardConvolution, HT_DTYPE_F16):
                    ht_nm_conv_backward_pack_f16(&shape, n, m, halves, stride, mask, 0, places, blob, size, &options)
                case (.backwardConvolution, _):
                    ht_nm_conv_backward_pack_bf16(&shape, n, m, halves, stride, mask, 0, places, blob, size, &options)
                case (_, HT_DTYPE_F32): ht_nm_pack_f32(o, k, n, m, floats, stride, mask, 0, blob, size, &options)
                case (_, HT_DTYPE_F16): ht_nm_pack_f16(o, k, n, m, halves, stride, mask, 0, blob, size, &options)
                case (_, HT_DTYPE_BF16): ht_nm_pack_bf16(o, k, n, m, halves, stride, mask, 0, blob, size, &options)
                default: ht_nm_pack_i8(o, k, n, m, bytes, stride, mask, 0, blob, size, &options)
                }
            try check(status, "packing to \(pattern)")
            return packed
        }
    }

    /// What a call with these options needs, every byte set so that nothing can count on zeros.
    func scratch(_ packed: Memory, _ options: ht_options) throws -> Memory {
        var (options, shape, size) = (options, geometry.code, 0)
        let (blob, bytes, type) = (packed.address, packed.bytes, kind.inputs)
        let status =
            switch operation {
            case .binaryProduct, .treeProduct: ht_binary_gemm_scratch_size(t, type, blob, bytes, &options, &size)
            case .binaryConvolution, .treeConvolution:
                ht_binary_conv_scratch_size(&shape, type, blob, bytes, &options, &size)
            case .convolution, .backwardConvolution:
                ht_nm_conv_scratch_size(&shape, type, blob, bytes, &options, &size)
            case .backwardProduct: ht_nm_gemm_backward_scratch_size(t, type, blob, bytes, &options, &size)
            default: ht_nm_gemm_scratch_size(t, type, blob, bytes, &options, &size)
            }
        try check(status, "sizing the scratch")
        let memory = try Memory(bytes: size)
        memory.address.initializeMemory(as: UInt8.self, repeating: 0xff, count: size)
        return memory
    }

    /// Runs a product or a convolution, forward or backward, on matrices that begin at an address and have a stride.
    func run(
        from input: (data: UnsafeMutableRawPointer, stride: Int), packed: Memory,
        epilogue: UnsafePointer<ht_epilogue>? = nil, to output: (data: UnsafeMutableRawPointer, stride: Int),
        _ options: inout ht_options
    ) -> ht_status {
        if operation.isBinary {
            return runBinary(from: input, packed: packed, epilogue: epilogue, to: output, &options)
        }
        var shape = geometry.code
        let (t, o, k, blob, size) = (t, o, k, packed.address, packed.bytes)
        let (y, ys, xs) = (output.data, output.stride, input.stride)
        let floats = input.data.assumingMemoryBound(to: Float.self)
        let halves = input.data.assumingMemoryBound(to: UInt16.self)
        let bytes = input.data.assumingMemoryBound(to: UInt8.self)
        let signedBytes = input.data.assumingMemoryBound(to: Int8.self)
        let sums = y.assumingMemoryBound(to: Float.self)
        return switch (operation, kind) {
        case (.convolution, .f32): ht_nm_conv_f32(&shape, floats, xs, blob, size, epilogue, sums, ys, &options)
        case (.convolution, .bf16): ht_nm_conv_bf16(&shape, halves, xs, blob, size, epilogue, y, ys, &options)
        case (.convolution, .u8): ht_nm_conv_u8(&shape, bytes, xs, blob, size, epilogue, y, ys, &options)
        case (.convolution, _): ht_nm_conv_i8(&shape, signedBytes, xs, blob, size, epilogue, y, ys, &options)
        case (.backwardProduct, .bf16):
            ht_nm_gemm_backward_bf16(t, o, k, halves, xs, blob, size, epilogue, y, ys, &options)
        case (.backwardProduct, _):
            ht_nm_gemm_backward_f32(t, o, k, floats, xs, blob, size, epilogue, sums, ys, &options)
        case (.backwardConvolution, .bf16):
            ht_nm_conv_backward_bf16(&shape, halves, xs, blob, size, epilogue, y, ys, &options)
        case (.backwardConvolution, _):
            ht_nm_conv_backward_f32(&shape, floats, xs, blob, size, epilogue, sums, ys, &options)
        case (_, .f32): ht_nm_gemm_f32(t, o, k, floats, xs, blob, size, epilogue, sums, ys, &options)
        case (_, .bf16): ht_nm_gemm_bf16(t, o, k, halves, xs, blob, size, epilogue, y, ys, &options)
        case (_, .u8): ht_nm_gemm_u8(t, o, k, bytes, xs, blob, size, epilogue, y, ys, &options)
        case (_, _): ht_nm_gemm_i8(t, o, k, signedBytes, xs, blob, size, epilogue, y, ys, &options)
        }
    }
}
