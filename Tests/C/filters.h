// SPDX-License-Identifier: Apache-2.0
// Sparse filters as the headers of the library describe them, and what comes out of a convolution with them, in plain
// loops: which weights are entries, sums in double, chains of fused multiply-adds.
#ifndef TESTS_C_FILTERS_H
#define TESTS_C_FILTERS_H

#include <halftone.h>
#include <stdbool.h>

#include "matrix.h"

typedef struct filters {
    ht_conv_shape shape;          // without the zeros that stand for one
    size_t y_height, y_width;     // of an image of Y
    size_t n, m;
    size_t shared_rows;           // at least 1
    bool shared_taps;
    bool backward;                // groups are places of the output channels, and the result is the gradient of X
    const uint32_t *permutation;  // of the output channels, or null
    matrix w;                     // OHWI, a filter in a row
    matrix mask;                  // its bits in bytes, likewise
    bool uses_mask;               // entries are what the mask says, not what is not zero
    bool *is_entry;               // of each weight, OHWI without gaps
    float *value;                 // of each entry
} filters;

/// A sum in double, which is exact for integers.
typedef struct sum {
    double value, size;           // of the terms, of their magnitudes
    size_t terms;
} sum;

/// Weights and masks are not set yet.
filters make_filters(const ht_conv_shape *shape, ht_dtype dtype, size_t gap);
void free_filters(filters *f);

size_t x_pixels(const filters *f);
size_t y_pixels(const filters *f);

/// Sets the mask to the magnitude mask of the direction: of a sum that is NaN as of infinity and more.
void set_magnitude_mask(filters *f);
bool in_mask(const filters *f, size_t o, size_t weight);

/// Works out the entries of the weights, by the mask or by what is not zero. False when a group has too many.
bool set_entries(filters *f);

/// The formula of conv.h over the entries, or its transposed: `from` is X or dY, pixel by pixel without gaps, and `to`
/// begins as zeros.
void add_terms(const filters *f, const float *from, sum *to);

/// One result as the chain of fused multiply-adds that the headers describe.
float chain(const filters *f, const float *from, size_t pixel, size_t channel);

#endif
