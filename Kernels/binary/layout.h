// SPDX-License-Identifier: Apache-2.0
// How packed signs lie in a blob. README.md has the picture.
//
// Words of 32 bits along the inputs of a tap, [block of 16 outputs][tap][word][output]: a vector of a block's words
// meets the same word of X in all lanes. Bits that are not there are 0. Behind the words lies what the design of the
// weights needs besides: see lists.h and channels.h.
#ifndef HT_BINARY_LAYOUT_H
#define HT_BINARY_LAYOUT_H

#include "core/blob.h"
#include "core/conv.h"
#include "core/memory.h"

enum { HT_BINARY_BLOCK = 16, HT_BINARY_WORD = 32 };

/// Lists of vectors, of the bit-sliced designs: an entry is so many times the number of its vector, which addresses
/// scale to 64 bytes, and a list has a multiple of so many entries.
enum { HT_BINARY_LIST_UNIT = 8, HT_BINARY_LIST_GROUP = 8 };

static inline bool ht_binary_has_lists(ht_binary_design design) {
    return design == HT_BINARY_PIXELS || design == HT_BINARY_TREE;
}

/// What is packed: a product has one tap. Of one group.
typedef struct ht_binary_weights {
    size_t outputs;
    size_t tap_columns;  // inputs at a tap
    size_t kernel_height, kernel_width;
    ht_binary_design design;  // never AUTO
    size_t chunks, list_groups;  // of the lists of PIXELS and TREE, or 0: see lists.h
} ht_binary_weights;

typedef struct ht_binary_layout {
    ht_binary_weights of;
    size_t taps;
    size_t tap_words;
    size_t blocks;
    size_t block_words;  // 32-bit words from block to block
    size_t behind;       // bytes from the blob's begin to what the design needs besides the words
    size_t bytes;        // of the blob
} ht_binary_layout;

/// Sets what the design needs of weights, but list_groups along a tree. Errors: OVERFLOW.
ht_status ht_binary_layout_make(const ht_binary_weights *of, ht_binary_layout *layout);

/// The layout of a blob, its header checked. Errors: NULL, ALIGNMENT, BLOB_*.
ht_status ht_binary_layout_open(const void *packed, size_t size, ht_binary_layout *layout);

/// Whether blobs of that layout, one behind the other, are there for all groups, their lists checked as those of the
/// first were. Errors: BLOB_TRUNCATED, BLOB_CORRUPT.
ht_status ht_binary_layout_check_groups(const ht_binary_layout *layout, const void *packed, size_t size, size_t groups);

void ht_binary_layout_seal(const ht_binary_layout *layout, void *packed);

/// The words of a block, the first tap's first.
static inline const uint32_t *ht_binary_words(const ht_binary_layout *l, const void *packed, size_t block) {
    return (const uint32_t *)((const char *)packed + sizeof(ht_blob_header)) + block * l->block_words;
}

/// Bit k of a row of bits.
static inline bool ht_bit(const void *row, size_t k) { return ((const uint64_t *)row)[k / 64] >> k % 64 & 1; }

/// The words of 64 bits that a row of n bits takes.
static inline size_t ht_bit_words(size_t n) { return ht_ceil_div(n, 64); }

/// Bits k ..< k + count of a row of bits, count at most 32, without reading words that hold none of them.
static inline uint32_t ht_bits_at(const uint64_t *row, size_t k, size_t count) {
    if (count == 0) return 0;
    uint64_t bits = row[k / 64] >> k % 64;
    if (k % 64 + count > 64) bits |= row[k / 64 + 1] << (64 - k % 64);
    return (uint32_t)(bits & (((uint64_t)1 << count) - 1));
}

#endif
