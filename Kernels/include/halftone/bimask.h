// SPDX-License-Identifier: Apache-2.0
// Bi-directional masks (Zhang et al. 2023, "Bi-directional masks for efficient N:M sparse training"): the forward mask
// is N:M along the rows of W, and inside it a backward mask is N:M along its columns, the output channels, taken in the
// order of a permutation. So the backward product dX = dY * W is sparse too, and the forward weights lose nothing.
//
// Which permutation: one that lets the backward mask keep many of the forward mask's entries. A block is M consecutive
// places of a column; of its s entries min(N, s) survive. Only the blocks' members matter, not their order.
//
// Filters: rows are the filters, columns all taps and input channels of a group; places and permutation stay inside
// each group of a convolution, as in ht_nm_conv_backward_pack_f32.
#ifndef HALFTONE_BIMASK_H
#define HALFTONE_BIMASK_H

#include "nm_conv.h"

#ifdef __cplusplus
extern "C" {
#endif

/// The backward mask inside a forward mask: in each column and each block of M places (place j is row permutation[j],
/// or j where it is null; the last block of a column is shorter) the N entries of `forward` with the largest |w|, of
/// equal ones those at lower places; NaNs first. It lies in the rows' own order. A null `forward` keeps all weights.
/// `backward` may be `forward`. Errors: as ht_nm_mask_f32, PERMUTATION, MEMORY; shared_rows is not used.
HT_API ht_status ht_bimask_backward_f32(size_t o, size_t k, size_t n, size_t m, const float *w, size_t w_stride,
                                        const uint8_t *forward, size_t forward_stride, const uint32_t *permutation,
                                        uint8_t *backward, size_t backward_stride, const ht_options *options);
HT_API ht_status ht_bimask_conv_backward_f32(const ht_conv_shape *shape, size_t n, size_t m, const float *w,
                                             size_t w_stride, const uint8_t *forward, size_t forward_stride,
                                             const uint32_t *permutation, uint8_t *backward, size_t backward_stride,
                                             const ht_options *options);

/// What a permutation is judged by.
typedef enum ht_bimask_scorer {
    HT_BIMASK_SURVIVORS = 0,  // the entries that survive, the sum over blocks of min(N, s): the published code
    HT_BIMASK_ELIGIBLE = 1,  // the blocks that lose none, s <= N: the published text
} ht_bimask_scorer;

/// How a permutation is searched for.
typedef enum ht_bimask_method {
    HT_BIMASK_ASSIGNMENT = 0,  // again and again, one row is taken out of every block, and all of these are put back at
                               // once where they gain most, an exact linear assignment. Never loses.
    HT_BIMASK_SWAPS = 1,  // two rows of different blocks are exchanged, at random, where that gains
    HT_BIMASK_RANDOM = 2,  // the best of some random permutations: the published search
} ht_bimask_method;

/// Zeros mean: SURVIVORS, ASSIGNMENT, a seed of 0, and as many steps as the published search has candidates, 100
/// (RANDOM), 20 for each row (SWAPS), or until M assignments, in which each row has its turn, gained no more than one
/// in 2,000 of the score (ASSIGNMENT).
typedef struct ht_bimask_rules {
    ht_bimask_scorer scorer;
    ht_bimask_method method;
    uint64_t seed;  // the same seed gives the same permutation on every machine, for any thread count
    size_t steps;  // assignments, tried swaps or candidates; 0 = as above
} ht_bimask_rules;

/// The score of a permutation (null: the rows' own order). Errors: as ht_nm_mask_f32, PERMUTATION, MEMORY.
HT_API ht_status ht_bimask_score(size_t o, size_t k, size_t n, size_t m, ht_bimask_scorer scorer, const uint8_t *mask,
                                 size_t mask_stride, const uint32_t *permutation, uint64_t *score,
                                 const ht_options *options);
HT_API ht_status ht_bimask_conv_score(const ht_conv_shape *shape, size_t n, size_t m, ht_bimask_scorer scorer,
                                      const uint8_t *mask, size_t mask_stride, const uint32_t *permutation,
                                      uint64_t *score, const ht_options *options);

/// Searches for a permutation of the rows of a forward mask. permutation: o numbers, where to start: a permutation, as
/// the last search left it; then the result, which never has a lower score, so RANDOM keeps it where no candidate is
/// better. score: the result's, or null. Null rules are zeros. Errors: as ht_bimask_score; PATTERN for an unknown
/// scorer or method.
HT_API ht_status ht_bimask_search(size_t o, size_t k, size_t n, size_t m, const uint8_t *mask, size_t mask_stride,
                                  const ht_bimask_rules *rules, uint32_t *permutation, uint64_t *score,
                                  const ht_options *options);
HT_API ht_status ht_bimask_conv_search(const ht_conv_shape *shape, size_t n, size_t m, const uint8_t *mask,
                                       size_t mask_stride, const ht_bimask_rules *rules, uint32_t *permutation,
                                       uint64_t *score, const ht_options *options);

#ifdef __cplusplus
}
#endif

#endif
