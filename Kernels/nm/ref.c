// SPDX-License-Identifier: Apache-2.0
// The definition of the product: Y[t][o] = epilogue(sum over the slots of row o of weight * X[t][column]).
#include <math.h>

#include "kernels.h"

// One chain of fused multiply-adds in column order. A padding slot points behind the block's columns, at a zero.
static float row_times(const ht_nm_layout *l, const void *packed, size_t o, const float *x) {
    float sum = 0;
    for (size_t b = 0; b < l->blocks; b++) {
        const float *values = ht_nm_values(l, packed, b, o / HT_NM_QUAD);
        const uint32_t *indices = ht_nm_indices(l, packed, b, o / HT_NM_QUAD);
        size_t row = o % HT_NM_QUAD, slots = ht_nm_block_slots(l, b), width = ht_nm_block_width(l, b);
        for (size_t s = 0; s < slots; s++) {
            size_t column = ht_nm_slot_column(l, indices, row, s);
            sum = fmaf(values[s * HT_NM_QUAD + row], column < width ? x[b * l->block_columns + column] : 0, sum);
        }
    }
    return sum;
}

void ht_nm_gemm_f32_ref(const ht_nm_gemm_f32_task *task) {
    for (size_t t = task->t_begin; t < task->t_end; t++) {
        const float *x = (const float *)((const char *)task->x + t * task->x_stride);
        float *y = (float *)((char *)task->y + t * task->y_stride);
        for (size_t o = task->o_begin; o < task->o_end; o++) {
            float sum = row_times(task->layout, task->packed, o, x);
            sum += task->epilogue.bias ? task->epilogue.bias[o] : 0;
            y[o] = task->epilogue.activation == HT_ACTIVATION_RELU && sum < 0 ? 0 : sum;
        }
    }
}
