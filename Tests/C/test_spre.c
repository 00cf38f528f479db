// SPDX-License-Identifier: Apache-2.0
// Spatial re-parameterisation against its formulas in plain loops: the spatial mask by sorting, both products as chains
// of fused multiply-adds, gradients as central differences in double, the fold with a bound on its error.
#include <math.h>

#include "check.h"
#include "matrix.h"

static size_t below(size_t limit) { return next_random() % limit; }

static float random_value(void) { return (float)(int32_t)next_random() * 0x1p-31f; }

// MARK: filters

// All that there is of a convolution of two branches, without the zeros of a shape that stand for one.
typedef struct branches {
    ht_conv_shape s;
    size_t out_height, out_width;
    size_t taps, channels, outputs, columns;  // of a filter; channels and outputs of a group
    size_t n, m;
    matrix w, r, mask;
    uint8_t *kept;
} branches;

static const size_t patterns[][2] = {{2, 4}, {1, 4}, {4, 8}, {1, 8},  {2, 8},   {1, 16}, {2, 16}, {1, 2},
                                     {4, 4}, {3, 5}, {1, 3}, {8, 16}, {16, 32}, {1, 32}, {7, 64}, {3, 4}};

static size_t output_size(size_t size, size_t pads, size_t kernel, size_t dilation, size_t stride) {
    const size_t reach = (kernel - 1) * dilation + 1;
    return size + pads < reach ? 0 : (size + pads - reach) / stride + 1;
}

static ht_conv_shape random_shape(bool small) {
    static const size_t many[] = {0, 1, 3, 16, 20, 32, 48, 64, 72, 128, 144};
    const size_t groups = below(4) ? 1 : 1 + below(3), limit = small ? 12 : 20;
    const size_t channels = below(2) ? many[below(small ? 6 : COUNT(many))] : below(small ? 24 : 300);
    ht_conv_shape s = {.images = 1 + below(2),
                       .height = below(limit),
                       .width = below(limit + 4),
                       .channels = groups * (groups > 1 && channels < 2 ? 2 : channels),
                       .outputs = groups * below(small ? 12 : 40),
                       .kernel_height = below(3) ? 3 : 1 + below(4),
                       .kernel_width = below(3) ? 3 : 1 + below(4),
                       .stride_y = 1 + below(4) / 3,
                       .stride_x = 1 + below(4) / 3,
                       .dilation_y = 1 + below(5) / 4,
                       .dilation_x = 1 + below(5) / 4,
                       .pad_top = below(3),
                       .pad_left = below(3),
                       .pad_bottom = below(3),
                       .pad_right = below(3),
                       .groups = groups};
    // What the reference takes long for is made smaller.
    while (s.images * (s.height + 3) * (s.width + 3) * s.kernel_height * s.kernel_width * s.channels * s.outputs >
           400000 * groups * groups)
        s.height > 6 ? s.height /= 2 : s.width > 9 ? s.width -= 7 : (s.outputs = s.outputs / groups / 2 * groups);
    return s;
}

static bool in_mask(const branches *b, size_t row, size_t column) {
    return *(const uint8_t *)element(&b->mask, row, column / 8) >> column % 8 & 1;
}

static float w_at(const branches *b, size_t row, size_t column) { return *(const float *)element(&b->w, row, column); }
static float r_at(const branches *b, size_t row, size_t column) { return *(const float *)element(&b->r, row, column); }

// Keeps up to n columns of each group of each tap, at random.
static void set_mask(branches *b) {
    for (size_t row = 0; row < b->s.outputs; row++) {
        if (b->mask.columns) memset(element(&b->mask, row, 0), 0, b->mask.columns);
        for (size_t tap = 0; tap < b->taps; tap++)
            for (size_t c = 0; c < b->channels; c += b->m) {
                const size_t count = b->channels - c < b->m ? b->channels - c : b->m;
                size_t left = below(6) ? b->n : below(b->n + 1);
                for (size_t i = 0; i < 2 * b->m && left; i++) {
                    const size_t column = tap * b->channels + c + below(count);
                    if (in_mask(b, row, column)) continue;
                    *(uint8_t *)element(&b->mask, row, column / 8) |= (uint8_t)(1 << column % 8);
                    left--;
                }
            }
    }
}

static branches make_branches(ht_conv_shape s, size_t n, size_t m, size_t gap) {
    branches b = {.s = s, .n = n, .m = m, .taps = s.kernel_height * s.kernel_width};
    b.channels = s.channels / s.groups;
    b.outputs = s.outputs / s.groups;
    b.columns = b.taps * b.channels;
    b.out_height = output_size(s.height, s.pad_top + s.pad_bottom, s.kernel_height, s.dilation_y, s.stride_y);
    b.out_width = output_size(s.width, s.pad_left + s.pad_right, s.kernel_width, s.dilation_x, s.stride_x);
    b.w = make_matrix(s.outputs, b.columns, HT_DTYPE_F32, HT_ORDER_ROWS, gap);
    b.r = make_matrix(s.outputs, b.columns, HT_DTYPE_F32, HT_ORDER_ROWS, gap + gap / 2);
    b.mask = make_matrix(s.outputs, (b.columns + 7) / 8, HT_DTYPE_U8, HT_ORDER_ROWS, gap);
    b.kept = exactly(b.taps, sizeof(void *));
    for (size_t tap = 0; tap < b.taps; tap++) b.kept[tap] = below(2);
    if (!below(6)) memset(b.kept, (int)below(2), b.taps);
    for (size_t row = 0; row < s.outputs; row++)
        for (size_t column = 0; column < b.columns; column++) {
            *(float *)element(&b.w, row, column) = below(12) ? random_value() : below(2) ? -0.0f : 0;
            *(float *)element(&b.r, row, column) = below(12) ? random_value() : 0;
        }
    set_mask(&b);
    return b;
}

static void free_branches(branches *b) {
    free_matrix(&b->w), free_matrix(&b->r), free_matrix(&b->mask);
    free(b->kept);
}

static size_t x_pixels(const branches *b) { return b->s.images * b->s.height * b->s.width; }
static size_t y_pixels(const branches *b) { return b->s.images * b->out_height * b->out_width; }

static matrix random_image(size_t pixels, size_t channels, ht_order order, size_t gap) {
    matrix x = make_matrix(pixels, channels, HT_DTYPE_F32, order, gap);
    for (size_t p = 0; p < pixels; p++)
        for (size_t c = 0; c < channels; c++) *(float *)element(&x, p, c) = random_value();
    return x;
}

static float at(const matrix *a, size_t row, size_t column) { return *(const float *)element(a, row, column); }

// The pixel of X that a tap sees from a pixel of Y, or SIZE_MAX.
static size_t seen(const branches *b, size_t pixel, size_t tap) {
    const ht_conv_shape *s = &b->s;
    const size_t column = pixel % b->out_width, row = pixel / b->out_width % b->out_height;
    const size_t y = row * s->stride_y + tap / s->kernel_width * s->dilation_y;
    const size_t x = column * s->stride_x + tap % s->kernel_width * s->dilation_x;
    if (y < s->pad_top || y - s->pad_top >= s->height || x < s->pad_left || x - s->pad_left >= s->width)
        return SIZE_MAX;
    const size_t image = pixel / b->out_width / b->out_height;
    return (image * s->height + y - s->pad_top) * s->width + x - s->pad_left;
}

// MARK: the spatial mask

typedef struct ranked {
    uint32_t magnitude;
    size_t place;
} ranked;

static int by_magnitude(const void *a, const void *b) {
    const ranked *x = a, *y = b;
    if (x->magnitude != y->magnitude) return x->magnitude < y->magnitude ? -1 : 1;
    return x->place > y->place ? -1 : 1;  // of equals the later one comes first
}

static void sort_out(const branches *b, size_t *dropped) {
    const size_t count = b->s.outputs * b->columns;
    ranked *all = allocate(count * sizeof *all);
    for (size_t i = 0; i < count; i++) {
        memcpy(&all[i].magnitude, element(&b->w, i / b->columns, i % b->columns), 4);
        all[i].magnitude &= 0x7fffffff;
        all[i].place = i;
    }
    qsort(all, count, sizeof *all, by_magnitude);
    memset(dropped, 0, b->taps * sizeof *dropped);
    for (size_t i = 0; i < count * (b->m - b->n) / b->m; i++) dropped[all[i].place % b->columns / b->channels]++;
    free(all);
}

