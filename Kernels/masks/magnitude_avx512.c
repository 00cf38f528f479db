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

HT_INLINE int ht_is_any(ht_keys word) { return _mm512_test_epi32_mask(word, word) != 0; }
HT_INLINE int ht_is_same(ht_keys a, ht_keys b) { return _mm512_cmpneq_epi32_mask(a, b) == 0; }

HT_INLINE ht_keys ht_less_one_where(ht_keys a, ht_keys word) {
    return _mm512_mask_sub_epi32(a, _mm512_test_epi32_mask(word, word), a, ht_splat(1));
}

HT_INLINE ht_keys ht_magnitudes(__m512i bits) { return ht_and(bits, ht_splat(0x7fffffff)); }

// The same column of neighbouring groups.
HT_INLINE ht_keys ht_load_apart(const float *w, size_t m) {
    const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    return ht_magnitudes(_mm512_i32gather_epi32(_mm512_mullo_epi32(lane, ht_splat((int)m)), w, 4));
}

HT_INLINE void ht_store_keys(uint32_t *to, ht_keys a) { _mm512_storeu_si512(to, a); }

#include "lanes.h"

// MARK: M = 4

// Fours of each quarter of the vectors become columns: lane 4 q + i of column c is column c of group 4 i + q.
HT_INLINE void turn_fours(__m512i v[4]) {
    const __m512i low01 = _mm512_unpacklo_epi32(v[0], v[1]), high01 = _mm512_unpackhi_epi32(v[0], v[1]);
    const __m512i low23 = _mm512_unpacklo_epi32(v[2], v[3]), high23 = _mm512_unpackhi_epi32(v[2], v[3]);
    v[0] = _mm512_unpacklo_epi64(low01, low23);
    v[1] = _mm512_unpackhi_epi64(low01, low23);
    v[2] = _mm512_unpacklo_epi64(high01, high23);
    v[3] = _mm512_unpackhi_epi64(high01, high23);
}

// Of three signs each: which of 8 combinations keep. A first sign that is not set means a loss for columns 1 to 3, and
// so on, as d_ij is negative where column j beats i.
HT_INLINE void keep_of_4(const __m512i a[4], const size_t n, __m512i keep[4]) {
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
HT_INLINE uint64_t bits_of_4(const __m512i keep[4]) {
    const __m512i columns = _mm512_set4_epi32(0x0f0b0703, 0x0e0a0602, 0x0d090501, 0x0c080400);
    const __m512i groups = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    const __m512i words01 = _mm512_packs_epi32(keep[0], keep[1]), words23 = _mm512_packs_epi32(keep[2], keep[3]);
    const __m512i bytes = _mm512_shuffle_epi8(_mm512_packs_epi16(words01, words23), columns);
    return _cvtmask64_u64(_mm512_movepi8_mask(_mm512_permutexvar_epi32(groups, bytes)));
}

// Bound: port 5 of Intel's cores, 13 shuffles for 256 bytes of W; 29 vector instructions on two ports are 15 cycles.
HT_INLINE void batch_4(const float *w, const size_t n, uint8_t *mask) {
    __m512i v[4], keep[4];
    HT_UNROLL
    for (size_t i = 0; i < 4; i++) v[i] = ht_magnitudes(_mm512_loadu_si512(w + 16 * i));
    turn_fours(v);
    keep_of_4(v, n, keep);
    const uint64_t bits = bits_of_4(keep);
    __builtin_memcpy(mask, &bits, sizeof bits);
}

HT_INLINE void batch_1_4(const float *w, size_t n, size_t m, uint8_t *mask) { (void)n, (void)m, batch_4(w, 1, mask); }
HT_INLINE void batch_2_4(const float *w, size_t n, size_t m, uint8_t *mask) { (void)n, (void)m, batch_4(w, 2, mask); }
HT_INLINE void batch_3_4(const float *w, size_t n, size_t m, uint8_t *mask) { (void)n, (void)m, batch_4(w, 3, mask); }

// MARK: M = 8, 16 and 32

// Lane 4 q + i is group 4 i + q.
HT_INLINE void load_8(const float *w, ht_keys key[8]) {
    HT_UNROLL
    for (size_t i = 0; i < 4; i++) {
        const __m512i a = ht_magnitudes(_mm512_loadu_si512(w + 32 * i));
        const __m512i b = ht_magnitudes(_mm512_loadu_si512(w + 32 * i + 16));
        key[i] = _mm512_shuffle_i32x4(a, b, 0x88);
        key[4 + i] = _mm512_shuffle_i32x4(a, b, 0xdd);
    }
    turn_fours(key);
    turn_fours(key + 4);
}

HT_INLINE void load_16(const float *w, size_t m, ht_keys key[16]) {
    __m512 rows[16];
    HT_UNROLL
    for (size_t i = 0; i < 16; i++) rows[i] = _mm512_castsi512_ps(ht_magnitudes(_mm512_loadu_si512(w + i * m)));
    ht_vtranspose(rows);
    HT_UNROLL
    for (size_t j = 0; j < 16; j++) key[j] = _mm512_castps_si512(rows[j]);
}

HT_INLINE void batch_8(const float *w, const size_t n, const size_t m, uint8_t *mask) {
    const __m512i groups = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    ht_keys key[8];
    (void)m;
    load_8(w, key);
    const ht_keys word = _mm512_permutexvar_epi32(groups, ht_kept(key, n, 8));
    _mm_storeu_si128((__m128i *)(void *)mask, _mm512_cvtepi32_epi8(word));
}

HT_INLINE void batch_16(const float *w, const size_t n, const size_t m, uint8_t *mask) {
    ht_keys key[16];
    (void)m;
    load_16(w, 16, key);
    _mm256_storeu_si256((__m256i *)(void *)mask, _mm512_cvtepi32_epi16(ht_kept(key, n, 16)));
}

HT_INLINE void batch_32(const float *w, const size_t n, const size_t m, uint8_t *mask) {
    ht_keys key[32];
    (void)m;
    load_16(w, 32, key);
    load_16(w + 16, 32, key + 16);
    _mm512_storeu_si512(mask, ht_kept(key, n, 32));
}

void ht_nm_mask_f32_avx512(const float *w, size_t columns, size_t n, size_t m, const uint8_t *old, uint8_t *mask) {
    (void)old;
#define RUN(batch, step, n) ht_each_batch(batch, step, w, columns, n, m, mask)
    switch (n << 8 | m) {
    case 1 << 8 | 4: RUN(batch_1_4, 64, 1); break;
    case 2 << 8 | 4: RUN(batch_2_4, 64, 2); break;
    case 3 << 8 | 4: RUN(batch_3_4, 64, 3); break;
    case 1 << 8 | 8: RUN(batch_8, 128, 1); break;
    case 2 << 8 | 8: RUN(batch_8, 128, 2); break;
    case 4 << 8 | 8: RUN(batch_8, 128, 4); break;
    case 1 << 8 | 16: RUN(batch_16, 256, 1); break;
    case 2 << 8 | 16: RUN(batch_16, 256, 2); break;
    case 8 << 8 | 16: RUN(batch_16, 256, 8); break;
    case 16 << 8 | 32: RUN(batch_32, 512, 16); break;
    default:
        if (n == m)
            ht_keep_all(columns, mask);
        else if (m == 8)
            RUN(batch_8, 128, n);
        else if (m == 16)
            RUN(batch_16, 256, n);
        else
            RUN(ht_batch_of_any, 16 * m, n);
    }
#undef RUN
}

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
