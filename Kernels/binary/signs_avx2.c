// SPDX-License-Identifier: Apache-2.0
// Signs in AVX2.
#if defined(__x86_64__)
#include <immintrin.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,bmi,bmi2"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c,bmi,bmi2")
#endif

#include "core/vec_avx2.h"

typedef __m256 ht_mask;  // all ones or zero

HT_INLINE ht_mask ht_less(ht_vec a, ht_vec b) { return _mm256_cmp_ps(a, b, _CMP_LT_OQ); }
HT_INLINE ht_mask ht_not_above(ht_vec a, ht_vec b) { return _mm256_cmp_ps(a, b, _CMP_LE_OQ); }
HT_INLINE ht_vec ht_where(ht_mask mask, ht_vec a, ht_vec b) { return _mm256_blendv_ps(b, a, mask); }

HT_INLINE ht_mask ht_mask_at(uint64_t word, size_t v) {
    const __m256i bit = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
    const __m256i byte = _mm256_set1_epi32((int)(uint8_t)(word >> v * HT_VEC_LANES));
    return _mm256_castsi256_ps(_mm256_cmpeq_epi32(_mm256_and_si256(byte, bit), bit));
}

// Bits of four masks. Packing goes on inside each half of a vector, which leaves fours of lanes to be put in order.
HT_INLINE uint32_t half_word(const ht_mask mask[4]) {
    const __m256i first = _mm256_packs_epi32(_mm256_castps_si256(mask[0]), _mm256_castps_si256(mask[1]));
    const __m256i second = _mm256_packs_epi32(_mm256_castps_si256(mask[2]), _mm256_castps_si256(mask[3]));
    const __m256i fours = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    return (uint32_t)_mm256_movemask_epi8(_mm256_permutevar8x32_epi32(_mm256_packs_epi16(first, second), fours));
}

HT_INLINE uint64_t ht_word(const ht_mask mask[8]) { return half_word(mask) | (uint64_t)half_word(mask + 4) << 32; }

HT_INLINE ht_vec ht_load_f16(const uint16_t *from, ht_lanes in) {
    __m128i halves = _mm_setzero_si128();
    if (in.count == 8)
        halves = _mm_loadu_si128((const __m128i *)from);
    else
        __builtin_memcpy(&halves, from, in.count * sizeof *from);
    return _mm256_cvtph_ps(halves);
}

HT_INLINE ht_mask ht_less_i8(const int8_t *x, const int32_t *threshold, ht_lanes in) {
    __m128i bytes = _mm_setzero_si128();
    if (in.count == 8)
        bytes = _mm_loadl_epi64((const __m128i *)x);
    else
        __builtin_memcpy(&bytes, x, in.count);
    const __m256i limit = _mm256_maskload_epi32(threshold, in.mask);
    return _mm256_castsi256_ps(_mm256_cmpgt_epi32(limit, _mm256_cvtepi8_epi32(bytes)));
}

HT_INLINE uint64_t ht_signs_of_bytes(const int8_t *x, size_t count) {
    __m256i bytes[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()};
    __builtin_memcpy(bytes, x, count);
    return (uint32_t)_mm256_movemask_epi8(bytes[0]) | (uint64_t)(uint32_t)_mm256_movemask_epi8(bytes[1]) << 32;
}

// The signs of 32 bits.
HT_INLINE __m256i signs_of(uint32_t bits) {
    const __m256i byte = _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
    const __m256i bit = _mm256_set1_epi64x((long long)0x8040201008040201);
    const __m256i spread = _mm256_shuffle_epi8(_mm256_set1_epi32((int)bits), byte);
    return _mm256_or_si256(_mm256_cmpeq_epi8(_mm256_and_si256(spread, bit), bit), _mm256_set1_epi8(1));
}

HT_INLINE void ht_store_signs(int8_t *to, uint64_t word, size_t count) {
    const __m256i signs[2] = {signs_of((uint32_t)word), signs_of((uint32_t)(word >> 32))};
    __builtin_memcpy(to, signs, count);
}

// MARK: doubles

typedef __m256d ht_wide;
typedef __m256i ht_words;

enum { HT_WIDE_PARTS = 2 };

HT_INLINE ht_wide ht_widen(ht_vec v, size_t part) {
    return _mm256_cvtps_pd(part ? _mm256_extractf128_ps(v, 1) : _mm256_castps256_ps128(v));
}

HT_INLINE ht_vec ht_narrow(const ht_wide part[2]) {
    return _mm256_set_m128(_mm256_cvtpd_ps(part[1]), _mm256_cvtpd_ps(part[0]));
}

HT_INLINE ht_wide ht_wsplat(double x) { return _mm256_set1_pd(x); }
HT_INLINE ht_wide ht_wadd(ht_wide a, ht_wide b) { return _mm256_add_pd(a, b); }
HT_INLINE ht_wide ht_wsub(ht_wide a, ht_wide b) { return _mm256_sub_pd(a, b); }
HT_INLINE ht_wide ht_wmul(ht_wide a, ht_wide b) { return _mm256_mul_pd(a, b); }
HT_INLINE ht_wide ht_wdiv(ht_wide a, ht_wide b) { return _mm256_div_pd(a, b); }
HT_INLINE ht_wide ht_wfma(ht_wide a, ht_wide b, ht_wide c) { return _mm256_fmadd_pd(a, b, c); }    // a b + c
HT_INLINE ht_wide ht_wnfma(ht_wide a, ht_wide b, ht_wide c) { return _mm256_fnmadd_pd(a, b, c); }  // c - a b

// 0 where |a| > limit; a NaN stays.
HT_INLINE ht_wide ht_zero_beyond(ht_wide a, double limit) {
    const ht_wide size = _mm256_andnot_pd(ht_wsplat(-0.0), a);
    return _mm256_and_pd(a, _mm256_cmp_pd(size, ht_wsplat(limit), _CMP_NGT_UQ));
}

HT_INLINE ht_words ht_words_of(ht_wide a) { return _mm256_castpd_si256(a); }
HT_INLINE ht_wide ht_wide_of(ht_words a) { return _mm256_castsi256_pd(a); }
HT_INLINE ht_words ht_wiadd(ht_words a, ht_words b) { return _mm256_add_epi64(a, b); }
HT_INLINE ht_words ht_wisub(ht_words a, ht_words b) { return _mm256_sub_epi64(a, b); }
HT_INLINE ht_words ht_wor(ht_words a, ht_words b) { return _mm256_or_si256(a, b); }
HT_INLINE ht_words ht_wxor(ht_words a, ht_words b) { return _mm256_xor_si256(a, b); }
#define ht_wleft(a, bits) _mm256_slli_epi64(a, bits)
#define ht_wright(a, bits) _mm256_srli_epi64(a, bits)

#include "signs_code.h"

const ht_sign_calls *ht_signs_avx2(void) { return &calls; }

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
