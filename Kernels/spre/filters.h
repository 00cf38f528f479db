// SPDX-License-Identifier: Apache-2.0
// Filters of two branches as the calls of this family take them.
#ifndef HT_SPRE_FILTERS_H
#define HT_SPRE_FILTERS_H

#include "core/memory.h"
#include "halftone/spre.h"

typedef struct ht_spre_filters {
    size_t rows, columns;  // filters, and weights of each
    size_t taps, channels;  // of a filter
    const float *w;
    size_t w_stride;  // bytes
    const uint8_t *mask;
    size_t mask_stride;
    const uint8_t *kept;  // of each tap, whether the second branch has it
} ht_spre_filters;

/// Fills in sizes, and W's stride. Errors: NULL, STRIDE, ALIGNMENT, OVERFLOW, CONV, DEPTHWISE.
ht_status ht_spre_take_filters(const ht_conv_shape *shape, const float *w, size_t w_stride, ht_spre_filters *filters);

/// Adds what tells the branches apart. Errors: NULL, STRIDE, OVERFLOW.
ht_status ht_spre_take_branches(const uint8_t *mask, size_t mask_stride, const uint8_t *kept, ht_spre_filters *filters);

static inline const float *ht_spre_row(const float *values, size_t stride, size_t row) {
    return (const float *)((const char *)values + row * stride);
}

static inline bool ht_spre_in_first(const ht_spre_filters *f, size_t row, size_t column) {
    return f->mask[row * f->mask_stride + column / 8] >> column % 8 & 1;
}

/// Of a weight of the first branch: at taps that are kept, where W is not 0.
static inline bool ht_spre_in_second(const ht_spre_filters *f, float w, size_t column) {
    return w != 0 && f->kept[column / f->channels];
}

#endif
