// SPDX-License-Identifier: Apache-2.0
// Optimizers and the decay of pruned weights, against their formulas in double precision and against each other's rows.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

enum { most_rows = 9, most_columns = 70, gap = 3, matrices = 4 };
enum { W, DW, FIRST, SECOND };

// All operands of an update, of the same shape; rows of dw lie `gap` numbers further apart than the others.
typedef struct operands {
    size_t rows, columns;
    float *numbers[matrices];
    size_t stride[matrices];
    uint8_t *mask;
    size_t mask_stride;
} operands;

static float random_number(void) {
    static const float special[] = {0, -0.0f, 1, -1, 1e-30f, -1e30f, 1e-42f};
    if (next_random() % 12 == 0) return special[next_random() % COUNT(special)];
    return (float)(int32_t)next_random() * 0x1p-31f;
}

static operands make_operands(size_t rows, size_t columns) {
    operands p = {.rows = rows, .columns = columns, .mask_stride = (columns + 7) / 8 + next_random() % 2};
    const size_t padding = next_random() % gap;
    for (int m = 0; m < matrices; m++) {
        p.stride[m] = columns + padding + (m == DW ? gap : 0);
        p.numbers[m] = allocate(rows * p.stride[m] * sizeof(float));
        for (size_t i = 0; i < rows * p.stride[m]; i++)
            p.numbers[m][i] = m == SECOND ? fabsf(random_number()) : random_number();
    }
    p.mask = allocate(rows * p.mask_stride);
    for (size_t i = 0; i < rows * p.mask_stride; i++) p.mask[i] = (uint8_t)next_random();
    return p;
}

static operands copy_operands(const operands *of) {
    operands p = *of;
    for (int m = 0; m < matrices; m++) {
        const size_t bytes = p.rows * p.stride[m] * sizeof(float);
        p.numbers[m] = allocate(bytes);
        memcpy(p.numbers[m], of->numbers[m], bytes);
    }
    p.mask = allocate(p.rows * p.mask_stride);
    memcpy(p.mask, of->mask, p.rows * p.mask_stride);
    return p;
}

static void free_operands(operands *p) {
    for (int m = 0; m < matrices; m++) free(p->numbers[m]);
    free(p->mask);
}

// Whether two sets of operands have the same bits, gaps between rows included.
static bool are_equal(const operands *a, const operands *b) {
    for (int m = 0; m < matrices; m++)
        if (memcmp(a->numbers[m], b->numbers[m], a->rows * a->stride[m] * sizeof(float))) return false;
    return true;
}

typedef enum update_kind { SR_STE, SGD, ADAMW, KINDS } update_kind;

typedef struct update {
    update_kind kind;
    bool decays;
    float decay;
    ht_sgd sgd;
    ht_adamw adamw;
} update;

static update random_update(update_kind kind) {
    static const float rates[] = {0, 0.1f, 1e-3f};
    update u = {.kind = kind, .decays = next_random() % 4 != 0, .decay = next_random() % 4 ? 2e-4f : 0};
    const float rate = rates[next_random() % COUNT(rates)], weight_decay = next_random() % 2 ? 0.05f : 0;
    u.sgd = (ht_sgd){.rate = rate, .momentum = next_random() % 3 ? 0.9f : 0, .weight_decay = weight_decay};
    u.sgd.nesterov = u.sgd.momentum > 0 && next_random() % 2;
    if (!u.sgd.nesterov && next_random() % 2) u.sgd.dampening = 0.25f;
    u.adamw = (ht_adamw){.rate = rate, .weight_decay = weight_decay, .step = 1 + next_random() % 1000};
    if (next_random() % 2) u.adamw.beta1 = 0.8f, u.adamw.beta2 = 0.95f, u.adamw.epsilon = 1e-3f;
    return u;
}

static ht_status run(const update *u, operands *p, const ht_options *options) {
    const ht_sr_ste sr_ste = {p->mask, p->mask_stride, u->decay}, *decay = u->decays ? &sr_ste : NULL;
    const size_t dw_stride = p->stride[DW] * sizeof(float), stride = p->stride[W] * sizeof(float);
    float **n = p->numbers;
    switch (u->kind) {
    case SR_STE: return ht_sr_ste_f32(p->rows, p->columns, n[W], stride, decay, n[DW], dw_stride, options);
    case SGD: return ht_sgd_f32(p->rows, p->columns, &u->sgd, decay, n[DW], dw_stride, n[FIRST], n[W], stride, options);
    default:
        return ht_adamw_f32(p->rows, p->columns, &u->adamw, decay, n[DW], dw_stride, n[FIRST], n[SECOND], n[W], stride,
                            options);
    }
}

