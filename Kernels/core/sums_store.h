// SPDX-License-Identifier: Apache-2.0
// From 32-bit sums to Y in vectors: included behind vec_<isa>.h. Every operation is one rounding of IEEE arithmetic in
// a fixed order, so results are the same bits on every ISA.
#ifndef HT_CORE_SUMS_STORE_H
#define HT_CORE_SUMS_STORE_H

#include <string.h>

#include "epilogue.h"
#include "memory.h"
#include "sums.h"

// What a strip's columns have each for themselves; scale and bias are the caller's where these are whole.
typedef struct strip {
    const ht_sums *sums;
    const int32_t *at;  // of the first row
    size_t column, columns;
    ht_finish finish;
    const float *scale, *bias;
    ht_vec y_scale, low, high;  // low and high: what an 8-bit y can stand for before its zero is added
    int32_t y_zero;
    float scales[HT_SUMS_STRIP], biases[HT_SUMS_STRIP];
    int64_t multiplier[HT_SUMS_STRIP], offset[HT_SUMS_STRIP], shift[HT_SUMS_STRIP];
} strip;

typedef union row_of_y {
    float f32[HT_SUMS_STRIP];
    int32_t i32[HT_SUMS_STRIP];
    uint16_t bf16[HT_SUMS_STRIP];
    int16_t i16[HT_SUMS_STRIP];
    uint8_t bytes[HT_SUMS_STRIP];
} row_of_y;

HT_INLINE const ht_quantization *quantization_of(const ht_epilogue *e) {
    static const ht_quantization none;
    return e->quantization ? e->quantization : &none;
}

HT_INLINE const float *whole_strip(const float *values, const strip *s, float otherwise, float *copy) {
    if (values && s->columns == HT_SUMS_STRIP) return values + s->column;
    for (size_t i = 0; i < HT_SUMS_STRIP; i++) copy[i] = values && i < s->columns ? values[s->column + i] : otherwise;
    return copy;
}

HT_INLINE void open_strip(strip *s, const ht_sums *sums, size_t first) {
    const ht_epilogue *e = sums->epilogue;
    const ht_quantization *q = quantization_of(e);
    const int32_t low = (sums->y_dtype == HT_DTYPE_U8 ? 0 : -128) - q->y_zero;
    s->sums = sums;
    s->at = sums->at + first / HT_SUMS_STRIP * sums->strip_step;
    s->column = sums->column + first;
    s->columns = ht_min(HT_SUMS_STRIP, sums->columns - first);
    s->finish = ht_make_finish(e, sums->y_dtype);
    s->scale = whole_strip(q->scale, s, 1, s->scales);
    s->bias = whole_strip(e->bias, s, 0, s->biases);
    s->y_scale = ht_vsplat(q->y_scale != 0 ? q->y_scale : 1);
    s->low = ht_vsplat((float)low);
    s->high = ht_vsplat((float)(low + 255));
    s->y_zero = q->y_zero;
    for (size_t i = 0; q->multiplier && i < HT_SUMS_STRIP; i++) {
        const bool there = i < s->columns;
        s->multiplier[i] = there ? q->multiplier[s->column + i] : 0;
        s->offset[i] = there && q->offset ? q->offset[s->column + i] : 0;
        s->shift[i] = there ? q->shift[s->column + i] : 1;
    }
}

HT_INLINE size_t row_t(const ht_sums *sums, size_t r) { return sums->t ? sums->t[r] : sums->first_t + r; }

HT_INLINE char *element(const void *matrix, size_t stride, size_t size, ht_order order, size_t t, size_t column) {
    return (char *)matrix + (order == HT_ORDER_ROWS ? t * stride + column * size : column * stride + t * size);
}

// The residual of a row: where it lies, or a copy if it is not whole.
HT_INLINE const char *residual_of(const strip *s, size_t t, row_of_y *copy) {
    const ht_epilogue *e = s->sums->epilogue;
    const ht_order order = s->sums->y_order;
    const size_t size = s->finish.residual_size;
    if (!size) return NULL;
    const char *from = element(e->residual, e->residual_stride, size, order, t, s->column);
    if (order == HT_ORDER_ROWS && s->columns == HT_SUMS_STRIP) return from;
    const size_t step = order == HT_ORDER_ROWS ? size : e->residual_stride;
    for (size_t i = 0; i < s->columns; i++) memcpy((char *)copy + i * size, from + i * step, size);
    return (const char *)copy;
}

// MARK: rows

