// SPDX-License-Identifier: Apache-2.0
// The dense kernels, one name each, and their dispatch table.
#ifndef HT_DENSE_KERNELS_H
#define HT_DENSE_KERNELS_H

#include "core/isa.h"
#include "nm/image.h"

/// One thread's share of dW = transpose(dY) * X, checked: rows o_begin ..< o_end and columns k_begin ..< k_end of dW.
/// Where X is an image, its row t is what the taps of pixel t of Y see, which is never written down.
typedef struct ht_weight_gradient_task {
    size_t t;
    const float *dy;
    size_t dy_stride;  // bytes
    const float *x;
    size_t x_stride;
    float *dw;
    size_t dw_stride;
    size_t o_begin, o_end;
    size_t k_begin, k_end;
    float *scratch;    // HT_DENSE_SCRATCH floats, 64-byte aligned
    const ht_nm_image *image;  // null: X is a matrix
    const size_t *taps;        // of an image: the numbers of the taps that dW has,
    size_t channels;           // and its columns of each
} ht_weight_gradient_task;

/// How dW is computed: so many of its rows and samples at a time, and a panel of so many columns at most.
enum {
    HT_DENSE_ROWS = 384,      // a multiple of every kernel's rows
    HT_DENSE_SAMPLES = 512,
    HT_DENSE_WIDTH = 48,
    HT_DENSE_SCRATCH = HT_DENSE_SAMPLES * (HT_DENSE_ROWS + HT_DENSE_WIDTH)
};

typedef void ht_weight_gradient_kernel(const ht_weight_gradient_task *task);

ht_weight_gradient_kernel ht_weight_gradient_f32_ref, ht_weight_gradient_f32_avx2, ht_weight_gradient_f32_avx512;
ht_weight_gradient_kernel ht_weight_gradient_f32_neon;
extern const ht_entry ht_weight_gradient_f32_table[];

#endif
