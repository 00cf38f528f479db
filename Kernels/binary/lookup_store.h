// SPDX-License-Identifier: Apache-2.0
// From the float sums of a tile to Y, for vectors of any ISA: included behind vec_<isa>.h.
#ifndef HT_BINARY_LOOKUP_STORE_H
#define HT_BINARY_LOOKUP_STORE_H

// clang-format off: the second is written in the words of the first
#include "core/epilogue.h"
#include "core/ref_store.h"
// clang-format on
#include "lookup.h"

// One at a time, wherever Y lies.
HT_INLINE void ht_lookup_store_each(const ht_lookup_output *out) {
    const ht_binary_task *task = out->task;
    for (size_t r = 0; r < out->rows; r++)
        for (size_t i = 0; i < out->columns; i++) {
            const size_t t = out->t[r], column = task->y_first + out->o + i;
            ht_ref_store_real(&task->epilogue, task->y_dtype, out->sums[r * HT_LOOKUP_COLUMNS + i], t, column,
                              ht_binary_residual(task, t, column), ht_binary_y(task, t, column));
        }
}

// A vector of neighbouring columns of all rows.
HT_INLINE void ht_lookup_store_vectors(const ht_lookup_output *out, const ht_finish *finish, size_t i) {
    const ht_binary_task *task = out->task;
    const ht_epilogue *e = &task->epilogue;
    const ht_quantization *q = e->quantization;
    const size_t column = task->y_first + out->o + i;
    const ht_lanes in = ht_first_lanes(out->columns - i);
    const ht_vec scale = q && q->scale ? ht_load_f32(q->scale + column, in) : ht_vsplat(1);
    const ht_vec bias = e->bias ? ht_load_f32(e->bias + column, in) : ht_vsplat(0);
    for (size_t r = 0; r < out->rows; r++) {
        ht_vec v = ht_vload(out->sums + r * HT_LOOKUP_COLUMNS + i);
        if (e->row_scale) v = ht_vmul(v, ht_vsplat(e->row_scale[out->t[r]]));
        v = ht_vfma(v, scale, bias);
        v = ht_finished(finish, v, ht_binary_residual(task, out->t[r], column), in);
        void *y = ht_binary_y(task, out->t[r], column);
        if (task->y_dtype == HT_DTYPE_F32)
            ht_store_f32(y, v, in);
        else
            ht_store_bf16(y, v, in);
    }
}

HT_INLINE void ht_lookup_store(const ht_lookup_output *out) {
    const ht_finish finish = ht_make_finish(&out->task->epilogue, out->task->y_dtype);
    if (out->task->y_order == HT_ORDER_ROWS)
        for (size_t i = 0; i < out->columns; i += HT_VEC_LANES) ht_lookup_store_vectors(out, &finish, i);
    else
        ht_lookup_store_each(out);
}

#endif
