// SPDX-License-Identifier: Apache-2.0
// Backward products with permutations: every row of the tables against plain loops over the dense weights. Blobs for
// both directions against one for each. What the calls say of damaged blobs.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

// MARK: weights

typedef struct weights {
    size_t o, k, n, m;
    float *dense;  // of the entries, zero elsewhere: o x k
    uint32_t *permutation;  // or null
    void *packed;
    size_t size;
} weights;

static size_t below(size_t bound) { return next_random() % bound; }

// A multiple of 1/64 below 2, or of a 2^-20 more where a sum need not be exact.
static float random_value(bool exact) {
    float value = (float)((int)below(255) - 127) / 64;
    return exact ? value : value + (float)below(256) * 0x1p-20f;
}

static void shuffle(uint32_t *numbers, size_t count) {
    for (size_t i = count; i > 1; i--) {
        size_t other = below(i);
        uint32_t number = numbers[i - 1];
        numbers[i - 1] = numbers[other];
        numbers[other] = number;
    }
}

static uint32_t *random_permutation(size_t count) {
    uint32_t *numbers = allocate(count * sizeof *numbers);
    for (size_t i = 0; i < count; i++) numbers[i] = (uint32_t)i;
    shuffle(numbers, count);
    return numbers;
}

static size_t row_at(const weights *w, size_t place) { return w->permutation ? w->permutation[place] : place; }

// At most n of each m places of a column are entries; some groups have fewer.
static void fill(weights *w, bool exact) {
    w->dense = allocate(w->o * w->k * sizeof *w->dense);
    memset(w->dense, 0, w->o * w->k * sizeof *w->dense);
    for (size_t column = 0; column < w->k; column++)
        for (size_t place = 0, kept = 0; place < w->o; place++) {
            kept = place % w->m ? kept : 0;
            if (kept == w->n || below(w->m) >= w->n + 1) continue;
            w->dense[row_at(w, place) * w->k + column] = random_value(exact);
            kept++;
        }
}

static uint16_t to_bf16(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (uint16_t)(bits >> 16);
}

// Of a multiple of 1/64 below 2.
static uint16_t to_f16(float value) {
    if (value == 0) return 0;
    int exponent;
    float fraction = frexpf(fabsf(value), &exponent);
    uint16_t bits = (uint16_t)((exponent + 14) << 10 | (int)((fraction * 2 - 1) * 1024));
    return value < 0 ? (uint16_t)(bits | 0x8000) : bits;
}

static uint16_t *halves_of(const weights *w, ht_dtype dtype) {
    uint16_t *halves = allocate(w->o * w->k * sizeof *halves);
    for (size_t i = 0; i < w->o * w->k; i++)
        halves[i] = dtype == HT_DTYPE_F16 ? to_f16(w->dense[i]) : to_bf16(w->dense[i]);
    return halves;
}

static ht_status pack_halves(const weights *w, ht_dtype dtype, const ht_options *options) {
    uint16_t *halves = halves_of(w, dtype);
    ht_status status = (dtype == HT_DTYPE_F16 ? ht_nm_backward_pack_f16 : ht_nm_backward_pack_bf16)(
        w->o, w->k, w->n, w->m, halves, 0, NULL, 0, w->permutation, w->packed, w->size, options);
    free(halves);
    return status;
}

static void pack(weights *w, ht_dtype dtype, const ht_options *options) {
    CHECK(!ht_nm_backward_packed_size(w->o, w->k, w->n, w->m, dtype, w->permutation, options, &w->size));
    w->packed = ht_allocate(w->size);
    ht_status status = dtype == HT_DTYPE_F32 ? ht_nm_backward_pack_f32(w->o, w->k, w->n, w->m, w->dense, 0, NULL, 0,
                                                                       w->permutation, w->packed, w->size, options)
                                             : pack_halves(w, dtype, options);
    CHECK(status == HT_OK);
    CHECK(ht_nm_packed_check(w->packed, w->size) == HT_OK);
}

static void release(weights *w) {
    free(w->dense);
    free(w->permutation);
    ht_free(w->packed);
}

// MARK: products

// A matrix of values in one of two orders, with a gap behind each line.
typedef struct operand {
    size_t samples, features, stride;  // the stride in elements
    ht_order order;
    size_t element;  // bytes
    void *data;
} operand;

