// SPDX-License-Identifier: Apache-2.0
// Products and convolutions of signs.
#include <math.h>

#include "check.h"
#include "matrix.h"
#include "signs.h"

static uint32_t draw_next(void *context) {
    (void)context;
    return next_random();
}

static void test_random_products(void) {
    checking("products and convolutions of signs");
    for (int i = 0; i < 1000; i++) CHECK(is_skipped() || is_product_of_signs_right(draw_next, NULL));
    for (int i = 0; i < 300; i++)
        if (!is_skipped()) run_damaged_signs(draw_next, NULL);
}

// Bits behind a tap's last, which only damaged weights have, do not reach the rows, nor what lies behind these.
static void test_damaged_tails(void) {
    checking("damaged tails of signs");
    const ht_conv_shape shape = {
        .height = 3, .width = 3, .channels = 37, .outputs = 2, .kernel_height = 1, .kernel_width = 5};
    enum { COLUMNS = 5 * 37, ROW_WORDS = 3 };
    uint64_t *w = exactly(2 * ROW_WORDS * 8, 8);
    memset(w, 0, 2 * ROW_WORDS * 8);
    size_t size;
    CHECK(ht_binary_conv_packed_size(&shape, NULL, &size) == HT_OK);
    char *packed = exactly(size, 64);
    CHECK(ht_binary_conv_pack(&shape, w, 0, packed, size, NULL) == HT_OK);
    memset(packed + 64, 0xff, 5 * 2 * 16 * 4);
    CHECK(ht_binary_conv_unpack(&shape, packed, size, w, 0, NULL) == HT_OK);
    for (size_t o = 0; o < 2; o++) {
        CHECK(w[o * ROW_WORDS] == UINT64_MAX && w[o * ROW_WORDS + 1] == UINT64_MAX);
        CHECK(w[o * ROW_WORDS + 2] == UINT64_MAX >> (ROW_WORDS * 64 - COLUMNS));
    }
    free(packed), free(w);
}

// Blobs of groups that were packed for other designs than the first lie elsewhere than they seem to.
static void test_mixed_groups(void) {
    checking("groups of signs packed for several designs");
    const ht_conv_shape all = {
        .height = 3, .width = 3, .channels = 96, .outputs = 48, .groups = 3, .kernel_height = 1, .kernel_width = 1};
    const ht_conv_shape one = {
        .height = 3, .width = 3, .channels = 32, .outputs = 16, .kernel_height = 1, .kernel_width = 1};
    const ht_options direct = {.binary_design = HT_BINARY_DIRECT}, pixels = {.binary_design = HT_BINARY_PIXELS};
    uint64_t w[48] = {0};
    size_t each, last;
    CHECK(ht_binary_conv_packed_size(&one, &direct, &each) == HT_OK);
    CHECK(ht_binary_conv_packed_size(&one, &pixels, &last) == HT_OK);
    char *packed = exactly(2 * each + last, 64);
    CHECK(ht_binary_conv_pack(&one, w, 0, packed, each, &direct) == HT_OK);
    CHECK(ht_binary_conv_pack(&one, w, 0, packed + each, each, &direct) == HT_OK);
    CHECK(ht_binary_conv_pack(&one, w, 0, packed + 2 * each, last, &pixels) == HT_OK);
    memset(w, 0x5a, sizeof w);
    CHECK(ht_binary_conv_unpack(&all, packed, 2 * each + last, w, 0, NULL) == HT_ERROR_BLOB_CORRUPT);
    CHECK(is_filled(w, sizeof w));
    free(packed);
}

