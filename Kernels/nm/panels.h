// SPDX-License-Identifier: Apache-2.0
// The loops round the vector kernels, shared by every ISA. README.md explains both designs and their bounds.
//
// - Panels: rows of X in the lanes. X is transposed into panels of a block's columns, which stay in L1; each slot is
//   one broadcast weight times one panel line, so pruned weights cost nothing. For many rows of X.
// - Strips: 16 rows of W in the lanes. The X value of each lane is picked by a shuffle with the packed index; the
//   weights stream past once. For few rows of X.
#ifndef HT_NM_PANELS_H
#define HT_NM_PANELS_H

#include "pixels.h"

enum {
    HT_NM_STEP = 4,  // slots of f32 in a vector of 64 bytes of a quad
    HT_NM_STRIP_ROWS = 8,  // of X that one pass over a strip takes at most
    HT_NM_FINISH = 4 * HT_NM_STRIP,  // columns of Y whose sums are finished and stored together
    HT_NM_PANEL_ROWS = 128  // of X that keep a thread busy: fewer are split by columns of Y instead
};

/// Adds the slots of a block to the sums of some quads for all rows of X in a panel.
typedef struct ht_nm_panel_args {
    const float *values;  // of the first quad, see ht_nm_values
    const uint8_t *indices;  // see ht_nm_indices
    size_t quads;
    size_t slots;  // of a row
    size_t unit_slots;  // of a map, but for the last
    const float *panel;  // [column][width]
    /// Instead of a panel, for kernels of grids: where the columns of each unit of slots lie, [vector][column][16].
    /// Behind the last follows the first once more. There are whole units only.
    const char *const *pieces;
    float *sums;  // [row][width]
    bool first;  // the sums start at zero
} ht_nm_panel_args;

typedef void ht_nm_panel_kernel(const ht_nm_panel_args *args);

/// Adds the slots of a block to the sums of some strips for a few rows of X.
typedef struct ht_nm_strip_args {
    const float *values;
    const uint8_t *indices;
    size_t quads;  // the last strip may have fewer than 4
    size_t slots;
    size_t unit_slots;  // of a map, but for the last
    const float *x;  // [column / 16][row][16], the block's columns, zero behind the last
    float *sums;  // [strip][row][16]
    bool first;
} ht_nm_strip_args;

typedef void ht_nm_strip_kernel(const ht_nm_strip_args *args);

enum {
    HT_NM_GRID_PARTS = 16,  // lanes of a vector of a grid, see grid.h
    HT_NM_GRID_LEAST = 2,  // vectors of its panels
    HT_NM_GRID_MOST = 4
};

typedef struct ht_nm_panel_shape {
    size_t width;  // rows of X in a panel
    size_t idle;  // of these the last so many are never there
    ht_nm_panel_kernel *kernel[HT_NM_CODES];  // null: this width does not pay for the code
} ht_nm_panel_shape;

/// Some rows and columns of Y and what happens to their values before they are stored. A line is a row of Y, or a
/// column where Y is feature-major.
typedef struct ht_nm_target {
    char *y;  // the first value
    size_t y_stride;  // bytes, from line to line
    ht_dtype dtype;  // of y
    bool streams;  // too much to stay in L2, and lines on their boundaries: stored past the caches
    const char *residual;  // likewise, or null
    size_t residual_stride;
    const float *bias;  // of the first column, or null
    const ht_epilogue *epilogue;  // the activation
} ht_nm_target;

/// What one ISA brings to the shared loops. X and Y lie in one of two orders, the index of the tables.
typedef struct ht_nm_vectors {
    const ht_nm_panel_shape *shapes;  // widest first; the last has every code
    size_t shape_count;
    /// As many, for rows that share their indices in twos and in fours; null: none, they see indices of their own.
    const ht_nm_panel_shape *shared[2];
    /// Copies `columns` values of each of `rows` lines into panel[padded][width], zero where there is no line or value.
    void (*pack_lines)(const void *const *lines, size_t rows, size_t columns, size_t padded, size_t width,
                       float *panel);
    ht_nm_scatter_lines *scatter_lines;
    /// As pack_lines, of `rows` values of each of `columns` columns of X; `order` are their numbers, null: one behind
    /// the other from 0 on.
    void (*pack_features)(const float *x, size_t x_stride, const uint32_t *order, size_t rows, size_t columns,
                          size_t padded, size_t width, float *panel);
    /// y[row][o] = epilogue(sums[o][row]) for `rows` rows and up to 16 columns.
    void (*store[2])(const float *sums, size_t width, size_t rows, size_t columns, const ht_nm_target *target);
    /// y[row] = epilogue(sums[row][16]) for `rows` rows and up to 16 columns of a row-major Y.
    void (*store_rows)(const float *sums, size_t rows, size_t columns, const ht_nm_target *target);
    /// Turns `count` f16 (0) or bf16 (1) weights of quads into floats, [word][row] into [slot][row].
    void (*widen[2])(const void *values, size_t count, float *to);
    /// Kernels for 1, 2, 4 and 8 rows of X; null where panels serve every number of rows.
    ht_nm_strip_kernel *strips[4][HT_NM_CODES];
    /// Kernels for panels of 2, 3 and 4 vectors of a grid; null: images are taken as products.
    ht_nm_panel_kernel *grids[HT_NM_GRID_MOST - HT_NM_GRID_LEAST + 1][HT_NM_CODES];
    /// Copies `columns` values of 16 pixels to to[column / piece][column % piece][16], where each piece is `apart`
    /// floats behind the one before; zero where there is no pixel or value.
    void (*pack_pixels)(const void *const *pixels, size_t columns, size_t padded, size_t piece, size_t apart,
                        float *to);
    /// y[lines[row]][o] = epilogue(sums[o][row]) for up to 16 columns of a row-major Y from its first row on; rows with
    /// the number SIZE_MAX are left out.
    void (*store_pixels)(const float *sums, size_t width, const size_t *lines, size_t columns,
                         const ht_nm_target *target);
    size_t strip_rows[HT_NM_CODES];  // up to how many rows of X strips are faster than panels
    size_t strip_rest[HT_NM_CODES];  // likewise for rows behind whole panels
    const ht_nm_pixel_kernels *pixels;  // null: there are none
} ht_nm_vectors;

/// Y from row t and column o on.
ht_nm_target ht_nm_target_at(const ht_nm_task *task, size_t t, size_t o);

/// Stores sums[row][16] of up to 16 rows and columns of Y from row t and column o on.
void ht_nm_store_strip(const ht_nm_vectors *vectors, const ht_nm_task *task, const float *sums, size_t t, size_t rows,
                       size_t o, size_t columns);

extern const ht_nm_vectors ht_nm_avx512;

/// Columns of Y that are worked on at once.
size_t ht_nm_outputs_at_once(const ht_nm_layout *layout);

/// One thread's product with the kernels of one ISA.
void ht_nm_panels_run(const ht_nm_vectors *vectors, const ht_nm_task *task);

/// Scratch of one thread for a product of t rows. Errors: OVERFLOW.
ht_status ht_nm_panels_scratch(const ht_nm_layout *layout, size_t t, size_t *bytes);

#endif
