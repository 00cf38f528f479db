// SPDX-License-Identifier: Apache-2.0
#include "signs.h"

#include <stdio.h>

#include "check.h"
#include "core/blob.h"
#include "matrix.h"
#include "values.h"

// Larger ones find nothing new and cost runs.
enum { most_terms = 200000 };

typedef struct problem {
    bool is_product;     // an image of one row of pixels, and 1x1 filters
    ht_conv_shape shape;  // without the zeros that stand for one
    size_t y_height, y_width;
    types types;
    int8_t *x, *w;       // values: [pixel][channel], [output][tap][channel]
    uint64_t *x_bits, *w_bits;
    size_t x_stride, w_stride;
    int32_t *sums;
    ht_options options;
    matrix residual;
    ht_epilogue epilogue;
    ht_quantization quantization;
    ht_binary_threshold threshold;
    float *bias, *scale, *row_scale;
    int32_t *multiplier, *offset, *level;
    uint8_t *shift, *flip;
} problem;

static size_t x_pixels(const problem *p) { return p->shape.images * p->shape.height * p->shape.width; }
static size_t y_pixels(const problem *p) { return p->shape.images * p->y_height * p->y_width; }
static size_t taps(const problem *p) { return p->shape.kernel_height * p->shape.kernel_width; }
static size_t group_channels(const problem *p) { return p->shape.channels / p->shape.groups; }

// MARK: the draw

static uint32_t up_to(draw *next, void *context, uint32_t most) { return next(context) % (most + 1); }
#define UP_TO(most) up_to(next, context, (uint32_t)(most))
#define ONE_IN(n) (next(context) % (n) == 0)

static size_t draw_channels(draw *next, void *context) {
    switch (next(context) % 8) {
    case 0: return 32 * UP_TO(4);
    case 1: return 64 * UP_TO(3) + UP_TO(1);
    case 2: return 1;
    case 3: return 500 + UP_TO(80);
    default: return UP_TO(100);
    }
}

static void draw_shape(problem *p, draw *next, void *context) {
    ht_conv_shape *s = &p->shape;
    p->is_product = ONE_IN(3);
    s->images = p->is_product ? 1 : 1 + UP_TO(2);
    s->height = p->is_product ? 1 : UP_TO(12), s->width = UP_TO(p->is_product || ONE_IN(8) ? 60 : 12);
    s->groups = !p->is_product && ONE_IN(3) ? 1 + UP_TO(4) : 1;
    s->channels = s->groups * draw_channels(next, context), s->outputs = s->groups * draw_channels(next, context);
    if (ONE_IN(4)) {  // vectors full of pixels
        s->width = p->is_product ? 400 + UP_TO(700) : s->width + 20, s->height = p->is_product ? 1 : s->height + 10;
        s->channels = s->groups * (ONE_IN(4) ? 64 : 1 + UP_TO(30)), s->outputs = s->groups * (1 + UP_TO(9));
    }
    s->kernel_height = p->is_product ? 1 : 1 + UP_TO(3), s->kernel_width = p->is_product ? 1 : 1 + UP_TO(3);
    s->stride_y = s->stride_x = s->dilation_y = s->dilation_x = 1;
    if (p->is_product) return;
    if (ONE_IN(3)) s->stride_y = 1 + UP_TO(2), s->stride_x = 1 + UP_TO(2);
    if (ONE_IN(4)) s->dilation_y = 1 + UP_TO(2), s->dilation_x = 1 + UP_TO(2);
    s->pad_top = UP_TO(3), s->pad_left = UP_TO(3), s->pad_bottom = UP_TO(3), s->pad_right = UP_TO(3);
    s->padding = (ht_padding)UP_TO(2);
    if (ONE_IN(16)) s->groups = s->channels = 1 + UP_TO(80), s->outputs = s->groups * (1 + UP_TO(2));
}

