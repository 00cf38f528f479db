// SPDX-License-Identifier: Apache-2.0
// The direct design, shared by every ISA: the loops round a kernel that counts the differences between some pixels and
// some outputs. README.md explains it.
#ifndef HT_BINARY_TILES_H
#define HT_BINARY_TILES_H

#include "core/sums.h"
#include "views.h"

enum {
    HT_BINARY_ROWS = 14,                      // pixels of a tile, and
    HT_BINARY_COLUMNS = 2 * HT_BINARY_BLOCK,  // outputs: 28 sums fill the registers of AVX-512 but for four
    HT_BINARY_TILES_AT_LEAST = 8,             // that pairs of blocks meet one after the other, and at most:
    HT_BINARY_TILES_AT_ONCE = 288,
    HT_BINARY_NEAR_BYTES = 1 << 20,           // of X and Y that they take up
    HT_BINARY_AHEAD = 2048,  // words of weights that are fetched before the rows of one tile meet them
    HT_BINARY_RUNS = 1 << 12  // of all views of a convolution, to be kept
};

/// What becomes of the counts d of a tile's outputs.
typedef struct ht_binary_finish {
    bool bits;  // or else sums:
    bool adds;  // start + d, or else start - 2 d
    int32_t start[HT_BINARY_COLUMNS];
    bool reals;  // which become floats, sum * scale + bias between low and high
    float scale[HT_BINARY_COLUMNS], bias[HT_BINARY_COLUMNS], low, high;
    bool narrow;  // counts are below INT16_MAX, and cuts >= 0
    int32_t cut[HT_BINARY_COLUMNS];  // a bit is set where d >= cut,
    uint32_t flip;  // xor this; outputs that are not there have a cut above all counts and no flip
} ht_binary_finish;

/// Some pixels against some outputs.
typedef struct ht_binary_tile {
    size_t rows;  // 1 ... 14
    const char *const *x;  // where each row's words begin that runs count from
    const ht_binary_run *runs;
    size_t run_count;
    const uint32_t *w;  // the words of the first block
    size_t block_words;  // from the first to the second
    size_t blocks;  // 1 or 2
    size_t ahead;  // words from weights to those that few rows are to fetch, or 0
    size_t columns;  // outputs that are there, for sums
    char *const *y;  // where each row's outputs go, when y_offset bytes are added:
    size_t y_offset;  // int32_t sums, or 16 bits for each block
    const ht_binary_finish *finish;
} ht_binary_tile;

/// What one ISA brings to the shared loops.
typedef struct ht_binary_vectors {
    void (*tile)(const ht_binary_tile *tile);
    bool finishes_reals;  // the tile does, if a scale, a bias and limits are all there is
    ht_sums_store *store;
} ht_binary_vectors;

/// One thread's product with the kernels of one ISA.
void ht_binary_tiles_run(const ht_binary_vectors *vectors, const ht_binary_task *task);

/// Its scratch for t rows; `conv` may be null. Errors: OVERFLOW.
ht_status ht_binary_tiles_scratch(const ht_binary_layout *layout, const ht_conv *conv, size_t t, size_t *bytes);

#endif
