// SPDX-License-Identifier: Apache-2.0
// Backward masks with the vectors of any ISA: lanes are columns, and the rows of a block are read side by side.
// Included behind the vocabulary of ISA's file: HT_KEYS lanes; ht_keys, a key for each: |w| as an integer, or -1 where
// the forward bit is 0; ht_counts, and ht_bits, a bit for each lane, in their lowest.
#ifndef HT_MASKS_BACKWARD_CODE_H
#define HT_MASKS_BACKWARD_CODE_H

#include "backward.h"

enum { HT_KEY_BYTES = HT_KEYS / 8 };

HT_INLINE ht_keys load_row(const ht_backward_block *b, size_t row, size_t column, size_t count) {
    return ht_load_keys(b->w[row] + column, b->forward ? ht_load_bits(b->forward[row] + column / 8, count) : ~0u,
                        count);
}

// Every two rows are compared once; a row that loses to fewer than n is kept.
// Bound: three operations on two ports for each pair of rows, and four for each row: at M = 4 13 cycles for 256 bytes.
HT_INLINE void rank_rows(const ht_backward_block *b, size_t column, size_t count, const size_t rows) {
    ht_keys key[64];
    ht_counts losses[64];
    HT_UNROLL
    for (size_t i = 0; i < rows; i++) {
        key[i] = load_row(b, i, column, count);
        losses[i] = ht_splat_count((uint32_t)i);
        HT_UNROLL
        for (size_t j = 0; j < i; j++) ht_compare(key[j], key[i], &losses[j], &losses[i]);
    }
    HT_UNROLL
    for (size_t i = 0; i < rows; i++)
        ht_store_bits(b->backward[i] + column / 8, ht_is_kept(key[i], losses[i], (uint32_t)b->n), count);
}

// One row wins. Bound: five operations on two ports for each row.
HT_INLINE void find_largest(const ht_backward_block *b, size_t column, size_t count, const size_t rows) {
    ht_keys best = load_row(b, 0, column, count);
    ht_counts winner = ht_splat_count(0);
    HT_UNROLL
    for (size_t i = 1; i < rows; i++) ht_take_larger(load_row(b, i, column, count), (uint32_t)i, &best, &winner);
    HT_UNROLL
    for (size_t i = 0; i < rows; i++)
        ht_store_bits(b->backward[i] + column / 8, ht_is_winner(best, winner, (uint32_t)i), count);
}

HT_INLINE void mask_columns(const ht_backward_block *b, const size_t rows, const bool one) {
    for (size_t column = 0; column < b->columns; column += HT_KEYS) {
        const size_t left = b->columns - column, count = left < HT_KEYS ? left : HT_KEYS;
        if (one)
            find_largest(b, column, count, rows);
        else
            rank_rows(b, column, count, rows);
    }
}

// Other numbers of rows are those of last blocks and of rare patterns.
static void mask_block(const ht_backward_block *b) {
    switch (b->n == 1 ? b->rows : 64 + b->rows) {
    case 4: mask_columns(b, 4, true); break;
    case 8: mask_columns(b, 8, true); break;
    case 16: mask_columns(b, 16, true); break;
    case 64 + 4: mask_columns(b, 4, false); break;
    case 64 + 8: mask_columns(b, 8, false); break;
    case 64 + 16: mask_columns(b, 16, false); break;
    default: ht_bimask_backward_f32_ref(b);
    }
}

#endif
