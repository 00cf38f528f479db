// SPDX-License-Identifier: Apache-2.0
// The definition of the 8-bit product: Y[t][o] = epilogue(sum over row o's slots of weight * (X[t][column] - x_zero)).
#include <math.h>

// clang-format off: the second is written in the words of the first
#include "core/vec_scalar.h"
#include "core/epilogue.h"
// clang-format on
#include "core/floats.h"
#include "kernels.h"

static const char *element(const void *matrix, size_t stride, ht_order order, size_t size, size_t t, size_t feature) {
    size_t line = order == HT_ORDER_ROWS ? t : feature, place = order == HT_ORDER_ROWS ? feature : t;
    return (const char *)matrix + line * stride + place * size;
}

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

static int64_t saturated(int64_t value, ht_dtype dtype) {
    int64_t low = dtype == HT_DTYPE_U8 ? 0 : -128, high = low + 255;
    return value < low ? low : value > high ? high : value;
}

static void put_byte(char *y, int64_t value, ht_dtype dtype) { *y = (char)saturated(value, dtype); }

// (sum + offset) * multiplier / 2^shift: the quotient rounded down, and up again from a half on. Halves of an even
// quotient stay where they are unless halves go up.
static int64_t dyadic(const ht_quantization *q, int32_t sum, size_t o) {
    int64_t product = ((int64_t)sum + (q->offset ? q->offset[o] : 0)) * q->multiplier[o];
    int64_t unit = (int64_t)1 << q->shift[o], quotient = product / unit, rest = product % unit;
    if (rest < 0) {
        rest += unit;
        quotient--;
    }
    bool up = rest > unit / 2 || (rest == unit / 2 && (q->half_away || quotient % 2 != 0));
    return quotient + up;
}

static float real(const ht_nm_task *task, int32_t sum, size_t t, size_t o) {
    const ht_epilogue *e = &task->epilogue;
    const ht_quantization *q = e->quantization;
    const ht_finish finish = ht_make_finish(e, task->y_dtype);
    float v = fmaf((float)sum, q && q->scale ? q->scale[o] : 1, e->bias ? e->bias[o] : 0);
    const char *residual = NULL;
    if (e->residual) residual = element(e->residual, e->residual_stride, task->y_order, finish.residual_size, t, o);
    return ht_finished(&finish, v, residual, true);
}

// What is not a number becomes the smallest one there is.
static int64_t rounded(float v) {
    return v != v ? INT64_MIN / 2 : v < -0x1p31f ? INT32_MIN : v > 0x1p31f ? INT32_MAX : (int64_t)rintf(v);
}

static void put(const ht_nm_task *task, int32_t sum, size_t t, size_t o) {
    static const ht_quantization none;
    const ht_quantization *q = task->epilogue.quantization ? task->epilogue.quantization : &none;
    char *y = (char *)element(task->y, task->y_stride, task->y_order, ht_dtype_size(task->y_dtype), t, o);
    if (q->multiplier) {
        int64_t v = dyadic(q, sum, o);
        put_byte(y, (task->epilogue.activation == HT_ACTIVATION_RELU && v < 0 ? 0 : v) + q->y_zero, task->y_dtype);
        return;
    }
    switch (task->y_dtype) {
    case HT_DTYPE_I32: *(int32_t *)y = sum; break;
    case HT_DTYPE_F32: *(float *)y = real(task, sum, t, o); break;
    case HT_DTYPE_BF16: *(uint16_t *)y = ht_f32_to_bf16(real(task, sum, t, o)); break;
    default:
        put_byte(y, rounded(real(task, sum, t, o) / (q->y_scale != 0 ? q->y_scale : 1)) + q->y_zero, task->y_dtype);
    }
}

void ht_nm_gemm_i8_ref(const ht_nm_task *task) {
    const ht_quantization *q = task->epilogue.quantization;
    for (size_t t = task->t_begin; t < task->t_end; t++)
        for (size_t o = task->o_begin; o < task->o_end; o++) put(task, sum_of(task, t, o, q ? q->x_zero : 0), t, o);
}
