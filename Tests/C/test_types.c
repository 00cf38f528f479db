// SPDX-License-Identifier: Apache-2.0
// Products of 16 and 8 bits, their epilogues, feature-major operands and patterns that rows share. The expected values
// come from plain loops over the unpacked weights: the chain of fused multiply-adds, or exact integers.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "matrix.h"
#include "values.h"

// MARK: a product

typedef struct product {
    types types;
    size_t t, o, k, n, m;
    void *w, *x, *residual, *y, *packed;
    size_t packed_size, y_bytes;
    ht_epilogue epilogue;
    ht_options options;
} product;

static ht_status run(const product *p) {
    switch (p->types.x) {
    case HT_DTYPE_BF16:
        return ht_nm_gemm_bf16(p->t, p->o, p->k, p->x, 0, p->packed, p->packed_size, &p->epilogue, p->y, 0,
                               &p->options);
    case HT_DTYPE_U8:
        return ht_nm_gemm_u8(p->t, p->o, p->k, p->x, 0, p->packed, p->packed_size, &p->epilogue, p->y, 0, &p->options);
    case HT_DTYPE_I8:
        return ht_nm_gemm_i8(p->t, p->o, p->k, p->x, 0, p->packed, p->packed_size, &p->epilogue, p->y, 0, &p->options);
    default:
        return ht_nm_gemm_f32(p->t, p->o, p->k, p->x, 0, p->packed, p->packed_size, &p->epilogue, p->y, 0, &p->options);
    }
}

static product make_product(types types, size_t t, size_t o, size_t k, size_t n, size_t m, int shared_rows) {
    product p = {.types = types, .t = t, .o = o, .k = k, .n = n, .m = m};
    p.w = allocate(o * k * ht_dtype_size(types.w));
    p.x = allocate(t * k * ht_dtype_size(types.x));
    p.y_bytes = t * o * ht_dtype_size(types.y);
    p.y = allocate(p.y_bytes);
    p.residual = allocate(t * o * sizeof(float));
    for (size_t i = 0; i < o * k; i++) set_random(p.w, types.w, i);
    for (size_t i = 0; i < t * k; i++) set_random(p.x, types.x, i);
    for (size_t i = 0; i < t * o; i++) set_random(p.residual, residual_type(types.y), i);
    ht_options options = {.shared_rows = shared_rows};
    CHECK(WITH_TYPE(types.w, ht_nm_prune, o, k, n, m, p.w, 0, p.w, 0, &options) == HT_OK);
    CHECK(ht_nm_packed_size(o, k, n, m, types.w, &options, &p.packed_size) == HT_OK);
    p.packed = ht_allocate(p.packed_size);
    CHECK(p.packed &&
          WITH_TYPE(types.w, ht_nm_pack, o, k, n, m, p.w, 0, NULL, 0, p.packed, p.packed_size, &options) == HT_OK);
    p.epilogue.output = types.y;
    return p;
}

static void free_product(product *p) {
    free(p->w), free(p->x), free(p->residual), free(p->y);
    ht_free(p->packed);
}

// Of X, Y and the residual: element (row, column) of rows x columns.
static size_t place(ht_order order, size_t rows, size_t columns, size_t row, size_t column) {
    return order == HT_ORDER_ROWS ? row * columns + column : column * rows + row;
}

static float x_at(const product *p, size_t row, size_t column) {
    return value_at(p->x, p->types.x, place(p->options.x_order, p->t, p->k, row, column));
}

// MARK: the expected results

// Subnormal numbers count as zeros in bfloat16 products; these data have none, and no sum comes near.
static float chain(const product *p, size_t row, size_t column) {
    float sum = 0;
    for (size_t c = 0; c < p->k; c++) {
        float w = value_at(p->w, p->types.w, column * p->k + c);
        if (w != 0) sum = fmaf(w, x_at(p, row, c), sum);
    }
    return sum;
}

static int32_t integer_sum(const product *p, size_t row, size_t column) {
    int64_t sum = 0, zero = p->epilogue.quantization ? p->epilogue.quantization->x_zero : 0;
    for (size_t c = 0; c < p->k; c++)
        sum += (int64_t)value_at(p->w, HT_DTYPE_I8, column * p->k + c) * ((int64_t)x_at(p, row, c) - zero);
    return (int32_t)sum;
}

static bool is_expected(const product *p, size_t row, size_t column) {
    bool is_byte = p->types.w == HT_DTYPE_I8;
    size_t i = place(p->options.y_order, p->t, p->o, row, column), size = ht_dtype_size(p->types.y);
    ht_dtype residual = residual_type(p->types.y);
    const char *at = p->epilogue.residual ? (const char *)p->residual + i * ht_dtype_size(residual) : NULL;
    uint32_t expected;
    set_result(p->types, &p->epilogue, is_byte ? 0 : chain(p, row, column), is_byte ? integer_sum(p, row, column) : 0,
               row, column, at, &expected);
    return same_value(&expected, (const char *)p->y + i * size, p->types.y);
}

static void expect_everywhere(product *p) {
    ht_isa rows[16];
    size_t row_count = runnable(p->types.op, rows, COUNT(rows));
    CHECK(row_count > 0 && rows[row_count - 1] == HT_ISA_REF);
    for (size_t i = 0; i < row_count; i++)
        for (int threads = 1; threads <= 3; threads += 2) {
            checking("%s %d %d: %zux%zux%zu %zu:%zu %s, %d threads, orders %d %d, activation %d", p->types.op,
                     (int)p->types.w, (int)p->types.y, p->t, p->o, p->k, p->n, p->m, ht_isa_name(rows[i]), threads,
                     (int)p->options.x_order, (int)p->options.y_order, (int)p->epilogue.activation);
            p->options.isa = rows[i];
            p->options.threads = threads;
            memset(p->y, 0x5a, p->y_bytes);
            CHECK(run(p) == HT_OK);
            bool same = true;
            for (size_t at = 0; at < p->t * p->o; at++) same &= is_expected(p, at / p->o, at % p->o);
            CHECK(same);
        }
}

