// SPDX-License-Identifier: Apache-2.0
// Masks by magnitude, pruning, refreshed masks, and masks by scores, against the texts of their headers in plain loops.
#include <math.h>

#include "check.h"
#include "matrix.h"
#include "types.h"

static ht_isa isas[8];
static size_t isa_count;

#define EACH_ISA(options)                               \
    for (size_t isa_ = 0; isa_ < 2 * isa_count; isa_++) \
        if (((options) = (ht_options){.threads = isa_ % 2 ? 2 : 1, .isa = isas[isa_ / 2]}, true))

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

static size_t below(size_t end) { return next_random() % end; }

// MARK: weights and the masks that belong to them

// Filters; a matrix has one tap and one group, and no shape.
typedef struct problem {
    bool is_matrix;
    ht_conv_shape shape;
    size_t rows, taps, channels, group_rows;  // channels of a group
    size_t n, m;
    size_t shared_rows;
    bool shared_taps;
    matrix w;
    bool *kept;  // of each weight
} problem;

static size_t columns_of(const problem *p) { return p->taps * p->channels; }

// What kernels see, a NaN above infinity. Of NaNs the one with more bits is larger.
static double magnitude_of(const problem *p, size_t row, size_t column) {
    const void *at = element(&p->w, row, column);
    float value;
    uint32_t bits = 0;
    int exponent;
    if (p->w.dtype == HT_DTYPE_I8) return fabs((double)*(const int8_t *)at);
    memcpy(&bits, at, p->w.size);
    if (p->w.dtype == HT_DTYPE_F16) {
        exponent = (int)(bits >> 10 & 31);
        if (exponent == 31) return bits & 0x3ff ? NAN : INFINITY;
        return exponent ? ldexp(1024 + (bits & 0x3ff), exponent - 25) : ldexp(bits & 0x3ff, -24);
    }
    if (p->w.dtype == HT_DTYPE_BF16) bits <<= 16;
    memcpy(&value, &bits, sizeof value);
    return fabs((double)value);
}

static uint32_t bits_of(const problem *p, size_t row, size_t column) {
    uint32_t bits = 0;
    memcpy(&bits, element(&p->w, row, column), p->w.size);
    return bits & (p->w.dtype == HT_DTYPE_F32 ? 0x7fffffff : 0x7fff);
}

// Whether a is larger than b; `tie` says it of equals.
static bool is_larger(double a, double b, bool tie) {
    if (isnan(a) || isnan(b)) return isnan(a) && (!isnan(b) || tie);
    return a > b || (a == b && tie);
}

// The rows and taps that share a pattern with a row and a tap.
typedef struct set {
    size_t row, row_end, tap, tap_end;
} set;

static set set_of(const problem *p, size_t row, size_t tap) {
    const size_t group = row / p->group_rows * p->group_rows;
    set s = {.row = group + (row - group) / p->shared_rows * p->shared_rows, .tap = p->shared_taps ? 0 : tap};
    s.row_end = least(s.row + p->shared_rows, group + p->group_rows);
    s.tap_end = p->shared_taps ? p->taps : tap + 1;
    return s;
}

static double sum_of(const problem *p, const set *s, size_t channel) {
    double sum = 0;
    for (size_t row = s->row; row < s->row_end; row++)
        for (size_t tap = s->tap; tap < s->tap_end; tap++) sum += magnitude_of(p, row, tap * p->channels + channel);
    return sum;
}

static bool channel_beats(const problem *p, const set *s, size_t a, size_t b) {
    const size_t column = s->tap * p->channels;
    if (p->shared_rows > 1 || (p->shared_taps && p->taps > 1) || p->w.dtype == HT_DTYPE_I8)
        return is_larger(sum_of(p, s, a), sum_of(p, s, b), a < b);
    const uint32_t first = bits_of(p, s->row, column + a), second = bits_of(p, s->row, column + b);
    return first > second || (first == second && a < b);
}

