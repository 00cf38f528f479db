// SPDX-License-Identifier: Apache-2.0
// Backward masks in portable C: the definition.
#include <stdbool.h>

#include "backward.h"
#include "core/floats.h"

// Signs dropped, the bits of floats order as their magnitudes, NaNs above infinity.
static uint32_t magnitude(const ht_backward_block *b, size_t row, size_t column) {
    return ht_bits_of_f32(b->w[row][column]) & 0x7fffffff;
}

static bool is_forward(const ht_backward_block *b, size_t row, size_t column) {
    return !b->forward || (b->forward[row][column / 8] >> column % 8 & 1);
}

static bool beats(const ht_backward_block *b, size_t rival, size_t row, size_t column) {
    const uint32_t his = magnitude(b, rival, column), own = magnitude(b, row, column);
    return rival != row && is_forward(b, rival, column) && (his > own || (his == own && rival < row));
}

static uint64_t kept_rows(const ht_backward_block *b, size_t column) {
    uint64_t kept = 0;
    for (size_t row = 0; row < b->rows; row++) {
        size_t losses = 0;
        for (size_t rival = 0; rival < b->rows; rival++) losses += beats(b, rival, row, column);
        kept |= (uint64_t)(is_forward(b, row, column) && losses < b->n) << row;
    }
    return kept;
}

// A byte of each row at a time: `backward` may be `forward`.
void ht_bimask_backward_f32_ref(const ht_backward_block *b) {
    for (size_t column = 0; column < b->columns; column += 8) {
        const size_t count = b->columns - column < 8 ? b->columns - column : 8;
        uint64_t kept[8];
        for (size_t i = 0; i < count; i++) kept[i] = kept_rows(b, column + i);
        for (size_t row = 0; row < b->rows; row++) {
            unsigned byte = 0;
            for (size_t i = 0; i < count; i++) byte |= (unsigned)(kept[i] >> row & 1) << i;
            b->backward[row][column / 8] = (uint8_t)byte;
        }
    }
}
