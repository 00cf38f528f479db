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

#include "nm_gradient.h"

#ifdef __cplusplus
extern "C" {
#endif

/// The spatial mask: of all weights of the layer, floor(count (M - N) / M) with the smallest |w| are dropped (of equal
/// magnitudes later ones go first; a NaN is larger than infinity), and a tap is kept whose share of dropped weights is
/// less than 1 - N/M. taps: a byte, 0 or 1, for each of kernel_height * kernel_width taps. dropped: how many weights of
/// each tap are dropped, or null. Errors: as ht_nm_conv_mask_f32, MEMORY; what options share does not matter.
HT_API ht_status ht_spre_taps_f32(const ht_conv_shape *shape, size_t n, size_t m, const float *w, size_t w_stride,
                                  uint8_t *taps, size_t *dropped, const ht_options *options);

/// The size in bytes of both branches packed together, whatever the taps. Errors: as ht_nm_conv_packed_size; PATTERN
/// for taps that share a pattern.
HT_API ht_status ht_spre_packed_size(const ht_conv_shape *shape, size_t n, size_t m, const ht_options *options,
                                     size_t *size);

/// Packs both branches from W, its N:M mask (not null), R and the taps (not null): one index table, two tables of
/// values. The entries of the second branch are those of the first at the taps that are kept, with R's values, or +0
/// where W is 0. R is not looked at elsewhere. Errors: as ht_nm_conv_pack_f32, and of ht_spre_packed_size.
HT_API ht_status ht_spre_pack_f32(const ht_conv_shape *shape, size_t n, size_t m, const float *w, size_t w_stride,
                                  const uint8_t *mask, size_t mask_stride, const float *r, size_t r_stride,
                                  const uint8_t *taps, void *packed, size_t packed_size, const ht_options *options);

/// Both products of training, for both normalisations have statistics of their own: ya = conv(X, A), yb = conv(X, Q).
/// ya has the bits of ht_nm_conv_f32 with A packed by the same mask. yb is a like chain over the entries at the taps
/// that are kept, zeros among them included; what X holds for other taps, a NaN for instance, does not matter, and
/// where there are none yb is +0. The second product takes the time of the first times the share of taps that are kept.
/// Strides, scratch (of ht_nm_conv_scratch_size), options and guarantees are those of ht_nm_conv_f32; ya and yb have
/// one stride. Errors: as ht_nm_conv_f32; BLOB_FOREIGN for weights without branches.
HT_API ht_status ht_spre_conv_f32(const ht_conv_shape *shape, const float *x, size_t x_stride, const void *packed,
                                  size_t packed_size, float *ya, float *yb, size_t y_stride, const ht_options *options);

/// The same weights packed backward, see ht_nm_conv_backward_pack_f32: `mask` is a backward mask, for instance of
/// ht_bimask_conv_backward_f32, or with N = M the mask of the forward weights. Errors: as ht_spre_packed_size and
/// ht_spre_pack_f32, PERMUTATION, MEMORY.
HT_API ht_status ht_spre_backward_packed_size(const ht_conv_shape *shape, size_t n, size_t m,
                                              const uint32_t *permutation, const ht_options *options, size_t *size);
HT_API ht_status ht_spre_backward_pack_f32(const ht_conv_shape *shape, size_t n, size_t m, const float *w,
                                           size_t w_stride, const uint8_t *mask, size_t mask_stride, const float *r,
                                           size_t r_stride, const uint8_t *taps, const uint32_t *permutation,
                                           void *packed, size_t packed_size, const ht_options *options);

/// The gradient with respect to the input of both branches: the sum of two chains, each of them as
/// ht_nm_conv_backward_f32 describes it, of the second branch over the taps that are kept. dya and dyb have one stride.
/// Errors: as ht_nm_conv_backward_f32; BLOB_FOREIGN for weights without branches.
HT_API ht_status ht_spre_backward_f32(const ht_conv_shape *shape, const float *dya, const float *dyb, size_t dy_stride,
                                      const void *packed, size_t packed_size, float *dx, size_t dx_stride,
                                      const ht_options *options);

/// The gradient of R from dQ, the dense weight gradient of the second branch (ht_conv_weight_gradient_f32 with the same
/// taps): dr = dq at entries of the mask where W is not 0 and the tap is kept, +0 elsewhere, where dq is not looked at.
/// dr may be dq. Errors: NULL, STRIDE, ALIGNMENT, OVERFLOW, CONV, DEPTHWISE.
HT_API ht_status ht_spre_gradient_f32(const ht_conv_shape *shape, const float *w, size_t w_stride, const uint8_t *mask,
                                      size_t mask_stride, const uint8_t *taps, const float *dq, size_t dq_stride,
                                      float *dr, size_t dr_stride);

/// A batch normalisation in evaluation mode: y = (x - mean) / sqrt(variance + epsilon) * gamma + beta, each an array of
/// `outputs` values. A null gamma is 1, a null beta 0; so may mean and variance be together: 0, 1 - epsilon.
typedef struct ht_batch_norm {
    const float *gamma, *beta, *mean, *variance;
    float epsilon;
} ht_batch_norm;

/// Folds both branches into one N:M weight with bias: folded = scale_a A + scale_b Q inside the mask, without the
/// second term where Q has no weight, and +0 elsewhere; bias = (beta_a - mean_a scale_a) + (beta_b - mean_b scale_b);
/// scale = gamma / sqrt(variance + epsilon). All in double precision, rounded to f32 in the end; NaNs and infinities
/// come out as they do there. The mask of `folded` is inside that of W, so packing it with `mask` keeps its entries.
/// folded may be W or R; bias has `outputs` values. Errors: NULL, STRIDE, ALIGNMENT, OVERFLOW, CONV, DEPTHWISE.
HT_API ht_status ht_spre_fold_f32(const ht_conv_shape *shape, const float *w, size_t w_stride, const uint8_t *mask,
                                  size_t mask_stride, const float *r, size_t r_stride, const uint8_t *taps,
                                  const ht_batch_norm *norm_a, const ht_batch_norm *norm_b, float *folded,
                                  size_t folded_stride, float *bias);

#ifdef __cplusplus
}
#endif

#endif
