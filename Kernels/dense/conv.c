// SPDX-License-Identifier: Apache-2.0
// The dense gradients of convolutions: checks, groups, and which taps.
#include <string.h>

#include "core/memory.h"
#include "core/threads.h"
#include "halftone/nm_gradient.h"
#include "kernels.h"

// MARK: weights

// The weight gradient of a convolution: for each group of channels a product. Its columns are those of the taps that
// are wanted, so where these are not all it goes to scratch memory first.
typedef struct conv_gradient {
    ht_conv conv;
    ht_nm_image image;
    size_t taps, wanted;  // of the kernel, and how many of them
    size_t channels, outputs;  // of a group
    size_t *numbers;  // scratch: of the taps that are wanted
    float *some;  // scratch: dW of a group with these taps only, or null where dW is written itself
} conv_gradient;

static size_t columns_of(const conv_gradient *g) { return g->wanted * g->channels; }

static void find_taps(conv_gradient *g, const uint8_t *taps) {
    for (size_t tap = 0, i = 0; tap < g->taps; tap++)
        if (!taps || taps[tap]) g->numbers[i++] = tap;
}

// Copies rows of dW with some taps to their places, +0 between them.
static void spread(const conv_gradient *g, float *dw, size_t dw_stride) {
    const size_t bytes = g->channels * sizeof *dw;
    for (size_t o = 0; o < g->outputs; o++) {
        char *to = (char *)dw + o * dw_stride;
        memset(to, 0, g->taps * bytes);
        for (size_t i = 0; i < g->wanted; i++)
            memcpy(to + g->numbers[i] * bytes, g->some + o * columns_of(g) + i * g->channels, bytes);
    }
}

static void run_conv_group(const conv_gradient *g, const ht_dense_split *whole, size_t group) {
    ht_dense_split s = *whole;
    float *dw = (float *)((char *)s.whole.dw + group * g->outputs * s.whole.dw_stride);
    s.whole.dy += group * g->outputs;
    s.whole.x += group * g->channels;
    s.whole.dw = g->some ? g->some : dw;
    if (g->some) s.whole.dw_stride = columns_of(g) * sizeof *dw;
    ht_dense_run(&s);
    if (g->some) spread(g, dw, whole->whole.dw_stride);
}

// All memory is there before anything is written.
static ht_status run_conv(conv_gradient *g, const ht_weight_gradient_task *task, const uint8_t *taps,
                          const ht_entry *entry, int threads) {
    ht_dense_split s = ht_dense_cut(task, entry, threads);
    const bool is_part = g->wanted < g->taps;
    const size_t scratch = ht_dense_scratch(&s), numbers = ht_round_up(g->taps * sizeof *g->numbers, 64);
    size_t some = 0, bytes;
    if (is_part && !ht_mul(g->outputs, columns_of(g) * sizeof(float), &some)) return HT_ERROR_OVERFLOW;
    if (!ht_add(scratch + numbers, some, &bytes)) return HT_ERROR_OVERFLOW;
    char *memory = ht_allocate(bytes);
    if (!memory) return HT_ERROR_MEMORY;
    s.whole.scratch = (float *)memory;
    g->numbers = (size_t *)(memory + scratch);
    g->some = is_part ? (float *)(memory + scratch + numbers) : NULL;
    find_taps(g, taps);
    s.whole.taps = g->numbers;
    for (size_t group = 0; group < g->conv.shape.groups; group++) run_conv_group(g, &s, group);
    ht_free(memory);
    return HT_OK;
}

static ht_status make_conv_gradient(const ht_conv_shape *shape, const uint8_t *taps, conv_gradient *g) {
    *g = (conv_gradient){0};
    ht_status status = ht_conv_make(shape, &g->conv);
    if (status) return status;
    const ht_conv_shape *s = &g->conv.shape;
    if (s->padding != HT_PADDING_ZERO) return HT_ERROR_CONV;
    g->image = ht_nm_forward_image(&g->conv);
    g->taps = s->kernel_height * s->kernel_width;
    g->channels = s->channels / s->groups;
    g->outputs = s->outputs / s->groups;
    g->wanted = taps ? 0 : g->taps;
    for (size_t tap = 0; taps && tap < g->taps; tap++) g->wanted += taps[tap] != 0;
    return HT_OK;
}

