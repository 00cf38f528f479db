// SPDX-License-Identifier: Apache-2.0
// From 32-bit sums to Y in vectors: included behind vec_<isa>.h. Every operation is one rounding of IEEE arithmetic in
// a fixed order, so results are the same bits on every ISA.
#ifndef HT_CORE_SUMS_STORE_H
#define HT_CORE_SUMS_STORE_H

#include <string.h>

#include "epilogue.h"
#include "operands.h"
#include "sums.h"

// What each column of a strip has for itself.
typedef struct columns {
    float scale[HT_SUMS_STRIP], bias[HT_SUMS_STRIP];
    int64_t multiplier[HT_SUMS_STRIP], offset[HT_SUMS_STRIP], shift[HT_SUMS_STRIP];
} columns;

// All else. Nothing points into it, so that compilers keep it in registers.
typedef struct strip {
    ht_sums sums;  // a copy, which no store to Y can change
    ht_epilogue epilogue;
    const int32_t *at;  // of the first row
    size_t column, columns;
    ht_finish finish;
    const float *scale, *bias;  // the caller's where these are whole
    ht_vec y_scale, low, high;  // low and high: what an 8-bit y can stand for before its zero is added
    int32_t y_zero;
    const columns *dyadic;
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

HT_INLINE const float *whole(const float *values, const strip *s, float otherwise, float *copy) {
    if (values && s->columns == HT_SUMS_STRIP) return values + s->column;
    for (size_t i = 0; i < HT_SUMS_STRIP; i++) copy[i] = values && i < s->columns ? values[s->column + i] : otherwise;
    return copy;
}

// `c` is filled with what the strip needs of it.
HT_INLINE strip make_strip(const ht_sums *sums, size_t first, columns *c) {
    const ht_epilogue *e = sums->epilogue;
    const ht_quantization *q = quantization_of(e);
    const int32_t low = (sums->y_dtype == HT_DTYPE_U8 ? 0 : -128) - q->y_zero;
    strip s = {.sums = *sums,
               .epilogue = *e,
               .at = sums->at + first / HT_SUMS_STRIP * sums->strip_step,
               .column = sums->column + first,
               .columns = ht_min(HT_SUMS_STRIP, sums->columns - first),
               .finish = ht_make_finish(e, sums->y_dtype),
               .y_scale = ht_vsplat(q->y_scale != 0 ? q->y_scale : 1),
               .low = ht_vsplat((float)low),
               .high = ht_vsplat((float)(low + 255)),
               .y_zero = q->y_zero,
               .dyadic = c};
    s.scale = whole(q->scale, &s, 1, c->scale);
    s.bias = whole(e->bias, &s, 0, c->bias);
    for (size_t i = 0; q->multiplier && i < HT_SUMS_STRIP; i++) {
        const bool there = i < s.columns;
        c->multiplier[i] = there ? q->multiplier[s.column + i] : 0;
        c->offset[i] = there && q->offset ? q->offset[s.column + i] : 0;
        c->shift[i] = there ? q->shift[s.column + i] : 1;
    }
    return s;
}

HT_INLINE size_t row_t(const ht_sums *sums, size_t r) { return sums->t ? sums->t[r] : sums->first_t + r; }

HT_INLINE void copy_residual(const strip *s, size_t t, row_of_y *copy) {
    const ht_epilogue *e = &s->epilogue;
    const ht_order order = s->sums.y_order;
    const size_t size = s->finish.residual_size, step = order == HT_ORDER_ROWS ? size : e->residual_stride;
    if (!size) return;
    const char *from = ht_element(e->residual, e->residual_stride, order, size, t, s->column);
    for (size_t i = 0; i < s->columns; i++) memcpy((char *)copy + i * size, from + i * step, size);
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
HT_INLINE void put_reals(const strip *s, size_t r, size_t t, const char *residual, const ht_dtype dtype,
                         const bool plain, const bool divides, char *y) {
    const ht_lanes all = ht_first_lanes(HT_VEC_LANES);
    const float *row_scale = s->epilogue.row_scale;
    const int32_t *at = s->at + r * s->sums.row_step;
    HT_UNROLL
    for (size_t i = 0; i < HT_SUMS_STRIP; i += HT_VEC_LANES) {
        ht_vec v = ht_load_sums(at + i);
        if (row_scale) v = ht_vmul(v, ht_vsplat(row_scale[t]));
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
    const ht_epilogue *e = &s->epilogue;
    const columns *c = s->dyadic;
    const bool half_away = e->quantization->half_away != 0;
    const int32_t *at = s->at + r * s->sums.row_step, y_zero = s->y_zero;
    const int64_t least = (s->sums.y_dtype == HT_DTYPE_U8 ? 0 : -128) - y_zero;
    const int64_t low = e->activation == HT_ACTIVATION_RELU && least < 0 ? 0 : least, high = least + 255;
    for (size_t i = 0; i < HT_SUMS_STRIP; i++) {
        const int64_t product = (at[i] + c->offset[i]) * c->multiplier[i];
        int64_t quotient = product >> c->shift[i];
        const int64_t half = (int64_t)1 << (c->shift[i] - 1);
        const int64_t rest = product - (int64_t)((uint64_t)quotient << c->shift[i]);
        quotient += rest > half || (rest == half && (half_away || (quotient & 1)));
        quotient = quotient > low ? quotient : low;
        quotient = quotient < high ? quotient : high;
        y[i] = (uint8_t)(quotient + y_zero);
    }
}

HT_INLINE void put_i16(const strip *s, size_t r, int16_t *y) {
    const int32_t *at = s->at + r * s->sums.row_step;
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

HT_INLINE void put_row(const strip *s, size_t r, size_t t, const char *residual, const kind k, char *y) {
    switch (k) {
    case SUMS: memcpy(y, s->at + r * s->sums.row_step, HT_SUMS_STRIP * sizeof(int32_t)); break;
    case SUMS_I16: put_i16(s, r, (int16_t *)(void *)y); break;
    case PLAIN_F32: put_reals(s, r, t, residual, HT_DTYPE_F32, true, false, y); break;
    case ANY_F32: put_reals(s, r, t, residual, HT_DTYPE_F32, false, false, y); break;
    case ANY_BF16: put_reals(s, r, t, residual, HT_DTYPE_BF16, false, false, y); break;
    case PLAIN_BYTES: put_reals(s, r, t, residual, HT_DTYPE_I8, true, false, y); break;
    case ANY_BYTES: put_reals(s, r, t, residual, HT_DTYPE_I8, false, false, y); break;
    case DIVIDED_BYTES: put_reals(s, r, t, residual, HT_DTYPE_I8, false, true, y); break;
    case DYADIC: put_dyadic(s, r, (uint8_t *)y); break;
    }
}

// Rows of Y that are whole and lie in rows are written where they belong,
HT_INLINE void store_whole_rows(const strip *s, const kind k) {
    const ht_sums *sums = &s->sums;
    char *y = (char *)sums->y + s->column * ht_dtype_size(sums->y_dtype);
    // If there is none, nothing is read where it points.
    const size_t residual_size = s->finish.residual_size, stride = residual_size ? s->epilogue.residual_stride : 0;
    const char *residual = residual_size ? s->epilogue.residual : (const void *)s->at;
    residual += s->column * residual_size;
    for (size_t r = 0; r < sums->rows; r++) {
        const size_t t = row_t(sums, r);
        put_row(s, r, t, residual + t * stride, k, y + t * sums->y_stride);
    }
}

// others to a copy first.
HT_INLINE void store_copied_rows(const strip *s, const kind k) {
    const ht_sums *sums = &s->sums;
    const ht_order order = sums->y_order;
    const size_t size = ht_dtype_size(sums->y_dtype), step = order == HT_ORDER_ROWS ? size : sums->y_stride;
    row_of_y copy, residual = {0};
    for (size_t r = 0; r < sums->rows; r++) {
        const size_t t = row_t(sums, r);
        char *y = ht_element(sums->y, sums->y_stride, order, size, t, s->column);
        copy_residual(s, t, &residual);
        put_row(s, r, t, (const char *)&residual, k, (char *)&copy);
        for (size_t i = 0; i < s->columns; i++) memcpy(y + i * step, (char *)&copy + i * size, size);
    }
}

HT_INLINE void store_rows(const strip *s, const kind k) {
    if (s->columns == HT_SUMS_STRIP && s->sums.y_order == HT_ORDER_ROWS)
        store_whole_rows(s, k);
    else
        store_copied_rows(s, k);
}

// A function for each kind: one for all would keep in memory what each has in registers.
#define STORE(kind)                                                             \
    static __attribute__((noinline)) void store_##kind(const ht_sums *sums) {   \
        columns of_strip;                                                       \
        for (size_t first = 0; first < sums->columns; first += HT_SUMS_STRIP) { \
            const strip s = make_strip(sums, first, &of_strip);                 \
            store_rows(&s, kind);                                               \
        }                                                                       \
    }

STORE(SUMS)
STORE(SUMS_I16)
STORE(PLAIN_F32)
STORE(ANY_F32)
STORE(ANY_BF16)
STORE(PLAIN_BYTES)
STORE(ANY_BYTES)
STORE(DIVIDED_BYTES)
STORE(DYADIC)

static void store_values(const ht_sums *sums) {
    switch (kind_of(sums)) {
    case SUMS: store_SUMS(sums); break;
    case SUMS_I16: store_SUMS_I16(sums); break;
    case PLAIN_F32: store_PLAIN_F32(sums); break;
    case ANY_F32: store_ANY_F32(sums); break;
    case ANY_BF16: store_ANY_BF16(sums); break;
    case PLAIN_BYTES: store_PLAIN_BYTES(sums); break;
    case ANY_BYTES: store_ANY_BYTES(sums); break;
    case DIVIDED_BYTES: store_DIVIDED_BYTES(sums); break;
    case DYADIC: store_DYADIC(sums); break;
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
