// SPDX-License-Identifier: Apache-2.0
// From a packed blob back to what it holds.
#include <string.h>

#include "core/threads.h"
#include "layout.h"

typedef struct unpack_job {
    ht_nm_layout layout;
    const void *packed;
    float *w;
    size_t w_stride;
} unpack_job;

// One row's slots of one block.
typedef struct slot_reader {
    const ht_nm_layout *layout;
    const float *values;
    const uint32_t *indices;
} slot_reader;

static slot_reader reader(const unpack_job *job, size_t row, size_t b) {
    const ht_nm_layout *l = &job->layout;
    size_t quad = row / HT_NM_QUAD, lane = row % HT_NM_QUAD;
    return (slot_reader){l, ht_nm_values(l, job->packed, b, quad) + lane,
                         ht_nm_indices(l, job->packed, b, quad) + lane};
}

static size_t slot_column(const slot_reader *in, size_t slot) {
    return ht_nm_slot_column(in->layout, in->indices, 0, slot);
}

static float slot_value(const slot_reader *in, size_t slot) { return in->values[slot * HT_NM_QUAD]; }

ht_status ht_nm_packed_info(const void *packed, size_t packed_size, ht_nm_info *info) {
    ht_nm_layout l;
    if (!info) return HT_ERROR_NULL;
    ht_status status = ht_nm_layout_open(packed, packed_size, &l);
    if (!status) *info = (ht_nm_info){l.rows, l.columns, l.n, l.m, l.bytes};
    return status;
}

static void unpack_row(void *context, size_t row) {
    const unpack_job *job = context;
    const ht_nm_layout *l = &job->layout;
    float *w = (float *)((char *)job->w + row * job->w_stride);
    memset(w, 0, l->columns * sizeof *w);
    for (size_t b = 0; b < l->blocks; b++) {
        slot_reader in = reader(job, row, b);
        for (size_t s = 0; s < ht_nm_block_slots(l, b); s++) {
            size_t column = slot_column(&in, s);
            if (column < ht_nm_block_width(l, b)) w[b * l->block_columns + column] = slot_value(&in, s);
        }
    }
}

ht_status ht_nm_unpack_f32(size_t o, size_t k, const void *packed, size_t packed_size, float *w, size_t w_stride,
                           const ht_options *options) {
    unpack_job job = {.packed = packed, .w = w, .w_stride = w_stride};
    int threads = options ? options->threads : 0;
    if (threads < 0) return HT_ERROR_THREADS;
    ht_status status = ht_nm_layout_open(packed, packed_size, &job.layout);
    if (!status && (job.layout.rows != o || job.layout.columns != k)) status = HT_ERROR_BLOB_SHAPE;
    if (!status) status = ht_check_matrix(w, o, k, sizeof *w, &job.w_stride);
    if (!status && job.layout.blocks) ht_each_row(unpack_row, &job, o, threads);
    return status;
}

// Whether a packer could have written this row of this block.
static bool block_is_sound(const unpack_job *job, size_t row, size_t b) {
    const ht_nm_layout *l = &job->layout;
    slot_reader in = reader(job, row, b);
    size_t width = ht_nm_block_width(l, b), slots = ht_nm_block_slots(l, b), s = 0;
    for (size_t c = 0; row < l->rows && c < width; c += l->m) {
        size_t count = ht_min(l->m, width - c), from = c;
        for (size_t i = 0; i < ht_min(l->n, count); i++, s++) {
            size_t column = slot_column(&in, s);
            if (column < from || column >= c + count) return false;
            from = column + 1;
        }
    }
    for (; s < slots; s++)
        if (slot_value(&in, s) != 0) return false;
    return true;
}

ht_status ht_nm_packed_check(const void *packed, size_t packed_size) {
    unpack_job job = {.packed = packed};
    ht_status status = ht_nm_layout_open(packed, packed_size, &job.layout);
    if (status) return status;
    const ht_nm_layout *l = &job.layout;
    for (size_t row = 0; l->blocks && row < l->quads * HT_NM_QUAD; row++)
        for (size_t b = 0; b < l->blocks; b++)
            if (!block_is_sound(&job, row, b)) return HT_ERROR_BLOB_CORRUPT;
    return HT_OK;
}
