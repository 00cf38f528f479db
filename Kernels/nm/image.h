// SPDX-License-Identifier: Apache-2.0
// A convolution as a product: sample t of X is what the taps of pixel t of Y see of an image.
#ifndef HT_NM_IMAGE_H
#define HT_NM_IMAGE_H

#include "core/conv.h"
#include "layout.h"

/// Which pixel of X a tap sees, forward and backward: at pixel (r, c) of Y the tap (u, v) lies at
/// (r step_y + u dilation_y + top, c step_x + v dilation_x + left) of a grid whose every spread_y-th row and
/// spread_x-th column are those of X; all else in it, and all outside, is zero.
typedef struct ht_nm_image {
    size_t height, width;          // of an image of X
    size_t out_height, out_width;  // of an image of Y
    size_t kernel_width;           // taps of a row
    size_t step_y, step_x;
    size_t spread_y, spread_x;
    size_t dilation_y, dilation_x;
    ptrdiff_t top, left;
} ht_nm_image;

/// The convolution of a shape, and the one that takes dY to dX with its taps in reverse.
ht_nm_image ht_nm_forward_image(const ht_conv *conv);
ht_nm_image ht_nm_backward_image(const ht_conv *conv);

/// Whether sample t is just pixel t.
bool ht_nm_image_is_trivial(const ht_nm_image *image, size_t taps);

/// Where the pixels of X lie that a tap sees from `count` pixels of Y, the first of them number t of all images; for
/// those it sees none of, `none`. Pixels are x_stride bytes apart.
void ht_nm_image_pixels(const ht_nm_image *image, const void *x, size_t x_stride, size_t t, size_t count, size_t tap,
                        const void *none, const void **pixels);

/// As ht_conv_make, for N:M weights. Errors: NULL, CONV, OVERFLOW, DEPTHWISE.
ht_status ht_nm_conv_make(const ht_conv_shape *shape, ht_conv *conv);

#endif
