// SPDX-License-Identifier: Apache-2.0
// Signs: numbers to bits and back, formats, transposes, gradient estimators, and packed weights and back. Every call
// runs on exact-size memory, on each row of the table, on one thread and several; the expected values are single bits,
// formulas in long double, and plain IEEE arithmetic.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "values.h"

static ht_isa isas[8];
static size_t isa_count;

#define EACH_ISA(options)                               \
    for (size_t isa_ = 0; isa_ < 2 * isa_count; isa_++) \
        if (((options) = (ht_options){.threads = isa_ % 2 ? 3 : 1, .isa = isas[isa_ / 2]}, true))

static bool same_float(float a, float b) { return (isnan(a) && isnan(b)) || !memcmp(&a, &b, sizeof a); }

// MARK: rows with gaps

// Rows of `bytes` bytes, `stride` bytes apart, without a gap behind the last: what lies between is 0x5a.
typedef struct matrix {
    size_t rows, bytes, stride;
    char *at;
} matrix;

static matrix make_matrix(size_t rows, size_t bytes, size_t gap) {
    matrix m = {rows, bytes, bytes + gap, NULL};
    const size_t size = rows ? (rows - 1) * m.stride + bytes : 0;
    m.at = allocate(size);
    memset(m.at, 0x5a, size);
    return m;
}

static matrix make_bits(size_t rows, size_t columns, size_t gap) {
    return make_matrix(rows, (columns + 63) / 64 * 8, gap);
}

static void *row_of(const matrix *m, size_t row) { return m->at + row * m->stride; }
static float *float_at(const matrix *m, size_t row, size_t c) { return (float *)row_of(m, row) + c; }
static bool bit_at(const matrix *m, size_t row, size_t c) { return ((uint64_t *)row_of(m, row))[c / 64] >> c % 64 & 1; }

static void set_bit(const matrix *m, size_t row, size_t c, bool bit) {
    uint64_t *word = (uint64_t *)row_of(m, row) + c / 64;
    *word = (*word & ~((uint64_t)1 << c % 64)) | (uint64_t)bit << c % 64;
}

static void fill_bits(const matrix *m, size_t columns) {
    for (size_t row = 0; row < m->rows; row++) {
        memset(row_of(m, row), 0, m->bytes);
        for (size_t c = 0; c < columns; c++) set_bit(m, row, c, next_random() & 1);
    }
}

static bool gaps_are_filled(const matrix *m) {
    bool holds = true;
    for (size_t row = 0; row + 1 < m->rows; row++)
        holds &= is_filled((char *)row_of(m, row) + m->bytes, m->stride - m->bytes);
    return holds;
}

static bool tails_are_clear(const matrix *m, size_t columns) {
    bool holds = true;
    for (size_t row = 0; row < m->rows; row++)
        for (size_t c = columns; c < m->bytes * 8; c++) holds &= !bit_at(m, row, c);
    return holds;
}

// MARK: numbers

typedef struct shape {
    size_t rows, columns;
} shape;

// The last two are cut into pieces for threads, one along the rows and one along the columns.
static const shape shapes[] = {{0, 5},  {3, 0},   {1, 1},   {2, 7},    {3, 63},   {3, 64},   {5, 65},
                               {7, 31}, {4, 128}, {2, 191}, {3, 1031}, {11, 320}, {600, 64}, {2, 20000}};

static const float odd_floats[] = {0.0f,      -0.0f,      INFINITY, -INFINITY, NAN,  0x1p-149f, -0x1p-149f,
                                   0x1p-127f, -0x1p-127f, 1.0f,     -1.0f,     1.5f, -1.5f,     -3.4e38f};

static float some_float(void) {
    const uint32_t kind = next_random() % 40;
    return kind < COUNT(odd_floats) ? odd_floats[kind] : ((float)next_random() / 0x1p31f - 1) * 2;
}

static void fill_floats(const matrix *m) {
    for (size_t row = 0; row < m->rows; row++)
        for (size_t c = 0; c < m->bytes / sizeof(float); c++) *float_at(m, row, c) = some_float();
}

// Some numbers equal their threshold.
static void *make_threshold(ht_dtype x, size_t columns, const void *like) {
    float *floats = allocate(columns * sizeof *floats);
    int32_t *integers = (int32_t *)(void *)floats;
    for (size_t c = 0; c < columns; c++) {
        const uint32_t kind = next_random() % 4;
        if (x == HT_DTYPE_I8)
            integers[c] = kind == 0   ? ((const int8_t *)like)[c]
                          : kind == 1 ? (int32_t)next_random()
                                      : (int32_t)(next_random() % 300) - 150;
        else
            floats[c] = kind == 0 ? value_at(like, x, c) : some_float();
    }
    return floats;
}

// MARK: packing

static const ht_dtype packed_types[] = {HT_DTYPE_F32, HT_DTYPE_F16, HT_DTYPE_BF16, HT_DTYPE_I8};

