// SPDX-License-Identifier: Apache-2.0
// Weight gradients, dense and sampled. The expected values come from plain loops: exact chains for the bits, double
// precision for the size of errors, central differences of a loss for what a gradient is.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

static bool same_bits(float a, float b) { return (isnan(a) && isnan(b)) || !memcmp(&a, &b, sizeof a); }

// Numbers around 1; now and then zeros of both signs and, where `wild`, numbers whose products underflow, infinities
// and NaNs.
static void fill(float *values, size_t count, bool wild) {
    static const float odd[] = {0, -0.0f, 1e-30f, -1e-30f, INFINITY, -INFINITY, NAN};
    for (size_t i = 0; i < count; i++) {
        uint32_t kind = next_random() % 64;
        values[i] = (float)next_random() / 0x1p31f - 1;
        if (kind < (wild ? COUNT(odd) : 2)) values[i] = odd[kind];
    }
}

// MARK: operands

// dY and X of t samples; behind each line but the last there is a gap of some floats.
typedef struct operands {
    size_t t, o, k, gap;
    ht_order order;
    float *dy, *x;
} operands;

static size_t line_length(const operands *a, size_t features) {
    return (a->order == HT_ORDER_ROWS ? features : a->t) + a->gap;
}

static size_t line_count(const operands *a, size_t features) { return a->order == HT_ORDER_ROWS ? a->t : features; }

// Without the gap behind the last line.
static size_t matrix_size(const operands *a, size_t features) {
    size_t lines = line_count(a, features);
    return lines ? lines * line_length(a, features) - a->gap : 0;
}

static float at(const operands *a, const float *matrix, size_t features, size_t t, size_t feature) {
    bool by_rows = a->order == HT_ORDER_ROWS;
    return matrix[(by_rows ? t : feature) * line_length(a, features) + (by_rows ? feature : t)];
}

static operands make_operands(size_t t, size_t o, size_t k, ht_order order, size_t gap, bool wild) {
    operands a = {.t = t, .o = o, .k = k, .gap = gap, .order = order};
    a.dy = allocate(matrix_size(&a, o) * sizeof(float));
    a.x = allocate(matrix_size(&a, k) * sizeof(float));
    fill(a.dy, matrix_size(&a, o), wild);
    fill(a.x, matrix_size(&a, k), wild);
    return a;
}

static void free_operands(operands *a) { free(a->dy), free(a->x); }

static size_t stride(const operands *a, size_t features) {
    return a->gap ? line_length(a, features) * sizeof(float) : 0;
}

// |gradient - exact| <= gamma(terms) * sum |dy x|
static bool is_near(const operands *a, float gradient, size_t row, size_t column) {
    double exact = 0, size = 0, error = (double)(a->t + 16) * 0x1p-24;
    for (size_t t = 0; t < a->t; t++) {
        double term = (double)at(a, a->dy, a->o, t, row) * (double)at(a, a->x, a->k, t, column);
        exact += term, size += fabs(term);
    }
    return fabs((double)gradient - exact) <= error / (1 - error) * size + (double)(a->t + 1) * 0x1p-149;
}

// MARK: dense

static ht_status run_dense(const operands *a, float *dw, size_t dw_stride, const ht_options *options) {
    return ht_weight_gradient_f32(a->t, a->o, a->k, a->dy, stride(a, a->o), a->x, stride(a, a->k), dw, dw_stride,
                                  options);
}

static float dense_chain(const operands *a, size_t row, size_t column) {
    float sum = 0;
    for (size_t t = 0; t < a->t; t++) sum = fmaf(at(a, a->dy, a->o, t, row), at(a, a->x, a->k, t, column), sum);
    return sum;
}

