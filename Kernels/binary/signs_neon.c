// SPDX-License-Identifier: Apache-2.0
// Signs in NEON.
#if defined(__aarch64__)
#include "core/vec_neon.h"

typedef uint32x4_t ht_mask;  // all ones or zero

HT_INLINE ht_mask ht_less(ht_vec a, ht_vec b) { return vcltq_f32(a, b); }
HT_INLINE ht_mask ht_not_above(ht_vec a, ht_vec b) { return vcleq_f32(a, b); }
HT_INLINE ht_vec ht_where(ht_mask mask, ht_vec a, ht_vec b) { return vbslq_f32(mask, a, b); }

HT_INLINE ht_mask ht_mask_at(uint64_t word, size_t v) {
    static const uint32_t bits[4] = {1, 2, 4, 8};
    return vtstq_u32(vdupq_n_u32((uint32_t)(word >> v * HT_VEC_LANES)), vld1q_u32(bits));
}

HT_INLINE uint8x16_t bit_of_place(void) { return vreinterpretq_u8_u64(vdupq_n_u64(0x8040201008040201)); }

// Neighbours are added three times: eight bytes, each of them a bit of its place or zero, become one.
HT_INLINE uint64_t word_of_bits(const uint8x16_t bits[4]) {
    const uint8x16_t sums = vpaddq_u8(vpaddq_u8(bits[0], bits[1]), vpaddq_u8(bits[2], bits[3]));
    return vgetq_lane_u64(vreinterpretq_u64_u8(vpaddq_u8(sums, sums)), 0);
}

// The byte of each lane of four masks, cut to the bit of its place.
HT_INLINE uint8x16_t bits_of(const ht_mask mask[4]) {
    const uint16x8_t first = vuzp1q_u16(vreinterpretq_u16_u32(mask[0]), vreinterpretq_u16_u32(mask[1]));
    const uint16x8_t second = vuzp1q_u16(vreinterpretq_u16_u32(mask[2]), vreinterpretq_u16_u32(mask[3]));
    return vandq_u8(vuzp1q_u8(vreinterpretq_u8_u16(first), vreinterpretq_u8_u16(second)), bit_of_place());
}

HT_INLINE uint64_t ht_word(const ht_mask mask[16]) {
    const uint8x16_t bits[4] = {bits_of(mask), bits_of(mask + 4), bits_of(mask + 8), bits_of(mask + 12)};
    return word_of_bits(bits);
}

HT_INLINE ht_vec ht_load_f16(const uint16_t *from, ht_lanes in) {
    uint16_t some[4] = {0};
    __builtin_memcpy(some, from, in * sizeof *from);
    return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(some)));
}

HT_INLINE ht_mask ht_less_i8(const int8_t *x, const int32_t *threshold, ht_lanes in) {
    int8_t bytes[8] = {0};
    int32_t limits[4] = {0};
    __builtin_memcpy(bytes, x, in);
    __builtin_memcpy(limits, threshold, in * sizeof *threshold);
    return vcltq_s32(vmovl_s16(vget_low_s16(vmovl_s8(vld1_s8(bytes)))), vld1q_s32(limits));
}

HT_INLINE uint64_t ht_signs_of_bytes(const int8_t *x, size_t count) {
    int8_t bytes[64] = {0};
    uint8x16_t bits[4];
    __builtin_memcpy(bytes, x, count);
    HT_UNROLL
    for (size_t i = 0; i < 4; i++) bits[i] = vandq_u8(vcltzq_s8(vld1q_s8(bytes + 16 * i)), bit_of_place());
    return word_of_bits(bits);
}

HT_INLINE void ht_store_signs(int8_t *to, uint64_t word, size_t count) {
    int8_t signs[64];
    const uint8x8_t place = vreinterpret_u8_u64(vdup_n_u64(0x8040201008040201));
    HT_UNROLL
    for (size_t i = 0; i < 8; i++) {
        const uint8x8_t set = vtst_u8(vdup_n_u8((uint8_t)(word >> 8 * i)), place);
        vst1_s8(signs + 8 * i, vreinterpret_s8_u8(vorr_u8(set, vdup_n_u8(1))));
    }
    __builtin_memcpy(to, signs, count);
}

// MARK: doubles

typedef float64x2_t ht_wide;
typedef uint64x2_t ht_words;

enum { HT_WIDE_PARTS = 2 };

HT_INLINE ht_wide ht_widen(ht_vec v, size_t part) {
    return part ? vcvt_high_f64_f32(v) : vcvt_f64_f32(vget_low_f32(v));
}

HT_INLINE ht_vec ht_narrow(const ht_wide part[2]) { return vcvt_high_f32_f64(vcvt_f32_f64(part[0]), part[1]); }

HT_INLINE ht_wide ht_wsplat(double x) { return vdupq_n_f64(x); }
HT_INLINE ht_wide ht_wadd(ht_wide a, ht_wide b) { return vaddq_f64(a, b); }
HT_INLINE ht_wide ht_wsub(ht_wide a, ht_wide b) { return vsubq_f64(a, b); }
HT_INLINE ht_wide ht_wmul(ht_wide a, ht_wide b) { return vmulq_f64(a, b); }
HT_INLINE ht_wide ht_wdiv(ht_wide a, ht_wide b) { return vdivq_f64(a, b); }
HT_INLINE ht_wide ht_wfma(ht_wide a, ht_wide b, ht_wide c) { return vfmaq_f64(c, a, b); }   // a b + c
HT_INLINE ht_wide ht_wnfma(ht_wide a, ht_wide b, ht_wide c) { return vfmsq_f64(c, a, b); }  // c - a b

// 0 where |a| > limit; a NaN stays.
HT_INLINE ht_wide ht_zero_beyond(ht_wide a, double limit) {
    return vbslq_f64(vcagtq_f64(a, ht_wsplat(limit)), ht_wsplat(0), a);
}

HT_INLINE ht_words ht_words_of(ht_wide a) { return vreinterpretq_u64_f64(a); }
HT_INLINE ht_wide ht_wide_of(ht_words a) { return vreinterpretq_f64_u64(a); }
HT_INLINE ht_words ht_wiadd(ht_words a, ht_words b) { return vaddq_u64(a, b); }
HT_INLINE ht_words ht_wisub(ht_words a, ht_words b) { return vsubq_u64(a, b); }
HT_INLINE ht_words ht_wor(ht_words a, ht_words b) { return vorrq_u64(a, b); }
HT_INLINE ht_words ht_wxor(ht_words a, ht_words b) { return veorq_u64(a, b); }
#define ht_wleft(a, bits) vshlq_n_u64(a, bits)
#define ht_wright(a, bits) vshrq_n_u64(a, bits)

#include "signs_code.h"

const ht_sign_calls *ht_signs_neon(void) { return &calls; }
#endif
