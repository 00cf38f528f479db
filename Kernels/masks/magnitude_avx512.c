// SPDX-License-Identifier: Apache-2.0
// Masks by magnitude in AVX-512.
#if defined(__x86_64__)
#include <immintrin.h>

#include "magnitude.h"

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c,bmi,bmi2"))), \
                             apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c,bmi,bmi2")
#endif

#include "core/vec_avx512.h"

typedef __m512i ht_keys;

enum { HT_KEYS = 16 };

HT_INLINE ht_keys ht_splat(int key) { return _mm512_set1_epi32(key); }
HT_INLINE ht_keys ht_larger(ht_keys a, ht_keys b) { return _mm512_max_epi32(a, b); }
HT_INLINE ht_keys ht_smaller(ht_keys a, ht_keys b) { return _mm512_min_epi32(a, b); }
HT_INLINE ht_keys ht_and(ht_keys a, ht_keys b) { return _mm512_and_si512(a, b); }
HT_INLINE ht_keys ht_or(ht_keys a, ht_keys b) { return _mm512_or_si512(a, b); }
HT_INLINE ht_keys ht_add(ht_keys a, ht_keys b) { return _mm512_add_epi32(a, b); }
HT_INLINE ht_keys ht_sub(ht_keys a, ht_keys b) { return _mm512_sub_epi32(a, b); }
#define ht_right(a, bits) _mm512_srli_epi32(a, bits)

HT_INLINE ht_keys ht_or_where_reached(ht_keys word, ht_keys bit, ht_keys key, ht_keys least) {
    return _mm512_mask_or_epi32(word, _mm512_cmpge_epi32_mask(key, least), word, bit);
}

HT_INLINE ht_keys ht_or_where_above(ht_keys word, ht_keys bit, ht_keys key, ht_keys least) {
    return _mm512_mask_or_epi32(word, _mm512_cmpgt_epi32_mask(key, least), word, bit);
}

HT_INLINE ht_keys ht_lowest(ht_keys word, ht_keys room) {
    const __mmask16 has_room = _mm512_cmpgt_epi32_mask(room, ht_splat(0));
    return _mm512_maskz_and_epi32(has_room, word, ht_sub(ht_splat(0), word));
}

HT_INLINE ht_keys ht_less_one_where(ht_keys a, ht_keys word) {
    return _mm512_mask_sub_epi32(a, _mm512_test_epi32_mask(word, word), a, ht_splat(1));
}

HT_INLINE ht_keys ht_smaller_where(ht_keys a, ht_keys key, ht_keys word, ht_keys bit) {
    return _mm512_mask_min_epi32(a, _mm512_test_epi32_mask(word, bit), a, key);
}

HT_INLINE ht_keys ht_larger_unless(ht_keys a, ht_keys key, ht_keys word, ht_keys bit) {
    return _mm512_mask_max_epi32(a, _mm512_testn_epi32_mask(word, bit), a, key);
}

HT_INLINE bool ht_is_any(ht_keys a) { return _mm512_test_epi32_mask(a, a) != 0; }
HT_INLINE bool ht_is_above(ht_keys a, ht_keys b) { return _mm512_cmple_epi32_mask(a, b) == 0; }
HT_INLINE bool ht_is_same(ht_keys a, ht_keys b) { return _mm512_cmpneq_epi32_mask(a, b) == 0; }

// MARK: loads and stores

HT_INLINE ht_keys ht_load_keys(const void *from) { return _mm512_loadu_si512(from); }
HT_INLINE void ht_store_keys(void *to, ht_keys a) { _mm512_storeu_si512(to, a); }

HT_INLINE ht_keys ht_load_magnitudes(const float *w) { return ht_and(ht_load_keys(w), ht_splat(0x7fffffff)); }

// In each quarter of the vectors rows of four become columns: what lies in quarter q of vector i comes to lane 4 q + i.
HT_INLINE void turn_fours(ht_keys v[4]) {
    const __m512i low01 = _mm512_unpacklo_epi32(v[0], v[1]), high01 = _mm512_unpackhi_epi32(v[0], v[1]);
    const __m512i low23 = _mm512_unpacklo_epi32(v[2], v[3]), high23 = _mm512_unpackhi_epi32(v[2], v[3]);
    v[0] = _mm512_unpacklo_epi64(low01, low23);
    v[1] = _mm512_unpackhi_epi64(low01, low23);
    v[2] = _mm512_unpacklo_epi64(high01, high23);
    v[3] = _mm512_unpackhi_epi64(high01, high23);
}

// The order of lanes that turning fours leaves, from or to that of memory.
HT_INLINE ht_keys order_fours(ht_keys v) {
    return _mm512_permutexvar_epi32(_mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15), v);
}

HT_INLINE void load_groups_of_8(const float *w, ht_keys key[8]) {
    HT_UNROLL
    for (size_t i = 0; i < 4; i++) {
        const __m512i two = ht_load_magnitudes(w + 32 * i), next = ht_load_magnitudes(w + 32 * i + 16);
        key[i] = _mm512_shuffle_i32x4(two, next, 0x88);
        key[4 + i] = _mm512_shuffle_i32x4(two, next, 0xdd);
    }
    turn_fours(key);
    turn_fours(key + 4);
}