// All rows of the table, and whatever no ISA asked for gives.
static void test_dense_shape(size_t t, size_t o, size_t k, size_t gap, bool wild) {
    operands a = make_operands(t, o, k, HT_ORDER_ROWS, gap, wild);
    size_t length = k + gap, size = o && k ? o * length - gap : 0;
    float *dw = allocate(size * sizeof *dw);
    ht_isa rows[16];
    size_t row_count = runnable("weight_gradient_f32", rows, COUNT(rows));
    CHECK(row_count > 0 && rows[row_count - 1] == HT_ISA_REF);
    rows[row_count++] = HT_ISA_AUTO;
    for (size_t i = 0; i < row_count; i++)
        for (int threads = 1; threads <= 3; threads += 2) {
            checking("dense gradient %zux%zux%zu, gap %zu, %s, %d threads", t, o, k, gap, ht_isa_name(rows[i]),
                     threads);
            ht_options options = {.threads = threads, .isa = rows[i]};
            for (size_t j = 0; j < size; j++) dw[j] = 77;
            CHECK(run_dense(&a, dw, gap ? length * sizeof *dw : 0, &options) == HT_OK);
            bool good = true;
            for (size_t j = 0; j < size; j++) {
                size_t row = j / length, column = j % length;
                if (column >= k)
                    good &= dw[j] == 77;
                else if (rows[i] == HT_ISA_AUTO)
                    good &= wild || is_near(&a, dw[j], row, column);
                else
                    good &= same_bits(dw[j], dense_chain(&a, row, column)) && (wild || is_near(&a, dw[j], row, column));
            }
            CHECK(good);
        }
    free(dw);
    free_operands(&a);
}

static void test_dense(void) {
    static const size_t shapes[][3] = {{0, 3, 5},    {1, 1, 1},     {3, 0, 4},     {3, 4, 0},    {7, 5, 13},
                                       {16, 8, 48},  {17, 9, 49},   {31, 97, 3},   {2, 241, 50}, {5, 53, 101},
                                       {64, 64, 64}, {513, 11, 17}, {1030, 26, 33}};
    for (size_t i = 0; i < COUNT(shapes); i++) test_dense_shape(shapes[i][0], shapes[i][1], shapes[i][2], i % 3, i % 2);
}

// MARK: sampled

typedef struct pattern {
    size_t n, m;
    ht_dtype dtype;
    int shared_rows;
} pattern;

// Weights packed with a mask of their own, and the columns of their entries.
typedef struct sample {
    size_t entries;  // of a row
    uint32_t *columns;
    void *packed;
    size_t packed_size;
} sample;

// Up to n columns of a group, in half of the groups fewer; then what packing fills it up with. Rows that share a
// pattern do as the first of them.
static void choose_columns(const pattern *p, size_t k, uint8_t *mask, uint32_t *columns) {
    size_t entries = 0;
    for (size_t c = 0; c < k; c += p->m) {
        size_t count = k - c < p->m ? k - c : p->m, kept = p->n < count ? p->n : count;
        size_t chosen = next_random() % 2 ? kept : next_random() % (kept + 1);
        bool is_entry[64] = {false};
        for (size_t i = 0; i < chosen;) {
            size_t place = next_random() % count;
            if (is_entry[place]) continue;
            is_entry[place] = true, i++;
            mask[(c + place) / 8] |= (uint8_t)(1 << (c + place) % 8);
        }
        for (size_t place = 0; chosen < kept; place++)
            if (!is_entry[place]) is_entry[place] = true, chosen++;
        for (size_t place = 0; place < count; place++)
            if (is_entry[place]) columns[entries++] = (uint32_t)(c + place);
    }
}

static ht_status pack(const pattern *p, size_t o, size_t k, const void *w, const uint8_t *mask, const sample *s,
                      const ht_options *options) {
    switch (p->dtype) {
    case HT_DTYPE_F16: return ht_nm_pack_f16(o, k, p->n, p->m, w, 0, mask, 0, s->packed, s->packed_size, options);
    case HT_DTYPE_BF16: return ht_nm_pack_bf16(o, k, p->n, p->m, w, 0, mask, 0, s->packed, s->packed_size, options);
    case HT_DTYPE_I8: return ht_nm_pack_i8(o, k, p->n, p->m, w, 0, mask, 0, s->packed, s->packed_size, options);
    default: return ht_nm_pack_f32(o, k, p->n, p->m, w, 0, mask, 0, s->packed, s->packed_size, options);
    }
}