static void set_magnitudes(branches *b, size_t kind) {
    static const float few[] = {0, -0.0f, 1, -1, 0.5f, -2, INFINITY, -INFINITY, NAN, 0x1p-149f};
    for (size_t row = 0; row < b->s.outputs; row++)
        for (size_t column = 0; column < b->columns; column++) {
            float *w = element(&b->w, row, column);
            if (kind == 1) *w = few[below(COUNT(few))];
            if (kind == 2) *w = 1;
            if (kind == 3) *w *= column / b->channels % 2 ? 1 : 1e-20f;
        }
}

static void test_taps(void) {
    const size_t *pattern = patterns[below(COUNT(patterns))], kind = below(5);
    branches b = make_branches(random_shape(false), pattern[0], pattern[1], below(3));
    checking("spatial mask, %zu x %zu of %zu taps, %zu:%zu, kind %zu", b.s.outputs, b.channels, b.taps, b.n, b.m, kind);
    set_magnitudes(&b, kind);
    size_t *expected = allocate(b.taps * sizeof *expected), *dropped = exactly(b.taps * sizeof *dropped, 8);
    uint8_t *taps = exactly(b.taps, sizeof(void *));
    sort_out(&b, expected);
    CHECK(!ht_spre_taps_f32(&b.s, b.n, b.m, b.w.data, b.w.stride, taps, below(2) ? NULL : dropped, NULL));
    CHECK(!ht_spre_taps_f32(&b.s, b.n, b.m, b.w.data, b.w.stride, taps, dropped, NULL));
    for (size_t tap = 0; tap < b.taps; tap++) {
        const double share = (double)(b.m - b.n) * (double)(b.s.outputs * b.channels);
        CHECK(dropped[tap] == expected[tap]);
        CHECK(taps[tap] == ((double)expected[tap] * (double)b.m < share));
    }
    free(expected), free(dropped), free(taps);
    free_branches(&b);
}

// Taps that are all alike: no tap is denser than the average, so there is no second branch.
static void test_flat_taps(void) {
    const ht_conv_shape s = {
        .height = 5, .width = 5, .channels = 8, .outputs = 4, .kernel_height = 3, .kernel_width = 3};
    float w[4 * 72];
    uint8_t taps[9];
    size_t dropped[9];
    checking("taps that are all alike");
    for (size_t i = 0; i < COUNT(w); i++) w[i] = i % 8 < 4 ? 1 : 2;
    CHECK(!ht_spre_taps_f32(&s, 2, 4, w, 0, taps, dropped, NULL));
    for (size_t tap = 0; tap < 9; tap++) CHECK(taps[tap] == 0 && dropped[tap] == 16);
    w[0] = 3, w[8 + 4] = 0.5f;  // one tap is denser for it, and another less dense
    CHECK(!ht_spre_taps_f32(&s, 2, 4, w, 0, taps, dropped, NULL));
    for (size_t tap = 0; tap < 9; tap++) CHECK(taps[tap] == (tap == 0));
    CHECK(dropped[0] == 15 && dropped[1] == 17);
}

// MARK: products

// What the packed weights of a row hold: the entries of the mask, and the lowest of other columns that fill a group up.
// Of the second branch only those at taps that are kept; values[column] is NAN-free only where `is_entry`.
static void find_entries(const branches *b, size_t row, bool second, bool *is_entry, float *value) {
    for (size_t c = 0; c < b->columns; c++) {
        is_entry[c] = in_mask(b, row, c);
        value[c] = is_entry[c] ? w_at(b, row, c) : 0;
    }
    for (size_t first = 0; first < b->columns; first += b->channels)
        for (size_t c = 0; c < b->channels; c += b->m) {
            const size_t count = b->channels - c < b->m ? b->channels - c : b->m;
            size_t have = 0;
            for (size_t i = 0; i < count; i++) have += is_entry[first + c + i];
            for (size_t i = 0; i < count && have < b->n; i++)
                if (!is_entry[first + c + i]) is_entry[first + c + i] = true, have++;
        }
    for (size_t c = 0; c < b->columns && second; c++) {
        value[c] = is_entry[c] && in_mask(b, row, c) && w_at(b, row, c) != 0 ? r_at(b, row, c) : 0;
        is_entry[c] &= b->kept[c / b->channels] != 0;
    }
}

static float chain(const branches *b, const matrix *x, size_t pixel, size_t output, const bool *is_entry,
                   const float *value) {
    float sum = 0;
    for (size_t c = 0; c < b->columns; c++) {
        if (!is_entry[c]) continue;
        const size_t from = seen(b, pixel, c / b->channels);
        const size_t channel = output / b->outputs * b->channels + c % b->channels;
        sum = fmaf(value[c], from == SIZE_MAX ? 0 : at(x, from, channel), sum);
    }
    return sum;
}

static void expect(const branches *b, const matrix *x, bool second, matrix *y) {
    bool *is_entry = allocate(b->columns * sizeof *is_entry);
    float *value = allocate(b->columns * sizeof *value);
    for (size_t o = 0; o < b->s.outputs; o++) {
        find_entries(b, o, second, is_entry, value);
        for (size_t pixel = 0; pixel < y_pixels(b); pixel++)
            *(float *)element(y, pixel, o) = chain(b, x, pixel, o, is_entry, value);
    }
    free(is_entry), free(value);
}

// Whether some values of each output are the chains.
static bool samples_match(const branches *b, const matrix *x, bool second, const matrix *y) {
    bool *is_entry = allocate(b->columns * sizeof *is_entry), all = true;
    float *value = allocate(b->columns * sizeof *value);
    for (size_t o = 0; o < b->s.outputs; o++) {
        find_entries(b, o, second, is_entry, value);
        for (size_t i = 0; i < 10; i++) {
            const size_t pixel = below(y->rows);
            all &= at(y, pixel, o) == chain(b, x, pixel, o, is_entry, value);
        }
    }
    free(is_entry), free(value);
    return all;
}

static bool same(const matrix *a, const matrix *b) {
    for (size_t row = 0; row < a->rows; row++)
        for (size_t column = 0; column < a->columns; column++)
            if (!same_value(element(a, row, column), element(b, row, column), HT_DTYPE_F32)) return false;
    return true;
}

static void *pack(const branches *b, size_t *size, int shared_rows) {
    const ht_options options = {.threads = 1 + (int)below(2), .shared_rows = shared_rows};
    CHECK(!ht_spre_packed_size(&b->s, b->n, b->m, &options, size));
    void *packed = exactly(*size, 64);
    CHECK(!ht_spre_pack_f32(&b->s, b->n, b->m, b->w.data, b->w.stride, b->mask.data, b->mask.stride, b->r.data,
                            b->r.stride, b->kept, packed, *size, &options));
    const size_t each = *size / b->s.groups;
    for (size_t group = 0; group < b->s.groups; group++)
        CHECK(!ht_nm_packed_check((const char *)packed + group * each, each));
    return packed;
}

static void set_specials(matrix *x, size_t count) {
    static const float specials[] = {NAN, INFINITY, -INFINITY, 0, -0.0f};
    for (size_t i = 0; i < count && x->rows && x->columns; i++)
        *(float *)element(x, below(x->rows), below(x->columns)) = specials[below(COUNT(specials))];
}

// Both results have the bits of the chains, the first those of the ordinary convolution, on every ISA.
static void compare_products(const branches *b, const matrix *x, const void *packed, size_t size, ht_options options,
                             const matrix *ya, const matrix *yb) {
    ht_isa list[16];
    const size_t count = runnable("nm_gemm_f32", list, COUNT(list));
    for (size_t i = 0; i < count; i++) {
        options.isa = list[i];
        matrix a = make_matrix(y_pixels(b), b->s.outputs, HT_DTYPE_F32, options.y_order, (size_t)options.threads);
        matrix q = make_matrix(y_pixels(b), b->s.outputs, HT_DTYPE_F32, options.y_order, (size_t)options.threads);
        CHECK(!ht_nm_conv_scratch_size(&b->s, HT_DTYPE_F32, packed, size, &options, &options.scratch_size));
        options.scratch = below(2) ? exactly(options.scratch_size, 64) : NULL;
        CHECK(!ht_spre_conv_f32(&b->s, x->data, x->stride, packed, size, a.data, q.data, a.stride, &options));
        CHECK(same(&a, ya));
        CHECK(same(&q, yb));
        free(options.scratch);
        free_matrix(&a), free_matrix(&q);
    }
}

