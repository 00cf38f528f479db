// SPDX-License-Identifier: Apache-2.0
// A mask as rows of whole lines, and its blocks in the order of a permutation.
#ifndef HT_MASKS_BIT_ROWS_H
#define HT_MASKS_BIT_ROWS_H

#include "search.h"

/// A group of rows of a mask, copied to lines of the caches.
typedef struct ht_bit_matrix {
    uint64_t *bits;         // null: nothing is to be counted
    size_t rows, lines, columns;
    size_t m;
    ht_worth worth;
    const ht_bimask_calls *calls;
    int threads;
} ht_bit_matrix;

static inline const uint64_t *ht_bit_row(const ht_bit_matrix *a, size_t row) {
    return a->bits + row * a->lines * HT_LINE_WORDS;
}

static inline size_t ht_bit_blocks(const ht_bit_matrix *a) { return ht_ceil_div(a->rows, a->m); }

static inline size_t ht_bit_block_rows(const ht_bit_matrix *a, size_t block) {
    return ht_min(a->m, a->rows - block * a->m);
}

/// What a block is worth whose rows these are; columns that are not worth anything count from above if ELIGIBLE.
static inline uint64_t ht_bit_block_score(const ht_bit_matrix *a, const uint32_t *rows, size_t count) {
    const uint64_t *row[HT_BLOCK_ROWS];
    for (size_t i = 0; i < count; i++) row[i] = ht_bit_row(a, rows[i]);
    const ht_bit_rows block = {row, count, a->lines};
    const uint64_t score = a->calls->score(&block, &a->worth);
    return a->worth.scorer == HT_BIMASK_SURVIVORS ? score : a->columns - score;
}

/// Of an order of all rows.
uint64_t ht_bit_score(const ht_bit_matrix *a, const uint32_t *order);

#endif
