// SPDX-License-Identifier: Apache-2.0
// Signs in AVX-512.
#if defined(__x86_64__)
#include <immintrin.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c,bmi,bmi2"))), \
                             apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c,bmi,bmi2")
#endif

#include "core/vec_avx512.h"

typedef __mmask16 ht_mask;

HT_INLINE ht_mask ht_less(ht_vec a, ht_vec b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
HT_INLINE ht_mask ht_not_above(ht_vec a, ht_vec b) { return _mm512_cmp_ps_mask(a, b, _CMP_LE_OQ); }
HT_INLINE ht_vec ht_where(ht_mask mask, ht_vec a, ht_vec b) { return _mm512_mask_blend_ps(mask, b, a); }
HT_INLINE ht_mask ht_mask_at(uint64_t word, size_t v) { return (__mmask16)(word >> v * HT_VEC_LANES); }

HT_INLINE uint64_t ht_word(const ht_mask mask[4]) {
    const __mmask32 low = _mm512_kunpackw(mask[1], mask[0]), high = _mm512_kunpackw(mask[3], mask[2]);
    return _cvtmask64_u64(_mm512_kunpackd(high, low));
}

HT_INLINE ht_vec ht_load_f16(const uint16_t *from, ht_lanes in) {
    return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(in, from));
}

HT_INLINE ht_mask ht_less_i8(const int8_t *x, const int32_t *threshold, ht_lanes in) {
    const __m512i wide = _mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(in, x));
    return _mm512_cmplt_epi32_mask(wide, _mm512_maskz_loadu_epi32(in, threshold));
}

HT_INLINE uint64_t ht_signs_of_bytes(const int8_t *x, size_t count) {
    const __mmask64 in = _cvtu64_mask64(~(uint64_t)0 >> (64 - count));
    return _cvtmask64_u64(_mm512_movepi8_mask(_mm512_maskz_loadu_epi8(in, x)));
}

HT_INLINE void ht_store_signs(int8_t *to, uint64_t word, size_t count) {
    const __m512i signs = _mm512_or_si512(_mm512_movm_epi8(_cvtu64_mask64(word)), _mm512_set1_epi8(1));
    _mm512_mask_storeu_epi8(to, _cvtu64_mask64(~(uint64_t)0 >> (64 - count)), signs);
}

// MARK: doubles

typedef __m512d ht_wide;
typedef __m512i ht_words;

enum { HT_WIDE_PARTS = 2 };

HT_INLINE ht_wide ht_widen(ht_vec v, size_t part) {
    return _mm512_cvtps_pd(part ? _mm512_extractf32x8_ps(v, 1) : _mm512_castps512_ps256(v));
}

HT_INLINE ht_vec ht_narrow(const ht_wide part[2]) {
    return _mm512_insertf32x8(_mm512_castps256_ps512(_mm512_cvtpd_ps(part[0])), _mm512_cvtpd_ps(part[1]), 1);
}

HT_INLINE ht_wide ht_wsplat(double x) { return _mm512_set1_pd(x); }
HT_INLINE ht_wide ht_wadd(ht_wide a, ht_wide b) { return _mm512_add_pd(a, b); }
HT_INLINE ht_wide ht_wsub(ht_wide a, ht_wide b) { return _mm512_sub_pd(a, b); }
HT_INLINE ht_wide ht_wmul(ht_wide a, ht_wide b) { return _mm512_mul_pd(a, b); }
HT_INLINE ht_wide ht_wdiv(ht_wide a, ht_wide b) { return _mm512_div_pd(a, b); }
HT_INLINE ht_wide ht_wfma(ht_wide a, ht_wide b, ht_wide c) { return _mm512_fmadd_pd(a, b, c); }    // a b + c
HT_INLINE ht_wide ht_wnfma(ht_wide a, ht_wide b, ht_wide c) { return _mm512_fnmadd_pd(a, b, c); }  // c - a b

// 0 where |a| > limit; a NaN stays.
HT_INLINE ht_wide ht_zero_beyond(ht_wide a, double limit) {
    return _mm512_maskz_mov_pd(_mm512_cmp_pd_mask(_mm512_abs_pd(a), ht_wsplat(limit), _CMP_NGT_UQ), a);
}

HT_INLINE ht_words ht_words_of(ht_wide a) { return _mm512_castpd_si512(a); }
HT_INLINE ht_wide ht_wide_of(ht_words a) { return _mm512_castsi512_pd(a); }
HT_INLINE ht_words ht_wiadd(ht_words a, ht_words b) { return _mm512_add_epi64(a, b); }
HT_INLINE ht_words ht_wisub(ht_words a, ht_words b) { return _mm512_sub_epi64(a, b); }
HT_INLINE ht_words ht_wor(ht_words a, ht_words b) { return _mm512_or_si512(a, b); }
HT_INLINE ht_words ht_wxor(ht_words a, ht_words b) { return _mm512_xor_si512(a, b); }
#define ht_wleft(a, bits) _mm512_slli_epi64(a, bits)
#define ht_wright(a, bits) _mm512_srli_epi64(a, bits)

#include "signs_code.h"

const ht_sign_calls *ht_signs_avx512(void) { return &calls; }

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