HT_INLINE void ht_load_columns(const float *w, const size_t m, const size_t count, ht_keys key[16]) {
    const __mmask16 in = ht_first_lanes(count);
    __m512 rows[16];
    HT_UNROLL
    for (size_t i = 0; i < 16; i++) {
        const __m512i bits = count == 16 ? ht_load_keys(w + i * m) : _mm512_maskz_loadu_epi32(in, w + i * m);
        rows[i] = _mm512_castsi512_ps(ht_and(bits, ht_splat(0x7fffffff)));
    }
    ht_vtranspose(rows);
    HT_UNROLL
    for (size_t j = 0; j < 16; j++) key[j] = _mm512_castps_si512(rows[j]);
}

// Groups of 8 come in the order of turned fours.
HT_INLINE void ht_load_groups(const float *w, const size_t m, ht_keys *key) {
    if (m == 8) load_groups_of_8(w, key);
    if (m >= 16) ht_load_columns(w, m, 16, key);
    if (m == 32) ht_load_columns(w + 16, m, 16, key + 16);
}

HT_INLINE ht_keys ht_load_words(const uint8_t *from, const size_t m) {
    if (m == 8) return order_fours(_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)(const void *)from)));
    if (m == 16) return _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)(const void *)from));
    return ht_load_keys(from);
}

HT_INLINE void ht_store_words(uint8_t *to, const size_t m, ht_keys word) {
    if (m == 8) _mm_storeu_si128((__m128i *)(void *)to, _mm512_cvtepi32_epi8(order_fours(word)));
    if (m == 16) _mm256_storeu_si256((__m256i *)(void *)to, _mm512_cvtepi32_epi16(word));
    if (m == 32) ht_store_keys(to, word);
}

// MARK: M = 2 and 4

// The even bits, of groups of two: whether the second wins.
HT_INLINE uint32_t second_wins(const float *w) {
    const __m512i a = ht_load_magnitudes(w);
    return _mm512_movepi32_mask(ht_sub(a, _mm512_srli_epi64(a, 32)));
}

HT_INLINE void ht_mask_2(const float *w, uint8_t *mask) {
    const uint32_t second = second_wins(w) | second_wins(w + 16) << 16, bits = (~second & 0x55555555) | second << 1;
    __builtin_memcpy(mask, &bits, sizeof bits);
}

// Of three signs each: which of 8 combinations keep. A first sign that is not set means a loss for columns 1 to 3, and
// so on, as d_ij is negative where column j beats i.
HT_INLINE void keep_of_4(const ht_keys a[4], const size_t n, ht_keys keep[4]) {
    const __m512i d01 = ht_sub(a[0], a[1]), d02 = ht_sub(a[0], a[2]), d03 = ht_sub(a[0], a[3]);
    const __m512i d12 = ht_sub(a[1], a[2]), d13 = ht_sub(a[1], a[3]), d23 = ht_sub(a[2], a[3]);
    if (n == 1) {
        keep[0] = _mm512_ternarylogic_epi32(d01, d02, d03, 0x01);
        keep[1] = _mm512_ternarylogic_epi32(d01, d12, d13, 0x10);
        keep[2] = _mm512_ternarylogic_epi32(d02, d12, d23, 0x40);
        keep[3] = _mm512_ternarylogic_epi32(d03, d13, d23, 0x80);
    } else if (n == 2) {
        keep[0] = _mm512_ternarylogic_epi32(d01, d02, d03, 0x17);
        keep[1] = _mm512_ternarylogic_epi32(d01, d12, d13, 0x71);
        keep[2] = _mm512_ternarylogic_epi32(d02, d12, d23, 0xd4);
        keep[3] = _mm512_ternarylogic_epi32(d03, d13, d23, 0xe8);
    } else {
        keep[0] = _mm512_ternarylogic_epi32(d01, d02, d03, 0x7f);
        keep[1] = _mm512_ternarylogic_epi32(d01, d12, d13, 0xf7);
        keep[2] = _mm512_ternarylogic_epi32(d02, d12, d23, 0xfd);
        keep[3] = _mm512_ternarylogic_epi32(d03, d13, d23, 0xfe);
    }
}

// Signs of four columns as bits in the order of memory.
HT_INLINE uint64_t bits_of_4(const ht_keys keep[4]) {
    const __m512i columns = _mm512_set4_epi32(0x0f0b0703, 0x0e0a0602, 0x0d090501, 0x0c080400);
    const __m512i words01 = _mm512_packs_epi32(keep[0], keep[1]), words23 = _mm512_packs_epi32(keep[2], keep[3]);
    const __m512i bytes = _mm512_shuffle_epi8(_mm512_packs_epi16(words01, words23), columns);
    return _cvtmask64_u64(_mm512_movepi8_mask(order_fours(bytes)));
}

// Bound: port 5 of Intel's cores, 13 shuffles for 256 bytes of W; 29 vector instructions on two ports are 15 cycles.
HT_INLINE void ht_mask_4(const float *w, const size_t n, uint8_t *mask) {
    ht_keys v[4], keep[4];
    HT_UNROLL
    for (size_t i = 0; i < 4; i++) v[i] = ht_load_magnitudes(w + 16 * i);
    turn_fours(v);
    keep_of_4(v, n, keep);
    const uint64_t bits = bits_of_4(keep);
    __builtin_memcpy(mask, &bits, sizeof bits);
}

#include "lanes.h"

void ht_nm_mask_f32_avx512(const float *w, size_t columns, size_t n, size_t m, const uint8_t *old, uint8_t *mask) {
    ht_mask_piece(w, columns, n, m, old, mask);
}

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
