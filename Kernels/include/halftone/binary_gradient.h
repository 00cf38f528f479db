// SPDX-License-Identifier: Apache-2.0
// What the training of networks of signs needs on the way back.
//
// With Y = X * transpose(sign(W)), T x K and O x K, the other two products of a training step have a matrix of signs
// and one of floats, so both are ht_binary_gemm_f32 with signs that ht_bits_transpose turned:
//
//     dX = dY * sign(W)                 packed: the K x O transpose of the bits of W
//     dW = transpose(dY) * sign(X)      x = dY with options.x_order = FEATURES, packed: the K x T transpose of X's bits
#ifndef HALFTONE_BINARY_GRADIENT_H
#define HALFTONE_BINARY_GRADIENT_H

#include "binary.h"

#ifdef __cplusplus
extern "C" {
#endif

/// What stands for the derivative of sign(x), which is zero.
typedef enum ht_sign_estimator_kind {
    HT_SIGN_CLIPPED = 0,  // 1 where |x| <= clip, else 0 (Hubara et al. 2016); clip 0 means 1
    HT_SIGN_POLYNOMIAL = 1,  // max(0, 2 - 2 |x|) (Liu et al. 2018, Bi-Real Net)
    HT_SIGN_RESTE = 2,  // |x|^((1 - power) / power) / power where knee < |x| <= clip, knee^(1 / power) / knee for
                        // |x| <= knee, else 0 (Wu et al. 2023, ReSTE); power >= 1, 0 < knee <= clip
    HT_SIGN_BIPER = 3  // frequency cos(frequency x), of sign(sin(frequency x)) (Vargas et al. 2024, BiPer)
} ht_sign_estimator_kind;

/// Zeros mean: clip 1 (RESTE: 1.5), power 1, knee 0.1, frequency 20. Clips, powers and frequencies are finite and
/// positive.
typedef struct ht_sign_estimator {
    ht_sign_estimator_kind kind;
    float clip, power, knee, frequency;
} ht_sign_estimator;

/// dx = dy * estimate(x - threshold[column]), the difference and the product rounded to floats; a null threshold is 0.
/// dx may be dy. The estimate is the float nearest to the formula's value for CLIPPED and POLYNOMIAL, and at most 0.51
/// units in the last place of it away for RESTE and BIPER; the same bits on every ISA. BIPER takes an x with |frequency
/// x| > 2^16 for 0. Where the estimate is 0 because x is beyond the clip (POLYNOMIAL: |x| >= 1), dx is +0 whatever dy
/// is. A NaN in x gives a NaN. Errors: NULL, STRIDE, ALIGNMENT, OVERFLOW, THREADS, ISA, ESTIMATOR.
HT_API ht_status ht_sign_gradient_f32(size_t rows, size_t columns, const ht_sign_estimator *estimator, const float *x,
                                      size_t x_stride, const float *threshold, const float *dy, size_t dy_stride,
                                      float *dx, size_t dx_stride, const ht_options *options);

/// The forward pass of a clipped estimator in one pass over x: bits as ht_sign_pack_f32 and, in `inside`, a bit where
/// |x - threshold| <= clip, so that x need not be kept. clip is finite and > 0. Errors: as ht_sign_pack_f32, ESTIMATOR.
HT_API ht_status ht_sign_pack_clipped_f32(size_t rows, size_t columns, float clip, const float *x, size_t x_stride,
                                          const float *threshold, uint64_t *bits, size_t bits_stride, uint64_t *inside,
                                          size_t inside_stride, const ht_options *options);

/// Its way back: dx = dy where the bit of `inside` is set, else +0. dx may be dy. Errors: as ht_sign_pack_f32.
HT_API ht_status ht_sign_gradient_clipped_f32(size_t rows, size_t columns, const uint64_t *inside, size_t inside_stride,
                                              const float *dy, size_t dy_stride, float *dx, size_t dx_stride,
                                              const ht_options *options);

/// BiPer's forward pass: bits of sign(sin(frequency x)), frequency 0 = 20, for the product as it is, not rounded: exact
/// up to |frequency x| = 2^16, however near a multiple of pi it lies. Beyond, infinities included, and for a NaN the
/// bit is that of +1. Errors: as ht_sign_pack_f32, ESTIMATOR.
HT_API ht_status ht_sign_pack_periodic_f32(size_t rows, size_t columns, float frequency, const float *x,
                                           size_t x_stride, uint64_t *bits, size_t bits_stride,
                                           const ht_options *options);

#ifdef __cplusplus
}
#endif

#endif
