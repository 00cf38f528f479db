// SPDX-License-Identifier: Apache-2.0
// Index fields of strips: included behind the target pragma of the file that uses it.
#ifndef HT_NM_AVX512_WORDS_H
#define HT_NM_AVX512_WORDS_H

#include <immintrin.h>

#include "core/simd.h"

// The index fields of a strip's 16 rows, from its four quads.
HT_INLINE __m512i ht_strip_words(const uint8_t *indices, const size_t quad[4], size_t quad_bytes) {
    __m512i words = _mm512_castsi128_si512(_mm_loadu_si128((const __m128i *)indices));
    words = _mm512_inserti32x4(words, _mm_loadu_si128((const __m128i *)(indices + quad[1] * quad_bytes)), 1);
    words = _mm512_inserti32x4(words, _mm_loadu_si128((const __m128i *)(indices + quad[2] * quad_bytes)), 2);
    return _mm512_inserti32x4(words, _mm_loadu_si128((const __m128i *)(indices + quad[3] * quad_bytes)), 3);
}

// Fields of 3 bytes, four a lane, become words.
HT_INLINE __m512i ht_widen_fields(__m512i fields) {
    return _mm512_shuffle_epi8(
        fields, _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 2, -1, 3, 4, 5, -1, 6, 7, 8, -1, 9, 10, 11, -1)));
}

#endif
