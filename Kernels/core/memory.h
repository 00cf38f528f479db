// SPDX-License-Identifier: Apache-2.0
// Sizes that can't wrap, and addresses that are checked.
#ifndef HT_CORE_MEMORY_H
#define HT_CORE_MEMORY_H

#include <stdbool.h>

#include "halftone/base.h"

enum { HT_ALIGNMENT = 64 };

/// *out = a * b; false if it does not fit.
static inline bool ht_mul(size_t a, size_t b, size_t *out) { return !__builtin_mul_overflow(a, b, out); }

/// *out = a + b; false if it does not fit.
static inline bool ht_add(size_t a, size_t b, size_t *out) { return !__builtin_add_overflow(a, b, out); }

static inline size_t ht_min(size_t a, size_t b) { return a < b ? a : b; }
static inline size_t ht_max(size_t a, size_t b) { return a > b ? a : b; }
static inline size_t ht_ceil_div(size_t a, size_t b) { return a / b + (a % b != 0); }
static inline size_t ht_round_up(size_t a, size_t b) { return ht_ceil_div(a, b) * b; }
static inline bool ht_is_aligned(const void *p, size_t alignment) { return (uintptr_t)p % alignment == 0; }

/// Moves *memory behind so many bytes, rounded up to the alignment, which it returns; null memory stays null, so that
/// the same code counts what it needs and then lays it out.
static inline size_t ht_carve(char **memory, size_t bytes) {
    const size_t rounded = ht_round_up(bytes, HT_ALIGNMENT);
    if (*memory) *memory += rounded;
    return rounded;
}

/// The scratch memory of a call: what the options give, or `own`, which the call frees in the end. Without bytes there
/// may be none. Errors: ALIGNMENT, BUFFER_SIZE, MEMORY.
ht_status ht_take_scratch(const ht_options *options, size_t bytes, void **memory, void **own);

/// Checks a matrix operand of rows x columns elements and turns a stride of 0 into that of rows without a gap. A matrix
/// without elements may be null. Every byte offset into it must fit in ptrdiff_t.
/// Errors: NULL, STRIDE, ALIGNMENT, OVERFLOW.
ht_status ht_check_matrix(const void *data, size_t rows, size_t columns, size_t element, size_t *stride);

/// Whether the numbers are first ..< first + count in some order. Errors: ALIGNMENT, PERMUTATION,
/// MEMORY.
ht_status ht_check_permutation(const uint32_t *numbers, size_t count, size_t first);

#endif
