// SPDX-License-Identifier: Apache-2.0
// The loops round the vector kernels of 8-bit products, shared by every ISA. README.md explains the design.
//
// Lanes are the 16 rows of W of a strip, each with four slots: a step, 64 bytes of weights. The indices of a step are
// turned into 64 picks once, and serve all rows of X: a kernel picks each row's 64 values of X and adds their products
// with the weights to 16 sums, which stay in registers along the columns.
#ifndef HT_NM_I8_H
#define HT_NM_I8_H

#include "core/simd.h"
#include "core/sums.h"
#include "kernels.h"

enum {
    HT_NM_I8_STEP = 64,     // bytes of weights, or of picks: [16 rows][4 slots]
    HT_NM_I8_SLOTS = 4,     // of a row in a step
    HT_NM_I8_WINDOW = 64,   // bytes of a row of X that picks count in; a window may have fewer columns
    HT_NM_I8_ROWS = 14,     // rows of X of the largest kernel
    HT_NM_I8_DIRECT = 4     // kernels without picks, for 1, 2, 4 and 8 rows of X
};

/// Sums of some rows of X: 16 neighbours for each strip.
typedef struct ht_nm_i8_sums {
    int32_t *at;
    size_t row_stride, strip_stride;  // bytes; 0: the same sums for all
} ht_nm_i8_sums;

/// Adds the products of the slots of some strips to the sums of some rows of X.
typedef struct ht_nm_i8_args {
    const int8_t *values;    // [step][16 rows][4 slots] of the first strip
    const uint8_t *picks;    // likewise: where in its window the X of each slot lies
    size_t strip_stride;     // bytes from strip to strip of both
    const ht_nm_layout *layout;
    const uint8_t *indices;  // of the first strip, see ht_nm_indices; the strips' fields lie one behind the other
    size_t strips;
    size_t window_steps;     // of a whole window; the last window may have fewer
    size_t step_columns;     // of a window that the picks of a step are spread over: 8, 16, 32 or all 64
    const uint8_t *x;        // of the first row; 64 bytes can be read from each window on
    size_t row_stride, window_stride;  // bytes

    /// The steps lie in `lines` x `parts` runs: the taps of a convolution. From part to part of a line the weights
    /// follow each other.
    size_t lines, parts, steps;
    size_t line_steps;                // from line to line of the weights
    size_t line_stride, part_stride;  // bytes of X
    /// There is one more run of `clipped_steps` before the first part of a line that adds to all rows but the first,
    /// and one behind the last part for all but the last: taps that reach over the edge of an image by one pixel.
    bool before, behind;
    size_t clipped_steps, clipped_stride;

    ht_nm_i8_sums from, to;  // from sums that are there to these, which may be the same
    bool streams;  // past the caches: `to` is aligned to 64 bytes
} ht_nm_i8_args;

typedef void ht_nm_i8_kernel(const ht_nm_i8_args *args);

/// Leaves the first `strips` strips to others.
static inline void ht_nm_i8_skip_strips(ht_nm_i8_args *a, size_t strips) {
    a->strips -= strips;
    a->values += strips * a->strip_stride;
    a->picks += strips * a->strip_stride;
    a->from.at = (int32_t *)(void *)((char *)a->from.at + strips * a->from.strip_stride);
    a->to.at = (int32_t *)(void *)((char *)a->to.at + strips * a->to.strip_stride);
}

/// What one ISA brings to the shared loops.
typedef struct ht_nm_i8_vectors {
    ht_nm_i8_kernel *kernel[HT_NM_I8_ROWS];  // for 1, 2, ... rows of X
    size_t rows;  // of X of the largest
    ht_nm_i8_kernel *pair_kernel[HT_NM_I8_ROWS / 2];  // likewise, two strips at once; null where one does as well
    bool signed_x;  // whether the kernels take X with a sign
    bool clips;  // whether they know runs before and behind
    /// Kernels that read indices instead of picks, for so few rows of X that picks do not pay; they do not know maps.
    /// Null: there is none.
    ht_nm_i8_kernel *direct[HT_NM_I8_DIRECT];
    /// Copies `count` values, each xor `flip`. Up to HT_NM_I8_WINDOW bytes behind the copy may be written too.
    void (*copy)(const uint8_t *from, size_t count, uint8_t flip, uint8_t *to);
    /// Turns the index fields of a strip into picks.
    void (*pick)(const ht_nm_layout *layout, const uint8_t *indices, size_t steps, uint8_t *picks);
    /// The sum of each row's weights.
    void (*sum_weights)(const int8_t *values, size_t steps, int32_t sums[HT_NM_STRIP]);
    ht_sums_store *store;
} ht_nm_i8_vectors;

/// Columns of a window of X, and the steps of a strip that point into one.
static inline size_t ht_nm_i8_window_columns(const ht_nm_layout *l) {
    return l->code == HT_NM_CODE_8 ? l->window : HT_NM_I8_WINDOW;
}

static inline size_t ht_nm_i8_window_steps(const ht_nm_layout *l) {
    return ht_nm_i8_window_columns(l) / l->window * l->window_slots / l->step;
}

/// Columns of a window that the slots of a step are spread over.
static inline size_t ht_nm_i8_step_columns(const ht_nm_layout *l) {
    return l->code < HT_NM_CODE_MAP ? l->step / l->window_slots * l->window : HT_NM_I8_WINDOW;
}

/// Columns before the windows of the four slots of a window's first step, one in each byte.
static inline uint32_t ht_nm_i8_slot_columns(const ht_nm_layout *l) {
    const uint32_t windows = l->window_slots == 1 ? 0x03020100 : l->window_slots == 2 ? 0x01010000 : 0;
    return windows * (uint32_t)l->window;
}

/// `pick` of maps, one slot at a time.
HT_INLINE void ht_nm_i8_pick_maps(const ht_nm_layout *l, const uint8_t *indices, size_t steps, uint8_t *picks) {
    const size_t unit_steps = l->unit_slots / l->step;
    for (size_t begin = 0, unit = 0; begin < steps; begin += unit_steps, unit++)
        for (size_t row = 0; row < HT_NM_STRIP; row++) {
            uint32_t map = ht_nm_field(l, indices, row, unit);
            for (size_t step = begin; step < ht_min(begin + unit_steps, steps); step++) {
                uint8_t *to = picks + step * HT_NM_I8_STEP + row * HT_NM_I8_SLOTS;
                HT_UNROLL
                for (size_t slot = 0; slot < HT_NM_I8_SLOTS; slot++)
                    to[slot] = (unit * HT_NM_MAP_COLUMNS + ht_nm_next_column(&map)) % HT_NM_I8_WINDOW;
            }
        }
}

/// `copy` for any machine.
void ht_nm_i8_copy(const uint8_t *from, size_t count, uint8_t flip, uint8_t *to);

/// `pick` of every AVX2 row and of every NEON row.
void ht_nm_i8_pick_avx2(const ht_nm_layout *layout, const uint8_t *indices, size_t steps, uint8_t *picks);
void ht_nm_i8_pick_neon(const ht_nm_layout *layout, const uint8_t *indices, size_t steps, uint8_t *picks);

/// One thread's product with the kernels of one ISA.
void ht_nm_i8_run(const ht_nm_i8_vectors *vectors, const ht_nm_task *task);

/// Scratch of one thread for a product of t rows. Errors: OVERFLOW.
ht_status ht_nm_i8_scratch(const ht_nm_layout *layout, size_t t, size_t *bytes);

#endif