static void compare_with_conv(const branches *b, const matrix *x, const matrix *ya, ht_options options) {
    size_t size;
    CHECK(!ht_nm_conv_packed_size(&b->s, b->n, b->m, HT_DTYPE_F32, NULL, &size));
    void *packed = exactly(size, 64);
    CHECK(!ht_nm_conv_pack_f32(&b->s, b->n, b->m, b->w.data, b->w.stride, b->mask.data, b->mask.stride, packed, size,
                               NULL));
    matrix y = make_matrix(y_pixels(b), b->s.outputs, HT_DTYPE_F32, options.y_order, 0);
    CHECK(!ht_nm_conv_f32(&b->s, x->data, x->stride, packed, size, NULL, y.data, y.stride, &options));
    CHECK(same(&y, ya));
    free(packed);
    free_matrix(&y);
}

// What the second branch does not look at does not matter.
static void spoil_unseen(branches *b) {
    for (size_t o = 0; o < b->s.outputs; o++)
        for (size_t c = 0; c < b->columns; c++)
            if (!in_mask(b, o, c) || !b->kept[c / b->channels] || w_at(b, o, c) == 0)
                *(float *)element(&b->r, o, c) = NAN;
}

static void test_products(bool special) {
    const size_t *pattern = patterns[below(COUNT(patterns))];
    branches b = make_branches(random_shape(false), pattern[0], pattern[1], below(3));
    checking(
        "branches, %zu images of %zux%zux%zu, %zu outputs, %zux%zu, %zu groups, stride %zu %zu, dilation %zu %zu, "
        "%zu:%zu, special %d",
        b.s.images, b.s.height, b.s.width, b.s.channels, b.s.outputs, b.s.kernel_height, b.s.kernel_width, b.s.groups,
        b.s.stride_y, b.s.stride_x, b.s.dilation_y, b.s.dilation_x, b.n, b.m, special);
    ht_options options = {
        .threads = 1 + (int)below(2), .x_order = (ht_order)(below(5) == 0), .y_order = (ht_order)(below(5) == 0)};
    matrix x = random_image(x_pixels(&b), b.s.channels, options.x_order, below(3));
    matrix ya = make_matrix(y_pixels(&b), b.s.outputs, HT_DTYPE_F32, HT_ORDER_ROWS, 0), yb = ya;
    yb.memory = yb.data = exactly(yb.bytes, 64);
    if (special) set_specials(&x, 3);
    expect(&b, &x, false, &ya);
    expect(&b, &x, true, &yb);
    spoil_unseen(&b);
    size_t size;
    void *packed = pack(&b, &size, 1);
    compare_products(&b, &x, packed, size, options, &ya, &yb);
    compare_with_conv(&b, &x, &ya, options);
    free(packed);
    free_matrix(&x), free_matrix(&ya), free_matrix(&yb);
    free_branches(&b);
}

static void share_mask(branches *b, size_t rows) {
    for (size_t row = 0; row < b->s.outputs; row++)
        memcpy(element(&b->mask, row, 0), element(&b->mask, row / rows * rows, 0), b->mask.columns);
}

// Layers of real sizes reach the kernels that small ones do not.
static void test_large_products(void) {
    static const size_t sizes[][3] = {{56, 32, 64},  {28, 17, 128}, {14, 14, 256},
                                      {48, 16, 320}, {30, 16, 80},  {12, 9, 272}};
    const size_t *size_of = sizes[below(COUNT(sizes))], *pattern = patterns[below(7)];
    const size_t stride = 1 + below(4) / 3;
    const ht_conv_shape s = {.images = 1,
                             .height = size_of[1],
                             .width = size_of[0],
                             .channels = size_of[2],
                             .outputs = 32 + below(20),
                             .kernel_height = 3,
                             .kernel_width = 3,
                             .stride_y = stride,
                             .stride_x = stride,
                             .dilation_y = 1,
                             .dilation_x = 1,
                             .pad_top = 1,
                             .pad_left = 1,
                             .pad_bottom = 1,
                             .pad_right = 1,
                             .groups = 1};
    branches b = make_branches(s, pattern[0], pattern[1], 0);
    const size_t shared_rows = (size_t)1 << below(3);
    share_mask(&b, shared_rows);
    checking("large branches, %zux%zux%zu, stride %zu, %zu:%zu", s.height, s.width, s.channels, stride, b.n, b.m);
    matrix x = random_image(x_pixels(&b), s.channels, HT_ORDER_ROWS, 0);
    matrix ya = make_matrix(y_pixels(&b), s.outputs, HT_DTYPE_F32, HT_ORDER_ROWS, 0);
    matrix yb = make_matrix(y_pixels(&b), s.outputs, HT_DTYPE_F32, HT_ORDER_ROWS, 0);
    ht_isa list[16];
    size_t size, count = runnable("nm_gemm_f32", list, COUNT(list));
    void *packed = pack(&b, &size, (int)shared_rows);
    for (size_t i = 0; i + 1 < count; i++) {
        const ht_options options = {.threads = 1 + (int)below(2), .isa = list[i]};
        CHECK(!ht_spre_conv_f32(&s, x.data, 0, packed, size, ya.data, yb.data, 0, &options));
        CHECK(samples_match(&b, &x, false, &ya));
        CHECK(samples_match(&b, &x, true, &yb));
    }
    free(packed);
    free_matrix(&x), free_matrix(&ya), free_matrix(&yb);
    free_branches(&b);
}

// MARK: backward products

// Groups run along the output channels, place by place; a mask of its own, or that of the forward weights with N = M.
typedef struct backward {
    const branches *b;
    size_t n, m;
    matrix mask;
    uint32_t *permutation;  // or null
} backward;

static bool in_backward(const backward *k, size_t row, size_t column) {
    return *(const uint8_t *)element(&k->mask, row, column / 8) >> column % 8 & 1;
}

static size_t row_of(const backward *k, size_t group, size_t place) {
    const size_t row = group * k->b->outputs + place;
    return k->permutation ? k->permutation[row] : row;
}

static uint32_t *random_permutation(const branches *b) {
    uint32_t *numbers = exactly(b->s.outputs * sizeof *numbers, sizeof(void *));
    for (size_t i = 0; i < b->s.outputs; i++) {
        const size_t first = i / b->outputs * b->outputs, j = first + below(i - first + 1);
        numbers[i] = (uint32_t)i;
        numbers[i] = numbers[j], numbers[j] = (uint32_t)i;
    }
    return numbers;
}

// Takes from the forward mask what is more than n in a group of the backward one.
static void thin_out(const backward *k) {
    const branches *b = k->b;
    for (size_t group = 0; group < b->s.groups; group++)
        for (size_t column = 0; column < b->columns; column++)
            for (size_t place = 0, have = 0; place < b->outputs; place++) {
                const size_t row = row_of(k, group, place);
                if (place % k->m == 0) have = 0;
                if (in_backward(k, row, column) && ++have > k->n)
                    *(uint8_t *)element(&k->mask, row, column / 8) &= (uint8_t)~(1 << column % 8);
            }
}

static backward make_backward(const branches *b) {
    const size_t *pattern = patterns[below(COUNT(patterns))];
    backward k = {.b = b, .m = pattern[1], .mask = make_matrix(b->s.outputs, b->mask.columns, HT_DTYPE_U8, 0, 1)};
    k.n = below(2) ? pattern[0] : pattern[1];
    k.permutation = below(2) ? random_permutation(b) : NULL;
    for (size_t row = 0; row < b->s.outputs && b->mask.columns; row++)
        memcpy(element(&k.mask, row, 0), element(&b->mask, row, 0), b->mask.columns);
    thin_out(&k);
    return k;
}

