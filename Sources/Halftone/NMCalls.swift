import CHalftone

// The C library has a function for each type of weights; these pick it.

/// Weights and what else the calls that read them take.
struct NMWeights {
    let matrix: Operand
    let type: DataType
    let n: Int
    let m: Int
    let address: UnsafeRawPointer?

    func mask(_ mask: UnsafeMutablePointer<UInt8>?, _ options: inout ht_options) -> ht_status {
        let (o, k, stride) = (matrix.rows, matrix.columns, matrix.byteStride)
        return switch type {
        case .f32: ht_nm_mask_f32(o, k, n, m, address?.typed(), stride, mask, 0, &options)
        case .f16: ht_nm_mask_f16(o, k, n, m, address?.typed(), stride, mask, 0, &options)
        case .bf16: ht_nm_mask_bf16(o, k, n, m, address?.typed(), stride, mask, 0, &options)
        case .i8: ht_nm_mask_i8(o, k, n, m, address?.typed(), stride, mask, 0, &options)
        case .u8, .i32: HT_ERROR_BLOB_DTYPE
        }
    }

    func prune(
        into pruned: UnsafeMutableRawPointer?, stride prunedStride: Int, _ options: inout ht_options
    ) -> ht_status {
        let (o, k, stride) = (matrix.rows, matrix.columns, matrix.byteStride)
        return switch type {
        case .f32: ht_nm_prune_f32(o, k, n, m, address?.typed(), stride, pruned?.typed(), prunedStride, &options)
        case .f16: ht_nm_prune_f16(o, k, n, m, address?.typed(), stride, pruned?.typed(), prunedStride, &options)
        case .bf16: ht_nm_prune_bf16(o, k, n, m, address?.typed(), stride, pruned?.typed(), prunedStride, &options)
        case .i8: ht_nm_prune_i8(o, k, n, m, address?.typed(), stride, pruned?.typed(), prunedStride, &options)
        case .u8, .i32: HT_ERROR_BLOB_DTYPE
        }
    }

    func pack(
        mask: UnsafePointer<UInt8>?, into packed: UnsafeMutableRawBufferPointer, _ options: inout ht_options
    ) -> ht_status {
        let (o, k, stride) = (matrix.rows, matrix.columns, matrix.byteStride)
        let (start, size) = (packed.baseAddress, packed.count)
        return switch type {
        case .f32: ht_nm_pack_f32(o, k, n, m, address?.typed(), stride, mask, 0, start, size, &options)
        case .f16: ht_nm_pack_f16(o, k, n, m, address?.typed(), stride, mask, 0, start, size, &options)
        case .bf16: ht_nm_pack_bf16(o, k, n, m, address?.typed(), stride, mask, 0, start, size, &options)
        case .i8: ht_nm_pack_i8(o, k, n, m, address?.typed(), stride, mask, 0, start, size, &options)
        case .u8, .i32: HT_ERROR_BLOB_DTYPE
        }
    }
}

/// The operands of a product, whatever their types.
struct NMOperands {
    let t: Int
    let o: Int
    let k: Int
    let xType: DataType
    let x: UnsafeRawPointer?
    let xStride: Int
    let packed: PackedBytes
    let y: UnsafeMutableRawPointer?
    let yStride: Int

    func multiply(_ epilogue: inout ht_epilogue, _ options: inout ht_options) -> ht_status {
        let (blob, size) = (packed.start, packed.count)
        switch xType {
        case .f32:
            // The C function writes floats, whatever the epilogue says.
            guard epilogue.output == HT_DTYPE_F32 else { return HT_ERROR_EPILOGUE }
            return ht_nm_gemm_f32(
                t, o, k, x?.typed(), xStride, blob, size, &epilogue, y?.typed(), yStride, &options)
        case .bf16: return ht_nm_gemm_bf16(t, o, k, x?.typed(), xStride, blob, size, &epilogue, y, yStride, &options)
        case .u8: return ht_nm_gemm_u8(t, o, k, x?.typed(), xStride, blob, size, &epilogue, y, yStride, &options)
        case .i8: return ht_nm_gemm_i8(t, o, k, x?.typed(), xStride, blob, size, &epilogue, y, yStride, &options)
        case .f16, .i32: return HT_ERROR_BLOB_DTYPE
        }
    }
}

extension UnsafeRawPointer {
    fileprivate func typed<Element>() -> UnsafePointer<Element> { assumingMemoryBound(to: Element.self) }
}

extension UnsafeMutableRawPointer {
    fileprivate func typed<Element>() -> UnsafeMutablePointer<Element> { assumingMemoryBound(to: Element.self) }
}
