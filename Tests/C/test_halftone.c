// SPDX-License-Identifier: Apache-2.0
// The library as a C program meets it: through the installed headers and nothing else. The expected values come from
// plain loops in double precision. Runs everywhere, also under an emulator.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

// MARK: data

// Few different values, so that groups have ties.
static void fill_weights(float *w, size_t count) {
    for (size_t i = 0; i < count; i++) w[i] = (float)((int)(next_random() % 41) - 20) / 16;
}

static void fill_inputs(float *x, size_t count) {
    for (size_t i = 0; i < count; i++) x[i] = (float)next_random() / 0x1p31f - 1;
}

// MARK: the expected results

// The n columns of a group with the largest magnitude, the lower column first where two are equal.
static bool is_kept(const float *group, size_t count, size_t n, size_t column) {
    size_t before = 0;
    for (size_t j = 0; j < count; j++)
        if (fabsf(group[j]) > fabsf(group[column]) || (fabsf(group[j]) == fabsf(group[column]) && j < column)) before++;
    return before < n;
}

static void expect_pruned(size_t o, size_t k, size_t n, size_t m, const float *w, float *pruned) {
    for (size_t i = 0; i < o * k; i++) {
        size_t column = i % k, first = column / m * m, count = k - first < m ? k - first : m;
        pruned[i] = is_kept(w + i - (column - first), count, n, column - first) ? w[i] : 0;
    }
}

// |y - exact| <= gamma(terms) * sum |x w|
static bool is_near(float y, const float *x, const float *w, size_t k, const ht_epilogue *epilogue, size_t column) {
    double bias = epilogue->bias ? (double)epilogue->bias[column] : 0, exact = bias, size = fabs(bias);
    size_t terms = 1;
    for (size_t i = 0; i < k; i++) {
        exact += (double)x[i] * (double)w[i];
        size += fabs((double)x[i] * (double)w[i]);
        terms += w[i] != 0;
    }
    if (epilogue->activation == HT_ACTIVATION_RELU && exact < 0) exact = 0;
    double error = (double)terms * 0x1p-24;
    return fabs((double)y - exact) <= error / (1 - error) * size;
}

// MARK: a product and its operands

typedef struct product {
    size_t t, o, k;
    const float *x;
    size_t x_stride;
    const void *packed;
    size_t packed_size;
    ht_epilogue epilogue;
    float *y;
    size_t y_stride;
    ht_options options;
} product;

static ht_status run(const product *p) {
    return ht_nm_gemm_f32(p->t, p->o, p->k, p->x, p->x_stride, p->packed, p->packed_size, &p->epilogue, p->y,
                          p->y_stride, &p->options);
}

typedef struct operands {
    float *w, *pruned, *x, *bias, *y;
    void *packed;
    size_t packed_size, y_bytes;
} operands;

static operands make_operands(size_t t, size_t o, size_t k, size_t n, size_t m) {
    operands a = {.w = allocate(o * k * sizeof(float)),
                  .pruned = allocate(o * k * sizeof(float)),
                  .x = allocate(t * k * sizeof(float)),
                  .bias = allocate(o * sizeof(float)),
                  .y = allocate(t * o * sizeof(float)),
                  .y_bytes = t * o * sizeof(float)};
    fill_weights(a.w, o * k);
    fill_inputs(a.x, t * k);
    fill_inputs(a.bias, o);
    CHECK(ht_nm_prune_f32(o, k, n, m, a.w, 0, a.pruned, 0, NULL) == HT_OK);
    CHECK(ht_nm_packed_size(o, k, n, m, HT_DTYPE_F32, NULL, &a.packed_size) == HT_OK);
    a.packed = ht_allocate(a.packed_size);
    if (!a.packed) exit(2);
    CHECK(ht_nm_pack_f32(o, k, n, m, a.pruned, 0, NULL, 0, a.packed, a.packed_size, NULL) == HT_OK);
    return a;
}

static void free_operands(operands *a) {
    free(a->w), free(a->pruned), free(a->x), free(a->bias), free(a->y);
    ht_free(a->packed);
}

