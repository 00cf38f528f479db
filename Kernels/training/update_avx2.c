// SPDX-License-Identifier: Apache-2.0
#if defined(__x86_64__)
#include <immintrin.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,bmi,bmi2,f16c"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,bmi,bmi2,f16c")
#endif
// clang-format off: the second is written in the words of the first
#include "core/vec_avx2.h"

HT_INLINE ht_vec ht_vsqrt(ht_vec v) { return _mm256_sqrt_ps(v); }

HT_INLINE ht_vec ht_where_bits(uint32_t bits, ht_vec a, ht_vec b) {
    const __m256i bit = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
    const __m256i set = _mm256_cmpeq_epi32(_mm256_and_si256(_mm256_set1_epi32((int)bits), bit), bit);
    return _mm256_blendv_ps(b, a, _mm256_castsi256_ps(set));
}

#include "update_vectors.h"
// clang-format on

void ht_update_avx2(const ht_update *update, size_t row, size_t begin, size_t end) {
    update_any(update, row, begin, end);
}

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
