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
    CHECK(refresh_call(p, &mask, NULL, o) == HT_OK);
    CHECK(is_right_mask(p, &mask));
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

// MARK: errors

static void test_mask_errors(void) {
    float w[16];
    uint8_t mask[16];
    size_t changed = 77;
    ht_options wrong_threads = {.threads = -1}, wrong_isa = {.isa = (ht_isa)99}, wrong_rows = {.shared_rows = 3};
    const ht_conv_shape depthwise = {
        .height = 4, .width = 4, .channels = 4, .outputs = 4, .kernel_height = 1, .kernel_width = 1, .groups = 4};
    checking("errors of masks");
    memset(w, 0, sizeof w);
    memset(mask, 0x5a, sizeof mask);
    CHECK(ht_nm_mask_refresh_f32(2, 8, 0, 4, w, 0, mask, 0, &changed, NULL) == HT_ERROR_PATTERN);
    CHECK(ht_nm_mask_refresh_f32(2, 8, 5, 4, w, 0, mask, 0, &changed, NULL) == HT_ERROR_PATTERN);
    CHECK(ht_nm_mask_refresh_f32(2, 8, 2, 65, w, 0, mask, 0, &changed, NULL) == HT_ERROR_PATTERN);
    CHECK(ht_nm_mask_refresh_f32(2, 8, 2, 4, w, 0, mask, 0, &changed, &wrong_rows) == HT_ERROR_PATTERN);
    CHECK(ht_nm_mask_refresh_f32(2, 8, 2, 4, NULL, 0, mask, 0, &changed, NULL) == HT_ERROR_NULL);
    CHECK(ht_nm_mask_refresh_f32(2, 8, 2, 4, w, 0, NULL, 0, &changed, NULL) == HT_ERROR_NULL);
    CHECK(ht_nm_mask_refresh_f32(2, 8, 2, 4, w, 28, mask, 0, &changed, NULL) == HT_ERROR_STRIDE);
    CHECK(ht_nm_mask_refresh_f32(2, 8, 2, 4, w, 34, mask, 0, &changed, NULL) == HT_ERROR_STRIDE);
    CHECK(ht_nm_mask_refresh_f32(2, 9, 2, 4, w, 0, mask, 1, &changed, NULL) == HT_ERROR_STRIDE);
    CHECK(ht_nm_mask_refresh_f32(1, 8, 2, 4, (float *)(void *)((char *)w + 2), 0, mask, 0, &changed, NULL) ==
          HT_ERROR_ALIGNMENT);
    CHECK(ht_nm_mask_refresh_f32(2, SIZE_MAX / 4, 2, 4, w, 0, mask, 0, &changed, NULL) == HT_ERROR_OVERFLOW);
    CHECK(ht_nm_mask_refresh_f32(2, 8, 2, 4, w, 0, mask, 0, &changed, &wrong_threads) == HT_ERROR_THREADS);
    CHECK(ht_nm_mask_refresh_f32(2, 8, 2, 4, w, 0, mask, 0, &changed, &wrong_isa) == HT_ERROR_ISA);
    CHECK(ht_nm_mask_f32(2, 8, 2, 4, w, 0, mask, 0, &wrong_isa) == HT_ERROR_ISA);
    CHECK(ht_nm_mask_f32(2, 8, 2, 4, w, 0, mask, 0, &wrong_threads) == HT_ERROR_THREADS);
    CHECK(ht_nm_conv_mask_refresh_f32(NULL, 2, 4, w, 0, mask, 0, &changed, NULL) == HT_ERROR_NULL);
    CHECK(ht_nm_conv_mask_refresh_f32(&depthwise, 1, 2, w, 0, mask, 0, &changed, NULL) == HT_ERROR_DEPTHWISE);
    CHECK(is_filled(mask, sizeof mask) && changed == 77);
    CHECK(ht_nm_mask_refresh_f32(0, 8, 2, 4, NULL, 0, NULL, 0, &changed, NULL) == HT_OK && changed == 0);
    changed = 77;
    CHECK(ht_nm_mask_refresh_f32(2, 0, 2, 4, NULL, 0, NULL, 0, &changed, NULL) == HT_OK && changed == 0);
}

