// SPDX-License-Identifier: Apache-2.0
// Convolutions with N:M filters, their gradients with respect to the input, and the backward product, which is that of
// 1x1 filters: over random geometry, types, patterns, orders, windows and threads, against filters.c.
#include <math.h>

#include "calls.h"
#include "check.h"
#include "values.h"

static const char *const operation_names[] = {"convolution", "backward convolution", "backward product"};

// MARK: weights

// What the library keeps by magnitude, as a mask and in pruned weights.
static void check_mask(const filters *f) {
    matrix mask = make_matrix(f->mask.rows, f->mask.columns, HT_DTYPE_U8, HT_ORDER_ROWS, 2);
    matrix pruned = make_matrix(f->w.rows, f->w.columns, f->w.dtype, HT_ORDER_ROWS, 1);
    ht_options options = sharing(f);
    CHECK(WITH_TYPE(f->w.dtype, ht_nm_conv_mask, &f->shape, f->n, f->m, f->w.data, f->w.stride, mask.data, mask.stride,
                    &options) == HT_OK);
    CHECK(WITH_TYPE(f->w.dtype, ht_nm_conv_prune, &f->shape, f->n, f->m, f->w.data, f->w.stride, pruned.data,
                    pruned.stride, &options) == HT_OK);
    bool same = true;
    uint32_t zero = 0;
    for (size_t o = 0; o < f->w.rows; o++) {
        same &= !mask.columns || !memcmp(element(&mask, o, 0), element(&f->mask, o, 0), mask.columns);
        for (size_t i = 0; i < f->w.columns; i++)
            same &= !memcmp(element(&pruned, o, i), in_mask(f, o, i) ? element(&f->w, o, i) : &zero, f->w.size);
    }
    CHECK(same);
    free_matrix(&mask), free_matrix(&pruned);
}

// MARK: a call and what it should do

typedef struct setup {
    call call;
    filters filters;
    uint32_t *permutation;
    matrix from, residual;
    size_t to_pixels, to_channels;
    epilogues epilogues;
    void *packed;
    bool has_special_weights;  // for which the sums of the formula are no bound
} setup;

static matrix copy_of(const matrix *a, ht_order order, size_t gap) {
    matrix copy = make_matrix(a->rows, a->columns, a->dtype, order, gap);
    for (size_t row = 0; row < a->rows; row++)
        for (size_t column = 0; column < a->columns; column++)
            memcpy(element(&copy, row, column), element(a, row, column), a->size);
    return copy;
}

static size_t random_up_to(size_t most) { return next_random() % (most + 1); }

static void shuffle(uint32_t *values, size_t count) {
    for (size_t i = count; i > 1; i--) {
        size_t j = random_up_to(i - 1);
        uint32_t value = values[i - 1];
        values[i - 1] = values[j], values[j] = value;
    }
}

static uint32_t *random_permutation(const ht_conv_shape *s) {
    uint32_t *permutation = allocate(s->outputs * sizeof *permutation);
    size_t each = s->outputs / s->groups;
    for (size_t i = 0; i < s->outputs; i++) permutation[i] = (uint32_t)i;
    for (size_t i = 0; i < s->outputs; i += each) shuffle(permutation + i, each);
    return permutation;
}

// Some weights are zero, and some filters have nothing else.
static void set_weights(filters *f) {
    for (size_t o = 0; o < f->w.rows; o++) {
        bool is_empty = next_random() % 16 == 0;
        for (size_t i = 0; i < f->w.columns; i++) {
            void *w = element(&f->w, o, i);
            set_random(w, f->w.dtype, 0);
            if (is_empty || next_random() % 8 == 0) memset(w, 0, f->w.size);
        }
    }
}

static void prune(filters *f) {
    for (size_t o = 0; o < f->w.rows; o++)
        for (size_t i = 0; i < f->w.columns; i++)
            if (!in_mask(f, o, i)) memset(element(&f->w, o, i), 0, f->w.size);
}

// A subset of the mask, whose groups are filled up.
static void thin_mask(filters *f) {
    for (size_t o = 0; o < f->mask.rows; o++)
        for (size_t i = 0; i < f->mask.columns; i++)
            *(uint8_t *)element(&f->mask, o, i) &= (uint8_t)(next_random() | next_random());
}

// A backward mask that is a subset of a forward mask, as in training with both.
static void intersect_with_forward_mask(filters *f) {
    matrix backward = copy_of(&f->mask, HT_ORDER_ROWS, 0);
    f->backward = false;
    set_magnitude_mask(f);
    f->backward = true;
    for (size_t o = 0; o < f->mask.rows; o++)
        for (size_t i = 0; i < f->mask.columns; i++)
            *(uint8_t *)element(&f->mask, o, i) &= *(const uint8_t *)element(&backward, o, i);
    free_matrix(&backward);
}

// One blob for each group; forward each is a matrix of the entries.
static void check_blobs(const call *c, const filters *f) {
    size_t each = c->packed_size / f->shape.groups, rows = f->w.rows / f->shape.groups;
    matrix w = make_matrix(f->w.rows, f->w.columns, f->w.dtype, HT_ORDER_ROWS, 1);
    bool same = true;
    for (size_t group = 0; group < f->shape.groups; group++) {
        const char *blob = (const char *)c->packed + group * each;
        CHECK(ht_nm_packed_check(blob, each) == HT_OK);
        CHECK(ht_nm_unpack(rows, w.columns, blob, each, (char *)w.data + group * rows * w.stride, w.stride, NULL) ==
              (f->backward ? HT_ERROR_BLOB_FOREIGN : HT_OK));
    }
    for (size_t i = 0; i < w.rows * w.columns && !f->backward; i++) {
        float value = value_at(element(&w, i / w.columns, i % w.columns), w.dtype, 0);
        float expected = f->is_entry[i] ? f->value[i] : 0;
        same &= value == expected || (isnan(value) && isnan(expected));
    }
    CHECK(same);
    free_matrix(&w);
}

static void set_entries_and_pack(setup *s) {
    filters *f = &s->filters;
    call *c = &s->call;
    CHECK(set_entries(f));
    CHECK(packed_filters(c->operation, f, &c->packed_size) == HT_OK);
    c->packed = s->packed = exactly(c->packed_size, 64);
    CHECK(pack_filters(c->operation, f, s->packed, c->packed_size) == HT_OK);
    check_blobs(c, f);
}

