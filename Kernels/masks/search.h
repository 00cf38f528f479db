// SPDX-License-Identifier: Apache-2.0
// What the searches for permutations of Bi-Mask share: the mask as rows of bits, and what each ISA brings to them.
#ifndef HT_MASKS_SEARCH_H
#define HT_MASKS_SEARCH_H

#include "core/isa.h"
#include "halftone/bimask.h"
#include "permuted.h"

enum {
    HT_LINE_BITS = 512,          // a line of the caches
    HT_LINE_WORDS = 8,
    HT_BLOCK_ROWS = 64,          // the largest M
    HT_ASSIGNED = HT_LINE_BITS,  // rows that are assigned to as many blocks at once
    HT_TABLE_WORDS = (HT_LINE_BITS + 1) * HT_LINE_WORDS,
};

/// Some rows of the mask, each `lines` lines of bits, zero behind the columns.
typedef struct ht_bit_rows {
    const uint64_t *const *row;
    size_t count, lines;
} ht_bit_rows;

/// What a column of a block is worth: SURVIVORS min(n, s), ELIGIBLE 1 unless s > n.
typedef struct ht_worth {
    size_t n;
    ht_bimask_scorer scorer;
} ht_worth;

/// What a row costs a block that it is put into: the bits that both have in a column.
typedef struct ht_costs_task {
    ht_bit_rows rows;       // count <= HT_ASSIGNED
    size_t planes;          // of a count of all of a row's bits
    const uint64_t *table;  // of a line of all rows: for each of its columns a line, a bit for each
                            // block; and a line of zeros
    size_t line;            // which it is
    uint64_t *sums;  // of each row `planes` lines: bit i of the count of a block is in line i. The first line sets
                     // them, the others add to them.
} ht_costs_task;

/// The two smallest of some numbers, of equal ones the first.
typedef struct ht_two_smallest {
    int32_t value[2];
    size_t at[2];
} ht_two_smallest;

/// Paths from a row to all columns, some of which are closed.
typedef struct ht_paths {
    int32_t *distance;
    int32_t *from;  // the row that a path comes from
    const int32_t *bias;  // 0: a free column, 1: a taken one, or what keeps it from being the nearest
    const int32_t *price;
    size_t count;  // a multiple of 16
} ht_paths;

/// What one ISA brings. All give the same numbers.
typedef struct ht_bimask_calls {
    /// What a block of such rows is worth, in all columns; what is subtracted from the number of columns, if ELIGIBLE.
    uint64_t (*score)(const ht_bit_rows *rows, const ht_worth *worth);
    /// The columns in which one more bit would be lost, or, if ELIGIBLE, the column.
    void (*fill)(const ht_bit_rows *rows, const ht_worth *worth, uint64_t *full);
    void (*add_costs)(const ht_costs_task *task);
    /// Sums of one row as numbers, `count` a multiple of 16; lowers the `least` of each block to them.
    void (*spread)(const uint64_t *sums, size_t planes, size_t count, int32_t *costs, int32_t *least);
    ht_two_smallest (*two_smallest)(const int32_t *cost, const int32_t *price, size_t count);
    /// Shortens what paths it can by way of `row`, whose paths have the length cost[j] - price[j] + base. Returns the
    /// column that is nearest, counted as 2 * distance + bias, the first of equal ones.
    size_t (*relax)(const ht_paths *paths, const int32_t *cost, int32_t base, int32_t row);
} ht_bimask_calls;

/// A row of the table is a function without arguments that returns these.
typedef const ht_bimask_calls *ht_bimask_row(void);

ht_bimask_row ht_bimask_search_ref, ht_bimask_search_avx2, ht_bimask_search_avx512, ht_bimask_search_avx512popcnt;
extern const ht_entry ht_bimask_search_table[];

#endif
