// SPDX-License-Identifier: Apache-2.0
// 8-bit products in AVX2.
#include "core/simd.h"
#include "i8.h"

#if defined(__x86_64__)
#include <immintrin.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,bmi,bmi2"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c,bmi,bmi2")
#endif

// vpmaddubsw would saturate: two products of 255 and 127 do not fit in 16 bits. So even and odd slots are widened and
// multiplied on their own.
typedef struct weights {
    __m256i even, odd;
} weights;

HT_INLINE weights prepare(__m256i w) {
    return (weights){_mm256_srai_epi16(_mm256_slli_epi16(w, 8), 8), _mm256_srai_epi16(w, 8)};
}

HT_INLINE __m256i add(__m256i sum, __m256i x, weights w) {
    __m256i even = _mm256_and_si256(x, _mm256_set1_epi16(0xff)), odd = _mm256_srli_epi16(x, 8);
    sum = _mm256_add_epi32(sum, _mm256_madd_epi16(even, w.even));
    return _mm256_add_epi32(sum, _mm256_madd_epi16(odd, w.odd));
}

#include "i8_avx2.h"

void ht_nm_gemm_i8_avx2(const ht_nm_task *task) { ht_nm_i8_run(&vectors, task); }

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
