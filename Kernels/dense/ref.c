// SPDX-License-Identifier: Apache-2.0
// The definition of the weight gradient: dW[o][k] = sum over t of dY[t][o] * X[t][k], and of the gradients of
// convolutions as such products.
#include <math.h>

#include "kernels.h"

static float value(const float *matrix, size_t stride, size_t row, size_t column) {
    return ((const float *)((const char *)matrix + row * stride))[column];
}

// Zero outside the image.
static float seen(const ht_weight_gradient_task *task, size_t t, size_t k) {
    const ht_nm_image *i = task->image;
    const size_t tap = task->taps[k / task->channels], row = t / i->out_width;
    const ptrdiff_t y = (ptrdiff_t)(row % i->out_height * i->step_y + tap / i->kernel_width * i->dilation_y) + i->top;
    const ptrdiff_t x = (ptrdiff_t)(t % i->out_width * i->step_x + tap % i->kernel_width * i->dilation_x) + i->left;
    if (y < 0 || y >= (ptrdiff_t)i->height || x < 0 || x >= (ptrdiff_t)i->width) return 0;
    const size_t pixel = (row / i->out_height * i->height + (size_t)y) * i->width + (size_t)x;
    return value(task->x, task->x_stride, pixel, k % task->channels);
}

// Of pixel p of dX: what output t % outputs gave through a tap, the last one first; zero where it gave nothing.
static float given(const ht_weight_gradient_task *task, size_t t, size_t p) {
    const ht_nm_image *i = task->image;
    const size_t tap = t / task->outputs, row = p / i->out_width;
    const ptrdiff_t y = (ptrdiff_t)(row % i->out_height + tap / i->kernel_width * i->dilation_y) + i->top;
    const ptrdiff_t x = (ptrdiff_t)(p % i->out_width + tap % i->kernel_width * i->dilation_x) + i->left;
    const ptrdiff_t spread_y = (ptrdiff_t)i->spread_y, spread_x = (ptrdiff_t)i->spread_x;
    if (y < 0 || y % spread_y || y / spread_y >= (ptrdiff_t)i->height) return 0;
    if (x < 0 || x % spread_x || x / spread_x >= (ptrdiff_t)i->width) return 0;
    const size_t pixel = (row / i->out_height * i->height + (size_t)(y / spread_y)) * i->width + (size_t)(x / spread_x);
    return value(task->dy, task->dy_stride, pixel, t % task->outputs);
}

static float dy_value(const ht_weight_gradient_task *task, size_t t, size_t o) {
    return task->product == HT_DENSE_CONV_INPUT ? given(task, t, o) : value(task->dy, task->dy_stride, t, o);
}

static float x_value(const ht_weight_gradient_task *task, size_t t, size_t k) {
    switch (task->product) {
    case HT_DENSE_CONV_WEIGHTS: return seen(task, t, k);
    case HT_DENSE_CONV_INPUT:
        return value(task->x, task->x_stride, t % task->outputs,
                     (task->tap_count - 1 - t / task->outputs) * task->channels + k);
    default: return value(task->x, task->x_stride, t, k);
    }
}

void ht_weight_gradient_f32_ref(const ht_weight_gradient_task *task) {
    for (size_t o = task->o_begin; o < task->o_end; o++)
        for (size_t k = task->k_begin; k < task->k_end; k++) {
            float sum = 0;
            for (size_t t = 0; t < task->t; t++) sum = fmaf(dy_value(task, t, o), x_value(task, t, k), sum);
            ((float *)((char *)task->dw + o * task->dw_stride))[k] = sum;
        }
}
