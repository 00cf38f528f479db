// SPDX-License-Identifier: Apache-2.0
#include "values.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

static float float_of(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

// A float whose lower half is zero.
static uint16_t upper_half(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (uint16_t)(bits >> 16);
}

// The nearest bfloat16, ties to even.
static uint16_t to_bf16(float v) {
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    return isnan(v) ? 0x7fc0 : (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static float of_binary16(uint16_t bits) {
    int exponent = bits >> 10 & 31, fraction = bits & 1023;
    float size = exponent ? ldexpf((float)(1024 + fraction), exponent - 25) : ldexpf((float)fraction, -24);
    if (exponent == 31) size = fraction ? NAN : INFINITY;
    return bits & 0x8000 ? -size : size;
}

float value_at(const void *data, ht_dtype type, size_t i) {
    switch (type) {
    case HT_DTYPE_F16: return of_binary16(((const uint16_t *)data)[i]);
    case HT_DTYPE_BF16: return float_of((uint32_t)((const uint16_t *)data)[i] << 16);
    case HT_DTYPE_I8: return ((const int8_t *)data)[i];
    case HT_DTYPE_U8: return ((const uint8_t *)data)[i];
    default: return ((const float *)data)[i];
    }
}

void set_random(void *data, ht_dtype type, size_t i) {
    uint32_t random = next_random();
    float value = (float)((int)(random >> 8 & 255) - 128) / 64;
    switch (type) {
    case HT_DTYPE_F16: ((uint16_t *)data)[i] = (uint16_t)((random & 0x83ff) | (12 + (random >> 16 & 3)) << 10); break;
    case HT_DTYPE_BF16: ((uint16_t *)data)[i] = upper_half(value); break;
    case HT_DTYPE_I8:
    case HT_DTYPE_U8: ((uint8_t *)data)[i] = (uint8_t)random; break;
    default: ((float *)data)[i] = value + (float)(random & 255) * 0x1p-20f; break;
    }
}

void set_special(void *data, ht_dtype type, size_t i) {
    static const float values[] = {INFINITY, -INFINITY, NAN, 0.0f, -0.0f};
    static const uint16_t binary16[] = {0x7c00, 0xfc00, 0x7e00, 0, 0x8000};
    size_t choice = next_random() % COUNT(values);
    if (type == HT_DTYPE_F32)
        ((float *)data)[i] = values[choice];
    else
        ((uint16_t *)data)[i] = type == HT_DTYPE_F16 ? binary16[choice] : upper_half(values[choice]);
}

// MARK: epilogues

ht_dtype residual_type(ht_dtype y) { return y == HT_DTYPE_BF16 ? HT_DTYPE_BF16 : HT_DTYPE_F32; }

static float activated(const ht_epilogue *e, float v) {
    if (e->activation == HT_ACTIVATION_RELU) return v < 0 ? 0 : v;
    if (e->activation == HT_ACTIVATION_CLAMP) return v < e->low ? e->low : v > e->high ? e->high : v;
    return v;
}

static float real_result(types types, const ht_epilogue *e, float real, int32_t integer, size_t row, size_t column,
                         const void *residual) {
    float bias = e->bias ? e->bias[column] : 0, v = real + bias;
    if (types.w == HT_DTYPE_I8 || types.w == HT_DTYPE_B1) {
        const float *scale = e->quantization ? e->quantization->scale : NULL;
        volatile float scaled = (float)integer * (e->row_scale ? e->row_scale[row] : 1);
        v = fmaf(scaled, scale ? scale[column] : 1, bias);
    }
    if (residual) v += value_at(residual, residual_type(types.y), 0);
    return activated(e, v);
}

// The dyadic form, from the definition: the nearest integer to a quotient, found from below.
static int64_t dyadic(const ht_quantization *q, int64_t sum, size_t column) {
    int64_t product = (sum + (q->offset ? q->offset[column] : 0)) * q->multiplier[column];
    int64_t unit = (int64_t)1 << q->shift[column], below = product / unit;
    while (below * unit > product) below--;
    int64_t twice = 2 * (product - below * unit);
    return twice > unit || (twice == unit && (q->half_away || below % 2 != 0)) ? below + 1 : below;
}

// Ties to the even neighbour, far outside of a byte some value that is outside, a NaN far below.
static int64_t nearest(float v) { return isnan(v) || v < -1e6f ? -1000000 : v > 1e6f ? 1000000 : (int64_t)rintf(v); }

static int64_t byte_result(types types, const ht_epilogue *e, int32_t integer, size_t row, size_t column,
                           const void *residual) {
    static const ht_quantization none;
    const ht_quantization *q = e->quantization ? e->quantization : &none;
    int64_t v, least = types.y == HT_DTYPE_U8 ? 0 : -128;
    if (q->multiplier) {
        v = dyadic(q, integer, column);
        if (e->activation == HT_ACTIVATION_RELU && v < 0) v = 0;
    } else {
        v = nearest(real_result(types, e, 0, integer, row, column, residual) / (q->y_scale != 0 ? q->y_scale : 1));
    }
    v += q->y_zero;
    return v < least ? least : v > least + 255 ? least + 255 : v;
}

void set_result(types types, const ht_epilogue *e, float real, int32_t integer, size_t row, size_t column,
                const void *residual, void *y) {
    switch (types.y) {
    case HT_DTYPE_I32: *(int32_t *)y = integer; break;
    case HT_DTYPE_I16: *(int16_t *)y = (int16_t)integer; break;
    case HT_DTYPE_F32: *(float *)y = real_result(types, e, real, integer, row, column, residual); break;
    case HT_DTYPE_BF16: *(uint16_t *)y = to_bf16(real_result(types, e, real, integer, row, column, residual)); break;
    default: *(uint8_t *)y = (uint8_t)byte_result(types, e, integer, row, column, residual); break;
    }
}

static void add_epilogue(epilogues *all, ht_epilogue epilogue, ht_quantization quantization) {
    all->list[all->count] = epilogue;
    all->quantization[all->count++] = quantization;
}

static void set_parameters(epilogues *all, size_t columns) {
    all->bias = allocate(columns * sizeof *all->bias), all->scale = allocate(columns * sizeof *all->scale);
    all->multiplier = allocate(columns * sizeof *all->multiplier);
    all->offset = allocate(columns * sizeof *all->offset);
    all->shift = allocate(columns);
    for (size_t i = 0; i < columns; i++) {
        all->bias[i] = (float)(int)(next_random() % 33) - 16;
        all->scale[i] = (float)(next_random() % 100) * 0x1p-13f;
        all->multiplier[i] = (int32_t)(next_random() >> (1 + next_random() % 20));
        all->shift[i] = (uint8_t)(20 + next_random() % 20);
        all->offset[i] = (int32_t)(next_random() % 2001) - 1000;
    }
}

epilogues make_epilogues(types types, size_t columns, const void *residual) {
    epilogues all = {.is_quantized = types.w == HT_DTYPE_I8};
    bool is_byte = types.y == HT_DTYPE_U8 || types.y == HT_DTYPE_I8;
    ht_quantization plain = {.x_zero = types.x == HT_DTYPE_U8 ? 131 : types.x == HT_DTYPE_I8 ? -7 : 0};
    if (is_byte) plain.y_zero = types.y == HT_DTYPE_U8 ? 128 : -3;
    ht_quantization scaled = plain, dyadic = plain;
    set_parameters(&all, columns);
    add_epilogue(&all, (ht_epilogue){.output = types.y}, (ht_quantization){0});
    if (types.y == HT_DTYPE_I32) {
        add_epilogue(&all, (ht_epilogue){.output = types.y}, plain);
        return all;
    }
    if (types.w == HT_DTYPE_I8) scaled.scale = all.scale;
    if (is_byte) scaled.y_scale = 0.37f;
    ht_epilogue epilogue = {.output = types.y, .bias = all.bias, .activation = HT_ACTIVATION_RELU};
    add_epilogue(&all, epilogue, scaled);
    epilogue.activation = HT_ACTIVATION_CLAMP, epilogue.low = -1.5f, epilogue.high = 7, epilogue.residual = residual;
    add_epilogue(&all, epilogue, scaled);
    if (!is_byte) return all;
    dyadic.multiplier = all.multiplier, dyadic.shift = all.shift;
    add_epilogue(&all, (ht_epilogue){.output = types.y, .activation = HT_ACTIVATION_RELU}, dyadic);
    dyadic.offset = all.offset, dyadic.half_away = 1;
    add_epilogue(&all, (ht_epilogue){.output = types.y}, dyadic);
    return all;
}

ht_epilogue epilogue_at(const epilogues *all, size_t i) {
    ht_epilogue epilogue = all->list[i];
    if (all->is_quantized) epilogue.quantization = &all->quantization[i];
    return epilogue;
}

void free_epilogues(epilogues *all) {
    free(all->bias), free(all->scale), free(all->multiplier), free(all->offset), free(all->shift);
}
