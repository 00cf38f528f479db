// SPDX-License-Identifier: Apache-2.0
// Dense weights of any type, one at a time: for masks and packing.
#ifndef HT_NM_ELEMENT_H
#define HT_NM_ELEMENT_H

#include <string.h>

#include "core/floats.h"
#include "halftone/base.h"

/// |w| as a number whose order is that of magnitudes: of floats the bits without the sign, so NaN is above infinity.
static inline uint32_t ht_nm_magnitude(ht_dtype dtype, const void *row, size_t column) {
    switch (dtype) {
    case HT_DTYPE_F32: return ht_bits_of_f32(((const float *)row)[column]) & 0x7fffffff;
    case HT_DTYPE_I8: {
        int w = ((const int8_t *)row)[column];
        return (uint32_t)(w < 0 ? -w : w);
    }
    default: return ((const uint16_t *)row)[column] & 0x7fff;
    }
}

/// What ht_nm_magnitude stands for, as a number to add up.
static inline double ht_nm_magnitude_value(ht_dtype dtype, uint32_t magnitude) {
    switch (dtype) {
    case HT_DTYPE_F32: return ht_f32_of_bits(magnitude);
    case HT_DTYPE_F16: return ht_f16_to_f32((uint16_t)magnitude);
    case HT_DTYPE_BF16: return ht_bf16_to_f32((uint16_t)magnitude);
    default: return magnitude;
    }
}

#endif