static matrix random_matrix(size_t rows, size_t columns, ht_dtype dtype) {
    matrix a = make_matrix(rows, columns, dtype, HT_ORDER_ROWS, 0);
    for (size_t i = 0; i < rows * columns; i++) set_random(a.data, dtype, i);
    return a;
}

static void make_filters_of(setup *s, size_t n, size_t m, size_t shared_rows, bool shared_taps) {
    filters f = make_filters(&s->call.shape, s->call.types.w, next_random() % 3);
    f.n = n, f.m = m;
    f.shared_rows = shared_rows;
    f.shared_taps = shared_taps;
    f.backward = s->call.operation != CONV;
    if (f.backward && next_random() % 2) f.permutation = s->permutation = random_permutation(&f.shape);
    set_weights(&f);
    set_magnitude_mask(&f);
    s->filters = f;
}

static void make_operands(setup *s) {
    const filters *f = &s->filters;
    bool backward = f->backward;
    s->to_pixels = backward ? x_pixels(f) : y_pixels(f),
    s->to_channels = backward ? f->shape.channels : f->shape.outputs;
    s->from = random_matrix(backward ? y_pixels(f) : x_pixels(f), backward ? f->shape.outputs : f->shape.channels,
                            s->call.types.x);
    s->residual = random_matrix(s->to_pixels, s->to_channels, residual_type(s->call.types.y));
    s->epilogues = make_epilogues(s->call.types, s->to_channels, s->residual.data);
}

static setup make_shared(operation operation, types types, const ht_conv_shape *shape, size_t n, size_t m,
                         size_t shared_rows, bool shared_taps) {
    setup s = {.call = {.operation = operation, .types = types, .shape = *shape}};
    checking(
        "%s %d %d %d, %zu:%zu, %zux%zux%zu, %zu outputs, kernel %zux%zu, stride %zux%zu, padding %zu %zu, "
        "dilation %zux%zu, %zu groups",
        operation_names[operation], (int)types.w, (int)types.x, (int)types.y, n, m, shape->height, shape->width,
        shape->channels, shape->outputs, shape->kernel_height, shape->kernel_width, shape->stride_y, shape->stride_x,
        shape->pad_top, shape->pad_left, shape->dilation_y, shape->dilation_x, shape->groups);
    make_filters_of(&s, n, m, shared_rows, shared_taps);
    if (operation == CONV) check_mask(&s.filters);
    s.filters.uses_mask = next_random() % 2;
    if (s.filters.uses_mask && s.filters.backward)
        intersect_with_forward_mask(&s.filters);
    else if (s.filters.uses_mask)
        thin_mask(&s.filters);
    else
        prune(&s.filters);
    set_entries_and_pack(&s);
    make_operands(&s);
    return s;
}

static setup make_setup(operation operation, types types, const ht_conv_shape *shape, size_t n, size_t m) {
    static const size_t shared[] = {1, 1, 2, 4, 8};
    size_t rows = shared[next_random() % COUNT(shared)];
    return make_shared(operation, types, shape, n, m, rows, operation != GEMM_BACKWARD && next_random() % 3 == 0);
}

static void free_setup(setup *s) {
    free_filters(&s->filters), free(s->permutation);
    free_matrix(&s->from), free_matrix(&s->residual), free_epilogues(&s->epilogues);
    free(s->packed);
}

// MARK: the expected results

// X less its zero, or dY.
static float *real_operand(const setup *s, int32_t zero) {
    float *values = allocate(s->from.rows * s->from.columns * sizeof *values);
    for (size_t i = 0; i < s->from.rows * s->from.columns; i++)
        values[i] = value_at(s->from.data, s->from.dtype, i) - (float)zero;
    return values;
}

// |chain - exact| <= gamma(terms) * sum |x w|; both are no number or infinite in the same places.
static bool is_near(float chain, const sum *exact) {
    double error = (double)exact->terms * 0x1p-24;
    if (!isfinite(exact->value)) return isnan(chain) ? isnan(exact->value) : (double)chain == exact->value;
    return fabs((double)chain - exact->value) <= error / (1 - error) * exact->size;
}

static matrix expected_results(const setup *s, const ht_epilogue *epilogue) {
    matrix y = make_matrix(s->to_pixels, s->to_channels, s->call.types.y, HT_ORDER_ROWS, 0);
    bool is_byte = s->call.types.w == HT_DTYPE_I8, near = true;
    float *from = real_operand(s, epilogue->quantization ? epilogue->quantization->x_zero : 0);
    sum *sums = allocate(s->to_pixels * s->to_channels * sizeof *sums);
    memset(sums, 0, s->to_pixels * s->to_channels * sizeof *sums);
    add_terms(&s->filters, from, sums);
    for (size_t pixel = 0; pixel < s->to_pixels; pixel++)
        for (size_t channel = 0; channel < s->to_channels; channel++) {
            const sum *exact = sums + pixel * s->to_channels + channel;
            float real = is_byte ? 0 : chain(&s->filters, from, pixel, channel);
            near &= is_byte || s->has_special_weights || is_near(real, exact);
            set_result(s->call.types, epilogue, real, is_byte ? (int32_t)exact->value : 0, pixel, channel,
                       epilogue->residual ? element(&s->residual, pixel, channel) : NULL, element(&y, pixel, channel));
        }
    CHECK(near);
    free(from), free(sums);
    return y;
}

// MARK: runs

typedef struct manner {  // how a call runs
    ht_options options;
    bool brings_scratch;
    bool in_place;       // the residual is Y itself
    size_t gap;
} manner;

static bool is_inside(const ht_options *options, const matrix *y, size_t row, size_t column) {
    return row >= options->row_begin && row < (options->row_end ? options->row_end : y->rows) &&
           column >= options->column_begin && column < (options->column_end ? options->column_end : y->columns);
}

// Inside the window as expected; outside and in gaps as before.
static bool is_right(const matrix *y, const matrix *expected, const matrix *before, const ht_options *options) {
    bool right = true;
    for (size_t row = 0; row < y->rows; row++)
        for (size_t column = 0; column < y->columns; column++) {
            if (!is_inside(options, y, row, column)) continue;
            void *at = element(y, row, column);
            right &= same_value(at, element(expected, row, column), y->dtype);
            memcpy(at, element(before, row, column), y->size);
        }
    return right && !memcmp(y->data, before->data, y->bytes);
}

