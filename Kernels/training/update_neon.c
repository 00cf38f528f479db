// SPDX-License-Identifier: Apache-2.0
#if defined(__aarch64__)

// clang-format off: the second is written in the words of the first
#include "core/vec_neon.h"

HT_INLINE ht_vec ht_vsqrt(ht_vec v) { return vsqrtq_f32(v); }

HT_INLINE ht_vec ht_where_bits(uint32_t bits, ht_vec a, ht_vec b) {
    static const uint32_t bit[] = {1, 2, 4, 8};
    return vbslq_f32(vtstq_u32(vdupq_n_u32(bits), vld1q_u32(bit)), a, b);
}

#include "update_vectors.h"
// clang-format on

void ht_update_neon(const ht_update *update, size_t row, size_t begin, size_t end) {
    update_any(update, row, begin, end);
}
#endif
