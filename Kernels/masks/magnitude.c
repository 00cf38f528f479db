// SPDX-License-Identifier: Apache-2.0
// Masks by magnitude, and pruning with them.
#include <string.h>

#include "core/threads.h"
#include "halftone/nm_conv.h"
#include "nm/element.h"
#include "nm/image.h"

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
    size_t taps, tap_columns;  // groups of columns begin anew at each tap; a matrix has one
    size_t group_rows;         // rows that share a pattern are of one group of a convolution
    ht_dtype dtype;
    size_t shared_rows, shared_taps;
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

// Rows and taps that share one pattern.
typedef struct mask_set {
    size_t row, row_end;
    size_t tap, tap_end;
} mask_set;

// What a column of a set weighs; `place` counts in each tap.
static uint64_t key_of(const mask_job *job, const mask_set *set, size_t place) {
    size_t column = set->tap * job->tap_columns + place;
    if (job->shared_rows == 1 && job->shared_taps == 1)
        return ht_nm_magnitude(job->dtype, weights_row(job, set->row), column);
    double sum = 0;
    for (size_t row = set->row; row < set->row_end; row++)
        for (size_t tap = set->tap; tap < set->tap_end; tap++) {
            uint32_t magnitude = ht_nm_magnitude(job->dtype, weights_row(job, row), tap * job->tap_columns + place);
            sum += ht_nm_magnitude_value(job->dtype, magnitude);
        }
    return key_of_sum(sum);
}

