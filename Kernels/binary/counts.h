// SPDX-License-Identifier: Apache-2.0
// A tile whose differences are counted in bytes first. A template: included behind
//   most_words            that bytes can count the differences of
//   count(part, tile)     adds the differences of some words to the counts of a part, which are whole numbers
//   at_least(a, b)        a bit for each of 16 integers of a that is no less than that of b
//
// Bytes would overflow behind a few hundred differences, so the words of a tile are taken in parts, across the ends of
// runs, and what a part counted is added up in memory.
#ifndef HT_BINARY_COUNTS_H
#define HT_BINARY_COUNTS_H

#include <string.h>

#include "core/simd.h"
#include "tiles.h"

// Words of X and of bits of Y, wherever they lie.
typedef uint32_t __attribute__((aligned(2), may_alias)) ht_word;
typedef uint16_t __attribute__((may_alias)) ht_half;

typedef struct ht_binary_part {
    size_t words;
    ptrdiff_t x[most_words];       // bytes from each row's first
    const uint32_t *w[most_words]; // of the first block
    int32_t counts[HT_BINARY_ROWS][HT_BINARY_COLUMNS];
} ht_binary_part;

static void count(ht_binary_part *part, const ht_binary_tile *tile);
HT_INLINE uint32_t at_least(const int32_t *a, const int32_t *b);

HT_INLINE void count_tile(ht_binary_part *part, const ht_binary_tile *tile) {
    part->words = 0;
    memset(part->counts, 0, tile->rows * sizeof *part->counts);
    for (size_t run = 0; run < tile->run_count; run++) {
        const ht_binary_run *now = &tile->runs[run];
        for (size_t word = 0; word < now->words; word++) {
            part->x[part->words] = now->x + (ptrdiff_t)(word * sizeof(uint32_t));
            part->w[part->words] = tile->w + now->w + word * HT_BINARY_BLOCK;
            if (++part->words < most_words) continue;
            count(part, tile);
            part->words = 0;
        }
    }
    if (part->words) count(part, tile);
}

HT_INLINE void finish_bits(const ht_binary_part *part, const ht_binary_tile *tile) {
    const ht_binary_finish *f = tile->finish;
    for (size_t r = 0; r < tile->rows; r++) {
        const int32_t *counts = part->counts[r];
        char *y = tile->y[r] + tile->y_offset;
        uint32_t bits = at_least(counts, f->cut);
        if (tile->blocks == 2) {
            bits |= at_least(counts + HT_BINARY_BLOCK, f->cut + HT_BINARY_BLOCK) << HT_BINARY_BLOCK;
            *(ht_word *)(void *)y = bits ^ f->flip;
        } else {
            *(ht_half *)(void *)y = (uint16_t)(bits ^ f->flip);
        }
    }
}

HT_INLINE void finish_sums(const ht_binary_part *part, const ht_binary_tile *tile) {
    const int32_t *start = tile->finish->start, factor = tile->finish->adds ? 1 : -2;
    for (size_t r = 0; r < tile->rows; r++) {
        int32_t *y = (int32_t *)(void *)(tile->y[r] + tile->y_offset), sums[HT_BINARY_COLUMNS];
        for (size_t o = 0; o < HT_BINARY_COLUMNS; o++) sums[o] = start[o] + factor * part->counts[r][o];
        if (tile->columns == HT_BINARY_COLUMNS)
            memcpy(y, sums, sizeof sums);
        else
            memcpy(y, sums, tile->columns * sizeof *sums);
    }
}

static void tile(const ht_binary_tile *tile) {
    ht_binary_part part;
    count_tile(&part, tile);
    if (tile->finish->bits)
        finish_bits(&part, tile);
    else
        finish_sums(&part, tile);
}

#endif
