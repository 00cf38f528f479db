// SPDX-License-Identifier: Apache-2.0
// From dense weights to a packed blob.
#include <string.h>

#include "core/threads.h"
#include "element.h"
#include "layout.h"

typedef struct pack_job {
    ht_nm_layout layout;
    const void *w;
    size_t w_stride;
    const uint8_t *mask;     // null: the entries are the weights that are not zero
    size_t mask_stride;
    void *packed;
} pack_job;

static const void *weights_row(const pack_job *job, size_t row) { return (const char *)job->w + row * job->w_stride; }

static bool in_mask(const pack_job *job, size_t row, size_t column) {
    return job->mask[row * job->mask_stride + column / 8] >> column % 8 & 1;
}

static bool is_entry(const pack_job *job, size_t row, size_t column) {
    return job->mask ? in_mask(job, row, column)
                     : ht_nm_magnitude(job->layout.dtype, weights_row(job, row), column) != 0;
}

static uint64_t lowest_bits(size_t count) { return count < 64 ? ((uint64_t)1 << count) - 1 : ~(uint64_t)0; }

// The columns of a group that are an entry of any row that shares its pattern with `row`; filled up to n with the
// lowest that are left. More than n stay more than n.
static uint64_t entries(const pack_job *job, size_t row, size_t column, size_t count) {
    const ht_nm_layout *l = &job->layout;
    uint64_t chosen = 0;
    size_t begin = row / l->shared_rows * l->shared_rows, end = ht_min(l->rows, begin + l->shared_rows);
    for (size_t r = begin; r < end; r++)
        for (size_t j = 0; j < count; j++) chosen |= (uint64_t)is_entry(job, r, column + j) << j;
    for (uint64_t free = ~chosen & lowest_bits(count); free && (size_t)__builtin_popcountll(chosen) < l->n;
         free &= free - 1)
        chosen |= free & -free;
    return chosen;
}

// Where one row's slots of one block go.
typedef struct slot_writer {
    const ht_nm_layout *layout;
    void *values;
    uint8_t *indices;
    size_t lane;             // of the row in its bundle
    size_t width;            // columns of the block; of a row behind the last, which is all padding, none
    size_t slot;             // the next
} slot_writer;

// Rows that share a field would all write the same, so the first of them does.
static bool writes_fields(const slot_writer *out) { return out->lane % out->layout->index_share == 0; }

static void write_bits(slot_writer *out, uint32_t bits) {
    const ht_nm_layout *l = out->layout;
    uint8_t *field =
        out->indices + out->slot / l->unit_slots * ht_nm_unit_bytes(l) + out->lane / l->index_share * l->field_bytes;
    for (size_t i = 0; i < l->field_bytes; i++) field[i] |= (uint8_t)(bits >> 8 * i);
}

// `column` counts in the block.
static void write_slot(slot_writer *out, const void *value, size_t column) {
    const ht_nm_layout *l = out->layout;
    size_t index = column % l->window;
    uint32_t bits =
        l->code == HT_NM_CODE_MAP ? (uint32_t)1 << index : (uint32_t)index << out->slot % l->unit_slots * l->index_bits;
    memcpy((void *)ht_nm_value(l, out->values, out->lane, out->slot), value, l->value_bytes);
    if (writes_fields(out)) write_bits(out, bits);
    out->slot++;
}

// A weight that changes no sum: fma(-0, +0, sum) is sum for every sum; +0 would turn a sum of -0 into +0.
static const void *padding(const ht_nm_layout *l) {
    static const float minus_zero = -0.0f;
    static const uint16_t minus_zero_16 = 0x8000;
    static const int8_t zero = 0;
    return l->value_bytes == 4 ? (const void *)&minus_zero : l->value_bytes == 2 ? (const void *)&minus_zero_16 : &zero;
}

// Slots up to `end` that no entry fills. They point behind the columns, where X is zero: a map takes a column for each,
// an index the last of the window, or the one behind the block. (Inside a row of bytes, where a window's slots are
// rounded up, and in rows behind the last any column will do.)
static void write_padding(slot_writer *out, size_t end) {
    const ht_nm_layout *l = out->layout;
    size_t behind = out->width;
    while (out->slot < end) {
        size_t first = out->slot / l->unit_slots * HT_NM_MAP_COLUMNS;
        if (l->code == HT_NM_CODE_MAP)
            behind = behind < first ? first : behind;
        else
            behind = l->window_slots ? l->window - 1 : out->width;
        write_slot(out, padding(l), l->code == HT_NM_CODE_MAP ? behind++ : behind);
    }
}

static slot_writer writer(const pack_job *job, size_t row, size_t b) {
    const ht_nm_layout *l = &job->layout;
    size_t bundle = row / l->together;
    return (slot_writer){l,
                         (void *)ht_nm_values(l, job->packed, b, bundle),
                         (uint8_t *)ht_nm_indices(l, job->packed, b, bundle),
                         row % l->together,
                         row < l->rows ? ht_nm_block_width(l, b) : 0,
                         0};
}