static void check_run(const setup *s, const ht_epilogue *epilogue, const manner *how, const matrix *expected) {
    call c = s->call;
    ht_order order = how->options.y_order;
    bool in_place = how->in_place && epilogue->residual && s->residual.dtype == c.types.y;
    matrix from = copy_of(&s->from, how->options.x_order, how->gap), residual = copy_of(&s->residual, order, how->gap);
    matrix y = in_place ? copy_of(&residual, order, how->gap)
                        : make_matrix(s->to_pixels, s->to_channels, c.types.y, order, how->gap);
    matrix before = copy_of(&y, order, how->gap);
    c.from = from.data, c.from_stride = from.stride;
    c.to = y.data, c.to_stride = y.stride;
    c.options = how->options;
    c.epilogue = *epilogue;
    if (epilogue->residual) {
        c.epilogue.residual = in_place ? y.data : residual.data;
        c.epilogue.residual_stride = in_place ? y.stride : residual.stride;
    }
    if (how->brings_scratch) {
        CHECK(call_scratch(&c, &c.options.scratch_size) == HT_OK);
        c.options.scratch = exactly(c.options.scratch_size, 64);
    }
    CHECK(run_call(&c) == HT_OK);
    CHECK(is_right(&y, expected, &before, &c.options));
    free(c.options.scratch);
    free_matrix(&from), free_matrix(&residual), free_matrix(&y), free_matrix(&before);
}

static manner random_manner(const setup *s) {
    manner how = {.brings_scratch = next_random() % 2, .in_place = next_random() % 2, .gap = next_random() % 4};
    how.options = (ht_options){.threads = 1 + (int)(next_random() % 3),
                               .x_order = (ht_order)(next_random() % 2),
                               .y_order = (ht_order)(next_random() % 2)};
    if (next_random() % 3 == 0) {
        ht_options *o = &how.options;
        o->row_begin = random_up_to(s->to_pixels);
        o->row_end = o->row_begin + random_up_to(s->to_pixels - o->row_begin);
        if (s->filters.shape.groups == 1) {
            o->column_begin = random_up_to(s->to_channels / 16) * 16;
            o->column_end = o->column_begin + random_up_to((s->to_channels - o->column_begin) / 16) * 16;
        }
    }
    return how;
}

// Every row of the table gives the expected bits, in the plainest manner or in any.
static void check_rows(const setup *s, const ht_epilogue *epilogue, const matrix *expected, bool is_plain) {
    ht_isa rows[16];
    size_t row_count = runnable(s->call.types.op, rows, COUNT(rows));
    CHECK(row_count > 0 && rows[row_count - 1] == HT_ISA_REF);
    for (size_t i = 0; i < row_count; i++) {
        manner how = is_plain ? (manner){.options = {.threads = 1}} : random_manner(s);
        how.options.isa = rows[i];
        check_run(s, epilogue, &how, expected);
    }
}

static void check_epilogue(const setup *s, size_t i) {
    ht_epilogue epilogue = epilogue_at(&s->epilogues, i);
    matrix expected = expected_results(s, &epilogue);
    check_rows(s, &epilogue, &expected, i == 0);
    free_matrix(&expected);
}

// MARK: geometry

static const struct {
    size_t n, m;
} patterns[] = {{2, 4}, {1, 4}, {4, 8}, {2, 8}, {1, 8},  {1, 16},  {2, 16}, {3, 4},
                {4, 4}, {5, 7}, {1, 1}, {1, 2}, {3, 32}, {17, 64}, {8, 16}};

static ht_conv_shape square(size_t size, size_t channels, size_t outputs, size_t kernel, size_t stride) {
    size_t pad = kernel / 2;
    return (ht_conv_shape){.height = size,
                           .width = size,
                           .channels = channels,
                           .outputs = outputs,
                           .kernel_height = kernel,
                           .kernel_width = kernel,
                           .stride_y = stride,
                           .stride_x = stride,
                           .pad_top = pad,
                           .pad_left = pad,
                           .pad_bottom = pad,
                           .pad_right = pad};
}

static ht_conv_shape padded(ht_conv_shape s, size_t top, size_t left, size_t bottom, size_t right) {
    s.pad_top = top, s.pad_left = left, s.pad_bottom = bottom, s.pad_right = right;
    return s;
}

static ht_conv_shape grouped(ht_conv_shape s, size_t groups) {
    s.groups = groups;
    return s;
}

static ht_conv_shape dilated(ht_conv_shape s, size_t y, size_t x) {
    s.dilation_y = y, s.dilation_x = x;
    return s;
}

static ht_conv_shape sized(ht_conv_shape s, size_t images, size_t height, size_t width) {
    s.images = images, s.height = height, s.width = width;
    return s;
}

static ht_conv_shape kernel(ht_conv_shape s, size_t height, size_t width, size_t stride_y, size_t stride_x) {
    s.kernel_height = height, s.kernel_width = width, s.stride_y = stride_y, s.stride_x = stride_x;
    return s;
}

enum { most_shapes = 32 };

// Each is a corner of its own: what the first argument after `square` says.
static size_t list_shapes(ht_conv_shape *list) {
    size_t count = 0;
    ht_conv_shape one = square(1, 1, 1, 1, 0), some = square(6, 12, 18, 3, 1);
    list[count++] = one;
    list[count++] = square(1, 8, 5, 3, 1);                                    // an image of one pixel
    list[count++] = sized(square(0, 7, 18, 5, 1), 1, 2, 3);                   // kernels larger than the image
    list[count++] = square(9, 19, 17, 3, 2);
    list[count++] = kernel(square(11, 12, 16, 1, 1), 2, 1, 3, 5);             // strides larger than the kernel
    list[count++] = padded(kernel(square(6, 10, 33, 3, 1), 3, 2, 1, 1), 2, 0, 1, 3);
    list[count++] = padded(kernel(square(4, 9, 4, 2, 1), 2, 2, 1, 2), 5, 4, 3, 6);  // padding larger than the kernel
    list[count++] = dilated(padded(square(10, 16, 20, 3, 1), 3, 2, 3, 2), 3, 2);
    list[count++] = dilated(padded(square(9, 6, 9, 3, 2), 2, 3, 1, 0), 2, 3);
    list[count++] = grouped(sized(some, 2, 6, 7), 2);
    list[count++] = grouped(square(5, 15, 9, 3, 1), 3);
    list[count++] = grouped(sized(square(0, 80, 66, 2, 1), 1, 4, 5), 2);
    list[count++] = grouped(square(4, 24, 20, 1, 1), 2);
    list[count++] = sized(square(0, 40, 24, 1, 1), 2, 5, 7);                  // the product
    list[count++] = padded(square(5, 9, 7, 1, 2), 1, 0, 0, 2);                // 1x1, but no product
    list[count++] = kernel(sized(square(0, 330, 7, 3, 1), 1, 3, 6), 1, 3, 1, 1);  // many channels
    list[count++] = kernel(sized(square(0, 12, 500, 3, 1), 1, 1, 4), 1, 3, 1, 1);  // many outputs
    list[count++] = sized(square(0, 6, 18, 3, 1), 3, 14, 15);                 // many pixels
    list[count++] = sized(square(0, 4, 3, 3, 2), 1, 33, 47);
    list[count++] = kernel(sized(square(0, 5, 17, 1, 1), 1, 1, 70), 1, 7, 1, 1);
    list[count++] = padded(sized(square(0, 6, 20, 2, 1), 1, 0, 5), 2, 1, 2, 1);  // nothing but padding
    list[count++] = sized(square(0, 6, 20, 5, 1), 1, 3, 0);
    list[count++] = padded(square(3, 5, 6, 4, 1), 0, 0, 0, 0);                // no place for the kernel
    list[count++] = square(3, 0, 5, 3, 1);
    list[count++] = square(3, 5, 0, 3, 1);
    return count;
}

