// SPDX-License-Identifier: Apache-2.0
// Masks by scores of patterns (Zhang et al. 2022, "Learning best combination for efficient N:M sparsity").
#include <math.h>
#include <string.h>

#include "core/floats.h"
#include "core/memory.h"
#include "core/threads.h"
#include "halftone/nm_mask.h"

enum { MOST_COLUMNS = 16, MOST_PATTERNS = 4096 };

// C(m, n): each step is a number of combinations itself, so the division leaves nothing.
static size_t combinations(size_t n, size_t m) {
    size_t count = 1;
    for (size_t i = 1; i <= n; i++) count = count * (m - n + i) / i;
    return count;
}

static bool is_pattern(size_t n, size_t m) {
    return n >= 1 && n <= m && m <= MOST_COLUMNS && combinations(n, m) <= MOST_PATTERNS;
}

ht_status ht_nm_pattern_count(size_t n, size_t m, size_t *patterns) {
    if (!is_pattern(n, m)) return HT_ERROR_PATTERN;
    if (!patterns) return HT_ERROR_NULL;
    *patterns = combinations(n, m);
    return HT_OK;
}

size_t ht_nm_pattern_schedule(size_t patterns, double progress) {
    const double left = progress > 0 ? progress < 1 ? 1 - progress : 0 : 1;
    return patterns < 2 ? patterns : 1 + (size_t)ceil((double)(patterns - 1) * (left * left * left));
}

// MARK: jobs

typedef struct score_job {
    size_t rows, columns, n, m;
    size_t groups, patterns;
    uint16_t pattern[MOST_PATTERNS];  // bit j is column j
    float *scores;
    size_t scores_stride;
    size_t remaining;
    uint8_t *mask;
    size_t mask_stride;
    const float *w, *dw;
    size_t w_stride, dw_stride;
    float *gradient;
    size_t gradient_stride;
} score_job;

// All numbers with n of m bits, in ascending order.
static void list_patterns(score_job *job) {
    for (uint32_t number = 0, i = 0; i < job->patterns; number++)
        if ((size_t)__builtin_popcount(number) == job->n) job->pattern[i++] = (uint16_t)number;
}

// Fills in what follows from the shape, and checks the scores.
static ht_status begin(score_job *job) {
    size_t width;
    if (!is_pattern(job->n, job->m)) return HT_ERROR_PATTERN;
    job->groups = ht_ceil_div(job->columns, job->m);
    job->patterns = combinations(job->n, job->m);
    if (!ht_mul(job->groups, job->patterns, &width)) return HT_ERROR_OVERFLOW;
    ht_status status = ht_check_matrix(job->scores, job->rows, width, sizeof(float), &job->scores_stride);
    if (!status) list_patterns(job);
    return status;
}

static float *scores_of(const score_job *job, float *matrix, size_t stride, size_t row, size_t group) {
    return (float *)(void *)((char *)matrix + row * stride) + group * job->patterns;
}

static size_t columns_of(const score_job *job, size_t group) { return ht_min(job->m, job->columns - group * job->m); }

static bool is_removed(float score) { return score == -INFINITY; }

// MARK: scores before training

ht_status ht_nm_pattern_scores_f32(size_t o, size_t k, size_t n, size_t m, float *scores, size_t scores_stride) {
    score_job job = {.rows = o, .columns = k, .n = n, .m = m, .scores = scores, .scores_stride = scores_stride};
    ht_status status = begin(&job);
    if (status) return status;
    const float share = 1 / (float)combinations(n - 1, m - 1);
    for (size_t row = 0; row < o; row++)
        for (size_t group = 0; group < job.groups; group++) {
            const unsigned inside = (1u << columns_of(&job, group)) - 1;
            float *score = scores_of(&job, scores, job.scores_stride, row, group);
            for (size_t p = 0; p < job.patterns; p++) {
                const bool leaves = job.pattern[p] & ~inside, is_full = (job.pattern[p] & inside) == inside;
                score[p] = leaves && !is_full ? -INFINITY : share;
            }
        }
    return HT_OK;
}

// MARK: removing the lowest

// Numbers that order as scores do: removed ones first, then NaN.
static uint32_t key_of(float score) {
    if (is_removed(score)) return 0;
    if (score != score) return 1;
    const uint32_t bits = ht_bits_of_f32(score + 0.0f);  // -0 is no less than 0
    return bits >> 31 ? ~bits : bits | 0x80000000;
}

static size_t count_from(const uint32_t *key, size_t count, uint32_t least) {
    size_t found = 0;
    for (size_t i = 0; i < count; i++) found += key[i] >= least;
    return found;
}

// The `wanted`-th largest, bit by bit from the highest.
static uint32_t nth_key(const uint32_t *key, size_t count, size_t wanted) {
    uint32_t least = 0;
    for (uint32_t bit = 0x80000000; bit; bit >>= 1)
        if (count_from(key, count, least | bit) >= wanted) least |= bit;
    return least;
}

