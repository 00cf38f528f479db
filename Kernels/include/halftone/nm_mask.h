// SPDX-License-Identifier: Apache-2.0
// More masks of N:M sparse weights than by magnitude alone (ht_nm_mask_f32), for training: refreshed, N:M both ways,
// and learnt by scores. Masks lie in memory as ht_nm_mask_f32 writes them.
#ifndef HALFTONE_NM_MASK_H
#define HALFTONE_NM_MASK_H

#include "nm_conv.h"

#ifdef __cplusplus
extern "C" {
#endif

/// What ht_nm_mask_f32 writes, from a mask that was right for earlier weights: groups whose kept weights are still the
/// largest are not ranked again, and bytes of the mask that stay are not written. changed: the number of weights that
/// the mask now keeps and did not keep before ("flips" of Zhou et al. 2021), or null. A mask that is no N:M mask is put
/// right as well. Errors: as ht_nm_mask_f32.
HT_API ht_status ht_nm_mask_refresh_f32(size_t o, size_t k, size_t n, size_t m, const float *w, size_t w_stride,
                                        uint8_t *mask, size_t mask_stride, size_t *changed, const ht_options *options);

/// The same for filters. Errors: as ht_nm_conv_mask_f32.
HT_API ht_status ht_nm_conv_mask_refresh_f32(const ht_conv_shape *shape, size_t n, size_t m, const float *w,
                                             size_t w_stride, uint8_t *mask, size_t mask_stride, size_t *changed,
                                             const ht_options *options);

/// How good a transposable mask has to be. The exact one is found in less time than the two others take, at every
/// pattern (Kernels/masks/README.md has figures), so that all three write it.
typedef enum ht_transposable_method {
    HT_TRANSPOSABLE_EXACT = 0,  // the largest sum of |w| that there is
    HT_TRANSPOSABLE_GREEDY = 1,  // at least that of entries by descending |w| where row and column have room, filled
                                 // up, then exchanges of two entries while any gains (Hubara et al. 2021)
    HT_TRANSPOSABLE_DYKSTRA = 2,  // at least that of an entropy-regularised transport plan by Dykstra's projections,
                                  // rounded, then exchanges (Meng et al. 2025, TSENOR)
} ht_transposable_method;

/// A mask that is N:M both ways (Hubara et al. 2021, "Accelerated sparse neural training"): W is cut into tiles of M
/// rows and M columns, and in each tile each row and each column keeps N weights, so that the sum of |w| is the largest
/// that there is. The last tiles of fewer rows or columns are solved as if weights of 0, smaller than any weight, lay
/// behind the edge: a row or column of M weights keeps N of them, a shorter one N or fewer.
///
/// Sums are compared exactly, in integers: a weight counts as 1 + |w| in units of 2^-26 (M <= 8), 2^-25 (M <= 16) or
/// 2^-24 of the power of two above the largest finite |w| of its tile (2^-125 where there is none or only smaller
/// ones), rounded down. So what is kept is at most N M units below the largest sum of |w| itself. Infinities and NaNs
/// count the same, as more than M finite weights, so that a tile keeps as many of them as it can; in such a tile units
/// are 2^(1 + ceil(log2 M)) times as large. Of masks with equal sums it is not said which one is found, but it is the
/// same on every ISA and for any thread count. Patterns: 1 <= N <= M <= 32. Errors: as ht_nm_mask_f32, ISA; PATTERN for
/// M > 32, an unknown method, and rows that share patterns.
HT_API ht_status ht_nm_transposable_mask_f32(size_t o, size_t k, size_t n, size_t m, ht_transposable_method method,
                                             const float *w, size_t w_stride, uint8_t *mask, size_t mask_stride,
                                             const ht_options *options);
HT_API ht_status ht_nm_transposable_mask_f16(size_t o, size_t k, size_t n, size_t m, ht_transposable_method method,
                                             const uint16_t *w, size_t w_stride, uint8_t *mask, size_t mask_stride,
                                             const ht_options *options);
HT_API ht_status ht_nm_transposable_mask_bf16(size_t o, size_t k, size_t n, size_t m, ht_transposable_method method,
                                              const uint16_t *w, size_t w_stride, uint8_t *mask, size_t mask_stride,
                                              const ht_options *options);

/// The exact mask from one that was exact for earlier weights: tiles in which it still is, or is as good, are left
/// alone. changed as in ht_nm_mask_refresh_f32. A mask that is none is put right as well. Errors: as
/// ht_nm_transposable_mask_f32.
HT_API ht_status ht_nm_transposable_refresh_f32(size_t o, size_t k, size_t n, size_t m, const float *w, size_t w_stride,
                                                uint8_t *mask, size_t mask_stride, size_t *changed,
                                                const ht_options *options);

/// Masks of filters that are N:M both ways at each tap: along its input channels and along the output channels of a
/// group. Tiles begin anew at each tap and group. Errors: as ht_nm_transposable_mask_f32, CONV, DEPTHWISE, MEMORY.
HT_API ht_status ht_nm_conv_transposable_mask_f32(const ht_conv_shape *shape, size_t n, size_t m,
                                                  ht_transposable_method method, const float *w, size_t w_stride,
                                                  uint8_t *mask, size_t mask_stride, const ht_options *options);
HT_API ht_status ht_nm_conv_transposable_refresh_f32(const ht_conv_shape *shape, size_t n, size_t m, const float *w,
                                                     size_t w_stride, uint8_t *mask, size_t mask_stride,
                                                     size_t *changed, const ht_options *options);

/// Learning the best combination (Zhang et al. 2022, "Learning best combination for efficient N:M sparsity"): each
/// group has a score for each of its patterns, the M!/(N!(M-N)!) ways to keep N of M, in ascending order of the number
/// whose bit j is column j. scores: o rows of groups * patterns floats, groups = ceil(k / M); a removed pattern has the
/// score -infinity. M <= 16 and at most 4096 patterns.
///
/// The number of patterns. Errors: PATTERN, NULL.
HT_API ht_status ht_nm_pattern_count(size_t n, size_t m, size_t *patterns);

/// What the published schedule leaves at a time of progress (0 at its start, 1 at its end) of `patterns`:
/// 1 + ceil((patterns - 1) (1 - progress)^3), progress taken as inside 0 ... 1.
HT_API size_t ht_nm_pattern_schedule(size_t patterns, double progress);

/// Scores before training: 1 / (number of patterns that keep a column), so that each column's scores sum to 1.
/// Patterns that keep a column behind the end of a row instead of one inside it begin removed. Errors: PATTERN, NULL,
/// STRIDE, ALIGNMENT, OVERFLOW.
HT_API ht_status ht_nm_pattern_scores_f32(size_t o, size_t k, size_t n, size_t m, float *scores, size_t scores_stride);

/// Removes the lowest scores of each group until `remaining` patterns are left (of equal ones the last; at least 1
/// stays; a NaN is the lowest), then writes the mask of all columns that a remaining pattern keeps. Errors: PATTERN,
/// NULL, STRIDE, ALIGNMENT, OVERFLOW, THREADS.
HT_API ht_status ht_nm_pattern_mask_f32(size_t o, size_t k, size_t n, size_t m, size_t remaining, float *scores,
                                        size_t scores_stride, uint8_t *mask, size_t mask_stride,
                                        const ht_options *options);

/// The gradient of the scores, straight through the mask: with s(c) the sum of the remaining scores that keep column c,
/// gradient[p] = sum over the columns c of pattern p of dW(c) w(c) / s(c), for remaining patterns while more than one
/// is left in the group, else 0. `gradient` lies as `scores`. A column with s(c) = 0 adds 0. Errors: PATTERN, NULL,
/// STRIDE, ALIGNMENT, OVERFLOW, THREADS.
HT_API ht_status ht_nm_pattern_gradient_f32(size_t o, size_t k, size_t n, size_t m, const float *w, size_t w_stride,
                                            const float *dw, size_t dw_stride, const float *scores,
                                            size_t scores_stride, float *gradient, size_t gradient_stride,
                                            const ht_options *options);

#ifdef __cplusplus
}
#endif

#endif
