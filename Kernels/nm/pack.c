// SPDX-License-Identifier: Apache-2.0
// Masks by magnitude, and the way between dense weights and packed blobs.
#include <string.h>

#include "core/threads.h"
#include "kernels.h"

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

static uint64_t lowest_bits(size_t count) { return count < 64 ? ((uint64_t)1 << count) - 1 : ~(uint64_t)0; }

static bool in_mask(const uint8_t *mask, size_t column) { return mask[column / 8] >> column % 8 & 1; }

// The columns of a group that `mask` names, or that are not zero; filled up to n with the lowest that are left.
// More than n stay more than n.
static uint64_t entries(const float *w, const uint8_t *mask, size_t column, size_t count, size_t n) {
    uint64_t chosen = 0;
    for (size_t j = 0; j < count; j++) {
        size_t c = column + j;
        bool in = mask ? in_mask(mask, c) : w[c] != 0;
        chosen |= (uint64_t)in << j;
    }
    for (uint64_t free = ~chosen & lowest_bits(count); free && (size_t)__builtin_popcountll(chosen) < n;
         free &= free - 1)
        chosen |= free & -free;
    return chosen;
}

typedef struct pack_job {
    ht_nm_layout layout;
    const float *w;
    size_t w_stride;
    const uint8_t *mask;
    size_t mask_stride;
    void *packed;
    float *dense;            // of an unpacking or a pruning
    size_t dense_stride;
    uint8_t *bits;           // of a masking
    size_t bits_stride;
} pack_job;

static const float *weights_row(const pack_job *job, size_t row) {
    return (const float *)((const char *)job->w + row * job->w_stride);
}

static const uint8_t *mask_row(const pack_job *job, size_t row) {
    return job->mask ? job->mask + row * job->mask_stride : NULL;
}

// Rows a thread takes at once.
enum { piece_quads = 4, piece_rows = piece_quads * HT_NM_QUAD };

// A matrix without columns can claim any number of rows, which nobody should walk.
static size_t rows_to_walk(const ht_nm_layout *l) { return l->columns ? l->rows : 0; }

static void in_pieces(ht_body *body, pack_job *job, int threads) {
    ht_parallel(body, job, ht_ceil_div(rows_to_walk(&job->layout), piece_rows), ht_resolve_threads(threads));
}

// MARK: mask and prune

static void mask_piece(void *context, size_t piece) {
    const pack_job *job = context;
    const ht_nm_layout *l = &job->layout;
    size_t end = ht_min(l->rows, (piece + 1) * piece_rows);
    for (size_t row = piece * piece_rows; row < end; row++) {
        const float *w = weights_row(job, row);
        uint8_t *bits = job->bits + row * job->bits_stride;
        memset(bits, 0, ht_ceil_div(l->columns, 8));
        for (size_t c = 0; c < l->columns; c += l->m)
            for (uint64_t kept = largest(w + c, ht_min(l->m, l->columns - c), l->n); kept; kept &= kept - 1) {
                size_t column = c + (size_t)__builtin_ctzll(kept);
                bits[column / 8] |= (uint8_t)(1 << column % 8);
            }
    }
}

static void prune_piece(void *context, size_t piece) {
    const pack_job *job = context;
    const ht_nm_layout *l = &job->layout;
    size_t end = ht_min(l->rows, (piece + 1) * piece_rows);
    for (size_t row = piece * piece_rows; row < end; row++) {
        const float *w = weights_row(job, row);
        float *out = (float *)((char *)job->dense + row * job->dense_stride);
        for (size_t c = 0; c < l->columns; c += l->m) {
            size_t count = ht_min(l->m, l->columns - c);
            uint64_t kept = largest(w + c, count, l->n);
            for (size_t j = 0; j < count; j++) out[c + j] = kept >> j & 1 ? w[c + j] : 0;
        }
    }
}

static ht_status check_options(const ht_options *options, int *threads) {
    *threads = options ? options->threads : 0;
    return *threads < 0 ? HT_ERROR_THREADS : HT_OK;
}

// The checks that every call on dense weights shares.
static ht_status start(pack_job *job, size_t o, size_t k, size_t n, size_t m, const float *w, size_t w_stride,
                       const ht_options *options, int *threads) {
    *job = (pack_job){.w = w, .w_stride = w_stride};
    ht_status status = check_options(options, threads);
    if (!status) status = ht_nm_layout_make(o, k, n, m, &job->layout);
    if (!status) status = ht_check_matrix(w, o, k, sizeof *w, &job->w_stride);
    return status;
}