// Less of what costs most, until it is cheap.
static void shrink(ht_conv_shape *s) {
    for (;;) {
        const size_t pixels = (s->height + s->pad_top + s->pad_bottom) * (s->width + s->pad_left + s->pad_right);
        const size_t terms = s->kernel_height * s->kernel_width * s->outputs * (s->channels / s->groups);
        if (s->images * pixels * terms <= most_terms) return;
        if (s->height > 2 || s->width > 8)
            s->height = (s->height + 1) / 2, s->width = (s->width + 1) / 2;
        else if (s->images > 1)
            s->images = 1;
        else
            s->outputs = s->outputs / s->groups / 2 * s->groups, s->pad_top = s->pad_bottom = 0;
    }
}

// Rows of ±1 with as many -1 as the draw likes; then as bits, with words between the rows that are anything.
static int8_t *draw_values(size_t rows, size_t columns, draw *next, void *context) {
    int8_t *values = exactly(rows * columns, 16);
    const uint32_t density = UP_TO(4);
    uint32_t state = next(context);
    for (size_t i = 0; i < rows * columns; i++) {
        state = state * 1664525 + 1013904223;
        values[i] = density == 0 ? 1 : density == 4 ? -1 : state >> 24 < density * 64 ? -1 : 1;
    }
    return values;
}

// Makes rows alike: each, but for some of its values, one before it or its negation.
static void resemble(int8_t *values, size_t rows, size_t columns, draw *next, void *context) {
    for (size_t r = 1; r < rows; r++) {
        const int8_t *from = values + next(context) % r * columns;
        const uint32_t kept = next(context);
        for (size_t c = 0; c < columns; c++)
            if (kept >> c % 31 & 1) values[r * columns + c] = (int8_t)(kept >> 31 ? -from[c] : from[c]);
    }
}

static uint64_t *bits_of(const int8_t *values, size_t rows, size_t columns, size_t gap, size_t *stride) {
    const size_t words = (columns + 63) / 64;
    *stride = (words + gap) * 8;
    const size_t all = rows && words ? (rows - 1) * (words + gap) + words : 0;
    uint64_t *bits = exactly(all * 8, 8);
    memset(bits, 0x5a, all * 8);
    for (size_t r = 0; r < rows; r++) {
        uint64_t *row = bits + r * (words + gap);
        for (size_t w = 0; w < words; w++) row[w] = 0;
        for (size_t c = 0; c < columns; c++) row[c / 64] |= (uint64_t)(values[r * columns + c] < 0) << c % 64;
    }
    return bits;
}

static void draw_window(problem *p, draw *next, void *context) {
    ht_options *o = &p->options;
    const size_t rows = y_pixels(p), columns = p->shape.outputs;
    if (ONE_IN(2)) o->row_begin = UP_TO(rows), o->row_end = o->row_begin + UP_TO(rows - o->row_begin);
    if (!ONE_IN(3) || p->shape.groups > 1) return;
    o->column_begin = UP_TO(columns / 16) * 16;
    o->column_end = o->column_begin + UP_TO((columns - o->column_begin) / 16) * 16;
}

static void draw_parameters(problem *p, draw *next, void *context) {
    const size_t rows = y_pixels(p), columns = p->shape.outputs;
    const int32_t inputs = (int32_t)(taps(p) * group_channels(p));
    p->bias = exactly(columns * 4, 16), p->scale = exactly(columns * 4, 16), p->row_scale = exactly(rows * 4, 16);
    p->multiplier = exactly(columns * 4, 16), p->offset = exactly(columns * 4, 16), p->level = exactly(columns * 4, 16);
    p->shift = exactly(columns, 16), p->flip = exactly((columns + 7) / 8, 16);
    for (size_t r = 0; r < rows; r++) p->row_scale[r] = (float)(UP_TO(100) + 1) / 77;
    for (size_t i = 0; i < (columns + 7) / 8; i++) p->flip[i] = (uint8_t)next(context);
    for (size_t i = 0; i < columns; i++) {
        p->bias[i] = (float)UP_TO(40) - 20, p->scale[i] = (float)(int)UP_TO(100) / 37 - 1;
        p->multiplier[i] = (int32_t)(next(context) >> 1), p->offset[i] = (int32_t)UP_TO(2000) - 1000;
        p->shift[i] = (uint8_t)(1 + UP_TO(61));
        p->level[i] = ONE_IN(16) ? (int32_t)next(context) : (int32_t)UP_TO(inputs / 4 + 4) - inputs / 8 - 2;
    }
}

