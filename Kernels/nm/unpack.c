// SPDX-License-Identifier: Apache-2.0
// From a packed blob back to what it holds.
#include <string.h>

#include "core/threads.h"
#include "element.h"
#include "halftone/nm_gradient.h"
#include "layout.h"

typedef struct unpack_job {
    ht_nm_layout layout;
    const void *packed;
    char *w;
    size_t w_stride;
} unpack_job;

// One row's slots of one block.
typedef struct slot_reader {
    const ht_nm_layout *layout;
    const void *values;
    const uint8_t *indices;
    size_t lane;             // of the row in its bundle
} slot_reader;

static slot_reader reader(const unpack_job *job, size_t row, size_t b) {
    const ht_nm_layout *l = &job->layout;
    size_t bundle = row / l->together;
    return (slot_reader){l, ht_nm_values(l, job->packed, b, bundle), ht_nm_indices(l, job->packed, b, bundle),
                         row % l->together};
}

static size_t slot_column(const slot_reader *in, size_t slot) {
    return ht_nm_slot_column(in->layout, in->indices, in->lane, slot);
}

static const void *slot_value(const slot_reader *in, size_t slot) {
    return ht_nm_value(in->layout, in->values, in->lane, slot);
}

ht_status ht_nm_packed_info(const void *packed, size_t packed_size, ht_nm_info *info) {
    ht_nm_layout l;
    if (!info) return HT_ERROR_NULL;
    ht_status status = ht_nm_layout_open(packed, packed_size, &l);
    if (!status)
        *info = (ht_nm_info){.o = l.rows,
                             .k = l.of.taps * l.of.tap_columns,
                             .n = l.n,
                             .m = l.m,
                             .bytes = l.bytes,
                             .dtype = l.dtype,
                             .shared_rows = (int)l.shared_rows,
                             .shared_taps = l.of.shared_taps};
    return status;
}

static void unpack_block(const unpack_job *job, size_t row, size_t b) {
    const ht_nm_layout *l = &job->layout;
    slot_reader in = reader(job, row, b);
    size_t width = ht_nm_block_width(l, b), begin = b * l->block_columns;
    char *w = job->w + row * job->w_stride;
    for (size_t c = 0; c < width; c += l->m)
        for (size_t i = 0; i < ht_min(l->n, ht_nm_group_columns(l, begin + c)); i++) {
            size_t slot = ht_nm_group_slot(l, c) + i, column = slot_column(&in, slot);
            if (column >= width) continue;
            const ht_nm_segment at = ht_nm_segment_at(l, begin + column, begin + width);
            if (at.present)
                memcpy(w + (at.tap * l->of.tap_columns + at.place) * l->value_bytes, slot_value(&in, slot),
                       l->value_bytes);
        }
}

static void unpack_row(void *context, size_t row) {
    const unpack_job *job = context;
    const ht_nm_layout *l = &job->layout;
    memset(job->w + row * job->w_stride, 0, l->of.taps * l->of.tap_columns * l->value_bytes);
    for (size_t b = 0; b < l->blocks; b++) unpack_block(job, row, b);
}

ht_status ht_nm_unpack(size_t o, size_t k, const void *packed, size_t packed_size, void *w, size_t w_stride,
                       const ht_options *options) {
    unpack_job job = {.packed = packed, .w = w, .w_stride = w_stride};
    int threads = options ? options->threads : 0;
    if (threads < 0) return HT_ERROR_THREADS;
    ht_status status = ht_nm_layout_open(packed, packed_size, &job.layout);
    if (!status && !ht_nm_is_forward(job.layout.of.kind)) status = HT_ERROR_BLOB_FOREIGN;
    if (!status && (job.layout.rows != o || job.layout.of.taps * job.layout.of.tap_columns != k))
        status = HT_ERROR_BLOB_SHAPE;
    if (!status) status = ht_check_matrix(w, o, k, job.layout.value_bytes, &job.w_stride);
    if (!status && job.layout.blocks) ht_each_row(unpack_row, &job, o, threads);
    return status;
}

ht_status ht_nm_row_entries(const void *packed, size_t packed_size, size_t *entries) {
    ht_nm_layout l;
    if (!entries) return HT_ERROR_NULL;
    ht_status status = ht_nm_layout_open_product(packed, packed_size, &l);
    if (!status) *entries = ht_nm_entries(&l);
    return status;
}

ht_status ht_nm_entry_columns(size_t o, size_t k, const void *packed, size_t packed_size, uint32_t *columns,
                              size_t columns_stride) {
    ht_nm_layout l;
    ht_status status = ht_nm_layout_open_product(packed, packed_size, &l);
    if (!status && (l.rows != o || l.columns != k)) status = HT_ERROR_BLOB_SHAPE;
    if (!status) status = ht_check_matrix(columns, o, ht_nm_entries(&l), sizeof *columns, &columns_stride);
    if (!status && k > UINT32_MAX) status = HT_ERROR_OVERFLOW;
    // Callers address memory with these numbers.
    if (!status) status = ht_nm_packed_check(packed, packed_size);
    // Rows without entries are not walked: a header may claim any number of them.
    for (size_t row = 0; !status && l.blocks && row < o; row++)
        for (size_t e = 0; e < ht_nm_entries(&l); e++)
            ((uint32_t *)((char *)columns + row * columns_stride))[e] =
                (uint32_t)ht_nm_entry_column(&l, packed, row, e);
    return status;
}