ht_status ht_nm_mask_f32(size_t o, size_t k, size_t n, size_t m, const float *w, size_t w_stride, uint8_t *mask,
                         size_t mask_stride, const ht_options *options) {
    pack_job job;
    int threads;
    ht_status status = start(&job, o, k, n, m, w, w_stride, options, &threads);
    job.bits = mask;
    job.bits_stride = mask_stride;
    if (!status) status = ht_check_matrix(mask, o, ht_ceil_div(k, 8), 1, &job.bits_stride);
    if (!status) in_pieces(mask_piece, &job, threads);
    return status;
}

ht_status ht_nm_prune_f32(size_t o, size_t k, size_t n, size_t m, const float *w, size_t w_stride, float *pruned,
                          size_t pruned_stride, const ht_options *options) {
    pack_job job;
    int threads;
    ht_status status = start(&job, o, k, n, m, w, w_stride, options, &threads);
    job.dense = pruned;
    job.dense_stride = pruned_stride;
    if (!status) status = ht_check_matrix(pruned, o, k, sizeof *pruned, &job.dense_stride);
    if (!status) in_pieces(prune_piece, &job, threads);
    return status;
}

// MARK: pack

// Where one row's slots of one block go.
typedef struct slot_writer {
    const ht_nm_layout *layout;
    float *values;
    uint32_t *indices;
    size_t slot;
} slot_writer;

static void write_slot(slot_writer *out, float value, size_t index) {
    size_t bits = out->layout->index_bits, unit_slots = 32 / bits;
    out->values[out->slot * HT_NM_QUAD] = value;
    out->indices[out->slot / unit_slots * HT_NM_QUAD] |= (uint32_t)index << out->slot % unit_slots * bits;
    out->slot++;
}

static slot_writer writer(const pack_job *job, size_t row, size_t b) {
    const ht_nm_layout *l = &job->layout;
    size_t quad = row / HT_NM_QUAD, lane = row % HT_NM_QUAD;
    return (slot_writer){l, (float *)ht_nm_values(l, job->packed, b, quad) + lane,
                         (uint32_t *)ht_nm_indices(l, job->packed, b, quad) + lane, 0};
}

// `w` may be null: a row of padding below the last.
static void pack_block(const pack_job *job, size_t row, size_t b, const float *w, const uint8_t *mask) {
    const ht_nm_layout *l = &job->layout;
    slot_writer out = writer(job, row, b);
    size_t begin = b * l->block_columns, width = ht_nm_block_width(l, b), slots = ht_nm_block_slots(l, b);
    for (size_t c = 0; w && c < width; c += l->m) {
        uint64_t chosen = entries(w, mask, begin + c, ht_min(l->m, width - c), l->n);
        for (; chosen; chosen &= chosen - 1) {
            size_t column = c + (size_t)__builtin_ctzll(chosen);
            bool filled_up = mask && !in_mask(mask, begin + column);
            write_slot(&out, filled_up ? 0 : w[begin + column],
                       column % (l->window_slots ? l->window : HT_NM_MAX_COLUMNS));
        }
    }
    size_t behind = l->window_slots ? l->window - 1 : width;
    // fma(-0, +0, sum) is sum for every sum; a weight of +0 would turn a sum of -0 into +0.
    while (out.slot < slots) write_slot(&out, -0.0f, behind);
}

static void pack_piece(void *context, size_t piece) {
    const pack_job *job = context;
    const ht_nm_layout *l = &job->layout;
    size_t end = ht_min(l->quads * HT_NM_QUAD, (piece + 1) * piece_rows);
    for (size_t row = piece * piece_rows; row < end; row++) {
        bool real = row < l->rows;
        for (size_t b = 0; b < l->blocks; b++)
            pack_block(job, row, b, real ? weights_row(job, row) : NULL, real ? mask_row(job, row) : NULL);
    }
}

static bool row_fits(const pack_job *job, size_t row) {
    const ht_nm_layout *l = &job->layout;
    for (size_t c = 0; c < l->columns; c += l->m) {
        uint64_t chosen = entries(weights_row(job, row), mask_row(job, row), c, ht_min(l->m, l->columns - c), l->n);
        if ((size_t)__builtin_popcountll(chosen) > l->n) return false;
    }
    return true;
}

ht_status ht_nm_packed_size_f32(size_t o, size_t k, size_t n, size_t m, size_t *size) {
    ht_nm_layout l;
    if (!size) return HT_ERROR_NULL;
    ht_status status = ht_nm_layout_make(o, k, n, m, &l);
    if (!status) *size = l.bytes;
    return status;
}

