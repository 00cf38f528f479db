// SPDX-License-Identifier: Apache-2.0
#if defined(__x86_64__)
#include <immintrin.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,bmi,bmi2,f16c"))), \
                             apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,bmi,bmi2,f16c")
#endif
// clang-format off: the second is written in the words of the first
#include "core/vec_avx512.h"

HT_INLINE ht_vec ht_vsqrt(ht_vec v) { return _mm512_sqrt_ps(v); }

HT_INLINE ht_vec ht_where_bits(uint32_t bits, ht_vec a, ht_vec b) {
    return _mm512_mask_blend_ps((__mmask16)bits, b, a);
}

#include "update_vectors.h"
// clang-format on

void ht_update_avx512(const ht_update *update, size_t row, size_t begin, size_t end) {
    update_any(update, row, begin, end);
}

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
