// SPDX-License-Identifier: Apache-2.0
// The geometry of a convolution, whatever its weights are.
#ifndef HALFTONE_CONV_H
#define HALFTONE_CONV_H

#include "base.h"

#ifdef __cplusplus
extern "C" {
#endif

/// What a pixel outside the image counts as, in all its channels.
typedef enum ht_padding {
    HT_PADDING_ZERO = 0,
    HT_PADDING_PLUS_ONE = 1,  // only images of signs can have these
    HT_PADDING_MINUS_ONE = 2
} ht_padding;

/// A convolution as in PyTorch's Conv2d (a cross-correlation):
///
///     y[i][r][c][o] = sum over taps (u, v) and channels k of o's group:
///                     w[o][u][v][k] * x[i][r stride_y + u dilation_y - pad_top][c stride_x + v dilation_x -
///                     pad_left][k]
///
/// where a pixel outside the image counts as `padding` says, usually as zero. Images are NHWC: a pixel's channels are
/// neighbours, the pixels of a row follow each other at the stride of the call, rows and images follow without a gap.
/// Weights are OHWI: an output channel's weights are kernel_height x kernel_width taps of channels / groups values.
/// Output channel o is in group o / (outputs / groups), which sees the channels / groups channels of X with the same
/// number.
typedef struct ht_conv_shape {
    size_t images;                       // 0 = 1
    size_t height, width;                // of an image of X, in pixels
    size_t channels;                     // of X
    size_t outputs;                      // channels of Y
    size_t kernel_height, kernel_width;  // in taps, at least 1
    size_t stride_y, stride_x;           // 0 = 1
    size_t dilation_y, dilation_x;       // 0 = 1
    size_t pad_top, pad_left, pad_bottom, pad_right;
    size_t groups;                       // 0 = 1; divides channels and outputs
    ht_padding padding;                  // what a pixel outside the image counts as
} ht_conv_shape;

/// The size of an image of Y: floor((height + pad_top + pad_bottom - (kernel_height - 1) dilation_y - 1) / stride_y) +
/// 1 and likewise its width; 0 where the padded image is smaller than the kernel. Errors: NULL, CONV, OVERFLOW.
HT_API ht_status ht_conv_output_size(const ht_conv_shape *shape, size_t *height, size_t *width);

#ifdef __cplusplus
}
#endif

#endif