ht_status ht_nm_pack_f32(size_t o, size_t k, size_t n, size_t m, const float *w, size_t w_stride, const uint8_t *mask,
                         size_t mask_stride, void *packed, size_t packed_size, const ht_options *options) {
    pack_job job;
    int threads;
    ht_status status = start(&job, o, k, n, m, w, w_stride, options, &threads);
    if (status) return status;
    job.mask = mask;
    job.mask_stride = mask_stride;
    job.packed = packed;
    if (mask && (status = ht_check_matrix(mask, o, ht_ceil_div(k, 8), 1, &job.mask_stride))) return status;
    if (!packed) return HT_ERROR_NULL;
    if (!ht_is_aligned(packed, HT_ALIGNMENT)) return HT_ERROR_ALIGNMENT;
    if (packed_size < job.layout.bytes) return HT_ERROR_BUFFER_SIZE;
    for (size_t row = 0; row < rows_to_walk(&job.layout); row++)
        if (!row_fits(&job, row)) return HT_ERROR_NOT_SPARSE;

    ht_blob_header header = {.kind = HT_BLOB_NM,
                             .layout = HT_NM_LAYOUT_VERSION,
                             .dtype = HT_DTYPE_F32,
                             .n = (uint32_t)n,
                             .m = (uint32_t)m,
                             .rows = o,
                             .columns = k,
                             .bytes = job.layout.bytes};
    ht_blob_seal(&header);
    memcpy(packed, &header, sizeof header);
    memset((char *)packed + job.layout.indices, 0, job.layout.bytes - job.layout.indices);
    in_pieces(pack_piece, &job, threads);
    return HT_OK;
}

// MARK: read back

ht_status ht_nm_packed_info(const void *packed, size_t packed_size, ht_nm_info *info) {
    ht_nm_layout l;
    if (!info) return HT_ERROR_NULL;
    ht_status status = ht_nm_layout_open(packed, packed_size, &l);
    if (!status) *info = (ht_nm_info){l.rows, l.columns, l.n, l.m, l.bytes};
    return status;
}

static void unpack_piece(void *context, size_t piece) {
    const pack_job *job = context;
    const ht_nm_layout *l = &job->layout;
    size_t end = ht_min(l->rows, (piece + 1) * piece_rows);
    for (size_t row = piece * piece_rows; row < end; row++) {
        float *out = (float *)((char *)job->dense + row * job->dense_stride);
        memset(out, 0, l->columns * sizeof *out);
        for (size_t b = 0; b < l->blocks; b++) {
            slot_writer in = writer(job, row, b);
            for (size_t s = 0; s < ht_nm_block_slots(l, b); s++) {
                size_t column = ht_nm_slot_column(l, in.indices, 0, s);
                if (column < ht_nm_block_width(l, b)) out[b * l->block_columns + column] = in.values[s * HT_NM_QUAD];
            }
        }
    }
}

ht_status ht_nm_unpack_f32(size_t o, size_t k, const void *packed, size_t packed_size, float *w, size_t w_stride,
                           const ht_options *options) {
    pack_job job = {.packed = (void *)packed, .dense = w, .dense_stride = w_stride};
    int threads;
    ht_status status = check_options(options, &threads);
    if (!status) status = ht_nm_layout_open(packed, packed_size, &job.layout);
    if (!status && (job.layout.rows != o || job.layout.columns != k)) status = HT_ERROR_BLOB_SHAPE;
    if (!status) status = ht_check_matrix(w, o, k, sizeof *w, &job.dense_stride);
    if (!status) in_pieces(unpack_piece, &job, threads);
    return status;
}

// What the packer would write into this row of this block, given the entries that are there.
static bool block_is_sound(const pack_job *job, size_t row, size_t b) {
    const ht_nm_layout *l = &job->layout;
    slot_writer in = writer(job, row, b);
    size_t width = ht_nm_block_width(l, b), slots = ht_nm_block_slots(l, b), s = 0;
    for (size_t c = 0; row < l->rows && c < width; c += l->m) {
        size_t count = ht_min(l->m, width - c), from = c;
        for (size_t i = 0; i < ht_min(l->n, count); i++, s++) {
            size_t column = ht_nm_slot_column(l, in.indices, 0, s);
            if (column < from || column >= c + count) return false;
            from = column + 1;
        }
    }
    for (; s < slots; s++)
        if (in.values[s * HT_NM_QUAD] != 0) return false;
    return true;
}

ht_status ht_nm_packed_check(const void *packed, size_t packed_size) {
    pack_job job = {.packed = (void *)packed};
    ht_status status = ht_nm_layout_open(packed, packed_size, &job.layout);
    if (status) return status;
    size_t rows = ht_round_up(rows_to_walk(&job.layout), HT_NM_QUAD);
    for (size_t row = 0; row < rows; row++)
        for (size_t b = 0; b < job.layout.blocks; b++)
            if (!block_is_sound(&job, row, b)) return HT_ERROR_BLOB_CORRUPT;
    return HT_OK;
}
