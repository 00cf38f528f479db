// SPDX-License-Identifier: Apache-2.0
// The dense kernels, one name each, and their dispatch table.
#ifndef HT_DENSE_KERNELS_H
#define HT_DENSE_KERNELS_H

#include "core/isa.h"
#include "nm/image.h"

/// What is multiplied as if it were dW = transpose(dY) * X.
typedef enum ht_dense_product {
    HT_DENSE_MATRICES,
    HT_DENSE_CONV_WEIGHTS,  // row t of X is what the taps of pixel t of Y see of an image, which is never written down
    HT_DENSE_CONV_INPUT  // dW is dX, X is W, its row t that of an output at a tap, the last tap first, and column o of
                         // dY what the taps of pixel o of dX see of dY in reverse
} ht_dense_product;

/// One thread's share of dW = transpose(dY) * X, checked: rows o_begin ..< o_end and columns k_begin ..< k_end of dW.
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
    float *scratch;  // HT_DENSE_SCRATCH floats, 64-byte aligned
    ht_dense_product product;
    const ht_nm_image *image;  // of a convolution: the one its product is of
    const size_t *taps;  // of its weights: the numbers of the taps that dW has
    size_t channels, outputs;  // and of its group
    size_t tap_count;
} ht_weight_gradient_task;

/// How dW is computed: so many of its rows and samples at a time, and a panel of so many columns at most.
enum {
    HT_DENSE_ROWS = 384,  // a multiple of every kernel's rows
    HT_DENSE_SAMPLES = 512,
    HT_DENSE_WIDTH = 48,
    HT_DENSE_SCRATCH = HT_DENSE_SAMPLES * (HT_DENSE_ROWS + HT_DENSE_WIDTH)
};

/// A product cut into pieces for threads.
typedef struct ht_dense_split {
    ht_weight_gradient_task whole;
    void (*kernel)(const ht_weight_gradient_task *task);
    size_t pieces;
    bool by_rows;
} ht_dense_split;

ht_dense_split ht_dense_cut(const ht_weight_gradient_task *task, const ht_entry *entry, int threads);

/// Bytes of the scratch of all pieces.
size_t ht_dense_scratch(const ht_dense_split *split);

/// Runs the pieces, with scratch that is there.
void ht_dense_run(const ht_dense_split *split);

typedef void ht_weight_gradient_kernel(const ht_weight_gradient_task *task);

ht_weight_gradient_kernel ht_weight_gradient_f32_ref, ht_weight_gradient_f32_avx2, ht_weight_gradient_f32_avx512;
ht_weight_gradient_kernel ht_weight_gradient_f32_neon;
extern const ht_entry ht_weight_gradient_f32_table[];

#endif
