// SPDX-License-Identifier: Apache-2.0
// What each step of training N:M sparse weights does besides its three products. The dense weights that the optimizer
// moves are the shadow weights; each step masks and packs them anew and moves all of them, pruned ones too.
//
//     ht_nm_step_pack_f32        shadow weights -> mask, forward blob, backward blob, in one pass
//     ht_nm_gemm_f32             Y = X * transpose(W)                 ht_nm_gemm_backward_f32    dX = dY * W
//     ht_weight_gradient_f32     dW = transpose(dY) * X
//     ht_sgd_f32, ht_adamw_f32   dW, decayed where the mask is 0 (SR-STE), moves the shadow weights
#ifndef HALFTONE_TRAINING_H
#define HALFTONE_TRAINING_H

#include "bimask.h"
#include "nm_gradient.h"

#ifdef __cplusplus
extern "C" {
#endif

/// What ht_nm_step_pack_f32 writes; any of these may be null, then it is not made.
typedef struct ht_nm_step {
    uint8_t *mask;       // the magnitude mask, as ht_nm_mask_f32
    size_t mask_stride;
    void *forward;       // the forward blob, as ht_nm_pack_f32 or ht_nm_pack_bf16 with that mask
    size_t forward_size;
    void *backward;  // the backward blob, as ht_nm_backward_pack_f32 or ..._bf16 with ht_bimask_backward_f32's mask
    size_t backward_size;
    const uint32_t *permutation;  // of the backward mask; null = the rows' own order
    ht_dtype dtype;  // of both blobs: F32 (the default) or BF16 (rounded to nearest, ties to even; masks are by f32)
} ht_nm_step;

/// Masks and packs shadow weights for both directions in one pass: byte for byte what these calls write one after the
/// other. The sizes of the blobs are those of ht_nm_packed_size and ht_nm_backward_packed_size. Errors: as
/// ht_nm_pack_f32, PERMUTATION, MEMORY; PATTERN for rows or taps that share patterns.
HT_API ht_status ht_nm_step_pack_f32(size_t o, size_t k, size_t n, size_t m, const float *w, size_t w_stride,
                                     const ht_nm_step *step, const ht_options *options);

/// The same for filters. Errors: as ht_nm_step_pack_f32, CONV, DEPTHWISE.
HT_API ht_status ht_nm_conv_step_pack_f32(const ht_conv_shape *shape, size_t n, size_t m, const float *w,
                                          size_t w_stride, const ht_nm_step *step, const ht_options *options);

/// The gradient that an optimizer takes, and the decay of pruned weights (Zhou et al. 2021, SR-STE): where a bit of
/// `mask` is 0, decay * w is added to dw. A zeroed struct adds nothing.
typedef struct ht_sr_ste {
    const uint8_t *mask;  // as ht_nm_mask_f32 writes it, or null: no decay
    size_t mask_stride;
    float decay;  // 2e-4 in the published code
} ht_sr_ste;

/// dw = dw + decay * w where the mask is 0, each rounded once (a fused multiply-add); elsewhere dw stays as it is. For
/// other optimizers than those below. Errors: NULL, STRIDE, ALIGNMENT, OVERFLOW, THREADS, ISA, OPTIMIZER.
HT_API ht_status ht_sr_ste_f32(size_t o, size_t k, const float *w, size_t w_stride, const ht_sr_ste *sr_ste, float *dw,
                               size_t dw_stride, const ht_options *options);

/// Stochastic gradient descent as in PyTorch (whose first step does not dampen). Zeros mean: no momentum, no decay.
typedef struct ht_sgd {
    float rate;  // the learning rate
    float momentum;  // 0 ..< 1
    float dampening;
    float weight_decay;  // added to the gradient: weight_decay * w
    int nesterov;  // needs momentum > 0 and dampening = 0
} ht_sgd;

/// One step: g = dw + SR-STE's decay + weight_decay w; v = momentum v + (1 - dampening) g; w -= rate s, with s = g +
/// momentum v for NESTEROV and v else. velocity: as w, with its stride, zeroed before the first step; null where
/// momentum is 0, then v = g. dw stays as it is. A product and the sum it is in are one fused multiply-add and all else
/// is rounded as written, so results have the same bits on every ISA.
/// Errors: NULL, STRIDE, ALIGNMENT, OVERFLOW, THREADS, ISA, OPTIMIZER.
HT_API ht_status ht_sgd_f32(size_t o, size_t k, const ht_sgd *sgd, const ht_sr_ste *sr_ste, const float *dw,
                            size_t dw_stride, float *velocity, float *w, size_t w_stride, const ht_options *options);

/// AdamW (Loshchilov and Hutter 2019) as in PyTorch. Zeros mean: beta1 0.9, beta2 0.999, epsilon 1e-8, no decay.
typedef struct ht_adamw {
    float rate;
    float beta1, beta2;  // 0 < beta < 1
    float epsilon;
    float weight_decay;
    size_t step;  // the number of this step, from 1 on
} ht_adamw;

/// One step: g = dw + SR-STE's decay; mean += (1 - beta1) (g - mean); square = beta2 square + (1 - beta2) g g; then
/// w = (1 - rate weight_decay) w - rate / (1 - beta1^step) * mean / (sqrt(square) / sqrt(1 - beta2^step) + epsilon).
/// mean and square: as w, with its stride, zeroed before the first step. Rounding and errors: as ht_sgd_f32.
HT_API ht_status ht_adamw_f32(size_t o, size_t k, const ht_adamw *adamw, const ht_sr_ste *sr_ste, const float *dw,
                              size_t dw_stride, float *mean, float *square, float *w, size_t w_stride,
                              const ht_options *options);

#ifdef __cplusplus
}
#endif

#endif
