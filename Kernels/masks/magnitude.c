// SPDX-License-Identifier: Apache-2.0
// Masks by magnitude, masks refreshed, and pruning with masks: calls, and the way through rows and taps.
#include "magnitude.h"

#include <math.h>
#include <string.h>

#include "core/threads.h"
#include "halftone/nm_conv.h"
#include "halftone/nm_mask.h"
#include "nm/element.h"
#include "nm/image.h"

const ht_entry ht_nm_mask_table[] = {
#if defined(__x86_64__)
    {"nm_mask", HT_ISA_AVX512, (ht_fn)ht_nm_mask_f32_avx512},
    {"nm_mask", HT_ISA_AVX2, (ht_fn)ht_nm_mask_f32_avx2},
#elif defined(__aarch64__)
    {"nm_mask", HT_ISA_NEON, (ht_fn)ht_nm_mask_f32_neon},
#endif
    {"nm_mask", HT_ISA_REF, (ht_fn)ht_nm_mask_f32_ref},
    {NULL, HT_ISA_AUTO, NULL},
};

// Rows are worked on in pieces of at most so many columns, so that what is made of a piece stays in L1.
enum { PIECE = 2048 };

typedef enum purpose { MASK, REFRESH, PRUNE } purpose;

typedef struct mask_job {
    size_t rows, columns, n, m;
    size_t taps, tap_columns;  // groups of columns begin anew at each tap; a matrix has one
    size_t group_rows;         // rows that share a pattern are of one group of a convolution
    ht_dtype dtype;
    size_t shared_rows, shared_taps;
    const void *w;
    size_t w_stride;
    purpose purpose;
    void *out;               // a mask, or pruned weights
    size_t out_stride;
    ht_nm_mask_kernel *kernel;
    _Atomic size_t changed;  // of a refreshed mask: weights newly kept
} mask_job;

// Rows and taps that share one pattern.
typedef struct mask_set {
    size_t row, row_end;
    size_t tap, tap_end;
} mask_set;

// Columns of one tap. Only a tap's last piece ends with a part of a group.
typedef struct mask_piece {
    size_t place, columns;  // the first is counted from the tap's first
    uint8_t bits[PIECE / 8];
} mask_piece;

static const void *weights_row(const mask_job *job, size_t row) { return (const char *)job->w + row * job->w_stride; }

static uint8_t *out_row(const mask_job *job, size_t row) { return (uint8_t *)job->out + row * job->out_stride; }

// MARK: patterns of one row

// Kernels compare bits, so any type of 31 bits or fewer can pose as floats.
static void pose_as_floats(const mask_job *job, const void *row, size_t column, size_t count, float *to) {
    for (size_t j = 0; j < count; j++) to[j] = ht_f32_of_bits(ht_nm_magnitude(job->dtype, row, column + j));
}

static void rank(const mask_job *job, const mask_set *set, mask_piece *piece) {
    const size_t column = set->tap * job->tap_columns + piece->place;
    const void *row = weights_row(job, set->row);
    const bool poses = job->dtype != HT_DTYPE_F32;
    const uint8_t *old = NULL;
    float posed[PIECE];
    if (poses) pose_as_floats(job, row, column, piece->columns, posed);
    const float *w = poses ? posed : (const float *)row + column;
    if (job->purpose == REFRESH && column % 8 == 0) old = out_row(job, set->row) + column / 8;
    job->kernel(w, piece->columns, job->n, job->m, old, piece->bits);
}

// MARK: shared patterns

// The bits of a sum that is not negative order as the sum does, a NaN above infinity.
static uint64_t key_of_sum(double sum) {
    uint64_t bits;
    if (sum != sum) return UINT64_MAX;
    memcpy(&bits, &sum, sizeof bits);
    return bits;
}

static void add_row(ht_dtype dtype, const void *row, size_t column, size_t count, double *sums) {
    if (dtype == HT_DTYPE_F32)
        for (size_t j = 0; j < count; j++) sums[j] += fabs((double)((const float *)row)[column + j]);
    else
        for (size_t j = 0; j < count; j++)
            sums[j] += ht_nm_magnitude_value(dtype, ht_nm_magnitude(dtype, row, column + j));
}

// Row by row, and in each tap by tap.
static void add_magnitudes(const mask_job *job, const mask_set *set, const mask_piece *piece, double *sums) {
    memset(sums, 0, piece->columns * sizeof *sums);
    for (size_t row = set->row; row < set->row_end; row++)
        for (size_t tap = set->tap; tap < set->tap_end; tap++)
            add_row(job->dtype, weights_row(job, row), tap * job->tap_columns + piece->place, piece->columns, sums);
}

