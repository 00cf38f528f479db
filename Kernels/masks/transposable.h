// SPDX-License-Identifier: Apache-2.0
// Masks that are N:M both ways. What every kernel does to a tile of M x M weights; README.md says why it is exact:
//
//   1. Weights become integers, see ht_transposable_bits. Places behind an edge are 0, so that all tiles are whole.
//   2. Prices: ht_transposable_sweeps times, rows and then columns get the price that lies half-way, rounded down,
//      between the Nth and the N+1st largest of their weights less the prices that cross them; columns begin at 0.
//   3. Each row keeps its N largest weights less the columns' prices, of equals the lower columns.
//   4. While some column is kept by more than N rows: along the best path from one of these to one that is kept by
//      fewer, where each step is from a column to another in a row that keeps the one and not the other, rows exchange
//      the one for the other.
//
// Of equals the lower column, row or end of a path is taken, and of equal paths one with the fewest steps. 2:4 has a
// way of its own: rows in two pairs that keep the opposite of each other, of equal ones the first in the order of
// {0,1}{2,3}, {0,2}{1,3}, {0,3}{1,2}; of a pair the lower row keeps the 2 columns where it is larger than the other by
// most, of equals the lower ones.
#ifndef HT_MASKS_TRANSPOSABLE_H
#define HT_MASKS_TRANSPOSABLE_H

#include "core/isa.h"
#include "core/memory.h"

enum { HT_TRANSPOSABLE_MOST = 32 };

/// The logarithm of the power of two that is not below m.
static inline int ht_transposable_log(size_t m) {
    int log = 0;
    while ((size_t)1 << log < m) log++;
    return log;
}

/// Weights become integers of so many bits: |w| over the power of two above the largest finite |w| of its tile, rounded
/// down, and 1 more. Where a tile has infinities or NaNs, these are 2^bits, and the others have log(m) + 1 bits less,
/// so that m of them are less than one of those. A path of m steps stays below 2^30.
static inline int ht_transposable_bits(size_t m) { return 29 - (m > 8 ? ht_transposable_log(m) : 3); }

/// More of them leave fewer tiles to exchange in. A price is at most so many times the largest weight.
static inline int ht_transposable_sweeps(size_t m) { return m > 8 ? 8 : 5; }

/// A row of tiles, or a part of it that begins with a tile.
typedef struct ht_transposable_task {
    size_t n, m;  // n < m
    size_t rows, columns;  // rows <= m
    ht_dtype dtype;
    const void *w;
    size_t w_stride;
    uint8_t *mask;  // zeros
    size_t mask_stride;
    const uint8_t *before;  // a mask of the same size, or null: where it is known to be exact, it may be written again
    size_t before_stride;
} ht_transposable_task;

typedef void ht_transposable_kernel(const ht_transposable_task *task);

ht_transposable_kernel ht_transposable_mask_ref, ht_transposable_mask_avx2, ht_transposable_mask_avx512,
    ht_transposable_mask_neon;
extern const ht_entry ht_transposable_mask_table[];

/// The bits of a row of a mask from a column on, at most 32.
static inline uint32_t ht_transposable_bits_at(const uint8_t *row, size_t column, size_t columns) {
    if (columns == 8 && column % 8 == 0) return row[column / 8];
    uint64_t bits = 0;
    for (size_t byte = column / 8; byte <= (column + columns - 1) / 8; byte++)
        bits |= (uint64_t)row[byte] << 8 * (byte - column / 8);
    return (uint32_t)(bits >> column % 8 & (((uint64_t)1 << columns) - 1));
}

#endif
