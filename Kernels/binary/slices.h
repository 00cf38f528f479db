// SPDX-License-Identifier: Apache-2.0
// Bit-sliced sums in AVX-512: a vector is one bit of 512 numbers. Included by files that are compiled for AVX-512 F,
// BW, VBMI, GFNI and BMI.
#ifndef HT_BINARY_SLICES_H
#define HT_BINARY_SLICES_H

#include <immintrin.h>
#include <string.h>

#include "core/simd.h"

enum {
    HT_SLICES_GROUP = 8,     // entries that lists are a multiple of
    HT_SLICES_MAX = 16,      // bits of a counter, at most
    HT_SLICES_LANES = 512,
    HT_SLICES_ENTRY = 8      // an entry of a list is so many times its vector's number
};

// MARK: adders

// Compilers make one vpternlog of two xors, which takes two slots when its sources were only just computed.
HT_INLINE __m512i ht_slices_xor(__m512i a, __m512i b) {
    __m512i both;
    __asm__("vpxorq %2, %1, %0" : "=v"(both) : "v"(a), "v"(b));
    return both;
}

HT_INLINE __m512i ht_slices_load(const char *vector) { return _mm512_loadu_si512(vector); }

/// The carry of sum + a + b; the sum is left in *sum. Three instructions of one slot each.
HT_INLINE __m512i ht_slices_full_add(__m512i *sum, __m512i a, __m512i b) {
    const __m512i differ = ht_slices_xor(a, b);
    const __m512i carry = _mm512_ternarylogic_epi64(differ, *sum, a, 0xCA);
    *sum = ht_slices_xor(*sum, differ);
    return carry;
}

/// The same in two instructions of two slots each, with less latency from *sum.
HT_INLINE __m512i ht_slices_full_add_late(__m512i *sum, __m512i a, __m512i b) {
    __asm__("vpternlogq $0x96, %2, %1, %0" : "+v"(*sum) : "v"(a), "v"(b));
    __asm__("vpternlogq $0xd4, %2, %1, %0" : "+v"(a) : "v"(b), "v"(*sum));
    return a;
}

/// The carry of sum + a.
HT_INLINE __m512i ht_slices_half_add(__m512i *sum, __m512i a) {
    const __m512i carry = _mm512_and_si512(*sum, a);
    *sum = ht_slices_xor(*sum, a);
    return carry;
}

// MARK: lists

// Bits first ..< first + 16 of a word, in one instruction.
#define HT_SLICES_FIELD(word, first)                                                                       \
    __extension__({                                                                                        \
        uint64_t field_;                                                                                   \
        __asm__("bextrq %2, %1, %0" : "=r"(field_) : "r"(word), "r"((uint64_t)(0x1000 | (first))) : "cc"); \
        field_;                                                                                            \
    })

HT_INLINE void ht_slices_addresses(const uint16_t *list, const char *vectors, const char *v[4]) {
    uint64_t four;
    memcpy(&four, list, sizeof four);
    v[0] = vectors + HT_SLICES_ENTRY * (uint64_t)(uint16_t)four;
    v[1] = vectors + HT_SLICES_ENTRY * HT_SLICES_FIELD(four, 16);
    v[2] = vectors + HT_SLICES_ENTRY * HT_SLICES_FIELD(four, 32);
    v[3] = vectors + HT_SLICES_ENTRY * (four >> 48);
}

/// Adds the vectors of 8 entries to the bits 1, 2 and 4 of counters; returns what is carried to the bit 8.
HT_INLINE __m512i ht_slices_add8(const uint16_t *list, const char *vectors, __m512i *sum) {
    const char *v[8];
    ht_slices_addresses(list, vectors, v);
    ht_slices_addresses(list + 4, vectors, v + 4);
    __m512i a = ht_slices_load(v[0]), b = ht_slices_load(v[3]), c = ht_slices_load(v[6]);
    const __m512i c0 = ht_slices_full_add(&a, ht_slices_load(v[1]), ht_slices_load(v[2]));
    const __m512i c1 = ht_slices_full_add(&b, ht_slices_load(v[4]), ht_slices_load(v[5]));
    __m512i two = ht_slices_full_add(&c, a, b);
    const __m512i c2 = ht_slices_full_add(&sum[0], ht_slices_load(v[7]), c);
    const __m512i d0 = ht_slices_full_add_late(&two, c0, c1);
    const __m512i d1 = ht_slices_full_add_late(&sum[1], two, c2);
    return ht_slices_full_add_late(&sum[2], d0, d1);
}

HT_INLINE __m512i ht_slices_add16(const uint16_t *list, const char *vectors, __m512i *sum) {
    const __m512i a = ht_slices_add8(list, vectors, sum), b = ht_slices_add8(list + 8, vectors, sum);
    return ht_slices_full_add_late(&sum[3], a, b);
}

HT_INLINE __m512i ht_slices_add32(const uint16_t *list, const char *vectors, __m512i *sum) {
    const __m512i a = ht_slices_add16(list, vectors, sum), b = ht_slices_add16(list + 16, vectors, sum);
    return ht_slices_full_add_late(&sum[4], a, b);
}