static ht_status pack(ht_dtype type, shape s, const matrix *x, const void *threshold, const matrix *bits,
                      const ht_options *options) {
    const void *at = x->at;
    uint64_t *to = (uint64_t *)(void *)bits->at;
    switch (type) {
    case HT_DTYPE_F32: return ht_sign_pack_f32(s.rows, s.columns, at, x->stride, threshold, to, bits->stride, options);
    case HT_DTYPE_F16: return ht_sign_pack_f16(s.rows, s.columns, at, x->stride, threshold, to, bits->stride, options);
    case HT_DTYPE_BF16:
        return ht_sign_pack_bf16(s.rows, s.columns, at, x->stride, threshold, to, bits->stride, options);
    default: return ht_sign_pack_i8(s.rows, s.columns, at, x->stride, threshold, to, bits->stride, options);
    }
}

static bool is_minus(ht_dtype type, const void *row, size_t c, const void *threshold) {
    if (type == HT_DTYPE_I8) return ((const int8_t *)row)[c] < (threshold ? ((const int32_t *)threshold)[c] : 0);
    return value_at(row, type, c) < (threshold ? ((const float *)threshold)[c] : 0);
}

static void check_pack(ht_dtype type, shape s, size_t gap, bool has_threshold) {
    const size_t size = ht_dtype_size(type);
    matrix x = make_matrix(s.rows, s.columns * size, gap * size);
    for (size_t row = 0; row < s.rows; row++)
        for (size_t c = 0; c < s.columns; c++) {
            uint16_t *half = (uint16_t *)row_of(&x, row) + c;
            if (type == HT_DTYPE_F32)
                *float_at(&x, row, c) = some_float();
            else if (size == 2)  // all bits there are: infinities, NaNs, subnormal numbers
                *half = (uint16_t)(next_random() % 8 ? next_random() : next_random() & 0x8000);
            else
                ((int8_t *)row_of(&x, row))[c] = (int8_t)(next_random() % 4 ? next_random() : 0);
        }
    void *threshold = has_threshold && s.rows ? make_threshold(type, s.columns, x.at) : NULL;
    ht_options options;
    EACH_ISA(options) {
        checking("sign_pack of type %d, %zu x %zu, gap %zu, %s", type, s.rows, s.columns, gap,
                 ht_isa_name(options.isa));
        matrix bits = make_bits(s.rows, s.columns, gap * 8);
        CHECK(pack(type, s, &x, threshold, &bits, &options) == HT_OK);
        bool equal = true;
        for (size_t row = 0; row < s.rows; row++)
            for (size_t c = 0; c < s.columns; c++)
                equal &= bit_at(&bits, row, c) == is_minus(type, row_of(&x, row), c, threshold);
        CHECK(equal);
        CHECK(gaps_are_filled(&bits));
        CHECK(tails_are_clear(&bits, s.columns));
        free(bits.at);
    }
    free(x.at), free(threshold);
}

static void check_unpack(shape s, size_t gap) {
    matrix bits = make_bits(s.rows, s.columns, gap * 8);
    fill_bits(&bits, s.columns);
    float *scale = allocate(s.rows * sizeof *scale);
    for (size_t row = 0; row < s.rows; row++) scale[row] = some_float();
    const uint64_t *from = (const uint64_t *)(void *)bits.at;
    ht_options options;
    EACH_ISA(options) {
        checking("sign_unpack, %zu x %zu, gap %zu, %s", s.rows, s.columns, gap, ht_isa_name(options.isa));
        for (int scaled = 0; scaled < 2; scaled++) {
            matrix x = make_matrix(s.rows, s.columns * 4, gap * 4);
            CHECK(ht_sign_unpack_f32(s.rows, s.columns, from, bits.stride, scaled ? scale : NULL, (float *)(void *)x.at,
                                     x.stride, &options) == HT_OK);
            bool equal = true;
            for (size_t row = 0; row < s.rows; row++)
                for (size_t c = 0; c < s.columns; c++) {
                    const float size = scaled ? scale[row] : 1;
                    equal &= same_float(*float_at(&x, row, c), bit_at(&bits, row, c) ? -size : size);
                }
            CHECK(equal);
            CHECK(gaps_are_filled(&x));
            free(x.at);
        }
        matrix x = make_matrix(s.rows, s.columns, gap), again = make_bits(s.rows, s.columns, 0);
        CHECK(ht_sign_unpack_i8(s.rows, s.columns, from, bits.stride, (int8_t *)x.at, x.stride, &options) == HT_OK);
        bool equal = true;
        for (size_t row = 0; row < s.rows; row++)
            for (size_t c = 0; c < s.columns; c++)
                equal &= ((int8_t *)row_of(&x, row))[c] == (bit_at(&bits, row, c) ? -1 : 1);
        CHECK(equal);
        CHECK(gaps_are_filled(&x));
        CHECK(pack(HT_DTYPE_I8, s, &x, NULL, &again, &options) == HT_OK);
        for (size_t row = 0; row < s.rows; row++) equal &= !memcmp(row_of(&again, row), row_of(&bits, row), bits.bytes);
        CHECK(equal);
        free(x.at), free(again.at);
    }
    free(bits.at), free(scale);
}

// MARK: formats and transposes

