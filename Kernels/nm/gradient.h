// SPDX-License-Identifier: Apache-2.0
// The sampled weight gradient: how it is cut into pieces. README.md explains the design and its bound.
#ifndef HT_NM_GRADIENT_CUTS_H
#define HT_NM_GRADIENT_CUTS_H

#include "kernels.h"

enum {
    HT_NM_CHAINS = 16,          // of additions for an entry
    HT_NM_PAIRS = 8,            // chains j and j + 8, whose sums are added first
    HT_NM_TILE_FLOATS = 8192,   // of X: two thirds of a 48 KB L1
    HT_NM_TILE_MARGIN = 64,     // floats that picks may load behind a tile
    HT_NM_TILE_ENTRIES = 64     // of a row, at most
};

/// Columns of one block whose entries are summed together. What has an index is of that entry of a row.
typedef struct ht_nm_tile {
    size_t block, column, columns;  // the first is counted from the block's first
    size_t entry, entries;          // the first is counted from the row's first
    size_t reach;                   // columns that an entry may come from: a power of two
    size_t base[HT_NM_TILE_ENTRIES];      // the first of them, counted from the tile's first
    size_t unit[HT_NM_TILE_ENTRIES];      // where its index is
    uint32_t right[HT_NM_TILE_ENTRIES];   // by how many bits
    uint32_t offset[HT_NM_TILE_ENTRIES];  // from what the index counts from to `base`
} ht_nm_tile;

/// The samples that are summed together: all of some pairs of chains, or a piece of one pair.
typedef struct ht_nm_part {
    size_t pair, pairs;
    size_t sample, samples;  // of each chain
    bool first, last;        // whether the chains begin and end here
} ht_nm_part;

typedef struct ht_nm_parts {
    size_t pairs, pieces, samples;
    size_t length;  // samples of a chain
    size_t count;
} ht_nm_parts;

/// Sample number `sample` of the chains of a pair. Pairs are numbered in the order in which neighbours are added, then
/// their sums: chains 0 4 2 6 1 5 3 7.
static inline size_t ht_nm_sample(size_t pair, size_t sample, size_t upper) {
    return sample * HT_NM_CHAINS + ((pair & 1) << 2 | (pair & 2) | pair >> 2) + upper * HT_NM_PAIRS;
}

/// Makes `tile` the next one, or the first where it is zeroed; false behind the last. `least` is the shortest reach.
bool ht_nm_next_tile(const ht_nm_layout *layout, size_t least, ht_nm_tile *tile);

ht_nm_parts ht_nm_cut_samples(const ht_nm_layout *layout, size_t t);

ht_nm_part ht_nm_part_at(const ht_nm_parts *parts, size_t i);

/// One thread's share of a sampled gradient, checked: rows o_begin ..< o_end of W, the first a multiple of 16.
typedef struct ht_nm_gradient_task {
    const ht_nm_layout *layout;
    const void *packed;
    size_t t;
    const float *dy;
    size_t dy_stride;  // bytes
    const float *x;
    size_t x_stride;
    ht_order order;    // of dY and X
    float *gradient;
    size_t gradient_stride;
    size_t o_begin, o_end;
    void *scratch;     // ht_nm_gradient_scratch bytes, 64-byte aligned
} ht_nm_gradient_task;

/// What one ISA brings.
typedef struct ht_nm_gradient_calls {
    void (*sum)(const ht_nm_gradient_task *task);
    /// Null where `sum` takes both orders; else it wants rows, and this makes `length` lines of `count` lines.
    void (*transpose)(const float *from, size_t from_stride, size_t count, size_t length, float *to, size_t to_stride);
} ht_nm_gradient_calls;

typedef const ht_nm_gradient_calls *ht_nm_gradient_kernel(void);

ht_nm_gradient_kernel ht_nm_sampled_gradient_f32_ref, ht_nm_sampled_gradient_f32_avx2;
ht_nm_gradient_kernel ht_nm_sampled_gradient_f32_avx512, ht_nm_sampled_gradient_f32_neon;

/// Rows of W and entries of each of them that are summed at a time.
enum {
    HT_NM_SUMS_ROWS = 1024,
    HT_NM_SUMS_STRIPS = HT_NM_SUMS_ROWS / HT_NM_STRIP,
    HT_NM_SUMS_ENTRIES = 128,
    HT_NM_SUMS_TILES = 16
};

/// The scratch of one thread. For each entry at hand there is a sum for each level of additions, the last of which is
/// the result, and those of a pair of chains.
typedef struct ht_nm_gradient_scratch {
    float x[HT_NM_TILE_FLOATS + HT_NM_TILE_MARGIN];
    float dy[HT_NM_SUMS_STRIPS][HT_NM_TILE_FLOATS / 64 + 1][HT_NM_STRIP];  // a line more: strips fall into other sets
    uint8_t picks[HT_NM_SUMS_STRIPS][HT_NM_SUMS_ENTRIES][HT_NM_STRIP];
    float passing[3][HT_NM_TILE_ENTRIES][HT_NM_STRIP];
    float levels[4][HT_NM_SUMS_STRIPS][HT_NM_SUMS_ENTRIES + 1][HT_NM_STRIP];
    float chains[2][HT_NM_SUMS_STRIPS][HT_NM_SUMS_ENTRIES + 1][HT_NM_STRIP];
} ht_nm_gradient_scratch;

#endif