// MARK: scores of patterns

typedef struct scores {
    size_t o, k, n, m;
    size_t groups, patterns;
    uint32_t *pattern;
    matrix score, removed;  // as given, and what the text leaves of them
    matrix w, dw;
} scores;

static size_t bits_in(uint32_t number) {
    size_t count = 0;
    for (; number; number >>= 1) count += number & 1;
    return count;
}

static float *score_at(const matrix *a, const scores *s, size_t row, size_t group, size_t pattern) {
    return element(a, row, group * s->patterns + pattern);
}

static scores make_scores(size_t o, size_t k, size_t n, size_t m) {
    scores s = {.o = o, .k = k, .n = n, .m = m, .groups = (k + m - 1) / m};
    s.pattern = allocate(4096 * sizeof *s.pattern);
    for (uint32_t number = 0; number < 1u << m; number++)
        if (bits_in(number) == n) s.pattern[s.patterns++] = number;
    s.score = make_matrix(o, s.groups * s.patterns, HT_DTYPE_F32, HT_ORDER_ROWS, below(2) * 3);
    s.removed = make_matrix(o, s.groups * s.patterns, HT_DTYPE_F32, HT_ORDER_ROWS, 0);
    s.w = make_matrix(o, k, HT_DTYPE_F32, HT_ORDER_ROWS, below(2) * 3);
    s.dw = make_matrix(o, k, HT_DTYPE_F32, HT_ORDER_ROWS, below(2) * 3);
    for (size_t row = 0; row < o; row++)
        for (size_t column = 0; column < k; column++) {
            set_weight(&s.w, row, column, SMOOTH);
            set_weight(&s.dw, row, column, SMOOTH);
        }
    return s;
}

static void free_scores(scores *s) {
    free(s->pattern);
    free_matrix(&s->score);
    free_matrix(&s->removed);
    free_matrix(&s->w);
    free_matrix(&s->dw);
}

#define EACH_SCORE(s, row, group, p)                         \
    for (size_t row = 0; row < (s)->o; row++)                \
        for (size_t group = 0; group < (s)->groups; group++) \
            for (size_t p = 0; p < (s)->patterns; p++)

static void check_first_scores(const scores *s) {
    size_t count = 77, with_first = 0;
    CHECK(ht_nm_pattern_count(s->n, s->m, &count) == HT_OK && count == s->patterns);
    CHECK(ht_nm_pattern_scores_f32(s->o, s->k, s->n, s->m, s->score.data, s->score.stride) == HT_OK);
    for (size_t p = 0; p < s->patterns; p++) with_first += s->pattern[p] & 1;
    EACH_SCORE(s, row, group, p) {
        const uint32_t inside = (1u << least(s->m, s->k - group * s->m)) - 1;
        const bool is_left = !(s->pattern[p] & ~inside) || !(inside & ~s->pattern[p]);
        CHECK(*score_at(&s->score, s, row, group, p) == (is_left ? 1 / (float)with_first : -INFINITY));
    }
    CHECK(gaps_are_filled(&s->score));
}

static void set_scores(scores *s, bool with_nan) {
    EACH_SCORE(s, row, group, p) {
        float *score = score_at(&s->score, s, row, group, p);
        const size_t kind = below(with_nan ? 8 : 5);
        if (*score == -INFINITY) continue;
        *score = kind == 0   ? -INFINITY
                 : kind == 1 ? (float)below(3) - 1
                 : kind == 5 ? NAN
                 : kind == 6 ? -0.0f
                 : kind == 7 ? INFINITY
                             : number_of(SMOOTH);
    }
}

// Whether a is removed before b.
static bool is_lower(const float *score, size_t a, size_t b) {
    if (isnan(score[a]) != isnan(score[b])) return isnan(score[a]);
    if (isnan(score[a]) || score[a] == score[b]) return a > b;
    return score[a] < score[b];
}

