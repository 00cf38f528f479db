// SPDX-License-Identifier: Apache-2.0
// Backward masks with the vectors of any ISA: lanes are columns, and the rows of a block are read side by side.
// Included behind the vocabulary of ISA's file: HT_KEYS lanes; ht_keys, a key for each: |w| as an integer, or -1 where
// the forward bit is 0; ht_counts, and ht_bits, a bit for each lane, in their lowest.
#ifndef HT_MASKS_BACKWARD_CODE_H
#define HT_MASKS_BACKWARD_CODE_H

#include "backward.h"

HT_INLINE ht_keys load_row(const ht_backward_block *b, size_t row, size_t column, size_t count) {
    return ht_load_keys(b->w[row] + column, b->forward ? ht_load_bits(b->forward[row] + column / 8, count) : ~0u,
                        count);
}

// Blocks of so many rows, by loops that are unrolled for them or not.
//
// rank: every two rows are compared once; a row that loses to fewer than n is kept. Bound: three operations on two
// ports for each pair of rows, and four for each row: at M = 4 in AVX-512 13 cycles for 256 bytes. find: one row wins.
// Bound: five operations on two ports for each row.
#define DEFINE_BLOCK(name, rows, UNROLL)                                                                      \
    HT_INLINE void rank_##name(const ht_backward_block *b, size_t column, size_t count) {                     \
        ht_keys key[64];                                                                                      \
        ht_counts losses[64];                                                                                 \
        UNROLL                                                                                                \
        for (size_t i = 0; i < (rows); i++) {                                                                 \
            key[i] = load_row(b, i, column, count);                                                           \
            losses[i] = ht_splat_count((uint32_t)i);                                                          \
            UNROLL                                                                                            \
            for (size_t j = 0; j < i; j++) ht_compare(key[j], key[i], &losses[j], &losses[i]);                \
        }                                                                                                     \
        UNROLL                                                                                                \
        for (size_t i = 0; i < (rows); i++)                                                                   \
            ht_store_bits(b->backward[i] + column / 8, ht_is_kept(key[i], losses[i], (uint32_t)b->n), count); \
    }                                                                                                         \
                                                                                                              \
    HT_INLINE void find_##name(const ht_backward_block *b, size_t column, size_t count) {                     \
        ht_keys best = load_row(b, 0, column, count);                                                         \
        ht_counts winner = ht_splat_count(0);                                                                 \
        UNROLL                                                                                                \
        for (size_t i = 1; i < (rows); i++)                                                                   \
            ht_take_larger(load_row(b, i, column, count), (uint32_t)i, &best, &winner);                       \
        UNROLL                                                                                                \
        for (size_t i = 0; i < (rows); i++)                                                                   \
            ht_store_bits(b->backward[i] + column / 8, ht_is_winner(best, winner, (uint32_t)i), count);       \
    }                                                                                                         \
                                                                                                              \
    static void mask_##name(const ht_backward_block *b) {                                                     \
        size_t column = 0;                                                                                    \
        if (b->n == 1) {                                                                                      \
            for (; column + HT_KEYS <= b->columns; column += HT_KEYS) find_##name(b, column, HT_KEYS);        \
            if (column < b->columns) find_##name(b, column, b->columns - column);                             \
        } else {                                                                                              \
            for (; column + HT_KEYS <= b->columns; column += HT_KEYS) rank_##name(b, column, HT_KEYS);        \
            if (column < b->columns) rank_##name(b, column, b->columns - column);                             \
        }                                                                                                     \
    }

#define HT_ROLL
DEFINE_BLOCK(4, 4, HT_UNROLL)
DEFINE_BLOCK(8, 8, HT_UNROLL)
DEFINE_BLOCK(16, 16, HT_UNROLL)
DEFINE_BLOCK(any, b->rows, HT_ROLL)

static void mask_block(const ht_backward_block *b) {
    switch (b->rows) {
    case 4: mask_4(b); break;
    case 8: mask_8(b); break;
    case 16: mask_16(b); break;
    default: mask_any(b);
    }
}

#endif