// v / y_scale between low and high, rounded to the nearest integer, ties to even; a NaN becomes low. Low and high are
// integers, so that it does not matter whether rounding comes first. Then the zero.
HT_INLINE void put_bytes(const strip *s, ht_vec v, const bool divides, uint8_t *y) {
    if (divides) v = ht_vdiv(v, s->y_scale);
    v = ht_at_most(ht_at_least(s->low, v), s->high);
    ht_store_bytes(y, v, s->y_zero);
}

// `dtype`, `plain` and `divides` are constants, so that the usual loops have no branches.
HT_INLINE void put_reals(const strip *s, size_t r, const char *residual, const ht_dtype dtype, const bool plain,
                         const bool divides, char *y) {
    const ht_lanes all = ht_first_lanes(HT_VEC_LANES);
    const float *row_scale = s->sums->epilogue->row_scale;
    const int32_t *at = s->at + r * s->sums->row_step;
    HT_UNROLL
    for (size_t i = 0; i < HT_SUMS_STRIP; i += HT_VEC_LANES) {
        ht_vec v = ht_load_sums(at + i);
        if (row_scale) v = ht_vmul(v, ht_vsplat(row_scale[row_t(s->sums, r)]));
        v = ht_vfma(v, ht_vload_unaligned(s->scale + i), ht_vload_unaligned(s->bias + i));
        v = plain ? ht_cut_off(&s->finish, v) : ht_finished(&s->finish, v, residual + i * s->finish.residual_size, all);
        if (dtype == HT_DTYPE_F32)
            ht_store_f32((float *)(void *)y + i, v, all);
        else if (dtype == HT_DTYPE_BF16)
            ht_store_bf16((uint16_t *)(void *)y + i, v, all);
        else
            put_bytes(s, v, divides, (uint8_t *)y + i);
    }
}

// (sum + offset) * multiplier / 2^shift in 64 bits, where it fits: 2^32 * (2^31 - 1). The half is compared, not added,
// so nothing overflows.
HT_INLINE void put_dyadic(const strip *s, size_t r, uint8_t *y) {
    const ht_epilogue *e = s->sums->epilogue;
    const bool half_away = e->quantization->half_away != 0;
    const int32_t *at = s->at + r * s->sums->row_step, y_zero = s->y_zero;
    const int64_t least = (s->sums->y_dtype == HT_DTYPE_U8 ? 0 : -128) - y_zero;
    const int64_t low = e->activation == HT_ACTIVATION_RELU && least < 0 ? 0 : least, high = least + 255;
    for (size_t i = 0; i < HT_SUMS_STRIP; i++) {
        const int64_t product = (at[i] + s->offset[i]) * s->multiplier[i];
        int64_t quotient = product >> s->shift[i];
        const int64_t half = (int64_t)1 << (s->shift[i] - 1);
        const int64_t rest = product - (int64_t)((uint64_t)quotient << s->shift[i]);
        quotient += rest > half || (rest == half && (half_away || (quotient & 1)));
        quotient = quotient > low ? quotient : low;
        quotient = quotient < high ? quotient : high;
        y[i] = (uint8_t)(quotient + y_zero);
    }
}

HT_INLINE void put_i16(const strip *s, size_t r, int16_t *y) {
    const int32_t *at = s->at + r * s->sums->row_step;
    for (size_t i = 0; i < HT_SUMS_STRIP; i++) y[i] = (int16_t)at[i];
}

// MARK: strips

// A kind of row, as a constant that loops are cut to.
typedef enum kind { SUMS, SUMS_I16, PLAIN_F32, ANY_F32, ANY_BF16, PLAIN_BYTES, ANY_BYTES, DIVIDED_BYTES, DYADIC } kind;

HT_INLINE kind kind_of(const ht_sums *sums) {
    const ht_quantization *q = quantization_of(sums->epilogue);
    const ht_finish finish = ht_make_finish(sums->epilogue, sums->y_dtype);
    const bool plain = ht_only_cuts_off(&finish);
    switch (sums->y_dtype) {
    case HT_DTYPE_I32: return SUMS;
    case HT_DTYPE_I16: return SUMS_I16;
    case HT_DTYPE_F32: return plain ? PLAIN_F32 : ANY_F32;
    case HT_DTYPE_BF16: return ANY_BF16;
    default: return q->multiplier ? DYADIC : q->y_scale != 0 ? DIVIDED_BYTES : plain ? PLAIN_BYTES : ANY_BYTES;
    }
}

