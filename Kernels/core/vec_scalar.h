// SPDX-License-Identifier: Apache-2.0
// The vocabulary of epilogue.h for one value at a time, in portable C.
#ifndef HT_CORE_VEC_H
#define HT_CORE_VEC_H

#include <math.h>
#include <stdbool.h>

#include "floats.h"
#include "simd.h"

typedef float ht_vec;
typedef bool ht_lanes;  // whether the lane is there

enum { HT_VEC_LANES = 1 };

HT_INLINE ht_lanes ht_first_lanes(size_t count) { return count > 0; }

HT_INLINE ht_vec ht_vsplat(float x) { return x; }
HT_INLINE ht_vec ht_vadd(ht_vec a, ht_vec b) { return a + b; }
HT_INLINE ht_vec ht_vsub(ht_vec a, ht_vec b) { return a - b; }
HT_INLINE ht_vec ht_vmul(ht_vec a, ht_vec b) { return a * b; }
HT_INLINE ht_vec ht_vdiv(ht_vec a, ht_vec b) { return a / b; }
HT_INLINE ht_vec ht_vfma(ht_vec a, ht_vec b, ht_vec c) { return fmaf(a, b, c); }    // a b + c
HT_INLINE ht_vec ht_vnfma(ht_vec a, ht_vec b, ht_vec c) { return fmaf(-a, b, c); }  // c - a b
HT_INLINE ht_vec ht_vabs(ht_vec a) { return fabsf(a); }

HT_INLINE ht_vec ht_at_least(ht_vec v, ht_vec low) { return v < low ? low : v; }
HT_INLINE ht_vec ht_at_most(ht_vec v, ht_vec high) { return v > high ? high : v; }

// The float whose exponent field is the low byte of a's bits.
HT_INLINE ht_vec ht_power_of_two(ht_vec a) { return ht_f32_of_bits(ht_bits_of_f32(a) << 23); }

HT_INLINE ht_vec ht_where_negative(ht_vec v, ht_vec a, ht_vec b) { return v < 0 ? a : b; }

HT_INLINE ht_vec ht_load_f32(const float *from, ht_lanes in) { return in ? *from : 0; }

HT_INLINE void ht_store_f32(float *to, ht_vec v, ht_lanes in) {
    if (in) *to = v;
}

HT_INLINE ht_vec ht_load_bf16(const uint16_t *from, ht_lanes in) { return in ? ht_bf16_to_f32(*from) : 0; }

HT_INLINE void ht_store_bf16(uint16_t *to, ht_vec v, ht_lanes in) {
    if (in) *to = ht_f32_to_bf16(v);
}

#endif
