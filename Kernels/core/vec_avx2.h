// SPDX-License-Identifier: Apache-2.0
// The vocabulary of epilogue.h in AVX2: included behind the target pragma of the file that uses it.
#ifndef HT_CORE_VEC_H
#define HT_CORE_VEC_H

#include <immintrin.h>

#include "simd.h"

typedef __m256 ht_vec;

// Which lanes there are. Vectors of 16-bit values have no masks in AVX2, so the count is needed too.
typedef struct ht_lanes {
    __m256i mask;
    size_t count;
} ht_lanes;

enum { HT_VEC_LANES = 8 };

HT_INLINE ht_lanes ht_first_lanes(size_t count) {
    if (count > 8) count = 8;
    __m256i places = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return (ht_lanes){_mm256_cmpgt_epi32(_mm256_set1_epi32((int)count), places), count};
}

HT_INLINE ht_vec ht_vsplat(float x) { return _mm256_set1_ps(x); }
HT_INLINE ht_vec ht_vadd(ht_vec a, ht_vec b) { return _mm256_add_ps(a, b); }
HT_INLINE ht_vec ht_vsub(ht_vec a, ht_vec b) { return _mm256_sub_ps(a, b); }
HT_INLINE ht_vec ht_vmul(ht_vec a, ht_vec b) { return _mm256_mul_ps(a, b); }
HT_INLINE ht_vec ht_vdiv(ht_vec a, ht_vec b) { return _mm256_div_ps(a, b); }
HT_INLINE ht_vec ht_vfma(ht_vec a, ht_vec b, ht_vec c) { return _mm256_fmadd_ps(a, b, c); }    // a b + c
HT_INLINE ht_vec ht_vnfma(ht_vec a, ht_vec b, ht_vec c) { return _mm256_fnmadd_ps(a, b, c); }  // c - a b
HT_INLINE ht_vec ht_vabs(ht_vec a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a); }

// max and min return their second operand when one is a NaN or both are zero: NaN and -0 stay.
HT_INLINE ht_vec ht_at_least(ht_vec v, ht_vec low) { return _mm256_max_ps(low, v); }
HT_INLINE ht_vec ht_at_most(ht_vec v, ht_vec high) { return _mm256_min_ps(high, v); }

// The float whose exponent field is the low byte of a's bits.
HT_INLINE ht_vec ht_power_of_two(ht_vec a) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(a), 23));
}

// v < 0 ? a : b
HT_INLINE ht_vec ht_where_negative(ht_vec v, ht_vec a, ht_vec b) {
    return _mm256_blendv_ps(b, a, _mm256_cmp_ps(v, _mm256_setzero_ps(), _CMP_LT_OQ));
}

// Aligned to 32 bytes.
HT_INLINE ht_vec ht_vload(const float *from) { return _mm256_load_ps(from); }
HT_INLINE void ht_vstore(float *to, ht_vec v) { _mm256_store_ps(to, v); }
HT_INLINE ht_vec ht_vload_unaligned(const float *from) { return _mm256_loadu_ps(from); }

// Lanes that are not there load as zero and are not stored. Some cores take a dozen cycles for a masked store.
HT_INLINE ht_vec ht_load_f32(const float *from, ht_lanes in) { return _mm256_maskload_ps(from, in.mask); }
HT_INLINE void ht_store_f32(float *to, ht_vec v, ht_lanes in) {
    if (in.count == 8)
        _mm256_storeu_ps(to, v);
    else
        _mm256_maskstore_ps(to, in.mask, v);
}

HT_INLINE ht_vec ht_load_bf16(const uint16_t *from, ht_lanes in) {
    __m128i low = _mm_setzero_si128();
    if (in.count == 8)
        low = _mm_loadu_si128((const __m128i *)from);
    else
        __builtin_memcpy(&low, from, in.count * sizeof *from);
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(low), 16));
}

// To nearest, ties to even; a NaN keeps its upper bits and becomes quiet.
HT_INLINE void ht_store_bf16(uint16_t *to, ht_vec v, ht_lanes in) {
    __m256i bits = _mm256_castps_si256(v);
    __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    __m256i near = _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7fff)), odd);
    __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
    near = _mm256_blendv_epi8(near, quiet, _mm256_castps_si256(_mm256_cmp_ps(v, v, _CMP_UNORD_Q)));
    near = _mm256_srli_epi32(near, 16);
    __m128i low = _mm_packus_epi32(_mm256_castsi256_si128(near), _mm256_extracti128_si256(near, 1));
    if (in.count == 8)
        _mm_storeu_si128((__m128i *)to, low);
    else
        __builtin_memcpy(to, &low, in.count * sizeof *to);
}

// 32-bit integers as floats.
HT_INLINE ht_vec ht_load_sums(const int32_t *from) {
    return _mm256_cvtepi32_ps(_mm256_loadu_si256((const __m256i *)(const void *)from));
}

// The low bytes of integers near v, ties to even, plus zero.
HT_INLINE void ht_store_bytes(uint8_t *to, ht_vec v, int32_t zero) {
    const __m256i low_bytes = _mm256_setr_epi32(0x0c080400, -1, -1, -1, 0x0c080400, -1, -1, -1);
    __m256i near = _mm256_add_epi32(_mm256_cvtps_epi32(v), _mm256_set1_epi32(zero));
    __m256i bytes = _mm256_shuffle_epi8(near, low_bytes);
    __m128i both = _mm_unpacklo_epi32(_mm256_castsi256_si128(bytes), _mm256_extracti128_si256(bytes, 1));
    _mm_storel_epi64((__m128i *)(void *)to, both);
}

// Rows become columns: 4x4 blocks inside the 128-bit lanes first, then the lanes themselves.
HT_INLINE void ht_vtranspose(ht_vec r[HT_VEC_LANES]) {
    __m256 t[8];
    HT_UNROLL
    for (int i = 0; i < 8; i += 4) {
        __m256 low01 = _mm256_unpacklo_ps(r[i], r[i + 1]), high01 = _mm256_unpackhi_ps(r[i], r[i + 1]);
        __m256 low23 = _mm256_unpacklo_ps(r[i + 2], r[i + 3]), high23 = _mm256_unpackhi_ps(r[i + 2], r[i + 3]);
        t[i] = _mm256_shuffle_ps(low01, low23, 0x44);
        t[i + 1] = _mm256_shuffle_ps(low01, low23, 0xee);
        t[i + 2] = _mm256_shuffle_ps(high01, high23, 0x44);
        t[i + 3] = _mm256_shuffle_ps(high01, high23, 0xee);
    }
    HT_UNROLL
    for (int j = 0; j < 4; j++) {
        r[j] = _mm256_permute2f128_ps(t[j], t[4 + j], 0x20);
        r[4 + j] = _mm256_permute2f128_ps(t[j], t[4 + j], 0x31);
    }
}

#endif
