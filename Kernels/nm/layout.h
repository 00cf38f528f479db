// SPDX-License-Identifier: Apache-2.0
// How a packed N:M matrix lies in memory; README.md has the picture.
#ifndef HT_NM_LAYOUT_H
#define HT_NM_LAYOUT_H

#include <string.h>

#include "core/blob.h"
#include "core/memory.h"
#include "halftone/nm.h"

enum {
    HT_NM_QUAD = 4,             // rows whose float weights are interleaved
    HT_NM_STRIP = 16,           // rows whose 8-bit weights are interleaved; also what columns of Y are cut at
    HT_NM_MAX_COLUMNS = 256,    // of a block of float weights, padding included
    HT_NM_MAP_COLUMNS = 32,     // of a unit of a map
    HT_NM_LAYOUT_VERSION = 2
};

/// The index codes: bits of an index and slots of a window, in the order of the kernel tables.
typedef enum ht_nm_code {
    HT_NM_CODE_2_1,
    HT_NM_CODE_2_2,
    HT_NM_CODE_3_1,
    HT_NM_CODE_3_2,
    HT_NM_CODE_4_1,
    HT_NM_CODE_4_2,
    HT_NM_CODE_MAP,    // no index but a bit for each of 32 columns
    HT_NM_CODE_8,
    HT_NM_CODES
} ht_nm_code;

/// What a packed matrix is of.
typedef struct ht_nm_matrix {
    ht_blob_kind kind;
    size_t rows;
    size_t taps, tap_columns;    // a row's columns: in a product one tap has them all
    size_t kernel_width;         // taps of a row of a convolution's kernel
    size_t n, m;
    ht_dtype dtype;
    size_t shared_rows;          // rows that share a pattern: 1, 2, 4 or 8
    bool shared_taps;            // a row keeps the same columns at each tap
    bool permuted;               // place j of a tap is not column j but another one
    bool branches;               // there is a second table of values, of some of the taps
} ht_nm_matrix;

/// Everything that follows from that.
///
/// The columns are cut into blocks, and each row keeps the same number of slots in a block; a slot is a weight and its
/// index. The rows are cut into bundles, whose weights are interleaved. Groups begin anew at each tap: where there are
/// several, each is padded to whole groups with columns in which X is zero, and all else counts these columns too.
typedef struct ht_nm_layout {
    ht_nm_matrix of;
    size_t rows, columns, n, m;
    ht_dtype dtype;
    size_t tap_width;            // columns of a tap, padding included
    size_t run;                  // of which so many lie side by side,
    size_t turn;                 // as the taps of a kernel row take turns; 0: they do not, see ht_nm_segment_at
    size_t value_bytes;          // of a weight
    size_t shared_rows;
    size_t together;             // rows of a bundle: a quad, or a strip where weights have 8 bits
    size_t step;                 // slots of a row in 64 bytes of a bundle; blocks hold whole steps
    ht_nm_code code;
    size_t index_bits;           // of an index; of a map: 1, for each column
    size_t window;               // columns that an index counts in
    size_t window_slots;         // slots of a window; 0 when the window is the block
    size_t unit_slots;           // slots whose indices are one field
    size_t field_bytes;          // of a field
    size_t index_share;          // rows of a bundle that share a field
    size_t block_columns;        // of every block but the last, which may be shorter
    size_t blocks;
    size_t block_slots;          // of a row in a full block
    size_t last_slots;           // in the last block
    size_t bundles;
    size_t values, indices;      // byte offsets in the blob
    size_t turned_indices;       // of a transposable blob: likewise, of the index fields of backward weights
    size_t origins;              // and of an origin for each of their slots, see ht_nm_origin
    bool is_turned;              // backward weights that lie in a transposable blob: ht_nm_turn takes them out
    size_t permutation;          // likewise, of a column number for each place of a tap; 0: there is none
    size_t second;               // of branches: likewise, of the second table of values
    size_t kept;                 // and of the taps that it has: how many, then their numbers, ascending
    size_t tap_blocks;           // blocks of each tap, as no block has columns of two
    const uint32_t *taps;        // of a second branch with of.taps taps: their numbers; null: those from 0 on
    size_t product_bytes;        // of the blob, that a product reads
    size_t bytes;                // the blob
} ht_nm_layout;

/// Whether rows of the blob are rows of W.
static inline bool ht_nm_is_forward(ht_blob_kind kind) { return kind != HT_BLOB_NM_BACKWARD; }

static inline bool ht_nm_is_pattern(size_t n, size_t m) { return 1 <= n && n <= m && m <= 64; }

/// Whether weights can be of this type.
static inline bool ht_nm_is_weight(ht_dtype dtype) { return HT_DTYPE_F32 <= dtype && dtype <= HT_DTYPE_I8; }

