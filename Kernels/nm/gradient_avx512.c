// SPDX-License-Identifier: Apache-2.0
// The sampled weight gradient in AVX-512.
#if defined(__x86_64__)
#include <immintrin.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,bmi,bmi2,f16c,avx512f,avx512bw,avx512dq,avx512vl"))), \
                             apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,bmi,bmi2,f16c,avx512f,avx512bw,avx512dq,avx512vl")
#endif

#include "core/vec_avx512.h"

enum { BATCH = 8, LEAST_REACH = 16 };

typedef __m512i ht_picks;

HT_INLINE ht_picks ht_load_picks(const uint8_t *from) {
    return _mm512_cvtepu8_epi32(_mm_load_si128((const __m128i *)from));
}

HT_INLINE ht_vec ht_take(const float *x, ht_picks picks, const size_t reach) {
    if (reach == 16) return _mm512_permutexvar_ps(picks, _mm512_loadu_ps(x));
    __m512 low = _mm512_permutex2var_ps(_mm512_loadu_ps(x), picks, _mm512_loadu_ps(x + 16));
    if (reach == 32) return low;
    __m512 high = _mm512_permutex2var_ps(_mm512_loadu_ps(x + 32), picks, _mm512_loadu_ps(x + 48));
    return _mm512_mask_blend_ps(_mm512_test_epi32_mask(picks, _mm512_set1_epi32(32)), low, high);
}

#include "gradient_vectors.h"

// The fence orders vectors stored past the caches before what the caller does next.
static void sum_and_fence(const ht_nm_gradient_task *task) {
    sum(task);
    _mm_sfence();
}

static const ht_nm_gradient_calls calls = {sum_and_fence, transpose};

const ht_nm_gradient_calls *ht_nm_sampled_gradient_f32_avx512(void) { return &calls; }

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