static void set_kept(problem *p) {
    for (size_t row = 0; row < p->rows; row++)
        for (size_t column = 0; column < columns_of(p); column++) {
            const size_t tap = column / p->channels, channel = column % p->channels;
            const size_t group = channel / p->m * p->m, end = least(group + p->m, p->channels);
            const set s = set_of(p, row, tap);
            size_t losses = 0;
            for (size_t other = group; other < end; other++)
                losses += other != channel && channel_beats(p, &s, other, channel);
            p->kept[row * columns_of(p) + column] = losses < p->n;
        }
}

// MARK: random weights

typedef enum kind { SMOOTH, FEW, MANY_SPECIAL, ZEROS, KINDS } kind;

static float number_of(kind kind) {
    static const float special[] = {0, -0.0f, INFINITY, -INFINITY, NAN, 1e-45f, -1e-45f, 1};
    const float smooth = ((float)next_random() - 0x1p31f) * 0x1p-30f;
    if (kind == FEW) return (float)below(7) - 3;
    if (kind == MANY_SPECIAL) return below(2) ? special[below(COUNT(special))] : smooth;
    return kind == ZEROS && below(8) ? 0 : smooth;
}

static void set_weight(const matrix *w, size_t row, size_t column, kind kind) {
    float value = number_of(kind);
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (value != value) bits |= next_random() & 0x803fffff;
    if (w->dtype == HT_DTYPE_I8) bits = kind == FEW ? (uint32_t)(below(5) - 2) : kind == ZEROS ? 0 : next_random();
    if (w->dtype == HT_DTYPE_BF16) bits >>= 16;
    if (w->dtype == HT_DTYPE_F16) bits = kind == FEW ? next_random() & 0x83ff : kind == ZEROS ? 0 : next_random();
    memcpy(element(w, row, column), &bits, w->size);
}

static void set_weights(problem *p, kind kind) {
    for (size_t row = 0; row < p->rows; row++)
        for (size_t column = 0; column < columns_of(p); column++) set_weight(&p->w, row, column, kind);
    set_kept(p);
}

static problem make_problem(size_t rows, size_t taps, size_t channels, size_t n, size_t m, ht_dtype dtype) {
    problem p = {.is_matrix = true, .rows = rows, .taps = taps, .channels = channels, .n = n, .m = m};
    p.group_rows = rows;
    p.shared_rows = 1;
    p.w = make_matrix(rows, taps * channels, dtype, HT_ORDER_ROWS, below(2) * 3);
    p.kept = allocate(rows * taps * channels);
    set_weights(&p, below(KINDS));
    return p;
}

static void free_problem(problem *p) {
    free_matrix(&p->w);
    free(p->kept);
}

static ht_options options_of(const problem *p, ht_options options) {
    options.shared_rows = (int)p->shared_rows;
    options.shared_taps = p->shared_taps;
    return options;
}

// MARK: masks and what lies round them

// A U8 matrix of the bytes of masks.
static matrix make_mask(const problem *p) {
    return make_matrix(p->rows, (columns_of(p) + 7) / 8, HT_DTYPE_U8, HT_ORDER_ROWS, below(2) * 3);
}

static bool bit_at(const matrix *mask, size_t row, size_t column) {
    return *(const uint8_t *)element(mask, row, column / 8) >> column % 8 & 1;
}

static bool gaps_are_filled(const matrix *a) {
    const size_t used = a->columns * a->size;
    bool holds = true;
    for (size_t row = 0; row + 1 < a->rows && used; row++)
        holds &= is_filled((char *)a->data + row * a->stride + used, a->stride - used);
    return holds && is_filled(a->memory, (size_t)((char *)a->data - (char *)a->memory));
}

static bool is_right_mask(const problem *p, const matrix *mask) {
    for (size_t row = 0; row < p->rows; row++)
        for (size_t bit = 0; bit < mask->columns * 8; bit++)
            if (bit_at(mask, row, bit) != (bit < columns_of(p) && p->kept[row * columns_of(p) + bit])) return false;
    return gaps_are_filled(mask);
}

