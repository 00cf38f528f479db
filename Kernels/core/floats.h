// SPDX-License-Identifier: Apache-2.0
// 16-bit floats in plain C, for the code that is not in a hurry.
#ifndef HT_CORE_FLOATS_H
#define HT_CORE_FLOATS_H

#include <stdint.h>
#include <string.h>

static inline float ht_f32_of_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline uint32_t ht_bits_of_f32(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline float ht_bf16_to_f32(uint16_t bits) { return ht_f32_of_bits((uint32_t)bits << 16); }

/// To nearest, ties to even; a NaN stays a NaN, quiet.
static inline uint16_t ht_f32_to_bf16(float value) {
    uint32_t bits = ht_bits_of_f32(value);
    if (value != value) return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

/// Exact; a NaN becomes quiet.
static inline float ht_f16_to_f32(uint16_t half) {
    uint32_t sign = (uint32_t)(half & 0x8000) << 16, exponent = half >> 10 & 31, fraction = half & 0x3ff;
    if (exponent == 0) {
        float magnitude = (float)fraction * 0x1p-24f;
        return ht_f32_of_bits(ht_bits_of_f32(magnitude) | sign);
    }
    if (exponent == 31) return ht_f32_of_bits(sign | 0x7f800000 | fraction << 13 | (fraction ? 0x400000 : 0));
    return ht_f32_of_bits(sign | (exponent + 112) << 23 | fraction << 13);
}

#endif
