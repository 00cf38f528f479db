// SPDX-License-Identifier: Apache-2.0
// Counting differences in NEON. A template: neon.c and neondot.c include it with
//   most_words             that the sums of a part can hold
//   add_bits(sums, bits)   adds the set bits of each byte, or of each four
//   totals(sums)           of each four bytes
#include <arm_neon.h>

#include "counts.h"

// Bound: an xor, a count and an addition for 4 outputs and a word of X. 16 sums and 4 vectors of weights leave a dozen
// registers for what lies between.
HT_INLINE void count_rows(ht_binary_part *part, const ht_binary_tile *tile, size_t first, size_t block,
                          const size_t rows) {
    enum { quads = HT_BINARY_BLOCK / 4 };
    const char *x[4];
    sums_of_4 sums[4][quads];
    HT_UNROLL
    for (size_t r = 0; r < rows; r++) {
        x[r] = tile->x[first + r];
        HT_UNROLL
        for (size_t q = 0; q < quads; q++) sums[r][q] = (sums_of_4){0};
    }
    for (size_t word = 0; word < part->words; word++) {
        const uint32_t *w = part->w[word] + block * tile->block_words;
        const ptrdiff_t at = part->x[word];
        const uint32x4x4_t weights = {{vld1q_u32(w), vld1q_u32(w + 4), vld1q_u32(w + 8), vld1q_u32(w + 12)}};
        HT_UNROLL
        for (size_t r = 0; r < rows; r++) {
            const uint32x4_t signs = vld1q_dup_u32((const uint32_t *)(const void *)(x[r] + at));
            HT_UNROLL
            for (size_t q = 0; q < quads; q++) {
                const uint8x16_t differences = vreinterpretq_u8_u32(veorq_u32(signs, weights.val[q]));
                sums[r][q] = add_bits(sums[r][q], vcntq_u8(differences));
            }
        }
    }
    HT_UNROLL
    for (size_t r = 0; r < rows; r++) {
        int32_t *counts = part->counts[first + r] + block * HT_BINARY_BLOCK;
        HT_UNROLL
        for (size_t q = 0; q < quads; q++) {
            const int32x4_t more = vreinterpretq_s32_u32(totals(sums[r][q]));
            vst1q_s32(counts + 4 * q, vaddq_s32(vld1q_s32(counts + 4 * q), more));
        }
    }
}

static void count(ht_binary_part *part, const ht_binary_tile *tile) {
    for (size_t block = 0; block < tile->blocks; block++) {
        size_t r = 0;
        for (; r + 4 <= tile->rows; r += 4) count_rows(part, tile, r, block, 4);
        switch (tile->rows - r) {
        case 3: count_rows(part, tile, r, block, 3); break;
        case 2: count_rows(part, tile, r, block, 2); break;
        case 1: count_rows(part, tile, r, block, 1); break;
        }
    }
}

HT_INLINE uint32_t at_least(const int32_t *a, const int32_t *b) {
    static const uint16_t places[8] = {1, 2, 4, 8, 16, 32, 64, 128};
    uint16x8_t of_8[2];
    HT_UNROLL
    for (size_t i = 0; i < 2; i++) {
        const uint32x4_t low = vcgeq_s32(vld1q_s32(a + 8 * i), vld1q_s32(b + 8 * i));
        const uint32x4_t high = vcgeq_s32(vld1q_s32(a + 8 * i + 4), vld1q_s32(b + 8 * i + 4));
        of_8[i] = vandq_u16(vcombine_u16(vmovn_u32(low), vmovn_u32(high)), vld1q_u16(places));
    }
    return (uint32_t)vaddvq_u16(of_8[0]) | (uint32_t)vaddvq_u16(of_8[1]) << 8;
}