// Two groups of 64 filters, a bit of a vector being a pixel; the ends of the second one's lists are damaged.
static void run_damaged_groups(bool along_tree) {
    const ht_conv_shape shape = {
        .height = 40, .width = 40, .channels = 128, .outputs = 128, .kernel_height = 3, .kernel_width = 3, .groups = 2};
    enum { ROWS = 128, WORDS_OF_ROW = 9, PIXELS = 1600 };
    const ht_options pixels = {.binary_design = HT_BINARY_PIXELS};
    static uint64_t w[ROWS * WORDS_OF_ROW], x[PIXELS * 2], y[PIXELS * 2];
    int32_t parent[ROWS];
    size_t size;
    for (size_t i = 0; i < COUNT(w); i++) w[i] = (uint64_t)next_random() << 32 | next_random();
    for (size_t row = 0; row < ROWS; row++) parent[row] = row % 64 ? (int32_t)(row % 64 - 1) : -1;
    CHECK((along_tree ? ht_mst_conv_packed_size(&shape, w, 0, parent, &size)
                      : ht_binary_conv_packed_size(&shape, &pixels, &size)) == HT_OK);
    char *packed = exactly(size, 64);
    CHECK((along_tree ? ht_mst_conv_pack(&shape, w, 0, parent, packed, size, NULL)
                      : ht_binary_conv_pack(&shape, w, 0, packed, size, &pixels)) == HT_OK);
    const ht_epilogue signs = {.output = HT_DTYPE_B1};
    CHECK(ht_binary_conv_b1(&shape, x, 0, packed, size, &signs, y, 0, NULL) == HT_OK);
    // Behind the header and the words of 64 filters of 9 taps of 64 channels.
    const size_t behind = 64 + 64 * 9 * 8;
    memset(packed + size / 2 + behind, 0xff, size / 2 - behind);
    memset(y, 0x5a, sizeof y);
    CHECK(ht_binary_conv_b1(&shape, x, 0, packed, size, &signs, y, 0, NULL) == HT_ERROR_BLOB_CORRUPT);
    CHECK(is_filled(y, sizeof y));
    free(packed);
}

static void test_damaged_groups(void) {
    checking("damaged lists of a second group");
    run_damaged_groups(false), run_damaged_groups(true);
}

// MARK: batch normalisation

// As the header has it, a sum at a time.
static bool folds_exactly(size_t inputs, const float *values, bool has_bias, bool has_mean) {
    const float *scale = values, *bias = has_bias ? values + 1 : NULL, *gamma = values + 2, *beta = values + 3;
    const float *mean = has_mean ? values + 4 : NULL, *variance = has_mean ? values + 5 : NULL;
    int32_t level = 77;
    uint8_t flip = 0x5a;
    CHECK(ht_binary_fold_batch_norm(1, inputs, scale, bias, gamma, beta, mean, variance, 1e-5f, &level, &flip) ==
          HT_OK);
    bool same = flip <= 1;
    for (long sum = -(long)inputs; sum <= (long)inputs; sum += 2) {
        const double s = fma((double)sum, *scale, (bias ? (double)*bias : 0) - (mean ? (double)*mean : 0));
        const double y = fma((double)*gamma, variance ? s / sqrt((double)*variance + 1e-5f) : s, (double)*beta);
        same &= (y < 0) == ((sum < level) != (flip == 1));
    }
    return same;
}

static float random_real(void) {
    static const float values[] = {0, -0.0f, 1, -1, 0.5f, 1e30f, -1e-30f};
    if (next_random() % 4 == 0) return values[next_random() % COUNT(values)];
    return ((float)(next_random() % 2001) - 1000) / 256;
}

static void test_folding(void) {
    checking("folding of batch normalisations");
    for (int i = 0; i < 3000; i++) {
        float values[6];
        for (size_t j = 0; j < COUNT(values); j++) values[j] = random_real();
        values[5] = fabsf(values[5]);
        CHECK(folds_exactly(next_random() % 200, values, i & 1, i & 2));
    }
    int32_t level = 0x5a5a5a5a;
    uint8_t flip = 0x5a;
    const float one = 1;
    CHECK(ht_binary_fold_batch_norm(1, 8, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, &flip) == HT_ERROR_NULL);
    CHECK(ht_binary_fold_batch_norm(1, 8, NULL, NULL, NULL, NULL, NULL, NULL, 0, &level, NULL) == HT_ERROR_NULL);
    CHECK(ht_binary_fold_batch_norm(1, 8, NULL, NULL, NULL, NULL, &one, NULL, 0, &level, &flip) == HT_ERROR_NULL);
    CHECK(ht_binary_fold_batch_norm(1, (size_t)1 << 31, NULL, NULL, NULL, NULL, NULL, NULL, 0, &level, &flip) ==
          HT_ERROR_OVERFLOW);
    CHECK(is_filled(&level, sizeof level) && is_filled(&flip, sizeof flip));
    CHECK(ht_binary_fold_batch_norm(0, 8, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, NULL) == HT_OK);
}