// MARK: the formulas

typedef struct weight {
    double w, dw, first, second;
    double size;  // of the terms that w is the sum of
} weight;

static weight at(const operands *p, size_t row, size_t column) {
    double v[matrices];
    for (int m = 0; m < matrices; m++) v[m] = p->numbers[m][row * p->stride[m] + column];
    return (weight){v[W], v[DW], v[FIRST], v[SECOND], fabs(v[W])};
}

static bool is_kept(const operands *p, size_t row, size_t column) {
    return p->mask[row * p->mask_stride + column / 8] & 1 << column % 8;
}

static weight expected_sgd(const ht_sgd *s, weight a, double g) {
    const double size = a.size + s->rate * (fabs(a.dw) + fabs(a.w) + fabs(a.first));
    g += s->weight_decay * a.w;
    if (s->momentum == 0) return (weight){a.w - s->rate * g, a.dw, a.first, a.second, size};
    const double v = s->momentum * a.first + (1.0 - s->dampening) * g;
    return (weight){a.w - s->rate * (s->nesterov ? g + s->momentum * v : v), a.dw, v, a.second, size};
}

static weight expected_adamw(const ht_adamw *s, weight a, double g) {
    const double beta1 = s->beta1 == 0 ? 0.9f : s->beta1, beta2 = s->beta2 == 0 ? 0.999f : s->beta2;
    const double epsilon = s->epsilon == 0 ? 1e-8 : s->epsilon;
    const double mean = beta1 * a.first + (1 - beta1) * g, square = beta2 * a.second + (1 - beta2) * g * g;
    const double root = sqrt(square / (1 - pow(beta2, (double)s->step)));
    const double rate = s->rate / (1 - pow(beta1, (double)s->step)) / (root + epsilon);
    const bool is_precise = square > 1e-30 && square < 1e38;  // neither subnormal nor beyond floats
    const double size = is_precise ? a.size + rate * (fabs(g) + fabs(a.first)) : INFINITY;
    return (weight){a.w - s->rate * s->weight_decay * a.w - rate * mean, a.dw, mean, square, size};
}

static weight expected(const update *u, const operands *p, size_t row, size_t column) {
    const weight a = at(p, row, column);
    const double g = a.dw + (u->decays && !is_kept(p, row, column) ? u->decay * a.w : 0);
    switch (u->kind) {
    case SR_STE: return (weight){a.w, g, a.first, a.second, a.size};
    case SGD: return expected_sgd(&u->sgd, a, g);
    default: return expected_adamw(&u->adamw, a, g);
    }
}

// Whether a number is near what it should be, for terms of this size; the largest numbers squared are no floats.
static bool is_near(double actual, double exact, double size) {
    if (fabs(exact) > 1e37 || size > 1e37 || isnan(exact)) return true;
    return fabs(actual - exact) <= 1e-5 * size + 1e-36;
}

static void check_formula(const update *u, const operands *before, const operands *after) {
    for (size_t r = 0; r < before->rows; r++)
        for (size_t c = 0; c < before->columns; c++) {
            const weight from = at(before, r, c), to = at(after, r, c), want = expected(u, before, r, c);
            const double g = fabs(from.dw) + fabs(from.w);
            CHECK(is_near(to.dw, want.dw, g));
            CHECK(is_near(to.first, want.first, g + fabs(from.first)));
            CHECK(is_near(to.second, want.second, g * g + from.second));
            CHECK(is_near(to.w, want.w, want.size));
        }
}