static bool is_right_pruning(const problem *p, const matrix *w, const matrix *pruned) {
    static const char zero[4];
    for (size_t row = 0; row < p->rows; row++)
        for (size_t column = 0; column < columns_of(p); column++) {
            const void *expected = p->kept[row * columns_of(p) + column] ? element(w, row, column) : zero;
            if (memcmp(element(pruned, row, column), expected, p->w.size)) return false;
        }
    return gaps_are_filled(pruned);
}

static ht_status mask_call(const problem *p, const matrix *mask, const ht_options *o) {
    if (p->is_matrix)
        return WITH_TYPE(p->w.dtype, ht_nm_mask, p->rows, p->channels, p->n, p->m, p->w.data, p->w.stride, mask->data,
                         mask->stride, o);
    return WITH_TYPE(p->w.dtype, ht_nm_conv_mask, &p->shape, p->n, p->m, p->w.data, p->w.stride, mask->data,
                     mask->stride, o);
}

static ht_status prune_call(const problem *p, const matrix *to, const ht_options *o) {
    if (p->is_matrix)
        return WITH_TYPE(p->w.dtype, ht_nm_prune, p->rows, p->channels, p->n, p->m, p->w.data, p->w.stride, to->data,
                         to->stride, o);
    return WITH_TYPE(p->w.dtype, ht_nm_conv_prune, &p->shape, p->n, p->m, p->w.data, p->w.stride, to->data, to->stride,
                     o);
}

static ht_status refresh_call(const problem *p, const matrix *mask, size_t *changed, const ht_options *o) {
    if (p->is_matrix)
        return ht_nm_mask_refresh_f32(p->rows, p->channels, p->n, p->m, p->w.data, p->w.stride, mask->data,
                                      mask->stride, changed, o);
    return ht_nm_conv_mask_refresh_f32(&p->shape, p->n, p->m, p->w.data, p->w.stride, mask->data, mask->stride, changed,
                                       o);
}

static void check_mask(const problem *p, const ht_options *o) {
    matrix mask = make_mask(p);
    CHECK(mask_call(p, &mask, o) == HT_OK);
    CHECK(is_right_mask(p, &mask));
    free_matrix(&mask);
}

static void check_prune(const problem *p, const ht_options *o) {
    matrix pruned = make_matrix(p->rows, columns_of(p), p->w.dtype, HT_ORDER_ROWS, below(2) * 3);
    CHECK(prune_call(p, &pruned, o) == HT_OK);
    CHECK(is_right_pruning(p, &p->w, &pruned));
    free_matrix(&pruned);
    problem in_place = *p;
    in_place.w = make_matrix(p->rows, columns_of(p), p->w.dtype, HT_ORDER_ROWS, 3);
    for (size_t row = 0; row < p->rows && columns_of(p); row++)
        memcpy(element(&in_place.w, row, 0), element(&p->w, row, 0), columns_of(p) * p->w.size);
    CHECK(prune_call(&in_place, &in_place.w, o) == HT_OK);
    CHECK(is_right_pruning(p, &p->w, &in_place.w));
    free_matrix(&in_place.w);
}

static size_t newly_kept(const problem *p, const matrix *mask) {
    size_t count = 0;
    for (size_t row = 0; row < p->rows; row++)
        for (size_t column = 0; column < columns_of(p); column++)
            count += p->kept[row * columns_of(p) + column] && !bit_at(mask, row, column);
    return count;
}

// From bytes that are no mask, from the right one, and from one that was right before some weights changed.
static void check_refresh(problem *p, const ht_options *o) {
    matrix mask = make_mask(p);
    size_t expected = newly_kept(p, &mask), changed = 77;
    CHECK(refresh_call(p, &mask, &changed, o) == HT_OK);
    CHECK(is_right_mask(p, &mask) && changed == expected);
    CHECK(refresh_call(p, &mask, &changed, o) == HT_OK);
    CHECK(is_right_mask(p, &mask) && changed == 0);
    for (size_t i = 0; i < 4 && p->rows && columns_of(p); i++)
        set_weight(&p->w, below(p->rows), below(columns_of(p)), below(KINDS));
    set_kept(p);
    expected = newly_kept(p, &mask);
    CHECK(refresh_call(p, &mask, below(2) ? &changed : NULL, o) == HT_OK);
    CHECK(is_right_mask(p, &mask) && (changed == 0 || changed == expected));
    for (size_t i = 0; i < 4 && p->rows && mask.columns; i++)
        *(uint8_t *)element(&mask, below(p->rows), below(mask.columns)) ^= (uint8_t)(1 << below(8));
    expected = newly_kept(p, &mask);
    CHECK(refresh_call(p, &mask, &changed, o) == HT_OK);
    CHECK(is_right_mask(p, &mask) && changed == expected);
    free_matrix(&mask);
}

