// SPDX-License-Identifier: Apache-2.0
// How a packed N:M matrix lies in memory; README.md has the picture.
#ifndef HT_NM_LAYOUT_H
#define HT_NM_LAYOUT_H

#include "core/blob.h"
#include "core/memory.h"
#include "halftone/nm.h"

enum {
    HT_NM_QUAD = 4,             // rows whose weights are interleaved; four quads make a strip of 16 rows
    HT_NM_STEP = 4,             // slots that one 64-byte vector of a quad holds
    HT_NM_UNIT_BYTES = 16,      // one 32-bit index word for each row of a quad
    HT_NM_MAX_COLUMNS = 256,    // of a block, padding included
    HT_NM_LAYOUT_VERSION = 1
};

/// Everything that follows from rows, columns and pattern.
///
/// The columns are cut into blocks, and each row keeps the same number of slots in a block; a slot is a weight and its
/// index. The index counts columns inside a window: index_bits = 2: of 4 columns, 4: of 16, 8: the block.
typedef struct ht_nm_layout {
    size_t rows, columns, n, m;
    size_t index_bits;
    size_t window;               // columns
    size_t window_slots;         // slots of a window; 0 when the window is the block
    size_t block_columns;        // of every block but the last, which may be shorter
    size_t blocks;
    size_t block_slots;          // of a row in a full block; a multiple of HT_NM_STEP
    size_t last_slots;           // in the last block
    size_t quads;                // ceil(rows / 4)
    size_t values, indices;      // byte offsets in the blob
    size_t bytes;                // the blob
} ht_nm_layout;

static inline bool ht_nm_is_pattern(size_t n, size_t m) { return 1 <= n && n <= m && m <= 64; }

/// Works the layout out. Errors: PATTERN, OVERFLOW.
ht_status ht_nm_layout_make(size_t rows, size_t columns, size_t n, size_t m, ht_nm_layout *layout);

/// Checks a blob's header and works out its layout.
ht_status ht_nm_layout_open(const void *packed, size_t size, ht_nm_layout *layout);

/// Columns of the matrix in block b.
static inline size_t ht_nm_block_width(const ht_nm_layout *l, size_t b) {
    return ht_min(l->block_columns, l->columns - b * l->block_columns);
}

static inline size_t ht_nm_block_slots(const ht_nm_layout *l, size_t b) {
    return b + 1 < l->blocks ? l->block_slots : l->last_slots;
}

/// Index words of a row for so many slots.
static inline size_t ht_nm_units(const ht_nm_layout *l, size_t slots) { return ht_ceil_div(slots, 32 / l->index_bits); }

/// Columns that the slots of a block can point at, rounded up to whole vectors: an X panel holds so many, zero from the
/// block's width on.
static inline size_t ht_nm_panel_columns(const ht_nm_layout *l, size_t b) {
    size_t reach = l->window_slots ? ht_ceil_div(ht_nm_block_slots(l, b), l->window_slots) * l->window
                                   : ht_nm_block_width(l, b) + 1;
    return ht_round_up(reach, 16);
}

/// The weights of a quad in block b: [slot][4 rows].
static inline const float *ht_nm_values(const ht_nm_layout *l, const void *packed, size_t b, size_t quad) {
    const float *values = (const float *)((const char *)packed + l->values);
    return values + (b * l->quads * l->block_slots + quad * ht_nm_block_slots(l, b)) * HT_NM_QUAD;
}

/// The index words of a quad in block b: [unit][4 rows].
static inline const uint32_t *ht_nm_indices(const ht_nm_layout *l, const void *packed, size_t b, size_t quad) {
    const uint32_t *indices = (const uint32_t *)((const char *)packed + l->indices);
    size_t before = b * l->quads * ht_nm_units(l, l->block_slots) + quad * ht_nm_units(l, ht_nm_block_slots(l, b));
    return indices + before * HT_NM_QUAD;
}

/// The column inside its block of a slot of one row; `indices` as from ht_nm_indices.
static inline size_t ht_nm_slot_column(const ht_nm_layout *l, const uint32_t *indices, size_t row, size_t slot) {
    size_t unit_slots = 32 / l->index_bits;
    uint32_t word = indices[slot / unit_slots * HT_NM_QUAD + row];
    size_t index = word >> slot % unit_slots * l->index_bits & ((1u << l->index_bits) - 1);
    return l->window_slots ? slot / l->window_slots * l->window + index : index;
}

#endif
