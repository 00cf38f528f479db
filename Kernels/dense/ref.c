// SPDX-License-Identifier: Apache-2.0
// The definition of the weight gradient: dW[o][k] = sum over t of dY[t][o] * X[t][k].
#include <math.h>

#include "kernels.h"

static float value(const float *matrix, size_t stride, size_t row, size_t column) {
    return ((const float *)((const char *)matrix + row * stride))[column];
}

void ht_weight_gradient_f32_ref(const ht_weight_gradient_task *task) {
    for (size_t o = task->o_begin; o < task->o_end; o++)
        for (size_t k = task->k_begin; k < task->k_end; k++) {
            float sum = 0;
            for (size_t t = 0; t < task->t; t++)
                sum = fmaf(value(task->dy, task->dy_stride, t, o), value(task->x, task->x_stride, t, k), sum);
            ((float *)((char *)task->dw + o * task->dw_stride))[k] = sum;
        }
}