static void remove_lowest(float *score, size_t patterns, size_t remaining) {
    for (;;) {
        size_t count = 0, lowest = patterns;
        for (size_t p = 0; p < patterns; p++) {
            if (score[p] == -INFINITY) continue;
            count++;
            if (lowest == patterns || is_lower(score, p, lowest)) lowest = p;
        }
        if (count <= (remaining ? remaining : 1)) return;
        score[lowest] = -INFINITY;
    }
}

static bool keeps(const scores *s, size_t row, size_t column) {
    for (size_t p = 0; p < s->patterns; p++)
        if (*score_at(&s->removed, s, row, column / s->m, p) != -INFINITY && s->pattern[p] >> column % s->m & 1)
            return true;
    return false;
}

static void check_pattern_mask(const scores *s, size_t remaining, const ht_options *o) {
    const size_t floats = s->groups * s->patterns;
    matrix score = make_matrix(s->o, floats, HT_DTYPE_F32, HT_ORDER_ROWS, 3);
    matrix mask = make_matrix(s->o, (s->k + 7) / 8, HT_DTYPE_U8, HT_ORDER_ROWS, below(2) * 3);
    bool holds = true;
    for (size_t row = 0; row < s->o && floats; row++) {
        memcpy(element(&score, row, 0), element(&s->score, row, 0), floats * sizeof(float));
        memcpy(element(&s->removed, row, 0), element(&s->score, row, 0), floats * sizeof(float));
        for (size_t group = 0; group < s->groups; group++)
            remove_lowest(score_at(&s->removed, s, row, group, 0), s->patterns, remaining);
    }
    CHECK(ht_nm_pattern_mask_f32(s->o, s->k, s->n, s->m, remaining, score.data, score.stride, mask.data, mask.stride,
                                 o) == HT_OK);
    for (size_t row = 0; row < s->o && floats; row++)
        CHECK(!memcmp(element(&score, row, 0), element(&s->removed, row, 0), floats * sizeof(float)));
    for (size_t row = 0; row < s->o; row++)
        for (size_t bit = 0; bit < mask.columns * 8; bit++)
            holds &= bit_at(&mask, row, bit) == (bit < s->k && keeps(s, row, bit));
    CHECK(holds && gaps_are_filled(&mask) && gaps_are_filled(&score));
    free_matrix(&score);
    free_matrix(&mask);
}

// The soft loss of a group as a function of its scores: each column's mask is the sum of its remaining scores over what
// that sum was before they moved.
static double soft_loss(const scores *s, size_t row, size_t group, const double *score) {
    double loss = 0;
    for (size_t j = 0; j < s->m && group * s->m + j < s->k; j++) {
        double now = 0, before = 0;
        for (size_t p = 0; p < s->patterns; p++) {
            const double was = (double)*score_at(&s->score, s, row, group, p);
            if (was == -INFINITY || !(s->pattern[p] >> j & 1)) continue;
            now += score[p];
            before += was;
        }
        if (before == 0) continue;
        loss += (double)*(float *)element(&s->dw, row, group * s->m + j) *
                (double)*(float *)element(&s->w, row, group * s->m + j) * (now / before);
    }
    return loss;
}

static double difference(const scores *s, size_t row, size_t group, size_t p, double *size) {
    double *score = allocate(s->patterns * sizeof *score), high;
    for (size_t i = 0; i < s->patterns; i++) score[i] = (double)*score_at(&s->score, s, row, group, i);
    score[p] += 0.5;
    high = soft_loss(s, row, group, score);
    score[p] -= 1;
    const double low = soft_loss(s, row, group, score);
    free(score);
    *size = fabs(high) + fabs(low);
    return high - low;
}