/// What options say about sharing, as a number of rows. Errors: PATTERN.
ht_status ht_nm_shared_rows(const ht_options *options, size_t *rows);

/// Works the layout out. Errors: PATTERN, OVERFLOW, BLOB_DTYPE.
ht_status ht_nm_layout_make(const ht_nm_matrix *matrix, ht_nm_layout *layout);

/// The header of a blob with this layout.
ht_blob_header ht_nm_layout_header(const ht_nm_layout *layout);

/// Checks a blob's header and works out its layout, of whatever kind of N:M weights.
ht_status ht_nm_layout_open(const void *packed, size_t size, ht_nm_layout *layout);

/// Likewise of weights whose entries have columns: forward, with a single tap. Errors too: BLOB_SHAPE.
ht_status ht_nm_layout_open_product(const void *packed, size_t size, ht_nm_layout *layout);

/// The layout of a blob's second branch: the index fields of the first one, but only of the taps that it has, and
/// values of its own. Errors: BLOB_CORRUPT.
ht_status ht_nm_second_layout(const ht_nm_layout *layout, const void *packed, ht_nm_layout *second);

/// Columns that lie side by side in W and X.
typedef struct ht_nm_segment {
    size_t tap, place;           // of the first
    size_t columns;              // of the padded matrix
    size_t present;              // of these the first so many are columns of W, the others padding
} ht_nm_segment;

/// The columns from `column` on that are before `end` and lie side by side. The order of the columns is that of the
/// taps, row by row, each with all of its columns. Some taps that share a pattern take turns along a row of the kernel,
/// a run of columns each: so a kernel finds those that look at the same columns of X together.
static inline ht_nm_segment ht_nm_segment_at(const ht_nm_layout *l, size_t column, size_t end) {
    size_t tap = 0, place = column, in_run = column;
    if (l->of.taps > 1) {
        const size_t width = l->of.kernel_width, row = column / (width * l->tap_width);
        const size_t in_row = column - row * width * l->tap_width, turn = in_row / (width * l->run);
        const size_t in_turn = in_row - turn * width * l->run;
        tap = row * width + in_turn / l->run;
        in_run = in_turn % l->run;
        place = turn * l->run + in_run;
    }
    if (l->taps) tap = l->taps[tap];
    size_t columns = ht_min(end - column, l->run - in_run);
    return (ht_nm_segment){tap, place, columns,
                           place < l->of.tap_columns ? ht_min(columns, l->of.tap_columns - place) : 0};
}

/// The columns of W in the group that begins at a column.
static inline size_t ht_nm_group_columns(const ht_nm_layout *l, size_t column) {
    return ht_nm_segment_at(l, column, ht_min(l->columns, column + l->m)).present;
}

/// Columns of the matrix in block b.
static inline size_t ht_nm_block_width(const ht_nm_layout *l, size_t b) {
    return ht_min(l->block_columns, l->columns - b * l->block_columns);
}

static inline size_t ht_nm_block_slots(const ht_nm_layout *l, size_t b) {
    return b + 1 < l->blocks ? l->block_slots : l->last_slots;
}

/// The first slot of the group that begins at a column of a block.
static inline size_t ht_nm_group_slot(const ht_nm_layout *l, size_t column) {
    return column / l->window * l->window_slots + column % l->window / l->m * l->n;
}

/// Index units of a row for so many slots.
static inline size_t ht_nm_units(const ht_nm_layout *l, size_t slots) { return ht_ceil_div(slots, l->unit_slots); }

/// Bytes of one unit of a bundle.
static inline size_t ht_nm_unit_bytes(const ht_nm_layout *l) { return l->together / l->index_share * l->field_bytes; }

/// Bytes of so many slots of a bundle.
static inline size_t ht_nm_value_bytes(const ht_nm_layout *l, size_t slots) {
    return slots * l->together * l->value_bytes;
}

/// Columns that the slots of a block can point at, rounded up to whole vectors: an X panel holds so many, zero from the
/// block's width on.
static inline size_t ht_nm_panel_columns(const ht_nm_layout *l, size_t b) {
    size_t reach = l->window_slots ? ht_ceil_div(ht_nm_block_slots(l, b), l->window_slots) * l->window
                                   : ht_nm_block_width(l, b) + 1;
    return ht_round_up(reach, 16);
}

/// The line of a panel of all blocks at which a column stands.
static inline size_t ht_nm_panel_line(const ht_nm_layout *l, size_t column) {
    return column / l->block_columns * ht_nm_panel_columns(l, 0) + column % l->block_columns;
}

/// Where block b of a second branch lies, counted in the blocks of the first.
static inline size_t ht_nm_block_place(const ht_nm_layout *l, size_t b) {
    return l->taps ? l->taps[b / l->tap_blocks] * l->tap_blocks + b % l->tap_blocks : b;
}

