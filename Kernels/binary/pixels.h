// SPDX-License-Identifier: Apache-2.0
// The bit-sliced design with pixels in the lanes: a vector is one input of 512 pixels, the weights of an output are the
// list of its inputs of the rarer sign, and sums are vertical counters. README.md explains it.
#ifndef HT_BINARY_PIXELS_H
#define HT_BINARY_PIXELS_H

#include "kernels.h"

/// What the design needs behind the words of a blob. Errors: OVERFLOW.
ht_status ht_binary_pixels_bytes(const ht_binary_layout *layout, size_t *bytes);

/// Writes it, the words being there.
void ht_binary_pixels_pack(const ht_binary_layout *layout, void *packed);

/// Whether the lists of a blob stay inside what they point into. Errors: BLOB_CORRUPT.
ht_status ht_binary_pixels_check(const ht_binary_layout *layout, const void *packed);

/// Whether the design would be faster than the direct one; `conv` is null for a product.
bool ht_binary_pixels_pays(const ht_binary_layout *layout, const ht_conv *conv);

/// Whether the design can do this task, whose weights are packed for it.
bool ht_binary_pixels_applies(const ht_binary_task *task);

/// Scratch of one thread for t rows. Errors: OVERFLOW.
ht_status ht_binary_pixels_scratch(const ht_binary_layout *layout, const ht_conv *conv, size_t t, size_t *bytes);

/// One thread's share, with AVX-512 and VPOPCNTDQ.
void ht_binary_pixels_run(const ht_binary_task *task);

#endif