static void check_setup(setup s) {
    check_epilogue(&s, 0);
    check_epilogue(&s, 1 + next_random() % (s.epilogues.count - 1));
    free_setup(&s);
}

static void check_shape(operation operation, types types, const ht_conv_shape *shape, size_t pattern) {
    if (is_skipped()) return;
    check_setup(make_setup(operation, types, shape, patterns[pattern].n, patterns[pattern].m));
}

static bool has_gradient(types types) { return types.x == HT_DTYPE_F32 || types.x == HT_DTYPE_BF16; }

static void test_shapes(void) {
    ht_conv_shape shapes[most_shapes];
    size_t shape_count = list_shapes(shapes), pattern = 0;
    for (size_t i = 0; i < shape_count; i++)
        for (size_t j = 0; j < COUNT(all_types); j++) {
            check_shape(CONV, all_types[j], &shapes[i], pattern++ % COUNT(patterns));
            if (has_gradient(all_types[j]))
                check_shape(CONV_BACKWARD, all_types[j], &shapes[i], pattern++ % COUNT(patterns));
        }
}

// Three taps in a row that share a pattern have kernels of their own.
static void test_shared_taps(void) {
    const ht_conv_shape shapes[] = {sized(square(0, 32, 19, 3, 1), 2, 2, 17),
                                    padded(kernel(sized(square(0, 16, 35, 3, 1), 1, 5, 15), 2, 3, 2, 1), 1, 2, 0, 3),
                                    dilated(padded(sized(square(0, 16, 17, 3, 2), 1, 6, 40), 2, 3, 2, 1), 2, 3),
                                    grouped(sized(square(0, 32, 36, 3, 1), 1, 2, 15), 2),
                                    kernel(sized(square(0, 272, 18, 3, 1), 1, 1, 8), 1, 3, 1, 1),
                                    sized(square(0, 24, 16, 3, 1), 1, 2, 16)};
    for (size_t i = 0; i < COUNT(shapes); i++)
        for (size_t j = 0; j < COUNT(patterns); j++) {
            if (is_skipped()) continue;
            check_setup(make_shared(CONV, all_types[0], &shapes[i], patterns[j].n, patterns[j].m, 1, true));
            if ((i + j) % 4) continue;
            check_setup(make_shared(CONV, all_types[0], &shapes[i], patterns[j].n, patterns[j].m, 4, true));
            check_setup(make_shared(CONV_BACKWARD, all_types[0], &shapes[i], patterns[j].n, patterns[j].m, 1, true));
        }
}

// Channels that fill whole vectors, which a kernel can take from where they lie, in rows of more and fewer pixels.
static void test_whole_vectors(void) {
    const ht_conv_shape shapes[] = {
        sized(square(0, 16, 50, 3, 1), 1, 3, 30),                              // runs of different lengths
        sized(square(0, 64, 20, 3, 1), 2, 4, 7),                               // few pixels a row
        dilated(padded(sized(square(0, 16, 33, 3, 1), 1, 5, 19), 2, 2, 2, 3), 2, 2),
        padded(sized(square(0, 32, 17, 5, 2), 1, 6, 21), 4, 5, 4, 3),          // pixels that see nothing
        grouped(sized(square(0, 96, 40, 2, 1), 1, 3, 9), 2),
        sized(square(0, 150, 40, 1, 1), 1, 7, 9),                              // the product, not in whole vectors
    };
    for (size_t i = 0; i < COUNT(shapes); i++)
        for (size_t pattern = 0; pattern < COUNT(patterns); pattern++) {
            if (is_skipped()) continue;
            check_setup(
                make_shared(CONV, all_types[0], &shapes[i], patterns[pattern].n, patterns[pattern].m, 1, false));
        }
}

// Images that are large enough to be cut into parts, and channels that fill the index fields of sparse patterns.
static void test_large_images(void) {
    static const size_t indexed[][2] = {{2, 4}, {1, 4}, {2, 8}, {1, 8}, {1, 16}};
    const ht_conv_shape shapes[] = {
        square(16, 64, 18, 3, 1),
        padded(sized(square(0, 64, 5, 3, 2), 2, 19, 35), 0, 2, 1, 0),
        dilated(padded(sized(square(0, 128, 17, 3, 1), 1, 17, 18), 2, 2, 2, 2), 2, 2),
        grouped(kernel(sized(square(0, 128, 12, 2, 1), 1, 14, 33), 2, 3, 3, 1), 2),
        square(4, 64, 20, 3, 1),
    };
    for (size_t i = 0; i < COUNT(shapes); i++)
        for (size_t j = 0; j < COUNT(indexed); j++) {
            if (is_skipped()) continue;
            check_setup(make_setup(CONV, all_types[0], &shapes[i], indexed[j][0], indexed[j][1]));
        }
}

static size_t cost(const ht_conv_shape *s) {
    return (s->height + s->pad_top + s->pad_bottom) * (s->width + s->pad_left + s->pad_right) * s->outputs *
           s->kernel_height * s->kernel_width * (s->channels / s->groups) * 3;
}

