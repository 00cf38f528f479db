// SPDX-License-Identifier: Apache-2.0
// From dense weights to the slots of a packed blob.
#ifndef HT_NM_PACKING_H
#define HT_NM_PACKING_H

#include "image.h"

/// The weights of one group of a convolution, or of a matrix, and the blob that they go to.
typedef struct ht_nm_packing {
    ht_nm_layout layout;
    const void *w;
    size_t w_stride;
    bool rounds;             // w is f32 and the blob bf16
    const uint8_t *mask;     // null: the entries are the weights that are not zero
    size_t mask_stride;
    const uint32_t *permutation;  // of backward weights: place j is row permutation[j] of W; null: row first_row + j
    size_t first_row;        // of W for this group of a convolution
    void *packed;
    const struct ht_nm_step_calls *calls;  // null, or: what packs whole blocks from a mask
    const struct ht_nm_packing *forward;  // of the backward weights of a transposable blob: the forward ones. Else null
    const float *second;  // of branches: the weights of the second one
    size_t second_stride;
    const uint8_t *taps;  // and whether it has each of W\'s taps
} ht_nm_packing;

/// Bytes of a weight as it lies in W.
static inline size_t ht_nm_weight_bytes(const ht_nm_packing *job) { return job->rounds ? 4 : job->layout.value_bytes; }

/// Whether no group has more than n entries.
bool ht_nm_packing_fits(const ht_nm_packing *job);

/// Writes all of the blob but its slots and their fields.
void ht_nm_pack_ends(const ht_nm_packing *job);

/// Slots of a blob: of rows begin ..< end, where begin begins a bundle, and blocks begin ..< end. The padding behind
/// the last row belongs to it.
typedef struct ht_nm_slots {
    size_t row_begin, row_end;
    size_t block_begin, block_end;
} ht_nm_slots;

/// Writes these slots and their fields. `threads` as ht_parallel takes them.
void ht_nm_pack_slots(const ht_nm_packing *job, const ht_nm_slots *slots, int threads);

/// Writes the blob.
void ht_nm_pack_blob(const ht_nm_packing *job, int threads);

/// What a call is about: a matrix, or the filters of a convolution, forward or backward.
typedef struct ht_nm_pack_request {
    ht_nm_matrix of;  // of one group, without the shared rows
    size_t groups;
    size_t rows, columns;  // of W
    const uint32_t *permutation;
} ht_nm_pack_request;

ht_nm_pack_request ht_nm_matrix_request(ht_blob_kind kind, size_t o, size_t k, size_t n, size_t m, ht_dtype dtype,
                                        const uint32_t *permutation);

/// Errors: as ht_nm_conv_make, OVERFLOW.
ht_status ht_nm_filters_request(ht_blob_kind kind, const ht_conv_shape *shape, size_t n, size_t m, ht_dtype dtype,
                                const uint32_t *permutation, ht_nm_pack_request *request);

/// The bytes of the blobs of all groups. Errors: as ht_nm_packed_size.
ht_status ht_nm_asked_size(const ht_nm_pack_request *asked, const ht_options *options, size_t *size);

/// Checks everything and packs. Errors: as ht_nm_pack_f32, PERMUTATION, MEMORY.
ht_status ht_nm_pack_asked(const ht_nm_pack_request *asked, ht_nm_packing job, size_t packed_size,
                           const ht_options *options);

/// Lays the blobs of all groups out and checks the operands of `job`, all but the permutation. Errors: as
/// ht_nm_pack_f32 but NOT_SPARSE.
ht_status ht_nm_pack_prepare(const ht_nm_pack_request *asked, ht_nm_packing *job, size_t packed_size,
                             const ht_options *options);

/// Errors: ALIGNMENT, PERMUTATION, MEMORY.
ht_status ht_nm_check_permutations(const ht_nm_pack_request *asked);

/// The part of `all` that is of one group.
ht_nm_packing ht_nm_packing_of_group(const ht_nm_packing *all, const ht_nm_pack_request *asked, size_t group);

#endif