static operand make_operand(size_t samples, size_t features, ht_order order, size_t element) {
    bool rows = order == HT_ORDER_ROWS;
    operand a = {samples, features, (rows ? features : samples) + below(3), order, element, NULL};
    a.data = allocate((rows ? samples : features) * a.stride * element + 1);
    return a;
}

static size_t index_of(const operand *a, size_t sample, size_t feature) {
    return a->order == HT_ORDER_ROWS ? sample * a->stride + feature : feature * a->stride + sample;
}

static float value_of(const operand *a, size_t sample, size_t feature) {
    size_t i = index_of(a, sample, feature);
    if (a->element == 4) return ((const float *)a->data)[i];
    uint32_t bits = (uint32_t)((const uint16_t *)a->data)[i] << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static void set_values(operand *a, bool exact) {
    for (size_t t = 0; t < a->samples; t++)
        for (size_t f = 0; f < a->features; f++) {
            float value = random_value(exact);
            size_t i = index_of(a, t, f);
            if (a->element == 4)
                ((float *)a->data)[i] = value;
            else
                ((uint16_t *)a->data)[i] = to_bf16(value);
        }
}

// The chain by ascending place. What a group is filled up with adds zeros, which change no value.
static float expected(const weights *w, const operand *dy, size_t t, size_t column) {
    float sum = 0;
    for (size_t place = 0; place < w->o; place++) {
        float weight = w->dense[row_at(w, place) * w->k + column];
        if (weight != 0) sum = fmaf(weight, value_of(dy, t, row_at(w, place)), sum);
    }
    return sum;
}

static void check_result(const weights *w, const operand *dy, const operand *dx) {
    bool same = true;
    for (size_t t = 0; t < dx->samples; t++)
        for (size_t column = 0; column < w->k; column++)
            same = same && value_of(dx, t, column) == expected(w, dy, t, column);
    CHECK(same);
}

static ht_status multiply(const weights *w, const operand *dy, operand *dx, const ht_options *options) {
    if (dy->element == 4)
        return ht_nm_gemm_backward_f32(dy->samples, w->o, w->k, dy->data, dy->stride * 4, w->packed, w->size, NULL,
                                       dx->data, dx->stride * 4, options);
    return ht_nm_gemm_backward_bf16(dy->samples, w->o, w->k, dy->data, dy->stride * 2, w->packed, w->size, NULL,
                                    dx->data, dx->stride * 4, options);
}

static void test_product(const weights *w, size_t t, ht_dtype x, bool exact, ht_options options) {
    const char *op = x == HT_DTYPE_F32 ? "nm_gemm_f32" : "nm_gemm_bf16";
    ht_isa list[16];
    size_t count = runnable(op, list, COUNT(list));
    operand dy = make_operand(t, w->o, options.x_order, x == HT_DTYPE_F32 ? 4 : 2);
    operand dx = make_operand(t, w->k, options.y_order, 4);
    set_values(&dy, exact);
    for (size_t i = 0; i < count; i++) {
        options.isa = list[i];
        CHECK(multiply(w, &dy, &dx, &options) == HT_OK);
        check_result(w, &dy, &dx);
    }
    free(dy.data);
    free(dx.data);
}

static const size_t patterns[][2] = {{2, 4}, {1, 4}, {1, 8}, {1, 16}, {2, 8}, {2, 16}, {4, 8}, {1, 2}, {3, 5}, {4, 4}};

static void test_random_product(void) {
    static const size_t samples[] = {0, 1, 3, 8, 13, 17, 33, 70, 140};
    const size_t *pattern = patterns[below(COUNT(patterns))];
    const size_t t = samples[below(COUNT(samples))];
    weights w = {.o = below(3) ? below(90) : below(600), .k = below(70), .n = pattern[0], .m = pattern[1]};
    w.permutation = below(4) ? random_permutation(w.o) : NULL;
    const ht_options options = {
        .threads = 1 + (int)below(3), .x_order = (ht_order)below(2), .y_order = (ht_order)below(2)};
    static const ht_dtype types[][2] = {{HT_DTYPE_F32, HT_DTYPE_F32},
                                        {HT_DTYPE_F16, HT_DTYPE_F32},
                                        {HT_DTYPE_BF16, HT_DTYPE_F32},
                                        {HT_DTYPE_BF16, HT_DTYPE_BF16}};
    const ht_dtype *type = types[below(COUNT(types))];
    checking("dY (%zu x %zu) times %zu:%zu weights of type %d, %zu columns, X of type %d, permuted %d", t, w.o, w.n,
             w.m, type[0], w.k, type[1], w.permutation != NULL);
    bool exact = type[0] != HT_DTYPE_F32;
    fill(&w, exact);
    pack(&w, type[0], &options);
    test_product(&w, t, type[1], exact, options);
    release(&w);
}

// MARK: damage

// Whatever a permutation says, nothing is read outside the operands.
static void test_damaged_permutation(void) {
    weights w = {.o = 40, .k = 20, .n = 2, .m = 4, .permutation = random_permutation(40)};
    checking("damaged permutations");
    fill(&w, true);
    pack(&w, HT_DTYPE_F32, NULL);
    operand dy = make_operand(20, w.o, HT_ORDER_ROWS, 4), dx = make_operand(20, w.k, HT_ORDER_ROWS, 4);
    set_values(&dy, true);
    uint32_t *numbers = (uint32_t *)((char *)w.packed + w.size - 192);
    CHECK(!memcmp(numbers, w.permutation, 40 * sizeof *numbers));
    static const uint32_t wrong[] = {40, 0x7fffffff, 0xffffffff};
    for (size_t i = 0; i < COUNT(wrong); i++) {
        numbers[i] = wrong[i];
        CHECK(multiply(&w, &dy, &dx, NULL) == HT_ERROR_BLOB_CORRUPT);
        CHECK(ht_nm_packed_check(w.packed, w.size) == HT_ERROR_BLOB_CORRUPT);
        numbers[i] = w.permutation[i];
    }
    numbers[3] = numbers[5];
    CHECK(multiply(&w, &dy, &dx, NULL) == HT_ERROR_BLOB_CORRUPT);
    free(dy.data);
    free(dx.data);
    release(&w);
}

// MARK: transposable masks

// At most n entries in each row and each column of a tile: n diagonals of a shuffled tile, not all of them kept.
static void fill_tile(weights *w, size_t row, size_t column, bool exact) {
    uint32_t *rows = random_permutation(w->m), *columns = random_permutation(w->m);
    for (size_t i = 0; i < w->m; i++)
        for (size_t j = 0; j < w->m; j++) {
            bool is_entry = (i + w->m - j) % w->m < w->n && below(8);
            size_t o = row + rows[i], k = column + columns[j];
            if (is_entry && o < w->o && k < w->k) w->dense[o * w->k + k] = random_value(exact);
        }
    free(rows);
    free(columns);
}

static void fill_both_ways(weights *w, bool exact) {
    w->dense = allocate(w->o * w->k * sizeof *w->dense);
    memset(w->dense, 0, w->o * w->k * sizeof *w->dense);
    for (size_t row = 0; row < w->o; row += w->m)
        for (size_t column = 0; column < w->k; column += w->m) fill_tile(w, row, column, exact);
}

static uint8_t *mask_of(const weights *w, size_t stride) {
    uint8_t *mask = allocate(w->o * stride + 1);
    memset(mask, 0, w->o * stride);
    for (size_t i = 0; i < w->o * w->k; i++)
        if (w->dense[i] != 0) mask[i / w->k * stride + i % w->k / 8] |= (uint8_t)(1 << i % w->k % 8);
    return mask;
}

typedef struct typed_pack {
    ht_status (*f32)(size_t, size_t, size_t, size_t, const float *, size_t, const uint8_t *, size_t, void *, size_t,
                     const ht_options *);
    ht_status (*f16)(size_t, size_t, size_t, size_t, const uint16_t *, size_t, const uint8_t *, size_t, void *, size_t,
                     const ht_options *);
    ht_status (*bf16)(size_t, size_t, size_t, size_t, const uint16_t *, size_t, const uint8_t *, size_t, void *, size_t,
                      const ht_options *);
} typed_pack;

static const typed_pack both_ways = {ht_nm_transposable_pack_f32, ht_nm_transposable_pack_f16,
                                     ht_nm_transposable_pack_bf16};
static const typed_pack forward = {ht_nm_pack_f32, ht_nm_pack_f16, ht_nm_pack_bf16};

// A blob of the same weights, with or without a mask.
static ht_status pack_typed(const weights *w, const typed_pack *calls, ht_dtype dtype, bool masked, void *packed,
                            size_t size) {
    size_t stride = (w->k + 7) / 8;
    uint8_t *mask = masked ? mask_of(w, stride) : NULL;
    uint16_t *halves = dtype == HT_DTYPE_F32 ? NULL : halves_of(w, dtype);
    ht_status status =
        dtype == HT_DTYPE_F32
            ? calls->f32(w->o, w->k, w->n, w->m, w->dense, 0, mask, masked ? stride : 0, packed, size, NULL)
            : (dtype == HT_DTYPE_F16 ? calls->f16 : calls->bf16)(w->o, w->k, w->n, w->m, halves, 0, mask,
                                                                 masked ? stride : 0, packed, size, NULL);
    free(mask);
    free(halves);
    return status;
}

static ht_status multiply_forward(const weights *w, const operand *x, operand *y, const ht_options *options) {
    if (x->element == 4)
        return ht_nm_gemm_f32(x->samples, w->o, w->k, x->data, x->stride * 4, w->packed, w->size, NULL, y->data,
                              y->stride * 4, options);
    return ht_nm_gemm_bf16(x->samples, w->o, w->k, x->data, x->stride * 2, w->packed, w->size, NULL, y->data,
                           y->stride * 4, options);
}

typedef ht_status multiplication(const weights *w, const operand *x, operand *y, const ht_options *options);

// Both blobs of the same weights give the same bits.
static void compare(multiplication *run, const weights *one, const weights *both, size_t inputs, size_t outputs,
                    size_t t, ht_dtype x, ht_options options) {
    ht_isa list[16];
    size_t count = runnable(x == HT_DTYPE_F32 ? "nm_gemm_f32" : "nm_gemm_bf16", list, COUNT(list));
    operand from = make_operand(t, inputs, options.x_order, x == HT_DTYPE_F32 ? 4 : 2);
    operand expected = make_operand(t, outputs, options.y_order, 4), to = expected;
    size_t bytes = (options.y_order == HT_ORDER_ROWS ? t : outputs) * to.stride * 4;
    to.data = allocate(bytes + 1);
    memset(to.data, 0, bytes);
    set_values(&from, false);
    for (size_t i = 0; i < count; i++) {
        options.isa = list[i];
        memset(expected.data, 0, bytes);
        CHECK(run(one, &from, &expected, &options) == HT_OK);
        CHECK(run(both, &from, &to, &options) == HT_OK);
        CHECK(!memcmp(expected.data, to.data, bytes));
    }
    free(from.data);
    free(expected.data);
    free(to.data);
}

// Whatever the bytes behind the header are, nothing is read or written outside the operands.
static void damage(const weights *both, size_t t) {
    uint8_t *bytes = both->packed;
    for (int i = 0; i < 20; i++) bytes[64 + below(both->size - 64)] ^= (uint8_t)next_random();
    ht_status status = ht_nm_packed_check(both->packed, both->size);
    CHECK(status == HT_OK || status == HT_ERROR_BLOB_CORRUPT);
    operand x = make_operand(t, both->k, HT_ORDER_ROWS, 4), y = make_operand(t, both->o, HT_ORDER_ROWS, 4);
    set_values(&x, true);
    CHECK(multiply_forward(both, &x, &y, NULL) == HT_OK);
    CHECK(multiply(both, &y, &x, NULL) == HT_OK);
    free(x.data);
    free(y.data);
}

static void check_both(weights *both, size_t t, ht_dtype dtype, ht_dtype x, ht_options options) {
    weights one = *both;
    const bool masked = below(2);
    CHECK(!ht_nm_transposable_packed_size(both->o, both->k, both->n, both->m, dtype, NULL, &both->size));
    both->packed = ht_allocate(both->size);
    CHECK(pack_typed(both, &both_ways, dtype, masked, both->packed, both->size) == HT_OK);
    CHECK(ht_nm_packed_check(both->packed, both->size) == HT_OK);

    CHECK(!ht_nm_packed_size(one.o, one.k, one.n, one.m, dtype, NULL, &one.size));
    one.packed = ht_allocate(one.size);
    CHECK(pack_typed(&one, &forward, dtype, masked, one.packed, one.size) == HT_OK);
    compare(multiply_forward, &one, both, one.k, one.o, t, x, options);
    ht_free(one.packed);
    pack(&one, dtype, NULL);
    compare(multiply, &one, both, one.o, one.k, t, x, options);
    ht_free(one.packed);
    if (both->o && both->k && x == HT_DTYPE_F32) damage(both, t);
}

static void test_transposable(void) {
    static const size_t tiles[][2] = {{2, 4}, {1, 4}, {3, 4}, {1, 8}, {2, 8}, {4, 8}, {1, 16}, {8, 16}, {15, 16}};
    static const ht_dtype types[][2] = {{HT_DTYPE_F32, HT_DTYPE_F32},
                                        {HT_DTYPE_F16, HT_DTYPE_F32},
                                        {HT_DTYPE_BF16, HT_DTYPE_F32},
                                        {HT_DTYPE_BF16, HT_DTYPE_BF16}};
    const size_t *pattern = tiles[below(COUNT(tiles))];
    const ht_dtype *type = types[below(COUNT(types))];
    weights w = {.o = below(3) ? below(80) : below(400), .k = below(3) ? below(80) : below(400)};
    w.n = pattern[0];
    w.m = pattern[1];
    const size_t t = below(40);
    checking("transposable %zu:%zu weights, %zu x %zu of type %d, %zu samples of type %d", w.n, w.m, w.o, w.k, type[0],
             t, type[1]);
    fill_both_ways(&w, type[0] != HT_DTYPE_F32);
    check_both(
        &w, t, type[0], type[1],
        (ht_options){.threads = 1 + (int)below(3), .x_order = (ht_order)below(2), .y_order = (ht_order)below(2)});
    release(&w);
}

static ht_status try_transposable(size_t n, size_t m, const float *dense) {
    size_t size = 0;
    ht_status status = ht_nm_transposable_packed_size(8, 8, n, m, HT_DTYPE_F32, NULL, &size);
    if (status) return status;
    void *packed = ht_allocate(size);
    status = ht_nm_transposable_pack_f32(8, 8, n, m, dense, 0, NULL, 0, packed, size, NULL);
    ht_free(packed);
    return status;
}

static void test_transposable_errors(void) {
    float dense[64] = {0};
    const ht_options sharing = {.shared_rows = 2};
    size_t size;
    checking("what is not transposable");
    dense[0] = dense[8] = 1;  // two in a column
    CHECK(try_transposable(1, 4, dense) == HT_ERROR_NOT_SPARSE);
    CHECK(try_transposable(2, 4, dense) == HT_OK);
    dense[8] = 0;
    dense[1] = 1;  // two in a row
    CHECK(try_transposable(1, 4, dense) == HT_ERROR_NOT_SPARSE);
    CHECK(try_transposable(1, 2, dense) == HT_ERROR_PATTERN);
    CHECK(try_transposable(4, 4, dense) == HT_ERROR_PATTERN);
    CHECK(try_transposable(1, 32, dense) == HT_ERROR_PATTERN);
    CHECK(ht_nm_transposable_packed_size(8, 8, 2, 4, HT_DTYPE_I8, NULL, &size) == HT_ERROR_BLOB_DTYPE);
    CHECK(ht_nm_transposable_packed_size(8, 8, 2, 4, HT_DTYPE_F32, &sharing, &size) == HT_ERROR_PATTERN);
    CHECK(ht_nm_transposable_packed_size(8, 8, 2, 4, HT_DTYPE_F32, NULL, NULL) == HT_ERROR_NULL);
}

// An origin that names another value, and one that names none.
static void test_damaged_origins(void) {
    weights w = {.o = 8, .k = 8, .n = 2, .m = 4};
    checking("damaged origins");
    fill_both_ways(&w, true);
    CHECK(!ht_nm_transposable_packed_size(w.o, w.k, w.n, w.m, HT_DTYPE_F32, NULL, &w.size));
    w.packed = ht_allocate(w.size);
    CHECK(pack_typed(&w, &both_ways, HT_DTYPE_F32, false, w.packed, w.size) == HT_OK);
    uint8_t *origins = (uint8_t *)w.packed + w.size - 64;  // four slots of eight columns
    for (size_t i = 0; i < 32; i++) {
        uint8_t origin = origins[i];
        origins[i] = origin == 254 ? 0 : (uint8_t)(origin ^ 1);
        CHECK(ht_nm_packed_check(w.packed, w.size) == HT_ERROR_BLOB_CORRUPT);
        origins[i] = origin;
    }
    CHECK(ht_nm_packed_check(w.packed, w.size) == HT_OK);
    release(&w);
}

void test_backward(void) {
    for (int i = 0; i < 200; i++)
        if (!is_skipped()) test_random_product();
    test_damaged_permutation();
    for (int i = 0; i < 150; i++)
        if (!is_skipped()) test_transposable();
    test_transposable_errors();
    test_damaged_origins();
}
