// SPDX-License-Identifier: Apache-2.0
// Checks of what products and convolutions of every family take, and how their outputs are cut for threads.
#ifndef HT_CORE_OPERANDS_H
#define HT_CORE_OPERANDS_H

#include "memory.h"

/// A matrix of `samples` rows of `features` values, or the other way round. Errors: as ht_check_matrix.
ht_status ht_check_activations(const void *data, size_t samples, size_t features, ht_dtype dtype, ht_order order,
                               size_t *stride);

/// Where a value of `size` bytes lies in a matrix of samples and features.
static inline char *ht_element(const void *matrix, size_t stride, ht_order order, size_t size, size_t sample,
                               size_t feature) {
    const size_t line = order == HT_ORDER_ROWS ? sample : feature, place = order == HT_ORDER_ROWS ? feature : sample;
    return (char *)matrix + line * stride + place * size;
}

/// Rows of bits. Errors: as ht_check_matrix.
ht_status ht_check_bits(const uint64_t *bits, size_t rows, size_t columns, size_t *stride);

/// Turns an end of 0 into `size`. Errors: WINDOW.
ht_status ht_check_window(size_t begin, size_t *end, size_t size, size_t multiple);

/// The output of a product that an epilogue is for.
typedef struct ht_output_shape {
    size_t rows, columns;
    ht_dtype dtype;
    ht_order order;
    size_t column_begin, column_end;  // those that will be written
} ht_output_shape;

/// Checks all but what only the family knows, and fills in the residual's stride. `x` is the type of the product's
/// input. Errors: EPILOGUE, NULL, STRIDE, ALIGNMENT, OVERFLOW.
ht_status ht_check_epilogue(ht_epilogue *epilogue, ht_dtype x, const ht_output_shape *y);

/// The type of a residual that is added to an output of this type.
static inline ht_dtype ht_residual_dtype(ht_dtype y) { return y == HT_DTYPE_BF16 ? HT_DTYPE_BF16 : HT_DTYPE_F32; }

/// The part-th of `parts` nearly equal ranges of begin ..< end, cut at multiples of `grain` counted from begin.
void ht_cut(size_t *begin, size_t *end, size_t part, size_t parts, size_t grain);

#endif
