// SPDX-License-Identifier: Apache-2.0
// Packing with vectors, from bits that say which weights are entries: what one ISA brings. README.md has the bounds.
#ifndef HT_NM_STEP_H
#define HT_NM_STEP_H

#include "kernels.h"
#include "packing.h"

enum {
    HT_NM_KEPT_SLACK = 16,   // floats behind a line of kept weights that may be written or read
    HT_NM_LINE_COLUMNS = 16  // columns of W, rows of a backward blob, that are packed together
};

/// A quad of rows of W in one whole block. All begin at the block's first column, whose number is a multiple of 8.
typedef struct ht_nm_row_lines {
    const float *w[HT_NM_QUAD];
    const uint8_t *bits[HT_NM_QUAD];  // which weights are entries: at most n of a group
    bool is_full;             // no group has fewer
    float *kept[HT_NM_QUAD];  // the entries go here too, one behind the other
    void *values;             // of the bundle, aligned to 64 bytes; null: neither these nor fields are wanted
    uint8_t *fields;
    bool streams;             // values go past the caches
} ht_nm_row_lines;

/// The places of one whole block of a backward blob, and some columns of W. Lines begin at the first column, whose
/// number is a multiple of 8.
typedef struct ht_nm_column_lines {
    const float *const *w;       // of each place: weights,
    bool is_kept;                // or only those with a bit: n of each m columns, one behind the other
    const uint8_t *const *bits;  // the n largest with a bit of a group are packed
    size_t columns;              // a multiple of HT_NM_LINE_COLUMNS
    void *values;                // of the first bundle
    uint8_t *fields;
    bool streams;
} ht_nm_column_lines;

struct ht_nm_step_calls {
    void (*pack_rows)(const ht_nm_layout *layout, const ht_nm_row_lines *lines);
    void (*pack_columns)(const ht_nm_layout *layout, const ht_nm_column_lines *lines);
    void (*finish)(void);  // orders what went past the caches before all that follows
};

typedef struct ht_nm_step_calls ht_nm_step_calls;

/// Null: slots are written one at a time.
typedef const ht_nm_step_calls *ht_nm_step_kernel(void);

/// Errors: ISA.
ht_status ht_nm_pick_step_calls(ht_isa isa, const ht_nm_step_calls **calls);

ht_nm_step_kernel ht_nm_step_pack_ref, ht_nm_step_pack_avx512;

/// Whether these calls take the whole blocks of this layout.
static inline bool ht_nm_packs_rows(const ht_nm_layout *l) {
    return ht_nm_is_forward(l->of.kind) && l->code != HT_NM_CODE_8 && l->shared_rows == 1 && !l->of.shared_taps &&
           l->columns == l->of.taps * l->of.tap_columns;
}

static inline bool ht_nm_packs_columns(const ht_nm_layout *l) {
    return !ht_nm_is_forward(l->of.kind) && l->code < HT_NM_CODE_MAP && l->shared_rows == 1 && !l->of.shared_taps &&
           l->columns == l->of.taps * l->of.tap_columns;
}

/// Whether a blob is so large that the caches would lose it before it is used.
static inline bool ht_nm_streams(const ht_nm_layout *l) { return l->bytes > (1 << 20); }

#endif
