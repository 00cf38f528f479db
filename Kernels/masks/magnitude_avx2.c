// SPDX-License-Identifier: Apache-2.0
// Masks by magnitude in AVX2.
#if defined(__x86_64__)
#include <immintrin.h>
#include <stdbool.h>

#include "magnitude.h"

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,bmi,bmi2"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c,bmi,bmi2")
#endif

#include "core/vec_avx2.h"

typedef __m256i ht_keys;

enum { HT_KEYS = 8 };

HT_INLINE ht_keys ht_splat(int key) { return _mm256_set1_epi32(key); }
HT_INLINE ht_keys ht_larger(ht_keys a, ht_keys b) { return _mm256_max_epi32(a, b); }
HT_INLINE ht_keys ht_smaller(ht_keys a, ht_keys b) { return _mm256_min_epi32(a, b); }
HT_INLINE ht_keys ht_and(ht_keys a, ht_keys b) { return _mm256_and_si256(a, b); }
HT_INLINE ht_keys ht_or(ht_keys a, ht_keys b) { return _mm256_or_si256(a, b); }
HT_INLINE ht_keys ht_not(ht_keys a) { return _mm256_xor_si256(a, ht_splat(-1)); }
HT_INLINE ht_keys ht_add(ht_keys a, ht_keys b) { return _mm256_add_epi32(a, b); }
HT_INLINE ht_keys ht_sub(ht_keys a, ht_keys b) { return _mm256_sub_epi32(a, b); }
#define ht_right(a, bits) _mm256_srli_epi32(a, bits)

HT_INLINE ht_keys ht_or_where_reached(ht_keys word, ht_keys bit, ht_keys key, ht_keys least) {
    return ht_or(word, _mm256_andnot_si256(_mm256_cmpgt_epi32(least, key), bit));
}

HT_INLINE ht_keys ht_or_where_above(ht_keys word, ht_keys bit, ht_keys key, ht_keys least) {
    return ht_or(word, ht_and(_mm256_cmpgt_epi32(key, least), bit));
}

HT_INLINE ht_keys ht_lowest(ht_keys word, ht_keys room) {
    return ht_and(ht_and(word, ht_sub(ht_splat(0), word)), _mm256_cmpgt_epi32(room, ht_splat(0)));
}

HT_INLINE ht_keys ht_less_one_where(ht_keys a, ht_keys word) {
    return ht_sub(ht_sub(a, ht_splat(1)), _mm256_cmpeq_epi32(word, ht_splat(0)));
}

HT_INLINE ht_keys ht_smaller_where(ht_keys a, ht_keys key, ht_keys word, ht_keys bit) {
    const __m256i is_clear = _mm256_cmpeq_epi32(ht_and(word, bit), ht_splat(0));
    return ht_smaller(a, _mm256_blendv_epi8(key, a, is_clear));
}

HT_INLINE ht_keys ht_larger_unless(ht_keys a, ht_keys key, ht_keys word, ht_keys bit) {
    const __m256i is_set = _mm256_cmpeq_epi32(ht_and(word, bit), bit);
    return ht_larger(a, ht_or(key, is_set));  // -1 is below all keys
}

HT_INLINE bool ht_is_any(ht_keys a) { return !_mm256_testz_si256(a, a); }
HT_INLINE bool ht_is_above(ht_keys a, ht_keys b) { return _mm256_movemask_epi8(_mm256_cmpgt_epi32(a, b)) == -1; }
HT_INLINE bool ht_is_same(ht_keys a, ht_keys b) { return _mm256_movemask_epi8(_mm256_cmpeq_epi32(a, b)) == -1; }

// MARK: loads and stores

HT_INLINE ht_keys ht_load_keys(const void *from) { return _mm256_loadu_si256(from); }
HT_INLINE void ht_store_keys(void *to, ht_keys a) { _mm256_storeu_si256(to, a); }

HT_INLINE void ht_load_columns(const float *w, const size_t m, const size_t count, ht_keys key[8]) {
    const ht_lanes in = ht_first_lanes(count);
    __m256 rows[8];
    HT_UNROLL
    for (size_t i = 0; i < 8; i++) {
        const __m256 row = count == 8 ? ht_vload_unaligned(w + i * m) : ht_load_f32(w + i * m, in);
        rows[i] = _mm256_and_ps(row, _mm256_castsi256_ps(ht_splat(0x7fffffff)));
    }
    ht_vtranspose(rows);
    HT_UNROLL
    for (size_t j = 0; j < 8; j++) key[j] = _mm256_castps_si256(rows[j]);
}

