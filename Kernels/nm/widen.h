// SPDX-License-Identifier: Apache-2.0
// Widening the 16-bit weights of quads: included behind the target pragma of a file with AVX2 and F16C.
#ifndef HT_NM_WIDEN_H
#define HT_NM_WIDEN_H

#include <immintrin.h>

#include "core/simd.h"

// A pair of slots: from [row][second, first slot] to [slot][row].
HT_INLINE __m128i ht_pair_of_slots(const uint16_t *values) {
    const __m128i order = _mm_setr_epi8(2, 3, 6, 7, 10, 11, 14, 15, 0, 1, 4, 5, 8, 9, 12, 13);
    return _mm_shuffle_epi8(_mm_load_si128((const __m128i *)values), order);
}

static void widen_f16(const void *values, size_t count, float *to) {
    for (size_t i = 0; i < count; i += 8)
        _mm256_store_ps(to + i, _mm256_cvtph_ps(ht_pair_of_slots((const uint16_t *)values + i)));
}

static void widen_bf16(const void *values, size_t count, float *to) {
    for (size_t i = 0; i < count; i += 8) {
        __m256i low = _mm256_cvtepu16_epi32(ht_pair_of_slots((const uint16_t *)values + i));
        _mm256_store_si256((__m256i *)(to + i), _mm256_slli_epi32(low, 16));
    }
}

#endif