static void pack_group(const pack_job *job, slot_writer *out, size_t row, size_t b, size_t c) {
    const ht_nm_layout *l = &job->layout;
    static const uint32_t zero = 0;
    size_t begin = b * l->block_columns;
    for (uint64_t chosen = entries(job, row, begin + c, ht_min(l->m, out->width - c)); chosen; chosen &= chosen - 1) {
        size_t column = c + (size_t)__builtin_ctzll(chosen);
        bool filled_up = job->mask && !in_mask(job, row, begin + column);
        const char *w = (const char *)weights_row(job, row) + (begin + column) * l->value_bytes;
        write_slot(out, filled_up ? (const void *)&zero : w, column);
    }
}

static void pack_block(const pack_job *job, size_t row, size_t b) {
    const ht_nm_layout *l = &job->layout;
    slot_writer out = writer(job, row, b);
    for (size_t c = 0; c < out.width; c += l->m) {
        write_padding(&out, ht_nm_group_slot(l, c));
        pack_group(job, &out, row, b, c);
    }
    write_padding(&out, ht_nm_block_slots(l, b));
}

static void pack_row(void *context, size_t row) {
    const pack_job *job = context;
    for (size_t b = 0; b < job->layout.blocks; b++) pack_block(job, row, b);
}

static bool row_fits(const pack_job *job, size_t row) {
    const ht_nm_layout *l = &job->layout;
    for (size_t c = 0; c < l->columns; c += l->m)
        if ((size_t)__builtin_popcountll(entries(job, row, c, ht_min(l->m, l->columns - c))) > l->n) return false;
    return true;
}

static bool all_fit(const pack_job *job) {
    for (size_t row = 0; job->layout.blocks && row < job->layout.rows; row += job->layout.shared_rows)
        if (!row_fits(job, row)) return false;
    return true;
}

static void write_header(const pack_job *job) {
    const ht_nm_layout *l = &job->layout;
    ht_blob_header header = {.kind = HT_BLOB_NM,
                             .layout = HT_NM_LAYOUT_VERSION,
                             .dtype = (uint16_t)l->dtype,
                             .n = (uint32_t)l->n,
                             .m = (uint32_t)l->m,
                             .rows = l->rows,
                             .columns = l->columns,
                             .bytes = l->bytes,
                             .shared_rows = (uint32_t)l->shared_rows};
    ht_blob_seal(&header);
    memcpy(job->packed, &header, sizeof header);
}

ht_status ht_nm_packed_size(size_t o, size_t k, size_t n, size_t m, ht_dtype dtype, const ht_options *options,
                            size_t *size) {
    ht_nm_layout l;
    size_t shared_rows;
    if (!size) return HT_ERROR_NULL;
    ht_status status = ht_nm_shared_rows(options, &shared_rows);
    if (!status) status = ht_nm_layout_make(o, k, n, m, dtype, shared_rows, &l);
    if (!status) *size = l.bytes;
    return status;
}

static ht_status check(pack_job *job, size_t packed_size) {
    const ht_nm_layout *l = &job->layout;
    ht_status status = ht_check_matrix(job->w, l->rows, l->columns, l->value_bytes, &job->w_stride);
    if (!status && job->mask)
        status = ht_check_matrix(job->mask, l->rows, ht_ceil_div(l->columns, 8), 1, &job->mask_stride);
    if (status) return status;
    if (!job->packed) return HT_ERROR_NULL;
    if (!ht_is_aligned(job->packed, HT_ALIGNMENT)) return HT_ERROR_ALIGNMENT;
    if (packed_size < l->bytes) return HT_ERROR_BUFFER_SIZE;
    return all_fit(job) ? HT_OK : HT_ERROR_NOT_SPARSE;
}

static ht_status pack(pack_job *job, size_t o, size_t k, size_t n, size_t m, ht_dtype dtype, size_t packed_size,
                      const ht_options *options) {
    ht_nm_layout *l = &job->layout;
    size_t shared_rows;
    if (options && options->threads < 0) return HT_ERROR_THREADS;
    ht_status status = ht_nm_shared_rows(options, &shared_rows);
    if (!status) status = ht_nm_layout_make(o, k, n, m, dtype, shared_rows, l);
    if (!status) status = check(job, packed_size);
    if (status) return status;
    write_header(job);
    memset((char *)job->packed + l->indices, 0, l->bytes - l->indices);
    if (l->blocks) ht_each_row(pack_row, job, l->bundles * l->together, options ? options->threads : 0);
    return HT_OK;
}

#define DEFINE(suffix, element, dtype)                                                                             \
    ht_status ht_nm_pack_##suffix(size_t o, size_t k, size_t n, size_t m, const element *w, size_t w_stride,       \
                                  const uint8_t *mask, size_t mask_stride, void *packed, size_t packed_size,       \
                                  const ht_options *options) {                                                     \
        pack_job job = {.w = w, .w_stride = w_stride, .mask = mask, .mask_stride = mask_stride, .packed = packed}; \
        return pack(&job, o, k, n, m, dtype, packed_size, options);                                                \
    }

DEFINE(f32, float, HT_DTYPE_F32)
DEFINE(f16, uint16_t, HT_DTYPE_F16)
DEFINE(bf16, uint16_t, HT_DTYPE_BF16)
DEFINE(i8, int8_t, HT_DTYPE_I8)
