// SPDX-License-Identifier: Apache-2.0
// The definition of products with signs: each sum by itself, a sign at a time.
#include "core/operands.h"
#include "core/ref_store.h"
#include "kernels.h"

static bool weight_is_negative(const ht_binary_task *task, size_t o, size_t tap, size_t k) {
    const ht_binary_layout *l = task->layout;
    const uint32_t *words = ht_binary_words(l, task->packed, o / HT_BINARY_BLOCK);
    return words[(tap * l->tap_words + k / HT_BINARY_WORD) * HT_BINARY_BLOCK + o % HT_BINARY_BLOCK] >>
               k % HT_BINARY_WORD &
           1;
}

static const char *x_row(const ht_binary_task *task, size_t pixel) {
    return (const char *)task->x + pixel * task->x_stride;
}

// MARK: signs, and zeros and ones

// What pixels outside the image count as.
static int32_t padding_of(const ht_binary_task *task) {
    switch (task->conv ? task->conv->shape.padding : HT_PADDING_ZERO) {
    case HT_PADDING_PLUS_ONE: return 1;
    case HT_PADDING_MINUS_ONE: return -1;
    default: return 0;
    }
}

static int32_t value_of_bit(const ht_binary_task *task, size_t pixel, size_t k) {
    const bool set = ht_bit(x_row(task, pixel), task->x_first + k);
    return task->x_dtype == HT_DTYPE_U1 ? set : set ? -1 : 1;
}

static int32_t sum_of_bits(const ht_binary_task *task, size_t t, size_t o) {
    int32_t sum = 0;
    for (size_t tap = 0; tap < task->layout->taps; tap++) {
        size_t pixel;
        const bool inside = ht_binary_x_pixel(task, t, tap, &pixel);
        for (size_t k = 0; k < task->layout->of.tap_columns; k++) {
            const int32_t x = inside ? value_of_bit(task, pixel, k) : padding_of(task);
            sum += weight_is_negative(task, o, tap, k) ? -x : x;
        }
    }
    return sum;
}

// By bytes: other threads may be at work on the same word.
static void put_bit(const ht_binary_task *task, size_t t, size_t column, bool set) {
    uint8_t *byte = (uint8_t *)task->y + t * task->y_stride + column / 8;
    const unsigned bit = 1u << column % 8;
    *byte = (uint8_t)(set ? *byte | bit : *byte & ~bit);
}

static void put_sum(const ht_binary_task *task, size_t t, size_t o, int32_t sum) {
    const size_t column = task->y_first + o;
    if (task->y_dtype == HT_DTYPE_B1) {
        put_bit(task, t, column, ht_ref_is_negative(&task->epilogue, sum, column));
        return;
    }
    ht_ref_store_sum(&task->epilogue, task->y_dtype, sum, t, column, ht_binary_residual(task, t, column),
                     ht_binary_y(task, t, column));
}

void ht_binary_gemm_ref(const ht_binary_task *task) {
    for (size_t t = task->t_begin; t < task->t_end; t++)
        for (size_t o = task->o_begin; o < task->o_end; o++) put_sum(task, t, o, sum_of_bits(task, t, o));
}

// MARK: floats

// A float or byte of X.
static const void *x_element(const ht_binary_task *task, size_t pixel, size_t column) {
    return ht_element(task->x, task->x_stride, task->x_order, ht_dtype_size(task->x_dtype), pixel, column);
}

static float x_f32(const ht_binary_task *task, bool inside, size_t pixel, size_t k) {
    if (!inside || k >= task->layout->of.tap_columns) return 0;
    return *(const float *)x_element(task, pixel, task->x_first + k);
}

static float signed_f32(const ht_binary_task *task, size_t o, size_t tap, size_t k, float x) {
    const bool negative = k < task->layout->of.tap_columns && weight_is_negative(task, o, tap, k);
    return negative ? -x : x;
}

static float sum_of_f32(const ht_binary_task *task, size_t t, size_t o) {
    float sum = 0;
    for (size_t tap = 0; tap < task->layout->taps; tap++) {
        size_t pixel = 0;
        const bool inside = ht_binary_x_pixel(task, t, tap, &pixel);
        for (size_t k = 0; k < task->layout->of.tap_columns; k += 4) {
            float x[4];
            for (size_t i = 0; i < 4; i++) x[i] = signed_f32(task, o, tap, k + i, x_f32(task, inside, pixel, k + i));
            sum += (x[0] + x[1]) + (x[2] + x[3]);
        }
    }
    return sum;
}

void ht_binary_gemm_f32_ref(const ht_binary_task *task) {
    for (size_t t = task->t_begin; t < task->t_end; t++)
        for (size_t o = task->o_begin; o < task->o_end; o++) {
            const size_t column = task->y_first + o;
            ht_ref_store_real(&task->epilogue, task->y_dtype, sum_of_f32(task, t, o), t, column,
                              ht_binary_residual(task, t, column), ht_binary_y(task, t, column));
        }
}

// MARK: bytes

static uint32_t x_i8(const ht_binary_task *task, size_t pixel, size_t k) {
    const ht_quantization *q = task->epilogue.quantization;
    const int32_t x = *(const int8_t *)x_element(task, pixel, task->x_first + k);
    return (uint32_t)(x - (q ? q->x_zero : 0));
}

static int32_t sum_of_i8(const ht_binary_task *task, size_t t, size_t o) {
    uint32_t sum = 0;
    for (size_t tap = 0; tap < task->layout->taps; tap++) {
        size_t pixel;
        if (!ht_binary_x_pixel(task, t, tap, &pixel)) continue;
        for (size_t k = 0; k < task->layout->of.tap_columns; k++)
            sum += weight_is_negative(task, o, tap, k) ? -x_i8(task, pixel, k) : x_i8(task, pixel, k);
    }
    return (int32_t)sum;
}

void ht_binary_gemm_i8_ref(const ht_binary_task *task) {
    for (size_t t = task->t_begin; t < task->t_end; t++)
        for (size_t o = task->o_begin; o < task->o_end; o++) put_sum(task, t, o, sum_of_i8(task, t, o));
}