static bool is_byte(ht_dtype type) { return type == HT_DTYPE_U8 || type == HT_DTYPE_I8; }

static void draw_quantization(problem *p, draw *next, void *context) {
    ht_quantization *q = &p->quantization;
    const ht_dtype y = p->types.y;
    p->epilogue.quantization = q;
    if (is_byte(y)) q->y_zero = (int32_t)UP_TO(255) - (y == HT_DTYPE_I8 ? 128 : 0);
    if (is_byte(y) && ONE_IN(2)) {
        q->multiplier = p->multiplier, q->shift = p->shift, q->half_away = ONE_IN(2);
        if (ONE_IN(2)) q->offset = p->offset;
        return;
    }
    if (ONE_IN(2)) q->scale = p->scale;
    if (ONE_IN(2)) q->y_scale = 0.37f;
}

static void draw_epilogue(problem *p, draw *next, void *context) {
    static const ht_dtype results[] = {HT_DTYPE_I32, HT_DTYPE_I16, HT_DTYPE_F32, HT_DTYPE_BF16,
                                       HT_DTYPE_U8,  HT_DTYPE_I8,  HT_DTYPE_B1,  HT_DTYPE_B1};
    ht_epilogue *e = &p->epilogue;
    p->types = (types){"binary_gemm", HT_DTYPE_B1, p->is_product && ONE_IN(3) ? HT_DTYPE_U1 : HT_DTYPE_B1,
                       results[UP_TO(COUNT(results) - 1)]};
    const ht_dtype y = e->output = p->types.y;
    if (y != HT_DTYPE_B1 && ONE_IN(4)) p->options.y_order = HT_ORDER_FEATURES;
    p->residual = make_matrix(y_pixels(p), p->shape.outputs, residual_type(y), p->options.y_order, UP_TO(2));
    for (size_t r = 0; r < p->residual.rows; r++)
        for (size_t c = 0; c < p->residual.columns; c++) set_random(element(&p->residual, r, c), p->residual.dtype, 0);
    draw_parameters(p, next, context);
    p->threshold.level = ONE_IN(4) ? NULL : p->level;
    if (ONE_IN(2)) p->threshold.flip = p->flip;
    if (y == HT_DTYPE_B1 && !ONE_IN(4)) e->threshold = &p->threshold;
    if (y == HT_DTYPE_I32 || y == HT_DTYPE_I16 || y == HT_DTYPE_B1) return;
    if (is_byte(y) || ONE_IN(2)) draw_quantization(p, next, context);
    e->activation = UP_TO(1) ? HT_ACTIVATION_RELU : HT_ACTIVATION_NONE;
    if (p->quantization.multiplier) return;
    if (ONE_IN(4)) e->activation = HT_ACTIVATION_CLAMP, e->low = -3, e->high = 5.5f;
    if (ONE_IN(2)) e->bias = p->bias;
    if (ONE_IN(3)) e->row_scale = p->row_scale;
    if (ONE_IN(3)) e->residual = p->residual.data, e->residual_stride = p->residual.stride;
}

// MARK: sums

static int32_t padding_value(const problem *p) {
    return p->shape.padding == HT_PADDING_PLUS_ONE ? 1 : p->shape.padding == HT_PADDING_MINUS_ONE ? -1 : 0;
}

// A sign, or what stands for it where X is of zeros and ones.
static int32_t x_value(const problem *p, size_t pixel, size_t channel) {
    const int8_t sign = p->x[pixel * p->shape.channels + channel];
    return p->types.x == HT_DTYPE_U1 ? sign < 0 : sign;
}

