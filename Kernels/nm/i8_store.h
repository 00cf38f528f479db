// SPDX-License-Identifier: Apache-2.0
// From 32-bit sums to Y, in plain C that a compiler turns into vectors: included behind vec_<isa>.h in each ISA's
// target. Every operation is one rounding of IEEE arithmetic in a fixed order, so results are the same bits on every
// ISA.
#ifndef HT_NM_I8_STORE_H
#define HT_NM_I8_STORE_H

#include <math.h>
#include <string.h>

#include "core/epilogue.h"
#include "core/floats.h"
#include "core/simd.h"
#include "i8.h"

// 16 neighbouring columns of one row.
typedef struct ht_nm_i8_row {
    int32_t sums[HT_NM_STRIP];
    float reals[HT_NM_STRIP], residual[HT_NM_STRIP];
    union {
        int32_t i32[HT_NM_STRIP];
        float f32[HT_NM_STRIP];
        uint16_t bf16[HT_NM_STRIP];
        uint8_t u8[HT_NM_STRIP];
        int8_t i8[HT_NM_STRIP];
    } y;
} ht_nm_i8_row;

// The epilogue's vectors for 16 neighbouring columns, and what each column without one gets.
typedef struct ht_nm_i8_columns {
    float scale[HT_NM_STRIP], bias[HT_NM_STRIP];
    int64_t multiplier[HT_NM_STRIP], offset[HT_NM_STRIP], shift[HT_NM_STRIP];
    float y_scale, low, high;  // low and high: what an 8-bit y can stand for before its zero is added
    int32_t y_zero;
} ht_nm_i8_columns;

HT_INLINE void ht_nm_i8_columns_load(ht_nm_i8_columns *c, const ht_nm_i8_output *out) {
    static const ht_quantization none;
    const ht_epilogue *e = &out->task->epilogue;
    const ht_quantization *q = e->quantization ? e->quantization : &none;
    int32_t low = out->task->y_dtype == HT_DTYPE_U8 ? 0 : -128;
    *c = (ht_nm_i8_columns){.y_scale = q->y_scale != 0 ? q->y_scale : 1,
                            .low = (float)(low - q->y_zero),
                            .high = (float)(low + 255 - q->y_zero),
                            .y_zero = q->y_zero};
    for (size_t i = 0; i < HT_NM_STRIP; i++) c->shift[i] = 1;
    for (size_t i = 0; i < out->columns; i++) {
        c->scale[i] = q->scale ? q->scale[out->o + i] : 1;
        c->bias[i] = e->bias ? e->bias[out->o + i] : 0;
        c->multiplier[i] = q->multiplier ? q->multiplier[out->o + i] : 0;
        c->offset[i] = q->offset ? q->offset[out->o + i] : 0;
        c->shift[i] = q->multiplier ? q->shift[out->o + i] : 1;
    }
}

HT_INLINE char *ht_nm_i8_element(const void *matrix, size_t stride, size_t size, ht_order order, size_t t, size_t o) {
    return (char *)matrix + (order == HT_ORDER_ROWS ? t * stride + o * size : o * stride + t * size);
}

// The residual of one row, wherever it lies.
HT_INLINE void ht_nm_i8_load_residual(ht_nm_i8_row *row, const ht_nm_i8_output *out, size_t t, size_t size) {
    const ht_epilogue *e = &out->task->epilogue;
    ht_order order = out->task->y_order;
    size_t step = order == HT_ORDER_ROWS ? size : e->residual_stride;
    const char *from = ht_nm_i8_element(e->residual, e->residual_stride, size, order, t, out->o);
    for (size_t i = 0; i < out->columns; i++) memcpy((char *)row->residual + i * size, from + i * step, size);
}

HT_INLINE void ht_nm_i8_finish_reals(ht_nm_i8_row *row, const ht_nm_i8_columns *c, const ht_nm_i8_output *out,
                                     size_t t) {
    const ht_finish finish = ht_make_finish(&out->task->epilogue, out->task->y_dtype);
    for (size_t i = 0; i < HT_NM_STRIP; i++) row->reals[i] = fmaf((float)row->sums[i], c->scale[i], c->bias[i]);
    if (finish.residual_size) ht_nm_i8_load_residual(row, out, t, finish.residual_size);
    const ht_lanes all = ht_first_lanes(HT_VEC_LANES);
    for (size_t i = 0; i < HT_NM_STRIP; i += HT_VEC_LANES) {
        ht_vec v = ht_load_f32(row->reals + i, all);
        ht_store_f32(row->reals + i, ht_finished(&finish, v, (char *)row->residual + i * finish.residual_size, all),
                     all);
    }
}