static ht_conv_shape random_shape(void) {
    static const size_t groups[] = {1, 1, 1, 2, 3, 5};
    ht_conv_shape s;
    do {
        size_t g = groups[next_random() % COUNT(groups)];
        s = (ht_conv_shape){.images = random_up_to(3),
                            .height = 1 + random_up_to(8),
                            .width = 1 + random_up_to(20),
                            .channels = g * (1 + (g > 1) + random_up_to(next_random() % 4 ? 20 : 90)),
                            .outputs = g * (1 + random_up_to(next_random() % 4 ? 20 : 90)),
                            .kernel_height = 1 + random_up_to(4),
                            .kernel_width = 1 + random_up_to(4),
                            .stride_y = random_up_to(3),
                            .stride_x = random_up_to(3),
                            .dilation_y = random_up_to(3),
                            .dilation_x = random_up_to(3),
                            .pad_top = random_up_to(4),
                            .pad_left = random_up_to(4),
                            .pad_bottom = random_up_to(4),
                            .pad_right = random_up_to(4),
                            .groups = g};
    } while (cost(&s) > 200000);
    return s;
}

static void test_random_shapes(void) {
    for (size_t i = 0; i < 150; i++) {
        ht_conv_shape shape = random_shape();
        types types = all_types[next_random() % COUNT(all_types)];
        operation operation = has_gradient(types) && i % 2 ? CONV_BACKWARD : CONV;
        check_shape(operation, types, &shape, next_random() % COUNT(patterns));
    }
}

static void test_backward_products(void) {
    static const size_t sizes[][3] = {{1, 1, 1},    {1, 130, 37}, {3, 64, 20}, {9, 260, 33}, {33, 100, 18},
                                      {66, 19, 35}, {0, 5, 6},    {4, 0, 5},   {4, 5, 0}};
    size_t pattern = 0;
    for (size_t i = 0; i < COUNT(all_types); i++)
        for (size_t j = 0; j < COUNT(sizes) && has_gradient(all_types[i]); j++) {
            ht_conv_shape shape = sized(square(0, sizes[j][2], sizes[j][1], 1, 1), 1, 1, sizes[j][0]);
            check_shape(GEMM_BACKWARD, all_types[i], &shape, pattern++ % COUNT(patterns));
        }
}

// MARK: special values

// Infinities and NaNs reach the results that have an entry there, and no others.
static void test_special_inputs(void) {
    for (size_t i = 0; i < 60; i++) {
        if (is_skipped()) continue;
        ht_conv_shape shape = random_shape();
        types types = all_types[i % 5];
        size_t pattern = next_random() % COUNT(patterns);
        setup s = make_setup(i % 2 ? CONV : CONV_BACKWARD, types, &shape, patterns[pattern].n, patterns[pattern].m);
        for (size_t j = 0; j < s.from.rows * s.from.columns; j++)
            if (next_random() % 64 == 0) set_special(s.from.data, types.x, j);
        check_epilogue(&s, 0);
        check_epilogue(&s, 1);
        free_setup(&s);
    }
}

// Magnitude masks with infinities and NaNs; and at a pixel outside the image an infinite weight meets a zero: a NaN.
static void test_special_weights(void) {
    for (size_t i = 0; i < 40; i++) {
        if (is_skipped()) continue;
        bool in_vectors = i % 10 == 0;  // as in test_whole_vectors
        ht_conv_shape shape = in_vectors ? sized(square(0, 16, 20, 3, 1), 1, 3, 11) : random_shape();
        size_t pattern = next_random() % COUNT(patterns);
        setup s = in_vectors ? make_shared(CONV, all_types[0], &shape, 1, 8, 1, i % 20 == 0)
                             : make_setup(CONV, all_types[i % 5], &shape, patterns[pattern].n, patterns[pattern].m);
        filters *f = &s.filters;
        for (size_t o = 0; o < f->w.rows; o++)
            for (size_t j = 0; j < f->w.columns; j++)
                if (next_random() % 32 == 0) set_special(element(&f->w, o, j), f->w.dtype, 0);
        set_magnitude_mask(f);
        check_mask(f);
        f->uses_mask = s.has_special_weights = true;
        free(s.packed);
        set_entries_and_pack(&s);
        check_epilogue(&s, 0);
        free_setup(&s);
    }
}

// The bits of GELU are the library's own; they are near the definition, and the same in every row of the table.
static void test_gelu(void) {
    ht_conv_shape shape = square(9, 20, 33, 3, 1);
    setup s = make_setup(CONV, all_types[0], &shape, 2, 4);
    ht_epilogue gelu = {.activation = HT_ACTIVATION_GELU};
    float *x = real_operand(&s, 0);
    matrix y = make_matrix(s.to_pixels, s.to_channels, HT_DTYPE_F32, HT_ORDER_ROWS, 0);
    call c = s.call;
    c.from = s.from.data, c.to = y.data, c.epilogue = gelu, c.options.isa = HT_ISA_REF;
    CHECK(run_call(&c) == HT_OK);
    bool near = true;
    for (size_t i = 0; i < y.rows * y.columns; i++) {
        double v = (double)chain(&s.filters, x, i / y.columns, i % y.columns), exact = v * 0.5 * erfc(-v * sqrt(0.5));
        near &= fabs((double)value_at(y.data, HT_DTYPE_F32, i) - exact) <= 4 * 0x1p-23 * fabs(exact) + 0x1p-147;
    }
    CHECK(near);
    check_rows(&s, &gelu, &y, true);
    free(x), free_matrix(&y);
    free_setup(&s);
}

// MARK: gradients

// A mask that is 2:4 along the channels and along the places of the outputs.
static void set_mask_of_both_directions(filters *f) {
    size_t channels = f->shape.channels / f->shape.groups, outputs = f->shape.outputs / f->shape.groups;
    for (size_t o = 0; o < f->shape.outputs; o++)
        if (f->mask.columns) memset(element(&f->mask, o, 0), 0, f->mask.columns);
    for (size_t place = 0; place < f->shape.outputs; place++)
        for (size_t i = 0; i < f->w.columns; i++)
            if ((place % outputs + i % channels) % 4 < 2) {
                size_t o = f->permutation ? f->permutation[place] : place;
                *(uint8_t *)element(&f->mask, o, i / 8) |= (uint8_t)(1 << i % 8);
            }
}

static setup make_masked(operation operation, const ht_conv_shape *shape, const matrix *w,
                         const uint32_t *permutation) {
    setup s = {.call = {.operation = operation, .types = all_types[0], .shape = *shape}};
    filters *f = &s.filters;
    *f = make_filters(shape, HT_DTYPE_F32, 0);
    f->n = 2, f->m = 4, f->permutation = permutation;
    memcpy(f->w.data, w->data, w->bytes);
    set_mask_of_both_directions(f);
    f->uses_mask = true, f->backward = operation != CONV;
    set_entries_and_pack(&s);
    make_operands(&s);
    return s;
}