// The n largest of `count` <= 64 keys, a bit each; of equals the lower column wins.
static uint64_t largest(const uint64_t *key, size_t count, size_t n) {
    uint64_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        size_t losses = 0;
        for (size_t j = 0; j < i; j++) losses += key[j] >= key[i];
        for (size_t j = i + 1; j < count; j++) losses += key[j] > key[i];
        kept |= (uint64_t)(losses < n) << i;
    }
    return kept;
}

static void rank_sums(const mask_job *job, const mask_set *set, mask_piece *piece) {
    double sums[PIECE];
    uint64_t keys[PIECE];
    add_magnitudes(job, set, piece, sums);
    for (size_t j = 0; j < piece->columns; j++) keys[j] = key_of_sum(sums[j]);
    memset(piece->bits, 0, sizeof piece->bits);
    for (size_t place = 0; place < piece->columns; place += job->m) {
        uint64_t kept = largest(keys + place, ht_min(job->m, piece->columns - place), job->n);
        for (; kept; kept &= kept - 1) {
            const size_t c = place + (size_t)__builtin_ctzll(kept);
            piece->bits[c / 8] |= (uint8_t)(1 << c % 8);
        }
    }
}

// MARK: what becomes of a pattern

// Of a row that was zeros.
static void write_bits(uint8_t *mask, size_t column, const mask_piece *piece) {
    const size_t whole = piece->columns / 8, bytes = ht_ceil_div(piece->columns, 8), shift = column % 8;
    mask += column / 8;
    if (shift == 0) memcpy(mask, piece->bits, whole);
    for (size_t i = shift ? 0 : whole; i < bytes; i++) {
        const unsigned bits = (unsigned)piece->bits[i] << shift;
        mask[i] |= (uint8_t)bits;
        if (bits >> 8) mask[i + 1] |= (uint8_t)(bits >> 8);
    }
}

// Takes over `count` <= 8 bits of a byte of the old mask; the number of those that are new.
static size_t refresh_byte(uint8_t *byte, uint8_t taken, uint8_t bits) {
    const uint8_t before = *byte, after = (uint8_t)((before & ~taken) | bits);
    if (after != before) *byte = after;
    return (size_t)__builtin_popcount((unsigned)(after & ~before));
}

// Bits behind the last column become 0.
static size_t refresh_bits(uint8_t *mask, size_t column, const mask_piece *piece, bool is_last) {
    size_t changed = 0, i = 0;
    const size_t bytes = ht_ceil_div(piece->columns, 8), shift = column % 8;
    mask += column / 8;
    for (; shift == 0 && i + 8 <= piece->columns / 8; i += 8) {
        uint64_t before, after;
        memcpy(&before, mask + i, sizeof before);
        memcpy(&after, piece->bits + i, sizeof after);
        changed += (size_t)__builtin_popcountll(after & ~before);
        if (after != before) memcpy(mask + i, &after, sizeof after);
    }
    for (; i < bytes; i++) {
        const size_t count = ht_min(8, piece->columns - 8 * i);
        const bool ends_row = is_last && i + 1 == bytes;
        const unsigned taken = (ends_row ? 0xffffu : (1u << count) - 1) << shift,
                       bits = (unsigned)piece->bits[i] << shift;
        changed += refresh_byte(mask + i, (uint8_t)taken, (uint8_t)bits);
        if (shift + count > 8) changed += refresh_byte(mask + i + 1, (uint8_t)(taken >> 8), (uint8_t)(bits >> 8));
    }
    return changed;
}

// `to` may be `from`. Eight at a time through memory of our own, so that compilers see vectors.
#define DEFINE_SELECT(type)                                                                    \
    static void select_##type(const char *from, char *to, const uint8_t *bits, size_t count) { \
        type w[8] = {0};                                                                       \
        size_t j = 0;                                                                          \
        for (; j + 8 <= count; j += 8) {                                                       \
            memcpy(w, from + j * sizeof *w, sizeof w);                                         \
            for (int i = 0; i < 8; i++) w[i] &= (type) - (bits[j / 8] >> i & 1);               \
            memcpy(to + j * sizeof *w, w, sizeof w);                                           \
        }                                                                                      \
        memcpy(w, from + j * sizeof *w, (count - j) * sizeof *w);                              \
        for (int i = 0; j + i < count; i++) w[i] &= (type) - (bits[j / 8] >> i & 1);           \
        memcpy(to + j * sizeof *w, w, (count - j) * sizeof *w);                                \
    }

DEFINE_SELECT(uint8_t)
DEFINE_SELECT(uint16_t)
DEFINE_SELECT(uint32_t)

