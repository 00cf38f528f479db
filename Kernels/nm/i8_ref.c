// SPDX-License-Identifier: Apache-2.0
// The definition of the 8-bit product: Y[t][o] = epilogue(sum over row o's slots of weight * (X[t][column] - x_zero)).
#include "core/operands.h"
#include "core/ref_store.h"
#include "kernels.h"

// A pixel outside the image is a real zero.
static int32_t x_at(const ht_nm_task *task, size_t t, size_t column, int32_t x_zero) {
    const void *x = ht_nm_x_element(task, t, column);
    if (!x) return x_zero;
    return task->x_dtype == HT_DTYPE_U8 ? *(const uint8_t *)x : *(const int8_t *)x;
}

// Modulo 2^32, like the adders of a machine. A padding slot points behind the columns, or has no weight.
static int32_t sum_of(const ht_nm_task *task, size_t t, size_t o, int32_t x_zero) {
    const ht_nm_layout *l = task->layout;
    uint32_t sum = 0;
    if (l->blocks == 0) return 0;
    const void *values = ht_nm_values(l, task->packed, 0, o / l->together);
    const uint8_t *indices = ht_nm_indices(l, task->packed, 0, o / l->together);
    for (size_t s = 0, row = o % l->together; s < l->last_slots; s++) {
        int32_t weight = *(const int8_t *)ht_nm_value(l, values, row, s);
        size_t column = ht_nm_slot_column(l, indices, row, s);
        if (weight && column < l->columns) sum += (uint32_t)(weight * (x_at(task, t, column, x_zero) - x_zero));
    }
    return (int32_t)sum;
}

static void put(const ht_nm_task *task, int32_t sum, size_t t, size_t o) {
    const ht_epilogue *e = &task->epilogue;
    const size_t residual_size = ht_dtype_size(ht_residual_dtype(task->y_dtype));
    void *y = ht_element(task->y, task->y_stride, task->y_order, ht_dtype_size(task->y_dtype), t, o);
    const void *residual = NULL;
    if (e->residual) residual = ht_element(e->residual, e->residual_stride, task->y_order, residual_size, t, o);
    ht_ref_store_sum(e, task->y_dtype, sum, t, o, residual, y);
}

void ht_nm_gemm_i8_ref(const ht_nm_task *task) {
    const ht_quantization *q = task->epilogue.quantization;
    for (size_t t = task->t_begin; t < task->t_end; t++)
        for (size_t o = task->o_begin; o < task->o_end; o++) put(task, sum_of(task, t, o, q ? q->x_zero : 0), t, o);
}
