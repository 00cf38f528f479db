// SPDX-License-Identifier: Apache-2.0
// Floats and bytes against signs where a table has room for eight values of 32 bits: it holds the sums whose fourth
// input is added, and the other eight are these with their signs turned. Included behind the vocabulary of an ISA:
//
//     ht_lookup_words, ht_lookup_table          vectors of words of weights; a table
//     ht_lookup_load_words, ..._next            the words, with the lower three bits of each four turned where the
//                                               fourth is set; those four bits on
//     ht_lookup_choose                          places in a table and signs for the lowest four bits
//     ht_lookup_load_table, ht_lookup_add       the sums with what is chosen from a table
//     STORE_SUMS                                its ht_sums_store
#ifndef HT_BINARY_LOOKUP_HALVES_H
#define HT_BINARY_LOOKUP_HALVES_H

#include "lookup.h"
#include "lookup_store.h"

enum {
    half_rows = 4,
    half_vectors = HT_BINARY_BLOCK / HT_VEC_LANES,
    half_table = 8,  // values
    half_word_bytes = HT_BINARY_WORD / 4 * half_table * 4
};

#define BUILD_TABLES(type, value)                                                                     \
    for (size_t four = 0; four < words * (HT_BINARY_WORD / 4); four++, x += 4, table += half_table) { \
        const type a = value(0), b = value(1), c = value(2), d = value(3);                            \
        for (size_t i = 0; i < half_table; i++)                                                       \
            table[i] = ((i & 1 ? -a : a) + (i & 2 ? -b : b)) + ((i & 4 ? -c : c) + d);                \
    }

static void build_f32(const void *values, int32_t zero, size_t words, char *tables) {
    const float *x = values;
    float *table = (float *)(void *)tables;
    (void)zero;
#define VALUE(n) x[n]
    BUILD_TABLES(float, VALUE)
#undef VALUE
}

static void build_i8(const void *values, int32_t zero, size_t words, char *tables) {
    const int8_t *x = values;
    int32_t *table = (int32_t *)(void *)tables;
#define VALUE(n) x[n] - zero
    BUILD_TABLES(int32_t, VALUE)
#undef VALUE
}

// A row's four against a vector of outputs are two instructions for floats, which choose and add with a sign, and two
// or three for bytes; choosing places and signs takes about five more for all rows of a tile.
HT_INLINE void run_tile(const ht_lookup_tile *tile, const size_t rows, const bool floats) {
    ht_vec sums[half_rows][half_vectors];
    const char *x[half_rows];
    HT_UNROLL
    for (size_t r = 0; r < rows; r++) {
        x[r] = tile->x[r];
        HT_UNROLL
        for (size_t i = 0; i < half_vectors; i++) sums[r][i] = ht_vsplat(0);
    }
    for (size_t run = 0; run < tile->run_count; run++) {
        const uint32_t *w = tile->w + tile->runs[run].w;
        ptrdiff_t at = tile->runs[run].x;
        for (size_t words = tile->runs[run].words; words > 0; words--, w += HT_BINARY_BLOCK) {
            ht_lookup_words bits[half_vectors];
            HT_UNROLL
            for (size_t i = 0; i < half_vectors; i++) bits[i] = ht_lookup_load_words(w + i * HT_VEC_LANES);
            for (const ptrdiff_t end = at + half_word_bytes; at < end; at += half_table * 4) {
                ht_lookup_choice choice[half_vectors];
                HT_UNROLL
                for (size_t i = 0; i < half_vectors; i++) choice[i] = ht_lookup_choose(bits[i], floats);
                HT_UNROLL
                for (size_t r = 0; r < rows; r++) {
                    const ht_lookup_table table = ht_lookup_load_table(x[r] + at);
                    HT_UNROLL
                    for (size_t i = 0; i < half_vectors; i++)
                        sums[r][i] = ht_lookup_add(sums[r][i], table, choice[i], floats);
                }
                HT_UNROLL
                for (size_t i = 0; i < half_vectors; i++) bits[i] = ht_lookup_next(bits[i]);
            }
        }
    }
    float *to = tile->sums;
    HT_UNROLL
    for (size_t r = 0; r < rows; r++) {
        HT_UNROLL
        for (size_t i = 0; i < half_vectors; i++) ht_vstore(to + r * HT_LOOKUP_COLUMNS + i * HT_VEC_LANES, sums[r][i]);
    }
}

#define DEFINE_TILE(type, floats)                         \
    static void tile_##type(const ht_lookup_tile *tile) { \
        switch (tile->rows) {                             \
        case 1: run_tile(tile, 1, floats); break;         \
        case 2: run_tile(tile, 2, floats); break;         \
        case 3: run_tile(tile, 3, floats); break;         \
        default: run_tile(tile, 4, floats);               \
        }                                                 \
    }
DEFINE_TILE(f32, true)
DEFINE_TILE(i8, false)

static void store_f32(const ht_lookup_output *output) { ht_lookup_store(output); }

static const ht_lookup_vectors vectors_f32 = {half_rows, 1, half_word_bytes, build_f32, tile_f32, store_f32, NULL};
static const ht_lookup_vectors vectors_i8 = {half_rows, 1, half_word_bytes, build_i8, tile_i8, NULL, STORE_SUMS};

#endif
