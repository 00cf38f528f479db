// SPDX-License-Identifier: Apache-2.0
// What the searches need, in AVX-512.
#if defined(__x86_64__)
#include <immintrin.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,bmi,bmi2,avx512f,avx512bw,avx512dq,avx512vl,popcnt"))), \
                             apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,bmi,bmi2,avx512f,avx512bw,avx512dq,avx512vl,popcnt")
#endif

#include "search_avx512.h"

// A look-up for each four bits; then the bytes of a word are added.
HT_INLINE ht_counts ht_add_counts(ht_counts sum, ht_bits v, size_t left) {
    const __m512i counts = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
    const __m512i four = _mm512_set1_epi8(15);
    const __m512i low = _mm512_shuffle_epi8(counts, _mm512_and_si512(v, four));
    const __m512i high = _mm512_shuffle_epi8(counts, _mm512_and_si512(_mm512_srli_epi16(v, 4), four));
    const __m512i words = _mm512_sad_epu8(_mm512_add_epi8(low, high), _mm512_setzero_si512());
    return _mm512_add_epi64(sum, _mm512_slli_epi64(words, (unsigned)left));
}

// The numbers of the bits of a line, each times 64.
HT_INLINE size_t ht_list_bits(const uint64_t *bits, uint16_t *list) {
    __m512i number = _mm512_slli_epi32(ht_icount_up(), 6);
    size_t count = 0;
    for (size_t i = 0; i < 32; i++) {
        const uint16_t some = ((const uint16_t *)(const void *)bits)[i];
        const __m512i chosen = _mm512_maskz_compress_epi32(some, number);
        _mm256_storeu_si256((__m256i *)(void *)(list + count), _mm512_cvtepi32_epi16(chosen));
        count += (size_t)__builtin_popcount(some);
        number = _mm512_add_epi32(number, _mm512_set1_epi32(1024));
    }
    return count;
}

#include "search_code.h"

const ht_bimask_calls *ht_bimask_search_avx512(void) { return &calls; }

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