static void check_pattern_gradient(const scores *s, const ht_options *o) {
    matrix gradient = make_matrix(s->o, s->groups * s->patterns, HT_DTYPE_F32, HT_ORDER_ROWS, below(2) * 3);
    CHECK(ht_nm_pattern_gradient_f32(s->o, s->k, s->n, s->m, s->w.data, s->w.stride, s->dw.data, s->dw.stride,
                                     s->score.data, s->score.stride, gradient.data, gradient.stride, o) == HT_OK);
    EACH_SCORE(s, row, group, p) {
        const double found = (double)*score_at(&gradient, s, row, group, p);
        size_t left = 0;
        for (size_t i = 0; i < s->patterns; i++) left += *score_at(&s->score, s, row, group, i) != -INFINITY;
        if (left < 2 || *score_at(&s->score, s, row, group, p) == -INFINITY) {
            CHECK(found == 0);
            continue;
        }
        double size;
        const double expected = difference(s, row, group, p, &size);
        CHECK(fabs(found - expected) <= 1e-7 * fabs(expected) + 1e-12 * size);
    }
    CHECK(gaps_are_filled(&gradient));
    free_matrix(&gradient);
}

static void test_patterns(void) {
    static const size_t cases[][2] = {{2, 4}, {1, 4}, {4, 8}, {1, 8}, {1, 16}, {2, 16}, {3, 5}, {1, 1}, {4, 4}, {3, 7}};
    ht_options options;
    for (size_t i = 0; i < COUNT(cases) * 4; i++) {
        const size_t n = cases[i % COUNT(cases)][0], m = cases[i % COUNT(cases)][1];
        if (is_skipped()) continue;
        scores s = make_scores(below(4), below(4 * m), n, m);
        for (int threads = 1; threads <= 2; threads++) {
            options = (ht_options){.threads = threads};
            checking("scores of %d:%d, %d x %d, %d threads", (int)n, (int)m, (int)s.o, (int)s.k, threads);
            check_first_scores(&s);
            check_pattern_mask(&s, below(s.patterns + 2), &options);
            check_pattern_gradient(&s, &options);
            set_scores(&s, false);
            check_pattern_gradient(&s, &options);
            set_scores(&s, true);
            check_pattern_mask(&s, below(s.patterns + 2), &options);
        }
        free_scores(&s);
    }
}

static void test_schedule(void) {
    checking("the schedule");
    CHECK(ht_nm_pattern_schedule(70, 0) == 70 && ht_nm_pattern_schedule(70, -1) == 70);
    CHECK(ht_nm_pattern_schedule(70, 1) == 1 && ht_nm_pattern_schedule(70, 2) == 1);
    CHECK(ht_nm_pattern_schedule(6, 0.5) == 2 && ht_nm_pattern_schedule(1, 0.3) == 1);
    CHECK(ht_nm_pattern_schedule(70, NAN) == 70 && ht_nm_pattern_schedule(4096, 0.25) == 1 + 1728);
    for (int epoch = 0; epoch <= 60; epoch++)
        CHECK(ht_nm_pattern_schedule(70, epoch / 60.0) == 1 + (size_t)ceil(69 * pow(1 - epoch / 60.0, 3)));
}