static void check_formats(shape s, size_t gap) {
    const size_t bytes = (s.columns + 7) / 8;
    for (int kind = 0; kind < 4; kind++) {
        checking("bit format %d, %zu x %zu, gap %zu", kind, s.rows, s.columns, gap);
        const ht_bit_format format = {kind & 1, kind >> 1};
        const ht_options options = {.threads = 1 + kind};
        matrix from = make_matrix(s.rows, bytes, gap), to = make_matrix(s.rows, bytes, gap);
        matrix bits = make_bits(s.rows, s.columns, gap * 8);
        for (size_t row = 0; row < s.rows; row++)
            for (size_t i = 0; i < bytes; i++) ((uint8_t *)row_of(&from, row))[i] = (uint8_t)next_random();
        uint64_t *words = (uint64_t *)(void *)bits.at;
        CHECK(ht_bits_import(s.rows, s.columns, &format, (uint8_t *)from.at, from.stride, words, bits.stride,
                             &options) == HT_OK);
        CHECK(ht_bits_export(s.rows, s.columns, &format, words, bits.stride, (uint8_t *)to.at, to.stride, &options) ==
              HT_OK);
        bool imported = true, exported = true;
        for (size_t row = 0; row < s.rows; row++)
            for (size_t k = 0; k < bytes * 8; k++) {
                const size_t place = kind & 1 ? 7 - k % 8 : k % 8;
                const bool bit = ((uint8_t *)row_of(&from, row))[k / 8] >> place & 1;
                const bool back = ((uint8_t *)row_of(&to, row))[k / 8] >> place & 1;
                if (k < s.columns) imported &= bit_at(&bits, row, k) == (bit != (kind >> 1));
                exported &= back == (k < s.columns ? bit : kind >> 1);
            }
        CHECK(imported);
        CHECK(exported);
        CHECK(tails_are_clear(&bits, s.columns));
        CHECK(gaps_are_filled(&bits) && gaps_are_filled(&to));
        free(from.at), free(to.at), free(bits.at);
    }
}

static void check_transpose(shape s, size_t gap) {
    matrix bits = make_bits(s.rows, s.columns, gap * 8);
    fill_bits(&bits, s.columns);
    ht_options options;
    EACH_ISA(options) {
        checking("bits_transpose, %zu x %zu, gap %zu, %s", s.rows, s.columns, gap, ht_isa_name(options.isa));
        matrix turned = make_bits(s.columns, s.rows, gap * 8), again = make_bits(s.rows, s.columns, 0);
        uint64_t *to = (uint64_t *)(void *)turned.at;
        CHECK(ht_bits_transpose(s.rows, s.columns, (uint64_t *)(void *)bits.at, bits.stride, to, turned.stride,
                                &options) == HT_OK);
        CHECK(ht_bits_transpose(s.columns, s.rows, to, turned.stride, (uint64_t *)(void *)again.at, again.stride,
                                &options) == HT_OK);
        bool equal = true;
        for (size_t row = 0; row < s.rows; row++) {
            for (size_t c = 0; c < s.columns; c++) equal &= bit_at(&turned, c, row) == bit_at(&bits, row, c);
            equal &= !memcmp(row_of(&again, row), row_of(&bits, row), bits.bytes);
        }
        CHECK(equal);
        CHECK(gaps_are_filled(&turned));
        CHECK(tails_are_clear(&turned, s.rows));
        free(turned.at), free(again.at);
    }
    free(bits.at);
}

// MARK: weights

static const ht_conv_shape weights[] = {
    {.channels = 64, .outputs = 16, .kernel_height = 1, .kernel_width = 1},
    {.channels = 200, .outputs = 37, .kernel_height = 1, .kernel_width = 1},
    {.channels = 96, .outputs = 18, .kernel_height = 3, .kernel_width = 3},
    {.channels = 128, .outputs = 48, .groups = 2, .kernel_height = 3, .kernel_width = 3},
    {.channels = 42, .outputs = 33, .groups = 3, .kernel_height = 2, .kernel_width = 5},
    {.channels = 3, .outputs = 5, .kernel_height = 7, .kernel_width = 7},
};