static void prune_piece(const mask_job *job, size_t row, size_t column, const mask_piece *piece) {
    const size_t size = ht_dtype_size(job->dtype);
    const char *from = (const char *)weights_row(job, row) + column * size;
    char *to = (char *)out_row(job, row) + column * size;
    switch (size) {
    case 1: select_uint8_t(from, to, piece->bits, piece->columns); break;
    case 2: select_uint16_t(from, to, piece->bits, piece->columns); break;
    default: select_uint32_t(from, to, piece->bits, piece->columns);
    }
}

static size_t apply(const mask_job *job, size_t row, size_t tap, const mask_piece *piece) {
    const size_t column = tap * job->tap_columns + piece->place;
    switch (job->purpose) {
    case MASK: write_bits(out_row(job, row), column, piece); return 0;
    case REFRESH: return refresh_bits(out_row(job, row), column, piece, column + piece->columns == job->columns);
    default: prune_piece(job, row, column, piece); return 0;
    }
}

static size_t apply_to_set(const mask_job *job, const mask_set *set, const mask_piece *piece) {
    size_t changed = 0;
    for (size_t row = set->row; row < set->row_end; row++)
        for (size_t tap = set->tap; tap < set->tap_end; tap++) changed += apply(job, row, tap, piece);
    return changed;
}

static size_t sets_of_group(const mask_job *job) { return ht_ceil_div(job->group_rows, job->shared_rows); }

// The rows that share one pattern.
static void mask_rows(void *context, size_t part) {
    mask_job *job = context;
    size_t sets = sets_of_group(job), group_row = part / sets * job->group_rows, changed = 0;
    size_t most = PIECE / (HT_NM_MASK_BATCH * job->m) * (HT_NM_MASK_BATCH * job->m);
    mask_set set = {.row = group_row + part % sets * job->shared_rows};
    mask_piece piece;
    set.row_end = ht_min(group_row + job->group_rows, set.row + job->shared_rows);
    for (size_t row = set.row; row < set.row_end && job->purpose == MASK; row++)
        memset(out_row(job, row), 0, ht_ceil_div(job->columns, 8));
    for (; set.tap < job->taps; set.tap = set.tap_end) {
        set.tap_end = set.tap + job->shared_taps;
        for (piece.place = 0; piece.place < job->tap_columns; piece.place += piece.columns) {
            piece.columns = ht_min(most, job->tap_columns - piece.place);
            if (job->shared_rows == 1 && job->shared_taps == 1)
                rank(job, &set, &piece);
            else
                rank_sums(job, &set, &piece);
            changed += apply_to_set(job, &set, &piece);
        }
    }
    if (changed) job->changed += changed;
}

// MARK: jobs

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
static ht_status filters_job(const ht_conv_shape *shape, mask_job *job) {
    ht_conv conv;
    ht_status status = ht_nm_conv_make(shape, &conv);
    if (status) return status;
    const ht_conv_shape *s = &conv.shape;
    job->rows = s->outputs;
    job->taps = s->kernel_height * s->kernel_width;
    job->tap_columns = s->channels / s->groups;
    job->group_rows = s->outputs / s->groups;
    return ht_mul(job->taps, job->tap_columns, &job->columns) ? HT_OK : HT_ERROR_OVERFLOW;
}

static ht_status check(mask_job *job, const ht_options *options) {
    static const ht_options defaults;
    const ht_options *opt = options ? options : &defaults;
    const ht_entry *entry;
    const bool prunes = job->purpose == PRUNE;
    const size_t width = prunes ? job->columns : ht_ceil_div(job->columns, 8);
    if (opt->threads < 0) return HT_ERROR_THREADS;
    if (!ht_nm_is_pattern(job->n, job->m)) return HT_ERROR_PATTERN;
    ht_status status = ht_nm_shared_rows(opt, &job->shared_rows);
    if (!status) status = ht_pick(ht_nm_mask_table, opt->isa, &entry);
    if (!status) status = ht_check_matrix(job->w, job->rows, job->columns, ht_dtype_size(job->dtype), &job->w_stride);
    if (!status)
        status = ht_check_matrix(job->out, job->rows, width, prunes ? ht_dtype_size(job->dtype) : 1, &job->out_stride);
    if (status) return status;
    job->shared_taps = opt->shared_taps ? job->taps : 1;
    job->kernel = (ht_nm_mask_kernel *)entry->kernel;
    return HT_OK;
}

