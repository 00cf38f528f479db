// SPDX-License-Identifier: Apache-2.0
// From dense weights to a packed blob.
#include <string.h>

#include "core/threads.h"
#include "layout.h"

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
    const uint8_t *mask;     // null: the entries are the weights that are not zero
    size_t mask_stride;
    void *packed;
} pack_job;

static const float *weights_row(const pack_job *job, size_t row) {
    return (const float *)((const char *)job->w + row * job->w_stride);
}

static const uint8_t *mask_row(const pack_job *job, size_t row) {
    return job->mask ? job->mask + row * job->mask_stride : NULL;
}

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

static void pack_row(void *context, size_t row) {
    const pack_job *job = context;
    const ht_nm_layout *l = &job->layout;
    bool real = row < l->rows;
    for (size_t b = 0; b < l->blocks; b++)
        pack_block(job, row, b, real ? weights_row(job, row) : NULL, real ? mask_row(job, row) : NULL);
}

static bool row_fits(const pack_job *job, size_t row) {
    const ht_nm_layout *l = &job->layout;
    for (size_t c = 0; c < l->columns; c += l->m) {
        uint64_t chosen = entries(weights_row(job, row), mask_row(job, row), c, ht_min(l->m, l->columns - c), l->n);
        if ((size_t)__builtin_popcountll(chosen) > l->n) return false;
    }
    return true;
}

static bool all_fit(const pack_job *job) {
    for (size_t row = 0; job->layout.blocks && row < job->layout.rows; row++)
        if (!row_fits(job, row)) return false;
    return true;
}

static void write_header(const pack_job *job) {
    const ht_nm_layout *l = &job->layout;
    ht_blob_header header = {.kind = HT_BLOB_NM,
                             .layout = HT_NM_LAYOUT_VERSION,
                             .dtype = HT_DTYPE_F32,
                             .n = (uint32_t)l->n,
                             .m = (uint32_t)l->m,
                             .rows = l->rows,
                             .columns = l->columns,
                             .bytes = l->bytes};
    ht_blob_seal(&header);
    memcpy(job->packed, &header, sizeof header);
}

ht_status ht_nm_packed_size_f32(size_t o, size_t k, size_t n, size_t m, size_t *size) {
    ht_nm_layout l;
    if (!size) return HT_ERROR_NULL;
    ht_status status = ht_nm_layout_make(o, k, n, m, &l);
    if (!status) *size = l.bytes;
    return status;
}

static ht_status check(pack_job *job, size_t o, size_t k, size_t n, size_t m, size_t packed_size,
                       const ht_options *options) {
    if (options && options->threads < 0) return HT_ERROR_THREADS;
    ht_status status = ht_nm_layout_make(o, k, n, m, &job->layout);
    if (!status) status = ht_check_matrix(job->w, o, k, sizeof *job->w, &job->w_stride);
    if (!status && job->mask) status = ht_check_matrix(job->mask, o, ht_ceil_div(k, 8), 1, &job->mask_stride);
    if (status) return status;
    if (!job->packed) return HT_ERROR_NULL;
    if (!ht_is_aligned(job->packed, HT_ALIGNMENT)) return HT_ERROR_ALIGNMENT;
    if (packed_size < job->layout.bytes) return HT_ERROR_BUFFER_SIZE;
    return all_fit(job) ? HT_OK : HT_ERROR_NOT_SPARSE;
}

ht_status ht_nm_pack_f32(size_t o, size_t k, size_t n, size_t m, const float *w, size_t w_stride, const uint8_t *mask,
                         size_t mask_stride, void *packed, size_t packed_size, const ht_options *options) {
    pack_job job = {.w = w, .w_stride = w_stride, .mask = mask, .mask_stride = mask_stride, .packed = packed};
    ht_status status = check(&job, o, k, n, m, packed_size, options);
    if (status) return status;
    const ht_nm_layout *l = &job.layout;
    write_header(&job);
    memset((char *)packed + l->indices, 0, l->bytes - l->indices);
    if (l->blocks) ht_each_row(pack_row, &job, l->quads * HT_NM_QUAD, options ? options->threads : 0);
    return HT_OK;
}
