// SPDX-License-Identifier: Apache-2.0
// Masks by magnitude: the definition.
#include <string.h>

#include "magnitude.h"

// Of equals the lower column wins.
static int beats(const float *w, size_t i, size_t j) {
    uint32_t a, b;
    memcpy(&a, w + i, sizeof a);
    memcpy(&b, w + j, sizeof b);
    a &= 0x7fffffff;
    b &= 0x7fffffff;
    return a > b || (a == b && i < j);
}

void ht_nm_mask_f32_ref(const float *w, size_t columns, size_t n, size_t m, const uint8_t *old, uint8_t *mask) {
    (void)old;
    for (size_t c = 0; c < columns; c++) {
        const size_t group = c / m * m, end = columns - group < m ? columns : group + m;
        size_t losses = 0;
        for (size_t other = group; other < end; other++) losses += (size_t)beats(w, other, c);
        if (c % 8 == 0) mask[c / 8] = 0;
        if (losses < n) mask[c / 8] |= (uint8_t)(1 << c % 8);
    }
}
