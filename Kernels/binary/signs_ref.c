// SPDX-License-Identifier: Apache-2.0
// Signs one value at a time, in portable C.
#include <math.h>
#include <string.h>

#include "core/vec_scalar.h"

typedef bool ht_mask;

HT_INLINE ht_mask ht_less(ht_vec a, ht_vec b) { return a < b; }
HT_INLINE ht_mask ht_not_above(ht_vec a, ht_vec b) { return a <= b; }
HT_INLINE ht_vec ht_where(ht_mask mask, ht_vec a, ht_vec b) { return mask ? a : b; }
HT_INLINE ht_mask ht_mask_at(uint64_t word, size_t v) { return word >> v & 1; }

HT_INLINE uint64_t ht_word(const ht_mask mask[64]) {
    uint64_t word = 0;
    for (size_t i = 0; i < 64; i++) word |= (uint64_t)mask[i] << i;
    return word;
}

HT_INLINE ht_vec ht_load_f16(const uint16_t *from, ht_lanes in) { return in ? ht_f16_to_f32(*from) : 0; }

HT_INLINE ht_mask ht_less_i8(const int8_t *x, const int32_t *threshold, ht_lanes in) { return in && *x < *threshold; }

HT_INLINE uint64_t ht_signs_of_bytes(const int8_t *x, size_t count) {
    uint64_t word = 0;
    for (size_t i = 0; i < count; i++) word |= (uint64_t)(x[i] < 0) << i;
    return word;
}

HT_INLINE void ht_store_signs(int8_t *to, uint64_t word, size_t count) {
    for (size_t i = 0; i < count; i++) to[i] = word >> i & 1 ? -1 : 1;
}

// MARK: doubles

typedef double ht_wide;
typedef uint64_t ht_words;

enum { HT_WIDE_PARTS = 1 };

HT_INLINE ht_wide ht_widen(ht_vec v, size_t part) {
    (void)part;
    return v;
}

HT_INLINE ht_vec ht_narrow(const ht_wide part[1]) { return (float)part[0]; }

HT_INLINE ht_wide ht_wsplat(double x) { return x; }
HT_INLINE ht_wide ht_wadd(ht_wide a, ht_wide b) { return a + b; }
HT_INLINE ht_wide ht_wsub(ht_wide a, ht_wide b) { return a - b; }
HT_INLINE ht_wide ht_wmul(ht_wide a, ht_wide b) { return a * b; }
HT_INLINE ht_wide ht_wdiv(ht_wide a, ht_wide b) { return a / b; }
HT_INLINE ht_wide ht_wfma(ht_wide a, ht_wide b, ht_wide c) { return fma(a, b, c); }    // a b + c
HT_INLINE ht_wide ht_wnfma(ht_wide a, ht_wide b, ht_wide c) { return fma(-a, b, c); }  // c - a b

// 0 where |a| > limit; a NaN stays.
HT_INLINE ht_wide ht_zero_beyond(ht_wide a, double limit) { return fabs(a) > limit ? 0 : a; }

HT_INLINE ht_words ht_words_of(ht_wide a) {
    ht_words words;
    memcpy(&words, &a, sizeof words);
    return words;
}

HT_INLINE ht_wide ht_wide_of(ht_words a) {
    ht_wide wide;
    memcpy(&wide, &a, sizeof wide);
    return wide;
}

HT_INLINE ht_words ht_wiadd(ht_words a, ht_words b) { return a + b; }
HT_INLINE ht_words ht_wisub(ht_words a, ht_words b) { return a - b; }
HT_INLINE ht_words ht_wor(ht_words a, ht_words b) { return a | b; }
HT_INLINE ht_words ht_wxor(ht_words a, ht_words b) { return a ^ b; }
HT_INLINE ht_words ht_wleft(ht_words a, int bits) { return a << bits; }
HT_INLINE ht_words ht_wright(ht_words a, int bits) { return a >> bits; }

#include "signs_code.h"

const ht_sign_calls *ht_signs_ref(void) { return &calls; }
