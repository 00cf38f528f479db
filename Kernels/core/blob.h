// SPDX-License-Identifier: Apache-2.0
// The 64 bytes that every packed blob begins with.
#ifndef HT_CORE_BLOB_H
#define HT_CORE_BLOB_H

#include "halftone/base.h"

enum { HT_BLOB_VERSION = 2 };

typedef enum ht_blob_kind {
    HT_BLOB_NM = 1,           // N:M weights of a product or convolution
    HT_BLOB_NM_BACKWARD = 2,  // N:M weights along the output channels
    HT_BLOB_NM_TRANSPOSABLE = 3,  // both in one: forward weights, and how to read them backward
    HT_BLOB_BINARY = 4           // signs
} ht_blob_kind;

/// Flags.
enum {
    HT_BLOB_PERMUTED = 1,    // a permutation of the columns lies behind the weights
    HT_BLOB_SHARED_TAPS = 2,  // all taps of a filter keep the same channels, and lie in another order
    HT_BLOB_BRANCHES = 4      // a second table of values, of some taps, lies behind the weights
};

typedef struct ht_blob_header {
    uint64_t magic;       // "HALFTONE" read as a little-endian number, so a big-endian machine refuses the blob
    uint16_t version;     // of this header
    uint16_t kind;        // ht_blob_kind
    uint16_t layout;      // how the kind lays its body out
    uint16_t dtype;       // ht_dtype of the values
    uint32_t n, m;        // the pattern; of signs, what lists need: layout.c
    uint64_t rows;        // outputs
    uint64_t columns;     // inputs, at each tap
    uint64_t bytes;       // the whole blob, this header included
    uint16_t shared_rows; // rows that share a pattern
    uint16_t flags;
    uint16_t kernel_height, kernel_width;  // of a convolution, in taps; 0 both = one tap
    uint64_t check;       // of the seven words before
} ht_blob_header;

_Static_assert(sizeof(ht_blob_header) == 64, "the header is part of the file format");

/// Fills in magic, version and check.
void ht_blob_seal(ht_blob_header *header);

/// Copies the header out of `blob` after checking that it is a sealed one whose blob fits in `size` bytes.
/// `blob` must be 64-byte aligned.
ht_status ht_blob_open(const void *blob, size_t size, ht_blob_header *header);

#endif
