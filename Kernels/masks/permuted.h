// SPDX-License-Identifier: Apache-2.0
// Rows of weights in the order of a permutation, cut into blocks: what groups of M are along columns.
#ifndef HT_MASKS_PERMUTED_H
#define HT_MASKS_PERMUTED_H

#include "core/memory.h"
#include "halftone/conv.h"

/// The rows of a matrix, or the filters of a convolution: places and blocks begin anew in each of its groups.
typedef struct ht_permuted {
    size_t groups, group_rows, columns;
    size_t n, m;
    const uint32_t *permutation;  // place j is row permutation[j]; null: row j
} ht_permuted;

/// Errors: as ht_nm_conv_make, OVERFLOW.
ht_status ht_permuted_filters(const ht_conv_shape *shape, size_t n, size_t m, const uint32_t *permutation,
                              ht_permuted *permuted);

/// Errors: PATTERN, ALIGNMENT, PERMUTATION, MEMORY.
ht_status ht_permuted_check(const ht_permuted *permuted);

static inline size_t ht_permuted_rows(const ht_permuted *p) { return p->groups * p->group_rows; }

static inline size_t ht_permuted_group_blocks(const ht_permuted *p) { return ht_ceil_div(p->group_rows, p->m); }

/// The rows of a block, of all groups' blocks; returns how many there are: M, or fewer in a group's last block.
static inline size_t ht_permuted_block(const ht_permuted *p, size_t block, size_t rows[64]) {
    const size_t blocks = ht_permuted_group_blocks(p), group = block / blocks, first = block % blocks * p->m;
    const size_t count = ht_min(p->m, p->group_rows - first);
    for (size_t i = 0; i < count; i++) {
        const size_t place = group * p->group_rows + first + i;
        rows[i] = p->permutation ? p->permutation[place] : place;
    }
    return count;
}

#endif