static uint64_t kept_columns(const mask_job *job, const mask_set *set, size_t place, size_t count) {
    uint64_t key[64];
    for (size_t j = 0; j < count; j++) key[j] = key_of(job, set, place + j);
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

static void apply(const mask_job *job, size_t row, size_t column, size_t count, uint64_t kept) {
    if (job->bits)
        write_bits(job->bits + row * job->out_stride, column, kept);
    else
        prune_group(job, row, column, count, kept);
}

static void apply_to_set(const mask_job *job, const mask_set *set) {
    for (size_t place = 0; place < job->tap_columns; place += job->m) {
        size_t count = ht_min(job->m, job->tap_columns - place);
        uint64_t kept = kept_columns(job, set, place, count);
        for (size_t row = set->row; row < set->row_end; row++)
            for (size_t tap = set->tap; tap < set->tap_end; tap++)
                apply(job, row, tap * job->tap_columns + place, count, kept);
    }
}

static size_t sets_of_group(const mask_job *job) { return ht_ceil_div(job->group_rows, job->shared_rows); }

// The rows that share one pattern.
static void mask_rows(void *context, size_t part) {
    const mask_job *job = context;
    size_t sets = sets_of_group(job), group_row = part / sets * job->group_rows;
    mask_set set = {.row = group_row + part % sets * job->shared_rows};
    set.row_end = ht_min(group_row + job->group_rows, set.row + job->shared_rows);
    for (size_t row = set.row; row < set.row_end && job->bits; row++)
        memset(job->bits + row * job->out_stride, 0, ht_ceil_div(job->columns, 8));
    for (; set.tap < job->taps; set.tap = set.tap_end) {
        set.tap_end = set.tap + job->shared_taps;
        apply_to_set(job, &set);
    }
}

// Checks what mask and prune share; the rest of the job is the caller's.
static ht_status check(mask_job *job, const ht_options *options) {
    if (options && options->threads < 0) return HT_ERROR_THREADS;
    if (!ht_nm_is_pattern(job->n, job->m)) return HT_ERROR_PATTERN;
    ht_status status = ht_nm_shared_rows(options, &job->shared_rows);
    if (status) return status;
    job->shared_taps = options && options->shared_taps ? job->taps : 1;
    return ht_check_matrix(job->w, job->rows, job->columns, ht_dtype_size(job->dtype), &job->w_stride);
}

static void run(mask_job *job, const ht_options *options) {
    if (job->columns == 0 || job->rows == 0) return;
    size_t sets = job->rows / job->group_rows * sets_of_group(job);
    ht_each_row(mask_rows, job, sets, options ? options->threads : 0);
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

static mask_job matrix_job(size_t o, size_t k, size_t n, size_t m, ht_dtype dtype, const void *w, size_t w_stride) {
    return (mask_job){.rows = o,
                      .columns = k,
                      .n = n,
                      .m = m,
                      .taps = 1,
                      .tap_columns = k,
                      .group_rows = o,
                      .dtype = dtype,
                      .w = w,
                      .w_stride = w_stride};
}

// Sets of filters that share a pattern end with their group.
static ht_status filters_job(const ht_conv_shape *shape, size_t n, size_t m, ht_dtype dtype, const void *w,
                             size_t w_stride, mask_job *job) {
    ht_conv conv;
    ht_status status = ht_nm_conv_make(shape, &conv);
    if (status) return status;
    const ht_conv_shape *s = &conv.shape;
    size_t taps = s->kernel_height * s->kernel_width, channels = s->channels / s->groups, columns;
    if (!ht_mul(taps, channels, &columns)) return HT_ERROR_OVERFLOW;
    *job = matrix_job(s->outputs, columns, n, m, dtype, w, w_stride);
    job->taps = taps;
    job->tap_columns = channels;
    job->group_rows = s->outputs / s->groups;
    return HT_OK;
}

static ht_status mask_filters(const ht_conv_shape *shape, size_t n, size_t m, ht_dtype dtype, const void *w,
                              size_t w_stride, uint8_t *bits, size_t mask_stride, const ht_options *options) {
    mask_job job;
    ht_status status = filters_job(shape, n, m, dtype, w, w_stride, &job);
    return status ? status : mask(job, bits, mask_stride, options);
}

static ht_status prune_filters(const ht_conv_shape *shape, size_t n, size_t m, ht_dtype dtype, const void *w,
                               size_t w_stride, void *pruned, size_t pruned_stride, const ht_options *options) {
    mask_job job;
    ht_status status = filters_job(shape, n, m, dtype, w, w_stride, &job);
    return status ? status : prune(job, pruned, pruned_stride, options);
}

#define DEFINE(suffix, element, type)                                                                         \
    ht_status ht_nm_mask_##suffix(size_t o, size_t k, size_t n, size_t m, const element *w, size_t w_stride,  \
                                  uint8_t *bits, size_t mask_stride, const ht_options *options) {             \
        return mask(matrix_job(o, k, n, m, type, w, w_stride), bits, mask_stride, options);                   \
    }                                                                                                         \
    ht_status ht_nm_prune_##suffix(size_t o, size_t k, size_t n, size_t m, const element *w, size_t w_stride, \
                                   element *pruned, size_t pruned_stride, const ht_options *options) {        \
        return prune(matrix_job(o, k, n, m, type, w, w_stride), pruned, pruned_stride, options);              \
    }                                                                                                         \
    ht_status ht_nm_conv_mask_##suffix(const ht_conv_shape *shape, size_t n, size_t m, const element *w,      \
                                       size_t w_stride, uint8_t *bits, size_t mask_stride,                    \
                                       const ht_options *options) {                                           \
        return mask_filters(shape, n, m, type, w, w_stride, bits, mask_stride, options);                      \
    }                                                                                                         \
    ht_status ht_nm_conv_prune_##suffix(const ht_conv_shape *shape, size_t n, size_t m, const element *w,     \
                                        size_t w_stride, element *pruned, size_t pruned_stride,               \
                                        const ht_options *options) {                                          \
        return prune_filters(shape, n, m, type, w, w_stride, pruned, pruned_stride, options);                 \
    }

DEFINE(f32, float, HT_DTYPE_F32)
DEFINE(f16, uint16_t, HT_DTYPE_F16)
DEFINE(bf16, uint16_t, HT_DTYPE_BF16)
DEFINE(i8, int8_t, HT_DTYPE_I8)
