// SPDX-License-Identifier: Apache-2.0
// The vocabulary of search_code.h in AVX-512, but for what counts and lists bits.
#ifndef HT_MASKS_SEARCH_AVX512_H
#define HT_MASKS_SEARCH_AVX512_H

#include <stdbool.h>

#include "core/simd.h"

enum { HT_BITS_WORDS = 8, HT_INTS = 16 };
typedef __m512i ht_bits, ht_counts, ht_ints;
typedef __mmask16 ht_where;

HT_INLINE ht_bits ht_bload(const uint64_t *from) { return _mm512_load_si512(from); }
HT_INLINE void ht_bstore(uint64_t *to, ht_bits v) { _mm512_store_si512(to, v); }
HT_INLINE ht_bits ht_bzero(void) { return _mm512_setzero_si512(); }
HT_INLINE ht_bits ht_bones(void) { return _mm512_set1_epi32(-1); }
HT_INLINE ht_bits ht_band(ht_bits a, ht_bits b) { return _mm512_and_si512(a, b); }
HT_INLINE ht_bits ht_bor(ht_bits a, ht_bits b) { return _mm512_or_si512(a, b); }
HT_INLINE ht_bits ht_bxor(ht_bits a, ht_bits b) { return _mm512_xor_si512(a, b); }
HT_INLINE ht_bits ht_bandnot(ht_bits a, ht_bits b) { return _mm512_andnot_si512(a, b); }  // not a, and b
HT_INLINE ht_bits ht_bor_and(ht_bits a, ht_bits b, ht_bits c) { return _mm512_ternarylogic_epi64(a, b, c, 0xf8); }
HT_INLINE ht_bits ht_odd(ht_bits a, ht_bits b, ht_bits c) { return _mm512_ternarylogic_epi64(a, b, c, 0x96); }
HT_INLINE ht_bits ht_majority(ht_bits a, ht_bits b, ht_bits c) { return _mm512_ternarylogic_epi64(a, b, c, 0xe8); }

HT_INLINE ht_counts ht_no_counts(void) { return _mm512_setzero_si512(); }
HT_INLINE uint64_t ht_sum_counts(ht_counts sum) { return (uint64_t)_mm512_reduce_add_epi64(sum); }

HT_INLINE ht_ints ht_isplat(int32_t x) { return _mm512_set1_epi32(x); }
HT_INLINE ht_ints ht_icount_up(void) { return _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15); }
HT_INLINE ht_ints ht_iload(const int32_t *from) { return _mm512_loadu_si512(from); }
HT_INLINE void ht_istore(int32_t *to, ht_ints v) { _mm512_storeu_si512(to, v); }
HT_INLINE void ht_istore_where(int32_t *to, ht_ints v, ht_where in) { _mm512_mask_storeu_epi32(to, in, v); }
HT_INLINE ht_ints ht_iadd(ht_ints a, ht_ints b) { return _mm512_add_epi32(a, b); }
HT_INLINE ht_ints ht_isub(ht_ints a, ht_ints b) { return _mm512_sub_epi32(a, b); }
HT_INLINE ht_ints ht_imin(ht_ints a, ht_ints b) { return _mm512_min_epi32(a, b); }
HT_INLINE ht_ints ht_imax(ht_ints a, ht_ints b) { return _mm512_max_epi32(a, b); }
HT_INLINE ht_where ht_less(ht_ints a, ht_ints b) { return _mm512_cmplt_epi32_mask(a, b); }
HT_INLINE uint32_t ht_equal(ht_ints a, ht_ints b) { return _mm512_cmpeq_epi32_mask(a, b); }
HT_INLINE ht_ints ht_choose(ht_where in, ht_ints a, ht_ints b) { return _mm512_mask_mov_epi32(b, in, a); }
HT_INLINE int32_t ht_least(ht_ints v) { return _mm512_reduce_min_epi32(v); }

// Bytes whose bits lie in planes.
enum { HT_BYTES = 64 };
typedef __m512i ht_bytes;

HT_INLINE ht_bytes ht_no_bytes(void) { return _mm512_setzero_si512(); }
HT_INLINE ht_bytes ht_add_bit(ht_bytes v, const uint64_t *plane, size_t first, size_t bit) {
    return _mm512_mask_add_epi8(v, plane[first / 64], v, _mm512_set1_epi8((char)(1 << bit)));
}
HT_INLINE ht_ints ht_widen(ht_bytes v, const size_t quarter, size_t left) {
    const __m128i part = quarter == 0   ? _mm512_castsi512_si128(v)
                         : quarter == 1 ? _mm512_extracti32x4_epi32(v, 1)
                         : quarter == 2 ? _mm512_extracti32x4_epi32(v, 2)
                                        : _mm512_extracti32x4_epi32(v, 3);
    return _mm512_slli_epi32(_mm512_cvtepu8_epi32(part), (unsigned)left);
}

// The other vector's number in the first lane that has this one.
HT_INLINE ht_ints ht_without_one(ht_ints v, int32_t one, ht_ints other) {
    const uint32_t equal = _mm512_cmpeq_epi32_mask(v, _mm512_set1_epi32(one));
    return _mm512_mask_mov_epi32(v, (__mmask16)(equal & -equal), other);
}

#endif
