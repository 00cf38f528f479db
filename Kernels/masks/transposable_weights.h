// SPDX-License-Identifier: Apache-2.0
// The weights of a tile as integers, in plain C: for the reference, and to compare masks.
#ifndef HT_MASKS_TRANSPOSABLE_WEIGHTS_H
#define HT_MASKS_TRANSPOSABLE_WEIGHTS_H

#include "nm/element.h"
#include "transposable.h"

// Of |w| as a float.
static inline uint32_t ht_transposable_magnitude(const ht_transposable_task *task, size_t row, size_t column) {
    const void *line = (const char *)task->w + row * task->w_stride;
    const uint32_t own = ht_nm_magnitude(task->dtype, line, column);
    return ht_bits_of_f32((float)ht_nm_magnitude_value(task->dtype, own)) & 0x7fffffff;
}

static inline uint32_t ht_transposable_exponent(uint32_t magnitude) { return magnitude >> 23 ? magnitude >> 23 : 1; }

static inline int32_t ht_transposable_integer(uint32_t magnitude, uint32_t highest, int bits) {
    const uint32_t fraction = (magnitude & 0x7fffff) | (magnitude >> 23 ? 0x800000 : 0);
    const uint32_t right = 31 - (uint32_t)bits + highest - ht_transposable_exponent(magnitude);
    return right < 32 ? (int32_t)(fraction << 7 >> right) + 1 : 1;
}

/// Of the tile that begins at a column and has so many of them; the rest is 0.
static inline void ht_transposable_weights(const ht_transposable_task *task, size_t column, size_t columns,
                                           int32_t weight[HT_TRANSPOSABLE_MOST][HT_TRANSPOSABLE_MOST]) {
    uint32_t highest = 1;
    bool is_finite = true;
    for (size_t i = 0; i < task->rows; i++)
        for (size_t j = 0; j < columns; j++) {
            const uint32_t exponent = ht_transposable_exponent(ht_transposable_magnitude(task, i, column + j));
            if (exponent == 255)
                is_finite = false;
            else if (exponent > highest)
                highest = exponent;
        }
    const int all = ht_transposable_bits(task->m), bits = is_finite ? all : all - ht_transposable_log(task->m) - 1;
    for (size_t i = 0; i < task->m; i++)
        for (size_t j = 0; j < task->m; j++) {
            weight[i][j] = 0;
            if (i >= task->rows || j >= columns) continue;
            const uint32_t w = ht_transposable_magnitude(task, i, column + j);
            weight[i][j] = w >> 23 == 255 ? 1 << all : ht_transposable_integer(w, highest, bits);
        }
}

#endif