// MARK: errors

enum { T = 5, O = 40, K = 70, WORDS = 2 };

typedef struct call {
    size_t t, outputs, inputs;
    const void *x;
    size_t x_stride;
    void *packed;
    size_t packed_size;
    ht_epilogue epilogue;
    void *y;
    size_t y_stride;
    ht_options options;
} call;

static ht_status run(const call *c) {
    return ht_binary_gemm_b1(c->t, c->outputs, c->inputs, c->x, c->x_stride, c->packed, c->packed_size, &c->epilogue,
                             c->y, c->y_stride, &c->options);
}

// One thing wrong at a time, each with an error of its own, and nothing written.
static void test_errors(void) {
    checking("errors of products of signs");
    uint64_t x[T * WORDS] = {0}, w[O * WORDS] = {0};
    int32_t y[T * O + 1], level[O + 1] = {0};
    memset(y, 0x5a, sizeof y);
    size_t size;
    CHECK(ht_binary_packed_size(O, K, NULL, &size) == HT_OK);
    char *memory = exactly(size + 64, 64);
    CHECK(ht_binary_pack(O, K, w, 0, memory, size, NULL) == HT_OK);
    const ht_binary_threshold threshold = {(const int32_t *)(const void *)((char *)level + 2), NULL};
    const ht_quantization zero = {.x_zero = 1}, scaled = {.scale = (const float *)level};
    const call good = {T, O, K, x, 0, memory, size, {.output = HT_DTYPE_I32}, y, 0, {.threads = 1}};
#define REFUSES(status, ...)      \
    do {                          \
        call c = good;            \
        __VA_ARGS__;              \
        CHECK(run(&c) == status); \
    } while (0)
    REFUSES(HT_ERROR_NULL, c.x = NULL);
    REFUSES(HT_ERROR_NULL, c.y = NULL);
    REFUSES(HT_ERROR_NULL, c.packed = NULL);
    REFUSES(HT_ERROR_STRIDE, c.x_stride = 8);
    REFUSES(HT_ERROR_STRIDE, c.x_stride = 20);
    REFUSES(HT_ERROR_STRIDE, c.y_stride = 4);
    REFUSES(HT_ERROR_STRIDE, c.options.x_order = HT_ORDER_FEATURES);
    REFUSES(HT_ERROR_STRIDE, c.epilogue.output = HT_DTYPE_B1; c.options.y_order = HT_ORDER_FEATURES);
    REFUSES(HT_ERROR_STRIDE, c.options.y_order = (ht_order)7);
    REFUSES(HT_ERROR_ALIGNMENT, c.x = (char *)x + 4);
    REFUSES(HT_ERROR_ALIGNMENT, c.y = (char *)y + 2);
    REFUSES(HT_ERROR_ALIGNMENT, c.packed = memory + 8);
    REFUSES(HT_ERROR_ALIGNMENT, c.options.scratch = memory + 8);
    REFUSES(HT_ERROR_ALIGNMENT, c.epilogue.output = HT_DTYPE_B1; c.epilogue.threshold = &threshold);
    REFUSES(HT_ERROR_OVERFLOW, c.t = SIZE_MAX / 8);
    REFUSES(HT_ERROR_BUFFER_SIZE, c.options.scratch = memory; c.options.scratch_size = 1);
    REFUSES(HT_ERROR_THREADS, c.options.threads = -1);
    REFUSES(HT_ERROR_DESIGN, c.options.binary_design = (ht_binary_design)5);
    REFUSES(HT_ERROR_ISA, c.options.isa = (ht_isa)99);
    REFUSES(HT_ERROR_WINDOW, c.options.row_end = T + 1);
    REFUSES(HT_ERROR_WINDOW, c.options.column_begin = 8);
    REFUSES(HT_ERROR_WINDOW, c.options.column_end = 20);
    REFUSES(HT_ERROR_EPILOGUE, c.epilogue.bias = (const float *)level);
    REFUSES(HT_ERROR_EPILOGUE, c.epilogue.row_scale = (const float *)level);
    REFUSES(HT_ERROR_EPILOGUE, c.epilogue.threshold = &threshold);
    REFUSES(HT_ERROR_EPILOGUE, c.epilogue.quantization = &zero; c.epilogue.output = HT_DTYPE_F32);
    REFUSES(HT_ERROR_EPILOGUE, c.epilogue.quantization = &scaled);
    REFUSES(HT_ERROR_EPILOGUE, c.epilogue.output = HT_DTYPE_F16);
    REFUSES(HT_ERROR_EPILOGUE, c.epilogue.output = HT_DTYPE_U1);
    REFUSES(HT_ERROR_EPILOGUE, c.epilogue.output = HT_DTYPE_B1; c.epilogue.activation = HT_ACTIVATION_RELU);
    REFUSES(HT_ERROR_BLOB_TRUNCATED, c.packed_size = size - 1);
    REFUSES(HT_ERROR_BLOB_TRUNCATED, c.packed_size = 63);
    REFUSES(HT_ERROR_BLOB_SHAPE, c.outputs = O - 1);
    REFUSES(HT_ERROR_BLOB_SHAPE, c.inputs = K - 1);
    memory[20] ^= 1;
    REFUSES(HT_ERROR_BLOB_CORRUPT, (void)c);
    memory[20] ^= 1;
    CHECK(is_filled(y, sizeof y));
    REFUSES(HT_OK, (void)c);
    CHECK(y[0] == K && is_filled(y + T * O, sizeof *y));
    free(memory);
}

