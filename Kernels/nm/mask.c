// SPDX-License-Identifier: Apache-2.0
// Masks by magnitude, and pruning with them.
#include <string.h>

#include "core/threads.h"
#include "layout.h"

// |w| as a number whose order is that of magnitudes, NaN above infinity.
static uint32_t magnitude(float w) {
    uint32_t bits;
    memcpy(&bits, &w, sizeof bits);
    return bits & 0x7fffffff;
}

// The n largest of `count` <= 64 weights, a bit each; of equals the lower column wins.
static uint64_t largest(const float *w, size_t count, size_t n) {
    uint32_t key[64];
    uint8_t losses[64] = {0};
    uint64_t kept = 0;
    for (size_t j = 0; j < count; j++) key[j] = magnitude(w[j]);
    for (size_t j = 1; j < count; j++)
        for (size_t i = 0; i < j; i++) {
            int later_wins = key[j] > key[i];
            losses[i] += (uint8_t)later_wins;
            losses[j] += (uint8_t)!later_wins;
        }
    for (size_t j = 0; j < count; j++) kept |= (uint64_t)(losses[j] < n) << j;
    return kept;
}

typedef struct mask_job {
    size_t columns, n, m;
    const float *w;
    size_t w_stride;
    uint8_t *bits;           // of a masking
    float *pruned;           // of a pruning
    size_t out_stride;
} mask_job;

static const float *weights_row(const mask_job *job, size_t row) {
    return (const float *)((const char *)job->w + row * job->w_stride);
}

static void mask_row(void *context, size_t row) {
    const mask_job *job = context;
    const float *w = weights_row(job, row);
    uint8_t *bits = job->bits + row * job->out_stride;
    memset(bits, 0, ht_ceil_div(job->columns, 8));
    for (size_t c = 0; c < job->columns; c += job->m)
        for (uint64_t kept = largest(w + c, ht_min(job->m, job->columns - c), job->n); kept; kept &= kept - 1) {
            size_t column = c + (size_t)__builtin_ctzll(kept);
            bits[column / 8] |= (uint8_t)(1 << column % 8);
        }
}

static void prune_row(void *context, size_t row) {
    const mask_job *job = context;
    const float *w = weights_row(job, row);
    float *out = (float *)((char *)job->pruned + row * job->out_stride);
    for (size_t c = 0; c < job->columns; c += job->m) {
        size_t count = ht_min(job->m, job->columns - c);
        uint64_t kept = largest(w + c, count, job->n);
        for (size_t j = 0; j < count; j++) out[c + j] = kept >> j & 1 ? w[c + j] : 0;
    }
}

// The checks that mask and prune share.
static ht_status start(mask_job *job, size_t o, size_t k, size_t n, size_t m, const float *w, size_t w_stride,
                       const ht_options *options) {
    *job = (mask_job){.columns = k, .n = n, .m = m, .w = w, .w_stride = w_stride};
    if (options && options->threads < 0) return HT_ERROR_THREADS;
    if (!ht_nm_is_pattern(n, m)) return HT_ERROR_PATTERN;
    return ht_check_matrix(w, o, k, sizeof *w, &job->w_stride);
}

static void run(ht_body *body, mask_job *job, size_t o, const ht_options *options) {
    if (job->columns) ht_each_row(body, job, o, options ? options->threads : 0);
}

ht_status ht_nm_mask_f32(size_t o, size_t k, size_t n, size_t m, const float *w, size_t w_stride, uint8_t *mask,
                         size_t mask_stride, const ht_options *options) {
    mask_job job;
    ht_status status = start(&job, o, k, n, m, w, w_stride, options);
    job.bits = mask;
    job.out_stride = mask_stride;
    if (!status) status = ht_check_matrix(mask, o, ht_ceil_div(k, 8), 1, &job.out_stride);
    if (!status) run(mask_row, &job, o, options);
    return status;
}

ht_status ht_nm_prune_f32(size_t o, size_t k, size_t n, size_t m, const float *w, size_t w_stride, float *pruned,
                          size_t pruned_stride, const ht_options *options) {
    mask_job job;
    ht_status status = start(&job, o, k, n, m, w, w_stride, options);
    job.pruned = pruned;
    job.out_stride = pruned_stride;
    if (!status) status = ht_check_matrix(pruned, o, k, sizeof *pruned, &job.out_stride);
    if (!status) run(prune_row, &job, o, options);
    return status;
}
