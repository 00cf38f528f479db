// SPDX-License-Identifier: Apache-2.0
// Floats and bytes against signs in NEON.
#if defined(__aarch64__)
#include <stdbool.h>

#include "core/vec_neon.h"

typedef uint32x4_t ht_lookup_words;
typedef uint8x16x2_t ht_lookup_table;
typedef struct ht_lookup_choice {
    uint8x16_t place;  // of each byte
    uint32x4_t sign;   // 1 or -1, a float or an integer
} ht_lookup_choice;

HT_INLINE uint32x4_t ht_lookup_load_words(const uint32_t *w) {
    const uint32x4_t words = vld1q_u32(w), fourth = vandq_u32(words, vdupq_n_u32(0x88888888));
    return veorq_u32(words, vsubq_u32(fourth, vshrq_n_u32(fourth, 3)));
}

HT_INLINE uint32x4_t ht_lookup_next(uint32x4_t words) { return vshrq_n_u32(words, 4); }

HT_INLINE ht_lookup_choice ht_lookup_choose(uint32x4_t words, const bool floats) {
    const uint32x4_t four = vdupq_n_u32(0x04040404), bytes = vdupq_n_u32(0x03020100);
    const uint32x4_t place = vmlaq_u32(bytes, vandq_u32(words, vdupq_n_u32(7)), four), top = vshlq_n_u32(words, 28);
    const uint32x4_t one = floats ? vreinterpretq_u32_f32(vdupq_n_f32(1)) : vdupq_n_u32(1);
    const uint32x4_t minus = vreinterpretq_u32_s32(vshrq_n_s32(vreinterpretq_s32_u32(top), 31));
    const uint32x4_t sign = floats ? vandq_u32(top, vdupq_n_u32(0x80000000)) : minus;
    return (ht_lookup_choice){vreinterpretq_u8_u32(place), vorrq_u32(sign, one)};
}

HT_INLINE uint8x16x2_t ht_lookup_load_table(const char *from) {
    const uint8_t *bytes = (const uint8_t *)from;
    return (uint8x16x2_t){{vld1q_u8(bytes), vld1q_u8(bytes + 16)}};
}

HT_INLINE float32x4_t ht_lookup_add(float32x4_t sum, uint8x16x2_t table, ht_lookup_choice choice, const bool floats) {
    const uint8x16_t chosen = vqtbl2q_u8(table, choice.place);
    if (floats) return vfmaq_f32(sum, vreinterpretq_f32_u8(chosen), vreinterpretq_f32_u32(choice.sign));
    const int32x4_t was = vreinterpretq_s32_f32(sum), sign = vreinterpretq_s32_u32(choice.sign);
    return vreinterpretq_f32_s32(vmlaq_s32(was, vreinterpretq_s32_u8(chosen), sign));
}

#define STORE_SUMS ht_sums_store_neon
#include "lookup_halves.h"

void ht_binary_gemm_f32_neon(const ht_binary_task *task) { ht_lookup_run(&vectors_f32, task); }
void ht_binary_gemm_i8_neon(const ht_binary_task *task) { ht_lookup_run(&vectors_i8, task); }
#endif
