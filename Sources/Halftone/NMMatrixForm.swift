import CHalftone

/// Weights of outputs by inputs, packed for products.
struct NMMatrixForm: NMPrunableForm {
    let rows: Int
    let columns: Int

    func packedSize(
        _ type: ht_dtype, _ pattern: NMPattern, _ options: inout ht_options, _ size: inout Int
    ) -> ht_status {
        ht_nm_packed_size(rows, columns, pattern.n, pattern.m, type, &options, &size)
    }

    func mask(_ w: NMWeights, into mask: UnsafeMutablePointer<UInt8>?, _ options: inout ht_options) -> ht_status {
        let (o, k, stride) = (rows, columns, w.byteStride)
        return switch w.type {
        case .f32: ht_nm_mask_f32(o, k, w.n, w.m, w.typed(), stride, mask, 0, &options)
        case .f16: ht_nm_mask_f16(o, k, w.n, w.m, w.typed(), stride, mask, 0, &options)
        case .bf16: ht_nm_mask_bf16(o, k, w.n, w.m, w.typed(), stride, mask, 0, &options)
        case .i8: ht_nm_mask_i8(o, k, w.n, w.m, w.typed(), stride, mask, 0, &options)
        default: HT_ERROR_BLOB_DTYPE
        }
    }

    func prune(
        _ w: NMWeights, into pruned: UnsafeMutableRawPointer?, stride: Int, _ options: inout ht_options
    ) -> ht_status {
        let (o, k) = (rows, columns)
        return switch w.type {
        case .f32: ht_nm_prune_f32(o, k, w.n, w.m, w.typed(), w.byteStride, pruned?.typed(), stride, &options)
        case .f16: ht_nm_prune_f16(o, k, w.n, w.m, w.typed(), w.byteStride, pruned?.typed(), stride, &options)
        case .bf16: ht_nm_prune_bf16(o, k, w.n, w.m, w.typed(), w.byteStride, pruned?.typed(), stride, &options)
        case .i8: ht_nm_prune_i8(o, k, w.n, w.m, w.typed(), w.byteStride, pruned?.typed(), stride, &options)
        default: HT_ERROR_BLOB_DTYPE
        }
    }

    func pack(
        _ w: NMWeights, mask: UnsafePointer<UInt8>?, into packed: UnsafeMutableRawBufferPointer,
        _ options: inout ht_options
    ) -> ht_status {
        let (o, k, stride, start, size) = (rows, columns, w.byteStride, packed.baseAddress, packed.count)
        return switch w.type {
        case .f32: ht_nm_pack_f32(o, k, w.n, w.m, w.typed(), stride, mask, 0, start, size, &options)
        case .f16: ht_nm_pack_f16(o, k, w.n, w.m, w.typed(), stride, mask, 0, start, size, &options)
        case .bf16: ht_nm_pack_bf16(o, k, w.n, w.m, w.typed(), stride, mask, 0, start, size, &options)
        case .i8: ht_nm_pack_i8(o, k, w.n, w.m, w.typed(), stride, mask, 0, start, size, &options)
        default: HT_ERROR_BLOB_DTYPE
        }
    }
}