static void free_backward(backward *k) {
    free_matrix(&k->mask);
    free(k->permutation);
}

// Whether an entry: named by the mask, or one that fills its group up.
static bool fills_up(const backward *k, size_t group, size_t place, size_t column) {
    const size_t first = place / k->m * k->m, end = first + k->m < k->b->outputs ? first + k->m : k->b->outputs;
    size_t have = 0;
    for (size_t i = first; i < end; i++) have += in_backward(k, row_of(k, group, i), column);
    for (size_t i = first; i < place; i++) have += !in_backward(k, row_of(k, group, i), column);
    return have < k->n;
}

// The pixel of Y that sees a pixel of X through a tap, or SIZE_MAX.
static size_t seen_by(const branches *b, size_t pixel, size_t tap) {
    const ht_conv_shape *s = &b->s;
    const size_t image = pixel / (s->width * s->height);
    const size_t y = pixel / s->width % s->height + s->pad_top, x = pixel % s->width + s->pad_left;
    const size_t down = tap / s->kernel_width * s->dilation_y, right = tap % s->kernel_width * s->dilation_x;
    if (y < down || (y - down) % s->stride_y || (y - down) / s->stride_y >= b->out_height) return SIZE_MAX;
    if (x < right || (x - right) % s->stride_x || (x - right) / s->stride_x >= b->out_width) return SIZE_MAX;
    return (image * b->out_height + (y - down) / s->stride_y) * b->out_width + (x - right) / s->stride_x;
}

static float backward_value(const backward *k, bool second, size_t row, size_t column) {
    if (!in_backward(k, row, column)) return 0;
    if (!second) return w_at(k->b, row, column);
    return w_at(k->b, row, column) != 0 ? r_at(k->b, row, column) : 0;
}

static float backward_chain(const backward *k, bool second, const matrix *dy, size_t pixel, size_t channel) {
    const branches *b = k->b;
    const size_t group = channel / b->channels;
    float sum = 0;
    for (size_t tap = b->taps; tap-- > 0;) {
        if (second && !b->kept[tap]) continue;
        const size_t column = tap * b->channels + channel % b->channels, from = seen_by(b, pixel, tap);
        for (size_t place = 0; place < b->outputs; place++) {
            const size_t row = row_of(k, group, place);
            if (!in_backward(k, row, column) && !fills_up(k, group, place, column)) continue;
            sum = fmaf(backward_value(k, second, row, column), from == SIZE_MAX ? 0 : at(dy, from, row), sum);
        }
    }
    return sum;
}

static void *pack_backward(const backward *k, size_t *size) {
    const branches *b = k->b;
    CHECK(!ht_spre_backward_packed_size(&b->s, k->n, k->m, k->permutation, NULL, size));
    void *packed = exactly(*size, 64);
    CHECK(!ht_spre_backward_pack_f32(&b->s, k->n, k->m, b->w.data, b->w.stride, k->mask.data, k->mask.stride, b->r.data,
                                     b->r.stride, b->kept, k->permutation, packed, *size, NULL));
    const size_t each = *size / b->s.groups;
    for (size_t group = 0; group < b->s.groups; group++)
        CHECK(!ht_nm_packed_check((const char *)packed + group * each, each));
    return packed;
}

static void test_backward_product(void) {
    branches b = make_branches(random_shape(true), 2, 4, below(3));
    backward k = make_backward(&b);
    checking("both branches backward, %zu images of %zux%zux%zu, %zu outputs, %zux%zu, %zu groups, %zu:%zu%s",
             b.s.images, b.s.height, b.s.width, b.s.channels, b.s.outputs, b.s.kernel_height, b.s.kernel_width,
             b.s.groups, k.n, k.m, k.permutation ? ", permuted" : "");
    ht_options options = {
        .threads = 1 + (int)below(2), .x_order = (ht_order)(below(5) == 0), .y_order = (ht_order)(below(5) == 0)};
    matrix dya = random_image(y_pixels(&b), b.s.outputs, options.x_order, 1);
    matrix dyb = random_image(y_pixels(&b), b.s.outputs, options.x_order, 1);
    matrix expected = make_matrix(x_pixels(&b), b.s.channels, HT_DTYPE_F32, HT_ORDER_ROWS, 0);
    for (size_t pixel = 0; pixel < x_pixels(&b); pixel++)
        for (size_t channel = 0; channel < b.s.channels; channel++)
            *(float *)element(&expected, pixel, channel) =
                backward_chain(&k, true, &dyb, pixel, channel) + backward_chain(&k, false, &dya, pixel, channel);
    size_t size;
    void *packed = pack_backward(&k, &size);
    ht_isa list[16];
    const size_t count = runnable("nm_gemm_f32", list, COUNT(list));
    for (size_t i = 0; i < count; i++) {
        matrix dx = make_matrix(x_pixels(&b), b.s.channels, HT_DTYPE_F32, options.y_order, 2);
        options.isa = list[i];
        CHECK(!ht_spre_backward_f32(&b.s, dya.data, dyb.data, dya.stride, packed, size, dx.data, dx.stride, &options));
        CHECK(same(&dx, &expected));
        free_matrix(&dx);
    }
    free(packed);
    free_matrix(&dya), free_matrix(&dyb), free_matrix(&expected);
    free_backward(&k);
    free_branches(&b);
}

// MARK: weight gradients

static float weight_gradient(const branches *b, const matrix *x, const matrix *dy, size_t o, size_t column) {
    const size_t channel = o / b->outputs * b->channels + column % b->channels;
    float sum = 0;
    for (size_t pixel = 0; pixel < y_pixels(b); pixel++) {
        const size_t from = seen(b, pixel, column / b->channels);
        sum = fmaf(at(dy, pixel, o), from == SIZE_MAX ? 0 : at(x, from, channel), sum);
    }
    return sum;
}

static void test_conv_weight_gradient(bool special) {
    ht_conv_shape s = random_shape(true);
    if (!below(4)) s.channels = s.outputs = s.groups = 1 + below(9);  // a depthwise one
    branches b = make_branches(s, 2, 4, below(3));
    const uint8_t *taps = below(3) ? b.kept : NULL;
    checking("dense weight gradient, %zu images of %zux%zux%zu, %zu outputs, %zux%zu, %zu groups%s", s.images, s.height,
             s.width, s.channels, s.outputs, s.kernel_height, s.kernel_width, s.groups, taps ? ", some taps" : "");
    matrix x = random_image(x_pixels(&b), s.channels, HT_ORDER_ROWS, below(3));
    matrix dy = random_image(y_pixels(&b), s.outputs, HT_ORDER_ROWS, below(3));
    if (special) set_specials(&x, 2), set_specials(&dy, 1);
    matrix expected = make_matrix(s.outputs, b.columns, HT_DTYPE_F32, HT_ORDER_ROWS, 0);
    for (size_t o = 0; o < s.outputs; o++)
        for (size_t column = 0; column < b.columns; column++)
            *(float *)element(&expected, o, column) =
                taps && !taps[column / b.channels] ? 0 : weight_gradient(&b, &x, &dy, o, column);
    ht_isa list[16];
    const size_t count = runnable("weight_gradient_f32", list, COUNT(list));
    for (size_t i = 0; i < 2 * count; i++) {
        matrix dw = make_matrix(s.outputs, b.columns, HT_DTYPE_F32, HT_ORDER_ROWS, i % 3);
        const ht_options options = {.threads = 1 + (int)(i & 1), .isa = list[i / 2]};
        CHECK(
            !ht_conv_weight_gradient_f32(&s, dy.data, dy.stride, x.data, x.stride, taps, dw.data, dw.stride, &options));
        CHECK(same(&dw, &expected));
        free_matrix(&dw);
    }
    free_matrix(&x), free_matrix(&dy), free_matrix(&expected);
    free_branches(&b);
}

