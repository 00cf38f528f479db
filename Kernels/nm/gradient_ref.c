// SPDX-License-Identifier: Apache-2.0
// The definition of the sampled weight gradient: 16 chains by t mod 16, added in pairs.
#include <math.h>

#include "gradient.h"

static float value(const ht_nm_gradient_task *task, const float *matrix, size_t stride, size_t t, size_t feature) {
    bool by_rows = task->order == HT_ORDER_ROWS;
    return ((const float *)((const char *)matrix + (by_rows ? t : feature) * stride))[by_rows ? feature : t];
}

static float sum_of(const ht_nm_gradient_task *task, size_t row, size_t column) {
    float sums[HT_NM_CHAINS] = {0};
    for (size_t t = 0; t < task->t; t++) {
        float *sum = &sums[t % HT_NM_CHAINS];
        *sum =
            fmaf(value(task, task->dy, task->dy_stride, t, row), value(task, task->x, task->x_stride, t, column), *sum);
    }
    for (size_t half = HT_NM_CHAINS / 2; half; half /= 2)
        for (size_t i = 0; i < half; i++) sums[i] += sums[i + half];
    return sums[0];
}

static void sum(const ht_nm_gradient_task *task) {
    const ht_nm_layout *l = task->layout;
    for (size_t row = task->o_begin; row < task->o_end; row++) {
        float *to = (float *)((char *)task->gradient + row * task->gradient_stride);
        for (size_t e = 0; e < ht_nm_entries(l); e++)
            *to++ = sum_of(task, row, ht_min(ht_nm_entry_column(l, task->packed, row, e), l->columns - 1));
    }
}

static const ht_nm_gradient_calls calls = {sum, NULL};

const ht_nm_gradient_calls *ht_nm_sampled_gradient_f32_ref(void) { return &calls; }
