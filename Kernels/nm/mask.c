// SPDX-License-Identifier: Apache-2.0
// Masks by magnitude, and pruning with them.
#include <string.h>

#include "core/threads.h"
#include "element.h"
#include "layout.h"

// The n largest of `count` <= 64 keys, a bit each; of equals the lower column wins.
static uint64_t largest(const uint64_t *key, size_t count, size_t n) {
    uint8_t losses[64] = {0};
    uint64_t kept = 0;
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
    size_t rows, columns, n, m;
    ht_dtype dtype;
    size_t shared_rows;
    const void *w;
    size_t w_stride;
    uint8_t *bits;           // of a masking
    char *pruned;            // of a pruning
    size_t out_stride;
} mask_job;

static const void *weights_row(const mask_job *job, size_t row) { return (const char *)job->w + row * job->w_stride; }

// The bits of a sum that is not negative order as the sum does, a NaN above infinity.
static uint64_t key_of_sum(double sum) {
    uint64_t bits;
    if (sum != sum) return UINT64_MAX;
    memcpy(&bits, &sum, sizeof bits);
    return bits;
}

// What a column of rows row ..< end weighs.
static uint64_t key_of(const mask_job *job, size_t row, size_t end, size_t column) {
    if (job->shared_rows == 1) return ht_nm_magnitude(job->dtype, weights_row(job, row), column);
    double sum = 0;
    for (; row < end; row++)
        sum += ht_nm_magnitude_value(job->dtype, ht_nm_magnitude(job->dtype, weights_row(job, row), column));
    return key_of_sum(sum);
}

static uint64_t kept_columns(const mask_job *job, size_t row, size_t end, size_t column, size_t count) {
    uint64_t key[64];
    for (size_t j = 0; j < count; j++) key[j] = key_of(job, row, end, column + j);
    return largest(key, count, job->n);
}

static void write_bits(uint8_t *bits, size_t column, uint64_t kept) {
    for (; kept; kept &= kept - 1) {
        size_t c = column + (size_t)__builtin_ctzll(kept);
        bits[c / 8] |= (uint8_t)(1 << c % 8);
    }
}

static void prune_group(const mask_job *job, size_t row, size_t column, size_t count, uint64_t kept) {
    size_t element = ht_dtype_size(job->dtype);
    const char *from = (const char *)weights_row(job, row) + column * element;
    char *to = job->pruned + row * job->out_stride + column * element;
    for (size_t j = 0; j < count; j++, from += element, to += element)
        if (kept >> j & 1)
            memmove(to, from, element);
        else
            memset(to, 0, element);
}

// The rows that share one pattern.
static void mask_set(void *context, size_t set) {
    const mask_job *job = context;
    size_t begin = set * job->shared_rows, end = ht_min(job->rows, begin + job->shared_rows);
    for (size_t row = begin; row < end && job->bits; row++)
        memset(job->bits + row * job->out_stride, 0, ht_ceil_div(job->columns, 8));
    for (size_t c = 0; c < job->columns; c += job->m) {
        size_t count = ht_min(job->m, job->columns - c);
        uint64_t kept = kept_columns(job, begin, end, c, count);
        for (size_t row = begin; row < end; row++)
            if (job->bits)
                write_bits(job->bits + row * job->out_stride, c, kept);
            else
                prune_group(job, row, c, count, kept);
    }
}

// Checks what mask and prune share; the rest of the job is the caller's.
static ht_status check(mask_job *job, const ht_options *options) {
    if (options && options->threads < 0) return HT_ERROR_THREADS;
    if (!ht_nm_is_pattern(job->n, job->m)) return HT_ERROR_PATTERN;
    ht_status status = ht_nm_shared_rows(options, &job->shared_rows);
    if (status) return status;
    return ht_check_matrix(job->w, job->rows, job->columns, ht_dtype_size(job->dtype), &job->w_stride);
}

static void run(mask_job *job, const ht_options *options) {
    if (job->columns)
        ht_each_row(mask_set, job, ht_ceil_div(job->rows, job->shared_rows), options ? options->threads : 0);
}

static ht_status mask(mask_job job, uint8_t *mask, size_t mask_stride, const ht_options *options) {
    ht_status status = check(&job, options);
    job.bits = mask;
    job.out_stride = mask_stride;
    if (!status) status = ht_check_matrix(mask, job.rows, ht_ceil_div(job.columns, 8), 1, &job.out_stride);
    if (!status) run(&job, options);
    return status;
}

static ht_status prune(mask_job job, void *pruned, size_t pruned_stride, const ht_options *options) {
    ht_status status = check(&job, options);
    job.pruned = pruned;
    job.out_stride = pruned_stride;
    if (!status) status = ht_check_matrix(pruned, job.rows, job.columns, ht_dtype_size(job.dtype), &job.out_stride);
    if (!status) run(&job, options);
    return status;
}

#define DEFINE(suffix, element, type)                                                                          \
    ht_status ht_nm_mask_##suffix(size_t o, size_t k, size_t n, size_t m, const element *w, size_t w_stride,   \
                                  uint8_t *bits, size_t mask_stride, const ht_options *options) {              \
        mask_job job = {.rows = o, .columns = k, .n = n, .m = m, .dtype = type, .w = w, .w_stride = w_stride}; \
        return mask(job, bits, mask_stride, options);                                                          \
    }                                                                                                          \
    ht_status ht_nm_prune_##suffix(size_t o, size_t k, size_t n, size_t m, const element *w, size_t w_stride,  \
                                   element *pruned, size_t pruned_stride, const ht_options *options) {         \
        mask_job job = {.rows = o, .columns = k, .n = n, .m = m, .dtype = type, .w = w, .w_stride = w_stride}; \
        return prune(job, pruned, pruned_stride, options);                                                     \
    }

DEFINE(f32, float, HT_DTYPE_F32)
DEFINE(f16, uint16_t, HT_DTYPE_F16)
DEFINE(bf16, uint16_t, HT_DTYPE_BF16)
DEFINE(i8, int8_t, HT_DTYPE_I8)