static int32_t sum_at(const problem *p, size_t image, size_t row, size_t column, size_t output) {
    const ht_conv_shape *s = &p->shape;
    const size_t channels = group_channels(p), group = output / (s->outputs / s->groups);
    const int8_t *w = p->w + output * taps(p) * channels;
    int32_t sum = 0;
    for (size_t u = 0; u < s->kernel_height; u++)
        for (size_t v = 0; v < s->kernel_width; v++)
            for (size_t k = 0; k < channels; k++) {
                const long y = (long)(row * s->stride_y + u * s->dilation_y) - (long)s->pad_top;
                const long x = (long)(column * s->stride_x + v * s->dilation_x) - (long)s->pad_left;
                const bool inside = y >= 0 && x >= 0 && y < (long)s->height && x < (long)s->width;
                const size_t pixel = inside ? (image * s->height + (size_t)y) * s->width + (size_t)x : 0;
                sum += *w++ * (inside ? x_value(p, pixel, group * channels + k) : padding_value(p));
            }
    return sum;
}

static void set_sums(problem *p) {
    const size_t outputs = p->shape.outputs;
    p->sums = exactly(y_pixels(p) * outputs * 4, 16);
    int32_t *sum = p->sums;
    for (size_t i = 0; i < p->shape.images; i++)
        for (size_t r = 0; r < p->y_height; r++)
            for (size_t c = 0; c < p->y_width; c++)
                for (size_t o = 0; o < outputs; o++) *sum++ = sum_at(p, i, r, c, o);
}

static void draw_problem(problem *p, draw *next, void *context) {
    *p = (problem){0};
    draw_shape(p, next, context);
    shrink(&p->shape);
    CHECK(ht_conv_output_size(&p->shape, &p->y_height, &p->y_width) == HT_OK);
    const size_t inputs = taps(p) * group_channels(p);
    p->x = draw_values(x_pixels(p), p->shape.channels, next, context);
    p->w = draw_values(p->shape.outputs, inputs, next, context);
    if (ONE_IN(2)) resemble(p->w, p->shape.outputs, inputs, next, context);
    p->x_bits = bits_of(p->x, x_pixels(p), p->shape.channels, UP_TO(2), &p->x_stride);
    p->w_bits = bits_of(p->w, p->shape.outputs, inputs, UP_TO(2), &p->w_stride);
    draw_window(p, next, context);
    draw_epilogue(p, next, context);
    set_sums(p);
}

static void free_problem(problem *p) {
    void *const all[] = {p->x,         p->w,          p->x_bits, p->w_bits, p->sums,  p->bias, p->scale,
                         p->row_scale, p->multiplier, p->offset, p->level,  p->shift, p->flip};
    for (size_t i = 0; i < COUNT(all); i++) free(all[i]);
    free_matrix(&p->residual);
}

// MARK: calls

typedef struct packed {
    void *bytes;
    size_t size;
    ht_status status;
} packed;

// A chain, a star, roots alone, or any tree over the outputs of each group, numbered from either end.
static int32_t *draw_parents(const problem *p, draw *next, void *context) {
    const size_t outputs = p->shape.outputs / p->shape.groups;
    int32_t *parents = exactly(p->shape.outputs * 4, 16);
    const uint32_t kind = UP_TO(4);
    const bool backwards = ONE_IN(2);
    for (size_t i = 0; i < p->shape.outputs; i++) {
        const size_t row = i % outputs, group = i - row, at = backwards ? outputs - 1 - row : row;
        const size_t from = kind == 0 ? row - 1 : kind == 1 ? 0 : kind == 2 ? row : next(context) % (row + 1);
        const bool is_root = row == 0 || from == row;
        parents[group + at] = is_root ? -1 : (int32_t)(backwards ? outputs - 1 - from : from);
    }
    return parents;
}

