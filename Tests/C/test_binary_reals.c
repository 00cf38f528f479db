// SPDX-License-Identifier: Apache-2.0
// Products and convolutions of floats and bytes with signs, against the formulas of the headers.
#include <math.h>

#include "check.h"
#include "matrix.h"
#include "values.h"

// MARK: a problem

typedef struct problem {
    bool is_image;
    ht_conv_shape shape;  // a matrix is one row of pixels and has 1x1 filters
    size_t y_width, t, inputs;  // inputs at all taps
    types types;
    matrix x, y, residual;
    uint64_t *w;
    void *packed;
    size_t packed_size;
    epilogues epilogues;
    ht_quantization quantization;
    float *scale, *row_scale;
    ht_options options;
} problem;

static size_t up_to(size_t most) { return next_random() % (most + 1); }

static size_t taps(const problem *p) { return p->shape.kernel_height * p->shape.kernel_width; }
static size_t group_channels(const problem *p) { return p->shape.channels / p->shape.groups; }
static size_t w_words(const problem *p) { return (p->inputs + 63) / 64; }

static int sign_of(const problem *p, size_t o, size_t k) {
    return p->w[o * w_words(p) + k / 64] >> k % 64 & 1 ? -1 : 1;
}

static void draw_shape(problem *p) {
    static const size_t sizes[] = {0, 1, 2, 15, 16, 17, 31, 32, 33, 64, 97, 150};
    const size_t groups = p->is_image && next_random() % 3 == 0 ? 1 + up_to(3) : 1;
    p->shape = (ht_conv_shape){.images = 1,
                               .height = 1,
                               .width = up_to(40),
                               .channels = groups * sizes[up_to(COUNT(sizes) - 1)],
                               .outputs = groups * sizes[up_to(COUNT(sizes) - 1)],
                               .kernel_height = 1,
                               .kernel_width = 1,
                               .stride_y = 1,
                               .stride_x = 1,
                               .dilation_y = 1,
                               .dilation_x = 1,
                               .groups = groups};
    if (!p->is_image && next_random() % 8 == 0) p->shape.channels = 600 + up_to(1500);
    if (p->is_image) {
        ht_conv_shape *s = &p->shape;
        s->images += up_to(1), s->height = up_to(9), s->width = up_to(9);
        s->kernel_height += up_to(3), s->kernel_width += up_to(3);
        s->stride_y += up_to(2), s->stride_x += up_to(2), s->dilation_y += up_to(1), s->dilation_x += up_to(2);
        s->pad_top = up_to(3), s->pad_left = up_to(3), s->pad_bottom = up_to(3), s->pad_right = up_to(3);
        // Tables of a row do not fit a cache: a piece of it is in work at a time.
        if (next_random() % 12 == 0) s->width = 70 + up_to(20), s->height = 1, s->channels = 512 * s->groups;
    }
    size_t height;
    CHECK(ht_conv_output_size(&p->shape, &height, &p->y_width) == HT_OK);
    p->t = p->shape.images * height * p->y_width;
    p->inputs = taps(p) * group_channels(p);
}