// But for the zeros that groups are filled up with.
static bool same_weights(const filters *a, const filters *b) {
    bool same = true;
    for (size_t i = 0; i < a->w.rows * a->w.columns; i++)
        same &= (a->is_entry[i] ? a->value[i] : 0) == (b->is_entry[i] ? b->value[i] : 0);
    return same;
}

static double loss(const filters *f, const float *x) {
    size_t count = y_pixels(f) * f->shape.outputs;
    sum *y = allocate(count * sizeof *y);
    memset(y, 0, count * sizeof *y);
    add_terms(f, x, y);
    double total = 0;
    for (size_t i = 0; i < count; i++) total += sin(y[i].value);
    free(y);
    return total;
}

// Y by the library, dX by the library from the gradient of a loss of that Y; the loss by loops in double.
static void check_gradient(operation backward, const ht_conv_shape *shape, bool permuted) {
    checking("gradient of a %s, %zu groups, permuted %d", operation_names[backward], shape->groups, permuted);
    filters blank = make_filters(shape, HT_DTYPE_F32, 0);
    uint32_t *permutation = permuted ? random_permutation(&blank.shape) : NULL;
    matrix w = random_matrix(blank.w.rows, blank.w.columns, HT_DTYPE_F32);
    setup there = make_masked(CONV, shape, &w, permutation), back = make_masked(backward, shape, &w, permutation);
    CHECK(same_weights(&there.filters, &back.filters));
    float *x = there.from.data, *dy = back.from.data;
    there.call.from = x, there.call.to = dy;
    CHECK(run_call(&there.call) == HT_OK);
    for (size_t i = 0; i < back.from.rows * back.from.columns; i++) dy[i] = cosf(dy[i]);
    size_t count = back.to_pixels * back.to_channels;
    float *dx = allocate(count * sizeof *dx);
    back.call.from = dy, back.call.to = dx;
    CHECK(run_call(&back.call) == HT_OK);
    bool near = true;
    for (size_t i = 0; i < count; i++) {
        const float step = 0x1p-9f, was = x[i];
        x[i] = was + step;
        double above = loss(&there.filters, x);
        x[i] = was - step;
        double difference = (above - loss(&there.filters, x)) / (2 * (double)step);
        x[i] = was;
        near &= fabs(difference - (double)dx[i]) <= 2e-4 * (1 + fabs(difference));
    }
    CHECK(near);
    free(dx), free(permutation), free_filters(&blank), free_matrix(&w);
    free_setup(&there), free_setup(&back);
}

static void test_input_gradients(void) {
    ht_conv_shape shapes[] = {square(5, 6, 9, 3, 1), dilated(grouped(square(6, 10, 14, 3, 2), 2), 1, 2),
                              padded(kernel(square(5, 5, 6, 1, 1), 2, 3, 3, 1), 0, 2, 1, 0)};
    ht_conv_shape product = sized(square(0, 21, 18, 1, 1), 1, 1, 7);
    for (int permuted = 0; permuted < 2; permuted++) {
        for (size_t i = 0; i < COUNT(shapes); i++) check_gradient(CONV_BACKWARD, &shapes[i], permuted);
        check_gradient(GEMM_BACKWARD, &product, permuted);
    }
}

// MARK: blobs

// The filters of a 1x1 convolution are a matrix, those of several groups one after the other.
static void test_blobs_of_products(void) {
    for (size_t groups = 1; groups <= 3; groups++) {
        ht_conv_shape shape = grouped(square(2, 22 * groups, 19 * groups, 1, 1), groups);
        setup s = make_setup(CONV, all_types[groups], &shape, 2, 4);
        const filters *f = &s.filters;
        size_t each = s.call.packed_size / groups;
        uint8_t *matrices = exactly(s.call.packed_size, 64);
        const uint8_t *mask = f->uses_mask ? f->mask.data : NULL;
        ht_options options = sharing(f);
        for (size_t g = 0; g < groups; g++)
            CHECK(WITH_TYPE(f->w.dtype, ht_nm_pack, 19, 22, 2, 4, element(&f->w, g * 19, 0), f->w.stride,
                            mask ? mask + g * 19 * f->mask.stride : NULL, f->mask.stride, matrices + g * each, each,
                            &options) == HT_OK);
        CHECK(!memcmp(matrices, s.packed, s.call.packed_size));
        CHECK(ht_nm_packed_check(s.packed, s.call.packed_size) == HT_OK);
        free(matrices);
        free_setup(&s);
    }
}

// MARK: sizes and errors

static void test_output_sizes(void) {
    for (size_t i = 0; i < 200; i++) {
        ht_conv_shape shape = random_shape();
        filters f = make_filters(&shape, HT_DTYPE_I8, 0);
        size_t height, width;
        checking("an output size");
        CHECK(ht_conv_output_size(&shape, &height, &width) == HT_OK);
        CHECK(height == f.y_height && width == f.y_width);
        free_filters(&f);
    }
    ht_conv_shape shape = square(4, 4, 4, 3, 1), none = shape, wide = shape, apart = shape;
    size_t height = 99, width = 99;
    none.kernel_width = 0, wide.pad_left = SIZE_MAX, apart.dilation_y = SIZE_MAX / 2 + 1;
    CHECK(ht_conv_output_size(NULL, &height, &width) == HT_ERROR_NULL);
    CHECK(ht_conv_output_size(&shape, NULL, &width) == HT_ERROR_NULL);
    CHECK(ht_conv_output_size(&shape, &height, NULL) == HT_ERROR_NULL);
    CHECK(ht_conv_output_size(&none, &height, &width) == HT_ERROR_CONV);
    CHECK(ht_conv_output_size(&wide, &height, &width) == HT_ERROR_OVERFLOW);
    CHECK(ht_conv_output_size(&apart, &height, &width) == HT_ERROR_OVERFLOW);
    CHECK(height == 99 && width == 99);
}

typedef struct wrong {  // an example that works, for calls with one wrong argument each
    setup setup;
    matrix y;
    call good;
} wrong;

static wrong make_wrong(operation operation, const ht_conv_shape *shape) {
    wrong w = {.setup = make_setup(operation, all_types[0], shape, 2, 4)};
    w.y = make_matrix(w.setup.to_pixels, w.setup.to_channels, HT_DTYPE_F32, HT_ORDER_ROWS, 0);
    w.good = w.setup.call;
    w.good.from = w.setup.from.data, w.good.to = w.y.data;
    return w;
}

static void free_wrong(wrong *w) {
    free_setup(&w->setup);
    free_matrix(&w->y);
}