static packed pack_tree(const problem *p, const int32_t *parents) {
    packed w = {0};
    const ht_conv_shape *s = &p->shape;
    w.status = p->is_product ? ht_mst_packed_size(s->outputs, s->channels, p->w_bits, p->w_stride, parents, &w.size)
                             : ht_mst_conv_packed_size(s, p->w_bits, p->w_stride, parents, &w.size);
    CHECK(w.status == HT_OK);
    w.bytes = exactly(w.size, 64);
    const ht_options *o = &p->options;
    w.status = p->is_product ? ht_mst_pack(s->outputs, s->channels, p->w_bits, p->w_stride, parents, w.bytes, w.size, o)
                             : ht_mst_conv_pack(s, p->w_bits, p->w_stride, parents, w.bytes, w.size, o);
    return w;
}

static packed pack(const problem *p, ht_binary_design design, draw *next, void *context) {
    if (design == HT_BINARY_TREE) {
        int32_t *parents = draw_parents(p, next, context);
        const packed w = pack_tree(p, parents);
        free(parents);
        return w;
    }
    const ht_options options = {.binary_design = design, .threads = 1};
    packed w = {0};
    const ht_conv_shape *s = &p->shape;
    w.status = p->is_product ? ht_binary_packed_size(s->outputs, s->channels, &options, &w.size)
                             : ht_binary_conv_packed_size(s, &options, &w.size);
    CHECK(w.status == HT_OK);
    w.bytes = exactly(w.size, 64);
    w.status = p->is_product
                   ? ht_binary_pack(s->outputs, s->channels, p->w_bits, p->w_stride, w.bytes, w.size, &options)
                   : ht_binary_conv_pack(s, p->w_bits, p->w_stride, w.bytes, w.size, &options);
    return w;
}

static bool unpacks(const problem *p, const packed *w) {
    const size_t columns = taps(p) * group_channels(p), words = (columns + 63) / 64;
    uint64_t *back = exactly(p->shape.outputs * words * 8, 8);
    ht_status status = p->is_product ? ht_binary_unpack(p->shape.outputs, columns, w->bytes, w->size, back, 0, NULL)
                                     : ht_binary_conv_unpack(&p->shape, w->bytes, w->size, back, 0, NULL);
    bool same = status == HT_OK;
    for (size_t o = 0; o < p->shape.outputs && words; o++)
        same &= !memcmp(back + o * words, (const char *)p->w_bits + o * p->w_stride, words * 8);
    free(back);
    return same;
}

static ht_status scratch_size(const problem *p, const packed *w, const ht_options *options, size_t *size) {
    return p->is_product ? ht_binary_gemm_scratch_size(y_pixels(p), p->types.x, w->bytes, w->size, options, size)
                         : ht_binary_conv_scratch_size(&p->shape, p->types.x, w->bytes, w->size, options, size);
}

static ht_status run(const problem *p, const packed *w, const ht_options *options, void *y, size_t y_stride) {
    const size_t o = p->shape.outputs, k = p->shape.channels;
    if (!p->is_product)
        return ht_binary_conv_b1(&p->shape, p->x_bits, p->x_stride, w->bytes, w->size, &p->epilogue, y, y_stride,
                                 options);
    if (p->types.x == HT_DTYPE_U1)
        return ht_binary_gemm_u1(y_pixels(p), o, k, p->x_bits, p->x_stride, w->bytes, w->size, &p->epilogue, y,
                                 y_stride, options);
    return ht_binary_gemm_b1(y_pixels(p), o, k, p->x_bits, p->x_stride, w->bytes, w->size, &p->epilogue, y, y_stride,
                             options);
}

// MARK: results

static bool is_inside(const ht_options *o, size_t rows, size_t columns, size_t row, size_t column) {
    return row >= o->row_begin && row < (o->row_end ? o->row_end : rows) && column >= o->column_begin &&
           column < (o->column_end ? o->column_end : columns);
}

// Y with its gaps; rows of bits are matrices of bytes.
static matrix make_y(const problem *p, size_t gap) {
    const size_t rows = y_pixels(p), columns = p->shape.outputs;
    if (p->types.y != HT_DTYPE_B1) return make_matrix(rows, columns, p->types.y, p->options.y_order, gap);
    return make_matrix(rows, (columns + 63) / 64 * 8, HT_DTYPE_U8, HT_ORDER_ROWS, gap * 8);
}