/// The weights of a bundle in block b. A 32-bit word holds consecutive slots of one row; words lie [word][row].
static inline const void *ht_nm_values(const ht_nm_layout *l, const void *packed, size_t b, size_t bundle) {
    return (const char *)packed + l->values +
           ht_nm_block_place(l, b) * l->bundles * ht_nm_value_bytes(l, l->block_slots) +
           bundle * ht_nm_value_bytes(l, ht_nm_block_slots(l, b));
}

/// Where the weight of one slot lies; `values` as from ht_nm_values. Of two 16-bit slots in a word the first is in the
/// high half: the order in which dot product instructions add.
static inline const void *ht_nm_value(const ht_nm_layout *l, const void *values, size_t row, size_t slot) {
    size_t each = 4 / l->value_bytes, word = slot / each * l->together + row, place = slot % each;
    return (const char *)values + word * 4 + (l->value_bytes == 2 ? (1 - place) * 2 : place * l->value_bytes);
}

/// The index fields of a bundle in block b: [unit][field].
static inline const uint8_t *ht_nm_indices(const ht_nm_layout *l, const void *packed, size_t b, size_t bundle) {
    size_t before = ht_nm_block_place(l, b) * l->bundles * ht_nm_units(l, l->block_slots) +
                    bundle * ht_nm_units(l, ht_nm_block_slots(l, b));
    return (const uint8_t *)packed + l->indices + before * ht_nm_unit_bytes(l);
}

/// The field of one row and unit; `indices` as from ht_nm_indices.
static inline uint32_t ht_nm_field(const ht_nm_layout *l, const uint8_t *indices, size_t row, size_t unit) {
    const uint8_t *from = indices + unit * ht_nm_unit_bytes(l) + row / l->index_share * l->field_bytes;
    return from[0] | (uint32_t)from[1] << 8 | (uint32_t)from[2] << 16 |
           (l->field_bytes > 3 ? (uint32_t)from[3] << 24 : 0);
}

/// The column inside its block of a slot of one row; `indices` as from ht_nm_indices.
size_t ht_nm_slot_column(const ht_nm_layout *l, const uint8_t *indices, size_t row, size_t slot);

/// Entries of a row.
static inline size_t ht_nm_entries(const ht_nm_layout *l) {
    return l->columns / l->m * l->n + ht_min(l->n, l->columns % l->m);
}

/// The column of entry e of a row; of a damaged blob some column, or one behind the last.
size_t ht_nm_entry_column(const ht_nm_layout *l, const void *packed, size_t row, size_t e);

/// The lowest column of a map, which is taken out; 32 when there is none, as in damaged blobs: in panels,
/// that is scratch memory too.
static inline size_t ht_nm_next_column(uint32_t *map) {
    size_t column = *map ? (size_t)__builtin_ctz(*map) : HT_NM_MAP_COLUMNS;
    *map &= *map - 1;
    return column;
}

enum {
    HT_NM_ZERO_ORIGIN = 254,  // of a slot whose group was filled up with a weight that is not stored: +0
    HT_NM_NO_ORIGIN = 255  // of padding: -0
};

/// Which value of the tile of m x m weights (m = 4, 8 or 16) that a row and a group of columns meet in, where it is
/// entry `rank` of the group. Values of a tile are counted by bundles, their slots, their rows.
static inline uint8_t ht_nm_origin(const ht_nm_layout *l, size_t row, size_t rank) {
    return (uint8_t)((row % l->m / HT_NM_QUAD * l->n + rank) * HT_NM_QUAD + row % HT_NM_QUAD);
}

/// The layout of the backward weights of a transposable blob.
ht_status ht_nm_turned_layout(const ht_nm_layout *layout, ht_nm_layout *turned);

/// The origins of a bundle of backward weights in block b: [slot][row].
static inline const uint8_t *ht_nm_origins(const ht_nm_layout *l, const ht_nm_layout *turned, const void *packed,
                                           size_t b, size_t bundle) {
    const char *none = packed, *values = ht_nm_values(turned, packed, b, bundle);
    return (const uint8_t *)packed + l->origins + ((size_t)(values - none) - turned->values) / l->value_bytes;
}

/// Writes the backward weights of a transposable blob as a blob without a header. Damaged blobs make some weights.
void ht_nm_turn(const ht_nm_layout *turned, const void *packed, void *to, int threads);

/// Writes the fields of `bundles` bundles of block b as if rows shared none: for kernels that know no sharing.
void ht_nm_expand_indices(const ht_nm_layout *l, const uint8_t *indices, size_t b, size_t bundles, uint8_t *expanded);

#endif