// Bits behind the last of a row do not matter, and threads do not either.
static void check_weights(const ht_conv_shape *shape, size_t gap) {
    const size_t columns =
        shape->kernel_height * shape->kernel_width * shape->channels / (shape->groups ? shape->groups : 1);
    checking("weights, %zu x %zu, gap %zu", shape->outputs, columns, gap);
    const ht_options one = {.threads = 1, .binary_design = HT_BINARY_DIRECT};
    const ht_options three = {.threads = 3, .binary_design = HT_BINARY_DIRECT};
    const ht_options wrong = {.threads = -1, .binary_design = HT_BINARY_DIRECT};
    matrix clean = make_bits(shape->outputs, columns, gap * 8), dirty = make_bits(shape->outputs, columns, gap * 8);
    matrix again = make_bits(shape->outputs, columns, gap * 16);
    fill_bits(&clean, columns);
    for (size_t row = 0; row < shape->outputs; row++)
        for (size_t c = 0; c < clean.bytes * 8; c++)
            set_bit(&dirty, row, c, c < columns ? bit_at(&clean, row, c) : next_random() & 1);
    size_t size;
    CHECK(ht_binary_conv_packed_size(shape, &one, &size) == HT_OK);
    char *first = ht_allocate(size), *second = ht_allocate(size);
    uint64_t *to = (uint64_t *)(void *)again.at;
    memset(first, 0x5a, size), memset(second, 0x5a, size);
    CHECK(ht_binary_conv_pack(shape, (uint64_t *)(void *)clean.at, clean.stride, first, size, &wrong) ==
          HT_ERROR_THREADS);
    CHECK(is_filled(first, size));
    CHECK(ht_binary_conv_pack(shape, (uint64_t *)(void *)clean.at, clean.stride, first, size, &one) == HT_OK);
    CHECK(ht_binary_conv_pack(shape, (uint64_t *)(void *)dirty.at, dirty.stride, second, size, &three) == HT_OK);
    CHECK(!memcmp(first, second, size));
    CHECK(ht_binary_conv_unpack(shape, first, size, to, again.stride, &wrong) == HT_ERROR_THREADS);
    CHECK(is_filled(again.at, (shape->outputs - 1) * again.stride + again.bytes));
    CHECK(ht_binary_conv_unpack(shape, first, size, to, again.stride, &three) == HT_OK);
    bool equal = true;
    for (size_t row = 0; row < shape->outputs; row++)
        equal &= !memcmp(row_of(&again, row), row_of(&clean, row), clean.bytes);
    CHECK(equal);
    CHECK(gaps_are_filled(&again));
    ht_free(first), ht_free(second), free(clean.at), free(dirty.at), free(again.at);
}

// MARK: estimators

// The formulas, zeros filled in by hand; `float` where the header says so.
static long double formula(const ht_sign_estimator *e, float x) {
    const long double size = fabsl((long double)x), power = e->power;
    switch (e->kind) {
    case HT_SIGN_CLIPPED: return size <= e->clip ? 1 : 0;
    case HT_SIGN_POLYNOMIAL: return size < 1 ? 2 - 2 * size : 0;
    case HT_SIGN_RESTE:
        if (size > e->clip) return 0;
        return size <= e->knee ? powl(e->knee, 1 / power) / e->knee : powl(size, (1 - power) / power) / power;
    default: return e->frequency * cosl((long double)e->frequency * x);
    }
}

static bool is_beyond(const ht_sign_estimator *e, float x) {
    return e->kind == HT_SIGN_POLYNOMIAL ? fabsf(x) >= 1 : e->kind != HT_SIGN_BIPER && fabsf(x) > e->clip;
}

// In units of the last place of a float near `exact`.
static double units(float got, long double exact) {
    int exponent;
    if (isinf(got) && fabsl(exact) > 3.4028235e38L) return 0;
    frexpl(exact, &exponent);
    return (double)(fabsl(got - exact) / ldexpl(1, exponent < -125 ? -149 : exponent - 24));
}

typedef struct estimator_case {
    ht_sign_estimator given, filled;
    double units;  // that the estimate may be off by
} estimator_case;

static const estimator_case estimators[] = {
    {{.kind = HT_SIGN_CLIPPED}, {HT_SIGN_CLIPPED, 1, 0, 0, 0}, 0},
    {{.kind = HT_SIGN_CLIPPED, .clip = 0.7f}, {HT_SIGN_CLIPPED, 0.7f, 0, 0, 0}, 0},
    {{.kind = HT_SIGN_POLYNOMIAL}, {HT_SIGN_POLYNOMIAL, 0, 0, 0, 0}, 0.5},
    {{.kind = HT_SIGN_RESTE}, {HT_SIGN_RESTE, 1.5f, 1, 0.1f, 0}, 0},
    {{.kind = HT_SIGN_RESTE, .power = 3}, {HT_SIGN_RESTE, 1.5f, 3, 0.1f, 0}, 0.51},
    {{.kind = HT_SIGN_RESTE, .power = 1.37f, .clip = 2}, {HT_SIGN_RESTE, 2, 1.37f, 0.1f, 0}, 0.51},
    {{.kind = HT_SIGN_RESTE, .power = 1e6f, .clip = 1e38f, .knee = 1e-44f},
     {HT_SIGN_RESTE, 1e38f, 1e6f, 1e-44f, 0},
     0.51},
    {{.kind = HT_SIGN_BIPER}, {HT_SIGN_BIPER, 0, 0, 0, 20}, 0.51},
    {{.kind = HT_SIGN_BIPER, .frequency = 1}, {HT_SIGN_BIPER, 0, 0, 0, 1}, 0.51},
    {{.kind = HT_SIGN_BIPER, .frequency = 33.3f}, {HT_SIGN_BIPER, 0, 0, 0, 33.3f}, 0.51}};

// All exponents, both signs; beyond |frequency x| = 2^16 BiPer is what it is for 0.
static float grid_float(void) {
    uint32_t bits = next_random();
    float x;
    if (next_random() % 2) bits = (bits & 0x807fffff) | (100 + next_random() % 40) << 23;
    memcpy(&x, &bits, sizeof x);
    return next_random() % 50 ? x : odd_floats[next_random() % COUNT(odd_floats)];
}

static float effective(const ht_sign_estimator *e, float x) {
    return e->kind == HT_SIGN_BIPER && fabs((double)e->frequency * (double)x) > 65536 ? 0 : x;
}

