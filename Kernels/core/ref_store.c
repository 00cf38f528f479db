// SPDX-License-Identifier: Apache-2.0
#include "ref_store.h"

#include <math.h>

// clang-format off: the second is written in the words of the first
#include "vec_scalar.h"
#include "epilogue.h"
// clang-format on
#include "floats.h"

static const ht_quantization none;

static const ht_quantization *quantization_of(const ht_epilogue *e) {
    return e->quantization ? e->quantization : &none;
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

static float real(const ht_epilogue *e, ht_dtype dtype, float sum, size_t t, size_t o, const void *residual) {
    const ht_quantization *q = quantization_of(e);
    const ht_finish finish = ht_make_finish(e, dtype);
    if (e->row_scale) sum *= e->row_scale[t];
    float v = fmaf(sum, q->scale ? q->scale[o] : 1, e->bias ? e->bias[o] : 0);
    return ht_finished(&finish, v, residual, true);
}

// What is not a number becomes the smallest one there is.
static int64_t rounded(float v) {
    return v != v ? INT64_MIN / 2 : v < -0x1p31f ? INT32_MIN : v > 0x1p31f ? INT32_MAX : (int64_t)rintf(v);
}

void ht_ref_store_real(const ht_epilogue *e, ht_dtype dtype, float sum, size_t t, size_t o, const void *residual,
                       void *y) {
    const ht_quantization *q = quantization_of(e);
    const float v = real(e, dtype, sum, t, o, residual);
    switch (dtype) {
    case HT_DTYPE_F32: *(float *)y = v; break;
    case HT_DTYPE_BF16: *(uint16_t *)y = ht_f32_to_bf16(v); break;
    default: put_byte(y, rounded(v / (q->y_scale != 0 ? q->y_scale : 1)) + q->y_zero, dtype);
    }
}

void ht_ref_store_sum(const ht_epilogue *e, ht_dtype dtype, int32_t sum, size_t t, size_t o, const void *residual,
                      void *y) {
    const ht_quantization *q = quantization_of(e);
    if (dtype == HT_DTYPE_I32) {
        *(int32_t *)y = sum;
    } else if (dtype == HT_DTYPE_I16) {
        *(int16_t *)y = (int16_t)sum;
    } else if (q->multiplier) {
        int64_t v = dyadic(q, sum, o);
        put_byte(y, (e->activation == HT_ACTIVATION_RELU && v < 0 ? 0 : v) + q->y_zero, dtype);
    } else {
        ht_ref_store_real(e, dtype, (float)sum, t, o, residual, y);
    }
}

bool ht_ref_is_negative(const ht_epilogue *e, int32_t sum, size_t o) {
    const ht_binary_threshold *threshold = e->threshold;
    const int32_t level = threshold && threshold->level ? threshold->level[o] : 0;
    const bool flip = threshold && threshold->flip && threshold->flip[o / 8] >> o % 8 & 1;
    return (sum < level) != flip;
}