static void test_pattern_errors(void) {
    float scores[24], w[8] = {0};
    uint8_t mask[4];
    size_t count = 77;
    ht_options wrong_threads = {.threads = -1};
    float *odd = (float *)(void *)((char *)scores + 2);
    checking("errors of scores");
    memset(scores, 0x5a, sizeof scores);
    memset(mask, 0x5a, sizeof mask);
    CHECK(ht_nm_pattern_count(2, 4, NULL) == HT_ERROR_NULL);
    CHECK(ht_nm_pattern_count(0, 4, &count) == HT_ERROR_PATTERN &&
          ht_nm_pattern_count(5, 4, &count) == HT_ERROR_PATTERN);
    CHECK(ht_nm_pattern_count(1, 17, &count) == HT_ERROR_PATTERN);
    CHECK(ht_nm_pattern_count(8, 16, &count) == HT_ERROR_PATTERN &&
          ht_nm_pattern_count(5, 16, &count) == HT_ERROR_PATTERN);
    CHECK(count == 77);
    CHECK(ht_nm_pattern_count(4, 16, &count) == HT_OK && count == 1820);
    CHECK(ht_nm_pattern_scores_f32(2, 8, 8, 16, scores, 0) == HT_ERROR_PATTERN);
    CHECK(ht_nm_pattern_scores_f32(2, 8, 2, 4, NULL, 0) == HT_ERROR_NULL);
    CHECK(ht_nm_pattern_scores_f32(2, 8, 2, 4, scores, 44) == HT_ERROR_STRIDE);
    CHECK(ht_nm_pattern_scores_f32(1, 8, 2, 4, odd, 0) == HT_ERROR_ALIGNMENT);
    CHECK(ht_nm_pattern_scores_f32(1, SIZE_MAX, 2, 4, scores, 0) == HT_ERROR_OVERFLOW);
    CHECK(ht_nm_pattern_mask_f32(2, 8, 0, 4, 1, scores, 0, mask, 0, NULL) == HT_ERROR_PATTERN);
    CHECK(ht_nm_pattern_mask_f32(2, 8, 2, 4, 1, NULL, 0, mask, 0, NULL) == HT_ERROR_NULL);
    CHECK(ht_nm_pattern_mask_f32(2, 8, 2, 4, 1, scores, 0, NULL, 0, NULL) == HT_ERROR_NULL);
    CHECK(ht_nm_pattern_mask_f32(2, 8, 2, 4, 1, scores, 44, mask, 0, NULL) == HT_ERROR_STRIDE);
    CHECK(ht_nm_pattern_mask_f32(2, 8, 2, 4, 1, odd, 0, mask, 0, NULL) == HT_ERROR_ALIGNMENT);
    CHECK(ht_nm_pattern_mask_f32(2, 8, 2, 4, 1, scores, 0, mask, 0, &wrong_threads) == HT_ERROR_THREADS);
    CHECK(ht_nm_pattern_gradient_f32(1, 4, 2, 3, NULL, 0, w, 0, w, 0, scores, 0, NULL) == HT_ERROR_NULL);
    CHECK(ht_nm_pattern_gradient_f32(1, 4, 2, 3, w, 0, NULL, 0, w, 0, scores, 0, NULL) == HT_ERROR_NULL);
    CHECK(ht_nm_pattern_gradient_f32(1, 4, 2, 3, w, 0, w, 0, NULL, 0, scores, 0, NULL) == HT_ERROR_NULL);
    CHECK(ht_nm_pattern_gradient_f32(1, 4, 2, 3, w, 0, w, 0, w, 0, NULL, 0, NULL) == HT_ERROR_NULL);
    CHECK(ht_nm_pattern_gradient_f32(1, 4, 2, 3, w, 12, w, 0, w, 0, scores, 0, NULL) == HT_ERROR_STRIDE);
    CHECK(ht_nm_pattern_gradient_f32(1, 4, 2, 3, w, 0, w, 18, w, 0, scores, 0, NULL) == HT_ERROR_STRIDE);
    CHECK(ht_nm_pattern_gradient_f32(1, 4, 2, 3, w, 0, w, 0, w, 20, scores, 0, NULL) == HT_ERROR_STRIDE);
    CHECK(ht_nm_pattern_gradient_f32(1, 4, 2, 3, w, 0, w, 0, w, 0, scores, 20, NULL) == HT_ERROR_STRIDE);
    CHECK(ht_nm_pattern_gradient_f32(1, 4, 2, 3, w, 0, w, 0, w, 0, scores, 0, &wrong_threads) == HT_ERROR_THREADS);
    CHECK(is_filled(scores, sizeof scores) && is_filled(mask, sizeof mask));
    CHECK(ht_nm_pattern_scores_f32(0, 8, 2, 4, NULL, 0) == HT_OK);
    CHECK(ht_nm_pattern_mask_f32(2, 0, 2, 4, 1, NULL, 0, NULL, 0, NULL) == HT_OK);
    CHECK(ht_nm_pattern_gradient_f32(0, 8, 2, 4, NULL, 0, NULL, 0, NULL, 0, NULL, 0, NULL) == HT_OK);
}

void test_masks(void) {
    isa_count = runnable("nm_mask", isas, COUNT(isas));
    CHECK(isa_count > 0);
    test_matrices();
    test_filters();
    test_mask_errors();
    test_patterns();
    test_schedule();
    test_pattern_errors();
}
