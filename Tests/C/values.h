// SPDX-License-Identifier: Apache-2.0
// Numbers of every type, and what an epilogue makes of a sum, from the definitions in the library's headers.
#ifndef TESTS_C_VALUES_H
#define TESTS_C_VALUES_H

#include <halftone.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "types.h"

float value_at(const void *data, ht_dtype type, size_t i);

/// Floats are multiples of 1/64 up to 2, f32 with some bits below; none is subnormal.
void set_random(void *data, ht_dtype type, size_t i);

/// An infinity, a NaN or a zero of either sign; `type` is a type of floats.
void set_special(void *data, ht_dtype type, size_t i);

/// Of a residual of Y.
ht_dtype residual_type(ht_dtype y);

/// Writes the y of a sum in a row and column: `real` of a product of floats, `integer` of one of bytes. `residual` is
/// this y's value, or null. GELU, whose bits the library defines, is not offered.
void set_result(types types, const ht_epilogue *epilogue, float real, int32_t integer, size_t row, size_t column,
                const void *residual, void *y);

/// Epilogues of every kind that products to y offer, but GELU; the first leaves sums as they are.
typedef struct epilogues {
    size_t count;
    ht_epilogue list[5];
    bool is_quantized;
    ht_quantization quantization[5];
    float *bias, *scale;
    int32_t *multiplier, *offset;
    uint8_t *shift;
} epilogues;

/// For so many columns; those with a residual have this one.
epilogues make_epilogues(types types, size_t columns, const void *residual);
ht_epilogue epilogue_at(const epilogues *all, size_t i);
void free_epilogues(epilogues *all);

#endif
