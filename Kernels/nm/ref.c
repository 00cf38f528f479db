// SPDX-License-Identifier: Apache-2.0
// The definition of the product: Y[t][o] = epilogue(sum over the slots of row o of weight * X[t][column]).
#include <math.h>

// clang-format off: the second is written in the words of the first
#include "core/vec_scalar.h"
#include "core/epilogue.h"
// clang-format on
#include "bf16.h"
#include "core/operands.h"

static float weight(const ht_nm_layout *l, const void *values, size_t row, size_t slot) {
    const void *value = ht_nm_value(l, values, row, slot);
    switch (l->dtype) {
    case HT_DTYPE_F16: return ht_f16_to_f32(*(const uint16_t *)value);
    case HT_DTYPE_BF16: return ht_bf16_to_f32(*(const uint16_t *)value);
    default: return *(const float *)value;
    }
}

static float x_value(const ht_nm_task *task, size_t t, size_t column) {
    const void *x = ht_nm_x_element(task, t, column);
    if (!x) return 0;
    return task->x_dtype == HT_DTYPE_BF16 ? ht_bf16_to_f32(*(const uint16_t *)x) : *(const float *)x;
}

static float flushed(float v) { return fabsf(v) < 0x1p-126f ? copysignf(0, v) : v; }

// w x + sum where subnormal numbers count as zero. A result below the least normal number that is rounded up to it
// counts as subnormal when it would not have been with as many bits as a normal number has.
static float flushed_fma(float w, float x, float sum) {
    w = flushed(w), x = flushed(x);
    float result = fmaf(w, x, sum);
    bool tiny = fabsf(result) == 0x1p-126f && fabs((double)w * x + sum) < 0x1p-126 - 0x1p-151;
    return tiny ? copysignf(0, result) : flushed(result);
}

// One chain of fused multiply-adds in column order. A padding slot points behind the block's columns, at a zero.
static float sum_of(const ht_nm_task *task, size_t t, size_t o) {
    const ht_nm_layout *l = task->layout;
    float sum = 0;
    for (size_t b = 0; b < l->blocks; b++) {
        const void *values = ht_nm_values(l, task->packed, b, o / l->together);
        const uint8_t *indices = ht_nm_indices(l, task->packed, b, o / l->together);
        for (size_t s = 0, row = o % l->together; s < ht_nm_block_slots(l, b); s++) {
            size_t column = ht_nm_slot_column(l, indices, row, s);
            bool inside = column < ht_nm_block_width(l, b);
            float w = weight(l, values, row, s), x = inside ? x_value(task, t, b * l->block_columns + column) : 0;
            sum = task->x_dtype == HT_DTYPE_BF16 ? flushed_fma(w, x, sum) : fmaf(w, x, sum);
        }
    }
    return sum;
}

static void run(const ht_nm_task *task) {
    const ht_epilogue *e = &task->epilogue;
    const ht_finish finish = ht_make_finish(e, task->y_dtype);
    for (size_t t = task->t_begin; t < task->t_end; t++)
        for (size_t o = task->o_begin; o < task->o_end; o++) {
            float sum = sum_of(task, t, o) + (e->bias ? e->bias[o] : 0);
            const size_t size = ht_dtype_size(task->y_dtype);
            const void *residual =
                e->residual ? ht_element(e->residual, e->residual_stride, task->y_order, size, t, o) : NULL;
            void *y = ht_element(task->y, task->y_stride, task->y_order, size, t, o);
            float value = ht_finished(&finish, sum, residual, true);
            if (task->y_dtype == HT_DTYPE_BF16)
                *(uint16_t *)y = ht_f32_to_bf16(value);
            else
                *(float *)y = value;
        }
}

void ht_nm_gemm_f32_ref(const ht_nm_task *task) { run(task); }

void ht_nm_gemm_bf16_ref(const ht_nm_task *task) { run(task); }
