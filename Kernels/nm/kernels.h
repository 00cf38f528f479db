// SPDX-License-Identifier: Apache-2.0
// The N:M kernels, one name each, and their dispatch table.
#ifndef HT_NM_KERNELS_H
#define HT_NM_KERNELS_H

#include "core/isa.h"
#include "layout.h"

/// One thread's share of a product, checked: rows t_begin ..< t_end and columns o_begin ..< o_end of Y.
typedef struct ht_nm_gemm_f32_task {
    const ht_nm_layout *layout;
    const void *packed;
    const float *x;
    size_t x_stride;            // bytes
    float *y;
    size_t y_stride;            // bytes
    size_t t_begin, t_end;
    size_t o_begin, o_end;      // o_begin is a multiple of 16
    ht_epilogue epilogue;
    void *scratch;              // ht_nm_gemm_f32_thread_scratch bytes, 64-byte aligned
} ht_nm_gemm_f32_task;

typedef void ht_nm_gemm_f32_kernel(const ht_nm_gemm_f32_task *task);

ht_nm_gemm_f32_kernel ht_nm_gemm_f32_ref, ht_nm_gemm_f32_avx2, ht_nm_gemm_f32_avx512;
extern const ht_entry ht_nm_gemm_f32_table[];

#endif
