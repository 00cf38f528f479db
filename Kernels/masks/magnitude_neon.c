// SPDX-License-Identifier: Apache-2.0
// Masks by magnitude in NEON.
#if defined(__aarch64__)
#include <stdbool.h>

#include "core/vec_neon.h"
#include "magnitude.h"

typedef int32x4x2_t ht_keys;

enum { HT_KEYS = 8 };

// An expression of half h, for both.
#define HALVES(expression)                                       \
    __extension__({                                              \
        ht_keys both_;                                           \
        for (int h = 0; h < 2; h++) both_.val[h] = (expression); \
        both_;                                                   \
    })
#define SIGNED(bits) vreinterpretq_s32_u32(bits)
#define BITS(keys) vreinterpretq_u32_s32(keys)

HT_INLINE ht_keys ht_splat(int key) { return HALVES(vdupq_n_s32(key)); }
HT_INLINE ht_keys ht_larger(ht_keys a, ht_keys b) { return HALVES(vmaxq_s32(a.val[h], b.val[h])); }
HT_INLINE ht_keys ht_smaller(ht_keys a, ht_keys b) { return HALVES(vminq_s32(a.val[h], b.val[h])); }
HT_INLINE ht_keys ht_and(ht_keys a, ht_keys b) { return HALVES(vandq_s32(a.val[h], b.val[h])); }
HT_INLINE ht_keys ht_or(ht_keys a, ht_keys b) { return HALVES(vorrq_s32(a.val[h], b.val[h])); }
HT_INLINE ht_keys ht_not(ht_keys a) { return HALVES(vmvnq_s32(a.val[h])); }
HT_INLINE ht_keys ht_add(ht_keys a, ht_keys b) { return HALVES(vaddq_s32(a.val[h], b.val[h])); }
HT_INLINE ht_keys ht_sub(ht_keys a, ht_keys b) { return HALVES(vsubq_s32(a.val[h], b.val[h])); }
#define ht_right(a, bits) HALVES(SIGNED(vshrq_n_u32(BITS((a).val[h]), bits)))

HT_INLINE ht_keys ht_or_where_reached(ht_keys word, ht_keys bit, ht_keys key, ht_keys least) {
    return HALVES(vorrq_s32(word.val[h], vandq_s32(SIGNED(vcgeq_s32(key.val[h], least.val[h])), bit.val[h])));
}

HT_INLINE ht_keys ht_or_where_above(ht_keys word, ht_keys bit, ht_keys key, ht_keys least) {
    return HALVES(vorrq_s32(word.val[h], vandq_s32(SIGNED(vcgtq_s32(key.val[h], least.val[h])), bit.val[h])));
}

HT_INLINE ht_keys ht_lowest(ht_keys word, ht_keys room) {
    const ht_keys lowest = ht_and(word, ht_sub(ht_splat(0), word));
    return HALVES(vandq_s32(lowest.val[h], SIGNED(vcgtzq_s32(room.val[h]))));
}

HT_INLINE ht_keys ht_less_one_where(ht_keys a, ht_keys word) {
    return HALVES(vaddq_s32(a.val[h], SIGNED(vtstq_s32(word.val[h], word.val[h]))));
}

HT_INLINE ht_keys ht_smaller_where(ht_keys a, ht_keys key, ht_keys word, ht_keys bit) {
    return ht_smaller(a, HALVES(vbslq_s32(vtstq_s32(word.val[h], bit.val[h]), key.val[h], a.val[h])));
}

HT_INLINE ht_keys ht_larger_unless(ht_keys a, ht_keys key, ht_keys word, ht_keys bit) {
    return ht_larger(a, HALVES(vbslq_s32(vtstq_s32(word.val[h], bit.val[h]), a.val[h], key.val[h])));
}

HT_INLINE bool ht_is_any(ht_keys a) { return vmaxvq_u32(BITS(vorrq_s32(a.val[0], a.val[1]))) != 0; }

HT_INLINE bool ht_is_above(ht_keys a, ht_keys b) {
    return vminvq_u32(vandq_u32(vcgtq_s32(a.val[0], b.val[0]), vcgtq_s32(a.val[1], b.val[1]))) != 0;
}

HT_INLINE bool ht_is_same(ht_keys a, ht_keys b) {
    return vminvq_u32(vandq_u32(vceqq_s32(a.val[0], b.val[0]), vceqq_s32(a.val[1], b.val[1]))) != 0;
}