static void draw_operands(problem *p, bool special) {
    const ht_order x_order = !p->is_image && next_random() % 3 == 0 ? HT_ORDER_FEATURES : HT_ORDER_ROWS;
    const ht_order y_order = next_random() % 4 == 0 ? HT_ORDER_FEATURES : HT_ORDER_ROWS;
    const size_t pixels = p->shape.images * p->shape.height * p->shape.width;
    p->x = make_matrix(pixels, p->shape.channels, p->types.x, x_order, up_to(2));
    for (size_t i = 0; i < pixels * p->shape.channels; i++) {
        void *value = element(&p->x, i / p->shape.channels, i % p->shape.channels);
        set_random(value, p->types.x, 0);
        if (special && p->types.x == HT_DTYPE_F32 && next_random() % 16 == 0) set_special(value, p->types.x, 0);
        if (special && p->types.x == HT_DTYPE_I8) *(int8_t *)value = next_random() % 8 ? -128 : 127;
    }
    p->y = make_matrix(p->t, p->shape.outputs, p->types.y, y_order, up_to(2));
    p->residual = make_matrix(p->t, p->shape.outputs, residual_type(p->types.y), y_order, 0);
    for (size_t i = 0; i < p->t * p->shape.outputs; i++)
        set_random(element(&p->residual, i / p->shape.outputs, i % p->shape.outputs), p->residual.dtype, 0);
    p->options.x_order = x_order;
    p->options.y_order = y_order;
    p->w = exactly(p->shape.outputs * w_words(p) * sizeof *p->w, sizeof *p->w);
    for (size_t i = 0; i < p->shape.outputs * w_words(p); i++) {
        p->w[i] = (uint64_t)next_random() << 32 | next_random();
        if (special) p->w[i] = next_random() % 2 ? 0 : ~(uint64_t)0;  // the largest sums there are
        if (p->inputs % 64 && i % w_words(p) == w_words(p) - 1) p->w[i] &= ((uint64_t)1 << p->inputs % 64) - 1;
    }
    p->epilogues = make_epilogues(p->types, p->shape.outputs, p->residual.data);
    p->row_scale = exactly(p->t * sizeof(float), sizeof(double));
    for (size_t t = 0; t < p->t; t++) set_random(p->row_scale, HT_DTYPE_F32, t);
    p->scale = exactly(p->shape.outputs * sizeof(float), sizeof(double));
    for (size_t o = 0; o < p->shape.outputs; o++) set_random(p->scale, HT_DTYPE_F32, o);
}

static void pack(problem *p) {
    ht_status status = p->is_image ? ht_binary_conv_packed_size(&p->shape, NULL, &p->packed_size)
                                   : ht_binary_packed_size(p->shape.outputs, p->shape.channels, NULL, &p->packed_size);
    CHECK(status == HT_OK);
    p->packed = exactly(p->packed_size, 64);
    status = p->is_image
                 ? ht_binary_conv_pack(&p->shape, p->w, 0, p->packed, p->packed_size, NULL)
                 : ht_binary_pack(p->shape.outputs, p->shape.channels, p->w, 0, p->packed, p->packed_size, NULL);
    CHECK(status == HT_OK);
}

static void free_problem(problem *p) {
    free_matrix(&p->x), free_matrix(&p->y), free_matrix(&p->residual);
    free_epilogues(&p->epilogues);
    free(p->w), free(p->packed), free(p->scale), free(p->row_scale);
}

// MARK: the formulas

// The pixel of X under a tap; false outside the image.
static bool pixel_under(const problem *p, size_t t, size_t tap, size_t *pixel) {
    const ht_conv_shape *s = &p->shape;
    const size_t image_pixels = p->t / s->images, image = t / image_pixels;
    const long row =
        (long)(t % image_pixels / p->y_width * s->stride_y + tap / s->kernel_width * s->dilation_y) - (long)s->pad_top;
    const long column =
        (long)(t % p->y_width * s->stride_x + tap % s->kernel_width * s->dilation_x) - (long)s->pad_left;
    if (row < 0 || column < 0 || row >= (long)s->height || column >= (long)s->width) return false;
    *pixel = (image * s->height + (size_t)row) * s->width + (size_t)column;
    return true;
}

// x with the sign of its weight; 0 where there is none.
static float signed_x(const problem *p, size_t t, size_t o, size_t tap, size_t k) {
    const size_t group = o / (p->shape.outputs / p->shape.groups);
    size_t pixel;
    if (k >= group_channels(p) || !pixel_under(p, t, tap, &pixel)) return 0;
    const void *x = element(&p->x, pixel, group * group_channels(p) + k);
    const float value =
        p->types.x == HT_DTYPE_F32 ? *(const float *)x : (float)(*(const int8_t *)x - p->quantization.x_zero);
    return sign_of(p, o, tap * group_channels(p) + k) < 0 ? -value : value;
}

// In fours, as the header says; those of bytes are exact.
static void sums_of(const problem *p, size_t t, size_t o, float *real, int64_t *integer) {
    *real = 0;
    *integer = 0;
    for (size_t tap = 0; tap < taps(p); tap++)
        for (size_t k = 0; k < group_channels(p); k += 4) {
            const float a = signed_x(p, t, o, tap, k) + signed_x(p, t, o, tap, k + 1);
            const float b = signed_x(p, t, o, tap, k + 2) + signed_x(p, t, o, tap, k + 3);
            const float four = a + b;
            *real += four;
            if (p->types.x == HT_DTYPE_I8) *integer += (int64_t)four;
        }
}