static void test_conv_input_gradient(bool special) {
    ht_conv_shape s = random_shape(true);
    if (!below(4)) s.channels = s.outputs = s.groups = 1 + below(9);
    branches b = make_branches(s, 1, 1, below(3));  // 1:1 keeps everything
    checking("dense input gradient, %zu images of %zux%zux%zu, %zu outputs, %zux%zu, %zu groups, stride %zu %zu",
             s.images, s.height, s.width, s.channels, s.outputs, s.kernel_height, s.kernel_width, s.groups, s.stride_y,
             s.stride_x);
    backward all = {.b = &b, .n = 1, .m = 1, .mask = b.mask};
    for (size_t o = 0; o < s.outputs && b.mask.columns; o++) memset(element(&b.mask, o, 0), 0xff, b.mask.columns);
    matrix dy = random_image(y_pixels(&b), s.outputs, HT_ORDER_ROWS, below(3));
    matrix expected = make_matrix(x_pixels(&b), s.channels, HT_DTYPE_F32, HT_ORDER_ROWS, 0);
    if (special) set_specials(&dy, 2), set_specials(&b.w, 1);
    for (size_t pixel = 0; pixel < x_pixels(&b); pixel++)
        for (size_t channel = 0; channel < s.channels; channel++)
            *(float *)element(&expected, pixel, channel) = backward_chain(&all, false, &dy, pixel, channel);
    ht_isa list[16];
    const size_t count = runnable("weight_gradient_f32", list, COUNT(list));
    for (size_t i = 0; i < 2 * count; i++) {
        matrix dx = make_matrix(x_pixels(&b), s.channels, HT_DTYPE_F32, HT_ORDER_ROWS, i % 3);
        const ht_options options = {.threads = 1 + (int)(i & 1), .isa = list[i / 2]};
        CHECK(!ht_conv_input_gradient_f32(&s, dy.data, dy.stride, b.w.data, b.w.stride, dx.data, dx.stride, &options));
        CHECK(same(&dx, &expected));
        free_matrix(&dx);
    }
    free_matrix(&dy), free_matrix(&expected);
    free_branches(&b);
}

static void test_second_gradient(void) {
    branches b = make_branches(random_shape(true), 2, 4, below(3));
    checking("gradient of the second branch");
    matrix dq = make_matrix(b.s.outputs, b.columns, HT_DTYPE_F32, HT_ORDER_ROWS, 1);
    for (size_t i = 0; i < b.s.outputs * b.columns; i++) {
        const size_t o = i / b.columns, column = i % b.columns;
        const bool counts = in_mask(&b, o, column) && b.kept[column / b.channels] && w_at(&b, o, column) != 0;
        *(float *)element(&dq, o, column) = counts ? random_value() : NAN;
    }
    matrix dr = make_matrix(b.s.outputs, b.columns, HT_DTYPE_F32, HT_ORDER_ROWS, 0);
    for (int in_place = 0; in_place < 2; in_place++) {
        matrix *to = in_place ? &dq : &dr;
        CHECK(!ht_spre_gradient_f32(&b.s, b.w.data, b.w.stride, b.mask.data, b.mask.stride, b.kept, dq.data, dq.stride,
                                    to->data, to->stride));
        for (size_t i = 0; i < b.s.outputs * b.columns; i++) {
            const float value = at(to, i / b.columns, i % b.columns);
            CHECK(value == value && same_value(&value, element(&dr, i / b.columns, i % b.columns), HT_DTYPE_F32));
        }
    }
    free_matrix(&dq), free_matrix(&dr);
    free_branches(&b);
}

// MARK: gradients as differences

// A loss of both products in double, and its gradients with respect to them: sum of ga ya + gb yb + (ya + yb)^2 / 2.
typedef struct loss {
    const branches *b;
    matrix x, ga, gb;
} loss;

static double product_at(const loss *l, bool second, size_t pixel, size_t o) {
    const branches *b = l->b;
    double sum = 0;
    for (size_t c = 0; c < b->columns; c++) {
        const size_t tap = c / b->channels, from = seen(b, pixel, tap);
        if (!in_mask(b, o, c) || from == SIZE_MAX) continue;
        if (second && (!b->kept[tap] || w_at(b, o, c) == 0)) continue;
        sum += (double)(second ? r_at(b, o, c) : w_at(b, o, c)) *
               at(&l->x, from, o / b->outputs * b->channels + c % b->channels);
    }
    return sum;
}

static double loss_value(const loss *l) {
    double total = 0;
    for (size_t pixel = 0; pixel < y_pixels(l->b); pixel++)
        for (size_t o = 0; o < l->b->s.outputs; o++) {
            const double ya = product_at(l, false, pixel, o), yb = product_at(l, true, pixel, o);
            total += at(&l->ga, pixel, o) * ya + at(&l->gb, pixel, o) * yb + (ya + yb) * (ya + yb) / 2;
        }
    return total;
}

// By a step of a power of two that leaves the value's lowest bits alone.
static double difference(const loss *l, float *value) {
    const float kept = *value, step = 0x1p-8f;
    *value = kept + step;
    const float above = *value;
    const double upper = loss_value(l);
    *value = kept - step;
    const double slope = (upper - loss_value(l)) / ((double)above - *value);
    *value = kept;
    return slope;
}

static void check_slope(const loss *l, float *value, double gradient) {
    const double slope = difference(l, value);
    CHECK(fabs(slope - gradient) <= 1e-4 * (1 + fabs(slope)));
}

// The gradient of X from weights packed backward with all entries of the mask, N = M.
static void compute_input_gradient(const branches *b, const matrix *dya, const matrix *dyb, matrix *dx) {
    backward k = {.b = b, .n = 4, .m = 4, .mask = b->mask};
    size_t size;
    void *packed = pack_backward(&k, &size);
    CHECK(!ht_spre_backward_f32(&b->s, dya->data, dyb->data, dya->stride, packed, size, dx->data, dx->stride, NULL));
    free(packed);
}

static void check_gradients(loss *l, const matrix *dya, const matrix *dyb) {
    const branches *b = l->b;
    matrix dx = make_matrix(x_pixels(b), b->s.channels, HT_DTYPE_F32, HT_ORDER_ROWS, 0);
    matrix da = make_matrix(b->s.outputs, b->columns, HT_DTYPE_F32, HT_ORDER_ROWS, 0), dr = da;
    dr.memory = dr.data = exactly(dr.bytes, 64);
    compute_input_gradient(b, dya, dyb, &dx);
    CHECK(!ht_conv_weight_gradient_f32(&b->s, dya->data, 0, l->x.data, 0, NULL, da.data, 0, NULL));
    CHECK(!ht_conv_weight_gradient_f32(&b->s, dyb->data, 0, l->x.data, 0, b->kept, dr.data, 0, NULL));
    CHECK(!ht_spre_gradient_f32(&b->s, b->w.data, b->w.stride, b->mask.data, b->mask.stride, b->kept, dr.data, 0,
                                dr.data, 0));
    for (int i = 0; i < 8; i++) {
        const size_t pixel = below(dx.rows), channel = below(dx.columns), o = below(da.rows), c = below(da.columns);
        check_slope(l, element(&l->x, pixel, channel), at(&dx, pixel, channel));
        check_slope(l, element(&b->r, o, c), at(&dr, o, c));
        // Straight through: pruned weights have a gradient too, but no slope. Where W is 0 the branches change
        // together.
        if (in_mask(b, o, c) && fabsf(w_at(b, o, c)) > 0.01f) check_slope(l, element(&b->w, o, c), at(&da, o, c));
    }
    free_matrix(&dx), free_matrix(&da), free_matrix(&dr);
}