static void remove_lowest(const score_job *job, float *score) {
    uint32_t key[MOST_PATTERNS];
    for (size_t p = 0; p < job->patterns; p++) key[p] = key_of(score[p]);
    if (count_from(key, job->patterns, 1) <= job->remaining) return;
    const uint32_t least = nth_key(key, job->patterns, job->remaining);
    size_t equals = job->remaining - count_from(key, job->patterns, least + 1);
    for (size_t p = 0; p < job->patterns; p++) {
        const bool ties = key[p] == least && equals > 0;
        equals -= ties;
        if (key[p] <= least && !ties) score[p] = -INFINITY;
    }
}

static void write_mask(uint8_t *mask, size_t column, size_t count, unsigned kept) {
    for (size_t j = 0; j < count; j++) mask[(column + j) / 8] |= (uint8_t)((kept >> j & 1) << (column + j) % 8);
}

static void mask_row(void *context, size_t row) {
    const score_job *job = context;
    uint8_t *mask = job->mask + row * job->mask_stride;
    memset(mask, 0, ht_ceil_div(job->columns, 8));
    for (size_t group = 0; group < job->groups; group++) {
        float *score = scores_of(job, job->scores, job->scores_stride, row, group);
        unsigned kept = 0;
        remove_lowest(job, score);
        for (size_t p = 0; p < job->patterns; p++)
            if (!is_removed(score[p])) kept |= job->pattern[p];
        write_mask(mask, group * job->m, columns_of(job, group), kept);
    }
}

ht_status ht_nm_pattern_mask_f32(size_t o, size_t k, size_t n, size_t m, size_t remaining, float *scores,
                                 size_t scores_stride, uint8_t *mask, size_t mask_stride, const ht_options *options) {
    score_job job = {.rows = o, .columns = k, .n = n, .m = m, .scores = scores, .scores_stride = scores_stride};
    job.remaining = ht_max(remaining, 1);
    job.mask = mask;
    job.mask_stride = mask_stride;
    if (options && options->threads < 0) return HT_ERROR_THREADS;
    ht_status status = begin(&job);
    if (!status) status = ht_check_matrix(mask, o, ht_ceil_div(k, 8), 1, &job.mask_stride);
    if (!status && k) ht_each_row(mask_row, &job, o, options ? options->threads : 0);
    return status;
}

// MARK: gradients

// dW(c) w(c) / s(c) of each column. Sums are double, of scores in the order of their patterns.
static void column_gradients(const score_job *job, const float *score, const float *w, const float *dw, size_t count,
                             double *gradient) {
    double soft[MOST_COLUMNS] = {0};
    for (size_t p = 0; p < job->patterns; p++)
        for (unsigned left = is_removed(score[p]) ? 0 : job->pattern[p]; left; left &= left - 1)
            soft[__builtin_ctz(left)] += (double)score[p];
    for (size_t c = 0; c < MOST_COLUMNS; c++)
        gradient[c] = c < count && soft[c] != 0 ? (double)dw[c] * (double)w[c] / soft[c] : 0;
}

static void group_gradient(const score_job *job, const float *score, const double *column, float *gradient) {
    for (size_t p = 0; p < job->patterns; p++) {
        double sum = 0;
        for (unsigned left = is_removed(score[p]) ? 0 : job->pattern[p]; left; left &= left - 1)
            sum += column[__builtin_ctz(left)];
        gradient[p] = (float)sum;
    }
}

static void gradient_row(void *context, size_t row) {
    const score_job *job = context;
    const float *w = (const float *)(const void *)((const char *)job->w + row * job->w_stride);
    const float *dw = (const float *)(const void *)((const char *)job->dw + row * job->dw_stride);
    for (size_t group = 0; group < job->groups; group++) {
        const float *score = scores_of(job, job->scores, job->scores_stride, row, group);
        float *gradient = scores_of(job, job->gradient, job->gradient_stride, row, group);
        const size_t at = group * job->m;
        double column[MOST_COLUMNS];
        size_t remaining = 0;
        for (size_t p = 0; p < job->patterns; p++) remaining += !is_removed(score[p]);
        if (remaining > 1) {
            column_gradients(job, score, w + at, dw + at, columns_of(job, group), column);
            group_gradient(job, score, column, gradient);
        } else {
            memset(gradient, 0, job->patterns * sizeof *gradient);
        }
    }
}

ht_status ht_nm_pattern_gradient_f32(size_t o, size_t k, size_t n, size_t m, const float *w, size_t w_stride,
                                     const float *dw, size_t dw_stride, const float *scores, size_t scores_stride,
                                     float *gradient, size_t gradient_stride, const ht_options *options) {
    score_job job = {.rows = o, .columns = k, .n = n, .m = m, .scores_stride = scores_stride};
    job.scores = (float *)(void *)(uintptr_t)scores;  // only read
    job.w = w;
    job.w_stride = w_stride;
    job.dw = dw;
    job.dw_stride = dw_stride;
    job.gradient = gradient;
    job.gradient_stride = gradient_stride;
    if (options && options->threads < 0) return HT_ERROR_THREADS;
    ht_status status = begin(&job);
    if (!status) status = ht_check_matrix(w, o, k, sizeof *w, &job.w_stride);
    if (!status) status = ht_check_matrix(dw, o, k, sizeof *dw, &job.dw_stride);
    if (!status) status = ht_check_matrix(gradient, o, job.groups * job.patterns, sizeof(float), &job.gradient_stride);
    if (!status && k) ht_each_row(gradient_row, &job, o, options ? options->threads : 0);
    return status;
}
