// SPDX-License-Identifier: Apache-2.0
#include "conv.h"

#include "memory.h"

static ht_conv_shape with_defaults(const ht_conv_shape *shape) {
    ht_conv_shape s = *shape;
    size_t *defaults[] = {&s.images, &s.stride_y, &s.stride_x, &s.dilation_y, &s.dilation_x, &s.groups};
    for (size_t i = 0; i < sizeof defaults / sizeof *defaults; i++)
        if (*defaults[i] == 0) *defaults[i] = 1;
    return s;
}

static bool is_small(const ht_conv_shape *s) {
    const size_t all[] = {s->images,    s->height,     s->width,         s->channels,    s->outputs,    s->stride_y,
                          s->stride_x,  s->dilation_y, s->dilation_x,    s->pad_top,     s->pad_bottom, s->pad_left,
                          s->pad_right, s->groups,     s->kernel_height, s->kernel_width};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i] > INT32_MAX) return false;
    return true;
}

static size_t output_size(size_t size, size_t pads, size_t kernel, size_t dilation, size_t stride) {
    size_t padded = size + pads, reach = (kernel - 1) * dilation + 1;
    return padded < reach ? 0 : (padded - reach) / stride + 1;
}

ht_status ht_conv_make(const ht_conv_shape *shape, ht_conv *conv) {
    if (!shape) return HT_ERROR_NULL;
    const ht_conv_shape s = with_defaults(shape);
    if (s.kernel_height == 0 || s.kernel_width == 0) return HT_ERROR_CONV;
    if (s.channels % s.groups || s.outputs % s.groups) return HT_ERROR_CONV;
    if ((unsigned)s.padding > HT_PADDING_MINUS_ONE) return HT_ERROR_CONV;
    *conv = (ht_conv){.shape = s};
    if (!is_small(&s)) return HT_ERROR_OVERFLOW;
    conv->out_height = output_size(s.height, s.pad_top + s.pad_bottom, s.kernel_height, s.dilation_y, s.stride_y);
    conv->out_width = output_size(s.width, s.pad_left + s.pad_right, s.kernel_width, s.dilation_x, s.stride_x);
    bool fits = ht_mul(s.height * s.width, s.images, &conv->x_pixels) &&
                ht_mul(conv->out_height * conv->out_width, s.images, &conv->y_pixels) &&
                s.kernel_height * s.kernel_width <= INT32_MAX;
    return fits ? HT_OK : HT_ERROR_OVERFLOW;
}

ht_status ht_conv_output_size(const ht_conv_shape *shape, size_t *height, size_t *width) {
    ht_conv conv;
    if (!height || !width) return HT_ERROR_NULL;
    ht_status status = ht_conv_make(shape, &conv);
    if (status) return status;
    *height = conv.out_height;
    *width = conv.out_width;
    return HT_OK;
}