static product product_of(const operands *a, size_t t, size_t o, size_t k) {
    return (product){.t = t, .o = o, .k = k, .x = a->x, .packed = a->packed, .packed_size = a->packed_size, .y = a->y};
}

// MARK: the way through

typedef struct shape {
    size_t t, o, k;
} shape;
typedef struct pattern {
    size_t n, m;
} pattern;

static const shape shapes[] = {{1, 1, 1},     {1, 16, 64},   {3, 5, 7},    {7, 33, 130},
                               {33, 20, 257}, {65, 50, 300}, {130, 35, 96}};
static const pattern patterns[] = {{1, 2},  {2, 4}, {1, 4}, {4, 8}, {2, 8}, {1, 8},  {1, 16},
                                   {2, 16}, {3, 4}, {4, 4}, {5, 7}, {1, 1}, {3, 32}, {17, 64}};

static void check_weights(const operands *a, shape s, pattern p) {
    size_t count = s.o * s.k, bytes = count * sizeof(float);
    float *expected = allocate(bytes), *unpacked = allocate(bytes);
    expect_pruned(s.o, s.k, p.n, p.m, a->w, expected);
    CHECK(!memcmp(a->pruned, expected, bytes));
    CHECK(ht_nm_packed_check(a->packed, a->packed_size) == HT_OK);
    CHECK(ht_nm_unpack(s.o, s.k, a->packed, a->packed_size, unpacked, 0, NULL) == HT_OK);
    for (size_t i = 0; i < count; i++) expected[i] += 0.0f;  // the packer may fill a group with a +0 where w is -0
    CHECK(!memcmp(unpacked, expected, bytes));
    free(expected), free(unpacked);
}

static void check_mask(const operands *a, shape s, pattern p) {
    size_t row_bytes = (s.k + 7) / 8;
    uint8_t *mask = allocate(s.o * row_bytes);
    void *packed = ht_allocate(a->packed_size);
    CHECK(ht_nm_mask_f32(s.o, s.k, p.n, p.m, a->w, 0, mask, 0, NULL) == HT_OK);
    bool same = true;
    for (size_t i = 0; i < s.o * s.k; i++) {
        bool kept = mask[i / s.k * row_bytes + i % s.k / 8] >> i % s.k % 8 & 1;
        same &= kept ? a->pruned[i] == a->w[i] : a->pruned[i] == 0;
    }
    CHECK(same);
    CHECK(ht_nm_pack_f32(s.o, s.k, p.n, p.m, a->w, 0, mask, 0, packed, a->packed_size, NULL) == HT_OK);
    CHECK(ht_nm_packed_check(packed, a->packed_size) == HT_OK);
    ht_free(packed);
    free(mask);
}

static bool all_near(const product *p, const float *w) {
    for (size_t i = 0; i < p->t * p->o; i++)
        if (!is_near(p->y[i], p->x + i / p->o * p->k, w + i % p->o * p->k, p->k, &p->epilogue, i % p->o)) return false;
    return true;
}

// The rows must agree in every bit, whatever the threads.
static void check_product(const operands *a, product p, const ht_isa *rows, size_t row_count) {
    float *reference = allocate(a->y_bytes);
    for (size_t i = row_count; i-- > 0;)
        for (int threads = 1; threads <= 3; threads += 2) {
            checking("%zux%zux%zu %s, %d threads", p.t, p.o, p.k, ht_isa_name(rows[i]), threads);
            p.options = (ht_options){.threads = threads, .isa = rows[i]};
            memset(p.y, 0x5a, a->y_bytes);
            CHECK(run(&p) == HT_OK);
            CHECK(all_near(&p, a->pruned));
            if (i + 1 == row_count && threads == 1) memcpy(reference, p.y, a->y_bytes);
            CHECK(!memcmp(reference, p.y, a->y_bytes));
        }
    free(reference);
}