HT_INLINE void ht_load_groups(const float *w, const size_t m, ht_keys *key) {
    HT_UNROLL
    for (size_t j = 0; j < m; j += 8) ht_load_columns(w + j, m, 8, key + j);
}

HT_INLINE ht_keys ht_load_words(const uint8_t *from, const size_t m) {
    if (m == 8) return _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)from));
    if (m == 16) return _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(const void *)from));
    return ht_load_keys(from);
}

HT_INLINE void ht_store_words(uint8_t *to, const size_t m, ht_keys word) {
    if (m == 32) {
        ht_store_keys(to, word);
        return;
    }
    const __m128i halves = _mm_packus_epi32(_mm256_castsi256_si128(word), _mm256_extracti128_si256(word, 1));
    if (m == 16) _mm_storeu_si128((__m128i *)(void *)to, halves);
    if (m == 8) _mm_storel_epi64((__m128i *)(void *)to, _mm_packus_epi16(halves, halves));
}

// MARK: M = 2 and 4

#include "fours.h"

// The even bits, of groups of two: whether the second wins.
HT_INLINE uint32_t second_wins(const float *w) {
    const __m256i a = ht_and(ht_load_keys(w), ht_splat(0x7fffffff));
    return (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(ht_sub(a, _mm256_srli_epi64(a, 32))));
}

HT_INLINE void ht_mask_2(const float *w, uint8_t *mask) {
    const uint32_t second = second_wins(w) | second_wins(w + 8) << 8;
    const uint16_t bits = (uint16_t)((~second & 0x5555) | second << 1);
    __builtin_memcpy(mask, &bits, sizeof bits);
}

// In each half of the vectors rows of four become columns: what lies in half h of vector i comes to lane 4 h + i.
HT_INLINE void turn_fours(ht_keys v[4]) {
    const __m256i low01 = _mm256_unpacklo_epi32(v[0], v[1]), high01 = _mm256_unpackhi_epi32(v[0], v[1]);
    const __m256i low23 = _mm256_unpacklo_epi32(v[2], v[3]), high23 = _mm256_unpackhi_epi32(v[2], v[3]);
    v[0] = _mm256_unpacklo_epi64(low01, low23);
    v[1] = _mm256_unpackhi_epi64(low01, low23);
    v[2] = _mm256_unpacklo_epi64(high01, high23);
    v[3] = _mm256_unpackhi_epi64(high01, high23);
}

// Bound: some 45 instructions on three ports, 15 cycles for 128 bytes of W.
HT_INLINE void ht_mask_4(const float *w, const size_t n, uint8_t *mask) {
    const __m256i columns = _mm256_set_epi32(0x0f0b0703, 0x0e0a0602, 0x0d090501, 0x0c080400, 0x0f0b0703, 0x0e0a0602,
                                             0x0d090501, 0x0c080400);
    const __m256i groups = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    ht_keys v[4], lost[4];
    HT_UNROLL
    for (size_t i = 0; i < 4; i++) v[i] = ht_and(ht_load_keys(w + 8 * i), ht_splat(0x7fffffff));
    turn_fours(v);
    ht_lose_of_4(v, n, lost);
    const __m256i words01 = _mm256_packs_epi32(lost[0], lost[1]), words23 = _mm256_packs_epi32(lost[2], lost[3]);
    const __m256i bytes = _mm256_shuffle_epi8(_mm256_packs_epi16(words01, words23), columns);
    const uint32_t bits = ~(uint32_t)_mm256_movemask_epi8(_mm256_permutevar8x32_epi32(bytes, groups));
    __builtin_memcpy(mask, &bits, sizeof bits);
}

#include "lanes.h"

void ht_nm_mask_f32_avx2(const float *w, size_t columns, size_t n, size_t m, const uint8_t *old, uint8_t *mask) {
    ht_mask_piece(w, columns, n, m, old, mask);
}

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