static void expect_refusal(const wrong *w, const call *c, ht_status expected) {
    checking("%s: %s", operation_names[c->operation], ht_status_text(expected));
    CHECK(run_call(c) == expected);
    CHECK(is_filled(w->y.data, w->y.bytes));
}

#define EXPECT_REFUSAL(expected, ...)     \
    do {                                  \
        call c = w.good;                  \
        __VA_ARGS__;                      \
        expect_refusal(&w, &c, expected); \
    } while (0)

static void test_refusals(operation operation, const ht_conv_shape *shape) {
    wrong w = make_wrong(operation, shape);
    _Alignas(64) char scratch[128];
    float bias[64];
    EXPECT_REFUSAL(HT_ERROR_NULL, c.from = NULL);
    EXPECT_REFUSAL(HT_ERROR_NULL, c.to = NULL);
    EXPECT_REFUSAL(HT_ERROR_NULL, c.packed = NULL);
    EXPECT_REFUSAL(HT_ERROR_STRIDE, c.from_stride = w.setup.from.stride - 4);
    EXPECT_REFUSAL(HT_ERROR_STRIDE, c.to_stride = w.y.stride + 2);
    EXPECT_REFUSAL(HT_ERROR_STRIDE, c.options.x_order = (ht_order)2);
    EXPECT_REFUSAL(HT_ERROR_STRIDE, c.options.y_order = (ht_order)-1);
    EXPECT_REFUSAL(HT_ERROR_ALIGNMENT, c.from = (const char *)c.from + 1);
    EXPECT_REFUSAL(HT_ERROR_ALIGNMENT, c.to = (char *)c.to + 2);
    EXPECT_REFUSAL(HT_ERROR_ALIGNMENT, c.packed = (const char *)c.packed + 4);
    EXPECT_REFUSAL(HT_ERROR_ALIGNMENT, c.epilogue.bias = (const float *)((const char *)bias + 2));
    EXPECT_REFUSAL(HT_ERROR_ALIGNMENT, c.options.scratch = scratch + 4, c.options.scratch_size = SIZE_MAX);
    EXPECT_REFUSAL(HT_ERROR_BUFFER_SIZE, c.options.scratch = scratch, c.options.scratch_size = sizeof scratch);
    EXPECT_REFUSAL(HT_ERROR_THREADS, c.options.threads = -1);
    EXPECT_REFUSAL(HT_ERROR_WINDOW, c.options.row_end = w.y.rows + 1);
    EXPECT_REFUSAL(HT_ERROR_WINDOW, c.options.row_begin = 3, c.options.row_end = 2);
    EXPECT_REFUSAL(HT_ERROR_WINDOW, c.options.column_begin = 8);
    EXPECT_REFUSAL(HT_ERROR_ISA, c.options.isa = (ht_isa)99);
    EXPECT_REFUSAL(HT_ERROR_EPILOGUE, c.epilogue.activation = (ht_activation)7);
    EXPECT_REFUSAL(HT_ERROR_EPILOGUE, c.epilogue.output = HT_DTYPE_BF16);
    EXPECT_REFUSAL(HT_ERROR_BLOB_TRUNCATED, c.packed_size--);
    EXPECT_REFUSAL(HT_ERROR_BLOB_TRUNCATED, c.packed_size = 63);
    EXPECT_REFUSAL(HT_ERROR_BLOB_SHAPE, c.shape.channels++);
    EXPECT_REFUSAL(HT_ERROR_BLOB_SHAPE, c.shape.outputs--);
    EXPECT_REFUSAL(HT_ERROR_BLOB_DTYPE, c.types.x = HT_DTYPE_BF16);
    free_wrong(&w);
}

static void test_conv_refusals(operation operation) {
    ht_conv_shape shape = square(4, 24, 20, 3, 1), in_groups = grouped(square(4, 24, 64, 3, 1), 2);
    wrong w = make_wrong(operation, &shape);
    EXPECT_REFUSAL(HT_ERROR_CONV, c.shape.kernel_height = 0);
    EXPECT_REFUSAL(HT_ERROR_CONV, c.shape.kernel_width = 0);
    EXPECT_REFUSAL(HT_ERROR_CONV, c.shape.groups = 3);   // of 20 outputs
    EXPECT_REFUSAL(HT_ERROR_CONV, c.shape.groups = 5);   // of 24 channels
    EXPECT_REFUSAL(HT_ERROR_DEPTHWISE, c.shape.groups = 20, c.shape.channels = 20);
    EXPECT_REFUSAL(HT_ERROR_BLOB_SHAPE, c.shape.kernel_width = 2);
    EXPECT_REFUSAL(HT_ERROR_BLOB_SHAPE, c.shape.groups = 2);
    EXPECT_REFUSAL(HT_ERROR_OVERFLOW, c.shape.height = SIZE_MAX / 2);
    EXPECT_REFUSAL(HT_ERROR_OVERFLOW, c.shape.images = SIZE_MAX / 4);
    EXPECT_REFUSAL(HT_ERROR_OVERFLOW, c.shape.pad_bottom = SIZE_MAX);
    free_wrong(&w);
    w = make_wrong(operation, &in_groups);
    EXPECT_REFUSAL(HT_ERROR_WINDOW, c.options.column_begin = 16);
    EXPECT_REFUSAL(HT_ERROR_WINDOW, c.options.column_end = 16);
    free_wrong(&w);
}

static void test_foreign_blobs(void) {
    ht_conv_shape shape = square(4, 16, 16, 3, 1);
    wrong w = make_wrong(CONV, &shape);
    setup other = make_setup(CONV_BACKWARD, all_types[0], &shape, 2, 4);
    EXPECT_REFUSAL(HT_ERROR_BLOB_FOREIGN, c.packed = other.packed, c.packed_size = other.call.packed_size);
    EXPECT_REFUSAL(HT_ERROR_BLOB_FOREIGN, c.operation = CONV_BACKWARD);
    free_wrong(&w), free_setup(&other);
}

// One wrong argument each, for every function that makes weights.
#define EXPECT_PACK(expected, ...)                                \
    do {                                                          \
        filters f = good;                                         \
        size_t size = all;                                        \
        void *to = packed;                                        \
        __VA_ARGS__;                                              \
        checking("packing for a %s", operation_names[operation]); \
        CHECK(pack_filters(operation, &f, to, size) == expected); \
        CHECK(is_filled(packed, all));                            \
    } while (0)