static void test_differences(void) {
    ht_conv_shape s = random_shape(true);
    s.images = 1, s.height = s.width = 5 + below(3), s.channels = 6 * s.groups, s.outputs = 4 * s.groups;
    s.kernel_height = s.kernel_width = 3, s.pad_top = s.pad_left = s.pad_bottom = s.pad_right = 1;
    branches b = make_branches(s, 2, 4, 0);
    checking("gradients as differences, %zux%zux%zu, %zu groups, stride %zu %zu", s.height, s.width, s.channels,
             s.groups, s.stride_y, s.stride_x);
    loss l = {.b = &b, .x = random_image(x_pixels(&b), s.channels, HT_ORDER_ROWS, 0)};
    l.ga = random_image(y_pixels(&b), s.outputs, HT_ORDER_ROWS, 0);
    l.gb = random_image(y_pixels(&b), s.outputs, HT_ORDER_ROWS, 0);
    matrix dya = random_image(y_pixels(&b), s.outputs, HT_ORDER_ROWS, 0);
    matrix dyb = random_image(y_pixels(&b), s.outputs, HT_ORDER_ROWS, 0);
    for (size_t pixel = 0; pixel < y_pixels(&b); pixel++)
        for (size_t o = 0; o < s.outputs; o++) {
            const double sum = product_at(&l, false, pixel, o) + product_at(&l, true, pixel, o);
            *(float *)element(&dya, pixel, o) = (float)(at(&l.ga, pixel, o) + sum);
            *(float *)element(&dyb, pixel, o) = (float)(at(&l.gb, pixel, o) + sum);
        }
    check_gradients(&l, &dya, &dyb);
    free_matrix(&dya), free_matrix(&dyb);
    free_matrix(&l.x), free_matrix(&l.ga), free_matrix(&l.gb);
    free_branches(&b);
}

// MARK: the fold

typedef struct norm {
    ht_batch_norm arrays;
    float *memory;
} norm;

static norm random_norm(size_t outputs, size_t kind) {
    norm n = {.memory = exactly(4 * outputs * sizeof(float), sizeof(void *))};
    for (size_t i = 0; i < 4 * outputs; i++) n.memory[i] = 2 * random_value();
    for (size_t i = 0; i < outputs; i++) n.memory[3 * outputs + i] = fabsf(random_value()) + 0.01f;
    n.arrays = (ht_batch_norm){n.memory, n.memory + outputs, n.memory + 2 * outputs, n.memory + 3 * outputs, 1e-5f};
    if (kind == 1) n.arrays.gamma = NULL;
    if (kind == 2) n.arrays.beta = NULL;
    if (kind == 3) n.arrays.mean = n.arrays.variance = NULL;
    if (kind == 4) memset(n.memory, 0, outputs * sizeof(float));
    if (kind == 5) memset(n.memory + 3 * outputs, 0, outputs * sizeof(float));
    return n;
}

static double scale_of(const norm *n, size_t o) {
    const double deviation = n->arrays.variance ? sqrt(n->arrays.variance[o] + (double)n->arrays.epsilon) : 1;
    return (n->arrays.gamma ? n->arrays.gamma[o] : 1) / deviation;
}

// What a normalisation makes of a sum; adds the size of its terms beside the sum.
static double normalised(const norm *n, size_t o, double sum, double *size) {
    const double mean = n->arrays.mean ? n->arrays.mean[o] : 0, beta = n->arrays.beta ? n->arrays.beta[o] : 0;
    *size += fabs(mean * scale_of(n, o)) + fabs(beta);
    return (sum - mean) * scale_of(n, o) + beta;
}

static double gamma_of(double k) { return k * 0x1p-24 / (1 - k * 0x1p-24); }

// One value of the folded convolution: a weight is rounded once, relative to the size of both its terms, then each of
// the `entries` fused multiply-adds rounds, the bias once, and its addition. What double precision adds is less than a
// thousandth of that, and f32 numbers may be subnormal.
static void check_folded(const branches *b, const norm norms[2], const matrix *x, size_t pixel, size_t o, float y) {
    double sums[2] = {0, 0}, size = 0, bias_size = 0, inputs = 0;
    size_t entries = 0;
    for (size_t c = 0; c < b->columns; c++) {
        const size_t tap = c / b->channels, from = seen(b, pixel, tap);
        if (!in_mask(b, o, c)) continue;
        const double input = from == SIZE_MAX ? 0 : at(x, from, o / b->outputs * b->channels + c % b->channels);
        const double q = b->kept[tap] && w_at(b, o, c) != 0 ? r_at(b, o, c) : 0;
        sums[0] += w_at(b, o, c) * input;
        sums[1] += q * input;
        size += (fabs(scale_of(&norms[0], o) * w_at(b, o, c)) + fabs(scale_of(&norms[1], o) * q)) * fabs(input);
        inputs += fabs(input);
        entries++;
    }
    const double exact = normalised(&norms[0], o, sums[0], &bias_size) + normalised(&norms[1], o, sums[1], &bias_size);
    const double bound = gamma_of((double)entries + 2) * size + gamma_of(2) * bias_size;
    CHECK(fabs(y - exact) <= 1.001 * bound + 0x1p-148 * (inputs + 1));
}

static void check_pattern(const branches *b, const matrix *folded) {
    matrix again = make_matrix(b->s.outputs, b->columns, HT_DTYPE_F32, HT_ORDER_ROWS, 0);
    CHECK(!ht_nm_conv_prune_f32(&b->s, b->n, b->m, folded->data, folded->stride, again.data, 0, NULL));
    for (size_t o = 0; o < b->s.outputs; o++)
        for (size_t c = 0; c < b->columns; c++) {
            const float value = at(folded, o, c), zero = 0;
            CHECK(at(&again, o, c) == value);
            if (!in_mask(b, o, c)) CHECK(!memcmp(&value, &zero, 4));
        }
    free_matrix(&again);
}

static void test_fold(void) {
    const size_t *pattern = patterns[below(COUNT(patterns))];
    branches b = make_branches(random_shape(false), pattern[0], pattern[1], below(3));
    const norm norms[2] = {random_norm(b.s.outputs, below(7)), random_norm(b.s.outputs, below(7))};
    checking("folded branches, %zu outputs, %zu taps of %zu channels, %zu:%zu", b.s.outputs, b.taps, b.channels, b.n,
             b.m);
    matrix x = random_image(x_pixels(&b), b.s.channels, HT_ORDER_ROWS, 0);
    matrix folded = make_matrix(b.s.outputs, b.columns, HT_DTYPE_F32, HT_ORDER_ROWS, below(2));
    matrix y = make_matrix(y_pixels(&b), b.s.outputs, HT_DTYPE_F32, HT_ORDER_ROWS, 0);
    float *bias = exactly(b.s.outputs * sizeof *bias, sizeof(void *));
    CHECK(!ht_spre_fold_f32(&b.s, b.w.data, b.w.stride, b.mask.data, b.mask.stride, b.r.data, b.r.stride, b.kept,
                            &norms[0].arrays, &norms[1].arrays, folded.data, folded.stride, bias));
    check_pattern(&b, &folded);
    size_t size;
    CHECK(!ht_nm_conv_packed_size(&b.s, b.n, b.m, HT_DTYPE_F32, NULL, &size));
    void *packed = exactly(size, 64);
    CHECK(!ht_nm_conv_pack_f32(&b.s, b.n, b.m, folded.data, folded.stride, b.mask.data, b.mask.stride, packed, size,
                               NULL));
    const ht_epilogue epilogue = {.bias = bias};
    CHECK(!ht_nm_conv_f32(&b.s, x.data, 0, packed, size, &epilogue, y.data, 0, NULL));
    for (size_t pixel = 0; pixel < y.rows; pixel++)
        for (size_t o = 0; o < y.columns; o++) check_folded(&b, norms, &x, pixel, o, at(&y, pixel, o));
    free(packed), free(bias), free(norms[0].memory), free(norms[1].memory);
    free_matrix(&x), free_matrix(&folded), free_matrix(&y);
    free_branches(&b);
}

// In place; a second term that there is not does not spoil the first; what is not a number comes out as none.
static void test_fold_specials(void) {
    const ht_conv_shape s = {
        .height = 1, .width = 1, .channels = 4, .outputs = 1, .kernel_height = 1, .kernel_width = 2};
    float w[8] = {1, 2, 3, 4, 5, 0, 7, 8}, bias = 0;
    const float r[8] = {NAN, NAN, NAN, NAN, 1, NAN, NAN, NAN}, negative = -1, half = 0.5f;
    const uint8_t mask = 0x33, taps[2] = {0, 1};
    const ht_batch_norm plain = {0}, none = {.mean = &half, .variance = &negative};
    const float expected[8] = {1, 2, 0, 0, 6, 0, 0, 0};
    checking("special folds");
    CHECK(!ht_spre_fold_f32(&s, w, 0, &mask, 0, r, 0, taps, &plain, &plain, w, 0, &bias));
    CHECK(!memcmp(w, expected, sizeof w) && bias == 0);
    CHECK(!ht_spre_fold_f32(&s, w, 0, &mask, 0, r, 0, taps, &plain, &none, w, 0, &bias));
    CHECK(w[0] == 1 && w[1] == 2 && isnan(w[4]) && w[5] == 0 && w[6] == 0 && isnan(bias));
}