HT_INLINE void put_row(const strip *s, size_t r, const char *residual, const kind k, char *y) {
    switch (k) {
    case SUMS: memcpy(y, s->at + r * s->sums->row_step, HT_SUMS_STRIP * sizeof(int32_t)); break;
    case SUMS_I16: put_i16(s, r, (int16_t *)(void *)y); break;
    case PLAIN_F32: put_reals(s, r, residual, HT_DTYPE_F32, true, false, y); break;
    case ANY_F32: put_reals(s, r, residual, HT_DTYPE_F32, false, false, y); break;
    case ANY_BF16: put_reals(s, r, residual, HT_DTYPE_BF16, false, false, y); break;
    case PLAIN_BYTES: put_reals(s, r, residual, HT_DTYPE_I8, true, false, y); break;
    case ANY_BYTES: put_reals(s, r, residual, HT_DTYPE_I8, false, false, y); break;
    case DIVIDED_BYTES: put_reals(s, r, residual, HT_DTYPE_I8, false, true, y); break;
    case DYADIC: put_dyadic(s, r, (uint8_t *)y); break;
    }
}

// Rows of Y that are whole and lie in rows are written where they belong, others to a copy first.
HT_INLINE void store_rows(const strip *s, const kind k) {
    const ht_sums *sums = s->sums;
    const size_t size = ht_dtype_size(sums->y_dtype);
    const bool direct = sums->y_order == HT_ORDER_ROWS && s->columns == HT_SUMS_STRIP;
    const size_t step = sums->y_order == HT_ORDER_ROWS ? size : sums->y_stride;
    row_of_y copy, residual = {0};
    for (size_t r = 0; r < sums->rows; r++) {
        const size_t t = row_t(sums, r);
        char *y = element(sums->y, sums->y_stride, size, sums->y_order, t, s->column);
        put_row(s, r, residual_of(s, t, &residual), k, direct ? y : (char *)&copy);
        for (size_t i = 0; !direct && i < s->columns; i++) memcpy(y + i * step, (char *)&copy + i * size, size);
    }
}

static void store_values(const ht_sums *sums) {
    strip s;
    for (size_t first = 0; first < sums->columns; first += HT_SUMS_STRIP) {
        open_strip(&s, sums, first);
#define STORE(kind) \
    case kind: store_rows(&s, kind); break
        switch (kind_of(sums)) {
            STORE(SUMS);
            STORE(SUMS_I16);
            STORE(PLAIN_F32);
            STORE(ANY_F32);
            STORE(ANY_BF16);
            STORE(PLAIN_BYTES);
            STORE(ANY_BYTES);
            STORE(DIVIDED_BYTES);
            STORE(DYADIC);
        }
#undef STORE
    }
}

// MARK: bits

// Bits of columns that lie anywhere in their words.
static void put_bits(char *row, size_t column, size_t count, uint32_t bits) {
    uint64_t *word = (uint64_t *)(void *)row + column / 64;
    const uint64_t there = ((uint64_t)1 << count) - 1, place = column % 64;
    word[0] = (word[0] & ~(there << place)) | (bits & there) << place;
    if (place + count > 64) word[1] = (word[1] & ~(there >> (64 - place))) | (bits & there) >> (64 - place);
}

static void store_bits(const ht_sums *sums) {
    const ht_binary_threshold *threshold = sums->epilogue->threshold;
    for (size_t first = 0; first < sums->columns; first += HT_SUMS_STRIP) {
        const size_t column = sums->column + first, count = ht_min(HT_SUMS_STRIP, sums->columns - first);
        const int32_t *at = sums->at + first / HT_SUMS_STRIP * sums->strip_step;
        int32_t level[HT_SUMS_STRIP] = {0};
        uint32_t flip = 0;
        if (threshold && threshold->level) memcpy(level, threshold->level + column, count * sizeof *level);
        for (size_t i = column; threshold && threshold->flip && i < column + count; i++)
            flip |= (uint32_t)(threshold->flip[i / 8] >> i % 8 & 1) << (i - column);
        for (size_t r = 0; r < sums->rows; r++, at += sums->row_step) {
            uint32_t bits = 0;
            for (size_t i = 0; i < HT_SUMS_STRIP; i++) bits |= (uint32_t)(at[i] < level[i]) << i;
            put_bits((char *)sums->y + row_t(sums, r) * sums->y_stride, column, count, bits ^ flip);
        }
    }
}

HT_INLINE void store_sums(const ht_sums *sums) {
    if (sums->y_dtype == HT_DTYPE_B1)
        store_bits(sums);
    else
        store_values(sums);
}

#endif
