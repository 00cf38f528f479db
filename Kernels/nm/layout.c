// SPDX-License-Identifier: Apache-2.0
#include "layout.h"

// Kernels fetch the index words of the next unit early, so there are a few more bytes to read behind the last.
enum { tail_padding = 64 };

// Slots of a row in a block of `columns` columns.
static size_t slots_of(const ht_nm_layout *l, size_t columns) {
    size_t tail = columns % l->m;
    size_t slots = columns / l->m * l->n + ht_min(l->n, tail);
    return ht_round_up(slots, HT_NM_STEP);
}

static bool is_power_of_two(size_t n) { return (n & (n - 1)) == 0; }

// The narrowest index that a specialised kernel can decode: 1, 2, 4 or 8 slots a window, at most half of its columns.
// A pattern N:M is also cN:cM, so 1:2 takes the way of 2:4, and 4:8 that of 8:16.
static void choose_index(ht_nm_layout *l) {
    for (size_t window = 4, bits = 2; window <= 16; window *= 4, bits += 2) {
        size_t slots = l->n * (window / l->m);
        if (window % l->m || slots * 2 > window || !is_power_of_two(slots)) continue;
        l->index_bits = bits;
        l->window = window;
        l->window_slots = slots;
        // A panel of the block's columns fills two thirds of a 48 KB L1: 64 floats wide at density 1/2, else 32.
        l->block_columns = slots * 2 >= window ? 128 : HT_NM_MAX_COLUMNS;
        return;
    }
    l->index_bits = 8;
    l->window_slots = 0;
    // One column is left over: padding slots point at the zero that follows the block's last column.
    l->window = l->block_columns = (HT_NM_MAX_COLUMNS - 1) / l->m * l->m;
}

ht_status ht_nm_layout_make(size_t rows, size_t columns, size_t n, size_t m, ht_nm_layout *l) {
    if (!ht_nm_is_pattern(n, m)) return HT_ERROR_PATTERN;
    *l = (ht_nm_layout){.rows = rows, .columns = columns, .n = n, .m = m};
    choose_index(l);
    l->blocks = ht_ceil_div(columns, l->block_columns);
    l->quads = ht_ceil_div(rows, HT_NM_QUAD);
    l->block_slots = slots_of(l, l->block_columns);
    l->last_slots = l->blocks ? slots_of(l, ht_nm_block_width(l, l->blocks - 1)) : 0;

    // Upper bounds that do not wrap stand for the exact sizes below, which are smaller.
    size_t bound;
    if (!ht_mul(l->blocks, l->block_slots, &bound) || !ht_mul(bound, 2 * sizeof(float) * HT_NM_QUAD, &bound) ||
        !ht_mul(bound, l->quads, &bound) || bound > PTRDIFF_MAX / 2)
        return HT_ERROR_OVERFLOW;
    size_t full = l->blocks ? l->blocks - 1 : 0;
    size_t slots = full * l->block_slots + l->last_slots;
    size_t units = full * ht_nm_units(l, l->block_slots) + ht_nm_units(l, l->last_slots);
    l->values = sizeof(ht_blob_header);
    l->indices = l->values + slots * l->quads * HT_NM_QUAD * sizeof(float);
    l->bytes = ht_round_up(l->indices + units * l->quads * HT_NM_UNIT_BYTES, HT_ALIGNMENT) + tail_padding;
    return HT_OK;
}

ht_status ht_nm_layout_open(const void *packed, size_t size, ht_nm_layout *l) {
    ht_blob_header header;
    ht_status status = ht_blob_open(packed, size, HT_BLOB_NM, HT_DTYPE_F32, &header);
    if (status) return status;
    if (header.layout != HT_NM_LAYOUT_VERSION) return HT_ERROR_BLOB_VERSION;
    if (header.rows > SIZE_MAX || header.columns > SIZE_MAX) return HT_ERROR_BLOB_CORRUPT;
    if (ht_nm_layout_make((size_t)header.rows, (size_t)header.columns, header.n, header.m, l))
        return HT_ERROR_BLOB_CORRUPT;
    return l->bytes == header.bytes ? HT_OK : HT_ERROR_BLOB_CORRUPT;
}
