// SPDX-License-Identifier: Apache-2.0
// The geometry of convolutions, checked and worked out.
#ifndef HT_CORE_CONV_H
#define HT_CORE_CONV_H

#include "halftone/conv.h"

/// A shape with its defaults filled in, and what follows from it. Every number is below 2^31, so that the product of
/// two fits in 64 bits.
typedef struct ht_conv {
    ht_conv_shape shape;
    size_t out_height, out_width;
    size_t x_pixels, y_pixels;  // of all images
} ht_conv;

/// Errors: NULL, CONV, OVERFLOW.
ht_status ht_conv_make(const ht_conv_shape *shape, ht_conv *conv);

#endif
