// SPDX-License-Identifier: Apache-2.0
// The sampled weight gradient in AVX2.
#if defined(__x86_64__)
#include <immintrin.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,bmi,bmi2,f16c"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,bmi,bmi2,f16c")
#endif

#include "core/vec_avx2.h"

enum { BATCH = 4, LEAST_REACH = 8 };

typedef __m256i ht_picks;

HT_INLINE ht_picks ht_load_picks(const uint8_t *from) {
    return _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)from));
}

// The upper half of v's lanes whose bit is set in the picks, the lower one's of the others.
#define ht_half(low, high, picks, bit) \
    _mm256_blendv_ps(low, high, _mm256_castsi256_ps(_mm256_slli_epi32(picks, 31 - (bit))))

HT_INLINE ht_vec ht_take_of_8(const float *x, ht_picks picks) {
    return _mm256_permutevar8x32_ps(_mm256_loadu_ps(x), picks);
}

HT_INLINE ht_vec ht_take_of_16(const float *x, ht_picks picks) {
    return ht_half(ht_take_of_8(x, picks), ht_take_of_8(x + 8, picks), picks, 3);
}

HT_INLINE ht_vec ht_take_of_32(const float *x, ht_picks picks) {
    return ht_half(ht_take_of_16(x, picks), ht_take_of_16(x + 16, picks), picks, 4);
}

HT_INLINE ht_vec ht_take(const float *x, ht_picks picks, const size_t reach) {
    if (reach == 8) return ht_take_of_8(x, picks);
    if (reach == 16) return ht_take_of_16(x, picks);
    if (reach == 32) return ht_take_of_32(x, picks);
    return ht_half(ht_take_of_32(x, picks), ht_take_of_32(x + 32, picks), picks, 5);
}

#include "gradient_vectors.h"

static const ht_nm_gradient_calls calls = {sum, transpose};

const ht_nm_gradient_calls *ht_nm_sampled_gradient_f32_avx2(void) { return &calls; }

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