static bool is_negative(const problem *p, int32_t sum, size_t column) {
    const ht_binary_threshold *t = p->epilogue.threshold;
    const bool below = sum < (t && t->level ? t->level[column] : 0);
    return t && t->flip && t->flip[column / 8] >> column % 8 & 1 ? !below : below;
}

// Bits behind the last column become zeros if that is inside the window.
static void expect_bits(const problem *p, matrix *y) {
    const size_t columns = p->shape.outputs;
    for (size_t row = 0; row < y->rows; row++)
        for (size_t bit = 0; bit < 8 * y->columns; bit++) {
            const size_t column = bit < columns ? bit : columns - 1;
            if (!is_inside(&p->options, y->rows, columns, row, column)) continue;
            uint8_t *byte = element(y, row, bit / 8);
            const bool set = bit < columns && is_negative(p, p->sums[row * columns + bit], bit);
            *byte = (uint8_t)((*byte & ~(1u << bit % 8)) | (unsigned)set << bit % 8);
        }
}

static void expect_numbers(const problem *p, matrix *y) {
    for (size_t row = 0; row < y->rows; row++)
        for (size_t column = 0; column < y->columns; column++) {
            if (!is_inside(&p->options, y->rows, y->columns, row, column)) continue;
            const void *residual = p->epilogue.residual ? element(&p->residual, row, column) : NULL;
            set_result(p->types, &p->epilogue, 0, p->sums[row * y->columns + column], row, column, residual,
                       element(y, row, column));
        }
}

// Numbers that are equal, and the same bytes in all gaps.
static bool same_y(const matrix *a, const matrix *b) {
    if (a->bytes != b->bytes || memcmp(a->data, b->data, a->bytes) == 0) return a->bytes == b->bytes;
    for (size_t row = 0; row < a->rows; row++)
        for (size_t column = 0; column < a->columns; column++) {
            if (!same_value(element(a, row, column), element(b, row, column), a->dtype)) return false;
            memcpy(element(a, row, column), element(b, row, column), a->size);
        }
    return memcmp(a->data, b->data, a->bytes) == 0;
}

static bool is_run_right(const problem *p, const packed *w, const matrix *expected, size_t gap, ht_options options,
                         bool own_scratch) {
    matrix y = make_y(p, gap);
    if (own_scratch) {
        CHECK(scratch_size(p, w, &options, &options.scratch_size) == HT_OK);
        options.scratch = exactly(options.scratch_size, 64);
    }
    const ht_status status = run(p, w, &options, y.data, y.stride);
    const bool right = status == HT_OK && same_y(&y, expected);
    const ht_conv_shape *s = &p->shape;
    if (!right)
        printf(
            "%s, %s, packed for %u, asked for %u, %d threads: %s: %s of %zu images %zux%zux%zu, %zu outputs, %zu "
            "groups, "
            "taps %zux%zu, strides %zux%zu, dilation %zux%zu, padding %zu %zu %zu %zu of kind %u, y type %u, window "
            "%zu-%zu x "
            "%zu-%zu\n",
            p->is_product ? "product" : "convolution", ht_isa_name(options.isa), ((const uint16_t *)w->bytes)[6],
            options.binary_design, options.threads, status ? ht_status_text(status) : "wrong numbers",
            p->types.x == HT_DTYPE_U1 ? "zeros and ones" : "signs", s->images, s->height, s->width, s->channels,
            s->outputs, s->groups, s->kernel_height, s->kernel_width, s->stride_y, s->stride_x, s->dilation_y,
            s->dilation_x, s->pad_top, s->pad_left, s->pad_bottom, s->pad_right, s->padding, p->types.y,
            options.row_begin, options.row_end, options.column_begin, options.column_end);
    free(options.scratch);
    free_matrix(&y);
    return right;
}