static sample make_sample(const pattern *p, size_t o, size_t k) {
    sample s = {.entries = k / p->m * p->n + (k % p->m < p->n ? k % p->m : p->n)};
    size_t mask_bytes = (k + 7) / 8, together = p->shared_rows ? (size_t)p->shared_rows : 1;
    uint8_t *mask = calloc(o * mask_bytes + 1, 1), *w = calloc(o * k + 1, ht_dtype_size(p->dtype));
    s.columns = allocate(o * s.entries * sizeof *s.columns);
    if (!mask || !w) exit(2);
    for (size_t row = 0; row < o; row++) {
        uint8_t *of_row = mask + row * mask_bytes;
        uint32_t *columns = s.columns + row * s.entries;
        if (row % together) {
            memcpy(of_row, of_row - mask_bytes, mask_bytes);
            memcpy(columns, columns - s.entries, s.entries * sizeof *columns);
        } else {
            choose_columns(p, k, of_row, columns);
        }
    }
    ht_options options = {.shared_rows = p->shared_rows};
    CHECK(ht_nm_packed_size(o, k, p->n, p->m, p->dtype, &options, &s.packed_size) == HT_OK);
    s.packed = ht_allocate(s.packed_size);
    CHECK(s.packed && pack(p, o, k, w, mask, &s, &options) == HT_OK);
    free(mask), free(w);
    return s;
}

static void free_sample(sample *s) {
    free(s->columns);
    ht_free(s->packed);
}

static void expect_columns(const sample *s, size_t o, size_t k) {
    size_t entries = 77, length = s->entries + 1;
    uint32_t *columns = allocate(o * length * sizeof *columns);
    CHECK(ht_nm_row_entries(s->packed, s->packed_size, &entries) == HT_OK && entries == s->entries);
    for (size_t i = 0; i < o * length; i++) columns[i] = 77777;
    CHECK(ht_nm_entry_columns(o, k, s->packed, s->packed_size, columns, length * sizeof *columns) == HT_OK);
    bool good = true;
    for (size_t i = 0; i < o * length; i++) {
        size_t row = i / length, e = i % length;
        good &= columns[i] == (e < s->entries ? s->columns[row * s->entries + e] : 77777);
    }
    CHECK(good);
    free(columns);
}

static ht_status run_sampled(const operands *a, const sample *s, float *gradient, size_t gradient_stride,
                             const ht_options *options) {
    return ht_nm_sampled_gradient_f32(a->t, a->o, a->k, a->dy, stride(a, a->o), a->x, stride(a, a->k), s->packed,
                                      s->packed_size, gradient, gradient_stride, options);
}

// 16 chains by t mod 16, added as the header says.
static float sampled_sum(const operands *a, size_t row, size_t column) {
    float s[16] = {0};
    for (size_t t = 0; t < a->t; t++)
        s[t % 16] = fmaf(at(a, a->dy, a->o, t, row), at(a, a->x, a->k, t, column), s[t % 16]);
    for (size_t i = 0; i < 8; i++) s[i] = s[i] + s[i + 8];
    return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
}

