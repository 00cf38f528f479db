// SPDX-License-Identifier: Apache-2.0
// Bits of 512 pixels from rows into vectors, a vector for each channel, and back, in AVX-512. Included by files that
// are compiled for AVX-512 F, BW, VBMI and GFNI.
//
// A transpose of 64 x 64 bytes between one of 8 x 8 bits, in GFNI, and one of the bytes of a word.
#ifndef HT_BINARY_TRANSPOSES_H
#define HT_BINARY_TRANSPOSES_H

#include <immintrin.h>

#include "core/simd.h"

// Eight vectors of 64 bytes are rows; row r becomes: lane l, half h: the bytes of column 16 l + 2 r + h.
HT_INLINE void ht_transpose_bytes(__m512i *a) {
    __m512i b[8], c[8];
    HT_UNROLL
    for (size_t i = 0; i < 4; i++) {
        b[2 * i] = _mm512_unpacklo_epi8(a[2 * i], a[2 * i + 1]);
        b[2 * i + 1] = _mm512_unpackhi_epi8(a[2 * i], a[2 * i + 1]);
    }
    HT_UNROLL
    for (size_t i = 0; i < 2; i++) {
        c[4 * i] = _mm512_unpacklo_epi16(b[4 * i], b[4 * i + 2]);
        c[4 * i + 1] = _mm512_unpackhi_epi16(b[4 * i], b[4 * i + 2]);
        c[4 * i + 2] = _mm512_unpacklo_epi16(b[4 * i + 1], b[4 * i + 3]);
        c[4 * i + 3] = _mm512_unpackhi_epi16(b[4 * i + 1], b[4 * i + 3]);
    }
    HT_UNROLL
    for (size_t i = 0; i < 4; i++) {
        a[2 * i] = _mm512_unpacklo_epi32(c[i], c[4 + i]);
        a[2 * i + 1] = _mm512_unpackhi_epi32(c[i], c[4 + i]);
    }
}

// Eight vectors of 8 words are rows, and become columns.
HT_INLINE void ht_transpose_words(__m512i *a) {
    __m512i b[8];
    HT_UNROLL
    for (size_t half = 0; half < 2; half++) {
        __m512i c[4], d[4];
        HT_UNROLL
        for (size_t i = 0; i < 4; i++)
            c[i] = half ? _mm512_unpackhi_epi64(a[2 * i], a[2 * i + 1]) : _mm512_unpacklo_epi64(a[2 * i], a[2 * i + 1]);
        HT_UNROLL
        for (size_t i = 0; i < 2; i++) {
            d[i] = _mm512_shuffle_i64x2(c[2 * i], c[2 * i + 1], 0x44);
            d[2 + i] = _mm512_shuffle_i64x2(c[2 * i], c[2 * i + 1], 0xEE);
        }
        HT_UNROLL
        for (size_t i = 0; i < 2; i++) {
            b[4 * i + half] = _mm512_shuffle_i64x2(d[2 * i], d[2 * i + 1], 0x88);
            b[4 * i + 2 + half] = _mm512_shuffle_i64x2(d[2 * i], d[2 * i + 1], 0xDD);
        }
    }
    HT_UNROLL
    for (size_t i = 0; i < 8; i++) a[i] = b[i];
}

/// Transposes 64 vectors of 64 bytes. Rows are taken in the order i ^ turn; of the columns 16 lie together, and from
/// one 16 to the next it is `to_lane` vectors. Bound: 48 shuffles for 8 vectors.
HT_INLINE void ht_transpose_square(const __m512i *from, size_t turn, __m512i *to, size_t to_lane) {
    __m512i half[8][8], a[8];
    for (size_t g = 0; g < 8; g++) {
        HT_UNROLL
        for (size_t i = 0; i < 8; i++) a[i] = _mm512_load_si512(from + 8 * g + (i ^ turn));
        ht_transpose_bytes(a);
        HT_UNROLL
        for (size_t r = 0; r < 8; r++) half[r][g] = a[r];
    }
    for (size_t r = 0; r < 8; r++) {
        HT_UNROLL
        for (size_t g = 0; g < 8; g++) a[g] = half[r][g];
        ht_transpose_words(a);
        HT_UNROLL
        for (size_t i = 0; i < 8; i++) _mm512_store_si512(to + i / 2 * to_lane + 2 * r + i % 2, a[i]);
    }
}

// The 8 x 8 bits of each 64-bit word are transposed and, in one direction, turned round.
HT_INLINE __m512i ht_transpose_bits(__m512i bytes) {
    return _mm512_gf2p8affine_epi64_epi8(_mm512_set1_epi64((long long)0x8040201008040201ull), bytes, 0);
}

// Byte i of a vector is byte i / 8 of its word (i % 8) ^ turn.
HT_INLINE __m512i ht_word_bytes(size_t turn) {
    uint8_t order[64];
    for (size_t i = 0; i < 64; i++) order[i] = (uint8_t)((i % 8 ^ turn) * 8 + i / 8);
    return _mm512_loadu_si512(order);
}

/// The bits of 512 words as 64 vectors.
static void ht_vectors_from_words(const uint64_t *words, __m512i *vectors) {
    const __m512i order = ht_word_bytes(7);
    __m512i groups[64];
    for (size_t g = 0; g < 64; g++)
        groups[g] = ht_transpose_bits(_mm512_permutexvar_epi8(order, _mm512_loadu_si512(words + 8 * g)));
    ht_transpose_square(groups, 0, vectors, 16);
}

/// The bits of 512 rows of 64 bytes, `offset` bytes behind where rows begin, as 512 vectors.
static void ht_vectors_from_rows(const char *const *rows, size_t offset, __m512i *vectors) {
    __m512i groups[8][64], a[8];
    for (size_t g = 0; g < 64; g++) {
        HT_UNROLL
        for (size_t i = 0; i < 8; i++) a[i] = _mm512_loadu_si512(rows[8 * g + (i ^ 7)] + offset);
        ht_transpose_bytes(a);
        HT_UNROLL
        for (size_t r = 0; r < 8; r++) groups[r][g] = ht_transpose_bits(a[r]);
    }
    for (size_t r = 0; r < 8; r++) ht_transpose_square(groups[r], 0, vectors + 16 * r, 128);
}

/// The bits of 64 vectors as 512 words.
static void ht_vectors_to_words(const __m512i *vectors, uint64_t *words) {
    const __m512i order = ht_word_bytes(0);
    __m512i groups[64];
    ht_transpose_square(vectors, 7, groups, 16);
    for (size_t g = 0; g < 64; g++)
        _mm512_storeu_si512(words + 8 * g, _mm512_permutexvar_epi8(order, ht_transpose_bits(groups[g])));
}

#endif