static bool is_in_window(const problem *p, size_t t, size_t o) {
    const ht_options *w = &p->options;
    return t >= w->row_begin && (w->row_end == 0 || t < w->row_end) && o >= w->column_begin &&
           (w->column_end == 0 || o < w->column_end);
}

// A product of floats takes the scales of one of signs.
static void set_real(const problem *p, const ht_epilogue *e, float sum, size_t t, size_t o, const void *residual,
                     void *y) {
    ht_epilogue rest = *e;
    rest.bias = NULL;
    volatile float scaled = sum * (e->row_scale ? e->row_scale[t] : 1);
    const float *scale = e->quantization->scale;
    set_result(p->types, &rest, fmaf(scaled, scale ? scale[o] : 1, e->bias ? e->bias[o] : 0), 0, t, o, residual, y);
}

static bool is_y_right(const problem *p, const ht_epilogue *e, const matrix *real, const matrix *integer) {
    bool right = true;
    for (size_t t = 0; t < p->t; t++)
        for (size_t o = 0; o < p->shape.outputs; o++) {
            char expected[4] = {0x5a, 0x5a, 0x5a, 0x5a};
            const int32_t sum = *(int32_t *)element(integer, t, o);
            const void *residual = e->residual ? element(&p->residual, t, o) : NULL;
            if (is_in_window(p, t, o) && p->types.x == HT_DTYPE_I8)
                set_result(p->types, e, 0, sum, t, o, residual, expected);
            else if (is_in_window(p, t, o))
                set_real(p, e, *(float *)element(real, t, o), t, o, residual, expected);
            right &= same_value(expected, element(&p->y, t, o), p->types.y);
        }
    return right;
}

// MARK: calls

static ht_status run(const problem *p, const ht_epilogue *e) {
    const size_t o = p->shape.outputs, k = p->shape.channels;
    const bool f32 = p->types.x == HT_DTYPE_F32;
#define RUN(type, suffix)                                                                                              \
    (p->is_image ? ht_binary_conv_##suffix(&p->shape, (const type *)p->x.data, p->x.stride, p->packed, p->packed_size, \
                                           e, p->y.data, p->y.stride, &p->options)                                     \
                 : ht_binary_gemm_##suffix(p->t, o, k, (const type *)p->x.data, p->x.stride, p->packed,                \
                                           p->packed_size, e, p->y.data, p->y.stride, &p->options))
    return f32 ? RUN(float, f32) : RUN(int8_t, i8);
}

static void give_scratch(problem *p) {
    size_t size = 0;
    const ht_status status =
        p->is_image ? ht_binary_conv_scratch_size(&p->shape, p->types.x, p->packed, p->packed_size, &p->options, &size)
                    : ht_binary_gemm_scratch_size(p->t, p->types.x, p->packed, p->packed_size, &p->options, &size);
    CHECK(status == HT_OK);
    p->options.scratch = size ? exactly(size, 64) : NULL;
    p->options.scratch_size = size;
}

static void draw_window(problem *p) {
    p->options.row_begin = p->options.row_end = p->options.column_begin = 0;
    if (p->t > 1 && next_random() % 2) {
        p->options.row_begin = up_to(p->t - 2);
        p->options.row_end = p->options.row_begin + 1 + up_to(p->t - p->options.row_begin - 1);
    }
    if (p->shape.outputs > 16 && p->shape.groups == 1 && next_random() % 2)
        p->options.column_begin = up_to((p->shape.outputs - 1) / 16) * 16;
}