static void test_packing_errors(operation operation) {
    ht_conv_shape shape = grouped(square(4, 24, 20, 3, 1), 2);
    if (operation == GEMM_BACKWARD) shape = sized(square(0, 24, 20, 1, 1), 1, 1, 4);
    filters good = make_filters(&shape, HT_DTYPE_F32, 0);
    uint32_t identity[20], twice[20], beyond[20], across[20];
    for (uint32_t i = 0; i < 20; i++) identity[i] = twice[i] = beyond[i] = across[i] = i;
    good.n = 2, good.m = 4, good.backward = operation != CONV, good.permutation = identity;
    for (size_t i = 0; i < good.w.rows * good.w.columns; i++) ((float *)good.w.data)[i] = 1;
    set_magnitude_mask(&good);
    good.uses_mask = true;
    size_t all;
    CHECK(packed_filters(operation, &good, &all) == HT_OK);
    void *packed = exactly(all, 64);
    memset(packed, 0x5a, all);
    EXPECT_PACK(HT_ERROR_NULL, f.w.data = NULL);
    EXPECT_PACK(HT_ERROR_NULL, to = NULL);
    EXPECT_PACK(HT_ERROR_PATTERN, f.n = 0);
    EXPECT_PACK(HT_ERROR_PATTERN, f.m = 65);
    EXPECT_PACK(HT_ERROR_PATTERN, f.n = 5);
    EXPECT_PACK(HT_ERROR_PATTERN, f.shared_rows = 3);
    EXPECT_PACK(HT_ERROR_STRIDE, f.w.stride -= 4);
    EXPECT_PACK(HT_ERROR_STRIDE, f.mask.stride--);
    EXPECT_PACK(HT_ERROR_ALIGNMENT, f.w.data = (char *)f.w.data + 1);
    EXPECT_PACK(HT_ERROR_ALIGNMENT, to = (char *)to + 32);
    EXPECT_PACK(HT_ERROR_BUFFER_SIZE, size--);
    EXPECT_PACK(HT_ERROR_NOT_SPARSE, f.uses_mask = false);
    EXPECT_PACK(HT_ERROR_OVERFLOW, f.shape.channels = SIZE_MAX / 4 / 2 * 2);
    if (operation != GEMM_BACKWARD) {
        EXPECT_PACK(HT_ERROR_CONV, f.shape.kernel_width = 0);
        EXPECT_PACK(HT_ERROR_CONV, f.shape.groups = 5);
        EXPECT_PACK(HT_ERROR_DEPTHWISE, f.shape.channels = f.shape.groups = 20);
    }
    if (operation != CONV) {
        twice[3] = 4, beyond[19] = 20, across[0] = 10, across[10] = 0;
        EXPECT_PACK(HT_ERROR_PERMUTATION, f.permutation = twice);
        EXPECT_PACK(HT_ERROR_PERMUTATION, f.permutation = beyond);
        if (operation == CONV_BACKWARD) EXPECT_PACK(HT_ERROR_PERMUTATION, f.permutation = across);
        EXPECT_PACK(HT_ERROR_ALIGNMENT, f.permutation = (const uint32_t *)((const char *)identity + 1));
    }
    free_filters(&good);
    free(packed);
}

static void test_mask_errors(void) {
    ht_conv_shape shape = square(4, 8, 4, 3, 1), none = shape, depthwise = shape;
    float w[4 * 72], out[4 * 72];
    for (size_t i = 0; i < COUNT(w); i++) w[i] = 1;
    memset(out, 0x5a, sizeof out);
    none.kernel_height = 0, depthwise.groups = 4, depthwise.channels = 4;
    checking("errors of masks");
    CHECK(ht_nm_conv_prune_f32(NULL, 2, 4, w, 0, out, 0, NULL) == HT_ERROR_NULL);
    CHECK(ht_nm_conv_prune_f32(&shape, 2, 4, NULL, 0, out, 0, NULL) == HT_ERROR_NULL);
    CHECK(ht_nm_conv_prune_f32(&shape, 5, 4, w, 0, out, 0, NULL) == HT_ERROR_PATTERN);
    CHECK(ht_nm_conv_prune_f32(&shape, 2, 4, w, 71 * 4, out, 0, NULL) == HT_ERROR_STRIDE);
    CHECK(ht_nm_conv_prune_f32(&none, 2, 4, w, 0, out, 0, NULL) == HT_ERROR_CONV);
    CHECK(ht_nm_conv_prune_f32(&depthwise, 1, 1, w, 0, out, 0, NULL) == HT_ERROR_DEPTHWISE);
    CHECK(ht_nm_conv_mask_f32(&none, 2, 4, w, 0, (uint8_t *)out, 0, NULL) == HT_ERROR_CONV);
    CHECK(ht_nm_conv_mask_f32(&depthwise, 1, 1, w, 0, (uint8_t *)out, 0, NULL) == HT_ERROR_DEPTHWISE);
    CHECK(is_filled(out, sizeof out));
    size_t size;
    CHECK(ht_nm_conv_packed_size(&depthwise, 1, 1, HT_DTYPE_F32, NULL, &size) == HT_ERROR_DEPTHWISE);
    CHECK(ht_nm_conv_packed_size(&shape, 2, 4, HT_DTYPE_U8, NULL, &size) == HT_ERROR_BLOB_DTYPE);
    CHECK(ht_nm_conv_packed_size(&shape, 2, 4, HT_DTYPE_F32, NULL, NULL) == HT_ERROR_NULL);
    shape.kernel_width = 65536;  // more than a blob can say
    CHECK(ht_nm_conv_packed_size(&shape, 2, 4, HT_DTYPE_F32, NULL, &size) == HT_ERROR_OVERFLOW);
}

void test_conv(void) {
    ht_conv_shape conv = square(4, 24, 20, 3, 1), product = sized(square(0, 24, 20, 1, 1), 1, 1, 16);
    test_output_sizes();
    test_shapes();
    test_shared_taps();
    test_whole_vectors();
    test_large_images();
    test_random_shapes();
    test_backward_products();
    test_special_inputs();
    test_special_weights();
    test_gelu();
    test_input_gradients();
    test_blobs_of_products();
    test_refusals(CONV, &conv);
    test_refusals(CONV_BACKWARD, &conv);
    test_refusals(GEMM_BACKWARD, &product);
    test_conv_refusals(CONV);
    test_conv_refusals(CONV_BACKWARD);
    test_foreign_blobs();
    test_packing_errors(CONV);
    test_packing_errors(CONV_BACKWARD);
    test_packing_errors(GEMM_BACKWARD);
    test_mask_errors();
}