// MARK: errors

#define EXPECT(status, call)                                           \
    do {                                                               \
        memset(output, 0x5a, sizeof output);                           \
        CHECK((call) == (status) && is_filled(output, sizeof output)); \
    } while (0)

static const ht_conv_shape small = {
    .height = 3, .width = 3, .channels = 8, .outputs = 4, .kernel_height = 3, .kernel_width = 3};

static void test_weight_errors(void) {
    float w[4 * 72] = {0}, *r = w;
    uint8_t mask[4 * 9] = {0}, full[4 * 9], taps[9] = {1}, output[1 << 14] __attribute__((aligned(64)));
    float *floats = (float *)output;
    size_t size, *count = (size_t *)output;
    ht_conv_shape depthwise = small, broken = small;
    const ht_options shared = {.shared_taps = 1}, negative = {.threads = -1};
    depthwise.groups = 8, depthwise.outputs = 8, broken.groups = 3;
    memset(full, 0xff, sizeof full);
    checking("errors of branches' weights");
    CHECK(!ht_spre_packed_size(&small, 2, 4, NULL, &size) && size <= sizeof output);
    EXPECT(HT_ERROR_NULL, ht_spre_taps_f32(NULL, 2, 4, w, 0, output, count, NULL));
    EXPECT(HT_ERROR_NULL, ht_spre_taps_f32(&small, 2, 4, NULL, 0, output, count, NULL));
    EXPECT(HT_ERROR_NULL, ht_spre_taps_f32(&small, 2, 4, w, 0, NULL, count, NULL));
    EXPECT(HT_ERROR_PATTERN, ht_spre_taps_f32(&small, 5, 4, w, 0, output, NULL, NULL));
    EXPECT(HT_ERROR_STRIDE, ht_spre_taps_f32(&small, 2, 4, w, 4, output, NULL, NULL));
    EXPECT(HT_ERROR_ALIGNMENT, ht_spre_taps_f32(&small, 2, 4, w, 0, output, (size_t *)(output + 1), NULL));
    EXPECT(HT_ERROR_CONV, ht_spre_taps_f32(&broken, 2, 4, w, 0, output, NULL, NULL));
    EXPECT(HT_ERROR_DEPTHWISE, ht_spre_taps_f32(&depthwise, 2, 4, w, 0, output, NULL, NULL));
    EXPECT(HT_ERROR_THREADS, ht_spre_taps_f32(&small, 2, 4, w, 0, output, NULL, &negative));
    EXPECT(HT_ERROR_NULL, ht_spre_packed_size(&small, 2, 4, NULL, NULL));
    EXPECT(HT_ERROR_PATTERN, ht_spre_packed_size(&small, 2, 4, &shared, count));
    EXPECT(HT_ERROR_PATTERN, ht_spre_packed_size(&small, 0, 4, NULL, count));
    EXPECT(HT_ERROR_DEPTHWISE, ht_spre_packed_size(&depthwise, 2, 4, NULL, count));
    EXPECT(HT_ERROR_NULL, ht_spre_pack_f32(&small, 2, 4, w, 0, NULL, 0, r, 0, taps, output, size, NULL));
    EXPECT(HT_ERROR_NULL, ht_spre_pack_f32(&small, 2, 4, w, 0, mask, 0, NULL, 0, taps, output, size, NULL));
    EXPECT(HT_ERROR_NULL, ht_spre_pack_f32(&small, 2, 4, w, 0, mask, 0, r, 0, NULL, output, size, NULL));
    EXPECT(HT_ERROR_STRIDE, ht_spre_pack_f32(&small, 2, 4, w, 0, mask, 0, r, 4, taps, output, size, NULL));
    EXPECT(HT_ERROR_NOT_SPARSE, ht_spre_pack_f32(&small, 2, 4, w, 0, full, 0, r, 0, taps, output, size, NULL));
    EXPECT(HT_ERROR_BUFFER_SIZE, ht_spre_pack_f32(&small, 2, 4, w, 0, mask, 0, r, 0, taps, output, size - 1, NULL));
    EXPECT(HT_ERROR_ALIGNMENT, ht_spre_pack_f32(&small, 2, 4, w, 0, mask, 0, r, 0, taps, output + 4, size, NULL));
    EXPECT(HT_ERROR_NULL, ht_spre_gradient_f32(&small, w, 0, NULL, 0, taps, w, 0, floats, 0));
    EXPECT(HT_ERROR_NULL, ht_spre_gradient_f32(&small, w, 0, mask, 0, NULL, w, 0, floats, 0));
    EXPECT(HT_ERROR_STRIDE, ht_spre_gradient_f32(&small, w, 0, mask, 0, taps, w, 0, floats, 6));
}

static void test_fold_errors(void) {
    float w[4 * 72] = {0}, values[4] = {1, 1, 1, 1};
    uint8_t mask[4 * 9] = {0}, taps[9] = {1}, output[sizeof w + 16] __attribute__((aligned(64)));
    float *folded = (float *)output, *bias = folded + 288;
    const ht_batch_norm norm = {.gamma = values}, half = {.mean = values};
    const ht_batch_norm odd = {.beta = (const float *)(const void *)((const char *)values + 1)};
    checking("errors of the fold");
    EXPECT(HT_ERROR_NULL, ht_spre_fold_f32(&small, w, 0, NULL, 0, w, 0, taps, &norm, &norm, folded, 0, bias));
    EXPECT(HT_ERROR_NULL, ht_spre_fold_f32(&small, w, 0, mask, 0, NULL, 0, taps, &norm, &norm, folded, 0, bias));
    EXPECT(HT_ERROR_NULL, ht_spre_fold_f32(&small, w, 0, mask, 0, w, 0, NULL, &norm, &norm, folded, 0, bias));
    EXPECT(HT_ERROR_NULL, ht_spre_fold_f32(&small, w, 0, mask, 0, w, 0, taps, NULL, &norm, folded, 0, bias));
    EXPECT(HT_ERROR_NULL, ht_spre_fold_f32(&small, w, 0, mask, 0, w, 0, taps, &norm, &half, folded, 0, bias));
    EXPECT(HT_ERROR_NULL, ht_spre_fold_f32(&small, w, 0, mask, 0, w, 0, taps, &norm, &norm, folded, 0, NULL));
    EXPECT(HT_ERROR_ALIGNMENT, ht_spre_fold_f32(&small, w, 0, mask, 0, w, 0, taps, &norm, &odd, folded, 0, bias));
    EXPECT(HT_ERROR_STRIDE, ht_spre_fold_f32(&small, w, 0, mask, 0, w, 0, taps, &norm, &norm, folded, 8, bias));
}

