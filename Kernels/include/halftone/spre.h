// SPDX-License-Identifier: Apache-2.0
// Spatial re-parameterisation of N:M sparse convolutions (Zhang et al. 2023, "Spatial re-parameterization for N:M
// sparsity"). N:M along the input channels has the same sparsity at each tap of a kernel, unstructured pruning has not.
// So a second branch trains along, at the taps only that unstructured pruning would leave denser than average, with the
// N:M mask of the first one and a batch normalisation of its own. After training both fold into one N:M convolution:
//
//     Y = norm_a(conv(X, A)) + norm_b(conv(X, Q))        A = W * mask,   Q = R * (A != 0) * taps
//     Y = conv(X, scale_a A + scale_b Q) + bias          the same mask, the same kernel
#ifndef HALFTONE_SPRE_H
#define HALFTONE_SPRE_H

#include "nm_conv.h"

#ifdef __cplusplus
extern "C" {
#endif

/// The spatial mask: of all weights of the layer, floor(count (M - N) / M) with the smallest |w| are dropped (of equal
/// magnitudes later ones go first; a NaN is the largest), and a tap is kept whose share of dropped weights is less than
/// 1 - N/M. taps: a byte, 0 or 1, for each of kernel_height * kernel_width taps. dropped: how many weights of each tap
/// are dropped, or null. Errors: as ht_nm_conv_mask_f32, MEMORY.
HT_API ht_status ht_spre_taps_f32(const ht_conv_shape *shape, size_t n, size_t m, const float *w, size_t w_stride,
                                  uint8_t *taps, size_t *dropped, const ht_options *options);

/// The size in bytes of both branches packed together. Errors: as ht_nm_conv_packed_size.
HT_API ht_status ht_spre_packed_size(const ht_conv_shape *shape, size_t n, size_t m, const ht_options *options,
                                     size_t *size);

/// Packs both branches from W, its N:M mask (not null), R (as W lies) and the taps: one index table, two tables of
/// values. Entries of W that are 0 are 0 in the second branch too, and so is R outside the taps.
/// Errors: as ht_nm_conv_pack_f32.
HT_API ht_status ht_spre_pack_f32(const ht_conv_shape *shape, size_t n, size_t m, const float *w, size_t w_stride,
                                  const uint8_t *mask, size_t mask_stride, const float *r, size_t r_stride,
                                  const uint8_t *taps, void *packed, size_t packed_size, const ht_options *options);

/// Both products of training, for both normalisations have statistics of their own: ya = conv(X, A), yb = conv(X, Q),
/// each as ht_nm_conv_f32 gives it for its weights; of the second one only the taps that are kept cost time.
/// Strides, scratch and options are those of ht_nm_conv_f32; ya and yb have one stride. Errors: as ht_nm_conv_f32.
HT_API ht_status ht_spre_conv_f32(const ht_conv_shape *shape, const float *x, size_t x_stride, const void *packed,
                                  size_t packed_size, float *ya, float *yb, size_t y_stride, const ht_options *options);

/// A batch normalisation in evaluation mode: y = (x - mean) / sqrt(variance + epsilon) * gamma + beta, each an array of
/// `outputs` values; a null gamma is 1, a null beta or mean 0, a null variance 1.
typedef struct ht_batch_norm {
    const float *gamma, *beta, *mean, *variance;
    float epsilon;
} ht_batch_norm;

/// Folds both branches into one N:M weight with bias: folded = scale_a A + scale_b Q inside the mask and +0 elsewhere;
/// bias = (beta_a - mean_a scale_a) + (beta_b - mean_b scale_b); in double precision, rounded once. scale = gamma /
/// sqrt(variance + epsilon). The mask of `folded` is inside that of W, and packing it with `mask` keeps its entries.
/// folded lies as W and may be W; bias has `outputs` values. Errors: NULL, STRIDE, ALIGNMENT, OVERFLOW, CONV,
/// DEPTHWISE, PATTERN.
HT_API ht_status ht_spre_fold_f32(const ht_conv_shape *shape, const float *w, size_t w_stride, const uint8_t *mask,
                                  size_t mask_stride, const float *r, size_t r_stride, const uint8_t *taps,
                                  const ht_batch_norm *norm_a, const ht_batch_norm *norm_b, float *folded,
                                  size_t folded_stride, float *bias);

#ifdef __cplusplus
}
#endif

#endif
