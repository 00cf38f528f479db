// SPDX-License-Identifier: Apache-2.0
// Both branches and their batch normalisations as one filter with a bias, and the gradient of the second branch.
#include <math.h>

#include "filters.h"

// What an output's batch normalisation does: y = scale x + bias.
typedef struct affine {
    double scale, bias;
} affine;

static double at(const float *values, size_t o, double otherwise) { return values ? values[o] : otherwise; }

// Rounds in the same places on every machine: a compiler may not fuse what is fused already.
static affine affine_of(const ht_batch_norm *norm, size_t o) {
    const double deviation = norm->variance ? sqrt((double)norm->variance[o] + norm->epsilon) : 1;
    const double scale = at(norm->gamma, o, 1) / deviation;
    return (affine){scale, fma(-at(norm->mean, o, 0), scale, at(norm->beta, o, 0))};
}

static ht_status check_norm(const ht_batch_norm *norm) {
    if (!norm || !norm->mean != !norm->variance) return HT_ERROR_NULL;
    const float *const arrays[] = {norm->gamma, norm->beta, norm->mean, norm->variance};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++)
        if (!ht_is_aligned(arrays[i], sizeof(float))) return HT_ERROR_ALIGNMENT;
    return HT_OK;
}

static void fold_row(const ht_spre_filters *f, size_t row, const float *r, double scale_a, double scale_b, float *to) {
    const float *w = ht_spre_row(f->w, f->w_stride, row);
    for (size_t column = 0; column < f->columns; column++) {
        double value = 0;
        if (ht_spre_in_first(f, row, column)) {
            value = scale_a * w[column];
            if (ht_spre_in_second(f, w[column], column)) value = fma(scale_b, r[column], value);
        }
        to[column] = (float)value;
    }
}

ht_status ht_spre_fold_f32(const ht_conv_shape *shape, const float *w, size_t w_stride, const uint8_t *mask,
                           size_t mask_stride, const float *r, size_t r_stride, const uint8_t *taps,
                           const ht_batch_norm *norm_a, const ht_batch_norm *norm_b, float *folded,
                           size_t folded_stride, float *bias) {
    ht_spre_filters f;
    ht_status status = ht_spre_take_filters(shape, w, w_stride, &f);
    if (!status) status = ht_spre_take_branches(mask, mask_stride, taps, &f);
    if (!status) status = ht_check_matrix(r, f.rows, f.columns, sizeof *r, &r_stride);
    if (!status) status = ht_check_matrix(folded, f.rows, f.columns, sizeof *folded, &folded_stride);
    if (!status) status = check_norm(norm_a);
    if (!status) status = check_norm(norm_b);
    if (status) return status;
    if (f.rows && !bias) return HT_ERROR_NULL;
    if (!ht_is_aligned(bias, sizeof *bias)) return HT_ERROR_ALIGNMENT;
    for (size_t row = 0; row < f.rows; row++) {
        const affine a = affine_of(norm_a, row), b = affine_of(norm_b, row);
        if (f.columns)
            fold_row(&f, row, ht_spre_row(r, r_stride, row), a.scale, b.scale,
                     (float *)ht_spre_row(folded, folded_stride, row));
        bias[row] = (float)(a.bias + b.bias);
    }
    return HT_OK;
}

ht_status ht_spre_gradient_f32(const ht_conv_shape *shape, const float *w, size_t w_stride, const uint8_t *mask,
                               size_t mask_stride, const uint8_t *taps, const float *dq, size_t dq_stride, float *dr,
                               size_t dr_stride) {
    ht_spre_filters f;
    ht_status status = ht_spre_take_filters(shape, w, w_stride, &f);
    if (!status) status = ht_spre_take_branches(mask, mask_stride, taps, &f);
    if (!status) status = ht_check_matrix(dq, f.rows, f.columns, sizeof *dq, &dq_stride);
    if (!status) status = ht_check_matrix(dr, f.rows, f.columns, sizeof *dr, &dr_stride);
    if (status) return status;
    for (size_t row = 0; row < f.rows && f.columns; row++) {
        const float *values = ht_spre_row(f.w, f.w_stride, row), *from = ht_spre_row(dq, dq_stride, row);
        float *to = (float *)ht_spre_row(dr, dr_stride, row);
        for (size_t c = 0; c < f.columns; c++)
            to[c] = ht_spre_in_first(&f, row, c) && ht_spre_in_second(&f, values[c], c) ? from[c] : 0;
    }
    return HT_OK;
}