static void check_estimates(const estimator_case *estimator) {
    enum { count = 30000 };
    static float x[count], ones[count], first[count], dx[count];
    const ht_sign_estimator *e = &estimator->filled;
    for (size_t i = 0; i < count; i++) x[i] = grid_float(), ones[i] = 1;
    // Multiples of pi and halves of them, where sines and cosines are near zero.
    for (size_t i = 0; e->kind == HT_SIGN_BIPER && i < count / 2; i++)
        x[i] = (float)(acos(-1.0) / 2 * (double)(next_random() % 41720) / (double)e->frequency);
    ht_options options;
    EACH_ISA(options) {
        checking("estimator %d, power %g, %s", e->kind, (double)e->power, ht_isa_name(options.isa));
        CHECK(ht_sign_gradient_f32(1, count, &estimator->given, x, 0, NULL, ones, 0, dx, 0, &options) == HT_OK);
        if (isa_ == 0) memcpy(first, dx, sizeof dx);
        bool same = true;
        for (size_t i = 0; i < count; i++) same &= same_float(dx[i], first[i]);
        CHECK(same);
    }
    double worst = 0;
    bool is_zero = true, is_nan = true;
    for (size_t i = 0; i < count; i++) {
        if (isnan(x[i]))
            is_nan &= isnan(first[i]);
        else if (is_beyond(e, x[i]))
            is_zero &= same_float(first[i], 0);
        else
            worst = fmax(worst, units(first[i], formula(e, effective(e, x[i]))));
    }
    CHECK(is_zero);
    CHECK(is_nan);
    CHECK(worst <= estimator->units);
}

// dx = dy * estimate(x - threshold), with odd numbers everywhere; dx apart from dy and dy itself.
static void check_gradient(const ht_sign_estimator *e, shape s, size_t gap, bool has_threshold) {
    matrix x = make_matrix(s.rows, s.columns * 4, gap * 4), dy = make_matrix(s.rows, s.columns * 4, gap * 8);
    fill_floats(&x), fill_floats(&dy);
    float *threshold = has_threshold && s.rows ? make_threshold(HT_DTYPE_F32, s.columns, x.at) : NULL;
    // The estimates of the differences, which check_estimates looks at.
    matrix from = make_matrix(s.rows, s.columns * 4, 0), slope = make_matrix(s.rows, s.columns * 4, 0);
    matrix ones = make_matrix(s.rows, s.columns * 4, 0);
    for (size_t row = 0; row < s.rows; row++)
        for (size_t c = 0; c < s.columns; c++) {
            *float_at(&from, row, c) = *float_at(&x, row, c) - (threshold ? threshold[c] : 0);
            *float_at(&ones, row, c) = 1;
        }
    const ht_options reference = {.threads = 1, .isa = HT_ISA_REF};
    CHECK(ht_sign_gradient_f32(s.rows, s.columns, e, (float *)(void *)from.at, 0, NULL, (float *)(void *)ones.at, 0,
                               (float *)(void *)slope.at, 0, &reference) == HT_OK);
    ht_sign_estimator filled = *e;
    if (filled.clip == 0) filled.clip = e->kind == HT_SIGN_RESTE ? 1.5f : 1;
    ht_options options;
    EACH_ISA(options) {
        checking("gradient %d, %zu x %zu, gap %zu, %s", e->kind, s.rows, s.columns, gap, ht_isa_name(options.isa));
        for (int in_place = 0; in_place < 2; in_place++) {
            matrix dx = make_matrix(s.rows, s.columns * 4, dy.stride - dy.bytes);
            if (in_place)
                for (size_t row = 0; row < s.rows; row++) memcpy(row_of(&dx, row), row_of(&dy, row), dy.bytes);
            CHECK(ht_sign_gradient_f32(s.rows, s.columns, e, (float *)(void *)x.at, x.stride, threshold,
                                       (float *)(void *)(in_place ? dx.at : dy.at), dy.stride, (float *)(void *)dx.at,
                                       dx.stride, &options) == HT_OK);
            bool equal = true;
            for (size_t row = 0; row < s.rows; row++)
                for (size_t c = 0; c < s.columns; c++) {
                    const float d = *float_at(&from, row, c);
                    const float expected = isnan(d)                ? NAN
                                           : is_beyond(&filled, d) ? 0
                                                                   : *float_at(&dy, row, c) * *float_at(&slope, row, c);
                    equal &= same_float(*float_at(&dx, row, c), expected);
                }
            CHECK(equal);
            CHECK(gaps_are_filled(&dx));
            free(dx.at);
        }
    }
    free(x.at), free(dy.at), free(threshold), free(from.at), free(slope.at), free(ones.at);
}

