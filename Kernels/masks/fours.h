// SPDX-License-Identifier: Apache-2.0
// Which of four columns are kept, by the signs of their differences: included behind ht_keys, ht_sub, ht_and, ht_or and
// ht_not of an ISA without ternary logic.
#ifndef HT_MASKS_FOURS_H
#define HT_MASKS_FOURS_H

#include "core/simd.h"

// Whether a column that loses where these are negative is lost, likewise as a sign.
HT_INLINE ht_keys ht_is_lost(ht_keys a, ht_keys b, ht_keys c, const size_t n) {
    if (n == 1) return ht_or(a, ht_or(b, c));
    if (n == 2) return ht_or(ht_and(a, b), ht_and(c, ht_or(a, b)));
    return ht_and(a, ht_and(b, c));
}

// d_ij is negative where column j beats i, its complement where i beats j.
HT_INLINE void ht_lose_of_4(const ht_keys a[4], const size_t n, ht_keys lost[4]) {
    const ht_keys d01 = ht_sub(a[0], a[1]), d02 = ht_sub(a[0], a[2]), d03 = ht_sub(a[0], a[3]);
    const ht_keys d12 = ht_sub(a[1], a[2]), d13 = ht_sub(a[1], a[3]), d23 = ht_sub(a[2], a[3]);
    lost[0] = ht_is_lost(d01, d02, d03, n);
    lost[1] = ht_is_lost(ht_not(d01), d12, d13, n);
    lost[2] = ht_is_lost(ht_not(d02), ht_not(d12), d23, n);
    lost[3] = ht_is_lost(ht_not(d03), ht_not(d13), ht_not(d23), n);
}

#endif
