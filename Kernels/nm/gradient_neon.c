// SPDX-License-Identifier: Apache-2.0
// The sampled weight gradient in NEON.
#if defined(__aarch64__)
#include "core/vec_neon.h"

enum { BATCH = 4, LEAST_REACH = 4 };

// The numbers of the four bytes that each lane's float has.
typedef uint8x16_t ht_picks;

HT_INLINE ht_picks ht_load_picks(const uint8_t *from) {
    uint32_t bytes;
    __builtin_memcpy(&bytes, from, sizeof bytes);
    uint32x4_t picks = vmovl_u16(vget_low_u16(vmovl_u8(vcreate_u8(bytes))));
    return vreinterpretq_u8_u32(vmlaq_n_u32(vdupq_n_u32(0x03020100), picks, 0x04040404));
}

HT_INLINE uint8x16x4_t ht_window(const float *x) {
    const uint8_t *from = (const uint8_t *)x;
    return (uint8x16x4_t){{vld1q_u8(from), vld1q_u8(from + 16), vld1q_u8(from + 32), vld1q_u8(from + 48)}};
}

// A table look-up leaves what is beyond its 64 bytes to the next.
HT_INLINE ht_vec ht_take(const float *x, ht_picks picks, const size_t reach) {
    if (reach == 4) return vreinterpretq_f32_u8(vqtbl1q_u8(vreinterpretq_u8_f32(vld1q_f32(x)), picks));
    if (reach == 8) {
        const uint8_t *from = (const uint8_t *)x;
        return vreinterpretq_f32_u8(vqtbl2q_u8((uint8x16x2_t){{vld1q_u8(from), vld1q_u8(from + 16)}}, picks));
    }
    uint8x16_t found = vqtbl4q_u8(ht_window(x), picks);
    HT_UNROLL
    for (size_t column = 16; column < reach; column += 16)
        found = vqtbx4q_u8(found, ht_window(x + column), vsubq_u8(picks, vdupq_n_u8((uint8_t)(column * 4))));
    return vreinterpretq_f32_u8(found);
}

#include "gradient_vectors.h"

static const ht_nm_gradient_calls calls = {sum, transpose};

const ht_nm_gradient_calls *ht_nm_sampled_gradient_f32_neon(void) { return &calls; }
#endif