static void check_clipped(shape s, size_t gap, bool has_threshold) {
    const float clip = 0.75f;
    matrix x = make_matrix(s.rows, s.columns * 4, gap * 4), dy = make_matrix(s.rows, s.columns * 4, gap * 8);
    fill_floats(&x), fill_floats(&dy);
    float *threshold = has_threshold && s.rows ? make_threshold(HT_DTYPE_F32, s.columns, x.at) : NULL;
    ht_options options;
    EACH_ISA(options) {
        checking("clipped, %zu x %zu, gap %zu, %s", s.rows, s.columns, gap, ht_isa_name(options.isa));
        matrix bits = make_bits(s.rows, s.columns, gap * 8), inside = make_bits(s.rows, s.columns, gap * 16);
        matrix dx = make_matrix(s.rows, s.columns * 4, gap * 4);
        CHECK(ht_sign_pack_clipped_f32(s.rows, s.columns, clip, (float *)(void *)x.at, x.stride, threshold,
                                       (uint64_t *)(void *)bits.at, bits.stride, (uint64_t *)(void *)inside.at,
                                       inside.stride, &options) == HT_OK);
        CHECK(ht_sign_gradient_clipped_f32(s.rows, s.columns, (uint64_t *)(void *)inside.at, inside.stride,
                                           (float *)(void *)dy.at, dy.stride, (float *)(void *)dx.at, dx.stride,
                                           &options) == HT_OK);
        bool packed = true, passed = true;
        for (size_t row = 0; row < s.rows; row++)
            for (size_t c = 0; c < s.columns; c++) {
                const float level = threshold ? threshold[c] : 0, v = *float_at(&x, row, c), d = v - level;
                packed &= bit_at(&bits, row, c) == (v < level) && bit_at(&inside, row, c) == (fabsf(d) <= clip);
                passed &= same_float(*float_at(&dx, row, c), fabsf(d) <= clip ? *float_at(&dy, row, c) : 0);
            }
        CHECK(packed);
        CHECK(passed);
        CHECK(tails_are_clear(&bits, s.columns) && tails_are_clear(&inside, s.columns));
        CHECK(gaps_are_filled(&bits) && gaps_are_filled(&inside) && gaps_are_filled(&dx));
        // dx may be dy.
        matrix same = make_matrix(s.rows, dy.bytes, 0);
        for (size_t row = 0; row < s.rows; row++) memcpy(row_of(&same, row), row_of(&dy, row), dy.bytes);
        float *in_place = (float *)(void *)same.at;
        CHECK(ht_sign_gradient_clipped_f32(s.rows, s.columns, (uint64_t *)(void *)inside.at, inside.stride, in_place, 0,
                                           in_place, 0, &options) == HT_OK);
        for (size_t row = 0; row < s.rows; row++)
            for (size_t c = 0; c < s.columns; c++)
                passed &= same_float(*float_at(&same, row, c), *float_at(&dx, row, c));
        CHECK(passed);
        free(bits.at), free(inside.at), free(dx.at), free(same.at);
    }
    free(x.at), free(dy.at), free(threshold);
}

// Exact wherever |frequency x| is not beyond 2^16, next to the multiples of pi above all.
static void check_wave(float frequency, shape s, size_t gap) {
    const float filled = frequency == 0 ? 20 : frequency;
    matrix x = make_matrix(s.rows, s.columns * 4, gap * 4);
    for (size_t row = 0; row < s.rows; row++)
        for (size_t c = 0; c < s.columns; c++) {
            const double multiple = acos(-1.0) * ((double)(next_random() % 41720) - 20860);
            *float_at(&x, row, c) = next_random() % 2 ? grid_float() : (float)(multiple / (double)filled);
        }
    ht_options options;
    EACH_ISA(options) {
        checking("wave %g, %zu x %zu, %s", (double)frequency, s.rows, s.columns, ht_isa_name(options.isa));
        matrix bits = make_bits(s.rows, s.columns, gap * 8);
        CHECK(ht_sign_pack_periodic_f32(s.rows, s.columns, frequency, (float *)(void *)x.at, x.stride,
                                        (uint64_t *)(void *)bits.at, bits.stride, &options) == HT_OK);
        bool equal = true;
        for (size_t row = 0; row < s.rows; row++)
            for (size_t c = 0; c < s.columns; c++) {
                const double angle = (double)filled * (double)*float_at(&x, row, c);
                equal &= bit_at(&bits, row, c) == (fabs(angle) <= 65536 && sinl((long double)angle) < 0);
            }
        CHECK(equal);
        CHECK(tails_are_clear(&bits, s.columns));
        CHECK(gaps_are_filled(&bits));
        free(bits.at);
    }
    free(x.at);
}

// MARK: errors

static float floats[64];
static int8_t bytes[64];
static uint64_t words[8], more_words[8];
static float result[64];

// Calls that differ in one argument from one that holds.
typedef struct arguments {
    size_t rows, columns, from_stride, to_stride;
    const void *from, *threshold;
    void *to;
    ht_options options;
} arguments;

typedef ht_status function(const arguments *a);