// Every row of the table gives what the formulas give.
static void check_rows(problem *p, const ht_epilogue *e, const matrix *real, const matrix *integer) {
    ht_isa rows[16];
    const size_t count = runnable(p->types.op, rows, COUNT(rows));
    CHECK(count > 0);
    for (size_t i = 0; i < count; i++) {
        p->options.isa = rows[i];
        p->options.threads = 1 + (int)up_to(2);
        draw_window(p);
        p->options.scratch = NULL;
        if (next_random() % 2) give_scratch(p);
        memset(p->y.memory, 0x5a, p->y.bytes + (size_t)((char *)p->y.data - (char *)p->y.memory));
        CHECK(run(p, e) == HT_OK);
        CHECK(is_y_right(p, e, real, integer));
        free(p->options.scratch);
    }
}

static void check_problem(problem *p) {
    matrix real = make_matrix(p->t, p->shape.outputs, HT_DTYPE_F32, HT_ORDER_ROWS, 0);
    matrix integer = make_matrix(p->t, p->shape.outputs, HT_DTYPE_I32, HT_ORDER_ROWS, 0);
    for (size_t i = 0; i < p->epilogues.count; i++) {
        ht_epilogue e = epilogue_at(&p->epilogues, i);
        p->quantization = e.quantization ? *e.quantization : (ht_quantization){0};
        if (p->types.x == HT_DTYPE_I8) p->quantization.x_zero = (int32_t)up_to(255) - 128;
        e.quantization = &p->quantization;
        const bool takes_row_scale = p->types.y == HT_DTYPE_F32 || p->types.y == HT_DTYPE_BF16;
        if (takes_row_scale && i % 2) e.row_scale = p->row_scale;
        if (p->types.x == HT_DTYPE_F32 && i > 1) p->quantization.scale = p->scale;
        for (size_t j = 0; j < p->t * p->shape.outputs; j++) {
            const size_t t = j / p->shape.outputs, o = j % p->shape.outputs;
            int64_t sum;
            sums_of(p, t, o, element(&real, t, o), &sum);
            *(int32_t *)element(&integer, t, o) = (int32_t)sum;
        }
        check_rows(p, &e, &real, &integer);
    }
    free_matrix(&real), free_matrix(&integer);
}

static void test_random_problems(void) {
    // Weights are signs; their type says which epilogues there are.
    static const types all[] = {{"binary_gemm_f32", HT_DTYPE_F32, HT_DTYPE_F32, HT_DTYPE_F32},
                                {"binary_gemm_f32", HT_DTYPE_F32, HT_DTYPE_F32, HT_DTYPE_BF16},
                                {"binary_gemm_i8", HT_DTYPE_I8, HT_DTYPE_I8, HT_DTYPE_I32},
                                {"binary_gemm_i8", HT_DTYPE_I8, HT_DTYPE_I8, HT_DTYPE_F32},
                                {"binary_gemm_i8", HT_DTYPE_I8, HT_DTYPE_I8, HT_DTYPE_BF16},
                                {"binary_gemm_i8", HT_DTYPE_I8, HT_DTYPE_I8, HT_DTYPE_U8},
                                {"binary_gemm_i8", HT_DTYPE_I8, HT_DTYPE_I8, HT_DTYPE_I8}};
    for (size_t i = 0; i < 140; i++) {
        if (is_skipped()) continue;
        problem p = {.types = all[i % COUNT(all)], .is_image = i / COUNT(all) % 2};
        draw_shape(&p);
        checking("%s to type %d, %s, %zu x %zu x %zu, %zux%zu taps", p.types.op, (int)p.types.y,
                 p.is_image ? "image" : "matrix", p.t, p.shape.outputs, p.shape.channels, p.shape.kernel_height,
                 p.shape.kernel_width);
        draw_operands(&p, next_random() % 3 == 0);
        pack(&p);
        check_problem(&p);
        free_problem(&p);
    }
}

// MARK: one by one

