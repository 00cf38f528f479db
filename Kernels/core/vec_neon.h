// SPDX-License-Identifier: Apache-2.0
// The vocabulary of epilogue.h in NEON.
#ifndef HT_CORE_VEC_H
#define HT_CORE_VEC_H

#include <arm_neon.h>

#include "simd.h"

typedef float32x4_t ht_vec;
typedef size_t ht_lanes;  // how many lanes there are

enum { HT_VEC_LANES = 4 };

HT_INLINE ht_lanes ht_first_lanes(size_t count) { return count < 4 ? count : 4; }

HT_INLINE ht_vec ht_vsplat(float x) { return vdupq_n_f32(x); }
HT_INLINE ht_vec ht_vadd(ht_vec a, ht_vec b) { return vaddq_f32(a, b); }
HT_INLINE ht_vec ht_vsub(ht_vec a, ht_vec b) { return vsubq_f32(a, b); }
HT_INLINE ht_vec ht_vmul(ht_vec a, ht_vec b) { return vmulq_f32(a, b); }
HT_INLINE ht_vec ht_vdiv(ht_vec a, ht_vec b) { return vdivq_f32(a, b); }
HT_INLINE ht_vec ht_vfma(ht_vec a, ht_vec b, ht_vec c) { return vfmaq_f32(c, a, b); }   // a b + c
HT_INLINE ht_vec ht_vnfma(ht_vec a, ht_vec b, ht_vec c) { return vfmsq_f32(c, a, b); }  // c - a b
HT_INLINE ht_vec ht_vabs(ht_vec a) { return vabsq_f32(a); }

// Not max and min, for which -0 is less than +0: NaN and -0 stay.
HT_INLINE ht_vec ht_at_least(ht_vec v, ht_vec low) { return vbslq_f32(vcltq_f32(v, low), low, v); }
HT_INLINE ht_vec ht_at_most(ht_vec v, ht_vec high) { return vbslq_f32(vcgtq_f32(v, high), high, v); }

// The float whose exponent field is the low byte of a's bits.
HT_INLINE ht_vec ht_power_of_two(ht_vec a) { return vreinterpretq_f32_u32(vshlq_n_u32(vreinterpretq_u32_f32(a), 23)); }

// v < 0 ? a : b
HT_INLINE ht_vec ht_where_negative(ht_vec v, ht_vec a, ht_vec b) { return vbslq_f32(vcltzq_f32(v), a, b); }

HT_INLINE ht_vec ht_vload(const float *from) { return vld1q_f32(from); }
HT_INLINE void ht_vstore(float *to, ht_vec v) { vst1q_f32(to, v); }
HT_INLINE ht_vec ht_vload_unaligned(const float *from) { return vld1q_f32(from); }

// Lanes that are not there load as zero and are not stored.
HT_INLINE ht_vec ht_load_f32(const float *from, ht_lanes in) {
    if (in == 4) return vld1q_f32(from);
    float some[4] = {0};
    for (size_t i = 0; i < in; i++) some[i] = from[i];
    return vld1q_f32(some);
}

HT_INLINE void ht_store_f32(float *to, ht_vec v, ht_lanes in) {
    if (in == 4) {
        vst1q_f32(to, v);
        return;
    }
    float some[4];
    vst1q_f32(some, v);
    for (size_t i = 0; i < in; i++) to[i] = some[i];
}

HT_INLINE ht_vec ht_load_bf16(const uint16_t *from, ht_lanes in) {
    uint16_t some[4] = {0};
    __builtin_memcpy(some, from, in * sizeof *from);
    return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(some), 16));
}

// To nearest, ties to even; a NaN keeps its upper bits and becomes quiet.
HT_INLINE void ht_store_bf16(uint16_t *to, ht_vec v, ht_lanes in) {
    uint32x4_t bits = vreinterpretq_u32_f32(v);
    uint32x4_t odd = vandq_u32(vshrq_n_u32(bits, 16), vdupq_n_u32(1));
    uint32x4_t near = vaddq_u32(vaddq_u32(bits, vdupq_n_u32(0x7fff)), odd);
    uint32x4_t quiet = vorrq_u32(bits, vdupq_n_u32(0x400000));
    uint16x4_t high = vshrn_n_u32(vbslq_u32(vceqq_f32(v, v), near, quiet), 16);
    if (in == 4) {
        vst1_u16(to, high);
        return;
    }
    uint16_t some[4];
    vst1_u16(some, high);
    for (size_t i = 0; i < in; i++) to[i] = some[i];
}

// 32-bit integers as floats.
HT_INLINE ht_vec ht_load_sums(const int32_t *from) { return vcvtq_f32_s32(vld1q_s32(from)); }

// The low bytes of integers near v, ties to even, plus zero.
HT_INLINE void ht_store_bytes(uint8_t *to, ht_vec v, int32_t zero) {
    int16x4_t near = vmovn_s32(vaddq_s32(vcvtnq_s32_f32(v), vdupq_n_s32(zero)));
    int8x8_t bytes = vmovn_s16(vcombine_s16(near, near));
    int32_t four = vget_lane_s32(vreinterpret_s32_s8(bytes), 0);
    __builtin_memcpy(to, &four, sizeof four);
}

// Rows become columns.
HT_INLINE void ht_vtranspose(ht_vec r[HT_VEC_LANES]) {
    float64x2_t even01 = vreinterpretq_f64_f32(vtrn1q_f32(r[0], r[1]));
    float64x2_t odd01 = vreinterpretq_f64_f32(vtrn2q_f32(r[0], r[1]));
    float64x2_t even23 = vreinterpretq_f64_f32(vtrn1q_f32(r[2], r[3]));
    float64x2_t odd23 = vreinterpretq_f64_f32(vtrn2q_f32(r[2], r[3]));
    r[0] = vreinterpretq_f32_f64(vtrn1q_f64(even01, even23));
    r[1] = vreinterpretq_f32_f64(vtrn1q_f64(odd01, odd23));
    r[2] = vreinterpretq_f32_f64(vtrn2q_f64(even01, even23));
    r[3] = vreinterpretq_f32_f64(vtrn2q_f64(odd01, odd23));
}

#endif