// Whether slots from ..< to change no sum.
static bool are_padding(const slot_reader *in, size_t from, size_t to) {
    for (size_t slot = from; slot < to; slot++)
        if (ht_nm_magnitude(in->layout->dtype, slot_value(in, slot), 0) != 0) return false;
    return true;
}

// Whether a map has a bit for each slot and no other.
static bool has_full_maps(const slot_reader *in, size_t slots) {
    const ht_nm_layout *l = in->layout;
    for (size_t unit = 0; l->code == HT_NM_CODE_MAP && unit * l->unit_slots < slots; unit++) {
        size_t bits = (size_t)__builtin_popcount(ht_nm_field(l, in->indices, in->lane, unit));
        if (bits != ht_min(l->unit_slots, slots - unit * l->unit_slots)) return false;
    }
    return true;
}

// Whether a packer could have written this row of this block.
static bool block_is_sound(const unpack_job *job, size_t row, size_t b) {
    const ht_nm_layout *l = &job->layout;
    slot_reader in = reader(job, row, b);
    size_t width = ht_nm_block_width(l, b), slots = ht_nm_block_slots(l, b), slot = 0;
    for (size_t c = 0; row < l->rows && c < width; c += l->m) {
        size_t count = ht_nm_group_columns(l, b * l->block_columns + c), from = c, first = ht_nm_group_slot(l, c);
        if (!are_padding(&in, slot, first)) return false;
        for (slot = first; slot < first + ht_min(l->n, count); slot++) {
            size_t column = slot_column(&in, slot);
            if (column < from || column >= c + count) return false;
            from = column + 1;
        }
    }
    return are_padding(&in, slot, slots) && has_full_maps(&in, slots);
}

static ht_status check_permutation(const ht_nm_layout *l, const void *packed) {
    if (!l->permutation) return HT_OK;
    ht_status status =
        ht_check_permutation((const uint32_t *)((const char *)packed + l->permutation), l->of.tap_columns, 0);
    return status == HT_ERROR_PERMUTATION ? HT_ERROR_BLOB_CORRUPT : status;
}

// The origin of entry e of a column of a transposable blob.
static uint8_t origin_at(const ht_nm_layout *l, const ht_nm_layout *turned, const void *packed, size_t column,
                         size_t e) {
    size_t group = e / l->n * l->m, b = group / turned->block_columns;
    size_t slot = ht_nm_group_slot(turned, group % turned->block_columns) + e % l->n;
    return ht_nm_origins(l, turned, packed, b, column / HT_NM_QUAD)[slot * HT_NM_QUAD + column % HT_NM_QUAD];
}

// Of a row and column the origin that a packer writes.
static uint8_t expected_origin(const ht_nm_layout *l, const void *packed, size_t row, size_t column) {
    size_t entries = ht_min(l->n, ht_nm_group_columns(l, column / l->m * l->m));
    for (size_t rank = 0; rank < entries; rank++)
        if (ht_nm_entry_column(l, packed, row, column / l->m * l->n + rank) == column)
            return ht_nm_origin(l, row, rank);
    return HT_NM_ZERO_ORIGIN;
}

static bool blocks_are_sound(const unpack_job *job) {
    const ht_nm_layout *l = &job->layout;
    for (size_t row = 0; l->blocks && row < l->bundles * l->together; row++)
        for (size_t b = 0; b < l->blocks; b++)
            if (!block_is_sound(job, row, b)) return false;
    return true;
}

// `turned` are the backward weights that were taken out of the blob.
static bool origins_are_sound(const ht_nm_layout *l, const unpack_job *turned, const void *packed) {
    for (size_t column = 0; column < turned->layout.rows; column++)
        for (size_t e = 0; e < ht_nm_entries(&turned->layout); e++) {
            size_t row = ht_nm_entry_column(&turned->layout, turned->packed, column, e);
            if (origin_at(l, &turned->layout, packed, column, e) != expected_origin(l, packed, row, column))
                return false;
        }
    return true;
}

static ht_status check_turned(const ht_nm_layout *l, const void *packed) {
    unpack_job turned = {0};
    if (l->of.kind != HT_BLOB_NM_TRANSPOSABLE) return HT_OK;
    ht_status status = ht_nm_turned_layout(l, &turned.layout);
    void *memory = status ? NULL : ht_allocate(turned.layout.bytes);
    if (!memory) return status ? status : HT_ERROR_MEMORY;
    ht_nm_turn(&turned.layout, packed, memory, 1);
    turned.packed = memory;
    bool sound = blocks_are_sound(&turned) && origins_are_sound(l, &turned, packed);
    ht_free(memory);
    return sound ? HT_OK : HT_ERROR_BLOB_CORRUPT;
}

static ht_status check_second(const ht_nm_layout *l, const void *packed) {
    unpack_job second = {.packed = packed};
    if (!l->of.branches) return HT_OK;
    ht_status status = ht_nm_second_layout(l, packed, &second.layout);
    return status || blocks_are_sound(&second) ? status : HT_ERROR_BLOB_CORRUPT;
}

ht_status ht_nm_packed_check(const void *packed, size_t packed_size) {
    unpack_job job = {.packed = packed};
    ht_status status = ht_nm_layout_open(packed, packed_size, &job.layout);
    if (status) return status;
    if (!blocks_are_sound(&job)) return HT_ERROR_BLOB_CORRUPT;
    status = check_permutation(&job.layout, packed);
    if (!status) status = check_second(&job.layout, packed);
    return status ? status : check_turned(&job.layout, packed);
}