static void check_update(size_t rows, size_t columns, update_kind kind) {
    ht_isa isas[8];
    const size_t count = runnable("weight_update", isas, COUNT(isas));
    const update u = random_update(kind);
    operands before = make_operands(rows, columns), reference = copy_operands(&before);
    const ht_options on_reference = {.isa = HT_ISA_REF, .threads = 1};
    checking("update %d of %zu x %zu", (int)kind, rows, columns);
    CHECK(run(&u, &reference, &on_reference) == HT_OK);
    check_formula(&u, &before, &reference);
    for (size_t i = 0; i < count; i++) {
        operands p = copy_operands(&before);
        const ht_options options = {.isa = isas[i], .threads = 1 + (int)(next_random() % 2)};
        CHECK(run(&u, &p, &options) == HT_OK);
        CHECK(are_equal(&p, &reference));
        free_operands(&p);
    }
    free_operands(&before);
    free_operands(&reference);
}

// MARK: arguments

static void check_refused(const update *u, operands *p, const ht_options *options, ht_status status) {
    operands before = copy_operands(p);
    CHECK(run(u, p, options) == status);
    CHECK(are_equal(p, &before));
    free_operands(&before);
}

static void check_parameters(operands *p) {
    const ht_sgd sgds[] = {{.rate = -1},
                           {.rate = INFINITY},
                           {.rate = NAN},
                           {.rate = 1, .momentum = 1},
                           {.momentum = -0.5f},
                           {.momentum = NAN},
                           {.dampening = 2},
                           {.weight_decay = -1},
                           {.nesterov = 1},
                           {.weight_decay = INFINITY},
                           {.nesterov = 1, .momentum = 0.5f, .dampening = 0.5f}};
    const ht_adamw adamws[] = {{.step = 0},
                               {.step = 1, .rate = NAN},
                               {.step = 1, .beta1 = 1},
                               {.step = 1, .beta2 = -1},
                               {.step = 1, .epsilon = -1},
                               {.step = 1, .weight_decay = NAN}};
    for (size_t i = 0; i < COUNT(sgds); i++)
        check_refused(&(update){.kind = SGD, .sgd = sgds[i]}, p, NULL, HT_ERROR_OPTIMIZER);
    for (size_t i = 0; i < COUNT(adamws); i++)
        check_refused(&(update){.kind = ADAMW, .adamw = adamws[i]}, p, NULL, HT_ERROR_OPTIMIZER);
}

static void check_arguments(void) {
    operands p = make_operands(3, 20);
    checking("wrong arguments of updates");
    check_parameters(&p);
    for (int kind = 0; kind < KINDS; kind++) {
        const update u = {
            .kind = (update_kind)kind, .decays = true, .decay = 1, .sgd = {1, .momentum = 0.5f}, .adamw = {.step = 1}};
        check_refused(&u, &p, &(ht_options){.threads = -1}, HT_ERROR_THREADS);
        check_refused(&u, &p, &(ht_options){.isa = (ht_isa)99}, HT_ERROR_ISA);
        update negative = u;
        negative.decay = -1;
        check_refused(&negative, &p, NULL, HT_ERROR_OPTIMIZER);
        operands narrow = p;
        narrow.stride[W] = p.columns - 1;
        CHECK(run(&u, &narrow, NULL) == HT_ERROR_STRIDE);
        for (int m = W; m <= (kind == SR_STE ? DW : kind == SGD ? FIRST : SECOND); m++) {
            operands missing = p;
            missing.numbers[m] = NULL;
            CHECK(run(&u, &missing, NULL) == HT_ERROR_NULL);
        }
        operands short_mask = p;
        short_mask.mask_stride = 2;
        CHECK(run(&u, &short_mask, NULL) == HT_ERROR_STRIDE);
    }
    CHECK(ht_sgd_f32(0, 0, NULL, NULL, NULL, 0, NULL, NULL, 0, NULL) == HT_ERROR_NULL);
    CHECK(ht_adamw_f32(0, 0, NULL, NULL, NULL, 0, NULL, NULL, NULL, 0, NULL) == HT_ERROR_NULL);
    free_operands(&p);
}

void test_optimizers(void) {
    for (int kind = 0; kind < KINDS; kind++) {
        check_update(0, 5, (update_kind)kind);
        check_update(5, 0, (update_kind)kind);
        check_update(2, (1 << 14) + 21, (update_kind)kind);  // more than a thread takes at once
        for (int i = 0; i < 40; i++)
            check_update(1 + next_random() % most_rows, 1 + next_random() % most_columns, (update_kind)kind);
    }
    check_arguments();
}