static void test_convolution_errors(void) {
    checking("errors of convolutions of signs");
    ht_conv_shape shape = {
        .height = 3, .width = 3, .channels = 4, .outputs = 6, .kernel_height = 2, .kernel_width = 2, .groups = 2};
    uint64_t w[6] = {0}, x[9] = {0};
    float reals[36] = {0};
    int32_t y[4 * 6];
    memset(y, 0x5a, sizeof y);
    size_t size, scratch;
    CHECK(ht_binary_conv_packed_size(&shape, NULL, &size) == HT_OK);
    void *packed = exactly(size, 64);
    CHECK(ht_binary_conv_pack(&shape, w, 0, packed, size, NULL) == HT_OK);
    ht_options window = {.column_begin = 16};
    CHECK(ht_binary_conv_b1(&shape, x, 0, packed, size, NULL, y, 0, &window) == HT_ERROR_WINDOW);
    CHECK(ht_binary_conv_b1(NULL, x, 0, packed, size, NULL, y, 0, NULL) == HT_ERROR_NULL);
    CHECK(ht_binary_conv_scratch_size(&shape, HT_DTYPE_BF16, packed, size, NULL, &scratch) == HT_ERROR_BLOB_DTYPE);
    CHECK(ht_binary_conv_scratch_size(&shape, HT_DTYPE_B1, packed, size, NULL, NULL) == HT_ERROR_NULL);
    shape.padding = HT_PADDING_PLUS_ONE;
    CHECK(ht_binary_conv_f32(&shape, reals, 0, packed, size, NULL, y, 0, NULL) == HT_ERROR_CONV);
    CHECK(ht_binary_conv_i8(&shape, (const int8_t *)x, 0, packed, size, NULL, y, 0, NULL) == HT_ERROR_CONV);
    shape.padding = (ht_padding)3;
    CHECK(ht_binary_conv_b1(&shape, x, 0, packed, size, NULL, y, 0, NULL) == HT_ERROR_CONV);
    shape.padding = HT_PADDING_ZERO;
    shape.kernel_width = 3;
    CHECK(ht_binary_conv_b1(&shape, x, 0, packed, size, NULL, y, 0, NULL) == HT_ERROR_BLOB_SHAPE);
    shape.kernel_width = 2, shape.groups = 3;
    CHECK(ht_binary_conv_b1(&shape, x, 0, packed, size, NULL, y, 0, NULL) == HT_ERROR_CONV);
    CHECK(is_filled(y, sizeof y));
    shape.groups = 2;
    CHECK(ht_binary_conv_b1(&shape, x, 0, packed, size, NULL, y, 0, NULL) == HT_OK && y[0] == 8);
    free(packed);
}

void test_binary(void) {
    test_random_products();
    test_damaged_tails();
    test_mixed_groups();
    test_damaged_groups();
    test_folding();
    test_errors();
    test_convolution_errors();
}
