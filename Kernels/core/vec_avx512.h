// SPDX-License-Identifier: Apache-2.0
// The vocabulary of epilogue.h in AVX-512: included behind the target pragma of the file that uses it.
#ifndef HT_CORE_VEC_H
#define HT_CORE_VEC_H

#include <immintrin.h>
#include <stdbool.h>

#include "simd.h"

typedef __m512 ht_vec;
typedef __mmask16 ht_lanes;  // which lanes there are

enum { HT_VEC_LANES = 16 };

HT_INLINE ht_lanes ht_first_lanes(size_t count) { return count < 16 ? (__mmask16)((1u << count) - 1) : 0xffff; }

HT_INLINE ht_vec ht_vsplat(float x) { return _mm512_set1_ps(x); }
HT_INLINE ht_vec ht_vadd(ht_vec a, ht_vec b) { return _mm512_add_ps(a, b); }
HT_INLINE ht_vec ht_vsub(ht_vec a, ht_vec b) { return _mm512_sub_ps(a, b); }
HT_INLINE ht_vec ht_vmul(ht_vec a, ht_vec b) { return _mm512_mul_ps(a, b); }
HT_INLINE ht_vec ht_vdiv(ht_vec a, ht_vec b) { return _mm512_div_ps(a, b); }
HT_INLINE ht_vec ht_vfma(ht_vec a, ht_vec b, ht_vec c) { return _mm512_fmadd_ps(a, b, c); }    // a b + c
HT_INLINE ht_vec ht_vnfma(ht_vec a, ht_vec b, ht_vec c) { return _mm512_fnmadd_ps(a, b, c); }  // c - a b
HT_INLINE ht_vec ht_vabs(ht_vec a) { return _mm512_abs_ps(a); }

// max and min return their second operand when one is a NaN or both are zero: NaN and -0 stay.
HT_INLINE ht_vec ht_at_least(ht_vec v, ht_vec low) { return _mm512_max_ps(low, v); }
HT_INLINE ht_vec ht_at_most(ht_vec v, ht_vec high) { return _mm512_min_ps(high, v); }

// The float whose exponent field is the low byte of a's bits.
HT_INLINE ht_vec ht_power_of_two(ht_vec a) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_castps_si512(a), 23));
}

// v < 0 ? a : b
HT_INLINE ht_vec ht_where_negative(ht_vec v, ht_vec a, ht_vec b) {
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(v, _mm512_setzero_ps(), _CMP_LT_OQ), b, a);
}

// Aligned to 64 bytes.
HT_INLINE ht_vec ht_vload(const float *from) { return _mm512_load_ps(from); }
HT_INLINE void ht_vstore(float *to, ht_vec v) { _mm512_store_ps(to, v); }
HT_INLINE ht_vec ht_vload_unaligned(const float *from) { return _mm512_loadu_ps(from); }

// Past the caches: for a vector that is a line, so that the line need not be read first. An sfence must follow.
#define HT_VEC_STREAMS
HT_INLINE bool ht_is_whole(ht_lanes in) { return in == 0xffff; }
HT_INLINE void ht_vstream(float *to, ht_vec v) { _mm512_stream_ps(to, v); }

// Lanes that are not there load as zero and are not stored.
HT_INLINE ht_vec ht_load_f32(const float *from, ht_lanes in) { return _mm512_maskz_loadu_ps(in, from); }
HT_INLINE void ht_store_f32(float *to, ht_vec v, ht_lanes in) { _mm512_mask_storeu_ps(to, in, v); }

HT_INLINE ht_vec ht_load_bf16(const uint16_t *from, ht_lanes in) {
    __m512i low = _mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(in, from));
    return _mm512_castsi512_ps(_mm512_slli_epi32(low, 16));
}

// To nearest, ties to even; a NaN keeps its upper bits and becomes quiet.
HT_INLINE void ht_store_bf16(uint16_t *to, ht_vec v, ht_lanes in) {
    __m512i bits = _mm512_castps_si512(v);
    __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    __m512i near = _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), odd);
    __mmask16 nan = _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
    near = _mm512_mask_or_epi32(near, nan, bits, _mm512_set1_epi32(0x400000));
    _mm256_mask_storeu_epi16(to, in, _mm512_cvtepi32_epi16(_mm512_srli_epi32(near, 16)));
}

// 32-bit integers as floats.
HT_INLINE ht_vec ht_load_sums(const int32_t *from) { return _mm512_cvtepi32_ps(_mm512_loadu_si512(from)); }

// The low bytes of integers near v, ties to even, plus zero.
HT_INLINE void ht_store_bytes(uint8_t *to, ht_vec v, int32_t zero) {
    __m512i near = _mm512_add_epi32(_mm512_cvtps_epi32(v), _mm512_set1_epi32(zero));
    _mm_storeu_si128((__m128i *)(void *)to, _mm512_cvtepi32_epi8(near));
}

// Rows become columns: 4x4 blocks inside the 128-bit lanes first, then the lanes themselves.
HT_INLINE void ht_vtranspose(ht_vec r[HT_VEC_LANES]) {
    __m512 t[16];
    HT_UNROLL
    for (int i = 0; i < 16; i += 4) {
        __m512 low01 = _mm512_unpacklo_ps(r[i], r[i + 1]), high01 = _mm512_unpackhi_ps(r[i], r[i + 1]);
        __m512 low23 = _mm512_unpacklo_ps(r[i + 2], r[i + 3]), high23 = _mm512_unpackhi_ps(r[i + 2], r[i + 3]);
        t[i] = _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(low01), _mm512_castps_pd(low23)));
        t[i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(low01), _mm512_castps_pd(low23)));
        t[i + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(high01), _mm512_castps_pd(high23)));
        t[i + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(high01), _mm512_castps_pd(high23)));
    }
    HT_UNROLL
    for (int j = 0; j < 4; j++) {
        __m512 even01 = _mm512_shuffle_f32x4(t[j], t[4 + j], 0x88), odd01 = _mm512_shuffle_f32x4(t[j], t[4 + j], 0xdd);
        __m512 even23 = _mm512_shuffle_f32x4(t[8 + j], t[12 + j], 0x88);
        __m512 odd23 = _mm512_shuffle_f32x4(t[8 + j], t[12 + j], 0xdd);
        r[j] = _mm512_shuffle_f32x4(even01, even23, 0x88);
        r[4 + j] = _mm512_shuffle_f32x4(odd01, odd23, 0x88);
        r[8 + j] = _mm512_shuffle_f32x4(even01, even23, 0xdd);
        r[12 + j] = _mm512_shuffle_f32x4(odd01, odd23, 0xdd);
    }
}

#endif
