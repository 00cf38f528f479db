// SPDX-License-Identifier: Apache-2.0
// What the searches need, in AVX-512 with VPOPCNTDQ and VBMI2.
#if defined(__x86_64__)
#include <immintrin.h>

#if defined(__clang__)
#pragma clang attribute push(                                                                                       \
    __attribute__((target("avx2,bmi,bmi2,avx512f,avx512bw,avx512dq,avx512vl,avx512vpopcntdq,avx512vbmi2,popcnt"))), \
    apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,bmi,bmi2,avx512f,avx512bw,avx512dq,avx512vl,avx512vpopcntdq,avx512vbmi2,popcnt")
#endif

#include "search_avx512.h"

HT_INLINE ht_counts ht_add_counts(ht_counts sum, ht_bits v, size_t left) {
    return _mm512_add_epi64(sum, _mm512_slli_epi64(_mm512_popcnt_epi64(v), (unsigned)left));
}

// The numbers of the bits of a line, each times 64.
HT_INLINE size_t ht_list_bits(const uint64_t *bits, uint16_t *list) {
    static const uint16_t begin[32] = {0,    64,   128,  192,  256,  320,  384,  448,  512,  576,  640,
                                       704,  768,  832,  896,  960,  1024, 1088, 1152, 1216, 1280, 1344,
                                       1408, 1472, 1536, 1600, 1664, 1728, 1792, 1856, 1920, 1984};
    __m512i number = _mm512_loadu_si512(begin);
    size_t count = 0;
    HT_UNROLL
    for (size_t i = 0; i < 16; i++) {
        const uint32_t some = ((const uint32_t *)(const void *)bits)[i];
        _mm512_storeu_si512(list + count, _mm512_maskz_compress_epi16(some, number));
        count += (size_t)__builtin_popcount(some);
        number = _mm512_add_epi16(number, _mm512_set1_epi16(2048));
    }
    return count;
}

#include "search_code.h"

const ht_bimask_calls *ht_bimask_search_avx512popcnt(void) { return &calls; }

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