bool is_product_of_signs_right(draw *next, void *context) {
    problem p;
    draw_problem(&p, next, context);
    const size_t gap = UP_TO(2);
    matrix expected = make_y(&p, gap);
    if (p.types.y == HT_DTYPE_B1)
        expect_bits(&p, &expected);
    else
        expect_numbers(&p, &expected);
    ht_isa rows[16];
    const size_t count = runnable(p.types.op, rows, COUNT(rows));
    bool right = count > 0;
    for (ht_binary_design design = HT_BINARY_AUTO; design <= HT_BINARY_TREE; design++) {
        packed w = pack(&p, design, next, context);
        right &= w.status == HT_OK && unpacks(&p, &w);
        for (size_t i = 0; i < count && w.status == HT_OK; i++) {
            if (rows[i] == HT_ISA_REF && design != HT_BINARY_AUTO) continue;  // it knows no designs
            ht_options options = p.options;
            options.isa = rows[i];
            options.threads = 1 + (int)UP_TO(2);
            options.binary_design = ONE_IN(4) ? (ht_binary_design)UP_TO(HT_BINARY_TREE) : HT_BINARY_AUTO;
            right &= is_run_right(&p, &w, &expected, gap, options, ONE_IN(2));
        }
        free(w.bytes);
    }
    free_matrix(&expected);
    free_problem(&p);
    return right;
}

// MARK: damage

static void damage_header(ht_blob_header *h, draw *next, void *context) {
    const uint32_t wild = next(context), more = next(context) % 33;
    if (wild & 1) h->rows = (uint64_t)next(context) << more;
    if (wild & 2) h->columns = (uint64_t)next(context) << more;
    if (wild & 4) h->bytes = (uint64_t)next(context) << more;
    if (wild & 8) h->n = UP_TO(2), h->m = UP_TO(2), h->flags = (uint16_t)UP_TO(3), h->shared_rows = (uint16_t)UP_TO(2);
    if (wild & 16) h->dtype = (uint16_t)UP_TO(10);
    if (wild & 32) h->kernel_height = (uint16_t)next(context), h->kernel_width = (uint16_t)UP_TO(4);
    if (wild & 64) h->kind = (uint16_t)UP_TO(5);
    if (wild & 128) h->layout = (uint16_t)UP_TO(5);
}

// Before the weights of each group, its check word right.
static void damage_headers(const problem *p, packed *w, draw *next, void *context) {
    ht_blob_header header;
    memcpy(&header, w->bytes, sizeof header);
    damage_header(&header, next, context);
    ht_blob_seal(&header);
    for (size_t group = 0, each = w->size / p->shape.groups; group < p->shape.groups; group++)
        memcpy((char *)w->bytes + group * each, &header, sizeof header);
}

static void damage_body(packed *w, draw *next, void *context) {
    if (w->size <= sizeof(ht_blob_header)) return;
    for (uint32_t i = UP_TO(40); i > 0; i--)
        ((uint8_t *)w->bytes)[sizeof(ht_blob_header) + next(context) % (w->size - sizeof(ht_blob_header))] =
            (uint8_t)next(context);
}

void run_damaged_signs(draw *next, void *context) {
    problem p;
    draw_problem(&p, next, context);
    packed w = pack(&p, (ht_binary_design)UP_TO(HT_BINARY_TREE), next, context);
    const uint32_t kind = next(context);
    if (kind & 1) damage_body(&w, next, context);
    if (kind & 2) damage_headers(&p, &w, next, context);
    ht_isa rows[16];
    const size_t count = runnable(p.types.op, rows, COUNT(rows));
    for (size_t i = 0; i < count; i++) {
        ht_options options = p.options;
        matrix y = make_y(&p, 0);
        options.isa = rows[i];
        options.threads = 1;
        if (!scratch_size(&p, &w, &options, &options.scratch_size)) options.scratch = exactly(options.scratch_size, 64);
        run(&p, &w, &options, y.data, y.stride);
        free(options.scratch);
        free_matrix(&y);
    }
    unpacks(&p, &w);
    free(w.bytes);
    free_problem(&p);
}