static void test_sampled_shape(const pattern *p, size_t t, size_t o, size_t k, ht_order order, size_t gap, bool wild) {
    operands a = make_operands(t, o, k, order, gap, wild);
    sample s = make_sample(p, o, k);
    size_t length = s.entries + gap, size = o && s.entries ? o * length - gap : 0;
    float *gradient = allocate(size * sizeof *gradient);
    ht_isa rows[16];
    size_t row_count = runnable("nm_sampled_gradient_f32", rows, COUNT(rows));
    CHECK(row_count > 0 && rows[row_count - 1] == HT_ISA_REF);
    for (size_t i = 0; i < row_count; i++)
        for (int threads = 1; threads <= 3; threads += 2) {
            checking("sampled gradient %zux%zux%zu %zu:%zu type %d, %d share, order %d, gap %zu, %s, %d threads", t, o,
                     k, p->n, p->m, (int)p->dtype, p->shared_rows, (int)order, gap, ht_isa_name(rows[i]), threads);
            ht_options options = {.threads = threads, .isa = rows[i], .x_order = order};
            for (size_t j = 0; j < size; j++) gradient[j] = 77;
            CHECK(run_sampled(&a, &s, gradient, gap ? length * sizeof *gradient : 0, &options) == HT_OK);
            bool good = true;
            for (size_t j = 0; j < size; j++) {
                size_t row = j / length, e = j % length;
                if (e >= s.entries) {
                    good &= gradient[j] == 77;
                    continue;
                }
                size_t column = s.columns[row * s.entries + e];
                good &= same_bits(gradient[j], sampled_sum(&a, row, column));
                good &= wild || is_near(&a, gradient[j], row, column);
            }
            CHECK(good);
        }
    expect_columns(&s, o, k);
    free(gradient);
    free_sample(&s);
    free_operands(&a);
}

// Every index code, blocks and windows that end in the middle, samples in one part and in many.
static void test_sampled(void) {
    static const size_t shapes[][3] = {{0, 3, 5},      {1, 1, 1},      {5, 3, 17},    {16, 16, 64},
                                       {33, 19, 130},  {128, 37, 40},  {130, 7, 300}, {9, 530, 33},
                                       {300, 17, 257}, {1100, 5, 140}, {4, 0, 9},     {4, 9, 0}};
    static const pattern patterns[] = {
        {1, 1, HT_DTYPE_F32, 0}, {1, 2, HT_DTYPE_F32, 1},  {2, 4, HT_DTYPE_F32, 4},   {1, 4, HT_DTYPE_BF16, 1},
        {2, 8, HT_DTYPE_F16, 2}, {1, 8, HT_DTYPE_F32, 1},  {1, 8, HT_DTYPE_I8, 1},    {1, 16, HT_DTYPE_F32, 8},
        {2, 16, HT_DTYPE_I8, 2}, {4, 8, HT_DTYPE_F32, 1},  {8, 16, HT_DTYPE_BF16, 4}, {3, 4, HT_DTYPE_I8, 1},
        {3, 7, HT_DTYPE_F32, 1}, {3, 7, HT_DTYPE_I8, 4},   {1, 32, HT_DTYPE_F32, 1},  {5, 64, HT_DTYPE_F32, 2},
        {1, 64, HT_DTYPE_I8, 1}, {1, 48, HT_DTYPE_F16, 1}, {64, 64, HT_DTYPE_F32, 1}, {20, 33, HT_DTYPE_F32, 8}};
    for (size_t i = 0; i < COUNT(shapes); i++)
        for (size_t j = 0; j < COUNT(patterns); j++)
            test_sampled_shape(&patterns[j], shapes[i][0], shapes[i][1], shapes[i][2], (i + j / 2) % 2, (i + j) % 3,
                               (i + j) % 4 == 0);
}

// MARK: what a gradient is

// The loss is the sum of sin(y) over Y = X * transpose(W); `moved` is added to one weight.
static double loss(const operands *a, const double *w, size_t place, double moved) {
    double sum = 0;
    for (size_t t = 0; t < a->t; t++)
        for (size_t row = 0; row < a->o; row++) {
            double y = 0;
            for (size_t c = 0; c < a->k; c++) {
                size_t i = row * a->k + c;
                y += (double)at(a, a->x, a->k, t, c) * (w[i] + (i == place ? moved : 0));
            }
            sum += sin(y);
        }
    return sum;
}

