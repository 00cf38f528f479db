// SPDX-License-Identifier: Apache-2.0
// What the rows of the bf16 product share.
//
// A bf16 dot product instruction is two fused multiply-adds, of the high halves first, in which subnormal numbers count
// as zero; the packed order of weights makes that the chain of the f32 product. So the rows without the instruction,
// and small products with it, widen X and the weights and run the f32 kernels while subnormals are flushed to zero: the
// bits are the same.
#ifndef HT_NM_BF16_H
#define HT_NM_BF16_H

#include "panels.h"

ht_nm_gemm_kernel ht_nm_gemm_bf16_ref, ht_nm_gemm_bf16_avx2, ht_nm_gemm_bf16_avx512, ht_nm_gemm_bf16_avx512bf16,
    ht_nm_gemm_bf16_neon;
ht_nm_gemm_kernel ht_nm_gemm_bf16_neonbf16;

/// Scratch of one thread for a bf16 product of t rows. Errors: OVERFLOW.
ht_status ht_nm_bf16_scratch(const ht_nm_layout *layout, size_t t, size_t *bytes);

/// Of which the kernels with the instruction need this much. Errors: OVERFLOW.
ht_status ht_nm_bf16_panels_scratch(const ht_nm_layout *layout, size_t t, size_t *bytes);

#endif