static void test_way_through(void) {
    ht_isa rows[16];
    size_t row_count = runnable("nm_gemm_f32", rows, COUNT(rows));
    CHECK(row_count > 0 && rows[row_count - 1] == HT_ISA_REF);
    for (size_t i = 0; i < COUNT(shapes); i++)
        for (size_t j = 0; j < COUNT(patterns); j++) {
            if (is_skipped()) continue;
            shape s = shapes[i];
            checking("%zux%zux%zu %zu:%zu", s.t, s.o, s.k, patterns[j].n, patterns[j].m);
            operands a = make_operands(s.t, s.o, s.k, patterns[j].n, patterns[j].m);
            check_weights(&a, s, patterns[j]);
            check_mask(&a, s, patterns[j]);
            product p = product_of(&a, s.t, s.o, s.k);
            check_product(&a, p, rows, row_count);
            p.epilogue = (ht_epilogue){.bias = a.bias, .activation = HT_ACTIVATION_RELU};
            check_product(&a, p, rows, row_count);
            free_operands(&a);
        }
}

// MARK: options

static void test_window(void) {
    checking("a window");
    operands a = make_operands(9, 40, 50, 2, 4);
    product p = product_of(&a, 9, 40, 50);
    float *whole = allocate(a.y_bytes);
    CHECK(run(&p) == HT_OK);
    memcpy(whole, a.y, a.y_bytes);
    memset(a.y, 0x5a, a.y_bytes);
    float untouched = a.y[0];
    p.options = (ht_options){.row_begin = 2, .row_end = 5, .column_begin = 16, .column_end = 32};
    CHECK(run(&p) == HT_OK);
    bool right = true;
    for (size_t i = 0; i < 9 * 40; i++) {
        size_t row = i / 40, column = i % 40;
        bool inside = row >= 2 && row < 5 && column >= 16 && column < 32;
        right &= a.y[i] == (inside ? whole[i] : untouched);
    }
    CHECK(right);
    free(whole);
    free_operands(&a);
}

static void test_strides_and_scratch(void) {
    checking("strides and scratch");
    enum { t = 6, o = 18, k = 21, x_row = k + 3, y_row = o + 5 };
    operands a = make_operands(t, o, k, 1, 4);
    product p = product_of(&a, t, o, k);
    CHECK(run(&p) == HT_OK);
    float wide_x[t * x_row] = {0}, wide_y[t * y_row] = {0};
    for (size_t i = 0; i < t * k; i++) wide_x[i / k * x_row + i % k] = a.x[i];
    p.x = wide_x, p.x_stride = x_row * sizeof(float);
    p.y = wide_y, p.y_stride = y_row * sizeof(float);
    CHECK(ht_nm_gemm_scratch_size(t, HT_DTYPE_F32, p.packed, p.packed_size, NULL, &p.options.scratch_size) == HT_OK);
    p.options.scratch = ht_allocate(p.options.scratch_size);
    CHECK(run(&p) == HT_OK);
    bool same = true;
    for (size_t i = 0; i < t * y_row; i++) same &= wide_y[i] == (i % y_row < o ? a.y[i / y_row * o + i % y_row] : 0);
    CHECK(same);
    ht_free(p.options.scratch);
    free_operands(&a);
}

static void test_empty_sizes(void) {
    checking("sizes of zero");
    operands a = make_operands(2, 3, 0, 2, 4);
    product p = product_of(&a, 2, 3, 0);
    p.epilogue.bias = a.bias;
    CHECK(run(&p) == HT_OK);
    CHECK(!memcmp(a.y, a.bias, 3 * sizeof(float)) && !memcmp(a.y + 3, a.bias, 3 * sizeof(float)));
    p.t = 0, p.x = NULL, p.y = NULL;
    CHECK(run(&p) == HT_OK);
    free_operands(&a);
    a = make_operands(2, 0, 4, 2, 4);
    p = product_of(&a, 2, 0, 4);
    p.y = NULL;
    CHECK(run(&p) == HT_OK);
    free_operands(&a);
}

// MARK: errors

static void expect_refusal(const operands *a, product p, ht_status expected) {
    checking("%s", ht_status_text(expected));
    memset(a->y, 0x5a, a->y_bytes);
    CHECK(run(&p) == expected);
    CHECK(is_filled(a->y, a->y_bytes));
}

// One wrong argument each, everything else right.
#define EXPECT_REFUSAL(expected, ...)    \
    do {                                 \
        product p = good;                \
        __VA_ARGS__;                     \
        expect_refusal(&a, p, expected); \
    } while (0)