static void test_central_differences(void) {
    enum { t = 19, o = 6, k = 24 };
    static const double step = 1e-5;
    const pattern p = {1, 4, HT_DTYPE_F32, 1};
    operands a = make_operands(t, o, k, HT_ORDER_ROWS, 0, false);
    sample s = make_sample(&p, o, k);
    double w[o * k] = {0};
    for (size_t i = 0; i < o * s.entries; i++) w[i / s.entries * k + s.columns[i]] = (double)next_random() / 0x1p31 - 1;
    for (size_t i = 0; i < t * o; i++) {
        double y = 0;
        for (size_t c = 0; c < k; c++) y += (double)a.x[i / o * k + c] * w[i % o * k + c];
        a.dy[i] = (float)cos(y);
    }
    float dense[o * k], sampled[o * k];
    checking("central differences");
    CHECK(run_dense(&a, dense, 0, NULL) == HT_OK);
    CHECK(run_sampled(&a, &s, sampled, 0, NULL) == HT_OK);
    bool near = true;
    for (size_t i = 0; i < o * k; i++) {
        double slope = (loss(&a, w, i, step) - loss(&a, w, i, -step)) / (2 * step);
        near &= fabs((double)dense[i] - slope) < 1e-5;
        for (size_t e = 0; e < s.entries; e++)
            if (s.columns[i / k * s.entries + e] == i % k)
                near &= fabs((double)sampled[i / k * s.entries + e] - slope) < 1e-5;
    }
    CHECK(near);
    free_sample(&s);
    free_operands(&a);
}

// MARK: bad arguments

#define EXPECT(status, call)                                                                       \
    do {                                                                                           \
        CHECK((call) == (status));                                                                 \
        for (size_t byte_ = 0; byte_ < sizeof output; byte_++) untouched &= output[byte_] == 0x5a; \
    } while (0)

static void test_dense_errors(void) {
    enum { t = 3, o = 4, k = 5 };
    _Alignas(64) char output[o * k * sizeof(float)];
    float dy[t * o] = {0}, x[t * k] = {0}, *dw = (float *)output;
    bool untouched = true;
    checking("errors of dense gradients");
    memset(output, 0x5a, sizeof output);
    EXPECT(HT_ERROR_NULL, ht_weight_gradient_f32(t, o, k, NULL, 0, x, 0, dw, 0, NULL));
    EXPECT(HT_ERROR_NULL, ht_weight_gradient_f32(t, o, k, dy, 0, NULL, 0, dw, 0, NULL));
    EXPECT(HT_ERROR_NULL, ht_weight_gradient_f32(t, o, k, dy, 0, x, 0, NULL, 0, NULL));
    EXPECT(HT_ERROR_STRIDE, ht_weight_gradient_f32(t, o, k, dy, o * 4 - 4, x, 0, dw, 0, NULL));
    EXPECT(HT_ERROR_STRIDE, ht_weight_gradient_f32(t, o, k, dy, 0, x, k * 4 + 2, dw, 0, NULL));
    EXPECT(HT_ERROR_STRIDE, ht_weight_gradient_f32(t, o, k, dy, 0, x, 0, dw, 4, NULL));
    EXPECT(HT_ERROR_ALIGNMENT, ht_weight_gradient_f32(t, o, k, dy, 0, x, 0, (float *)(output + 1), 0, NULL));
    EXPECT(HT_ERROR_OVERFLOW, ht_weight_gradient_f32(SIZE_MAX / 2, o, k, dy, 0, x, 0, dw, 0, NULL));
    EXPECT(HT_ERROR_OVERFLOW, ht_weight_gradient_f32(t, o, SIZE_MAX / 2, dy, 0, x, 0, dw, 0, NULL));
    EXPECT(HT_ERROR_THREADS, ht_weight_gradient_f32(t, o, k, dy, 0, x, 0, dw, 0, &(ht_options){.threads = -1}));
    EXPECT(HT_ERROR_ISA, ht_weight_gradient_f32(t, o, k, dy, 0, x, 0, dw, 0, &(ht_options){.isa = (ht_isa)99}));
    CHECK(untouched);
}