// v / y_scale rounded to the nearest integer, ties to even, between low and high; a NaN becomes low. Then the zero.
HT_INLINE void ht_nm_i8_quantize(ht_nm_i8_row *row, const ht_nm_i8_columns *c) {
    for (size_t i = 0; i < HT_NM_STRIP; i++) {
        float v = rintf(row->reals[i] / c->y_scale);
        v = v > c->low ? v : c->low;
        v = v < c->high ? v : c->high;
        row->y.u8[i] = (uint8_t)((int32_t)v + c->y_zero);
    }
}

// (sum + offset) * multiplier / 2^shift in 64 bits, where it fits: 2^32 * (2^31 - 1). The half is compared, not added,
// so nothing overflows.
HT_INLINE void ht_nm_i8_dyadic(ht_nm_i8_row *row, const ht_nm_i8_columns *c, const ht_nm_task *task) {
    bool half_away = task->epilogue.quantization->half_away != 0,
         relu = task->epilogue.activation == HT_ACTIVATION_RELU;
    int64_t low = (int64_t)c->low, high = (int64_t)c->high;
    low = relu && low < 0 ? 0 : low;
    for (size_t i = 0; i < HT_NM_STRIP; i++) {
        int64_t product = (row->sums[i] + c->offset[i]) * c->multiplier[i];
        int64_t floor = product >> c->shift[i], half = (int64_t)1 << (c->shift[i] - 1);
        int64_t rest = product - (int64_t)((uint64_t)floor << c->shift[i]);
        floor += rest > half || (rest == half && (half_away || (floor & 1)));
        floor = floor > low ? floor : low;
        floor = floor < high ? floor : high;
        row->y.u8[i] = (uint8_t)(floor + c->y_zero);
    }
}

HT_INLINE void ht_nm_i8_finish_row(ht_nm_i8_row *row, const ht_nm_i8_columns *c, const ht_nm_i8_output *out, size_t r) {
    const ht_nm_task *task = out->task;
    const ht_epilogue *e = &task->epilogue;
    memcpy(row->sums, out->sums + r * HT_NM_STRIP, sizeof row->sums);
    if (task->y_dtype == HT_DTYPE_I32) {
        memcpy(row->y.i32, row->sums, sizeof row->sums);
        return;
    }
    if (e->quantization && e->quantization->multiplier) {
        ht_nm_i8_dyadic(row, c, task);
        return;
    }
    ht_nm_i8_finish_reals(row, c, out, out->t + r);
    switch (task->y_dtype) {
    case HT_DTYPE_F32: memcpy(row->y.f32, row->reals, sizeof row->reals); break;
    case HT_DTYPE_BF16:
        for (size_t i = 0; i < HT_NM_STRIP; i++) row->y.bf16[i] = ht_f32_to_bf16(row->reals[i]);
        break;
    default: ht_nm_i8_quantize(row, c); break;
    }
}

// A part of an output that is no wider than a strip.
HT_INLINE void ht_nm_i8_store_strip(const ht_nm_i8_output *out) {
    const ht_nm_task *task = out->task;
    size_t size = ht_dtype_size(task->y_dtype);
    ht_nm_i8_columns columns;
    ht_nm_i8_columns_load(&columns, out);
    for (size_t r = 0; r < out->rows; r++) {
        ht_nm_i8_row row = {0};
        ht_nm_i8_finish_row(&row, &columns, out, r);
        char *y = ht_nm_i8_element(task->y, task->y_stride, size, task->y_order, out->t + r, out->o);
        if (task->y_order == HT_ORDER_ROWS)
            memcpy(y, &row.y, out->columns * size);
        else
            for (size_t i = 0; i < out->columns; i++)
                memcpy(y + i * task->y_stride, (const char *)&row.y + i * size, size);
    }
}

HT_INLINE void ht_nm_i8_store(const ht_nm_i8_output *out) {
    ht_nm_i8_output strip = *out;
    for (size_t done = 0; done < out->columns; done += HT_NM_STRIP) {
        strip.o = out->o + done;
        strip.columns = ht_min(HT_NM_STRIP, out->columns - done);
        ht_nm_i8_store_strip(&strip);
        strip.sums += HT_NM_I8_ROWS * HT_NM_STRIP;
    }
}

#endif
