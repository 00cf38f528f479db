// SPDX-License-Identifier: Apache-2.0
// What the searches need, in AVX2.
#if defined(__x86_64__)
#include <immintrin.h>
#include <stdbool.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,bmi,bmi2,popcnt"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,bmi,bmi2,popcnt")
#endif

#include "core/simd.h"

enum { HT_BITS_WORDS = 4, HT_INTS = 8 };
typedef __m256i ht_bits, ht_counts, ht_ints;
typedef __m256i ht_where;  // all ones or zero

HT_INLINE ht_bits ht_bload(const uint64_t *from) { return _mm256_load_si256((const __m256i *)(const void *)from); }
HT_INLINE void ht_bstore(uint64_t *to, ht_bits v) { _mm256_store_si256((__m256i *)(void *)to, v); }
HT_INLINE ht_bits ht_bzero(void) { return _mm256_setzero_si256(); }
HT_INLINE ht_bits ht_bones(void) { return _mm256_set1_epi32(-1); }
HT_INLINE ht_bits ht_band(ht_bits a, ht_bits b) { return _mm256_and_si256(a, b); }
HT_INLINE ht_bits ht_bor(ht_bits a, ht_bits b) { return _mm256_or_si256(a, b); }
HT_INLINE ht_bits ht_bxor(ht_bits a, ht_bits b) { return _mm256_xor_si256(a, b); }
HT_INLINE ht_bits ht_bandnot(ht_bits a, ht_bits b) { return _mm256_andnot_si256(a, b); }  // not a, and b
HT_INLINE ht_bits ht_bor_and(ht_bits a, ht_bits b, ht_bits c) { return ht_bor(a, ht_band(b, c)); }
HT_INLINE ht_bits ht_odd(ht_bits a, ht_bits b, ht_bits c) { return ht_bxor(ht_bxor(a, b), c); }
HT_INLINE ht_bits ht_majority(ht_bits a, ht_bits b, ht_bits c) {
    return ht_bor(ht_band(a, b), ht_band(c, ht_bor(a, b)));
}

HT_INLINE ht_counts ht_no_counts(void) { return _mm256_setzero_si256(); }

// A look-up for each four bits; then the bytes of a word are added.
HT_INLINE ht_counts ht_add_counts(ht_counts sum, ht_bits v, size_t left) {
    const __m256i counts = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
    const __m256i four = _mm256_set1_epi8(15);
    const __m256i low = _mm256_shuffle_epi8(counts, _mm256_and_si256(v, four));
    const __m256i high = _mm256_shuffle_epi8(counts, _mm256_and_si256(_mm256_srli_epi16(v, 4), four));
    const __m256i words = _mm256_sad_epu8(_mm256_add_epi8(low, high), _mm256_setzero_si256());
    return _mm256_add_epi64(sum, _mm256_slli_epi64(words, (int)left));
}

HT_INLINE uint64_t ht_sum_counts(ht_counts sum) {
    uint64_t word[4];
    _mm256_storeu_si256((__m256i *)(void *)word, sum);
    return word[0] + word[1] + word[2] + word[3];
}

// The numbers of the bits of a line, each times 64.
HT_INLINE size_t ht_list_bits(const uint64_t *bits, uint16_t *list) {
    size_t count = 0;
    for (size_t i = 0; i < 8; i++)
        for (uint64_t some = bits[i]; some; some &= some - 1)
            list[count++] = (uint16_t)((i * 64 + (size_t)__builtin_ctzll(some)) * 64);
    return count;
}

HT_INLINE ht_ints ht_isplat(int32_t x) { return _mm256_set1_epi32(x); }
HT_INLINE ht_ints ht_icount_up(void) { return _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7); }
HT_INLINE ht_ints ht_iload(const int32_t *from) { return _mm256_loadu_si256((const __m256i *)(const void *)from); }
HT_INLINE void ht_istore(int32_t *to, ht_ints v) { _mm256_storeu_si256((__m256i *)(void *)to, v); }
HT_INLINE void ht_istore_where(int32_t *to, ht_ints v, ht_where in) { _mm256_maskstore_epi32(to, in, v); }
HT_INLINE ht_ints ht_iadd(ht_ints a, ht_ints b) { return _mm256_add_epi32(a, b); }
HT_INLINE ht_ints ht_isub(ht_ints a, ht_ints b) { return _mm256_sub_epi32(a, b); }
HT_INLINE ht_ints ht_imin(ht_ints a, ht_ints b) { return _mm256_min_epi32(a, b); }
HT_INLINE ht_ints ht_imax(ht_ints a, ht_ints b) { return _mm256_max_epi32(a, b); }
HT_INLINE ht_where ht_less(ht_ints a, ht_ints b) { return _mm256_cmpgt_epi32(b, a); }
HT_INLINE ht_ints ht_choose(ht_where in, ht_ints a, ht_ints b) { return _mm256_blendv_epi8(b, a, in); }
HT_INLINE uint32_t ht_equal(ht_ints a, ht_ints b) {
    return (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpeq_epi32(a, b)));
}

HT_INLINE int32_t ht_least(ht_ints v) {
    __m128i least = _mm_min_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    least = _mm_min_epi32(least, _mm_shuffle_epi32(least, 0x4e));
    return _mm_cvtsi128_si32(_mm_min_epi32(least, _mm_shuffle_epi32(least, 0xb1)));
}

// Bytes whose bits lie in planes.
enum { HT_BYTES = 32 };
typedef __m256i ht_bytes;

HT_INLINE ht_bytes ht_no_bytes(void) { return _mm256_setzero_si256(); }

// A byte of the plane for each eight bytes, of which each looks at its bit.
HT_INLINE ht_bytes ht_add_bit(ht_bytes v, const uint64_t *plane, size_t first, size_t bit) {
    const __m256i word = _mm256_set1_epi32(((const int32_t *)(const void *)plane)[first / 32]);
    const __m256i from = _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
    const __m256i own = _mm256_set1_epi64x((long long)0x8040201008040201);
    const __m256i set = _mm256_and_si256(_mm256_shuffle_epi8(word, from), own);
    return _mm256_add_epi8(v, _mm256_and_si256(_mm256_cmpeq_epi8(set, own), _mm256_set1_epi8((char)(1 << bit))));
}

HT_INLINE ht_ints ht_widen(ht_bytes v, const size_t quarter, size_t left) {
    const __m128i half = quarter < 2 ? _mm256_castsi256_si128(v) : _mm256_extracti128_si256(v, 1);
    const __m256i wide = _mm256_cvtepu8_epi32(quarter % 2 ? _mm_srli_si128(half, 8) : half);
    return _mm256_slli_epi32(wide, (int)left);
}

// The other vector's number in the first lane that has this one.
HT_INLINE ht_ints ht_without_one(ht_ints v, int32_t one, ht_ints other) {
    const uint32_t equal = ht_equal(v, _mm256_set1_epi32(one));
    const __m256i lane = _mm256_set1_epi32(__builtin_ctz(equal));
    return _mm256_blendv_epi8(v, other, _mm256_cmpeq_epi32(lane, ht_icount_up()));
}

#include "search_code.h"

const ht_bimask_calls *ht_bimask_search_avx2(void) { return &calls; }

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
