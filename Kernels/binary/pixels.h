// SPDX-License-Identifier: Apache-2.0
// The bit-sliced design with pixels in the lanes: a vector is one input of 512 pixels, the weights of an output are the
// list of its inputs of the rarer sign or, along a tree, of where it differs from another output, and sums are vertical
// counters. README.md explains it.
#ifndef HT_BINARY_PIXELS_H
#define HT_BINARY_PIXELS_H

#include "kernels.h"
#include "lists.h"

enum { HT_BINARY_PANEL = 512 };  // pixels of a vector

/// The cycles of t rows, or of a convolution, that ends with signs or numbers: infinite where the design is none for
/// it. `conv` is null for a product.
double ht_binary_pixels_cycles(const ht_binary_layout *layout, const ht_conv *conv, size_t t, bool numbers);

/// Whether the design can do this task, whose weights have lists: along a tree for all outputs only.
bool ht_binary_pixels_applies(const ht_binary_task *task);

/// Scratch of one thread for t rows. Errors: OVERFLOW.
ht_status ht_binary_pixels_scratch(const ht_binary_layout *layout, const ht_conv *conv, size_t t, size_t *bytes);

/// One thread's share, with AVX-512, GFNI and VBMI. Returns the first of the last rows, which it leaves to the direct
/// design because they fill too few lanes; t_end if there are none.
size_t ht_binary_pixels_run(const ht_binary_task *task);

#endif
