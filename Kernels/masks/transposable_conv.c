// SPDX-License-Identifier: Apache-2.0
// Transposable masks of filters: each tap of each group of channels is a matrix of its own. Its mask is found in
// scratch memory, since taps do not begin at bytes, and so is the mask of all filters: an error leaves the caller's as
// it was.
#include <string.h>

#include "core/memory.h"
#include "halftone/nm_mask.h"
#include "nm/image.h"

typedef struct filters {
    size_t rows, columns;  // of a tap of a group
    size_t groups, taps;
    size_t n, m;
    const float *w;
    size_t w_stride;
    uint8_t *mask;
    size_t mask_stride;
    size_t mask_bytes;  // of a row
    uint8_t *fresh;     // the mask to be, rows of mask_bytes
    uint8_t *tap_mask;  // of one tap of one group
    size_t tap_stride;
} filters;

static ht_status check(const ht_conv_shape *shape, filters *f) {
    ht_conv conv;
    size_t all;
    ht_status status = ht_nm_conv_make(shape, &conv);
    if (status) return status;
    const ht_conv_shape *s = &conv.shape;
    f->groups = s->groups;
    f->taps = s->kernel_height * s->kernel_width;
    f->rows = s->outputs / s->groups;
    f->columns = s->channels / s->groups;
    f->tap_stride = ht_ceil_div(f->columns, 8);
    if (!ht_mul(f->taps, f->columns, &all)) return HT_ERROR_OVERFLOW;
    f->mask_bytes = ht_ceil_div(all, 8);
    status = ht_check_matrix(f->w, s->outputs, all, sizeof *f->w, &f->w_stride);
    return status ? status : ht_check_matrix(f->mask, s->outputs, f->mask_bytes, 1, &f->mask_stride);
}

// Adds bits to places of a row that are zero; those behind the last are zero in `bits`.
static void put_bits(uint8_t *row, size_t first, const uint8_t *bits, size_t count) {
    const size_t shift = first % 8;
    row += first / 8;
    for (size_t i = 0; i < ht_ceil_div(count, 8); i++) {
        row[i] |= (uint8_t)(bits[i] << shift);
        if (bits[i] >> (8 - shift)) row[i + 1] |= (uint8_t)(bits[i] >> (8 - shift));
    }
}

// The bits of some places of a row, zeros behind them.
static void take_bits(uint8_t *bits, const uint8_t *row, size_t first, size_t count) {
    const size_t shift = first % 8, last = (first + count - 1) / 8;
    for (size_t i = 0, at = first / 8; i < ht_ceil_div(count, 8); i++, at++)
        bits[i] = (uint8_t)(row[at] >> shift | (at < last ? row[at + 1] << (8 - shift) : 0));
    if (count % 8) bits[count / 8] &= (uint8_t)((1 << count % 8) - 1);
}

static ht_status find(const filters *f, size_t group, size_t tap, const ht_transposable_method *method, size_t *changed,
                      const ht_options *options) {
    const size_t row = group * f->rows, column = tap * f->columns;
    const float *w = (const float *)(const void *)((const char *)f->w + row * f->w_stride) + column;
    ht_status status;
    if (method) {
        status = ht_nm_transposable_mask_f32(f->rows, f->columns, f->n, f->m, *method, w, f->w_stride, f->tap_mask,
                                             f->tap_stride, options);
    } else {
        for (size_t r = 0; r < f->rows; r++)
            take_bits(f->tap_mask + r * f->tap_stride, f->mask + (row + r) * f->mask_stride, column, f->columns);
        status = ht_nm_transposable_refresh_f32(f->rows, f->columns, f->n, f->m, w, f->w_stride, f->tap_mask,
                                                f->tap_stride, changed, options);
    }
    for (size_t r = 0; r < f->rows && !status; r++)
        put_bits(f->fresh + (row + r) * f->mask_bytes, column, f->tap_mask + r * f->tap_stride, f->columns);
    return status;
}

static ht_status find_all(const filters *f, const ht_transposable_method *method, size_t *changed,
                          const ht_options *options) {
    const size_t rows = f->groups * f->rows;
    size_t sum = 0;
    memset(f->fresh, 0, rows * f->mask_bytes);
    for (size_t i = 0; i < f->groups * f->taps; i++) {
        size_t some = 0;
        ht_status status = find(f, i / f->taps, i % f->taps, method, &some, options);
        if (status) return status;
        sum += some;
    }
    for (size_t r = 0; r < rows; r++) memcpy(f->mask + r * f->mask_stride, f->fresh + r * f->mask_bytes, f->mask_bytes);
    if (changed) *changed = sum;
    return HT_OK;
}

// A null method refreshes.
static ht_status run(const ht_conv_shape *shape, filters f, const ht_transposable_method *method, size_t *changed,
                     const ht_options *options) {
    ht_status status = check(shape, &f);
    if (status) return status;
    // What a call without rows refuses, a call with rows does.
    const ht_transposable_method any = method ? *method : HT_TRANSPOSABLE_EXACT;
    status = ht_nm_transposable_mask_f32(0, f.columns, f.n, f.m, any, NULL, 0, NULL, 0, options);
    if (status) return status;
    const size_t fresh = ht_round_up(f.groups * f.rows * f.mask_bytes, HT_ALIGNMENT);
    f.fresh = ht_allocate(fresh + f.rows * f.tap_stride);
    if (!f.fresh) return HT_ERROR_MEMORY;
    f.tap_mask = f.fresh + fresh;
    status = find_all(&f, method, changed, options);
    ht_free(f.fresh);
    return status;
}

ht_status ht_nm_conv_transposable_mask_f32(const ht_conv_shape *shape, size_t n, size_t m,
                                           ht_transposable_method method, const float *w, size_t w_stride,
                                           uint8_t *mask, size_t mask_stride, const ht_options *options) {
    const filters f = {.n = n, .m = m, .w = w, .w_stride = w_stride, .mask = mask, .mask_stride = mask_stride};
    return run(shape, f, &method, NULL, options);
}

ht_status ht_nm_conv_transposable_refresh_f32(const ht_conv_shape *shape, size_t n, size_t m, const float *w,
                                              size_t w_stride, uint8_t *mask, size_t mask_stride, size_t *changed,
                                              const ht_options *options) {
    const filters f = {.n = n, .m = m, .w = w, .w_stride = w_stride, .mask = mask, .mask_stride = mask_stride};
    return run(shape, f, NULL, changed, options);
}
