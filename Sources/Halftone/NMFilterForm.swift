import CHalftone

/// Filters of a convolution, packed for it.
struct NMFilterForm: NMPrunableForm {
    let code: ht_conv_shape
    let rows: Int
    let columns: Int

    init(_ shape: ConvShape) throws(HalftoneError) {
        code = try shape.code()
        rows = shape.outputs
        columns = try shape.filterWeights
    }

    func packedSize(
        _ type: ht_dtype, _ pattern: NMPattern, _ options: inout ht_options, _ size: inout Int
    ) -> ht_status {
        var code = code
        return ht_nm_conv_packed_size(&code, pattern.n, pattern.m, type, &options, &size)
    }

    func mask(_ w: NMWeights, into mask: UnsafeMutablePointer<UInt8>?, _ options: inout ht_options) -> ht_status {
        var code = code
        let stride = w.byteStride
        return switch w.type {
        case .f32: ht_nm_conv_mask_f32(&code, w.n, w.m, w.typed(), stride, mask, 0, &options)
        case .f16: ht_nm_conv_mask_f16(&code, w.n, w.m, w.typed(), stride, mask, 0, &options)
        case .bf16: ht_nm_conv_mask_bf16(&code, w.n, w.m, w.typed(), stride, mask, 0, &options)
        case .i8: ht_nm_conv_mask_i8(&code, w.n, w.m, w.typed(), stride, mask, 0, &options)
        default: HT_ERROR_BLOB_DTYPE
        }
    }

    func prune(
        _ w: NMWeights, into pruned: UnsafeMutableRawPointer?, stride: Int, _ options: inout ht_options
    ) -> ht_status {
        var code = code
        let from = w.byteStride
        return switch w.type {
        case .f32: ht_nm_conv_prune_f32(&code, w.n, w.m, w.typed(), from, pruned?.typed(), stride, &options)
        case .f16: ht_nm_conv_prune_f16(&code, w.n, w.m, w.typed(), from, pruned?.typed(), stride, &options)
        case .bf16: ht_nm_conv_prune_bf16(&code, w.n, w.m, w.typed(), from, pruned?.typed(), stride, &options)
        case .i8: ht_nm_conv_prune_i8(&code, w.n, w.m, w.typed(), from, pruned?.typed(), stride, &options)
        default: HT_ERROR_BLOB_DTYPE
        }
    }

    func pack(
        _ w: NMWeights, mask: UnsafePointer<UInt8>?, into packed: UnsafeMutableRawBufferPointer,
        _ options: inout ht_options
    ) -> ht_status {
        var code = code
        let (stride, start, size) = (w.byteStride, packed.baseAddress, packed.count)
        return switch w.type {
        case .f32: ht_nm_conv_pack_f32(&code, w.n, w.m, w.typed(), stride, mask, 0, start, size, &options)
        case .f16: ht_nm_conv_pack_f16(&code, w.n, w.m, w.typed(), stride, mask, 0, start, size, &options)
        case .bf16: ht_nm_conv_pack_bf16(&code, w.n, w.m, w.typed(), stride, mask, 0, start, size, &options)
        case .i8: ht_nm_conv_pack_i8(&code, w.n, w.m, w.typed(), stride, mask, 0, start, size, &options)
        default: HT_ERROR_BLOB_DTYPE
        }
    }
}
