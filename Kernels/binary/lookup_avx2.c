// SPDX-License-Identifier: Apache-2.0
// Floats and bytes against signs in AVX2.
#if defined(__x86_64__)
#include <immintrin.h>
#include <stdbool.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma")
#endif

#include "core/vec_avx2.h"

typedef __m256i ht_lookup_words;
typedef __m256 ht_lookup_table;
typedef struct ht_lookup_choice {
    __m256i place;  // the lower three bits
    __m256i sign;   // 1 or -1, for integers anything of that sign
} ht_lookup_choice;

HT_INLINE __m256i ht_lookup_load_words(const uint32_t *w) {
    const __m256i words = _mm256_load_si256((const __m256i *)(const void *)w);
    const __m256i fourth = _mm256_and_si256(words, _mm256_set1_epi32((int)0x88888888));
    return _mm256_xor_si256(words, _mm256_sub_epi32(fourth, _mm256_srli_epi32(fourth, 3)));
}

HT_INLINE __m256i ht_lookup_next(__m256i words) { return _mm256_srli_epi32(words, 4); }

HT_INLINE ht_lookup_choice ht_lookup_choose(__m256i words, const bool floats) {
    const __m256i top = _mm256_slli_epi32(words, 28);
    if (!floats) return (ht_lookup_choice){words, _mm256_or_si256(top, _mm256_set1_epi32(1))};
    const __m256i sign = _mm256_and_si256(top, _mm256_set1_epi32(INT32_MIN));
    return (ht_lookup_choice){words, _mm256_or_si256(sign, _mm256_castps_si256(_mm256_set1_ps(1)))};
}

HT_INLINE __m256 ht_lookup_load_table(const char *from) { return _mm256_load_ps((const float *)(const void *)from); }

HT_INLINE __m256 ht_lookup_add(__m256 sum, __m256 table, ht_lookup_choice choice, const bool floats) {
    const __m256 chosen = _mm256_permutevar8x32_ps(table, choice.place);
    if (floats) return _mm256_fmadd_ps(chosen, _mm256_castsi256_ps(choice.sign), sum);
    const __m256i signed_ = _mm256_sign_epi32(_mm256_castps_si256(chosen), choice.sign);
    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(sum), signed_));
}

#define STORE_SUMS ht_sums_store_avx2
#include "lookup_halves.h"

void ht_binary_gemm_f32_avx2(const ht_binary_task *task) { ht_lookup_run(&vectors_f32, task); }
void ht_binary_gemm_i8_avx2(const ht_binary_task *task) { ht_lookup_run(&vectors_i8, task); }

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
