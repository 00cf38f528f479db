// SPDX-License-Identifier: Apache-2.0
// The bit-sliced design with pixels in the lanes: a vector is one input of 512 pixels, the weights of an output are the
// list of its inputs of the rarer sign, and sums are vertical counters. README.md explains it.
#ifndef HT_BINARY_PIXELS_H
#define HT_BINARY_PIXELS_H

#include "kernels.h"

enum { HT_BINARY_PANEL = 512 };  // pixels of a vector

/// What lies behind the words of a blob. The inputs of all taps, [tap][channel], are cut into chunks whose vectors fit
/// in L1; an entry is 8 times the number of an input in its chunk, and each list is filled up to a multiple of 8
/// entries with the number behind the last, that of a vector of zeros.
typedef struct ht_binary_lists {
    size_t chunks, chunk_inputs;
    size_t capacity;  // groups of 8 entries
    const int32_t *minus;  // [tap][output]: how many weights are -1
    const uint32_t *end;  // [chunk][output]: of each list, counted in groups from the first list on
    const uint8_t *of_plus;  // [output]: lists name the weights that are +1, else those that are -1
    const uint16_t *entries;
} ht_binary_lists;

/// Without a blob only the sizes.
ht_binary_lists ht_binary_lists_of(const ht_binary_layout *layout, const void *packed);

/// What the design needs behind the words of a blob. Errors: OVERFLOW.
ht_status ht_binary_pixels_bytes(const ht_binary_layout *layout, size_t *bytes);

/// Writes it, the words being there.
void ht_binary_pixels_pack(const ht_binary_layout *layout, void *packed);

/// Whether the lists of a blob stay inside it; whatever their entries are, they stay inside the scratch. Errors:
/// BLOB_CORRUPT.
ht_status ht_binary_pixels_check(const ht_binary_layout *layout, const void *packed);

/// Whether the design would be faster than the direct one; `conv` is null for a product.
bool ht_binary_pixels_pays(const ht_binary_layout *layout, const ht_conv *conv);

/// Whether the design can do this task, whose weights are packed for it.
bool ht_binary_pixels_applies(const ht_binary_task *task);

/// Scratch of one thread for t rows. Errors: OVERFLOW.
ht_status ht_binary_pixels_scratch(const ht_binary_layout *layout, const ht_conv *conv, size_t t, size_t *bytes);

/// One thread's share, with AVX-512, GFNI and VBMI. Returns the first of the last rows, which it leaves to the direct
/// design because they fill too few lanes; t_end if there are none.
size_t ht_binary_pixels_run(const ht_binary_task *task);

#endif