// Weights of as many bytes or columns that are no matrix of forward entries.
static void test_other_weights(void) {
    enum { t = 3, o = 4, k = 16 };
    static const ht_conv_shape two_taps = {
        .height = 1, .width = 2, .channels = k / 2, .outputs = o, .kernel_height = 1, .kernel_width = 2};
    float dy[t * o] = {0}, x[t * k] = {0}, w[o * k] = {0}, gradient[o * k];
    uint32_t columns[o * k];
    size_t backward_size, conv_size, entries;
    checking("gradients of other weights");
    CHECK(ht_nm_backward_packed_size(o, k, 2, 4, HT_DTYPE_F32, NULL, NULL, &backward_size) == HT_OK);
    CHECK(ht_nm_conv_packed_size(&two_taps, 2, 4, HT_DTYPE_F32, NULL, &conv_size) == HT_OK);
    void *backward = ht_allocate(backward_size), *conv = ht_allocate(conv_size);
    CHECK(ht_nm_backward_pack_f32(o, k, 2, 4, w, 0, NULL, 0, NULL, backward, backward_size, NULL) == HT_OK);
    CHECK(ht_nm_conv_pack_f32(&two_taps, 2, 4, w, 0, NULL, 0, conv, conv_size, NULL) == HT_OK);
    CHECK(ht_nm_row_entries(backward, backward_size, &entries) == HT_ERROR_BLOB_FOREIGN);
    CHECK(ht_nm_row_entries(conv, conv_size, &entries) == HT_ERROR_BLOB_SHAPE);
    CHECK(ht_nm_entry_columns(o, k, backward, backward_size, columns, 0) == HT_ERROR_BLOB_FOREIGN);
    CHECK(ht_nm_entry_columns(o, k, conv, conv_size, columns, 0) == HT_ERROR_BLOB_SHAPE);
    CHECK(ht_nm_sampled_gradient_f32(t, o, k, dy, 0, x, 0, backward, backward_size, gradient, 0, NULL) ==
          HT_ERROR_BLOB_FOREIGN);
    CHECK(ht_nm_sampled_gradient_f32(t, o, k, dy, 0, x, 0, conv, conv_size, gradient, 0, NULL) == HT_ERROR_BLOB_SHAPE);
    ht_free(backward), ht_free(conv);
}

static ht_status sampled_with(const operands *a, const sample *s, float *gradient, ht_options options) {
    return run_sampled(a, s, gradient, 0, &options);
}