/// Adds the vectors that a list of `count` entries names, a multiple of 8, to counters of n bits, 6 < n, modulo 2^n. A
/// constant n keeps the counters in registers.
///
/// 8 entries take about 8 full adders, 24 slots on 4 ports: 0.75 cycles an entry at best.
HT_INLINE void ht_slices_add_list(const uint16_t *list, size_t count, const char *vectors, __m512i *sum,
                                  const size_t n) {
    __m512i carry;
    for (; count >= 64; count -= 64, list += 64) {
        const __m512i a = ht_slices_add32(list, vectors, sum), b = ht_slices_add32(list + 32, vectors, sum);
        carry = ht_slices_full_add(&sum[5], a, b);
        HT_UNROLL
        for (size_t bit = 6; bit < n; bit++) carry = ht_slices_half_add(&sum[bit], carry);
    }
    if (count == 0) return;
    // What the rest carries goes up in one ripple.
    __m512i of8 = _mm512_setzero_si512(), of16 = of8, of32 = of8;
    if (count & 32) {
        of32 = ht_slices_add32(list, vectors, sum);
        list += 32;
    }
    if (count & 16) {
        of16 = ht_slices_add16(list, vectors, sum);
        list += 16;
    }
    if (count & 8) of8 = ht_slices_add8(list, vectors, sum);
    carry = ht_slices_half_add(&sum[3], of8);
    carry = ht_slices_full_add(&sum[4], of16, carry);
    carry = ht_slices_full_add(&sum[5], of32, carry);
    HT_UNROLL
    for (size_t bit = 6; bit < n; bit++) carry = ht_slices_half_add(&sum[bit], carry);
}

// MARK: transposing

// Eight vectors of 64 bytes are rows; row r becomes: lane l, half h: the bytes of column 16 l + 2 r + h.
HT_INLINE void ht_slices_bytes_transpose(__m512i *a) {
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

// The 8 x 8 bits of each 64-bit word are transposed and, in one direction, turned round.
HT_INLINE __m512i ht_slices_bits_transpose(__m512i bytes) {
    return _mm512_gf2p8affine_epi64_epi8(_mm512_set1_epi64((long long)0x8040201008040201ull), bytes, 0);
}

HT_INLINE __m128i ht_slices_lane(__m512i v, size_t lane) {
    switch (lane) {
    case 0: return _mm512_castsi512_si128(v);
    case 1: return _mm512_extracti32x4_epi32(v, 1);
    case 2: return _mm512_extracti32x4_epi32(v, 2);
    default: return _mm512_extracti32x4_epi32(v, 3);
    }
}

/// The bits of 512 words as 64 vectors.
HT_INLINE void ht_slices_from_words(const uint64_t *words, char *vectors) {
    uint8_t order[64];
    for (size_t i = 0; i < 64; i++) order[i] = (uint8_t)((7 - i % 8) * 8 + i / 8);
    const __m512i reversed = _mm512_loadu_si512(order);
    for (size_t g = 0; g < 8; g++, words += 64) {
        __m512i a[8];
        HT_UNROLL
        for (size_t i = 0; i < 8; i++)
            a[i] = ht_slices_bits_transpose(_mm512_permutexvar_epi8(reversed, _mm512_loadu_si512(words + 8 * i)));
        ht_slices_bytes_transpose(a);
        HT_UNROLL
        for (size_t r = 0; r < 8; r++) {
            HT_UNROLL
            for (size_t lane = 0; lane < 4; lane++) {
                const __m128i pair = ht_slices_lane(a[r], lane);
                char *to = vectors + 64 * (16 * lane + 2 * r) + 8 * g;
                _mm_storel_epi64((__m128i *)(void *)to, pair);
                _mm_storeh_pd((double *)(void *)(to + 64), _mm_castsi128_pd(pair));
            }
        }
    }
}

/// The bits of 64 vectors as 512 words.
HT_INLINE void ht_slices_to_words(const char *vectors, uint64_t *words) {
    __m512i t[8][8];
    for (size_t g = 0; g < 8; g++) {
        __m512i a[8];
        HT_UNROLL
        for (size_t i = 0; i < 8; i++) a[i] = ht_slices_load(vectors + 64 * (8 * g + 7 - i));
        ht_slices_bytes_transpose(a);
        HT_UNROLL
        for (size_t i = 0; i < 8; i++) t[g][i] = ht_slices_bits_transpose(a[i]);
    }
    for (size_t r = 0; r < 8; r++) {
        __m512i a[8];
        HT_UNROLL
        for (size_t g = 0; g < 8; g++) a[g] = t[g][r];
        ht_slices_bytes_transpose(a);
        HT_UNROLL
        for (size_t q = 0; q < 8; q++) {
            HT_UNROLL
            for (size_t lane = 0; lane < 4; lane++) {
                uint64_t *to = words + (16 * lane + 2 * r) * 8 + 2 * q;
                _mm_storeu_si128((__m128i *)(void *)to, ht_slices_lane(a[q], lane));
            }
        }
    }
}

#endif