static ht_status call_pack_f32(const arguments *a) {
    return ht_sign_pack_f32(a->rows, a->columns, a->from, a->from_stride, a->threshold, a->to, a->to_stride,
                            &a->options);
}
static ht_status call_pack_f16(const arguments *a) {
    return ht_sign_pack_f16(a->rows, a->columns, a->from, a->from_stride, a->threshold, a->to, a->to_stride,
                            &a->options);
}
static ht_status call_pack_bf16(const arguments *a) {
    return ht_sign_pack_bf16(a->rows, a->columns, a->from, a->from_stride, a->threshold, a->to, a->to_stride,
                             &a->options);
}
static ht_status call_pack_i8(const arguments *a) {
    return ht_sign_pack_i8(a->rows, a->columns, a->from, a->from_stride, a->threshold, a->to, a->to_stride,
                           &a->options);
}
static ht_status call_unpack_f32(const arguments *a) {
    return ht_sign_unpack_f32(a->rows, a->columns, a->from, a->from_stride, a->threshold, a->to, a->to_stride,
                              &a->options);
}
static ht_status call_unpack_i8(const arguments *a) {
    return ht_sign_unpack_i8(a->rows, a->columns, a->from, a->from_stride, a->to, a->to_stride, &a->options);
}
static ht_status call_gradient(const arguments *a) {
    const ht_sign_estimator e = {.kind = HT_SIGN_CLIPPED};
    return ht_sign_gradient_f32(a->rows, a->columns, &e, a->from, a->from_stride, a->threshold, floats, 0, a->to,
                                a->to_stride, &a->options);
}
static ht_status call_pack_clipped(const arguments *a) {
    return ht_sign_pack_clipped_f32(a->rows, a->columns, 1, a->from, a->from_stride, a->threshold, a->to, a->to_stride,
                                    more_words, 0, &a->options);
}
static ht_status call_gradient_clipped(const arguments *a) {
    return ht_sign_gradient_clipped_f32(a->rows, a->columns, a->from, a->from_stride, floats, 0, a->to, a->to_stride,
                                        &a->options);
}
static ht_status call_pack_periodic(const arguments *a) {
    return ht_sign_pack_periodic_f32(a->rows, a->columns, 0, a->from, a->from_stride, a->to, a->to_stride, &a->options);
}
static ht_status call_import(const arguments *a) {
    const ht_bit_format format = {1, 1};
    return ht_bits_import(a->rows, a->columns, &format, a->from, a->from_stride, a->to, a->to_stride, &a->options);
}
static ht_status call_export(const arguments *a) {
    const ht_bit_format format = {1, 1};
    return ht_bits_export(a->rows, a->columns, &format, a->from, a->from_stride, a->to, a->to_stride, &a->options);
}
static ht_status call_transpose(const arguments *a) {
    return ht_bits_transpose(a->rows, a->columns, a->from, a->from_stride, a->to, a->to_stride, &a->options);
}

static const struct {
    const char *name;
    function *run;
    const void *from;
    size_t from_size, to_size;  // of an element in bytes; 0: bits
    bool takes_threshold, picks_isa;
} functions[] = {{"pack_f32", call_pack_f32, floats, 4, 0, true, true},
                 {"pack_f16", call_pack_f16, floats, 2, 0, true, true},
                 {"pack_bf16", call_pack_bf16, floats, 2, 0, true, true},
                 {"pack_i8", call_pack_i8, bytes, 1, 0, true, true},
                 {"unpack_f32", call_unpack_f32, words, 0, 4, true, true},
                 {"unpack_i8", call_unpack_i8, words, 0, 1, false, true},
                 {"gradient", call_gradient, floats, 4, 4, true, true},
                 {"pack_clipped", call_pack_clipped, floats, 4, 0, true, true},
                 {"gradient_clipped", call_gradient_clipped, words, 0, 4, false, true},
                 {"pack_periodic", call_pack_periodic, floats, 4, 0, false, true},
                 {"import", call_import, bytes, 1, 0, false, false},
                 {"export", call_export, words, 0, 1, false, false},
                 {"transpose", call_transpose, words, 0, 0, false, true}};

static void expect(size_t i, arguments a, ht_status status) {
    memset(result, 0x5a, sizeof result);
    CHECK(functions[i].run(&a) == status);
    CHECK(is_filled(result, sizeof result));
}

static void check_errors(size_t i) {
    const arguments good = {.rows = 2, .columns = 8, .from = functions[i].from, .to = result};
    const size_t from_unit = functions[i].from_size ? functions[i].from_size : 8;
    const size_t to_unit = functions[i].to_size ? functions[i].to_size : 8;
    arguments a = good;
    checking("errors of %s", functions[i].name);
    CHECK(functions[i].run(&a) == HT_OK);
    a.from = NULL, expect(i, a, HT_ERROR_NULL), a = good;
    a.to = NULL, expect(i, a, HT_ERROR_NULL), a = good;
    a.options.threads = -1, expect(i, a, HT_ERROR_THREADS), a = good;
    a.rows = (size_t)1 << 62, expect(i, a, HT_ERROR_OVERFLOW), a = good;
    if (functions[i].picks_isa) a.options.isa = (ht_isa)99, expect(i, a, HT_ERROR_ISA), a = good;
    if (from_unit > 1) {
        a.from = (const char *)good.from + 1, expect(i, a, HT_ERROR_ALIGNMENT), a = good;
        a.from_stride = 64 + from_unit / 2, expect(i, a, HT_ERROR_STRIDE), a = good;
    }
    if (to_unit > 1) {
        a.to = (char *)good.to + 1, expect(i, a, HT_ERROR_ALIGNMENT), a = good;
        a.to_stride = 64 + to_unit / 2, expect(i, a, HT_ERROR_STRIDE), a = good;
    }
    a.columns = 72, a.rows = 72, a.from_stride = 8, expect(i, a, HT_ERROR_STRIDE), a = good;
    a.columns = 72, a.rows = 72, a.to_stride = 8, expect(i, a, HT_ERROR_STRIDE), a = good;
    if (functions[i].takes_threshold) a.threshold = bytes + 1, expect(i, a, HT_ERROR_ALIGNMENT), a = good;
    a.rows = 0, a.from = NULL, a.to = NULL;
    CHECK(functions[i].run(&a) == HT_OK);
    a = good, a.columns = 0, a.from = NULL, a.to = NULL;
    CHECK(functions[i].run(&a) == HT_OK);
}