static void test_product_errors(void) {
    static _Alignas(64) uint8_t packed[1 << 14], plain[1 << 14];
    float w[4 * 72] = {0}, x[72] = {0};
    uint8_t mask[4 * 9] = {0}, taps[9] = {1, 0, 1}, output[64] __attribute__((aligned(64)));
    float *ya = (float *)output, *yb = ya + 8;
    size_t size, plain_size;
    const ht_options isa = {.isa = (ht_isa)99}, little = {.scratch = packed, .scratch_size = 8};
    ht_conv_shape other = small;
    other.outputs = 5;
    checking("errors of branches' products");
    CHECK(!ht_spre_packed_size(&small, 2, 4, NULL, &size) && size <= sizeof packed);
    CHECK(!ht_spre_pack_f32(&small, 2, 4, w, 0, mask, 0, w, 0, taps, packed, sizeof packed, NULL));
    CHECK(!ht_nm_conv_packed_size(&small, 2, 4, HT_DTYPE_F32, NULL, &plain_size) && plain_size <= sizeof plain);
    CHECK(!ht_nm_conv_pack_f32(&small, 2, 4, w, 0, mask, 0, plain, sizeof plain, NULL));
    EXPECT(HT_ERROR_NULL, ht_spre_conv_f32(&small, NULL, 0, packed, size, ya, yb, 0, NULL));
    EXPECT(HT_ERROR_NULL, ht_spre_conv_f32(&small, x, 0, NULL, size, ya, yb, 0, NULL));
    EXPECT(HT_ERROR_NULL, ht_spre_conv_f32(&small, x, 0, packed, size, NULL, yb, 0, NULL));
    EXPECT(HT_ERROR_NULL, ht_spre_conv_f32(&small, x, 0, packed, size, ya, NULL, 0, NULL));
    EXPECT(HT_ERROR_ALIGNMENT, ht_spre_conv_f32(&small, x, 0, packed, size, ya, (float *)(output + 33), 0, NULL));
    EXPECT(HT_ERROR_STRIDE, ht_spre_conv_f32(&small, x, 0, packed, size, ya, yb, 4, NULL));
    EXPECT(HT_ERROR_ISA, ht_spre_conv_f32(&small, x, 0, packed, size, ya, yb, 0, &isa));
    EXPECT(HT_ERROR_BUFFER_SIZE, ht_spre_conv_f32(&small, x, 0, packed, size, ya, yb, 0, &little));
    EXPECT(HT_ERROR_BLOB_TRUNCATED, ht_spre_conv_f32(&small, x, 0, packed, size - 1, ya, yb, 0, NULL));
    EXPECT(HT_ERROR_BLOB_SHAPE, ht_spre_conv_f32(&other, x, 0, packed, size, ya, yb, 0, NULL));
    EXPECT(HT_ERROR_BLOB_FOREIGN, ht_spre_conv_f32(&small, x, 0, plain, plain_size, ya, yb, 0, NULL));
    EXPECT(HT_ERROR_BLOB_FOREIGN, ht_nm_conv_f32(&small, x, 0, packed, size, NULL, ya, 0, NULL));
    EXPECT(HT_ERROR_BLOB_FOREIGN, ht_spre_backward_f32(&small, x, x, 0, packed, size, ya, 0, NULL));
    uint32_t *kept = (uint32_t *)(packed + size - 64);  // two taps, 0 and 2
    CHECK(kept[0] == 2 && kept[1] == 0 && kept[2] == 2);
    for (uint32_t bad = 0; bad < 3; bad++) {
        memcpy(kept, (const uint32_t[]){bad == 0 ? 10 : 2, bad == 1 ? 2 : 0, bad == 2 ? 9 : 2}, 12);
        EXPECT(HT_ERROR_BLOB_CORRUPT, ht_spre_conv_f32(&small, x, 0, packed, size, ya, yb, 0, NULL));
        CHECK(ht_nm_packed_check(packed, size) == HT_ERROR_BLOB_CORRUPT);
    }
}

static void test_gradient_errors(void) {
    float dy[4] = {0}, x[72] = {0};
    uint8_t output[4 * 72 * 4] __attribute__((aligned(64)));
    float *dw = (float *)output;
    ht_conv_shape broken = small, padded = small;
    broken.groups = 3, padded.padding = HT_PADDING_PLUS_ONE;
    checking("errors of weight gradients");
    EXPECT(HT_ERROR_NULL, ht_conv_weight_gradient_f32(NULL, dy, 0, x, 0, NULL, dw, 0, NULL));
    EXPECT(HT_ERROR_NULL, ht_conv_weight_gradient_f32(&small, NULL, 0, x, 0, NULL, dw, 0, NULL));
    EXPECT(HT_ERROR_NULL, ht_conv_weight_gradient_f32(&small, dy, 0, NULL, 0, NULL, dw, 0, NULL));
    EXPECT(HT_ERROR_NULL, ht_conv_weight_gradient_f32(&small, dy, 0, x, 0, NULL, NULL, 0, NULL));
    EXPECT(HT_ERROR_STRIDE, ht_conv_weight_gradient_f32(&small, dy, 4, x, 0, NULL, dw, 0, NULL));
    EXPECT(HT_ERROR_ALIGNMENT, ht_conv_weight_gradient_f32(&small, dy, 0, x, 0, NULL, (float *)(output + 2), 0, NULL));
    EXPECT(HT_ERROR_CONV, ht_conv_weight_gradient_f32(&broken, dy, 0, x, 0, NULL, dw, 0, NULL));
    EXPECT(HT_ERROR_CONV, ht_conv_weight_gradient_f32(&padded, dy, 0, x, 0, NULL, dw, 0, NULL));
    EXPECT(HT_ERROR_NULL, ht_conv_input_gradient_f32(NULL, dy, 0, dw, 0, dw, 0, NULL));
    EXPECT(HT_ERROR_NULL, ht_conv_input_gradient_f32(&small, NULL, 0, dw, 0, dw, 0, NULL));
    EXPECT(HT_ERROR_NULL, ht_conv_input_gradient_f32(&small, dy, 0, NULL, 0, dw, 0, NULL));
    EXPECT(HT_ERROR_NULL, ht_conv_input_gradient_f32(&small, dy, 0, dw, 0, NULL, 0, NULL));
    EXPECT(HT_ERROR_STRIDE, ht_conv_input_gradient_f32(&small, dy, 0, dw, 4, dw, 0, NULL));
    EXPECT(HT_ERROR_CONV, ht_conv_input_gradient_f32(&padded, dy, 0, dw, 0, dw, 0, NULL));
    EXPECT(HT_ERROR_ISA, ht_conv_weight_gradient_f32(&small, dy, 0, x, 0, NULL, dw, 0, &(ht_options){.isa = 99}));
    EXPECT(HT_ERROR_THREADS,
           ht_conv_weight_gradient_f32(&small, dy, 0, x, 0, NULL, dw, 0, &(ht_options){.threads = -1}));
}

// Whatever the bytes behind the header are, nothing is read or written outside the operands.
static void test_damage(void) {
    const size_t *pattern = patterns[below(COUNT(patterns))];
    branches b = make_branches(random_shape(true), pattern[0], pattern[1], 0);
    checking("damaged branches");
    size_t size;
    uint8_t *packed = pack(&b, &size, 1);
    for (int i = 0; i < 30; i++) packed[64 + below(size / b.s.groups - 64)] ^= (uint8_t)next_random();
    matrix x = random_image(x_pixels(&b), b.s.channels, HT_ORDER_ROWS, 0);
    matrix ya = make_matrix(y_pixels(&b), b.s.outputs, HT_DTYPE_F32, HT_ORDER_ROWS, 0), yb = ya;
    yb.memory = yb.data = exactly(yb.bytes, 64);
    const ht_status status = ht_spre_conv_f32(&b.s, x.data, 0, packed, size, ya.data, yb.data, 0, NULL);
    CHECK(status == HT_OK || status == HT_ERROR_BLOB_CORRUPT);
    free(packed);
    free_matrix(&x), free_matrix(&ya), free_matrix(&yb);
    free_branches(&b);
}

void test_spre(void) {
    for (int i = 0; i < 150; i++)
        if (!is_skipped()) test_taps();
    test_flat_taps();
    for (int i = 0; i < 200; i++)
        if (!is_skipped()) test_products(i % 3 == 0);
    for (int i = 0; i < 12; i++)
        if (!is_skipped()) test_large_products();
    for (int i = 0; i < 120; i++)
        if (!is_skipped()) test_backward_product();
    for (int i = 0; i < 120; i++)
        if (!is_skipped()) test_conv_weight_gradient(i % 4 == 0);
    for (int i = 0; i < 120; i++)
        if (!is_skipped()) test_conv_input_gradient(i % 4 == 0);
    for (int i = 0; i < 40; i++)
        if (!is_skipped()) test_second_gradient();
    for (int i = 0; i < 12; i++)
        if (!is_skipped()) test_differences();
    for (int i = 0; i < 100; i++)
        if (!is_skipped()) test_fold();
    test_fold_specials();
    for (int i = 0; i < 60; i++)
        if (!is_skipped()) test_damage();
    test_weight_errors();
    test_fold_errors();
    test_product_errors();
    test_gradient_errors();
}
