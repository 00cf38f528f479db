// SPDX-License-Identifier: Apache-2.0
// What the NEON files share.
#ifndef HT_NM_NEON_H
#define HT_NM_NEON_H

#include <arm_neon.h>

#include "core/simd.h"
#include "layout.h"

// Where `v` has to be ready, for the compiler: none of the loads and sums behind it come before. Without, compilers
// begin an unrolled loop with more loads than there are registers, and spill.
#define HT_IN_ORDER(v) __asm__ volatile("" : "+w"(v)::"memory")

// The index fields of four rows, one in each lane.
HT_INLINE uint32x4_t ht_load_fields(const uint8_t *indices, const int field_bytes) {
    static const uint8_t spread[16] = {0, 1, 2, 255, 3, 4, 5, 255, 6, 7, 8, 255, 9, 10, 11, 255};
    uint8x16_t fields = vld1q_u8(indices);
    return vreinterpretq_u32_u8(field_bytes == 3 ? vqtbl1q_u8(fields, vld1q_u8(spread)) : fields);
}

// The index fields of some pairs of rows: of both rows, or what they share.
HT_INLINE void ht_load_words(uint64_t *words, const uint8_t *indices, const size_t pairs, const size_t pair_bytes) {
    HT_UNROLL
    for (size_t pair = 0; pair < pairs; pair++)
        __builtin_memcpy(words + pair, indices + pair * pair_bytes, sizeof *words);
}

#endif