// MARK: tests

static void test_product_of(types types) {
    static const size_t shapes[][3] = {{1, 1, 1}, {1, 37, 130}, {3, 20, 64}, {9, 33, 260}, {33, 18, 100}, {66, 35, 19}};
    static const size_t patterns[][2] = {{2, 4},  {1, 4}, {4, 8}, {1, 8}, {1, 16},
                                         {8, 16}, {3, 7}, {4, 4}, {1, 1}, {5, 64}};
    static const int shared[] = {1, 2, 4, 8};
    for (size_t i = 0; i < COUNT(shapes); i++)
        for (size_t j = 0; j < COUNT(patterns); j++) {
            if (is_skipped()) continue;
            const size_t *s = shapes[i], *n = patterns[j];
            product p = make_product(types, s[0], s[1], s[2], n[0], n[1], shared[(i + j) % 4]);
            CHECK(ht_nm_packed_check(p.packed, p.packed_size) == HT_OK);
            expect_everywhere(&p);
            p.options.x_order = j % 2 ? HT_ORDER_FEATURES : HT_ORDER_ROWS;
            p.options.y_order = i % 2 ? HT_ORDER_FEATURES : HT_ORDER_ROWS;
            epilogues all = make_epilogues(types, p.o, p.residual);
            for (size_t e = 1; e < all.count; e++) {
                p.epilogue = epilogue_at(&all, e);
                expect_everywhere(&p);
            }
            free_epilogues(&all);
            free_product(&p);
        }
}

// The bits of GELU are the library's own; they are near the definition, and the same in every row of the table.
static void test_gelu(void) {
    product p = make_product(all_types[0], 17, 50, 90, 2, 4, 1);
    float *reference = allocate(p.y_bytes);
    ht_isa rows[16];
    size_t row_count = runnable(p.types.op, rows, COUNT(rows));
    p.epilogue.activation = HT_ACTIVATION_GELU;
    for (size_t i = row_count; i-- > 0;) {
        checking("gelu %s", ht_isa_name(rows[i]));
        p.options.isa = rows[i];
        CHECK(run(&p) == HT_OK);
        if (i + 1 == row_count) memcpy(reference, p.y, p.y_bytes);
        CHECK(!memcmp(reference, p.y, p.y_bytes));
    }
    bool near = true;
    for (size_t i = 0; i < p.t * p.o; i++) {
        double v = (double)chain(&p, i / p.o, i % p.o), exact = v * 0.5 * erfc(-v * sqrt(0.5));
        near &= fabs((double)reference[i] - exact) <= 4 * 0x1p-23 * fabs(exact) + 0x1p-147;
    }
    CHECK(near);
    free(reference);
    free_product(&p);
}

static void test_type_errors(void) {
    product f32 = make_product(all_types[0], 2, 16, 32, 2, 4, 1),
            bytes = make_product(all_types[5], 2, 16, 32, 2, 4, 1);
    checking("errors of types");
    size_t size;
    CHECK(ht_nm_packed_size(1, 1, 1, 1, HT_DTYPE_U8, NULL, &size) == HT_ERROR_BLOB_DTYPE);
    CHECK(ht_nm_packed_size(1, 1, 1, 1, HT_DTYPE_F32, &(ht_options){.shared_rows = 3}, &size) == HT_ERROR_PATTERN);
    CHECK(ht_nm_gemm_scratch_size(2, HT_DTYPE_BF16, f32.packed, f32.packed_size, NULL, &size) == HT_ERROR_BLOB_DTYPE);
    CHECK(ht_nm_gemm_bf16(2, 16, 32, f32.x, 0, f32.packed, f32.packed_size, NULL, f32.y, 0, NULL) ==
          HT_ERROR_BLOB_DTYPE);
    CHECK(ht_nm_gemm_u8(2, 16, 32, f32.x, 0, f32.packed, f32.packed_size, NULL, f32.y, 0, NULL) == HT_ERROR_BLOB_DTYPE);
    CHECK(ht_nm_gemm_f32(2, 16, 32, bytes.x, 0, bytes.packed, bytes.packed_size, NULL, bytes.y, 0, NULL) ==
          HT_ERROR_BLOB_DTYPE);
    f32.epilogue.output = HT_DTYPE_BF16;
    CHECK(run(&f32) == HT_ERROR_EPILOGUE);
    f32.epilogue = (ht_epilogue){.activation = HT_ACTIVATION_CLAMP, .low = 1, .high = -1};
    CHECK(run(&f32) == HT_ERROR_EPILOGUE);
    bytes.epilogue.activation = HT_ACTIVATION_RELU;  // of bare sums
    CHECK(run(&bytes) == HT_ERROR_EPILOGUE);
    ht_nm_info info;
    CHECK(ht_nm_packed_info(bytes.packed, bytes.packed_size, &info) == HT_OK);
    CHECK(info.dtype == HT_DTYPE_I8 && info.shared_rows == 1);
    free_product(&f32), free_product(&bytes);
}

void test_types(void) {
    for (size_t i = 0; i < COUNT(all_types); i++) test_product_of(all_types[i]);
    test_gelu();
    test_type_errors();
}