static void test_product_errors(void) {
    operands a = make_operands(4, 20, 24, 2, 4);
    product good = product_of(&a, 4, 20, 24);
    _Alignas(64) char scratch[128];
    EXPECT_REFUSAL(HT_ERROR_NULL, p.x = NULL);
    EXPECT_REFUSAL(HT_ERROR_NULL, p.y = NULL);
    EXPECT_REFUSAL(HT_ERROR_NULL, p.packed = NULL);
    EXPECT_REFUSAL(HT_ERROR_STRIDE, p.x_stride = 24 * sizeof(float) - 4);
    EXPECT_REFUSAL(HT_ERROR_STRIDE, p.y_stride = 20 * sizeof(float) + 2);
    EXPECT_REFUSAL(HT_ERROR_ALIGNMENT, p.x = (const float *)((const char *)p.x + 1));
    EXPECT_REFUSAL(HT_ERROR_ALIGNMENT, p.packed = (const char *)p.packed + 4);
    EXPECT_REFUSAL(HT_ERROR_ALIGNMENT, p.epilogue.bias = (const float *)((const char *)a.bias + 2));
    EXPECT_REFUSAL(HT_ERROR_ALIGNMENT, p.options.scratch = scratch + 4, p.options.scratch_size = SIZE_MAX);
    EXPECT_REFUSAL(HT_ERROR_OVERFLOW, p.t = SIZE_MAX / 2);
    EXPECT_REFUSAL(HT_ERROR_BUFFER_SIZE, p.options.scratch = scratch, p.options.scratch_size = sizeof scratch);
    EXPECT_REFUSAL(HT_ERROR_THREADS, p.options.threads = -1);
    EXPECT_REFUSAL(HT_ERROR_WINDOW, p.options.row_end = 5);
    EXPECT_REFUSAL(HT_ERROR_WINDOW, p.options.row_begin = 3, p.options.row_end = 2);
    EXPECT_REFUSAL(HT_ERROR_WINDOW, p.options.column_begin = 8);
    EXPECT_REFUSAL(HT_ERROR_ISA, p.options.isa = (ht_isa)99);
    EXPECT_REFUSAL(HT_ERROR_EPILOGUE, p.epilogue.activation = (ht_activation)7);
    EXPECT_REFUSAL(HT_ERROR_BLOB_TRUNCATED, p.packed_size--);
    EXPECT_REFUSAL(HT_ERROR_BLOB_TRUNCATED, p.packed_size = 63);
    EXPECT_REFUSAL(HT_ERROR_BLOB_SHAPE, p.k = 20);
    free_operands(&a);
}

static void test_damaged_header(void) {
    operands a = make_operands(2, 8, 16, 2, 4);
    product good = product_of(&a, 2, 8, 16);
    uint8_t *bytes = a.packed;
    for (size_t i = 0; i < 64; i++) {
        bytes[i] ^= 1;
        // The magic comes first, the version of the header behind it.
        ht_status expected = i < 8 ? HT_ERROR_BLOB_FOREIGN : i < 10 ? HT_ERROR_BLOB_VERSION : HT_ERROR_BLOB_CORRUPT;
        ht_nm_info info;
        EXPECT_REFUSAL(expected, (void)p);
        CHECK(ht_nm_packed_info(a.packed, a.packed_size, &info) == expected);
        CHECK(ht_nm_packed_check(a.packed, a.packed_size) == expected);
        bytes[i] ^= 1;
    }
    CHECK(run(&good) == HT_OK);
    free_operands(&a);
}