static void check_problem(problem *p) {
    ht_options options;
    EACH_ISA(options) {
        const ht_options o = options_of(p, options);
        checking("%d:%d, %d x %d taps x %d, type %d, shared %d %d, isa %d", (int)p->n, (int)p->m, (int)p->rows,
                 (int)p->taps, (int)p->channels, (int)p->w.dtype, (int)p->shared_rows, p->shared_taps, (int)o.isa);
        check_mask(p, &o);
        check_prune(p, &o);
        if (p->w.dtype == HT_DTYPE_F32) check_refresh(p, &o);
    }
}

// MARK: cases

static const size_t patterns[][2] = {{1, 4},   {2, 4},  {3, 4},  {1, 8},  {2, 8},   {3, 8},   {4, 8},
                                     {7, 8},   {1, 16}, {2, 16}, {5, 16}, {8, 16},  {1, 32},  {2, 32},
                                     {16, 32}, {9, 32}, {1, 1},  {4, 4},  {64, 64}, {32, 64}, {1, 64},
                                     {3, 5},   {1, 2},  {1, 3},  {7, 33}, {2, 7},   {40, 63}, {31, 32}};

// Lengths round what kernels do at a time, and longer than what calls do.
static size_t random_length(size_t m) {
    const size_t batch = (size_t[]){8, 16, 64, 32}[below(4)] * m;
    switch (below(6)) {
    case 0: return below(4);
    case 1: return batch;
    case 2: return batch + 1 + below(m);
    case 3: return batch + m * below(20);
    case 4: return below(8) ? below(200) : 2000 + below(300);
    default: return below(2 * batch);
    }
}

static void test_matrices(void) {
    for (size_t i = 0; i < COUNT(patterns) * 12; i++) {
        const size_t *pattern = patterns[i % COUNT(patterns)];
        const ht_dtype dtype = below(2) ? HT_DTYPE_F32 : (ht_dtype)(HT_DTYPE_F32 + below(4));
        if (is_skipped()) continue;
        problem p = make_problem(below(5), 1, random_length(pattern[1]), pattern[0], pattern[1], dtype);
        if (below(4) == 0) p.shared_rows = (size_t)1 << below(4);
        set_kept(&p);
        check_problem(&p);
        free_problem(&p);
    }
}

static void test_filters(void) {
    for (size_t i = 0; i < 60; i++) {
        const size_t *pattern = patterns[below(COUNT(patterns))];
        const size_t groups = 1 + below(2), outputs = 1 + below(5), channels = 2 + below(below(2) ? 20 : 200);
        const size_t height = 1 + below(3), width = 1 + below(3);
        if (is_skipped()) continue;
        problem p = make_problem(groups * outputs, height * width, channels, pattern[0], pattern[1], HT_DTYPE_F32);
        p.is_matrix = false;
        p.group_rows = outputs;
        p.shape = (ht_conv_shape){.images = 1,
                                  .height = 4,
                                  .width = 4,
                                  .channels = groups * channels,
                                  .outputs = groups * outputs,
                                  .kernel_height = height,
                                  .kernel_width = width,
                                  .groups = groups};
        p.shared_rows = (size_t)1 << below(3);
        p.shared_taps = below(2);
        set_kept(&p);
        check_problem(&p);
        free_problem(&p);
    }
}

void test_masks(void) {
    isa_count = runnable("nm_mask", isas, COUNT(isas));
    CHECK(isa_count > 0);
    test_matrices();
    test_filters();
}