ht_status ht_conv_weight_gradient_f32(const ht_conv_shape *shape, const float *dy, size_t dy_stride, const float *x,
                                      size_t x_stride, const uint8_t *taps, float *dw, size_t dw_stride,
                                      const ht_options *options) {
    static const ht_options defaults;
    const ht_options *opt = options ? options : &defaults;
    const ht_entry *entry;
    conv_gradient g;
    size_t columns;
    if (opt->threads < 0) return HT_ERROR_THREADS;
    ht_status status = ht_pick(ht_weight_gradient_f32_table, opt->isa, &entry);
    if (!status) status = make_conv_gradient(shape, taps, &g);
    if (status) return status;
    const ht_conv *conv = &g.conv;
    if (!ht_mul(g.taps, g.channels, &columns)) return HT_ERROR_OVERFLOW;
    status = ht_check_matrix(dy, conv->y_pixels, conv->shape.outputs, sizeof *dy, &dy_stride);
    if (!status) status = ht_check_matrix(x, conv->x_pixels, conv->shape.channels, sizeof *x, &x_stride);
    if (!status) status = ht_check_matrix(dw, conv->shape.outputs, columns, sizeof *dw, &dw_stride);
    if (status || conv->shape.outputs == 0 || columns == 0) return status;
    const ht_weight_gradient_task task = {.t = conv->y_pixels,
                                          .dy = dy,
                                          .dy_stride = dy_stride,
                                          .x = x,
                                          .x_stride = x_stride,
                                          .dw = dw,
                                          .dw_stride = dw_stride,
                                          .o_end = g.outputs,
                                          .k_end = columns_of(&g),
                                          .product = HT_DENSE_CONV_WEIGHTS,
                                          .image = &g.image,
                                          .channels = g.channels};
    return run_conv(&g, &task, taps, entry, ht_resolve_threads(opt->threads));
}

// MARK: input

// Both images and W, checked, as one group's product.
static ht_status make_input_task(const ht_conv *conv, const float *dy, size_t dy_stride, const float *w,
                                 size_t w_stride, float *dx, size_t dx_stride, ht_weight_gradient_task *task) {
    const ht_conv_shape *s = &conv->shape;
    const size_t channels = s->channels / s->groups, outputs = s->outputs / s->groups;
    const size_t taps = s->kernel_height * s->kernel_width;
    size_t columns, t;
    if (s->padding != HT_PADDING_ZERO) return HT_ERROR_CONV;
    if (!ht_mul(taps, channels, &columns) || !ht_mul(taps, outputs, &t)) return HT_ERROR_OVERFLOW;
    ht_status status = ht_check_matrix(dy, conv->y_pixels, s->outputs, sizeof *dy, &dy_stride);
    if (!status) status = ht_check_matrix(w, s->outputs, columns, sizeof *w, &w_stride);
    if (!status) status = ht_check_matrix(dx, conv->x_pixels, s->channels, sizeof *dx, &dx_stride);
    *task = (ht_weight_gradient_task){.t = t,
                                      .dy = dy,
                                      .dy_stride = dy_stride,
                                      .x = w,
                                      .x_stride = w_stride,
                                      .dw = dx,
                                      .dw_stride = dx_stride,
                                      .o_end = conv->x_pixels,
                                      .k_end = channels,
                                      .product = HT_DENSE_CONV_INPUT,
                                      .channels = channels,
                                      .outputs = outputs,
                                      .tap_count = taps};
    return status;
}

ht_status ht_conv_input_gradient_f32(const ht_conv_shape *shape, const float *dy, size_t dy_stride, const float *w,
                                     size_t w_stride, float *dx, size_t dx_stride, const ht_options *options) {
    static const ht_options defaults;
    const ht_options *opt = options ? options : &defaults;
    const ht_entry *entry;
    ht_conv conv;
    ht_weight_gradient_task task;
    if (opt->threads < 0) return HT_ERROR_THREADS;
    ht_status status = ht_pick(ht_weight_gradient_f32_table, opt->isa, &entry);
    if (!status) status = ht_conv_make(shape, &conv);
    if (!status) status = make_input_task(&conv, dy, dy_stride, w, w_stride, dx, dx_stride, &task);
    if (status || task.o_end == 0 || task.k_end == 0) return status;
    const ht_nm_image image = ht_nm_backward_image(&conv);
    task.image = &image;
    ht_dense_split s = ht_dense_cut(&task, entry, ht_resolve_threads(opt->threads));
    s.whole.scratch = ht_allocate(ht_dense_scratch(&s));
    if (!s.whole.scratch) return HT_ERROR_MEMORY;
    float *scratch = s.whole.scratch;
    for (size_t group = 0; group < conv.shape.groups; group++) {
        ht_dense_run(&s);
        s.whole.dy += task.outputs;
        s.whole.x = (const float *)((const char *)s.whole.x + task.outputs * task.x_stride);
        s.whole.dw += task.channels;
    }
    ht_free(scratch);
    return HT_OK;
}