static void test_sampled_errors(void) {
    enum { t = 3, o = 4, k = 16 };
    _Alignas(64) char output[o * k * sizeof(float)];
    const pattern p = {2, 4, HT_DTYPE_F32, 1};
    const operands a = make_operands(t, o, k, HT_ORDER_ROWS, 0, false);
    sample s = make_sample(&p, o, k);
    float *gradient = (float *)output;
    const void *w = s.packed;
    size_t size = s.packed_size;
    bool untouched = true;
    checking("errors of sampled gradients");
    memset(output, 0x5a, sizeof output);
    EXPECT(HT_ERROR_NULL, ht_nm_sampled_gradient_f32(t, o, k, NULL, 0, a.x, 0, w, size, gradient, 0, NULL));
    EXPECT(HT_ERROR_NULL, ht_nm_sampled_gradient_f32(t, o, k, a.dy, 0, NULL, 0, w, size, gradient, 0, NULL));
    EXPECT(HT_ERROR_NULL, ht_nm_sampled_gradient_f32(t, o, k, a.dy, 0, a.x, 0, NULL, size, gradient, 0, NULL));
    EXPECT(HT_ERROR_NULL, ht_nm_sampled_gradient_f32(t, o, k, a.dy, 0, a.x, 0, w, size, NULL, 0, NULL));
    EXPECT(HT_ERROR_STRIDE, ht_nm_sampled_gradient_f32(t, o, k, a.dy, 2, a.x, 0, w, size, gradient, 0, NULL));
    EXPECT(HT_ERROR_STRIDE, ht_nm_sampled_gradient_f32(t, o, k, a.dy, 0, a.x, 0, w, size, gradient, 28, NULL));
    EXPECT(HT_ERROR_STRIDE, sampled_with(&a, &s, gradient, (ht_options){.x_order = (ht_order)2}));
    EXPECT(HT_ERROR_ALIGNMENT, sampled_with(&a, &s, (float *)(output + 2), (ht_options){0}));
    EXPECT(HT_ERROR_OVERFLOW,
           ht_nm_sampled_gradient_f32(SIZE_MAX / 2, o, k, a.dy, 0, a.x, 0, w, size, gradient, 0, NULL));
    EXPECT(HT_ERROR_THREADS, sampled_with(&a, &s, gradient, (ht_options){.threads = -1}));
    EXPECT(HT_ERROR_ISA, sampled_with(&a, &s, gradient, (ht_options){.isa = (ht_isa)99}));
    EXPECT(HT_ERROR_BLOB_SHAPE, ht_nm_sampled_gradient_f32(t, k, o, a.dy, 0, a.x, 0, w, size, gradient, 0, NULL));
    EXPECT(HT_ERROR_BLOB_TRUNCATED, ht_nm_sampled_gradient_f32(t, o, k, a.dy, 0, a.x, 0, w, 64, gradient, 0, NULL));
    EXPECT(HT_ERROR_BLOB_SHAPE, ht_nm_entry_columns(k, o, w, size, (uint32_t *)output, 0));
    EXPECT(HT_ERROR_NULL, ht_nm_entry_columns(o, k, NULL, size, (uint32_t *)output, 0));
    EXPECT(HT_ERROR_NULL, ht_nm_entry_columns(o, k, w, size, NULL, 0));
    EXPECT(HT_ERROR_STRIDE, ht_nm_entry_columns(o, k, w, size, (uint32_t *)output, 28));
    EXPECT(HT_ERROR_ALIGNMENT, ht_nm_entry_columns(o, k, w, size, (uint32_t *)(output + 2), 0));
    CHECK(ht_nm_row_entries(w, size, NULL) == HT_ERROR_NULL);
    CHECK(ht_nm_row_entries(w, 10, &size) == HT_ERROR_BLOB_TRUNCATED);
    CHECK(untouched);
    free_sample(&s);
    free(a.dy), free(a.x);
}

// Whatever the bytes behind a header are, sums are made from X alone, and columns are columns or an error.
static void test_damaged_entries(void) {
    static const pattern patterns[] = {{2, 4, HT_DTYPE_F32, 1},
                                       {4, 8, HT_DTYPE_F32, 1},
                                       {3, 7, HT_DTYPE_F32, 1},
                                       {3, 7, HT_DTYPE_I8, 1},
                                       {5, 64, HT_DTYPE_F32, 1}};
    for (size_t i = 0; i < COUNT(patterns); i++) {
        operands a = make_operands(37, 21, 150, HT_ORDER_ROWS, 0, false);
        sample s = make_sample(&patterns[i], a.o, a.k);
        for (size_t byte = 64; byte < s.packed_size; byte++) ((uint8_t *)s.packed)[byte] = (uint8_t)next_random();
        float *gradient = allocate(a.o * s.entries * sizeof *gradient);
        ht_isa rows[16];
        size_t row_count = runnable("nm_sampled_gradient_f32", rows, COUNT(rows));
        for (size_t j = 0; j < row_count; j++) {
            checking("damaged %zu:%zu, %s", patterns[i].n, patterns[i].m, ht_isa_name(rows[j]));
            CHECK(sampled_with(&a, &s, gradient, (ht_options){.isa = rows[j]}) == HT_OK);
        }
        CHECK(ht_nm_entry_columns(a.o, a.k, s.packed, s.packed_size, s.columns, 0) == HT_ERROR_BLOB_CORRUPT);
        free(gradient);
        free_sample(&s);
        free_operands(&a);
    }
}

void test_weight_gradients(void) {
    test_dense();
    test_sampled();
    test_central_differences();
    test_dense_errors();
    test_sampled_errors();
    test_other_weights();
    test_damaged_entries();
    checking("the BLAS");
    CHECK(ht_blas_runtime() && *ht_blas_runtime());
}