static void test_weight_errors(void) {
    checking("errors of prune and pack");
    operands a = make_operands(1, 4, 8, 2, 4);
    float out[32];
    memset(out, 0x5a, sizeof out);
    memset(a.packed, 0x5a, a.packed_size);
    for (size_t i = 0; i < 32; i++) a.w[i] = 1;
    CHECK(ht_nm_prune_f32(4, 8, 5, 4, a.w, 0, out, 0, NULL) == HT_ERROR_PATTERN);
    CHECK(ht_nm_prune_f32(4, 8, 0, 4, a.w, 0, out, 0, NULL) == HT_ERROR_PATTERN);
    CHECK(ht_nm_prune_f32(4, 8, 2, 65, a.w, 0, out, 0, NULL) == HT_ERROR_PATTERN);
    CHECK(ht_nm_prune_f32(4, 8, 2, 4, NULL, 0, out, 0, NULL) == HT_ERROR_NULL);
    CHECK(ht_nm_prune_f32(4, 8, 2, 4, a.w, 28, out, 0, NULL) == HT_ERROR_STRIDE);
    CHECK(ht_nm_prune_f32(4, SIZE_MAX / 4, 2, 4, a.w, 0, out, 0, NULL) == HT_ERROR_OVERFLOW);
    CHECK(is_filled(out, sizeof out));
    CHECK(ht_nm_pack_f32(4, 8, 2, 4, a.w, 0, NULL, 0, a.packed, a.packed_size, NULL) == HT_ERROR_NOT_SPARSE);
    CHECK(ht_nm_pack_f32(4, 8, 2, 4, a.pruned, 0, NULL, 0, a.packed, a.packed_size - 1, NULL) == HT_ERROR_BUFFER_SIZE);
    CHECK(ht_nm_pack_f32(4, 8, 2, 4, a.pruned, 0, NULL, 0, NULL, a.packed_size, NULL) == HT_ERROR_NULL);
    CHECK(ht_nm_pack_f32(4, 8, 2, 4, a.pruned, 0, NULL, 0, (char *)a.packed + 32, a.packed_size, NULL) ==
          HT_ERROR_ALIGNMENT);
    CHECK(is_filled(a.packed, a.packed_size));
    free_operands(&a);
}

// MARK: files, names

static void test_file(void) {
    checking("a blob in a file");
    operands a = make_operands(3, 19, 70, 1, 8);
    product p = product_of(&a, 3, 19, 70);
    float *expected = allocate(a.y_bytes);
    CHECK(run(&p) == HT_OK);
    memcpy(expected, a.y, a.y_bytes);
    memset(a.y, 0, a.y_bytes);

    FILE *file = tmpfile();
    CHECK(file && fwrite(a.packed, 1, a.packed_size, file) == a.packed_size && !fseek(file, 0, SEEK_SET));
    void *read = ht_allocate(a.packed_size);
    CHECK(file && fread(read, 1, a.packed_size, file) == a.packed_size);
    if (file) fclose(file);
    ht_nm_info info;
    CHECK(ht_nm_packed_info(read, a.packed_size, &info) == HT_OK);
    CHECK(info.o == 19 && info.k == 70 && info.n == 1 && info.m == 8 && info.bytes == a.packed_size);
    p.packed = read;
    CHECK(run(&p) == HT_OK);
    CHECK(!memcmp(expected, a.y, a.y_bytes));
    ht_free(read);
    free(expected);
    free_operands(&a);
}

static void test_names(void) {
    checking("names");
    for (int i = 0; i <= HT_ERROR_TREE; i++) {
        CHECK(strcmp(ht_status_text((ht_status)i), ht_status_text((ht_status)99)));
        for (int j = 0; j < i; j++) CHECK(strcmp(ht_status_text((ht_status)i), ht_status_text((ht_status)j)));
    }
    for (int i = 0; i <= HT_ISA_AVX512_POPCNT; i++) CHECK(ht_isa_named(ht_isa_name((ht_isa)i)) == i);
    CHECK(ht_isa_named("mmx") == -1 && ht_isa_named(NULL) == -1);
    CHECK(!ht_isa_name((ht_isa)99));
    CHECK(ht_thread_count() >= 1);
}

int main(void) {
    test_names();
    test_way_through();
    test_types();
    test_conv();
    test_weight_gradients();
    test_backward();
    test_binary();
    test_mst();
    test_binary_reals();
    test_signs();
    test_masks();
    test_transposable_masks();
    test_bimask();
    test_step_pack();
    test_optimizers();
    test_spre();
    test_window();
    test_strides_and_scratch();
    test_empty_sizes();
    test_product_errors();
    test_damaged_header();
    test_weight_errors();
    test_file();
    printf("features: %s; threads from: %s; BLAS: %s\n", ht_cpu_features(), ht_thread_runtime(), ht_blas_runtime());
    return finish();
}
