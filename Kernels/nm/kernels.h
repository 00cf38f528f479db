// SPDX-License-Identifier: Apache-2.0
// The N:M kernels, one name each, and their dispatch table.
#ifndef HT_NM_KERNELS_H
#define HT_NM_KERNELS_H

#include "core/isa.h"
#include "layout.h"

/// One thread's share of a product, checked: rows t_begin ..< t_end and columns o_begin ..< o_end of Y.
typedef struct ht_nm_task {
    const ht_nm_layout *layout;
    const void *packed;
    const void *x;
    size_t x_stride;            // bytes
    ht_dtype x_dtype;
    ht_order x_order;
    void *y;
    size_t y_stride;            // bytes
    ht_dtype y_dtype;
    ht_order y_order;
    size_t t_begin, t_end;
    size_t o_begin, o_end;      // o_begin is a multiple of 16
    ht_epilogue epilogue;       // its residual stride is filled in; output is y_dtype
    void *scratch;              // as much as the product's scratch function says, 64-byte aligned
} ht_nm_task;

typedef void ht_nm_gemm_kernel(const ht_nm_task *task);

ht_nm_gemm_kernel ht_nm_gemm_f32_ref, ht_nm_gemm_f32_avx2, ht_nm_gemm_f32_avx512, ht_nm_gemm_f32_neon;
ht_nm_gemm_kernel ht_nm_gemm_i8_ref, ht_nm_gemm_i8_avx2, ht_nm_gemm_i8_avxvnni, ht_nm_gemm_i8_avx512vnni;
ht_nm_gemm_kernel ht_nm_gemm_i8_neon, ht_nm_gemm_i8_neondot, ht_nm_gemm_i8_neoni8mm;
extern const ht_entry ht_nm_gemm_f32_table[];
extern const ht_entry ht_nm_gemm_bf16_table[];
extern const ht_entry ht_nm_gemm_i8_table[];

#endif
