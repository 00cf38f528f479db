// SPDX-License-Identifier: Apache-2.0
// From 32-bit sums to Y with the whole epilogue, for the kernels of all families whose sums are integers.
#ifndef HT_CORE_SUMS_H
#define HT_CORE_SUMS_H

#include "halftone/base.h"

enum { HT_SUMS_STRIP = 16 };

/// Sums on their way to Y, in strips of 16 neighbouring columns, of which the last may have fewer.
typedef struct ht_sums {
    const int32_t *at;  // whole strips: lanes behind the last column are read, and hold any number
    size_t row_step, strip_step;  // sums from row to row and from strip to strip
    size_t rows, columns;
    const size_t *t;  // the row of Y of each; null: they follow each other
    size_t first_t;  // from this one on
    size_t column;  // of Y, the first of `columns`

    const ht_epilogue *epilogue;
    void *y;
    size_t y_stride;  // bytes
    ht_dtype y_dtype;
    ht_order y_order;  // of anything but bits
} ht_sums;

typedef void ht_sums_store(const ht_sums *sums);

ht_sums_store ht_sums_store_avx512, ht_sums_store_avx2, ht_sums_store_neon;

#endif
