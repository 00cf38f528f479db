// SPDX-License-Identifier: Apache-2.0
// Pixels of Y that see the same taps of a filter inside the image: rectangles of an image, nine of them for a 3x3
// filter with padding. What a tap outside the image would add is the same for all pixels of a view, so no work is spent
// on it.
#ifndef HT_BINARY_VIEWS_H
#define HT_BINARY_VIEWS_H

#include "kernels.h"

/// One direction of a convolution.
typedef struct ht_binary_axis {
    size_t size, out_size, kernel, stride, dilation, pad;
} ht_binary_axis;

static inline ht_binary_axis ht_binary_down(const ht_conv *conv) {
    const ht_conv_shape *s = &conv->shape;
    return (ht_binary_axis){s->height, conv->out_height, s->kernel_height, s->stride_y, s->dilation_y, s->pad_top};
}

static inline ht_binary_axis ht_binary_across(const ht_conv *conv) {
    const ht_conv_shape *s = &conv->shape;
    return (ht_binary_axis){s->width, conv->out_width, s->kernel_width, s->stride_x, s->dilation_x, s->pad_left};
}

/// Taps begin ..< end of a row or column of the filter.
typedef struct ht_binary_taps {
    size_t begin, end;
} ht_binary_taps;

/// The rows rows.begin ..< rows.end and columns of an image of Y, and the taps that they see.
typedef struct ht_binary_view {
    ht_binary_taps rows, columns;
    ht_binary_taps down, across;
} ht_binary_view;

/// Writes the views of a convolution, those of a matrix, which has one, included, and returns how many there are; a
/// null list only counts.
size_t ht_binary_views(const ht_conv *conv, ht_binary_view *views);

/// The share of taps that pixels of Y see inside their image, in the mean.
double ht_binary_seen_share(const ht_conv *conv);

/// Whether a tap is seen.
bool ht_binary_view_sees(const ht_binary_layout *layout, const ht_binary_view *view, size_t tap);

/// A part of a pixel's bits, in words of 32: where it lies behind the first word of tap 0, and the weights of a block
/// that it meets.
typedef struct ht_binary_run {
    ptrdiff_t x;  // bytes
    size_t w;  // words of all outputs of the block
    size_t words;
} ht_binary_run;

/// The runs of the taps that a view sees, neighbours in memory joined; at most as many as there are taps.
size_t ht_binary_runs(const ht_binary_task *task, const ht_binary_view *view, ht_binary_run *runs);

/// Lists the pixels of Y of a view that are among t_begin ..< t_end: where tap 0 lies in X, which may be outside the
/// image, and their numbers, or, if `t` is null, where their rows of Y begin. Returns how many there are.
size_t ht_binary_view_pixels(const ht_binary_task *task, const ht_binary_view *view, size_t t_begin, size_t t_end,
                             const char **x, size_t *t, char **y);

#endif
