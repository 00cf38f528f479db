// SPDX-License-Identifier: Apache-2.0
// The kernels of products with signs, one name each, and their dispatch tables.
#ifndef HT_BINARY_KERNELS_H
#define HT_BINARY_KERNELS_H

#include "core/isa.h"
#include "layout.h"

/// One thread's share of a product or convolution of one group, checked: rows t_begin ..< t_end and outputs
/// o_begin ..< o_end of the group.
typedef struct ht_binary_task {
    const ht_binary_layout *layout;
    const void *packed;
    const ht_conv *conv;     // null: X is a matrix, its rows what the only tap sees; else t counts the pixels of Y
    const void *x;
    size_t x_stride;         // bytes from row to row, or from pixel to pixel
    size_t x_first;          // the group's first column of X
    ht_dtype x_dtype;
    ht_order x_order;
    void *y;
    size_t y_stride;         // bytes
    size_t y_first;          // the group's first column of Y
    ht_dtype y_dtype;
    ht_order y_order;        // of anything but bits
    size_t t_begin, t_end;
    size_t o_begin, o_end;   // o_begin is a multiple of 16
    ht_binary_design design;  // that the call asks for; AUTO: that of the weights where it applies
    ht_epilogue epilogue;    // for the columns of Y, of all groups; its residual stride is filled in
    void *scratch;           // as much as the scratch function of the product says, 64-byte aligned
} ht_binary_task;

/// Where a tap of pixel t of Y lies in X, counted in pixels; false if that is outside the image. A row of a matrix is a
/// pixel.
bool ht_binary_x_pixel(const ht_binary_task *task, size_t t, size_t tap, size_t *pixel);

/// The design of a task: that of its weights, or the direct one if it does not apply or was asked for.
ht_binary_design ht_binary_design_of(const ht_binary_task *task);

typedef void ht_binary_kernel(const ht_binary_task *task);

/// Where a value of Y lies whose type has bytes, and where its residual does, null if there is none. Columns are those
/// of all groups; Y and residual lie in rows or columns as options.y_order says.
void *ht_binary_y(const ht_binary_task *task, size_t t, size_t column);
const void *ht_binary_residual(const ht_binary_task *task, size_t t, size_t column);

ht_binary_kernel ht_binary_gemm_ref, ht_binary_gemm_avx512popcnt, ht_binary_gemm_avx512, ht_binary_gemm_avx2,
    ht_binary_gemm_neondot, ht_binary_gemm_neon;
ht_binary_kernel ht_binary_gemm_f32_ref, ht_binary_gemm_f32_avx512, ht_binary_gemm_f32_avx2, ht_binary_gemm_f32_neon;
ht_binary_kernel ht_binary_gemm_i8_ref, ht_binary_gemm_i8_avx512, ht_binary_gemm_i8_avx2, ht_binary_gemm_i8_neon;
extern const ht_entry ht_binary_gemm_table[];  // X of signs, and of zeros and ones
extern const ht_entry ht_binary_gemm_f32_table[];
extern const ht_entry ht_binary_gemm_i8_table[];

#endif
