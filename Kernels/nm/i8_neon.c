// SPDX-License-Identifier: Apache-2.0
// 8-bit products in NEON without dot products, and what all NEON rows share.
#include "i8.h"

#if defined(__aarch64__)
#include "neon.h"

// MARK: picks

// The four indices in the low bits of each lane, one in each byte: first two pairs, then each in two.
HT_INLINE uint32x4_t spread(uint32x4_t indices, const int bits) {
    indices = vandq_u32(indices, vdupq_n_u32((uint32_t)((1ull << 4 * bits) - 1)));
    uint32x4_t pairs = vorrq_u32(indices, vshlq_u32(indices, vdupq_n_s32(16 - 2 * bits)));
    pairs = vandq_u32(pairs, vdupq_n_u32(((1u << 2 * bits) - 1) * 0x00010001));
    uint32x4_t bytes = vorrq_u32(pairs, vshlq_u32(pairs, vdupq_n_s32(8 - bits)));
    return vandq_u32(bytes, vdupq_n_u32(((1u << bits) - 1) * 0x01010101));
}

// Where the windows of a step's four slots begin, one in each byte.
static uint32_t window_bytes(const ht_nm_layout *l, size_t step_in_window) {
    uint32_t bytes = 0;
    for (size_t slot = 0; slot < l->step; slot++)
        bytes |= (uint32_t)((step_in_window * l->step + slot) / l->window_slots * l->window) << 8 * slot;
    return bytes;
}

HT_INLINE void pick_in_windows(const ht_nm_layout *l, const uint8_t *indices, size_t steps, uint8_t *picks,
                               const int bits) {
    const size_t unit_steps = l->unit_slots / l->step, window_steps = ht_nm_i8_window_steps(l);
    for (size_t step = 0; step < steps; step++, picks += HT_NM_I8_STEP) {
        const uint8_t *fields = indices + step / unit_steps * ht_nm_unit_bytes(l);
        const uint32x4_t windows = vdupq_n_u32(window_bytes(l, step % window_steps));
        const int32x4_t down = vdupq_n_s32(-(int)(step % unit_steps * l->step) * bits);
        HT_UNROLL
        for (size_t q = 0; q < 4; q++) {
            uint32x4_t field = ht_load_fields(fields + q * 4 * l->field_bytes, bits == 3 ? 3 : 4);
            uint32x4_t bytes = vaddq_u32(spread(vshlq_u32(field, down), bits), windows);
            vst1q_u8(picks + q * 16, vreinterpretq_u8_u32(bytes));
        }
    }
}

// A field holds the indices of one step, and they count in the window that picks count in.
static void pick_in_bytes(const uint8_t *indices, size_t steps, uint8_t *picks) {
    for (size_t i = 0; i < steps * HT_NM_I8_STEP; i += 16)
        vst1q_u8(picks + i, vandq_u8(vld1q_u8(indices + i), vdupq_n_u8(HT_NM_I8_WINDOW - 1)));
}

void ht_nm_i8_pick_neon(const ht_nm_layout *l, const uint8_t *indices, size_t steps, uint8_t *picks) {
    switch (l->index_bits) {
    case 1: ht_nm_i8_pick_maps(l, indices, steps, picks); break;
    case 2: pick_in_windows(l, indices, steps, picks, 2); break;
    case 3: pick_in_windows(l, indices, steps, picks, 3); break;
    case 4: pick_in_windows(l, indices, steps, picks, 4); break;
    default: pick_in_bytes(indices, steps, picks);
    }
}

// MARK: products

// A product of two bytes fits in 16 bits, a sum of two does not. So they are added in pairs to sums of 32 bits, two for
// each row.
typedef struct sums_of_4 {
    int32x4_t low, high;
} sums_of_4;

HT_INLINE sums_of_4 start_sums(int32x4_t sums) {
    return (sums_of_4){vzip1q_s32(sums, vdupq_n_s32(0)), vzip2q_s32(sums, vdupq_n_s32(0))};
}

HT_INLINE int32x4_t total_sums(sums_of_4 sums) { return vpaddq_s32(sums.low, sums.high); }

HT_INLINE sums_of_4 add_products(sums_of_4 sums, uint8x16_t x, int8x16_t w) {
    int8x16_t signed_x = vreinterpretq_s8_u8(x);
    sums.low = vpadalq_s16(sums.low, vmull_s8(vget_low_s8(signed_x), vget_low_s8(w)));
    sums.high = vpadalq_s16(sums.high, vmull_high_s8(signed_x, w));
    return sums;
}

#define IN_ORDER(sums)          \
    do {                        \
        HT_IN_ORDER(sums.low);  \
        HT_IN_ORDER(sums.high); \
    } while (0)
#define MOST_SUMS 8
#define SIGNED_X true
#include "i8_neon.h"

void ht_nm_gemm_i8_neon(const ht_nm_task *task) { ht_nm_i8_run(&vectors, task); }
#endif