// MARK: loads and stores

HT_INLINE ht_keys ht_load_keys(const uint32_t *from) { return HALVES(SIGNED(vld1q_u32(from + 4 * h))); }

HT_INLINE void ht_store_keys(uint32_t *to, ht_keys a) {
    vst1q_u32(to, BITS(a.val[0]));
    vst1q_u32(to + 4, BITS(a.val[1]));
}

HT_INLINE void ht_load_columns(const float *w, const size_t m, const size_t count, ht_keys key[8]) {
    for (size_t j = 0; j < count; j += 4) {
        const ht_lanes in = ht_first_lanes(count - j);
        float32x4_t rows[8];
        for (size_t i = 0; i < 8; i++) rows[i] = vabsq_f32(ht_load_f32(w + i * m + j, in));
        ht_vtranspose(rows);
        ht_vtranspose(rows + 4);
        for (size_t i = 0; i < 4; i++) key[j + i] = HALVES(vreinterpretq_s32_f32(rows[4 * h + i]));
    }
}

HT_INLINE void ht_load_groups(const float *w, const size_t m, ht_keys *key) {
    for (size_t j = 0; j < m; j += 8) ht_load_columns(w + j, m, 8, key + j);
}

HT_INLINE ht_keys ht_load_words(const uint8_t *from, const size_t m) {
    uint32_t words[8];
    for (size_t i = 0; i < 8; i++) {
        words[i] = 0;
        for (size_t byte = 0; byte < m / 8; byte++) words[i] |= (uint32_t)from[i * m / 8 + byte] << 8 * byte;
    }
    return ht_load_keys(words);
}

HT_INLINE void ht_store_words(uint8_t *to, const size_t m, ht_keys word) {
    const uint16x8_t halves = vcombine_u16(vmovn_u32(BITS(word.val[0])), vmovn_u32(BITS(word.val[1])));
    if (m == 8) vst1_u8(to, vmovn_u16(halves));
    if (m == 16) vst1q_u8(to, vreinterpretq_u8_u16(halves));
    if (m == 32) vst1q_u8(to, vreinterpretq_u8_s32(word.val[0]));
    if (m == 32) vst1q_u8(to + 16, vreinterpretq_u8_s32(word.val[1]));
}

// MARK: M = 2 and 4

#include "fours.h"

// Fields of `bits` bits one behind the other, the first lowest.
HT_INLINE uint32_t joined(ht_keys field, const int bits) {
    static const int32_t places[2][4] = {{0, 1, 2, 3}, {4, 5, 6, 7}};
    const ht_keys at = HALVES(vshlq_s32(field.val[h], vmulq_n_s32(vld1q_s32(places[h]), bits)));
    return vaddvq_u32(BITS(vaddq_s32(at.val[0], at.val[1])));
}

HT_INLINE void ht_mask_2(const float *w, uint8_t *mask) {
    ht_keys second;
    for (int h = 0; h < 2; h++) {
        const float32x4x2_t a = vld2q_f32(w + 8 * h);
        second.val[h] =
            vsubq_s32(vreinterpretq_s32_f32(vabsq_f32(a.val[0])), vreinterpretq_s32_f32(vabsq_f32(a.val[1])));
    }
    const uint16_t bits = (uint16_t)joined(ht_add(ht_right(second, 31), ht_splat(1)), 2);
    __builtin_memcpy(mask, &bits, sizeof bits);
}

HT_INLINE void ht_mask_4(const float *w, const size_t n, uint8_t *mask) {
    ht_keys key[4], lost[4], field = ht_splat(0);
    for (int h = 0; h < 2; h++) {
        const float32x4x4_t a = vld4q_f32(w + 16 * h);
        for (int j = 0; j < 4; j++) key[j].val[h] = vreinterpretq_s32_f32(vabsq_f32(a.val[j]));
    }
    ht_lose_of_4(key, n, lost);
    for (int j = 3; j >= 0; j--) field = ht_add(ht_add(field, field), ht_right(lost[j], 31));
    const uint32_t bits = ~joined(field, 4);
    __builtin_memcpy(mask, &bits, sizeof bits);
}

#include "lanes.h"

void ht_nm_mask_f32_neon(const float *w, size_t columns, size_t n, size_t m, const uint8_t *old, uint8_t *mask) {
    ht_mask_piece(w, columns, n, m, old, mask);
}
#endif
