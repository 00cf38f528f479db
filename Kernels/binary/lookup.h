// SPDX-License-Identifier: Apache-2.0
// Products of floats and bytes with signs, shared by every ISA: four inputs of a row of X have 16 sums with signs, so
// each row becomes tables of them, from which four bits of the packed words pick. README.md explains it.
#ifndef HT_BINARY_LOOKUP_H
#define HT_BINARY_LOOKUP_H

#include "core/sums.h"
#include "views.h"

enum {
    HT_LOOKUP_ROWS = 6,    // rows of a tile at most, and
    HT_LOOKUP_BLOCKS = 4,  // blocks: 24 sums, four indices and what is in work fill the registers of AVX-512
    HT_LOOKUP_COLUMNS = HT_LOOKUP_BLOCKS * HT_BINARY_BLOCK
};

/// The bytes of the tables of a word of 32 inputs, at most.
enum { HT_LOOKUP_BYTES_F32 = 512, HT_LOOKUP_BYTES_I8 = 256 };

/// Some rows against some blocks of outputs.
typedef struct ht_lookup_tile {
    size_t rows, blocks;
    const char *const *x;  // where each row's tables begin that runs count from
    const ht_binary_run *runs;
    size_t run_count;
    const uint32_t *w;  // the words of the first block
    size_t block_words;
    size_t short_words;  // so many words' sums of bytes fit in 16 bits
    void *sums;          // [row][HT_LOOKUP_COLUMNS] of float or int32_t, 64-byte aligned
} ht_lookup_tile;

/// Sums of floats on their way to Y.
typedef struct ht_lookup_output {
    const ht_binary_task *task;
    const float *sums;  // as the tile's
    const size_t *t;  // of each row
    size_t rows;
    size_t o, columns;  // of the group
} ht_lookup_output;

/// What one ISA brings for one type of X.
typedef struct ht_lookup_vectors {
    size_t rows, blocks;  // of its largest tile
    size_t word_bytes;    // of the tables of 32 inputs
    /// `values` are `words` times 32 of X's type; zero is subtracted from bytes.
    void (*build)(const void *values, int32_t zero, size_t words, char *tables);
    void (*tile)(const ht_lookup_tile *tile);
    void (*store_floats)(const ht_lookup_output *output);  // or else sums are integers, and
    ht_sums_store *store_sums;
} ht_lookup_vectors;

/// One thread's product.
void ht_lookup_run(const ht_lookup_vectors *vectors, const ht_binary_task *task);

/// Its scratch for t rows; `conv` may be null. Errors: OVERFLOW.
ht_status ht_lookup_scratch_f32(const ht_binary_layout *layout, const ht_conv *conv, size_t t, size_t *bytes);
ht_status ht_lookup_scratch_i8(const ht_binary_layout *layout, const ht_conv *conv, size_t t, size_t *bytes);

#endif
