// SPDX-License-Identifier: Apache-2.0
// Operands of their exact size, so that the address sanitizer sees a single byte too much.
#ifndef TESTS_C_MATRIX_H
#define TESTS_C_MATRIX_H

#include <halftone.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/// Memory of exactly so many bytes. Ends the program where there is none.
static inline void *exactly(size_t bytes, size_t alignment) {
    void *memory = NULL;
    if (posix_memalign(&memory, alignment, bytes)) abort();
    return memory;
}

/// Lines of numbers, which are rows, or columns where it is feature-major, with a gap but behind the last.
typedef struct matrix {
    void *data, *memory;
    size_t rows, columns, stride, bytes, size;
    ht_dtype dtype;
    ht_order order;
} matrix;

/// Filled with 0x5a. With a gap it is aligned to its elements and to no more.
static inline matrix make_matrix(size_t rows, size_t columns, ht_dtype dtype, ht_order order, size_t gap) {
    size_t lines = order == HT_ORDER_ROWS ? rows : columns, length = order == HT_ORDER_ROWS ? columns : rows;
    matrix a = {.rows = rows, .columns = columns, .size = ht_dtype_size(dtype), .dtype = dtype, .order = order};
    a.stride = (length + gap) * a.size;
    a.bytes = lines && length ? (lines - 1) * a.stride + length * a.size : 0;
    a.memory = exactly(gap * a.size + a.bytes, 64);
    a.data = (char *)a.memory + gap * a.size;
    memset(a.memory, 0x5a, gap * a.size + a.bytes);
    return a;
}

static inline void *element(const matrix *a, size_t row, size_t column) {
    size_t line = a->order == HT_ORDER_ROWS ? row : column, at = a->order == HT_ORDER_ROWS ? column : row;
    return (char *)a->data + line * a->stride + at * a->size;
}

static inline bool is_nan(const void *value, ht_dtype dtype) {
    uint32_t bits = 0;
    if (dtype == HT_DTYPE_F32) memcpy(&bits, value, 4);
    if (dtype == HT_DTYPE_BF16) memcpy((char *)&bits + 2, value, 2);
    return (bits & 0x7fffffff) > 0x7f800000;
}

/// The same bits; NaNs may differ in theirs.
static inline bool same_value(const void *a, const void *b, ht_dtype dtype) {
    return !memcmp(a, b, ht_dtype_size(dtype)) || (is_nan(a, dtype) && is_nan(b, dtype));
}

static inline void free_matrix(matrix *a) { free(a->memory); }

#endif