// Sums of sixteen bits would overflow many times.
static void test_long_rows_of_bytes(void) {
    enum { K = 70001, WORDS = (K + 63) / 64, O = 17 };
    checking("long rows of bytes");
    int8_t *x = exactly(K, sizeof(double));
    uint64_t *w = exactly(O * WORDS * sizeof *w, sizeof *w);
    memset(x, -128, K);
    memset(w, 0, O * WORDS * sizeof *w);
    for (size_t k = 0; k < K; k++) w[WORDS + k / 64] |= (uint64_t)1 << k % 64;  // all of output 1
    size_t size;
    CHECK(ht_binary_packed_size(O, K, NULL, &size) == HT_OK);
    void *packed = exactly(size, 64);
    CHECK(ht_binary_pack(O, K, w, 0, packed, size, NULL) == HT_OK);
    ht_isa rows[16];
    for (size_t i = 0, count = runnable("binary_gemm_i8", rows, COUNT(rows)); i < count; i++) {
        int32_t y[O];
        const ht_quantization q = {.x_zero = 127};
        const ht_epilogue e = {.quantization = &q};
        const ht_options options = {.threads = 1, .isa = rows[i]};
        CHECK(ht_binary_gemm_i8(1, O, K, x, 0, packed, size, &e, y, 0, &options) == HT_OK);
        for (size_t o = 0; o < O; o++) CHECK(y[o] == (o == 1 ? K * 255 : K * -255));
    }
    free(x), free(w), free(packed);
}

static void test_errors(void) {
    enum { T = 3, O = 20, K = 40 };
    checking("errors of products of floats with signs");
    float x[T * K] = {0};
    uint64_t w[O] = {0};
    uint16_t y[T * O * 2];
    memset(y, 0x5a, sizeof y);
    size_t size, scratch;
    CHECK(ht_binary_packed_size(O, K, NULL, &size) == HT_OK);
    void *packed = exactly(size, 64);
    CHECK(ht_binary_pack(O, K, w, 0, packed, size, NULL) == HT_OK);
    ht_options options = {.threads = 1};
    CHECK(ht_binary_gemm_f32(T, O, K, NULL, 0, packed, size, NULL, y, 0, &options) == HT_ERROR_NULL);
    CHECK(ht_binary_gemm_f32(T, O, K, x, K * 4 - 4, packed, size, NULL, y, 0, &options) == HT_ERROR_STRIDE);
    CHECK(ht_binary_gemm_f32(T, O, K + 1, x, 0, packed, size, NULL, y, 0, &options) == HT_ERROR_BLOB_SHAPE);
    CHECK(ht_binary_gemm_f32(T, O, K, x, 0, packed, size - 1, NULL, y, 0, &options) == HT_ERROR_BLOB_TRUNCATED);
    ht_epilogue epilogue = {.output = HT_DTYPE_I32};
    CHECK(ht_binary_gemm_f32(T, O, K, x, 0, packed, size, &epilogue, y, 0, &options) == HT_ERROR_EPILOGUE);
    epilogue.output = HT_DTYPE_B1;
    CHECK(ht_binary_gemm_i8(T, O, K, (int8_t *)x, 0, packed, size, &epilogue, y, 0, &options) == HT_ERROR_EPILOGUE);
    ht_conv_shape shape = {.height = 1, .width = T, .channels = K, .outputs = O, .kernel_height = 1, .kernel_width = 1};
    shape.padding = HT_PADDING_PLUS_ONE;
    CHECK(ht_binary_conv_f32(&shape, x, 0, packed, size, NULL, y, 0, &options) == HT_ERROR_CONV);
    shape.padding = HT_PADDING_ZERO;
    options.x_order = HT_ORDER_FEATURES;
    CHECK(ht_binary_conv_f32(&shape, x, 0, packed, size, NULL, y, 0, &options) == HT_ERROR_STRIDE);
    options.x_order = HT_ORDER_ROWS;
    CHECK(ht_binary_gemm_scratch_size(T, HT_DTYPE_F32, packed, size, &options, &scratch) == HT_OK);
    options.scratch = packed;
    options.scratch_size = scratch - 1;
    if (scratch) CHECK(ht_binary_gemm_f32(T, O, K, x, 0, packed, size, NULL, y, 0, &options) == HT_ERROR_BUFFER_SIZE);
    options.row_begin = T + 1;
    CHECK(ht_binary_gemm_f32(T, O, K, x, 0, packed, size, NULL, y, 0, &options) == HT_ERROR_WINDOW);
    CHECK(is_filled(y, sizeof y));
    free(packed);
}

void test_binary_reals(void) {
    test_random_problems();
    test_long_rows_of_bytes();
    test_errors();
}
