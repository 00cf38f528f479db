// SPDX-License-Identifier: Apache-2.0
// What the fuzz targets share: numbers from bytes, epilogues and options, and the comparison of all rows of a table.
// Every buffer has its exact size, so that the address sanitizer sees a single byte too much.
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <halftone.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../C/matrix.h"
#include "../C/types.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition)                                                           \
    do {                                                                             \
        if (!(condition)) {                                                          \
            fprintf(stderr, "%s:%d: %s is false\n", __FILE__, __LINE__, #condition); \
            abort();                                                                 \
        }                                                                            \
    } while (0)

// Larger operands find nothing new and cost runs.
enum { most_terms = 100000 };

// MARK: the input

typedef struct input {
    const uint8_t *data;
    size_t size;
    uint32_t state;  // makes values when the bytes are used up
} input;

static inline uint32_t take_byte(input *in) {
    if (in->size) {
        in->size--;
        return *in->data++;
    }
    in->state = in->state * 1664525 + 1013904223;
    return in->state >> 24;
}

static inline uint32_t take_word(input *in) {
    uint32_t word = 0;
    for (int i = 0; i < 4; i++) word = word << 8 | take_byte(in);
    return word;
}

static inline size_t take_up_to(input *in, size_t most) {
    uint32_t high = take_byte(in);
    return (high << 8 | take_byte(in)) % (most + 1);
}

// Mostly numbers near 1, some zeros, some of any bits: infinities, NaNs, denormals.
static inline float take_float(input *in) {
    uint32_t kind = take_byte(in);
    if (kind < 16) return 0;
    if (kind > 24) return (float)((int)kind - 140) / 64;
    uint32_t bits = take_word(in);
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline void take_value(input *in, void *to, ht_dtype dtype) {
    if (dtype == HT_DTYPE_F32) {
        float value = take_float(in);
        memcpy(to, &value, sizeof value);
    } else if (dtype == HT_DTYPE_F16 || dtype == HT_DTYPE_BF16) {
        // Mostly numbers near 1, like floats.
        uint32_t kind = take_byte(in), one = dtype == HT_DTYPE_F16 ? 0x3c00 : 0x3f80;
        uint16_t bits = (uint16_t)(kind < 16 ? 0 : kind > 24 ? (kind & 1) << 15 | (one + kind) : take_word(in));
        memcpy(to, &bits, sizeof bits);
    } else {
        uint8_t byte = (uint8_t)take_byte(in);
        memcpy(to, &byte, sizeof byte);
    }
}

static inline void take_values(input *in, const matrix *a) {
    for (size_t row = 0; row < a->rows; row++)
        for (size_t column = 0; column < a->columns; column++) take_value(in, element(a, row, column), a->dtype);
}

static inline matrix take_matrix(input *in, size_t rows, size_t columns, ht_dtype dtype, ht_order order) {
    matrix a = make_matrix(rows, columns, dtype, order, take_byte(in) % 4);
    take_values(in, &a);
    return a;
}

/// Mostly the patterns that have kernels of their own.
static inline void take_pattern(input *in, size_t *n, size_t *m) {
    *m = 1 + take_byte(in) % 64;
    *n = 1 + take_byte(in) % *m;
    if (take_byte(in) & 1) {
        *m = (size_t)1 << *m % 5;
        *n = *n * 2 > *m ? 1 : *n;
    }
}

// MARK: results

/// What a call makes: `rows` x `columns` of Y, how it lies, and what its epilogue does.
typedef struct result {
    types types;
    size_t rows, columns;
    ht_options options;
    matrix residual;
    float *bias, *scale;
    int32_t *multiplier, *offset;
    uint8_t *shift;
    ht_epilogue epilogue;
    ht_quantization quantization;
} result;

static inline void take_window(input *in, result *r, bool of_columns) {
    ht_options *options = &r->options;
    options->row_begin = take_up_to(in, r->rows);
    options->row_end = options->row_begin + take_up_to(in, r->rows - options->row_begin);
    if (!of_columns) return;
    options->column_begin = take_up_to(in, r->columns / 16) * 16;
    options->column_end = options->column_begin + take_up_to(in, (r->columns - options->column_begin) / 16) * 16;
}

static inline bool is_inside(const result *r, size_t row, size_t column) {
    const ht_options *options = &r->options;
    return row >= options->row_begin && row < (options->row_end ? options->row_end : r->rows) &&
           column >= options->column_begin && column < (options->column_end ? options->column_end : r->columns);
}

static inline void take_quantization(input *in, result *r) {
    ht_quantization *q = &r->quantization;
    bool is_byte = r->types.y == HT_DTYPE_U8 || r->types.y == HT_DTYPE_I8;
    q->x_zero = (int32_t)take_byte(in) - (r->types.x == HT_DTYPE_I8 ? 128 : 0);
    if (is_byte) q->y_zero = (int32_t)take_byte(in) - (r->types.y == HT_DTYPE_I8 ? 128 : 0);
    for (size_t i = 0; i < r->columns; i++) {
        r->scale[i] = (float)take_byte(in) / 4096;
        r->multiplier[i] = (int32_t)(take_word(in) >> 1);
        r->shift[i] = (uint8_t)(1 + take_byte(in) % 62);
        r->offset[i] = (int32_t)take_word(in);
    }
    uint32_t kind = take_byte(in);
    if (is_byte && kind & 1) {
        q->multiplier = r->multiplier, q->shift = r->shift;
        q->offset = kind & 2 ? r->offset : NULL;
        q->half_away = kind >> 2 & 1;
    } else if (r->types.y != HT_DTYPE_I32) {
        q->scale = kind & 2 ? r->scale : NULL;
        q->y_scale = (float)(kind >> 3) / 8;
    }
}

static inline void take_activation(input *in, result *r) {
    ht_epilogue *e = &r->epilogue;
    if (r->types.y == HT_DTYPE_I32) return;
    if (r->quantization.multiplier) {
        e->activation = take_byte(in) & 1 ? HT_ACTIVATION_RELU : HT_ACTIVATION_NONE;
        return;
    }
    e->activation = (ht_activation)(take_byte(in) % 4);
    e->low = (float)(take_byte(in) % 8) - 6, e->high = e->low + (float)(take_byte(in) % 8);
    if (take_byte(in) & 1) e->bias = r->bias;
    if (take_byte(in) % 4 == 0) e->residual = r->residual.data, e->residual_stride = r->residual.stride;
}

/// The residual, parameters and the epilogue; types, sizes and options stand.
static inline void take_epilogue(input *in, result *r) {
    ht_dtype residual = r->types.y == HT_DTYPE_BF16 ? HT_DTYPE_BF16 : HT_DTYPE_F32;
    r->residual = take_matrix(in, r->rows, r->columns, residual, r->options.y_order);
    r->bias = exactly(r->columns * sizeof(float), 16), r->scale = exactly(r->columns * sizeof(float), 16);
    r->multiplier = exactly(r->columns * sizeof(int32_t), 16), r->offset = exactly(r->columns * sizeof(int32_t), 16);
    r->shift = exactly(r->columns, 16);
    for (size_t i = 0; i < r->columns; i++) r->bias[i] = take_float(in);
    r->epilogue.output = r->types.y;
    if (r->types.w == HT_DTYPE_I8) {
        take_quantization(in, r);
        r->epilogue.quantization = &r->quantization;
    }
    take_activation(in, r);
}

static inline void free_result(result *r) {
    free_matrix(&r->residual);
    free(r->bias), free(r->scale), free(r->multiplier), free(r->offset), free(r->shift);
}

// MARK: runs

/// A call with everything but its Y and options.
typedef struct run {
    const void *context;
    ht_status (*call)(const void *context, const matrix *y, const ht_options *options);
    ht_status (*scratch_size)(const void *context, const ht_options *options, size_t *size);
} run;

static inline ht_status run_into(const run *run, const result *r, ht_isa isa, int threads, bool own_scratch,
                                 const matrix *y) {
    ht_options options = r->options;
    options.isa = isa;
    options.threads = threads;
    if (own_scratch) {
        REQUIRE(!run->scratch_size(run->context, &options, &options.scratch_size));
        options.scratch = exactly(options.scratch_size, 64);
    }
    ht_status status = run->call(run->context, y, &options);
    free(options.scratch);
    return status;
}

/// Every row gives the bits of the reference, which are returned, and leaves what is outside the window as it was.
static inline matrix compare_rows(input *in, const run *run, const result *r) {
    ht_kernel_info rows[64];
    size_t gap = take_byte(in) % 4, count = ht_kernels(rows, 64);
    REQUIRE(count <= 64);
    matrix reference = make_matrix(r->rows, r->columns, r->types.y, r->options.y_order, gap);
    matrix fresh = make_matrix(r->rows, r->columns, r->types.y, r->options.y_order, gap);
    REQUIRE(!run_into(run, r, HT_ISA_REF, 1, false, &reference));
    for (size_t row = 0; row < r->rows; row++)
        for (size_t column = 0; column < r->columns; column++)
            if (!is_inside(r, row, column))
                REQUIRE(!memcmp(element(&reference, row, column), element(&fresh, row, column), fresh.size));
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(rows[i].op, r->types.op) || !rows[i].runs) continue;
        found++;
        matrix y = make_matrix(r->rows, r->columns, r->types.y, r->options.y_order, gap);
        int threads = 1 + (int)take_byte(in) % 3;
        REQUIRE(!run_into(run, r, (ht_isa)ht_isa_named(rows[i].isa), threads, take_byte(in) & 1, &y));
        for (size_t row = 0; row < r->rows; row++)
            for (size_t column = 0; column < r->columns; column++) {
                void *at = element(&y, row, column);
                REQUIRE(same_value(at, element(&reference, row, column), y.dtype));
                memcpy(at, element(&fresh, row, column), y.size);
            }
        REQUIRE(!memcmp(y.data, fresh.data, y.bytes));  // what is left are the gaps
        free_matrix(&y);
    }
    REQUIRE(found > 0);
    free_matrix(&fresh);
    return reference;
}

#endif