// Taps and short rows whose groups and bytes follow each other without a gap are as good as one long row.
static void lengthen_rows(mask_job *job) {
    if (job->shared_rows > 1 || job->shared_taps > 1 || job->tap_columns % job->m) return;
    const size_t out_size = job->purpose == PRUNE ? ht_dtype_size(job->dtype) : 1;
    const size_t out_columns = job->purpose == PRUNE ? job->columns : job->columns / 8;
    const bool has_gaps = job->w_stride > job->columns * ht_dtype_size(job->dtype) ||
                          job->out_stride > out_columns * out_size || job->columns % 8;
    job->taps = 1;
    while (!has_gaps && job->rows % 2 == 0 && job->columns <= PIECE / 2) {
        job->rows /= 2;
        job->columns *= 2;
        job->w_stride *= 2;
        job->out_stride *= 2;
    }
    job->tap_columns = job->columns;
    job->group_rows = job->rows;
}

static ht_status run(mask_job *job, purpose purpose, void *out, size_t out_stride, const ht_options *options) {
    job->purpose = purpose;
    job->out = out;
    job->out_stride = out_stride;
    ht_status status = check(job, options);
    if (status || job->columns == 0 || job->rows == 0) return status;
    lengthen_rows(job);
    size_t sets = job->rows / job->group_rows * sets_of_group(job);
    ht_each_row(mask_rows, job, sets, options ? options->threads : 0);
    return HT_OK;
}

static ht_status run_filters(mask_job *job, const ht_conv_shape *shape, purpose purpose, void *out, size_t out_stride,
                             const ht_options *options) {
    ht_status status = filters_job(shape, job);
    return status ? status : run(job, purpose, out, out_stride, options);
}

// MARK: calls

#define DEFINE(suffix, element, type)                                                                         \
    ht_status ht_nm_mask_##suffix(size_t o, size_t k, size_t n, size_t m, const element *w, size_t w_stride,  \
                                  uint8_t *mask, size_t mask_stride, const ht_options *options) {             \
        mask_job job = matrix_job(o, k, n, m, type, w, w_stride);                                             \
        return run(&job, MASK, mask, mask_stride, options);                                                   \
    }                                                                                                         \
    ht_status ht_nm_prune_##suffix(size_t o, size_t k, size_t n, size_t m, const element *w, size_t w_stride, \
                                   element *pruned, size_t pruned_stride, const ht_options *options) {        \
        mask_job job = matrix_job(o, k, n, m, type, w, w_stride);                                             \
        return run(&job, PRUNE, pruned, pruned_stride, options);                                              \
    }                                                                                                         \
    ht_status ht_nm_conv_mask_##suffix(const ht_conv_shape *shape, size_t n, size_t m, const element *w,      \
                                       size_t w_stride, uint8_t *mask, size_t mask_stride,                    \
                                       const ht_options *options) {                                           \
        mask_job job = matrix_job(0, 0, n, m, type, w, w_stride);                                             \
        return run_filters(&job, shape, MASK, mask, mask_stride, options);                                    \
    }                                                                                                         \
    ht_status ht_nm_conv_prune_##suffix(const ht_conv_shape *shape, size_t n, size_t m, const element *w,     \
                                        size_t w_stride, element *pruned, size_t pruned_stride,               \
                                        const ht_options *options) {                                          \
        mask_job job = matrix_job(0, 0, n, m, type, w, w_stride);                                             \
        return run_filters(&job, shape, PRUNE, pruned, pruned_stride, options);                               \
    }

DEFINE(f32, float, HT_DTYPE_F32)
DEFINE(f16, uint16_t, HT_DTYPE_F16)
DEFINE(bf16, uint16_t, HT_DTYPE_BF16)
DEFINE(i8, int8_t, HT_DTYPE_I8)

ht_status ht_nm_mask_refresh_f32(size_t o, size_t k, size_t n, size_t m, const float *w, size_t w_stride, uint8_t *mask,
                                 size_t mask_stride, size_t *changed, const ht_options *options) {
    mask_job job = matrix_job(o, k, n, m, HT_DTYPE_F32, w, w_stride);
    ht_status status = run(&job, REFRESH, mask, mask_stride, options);
    if (!status && changed) *changed = job.changed;
    return status;
}

ht_status ht_nm_conv_mask_refresh_f32(const ht_conv_shape *shape, size_t n, size_t m, const float *w, size_t w_stride,
                                      uint8_t *mask, size_t mask_stride, size_t *changed, const ht_options *options) {
    mask_job job = matrix_job(0, 0, n, m, HT_DTYPE_F32, w, w_stride);
    ht_status status = run_filters(&job, shape, REFRESH, mask, mask_stride, options);
    if (!status && changed) *changed = job.changed;
    return status;
}