static void check_estimator_errors(void) {
    static const ht_sign_estimator wrong[] = {{.kind = (ht_sign_estimator_kind)4},
                                              {.kind = HT_SIGN_CLIPPED, .clip = -1},
                                              {.kind = HT_SIGN_CLIPPED, .clip = NAN},
                                              {.kind = HT_SIGN_CLIPPED, .clip = INFINITY},
                                              {.kind = HT_SIGN_RESTE, .power = 0.9f},
                                              {.kind = HT_SIGN_RESTE, .power = NAN},
                                              {.kind = HT_SIGN_RESTE, .power = INFINITY},
                                              {.kind = HT_SIGN_RESTE, .knee = -0.1f},
                                              {.kind = HT_SIGN_RESTE, .knee = 2},
                                              {.kind = HT_SIGN_RESTE, .knee = NAN},
                                              {.kind = HT_SIGN_RESTE, .clip = INFINITY},
                                              {.kind = HT_SIGN_BIPER, .frequency = -20},
                                              {.kind = HT_SIGN_BIPER, .frequency = INFINITY},
                                              {.kind = HT_SIGN_BIPER, .frequency = NAN}};
    memset(result, 0x5a, sizeof result);
    for (size_t i = 0; i < COUNT(wrong); i++) {
        checking("wrong estimator %zu", i);
        CHECK(ht_sign_gradient_f32(1, 8, &wrong[i], floats, 0, NULL, floats, 0, result, 0, NULL) == HT_ERROR_ESTIMATOR);
    }
    checking("wrong clips and frequencies");
    uint64_t *to = (uint64_t *)(void *)result;
    static const float clips[] = {0, -1, INFINITY, NAN};
    for (size_t i = 0; i < COUNT(clips); i++)
        CHECK(ht_sign_pack_clipped_f32(1, 8, clips[i], floats, 0, NULL, to, 0, to + 1, 0, NULL) == HT_ERROR_ESTIMATOR);
    CHECK(ht_sign_pack_periodic_f32(1, 8, -1, floats, 0, to, 0, NULL) == HT_ERROR_ESTIMATOR);
    CHECK(ht_sign_pack_periodic_f32(1, 8, NAN, floats, 0, to, 0, NULL) == HT_ERROR_ESTIMATOR);
    CHECK(ht_sign_gradient_f32(1, 8, NULL, floats, 0, NULL, floats, 0, result, 0, NULL) == HT_ERROR_NULL);
    CHECK(ht_bits_import(1, 8, NULL, (uint8_t *)bytes, 0, to, 0, NULL) == HT_ERROR_NULL);
    CHECK(ht_bits_export(1, 8, NULL, words, 0, (uint8_t *)to, 0, NULL) == HT_ERROR_NULL);
    CHECK(is_filled(result, sizeof result));
}

void test_signs(void) {
    isa_count = runnable("signs", isas, COUNT(isas));
    CHECK(isa_count > 0);
    for (size_t i = 0; i < COUNT(shapes); i++)
        for (size_t gap = 0; gap < 4; gap += 3) {
            for (int has_threshold = 0; has_threshold < 2; has_threshold++) {
                for (size_t t = 0; t < COUNT(packed_types); t++)
                    check_pack(packed_types[t], shapes[i], gap, has_threshold);
                for (size_t e = 0; e < COUNT(estimators); e++)
                    if (shapes[i].columns < 1000 || e % 3 == 0)
                        check_gradient(&estimators[e].given, shapes[i], gap, has_threshold);
                check_clipped(shapes[i], gap, has_threshold);
            }
            check_unpack(shapes[i], gap);
            check_formats(shapes[i], gap);
            check_wave(gap ? 0 : 7.5f, shapes[i], gap);
            check_transpose(shapes[i], gap);
        }
    static const shape blocks[] = {{64, 64}, {512, 512}, {513, 511}, {1, 1100}, {577, 65}};
    for (size_t i = 0; i < COUNT(blocks); i++) check_transpose(blocks[i], i % 2);
    for (size_t i = 0; i < COUNT(weights); i++) check_weights(&weights[i], i % 2), check_weights(&weights[i], 0);
    for (size_t e = 0; e < COUNT(estimators); e++) check_estimates(&estimators[e]);
    for (size_t i = 0; i < COUNT(functions); i++) check_errors(i);
    check_estimator_errors();
}
