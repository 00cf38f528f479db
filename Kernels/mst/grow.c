// SPDX-License-Identifier: Apache-2.0
// Grows trees over rows of signs (Prim 1957, Shortest connection networks). Lengths are compared as products: with d
// places of difference a product is inputs - 2 d, so the nearest row is the most alike one.
//
// Bound: the product of all pairs. Behind it every row is read once, a comparison for each value; only blocks in which
// something came nearer are written, and a block remembers its best.
#include <stdlib.h>
#include <string.h>

#include "core/operands.h"
#include "core/simd.h"
#include "halftone/mst.h"
#include "tree.h"

enum { block_rows = 64 };

// In the tree, so that nothing is nearer; and not met yet, so that everything is. No product is either.
#define TAKEN INT32_MAX
#define NOT_MET INT32_MIN

typedef struct growth {
    size_t rows;
    bool complement;
    size_t max_depth;
    ht_dtype dtype;  // of products: I16 where they fit, since memory is what large matrices wait for
    const char *product;  // of each pair
    int32_t *alike;  // of rows outside of the tree: to the nearest row that is in it
    int32_t *parent;  // that row
    int32_t *parent_depth;
    int32_t *edge;  // of rows in the tree: how alike they are to their parent
    int32_t *block_best;  // the most alike row outside of the tree
} growth;

// MARK: distances

static uint64_t *words_of(const void *rows, size_t stride, size_t row) {
    return (uint64_t *)(uintptr_t)((const char *)rows + row * stride);
}

// The rows without a gap, and without what lies behind their last bits.
static void copy_rows(size_t outputs, size_t inputs, const uint64_t *w, size_t w_stride, uint64_t *to) {
    const size_t words = ht_ceil_div(inputs, 64);
    for (size_t row = 0; row < outputs; row++, to += words) {
        memcpy(to, words_of(w, w_stride, row), words * sizeof *to);
        if (inputs % 64) to[words - 1] &= ((uint64_t)1 << inputs % 64) - 1;
    }
}

static ht_status multiply_copies(size_t outputs, size_t inputs, const uint64_t *rows, ht_dtype dtype, void *product,
                                 const ht_options *options) {
    const ht_epilogue epilogue = {.output = dtype};
    size_t size;
    ht_status status = ht_binary_packed_size(outputs, inputs, options, &size);
    if (status) return status;
    void *packed = ht_allocate(size);
    if (!packed) return HT_ERROR_MEMORY;
    status = ht_binary_pack(outputs, inputs, rows, 0, packed, size, options);
    if (!status)
        status = ht_binary_gemm_b1(outputs, outputs, inputs, rows, 0, packed, size, &epilogue, product, 0, options);
    ht_free(packed);
    return status;
}

static ht_status multiply_pairs(size_t outputs, size_t inputs, const uint64_t *w, size_t w_stride, ht_dtype dtype,
                                void *product, const ht_options *options) {
    const ht_options plain = {.threads = options ? options->threads : 0,
                              .isa = options ? options->isa : HT_ISA_AUTO,
                              .binary_design = HT_BINARY_DIRECT};
    uint64_t *rows = ht_allocate(outputs * ht_ceil_div(inputs, 64) * sizeof *rows);
    if (!rows) return HT_ERROR_MEMORY;
    if (inputs) copy_rows(outputs, inputs, w, w_stride, rows);
    const ht_status status = multiply_copies(outputs, inputs, rows, dtype, product, &plain);
    ht_free(rows);
    return status;
}

// MARK: growth

// The i-th of some products, by what rows are compared with.
HT_INLINE int32_t likeness(const void *product, size_t i, ht_dtype dtype, bool complement) {
    const int32_t p = dtype == HT_DTYPE_I16 ? ((const int16_t *)product)[i] : ((const int32_t *)product)[i];
    return complement ? abs(p) : p;
}

HT_INLINE bool is_any_nearer(const void *restrict product, const int32_t *restrict alike, size_t count, ht_dtype dtype,
                             bool complement) {
    int32_t any = 0;
    for (size_t i = 0; i < count; i++) any |= likeness(product, i, dtype, complement) >= alike[i];
    return any;
}

// The best of rows first ..< first + count outside of the tree.
static int32_t best_of(const int32_t *restrict alike, size_t count) {
    int32_t best = NOT_MET;
    for (size_t i = 0; i < count; i++) {
        const int32_t open = alike[i] == TAKEN ? NOT_MET : alike[i];
        best = open > best ? open : best;
    }
    return best;
}

// Offers a row in the tree as the parent of others.
HT_INLINE void offer(const void *restrict product, int32_t row, int32_t depth, size_t count, ht_dtype dtype,
                     bool complement, int32_t *restrict alike, int32_t *restrict parent,
                     int32_t *restrict parent_depth) {
    for (size_t i = 0; i < count; i++) {
        const int32_t a = likeness(product, i, dtype, complement), d = parent_depth[i], p = parent[i];
        const bool is_before = (depth < d) | ((depth == d) & (row < p));
        const bool takes = (a > alike[i]) | ((a == alike[i]) & is_before);
        alike[i] = takes ? a : alike[i];
        parent[i] = takes ? row : p;
        parent_depth[i] = takes ? depth : d;
    }
}

HT_INLINE void offer_to_blocks(growth *g, size_t row, int32_t depth, ht_dtype dtype, bool complement) {
    const size_t size = ht_dtype_size(dtype);
    for (size_t first = 0; first < g->rows; first += block_rows) {
        const size_t count = ht_min(block_rows, g->rows - first);
        const char *product = g->product + (row * g->rows + first) * size;
        if (!is_any_nearer(product, g->alike + first, count, dtype, complement)) continue;
        offer(product, (int32_t)row, depth, count, dtype, complement, g->alike + first, g->parent + first,
              g->parent_depth + first);
        g->block_best[first / block_rows] = best_of(g->alike + first, count);
    }
}

static void offer_to_all(growth *g, size_t row, int32_t depth) {
    if (g->dtype == HT_DTYPE_I16 && g->complement) offer_to_blocks(g, row, depth, HT_DTYPE_I16, true);
    if (g->dtype == HT_DTYPE_I16 && !g->complement) offer_to_blocks(g, row, depth, HT_DTYPE_I16, false);
    if (g->dtype == HT_DTYPE_I32 && g->complement) offer_to_blocks(g, row, depth, HT_DTYPE_I32, true);
    if (g->dtype == HT_DTYPE_I32 && !g->complement) offer_to_blocks(g, row, depth, HT_DTYPE_I32, false);
}

// The row outside of the tree that is nearest to it.
static size_t find_nearest(const growth *g) {
    size_t block = 0;
    for (size_t b = 1; b < ht_ceil_div(g->rows, block_rows); b++)
        if (g->block_best[b] > g->block_best[block]) block = b;
    size_t row = block * block_rows;
    while (g->alike[row] != g->block_best[block]) row++;
    return row;
}

static void take(growth *g, size_t row) {
    const size_t block = row / block_rows, first = block * block_rows;
    const int32_t depth = g->parent_depth[row] + 1;
    g->edge[row] = g->alike[row];
    g->alike[row] = TAKEN;
    g->block_best[block] = best_of(g->alike + first, ht_min(block_rows, g->rows - first));
    if ((size_t)depth < g->max_depth) offer_to_all(g, row, depth);
}

// One tree over all rows.
static void grow(growth *g, size_t root) {
    for (size_t row = 0; row < g->rows; row++) g->alike[row] = NOT_MET, g->parent[row] = g->parent_depth[row] = -1;
    for (size_t block = 0; block < ht_ceil_div(g->rows, block_rows); block++) g->block_best[block] = NOT_MET;
    take(g, root);
    for (size_t i = 1; i < g->rows; i++) take(g, find_nearest(g));
}

// The row that all others together are nearest to.
static size_t find_star(const growth *g) {
    size_t star = 0;
    int64_t best = INT64_MIN;
    for (size_t row = 0; row < g->rows; row++) {
        const char *product = g->product + row * g->rows * ht_dtype_size(g->dtype);
        int64_t sum = 0;
        for (size_t i = 0; i < g->rows; i++) sum += likeness(product, i, g->dtype, g->complement);
        if (sum > best) best = sum, star = row;
    }
    return star;
}

// MARK: several trees

typedef struct edge {
    int32_t alike, row;
} edge;

static int longest_first(const void *left, const void *right) {
    const edge *a = left, *b = right;
    if (a->alike != b->alike) return a->alike < b->alike ? -1 : 1;
    return a->row > b->row ? -1 : a->row < b->row;
}

// Makes roots of the lower ends of the longest edges, of equal ones those with higher numbers.
static ht_status cut_longest(growth *g, size_t count) {
    size_t edges = 0;
    if (count == 0) return HT_OK;
    edge *edge_of = ht_allocate(g->rows * sizeof *edge_of);
    if (!edge_of) return HT_ERROR_MEMORY;
    for (size_t row = 0; row < g->rows; row++)
        if (g->parent[row] >= 0) edge_of[edges++] = (edge){g->edge[row], (int32_t)row};
    qsort(edge_of, edges, sizeof *edge_of, longest_first);
    for (size_t i = 0; i < ht_min(count, edges); i++) g->parent[edge_of[i].row] = -1;
    ht_free(edge_of);
    return HT_OK;
}

static ht_status grow_trees(growth *g, size_t root, size_t trees, size_t *depth) {
    grow(g, root);
    const ht_status status = cut_longest(g, trees ? trees - 1 : 0);
    return status ? status : ht_mst_root_at_centres(g->rows, g->parent, depth);
}

static ht_status grow_by_rules(growth *g, const ht_mst_rules *rules) {
    size_t depth;
    g->max_depth = SIZE_MAX;
    const ht_status status = grow_trees(g, 0, rules->trees, &depth);
    if (status || rules->max_depth == 0 || depth <= rules->max_depth) return status;
    g->max_depth = rules->max_depth;
    return grow_trees(g, find_star(g), rules->trees, &depth);
}

// MARK: the public face

static void set_arrays(growth *g, int32_t *memory) {
    int32_t **const arrays[] = {&g->alike, &g->parent, &g->parent_depth, &g->edge};
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++, memory += g->rows) *arrays[i] = memory;
    g->block_best = memory;
}

// In memory for five arrays and for the products.
static ht_status grow_in(int32_t *memory, size_t outputs, size_t inputs, const uint64_t *w, size_t w_stride,
                         ht_dtype dtype, const ht_mst_rules *rules, int32_t *parent, const ht_options *options) {
    int32_t *product = memory + 5 * outputs;
    ht_status status = multiply_pairs(outputs, inputs, w, w_stride, dtype, product, options);
    if (status || outputs == 0) return status;
    growth g = {.rows = outputs, .complement = rules->complement != 0, .dtype = dtype, .product = (char *)product};
    set_arrays(&g, memory);
    status = grow_by_rules(&g, rules);
    if (!status) memcpy(parent, g.parent, outputs * sizeof *parent);
    return status;
}

ht_status ht_mst_grow(size_t outputs, size_t inputs, const uint64_t *w, size_t w_stride, const ht_mst_rules *rules,
                      int32_t *parent, const ht_options *options) {
    static const ht_mst_rules defaults;
    const ht_dtype dtype = inputs <= INT16_MAX ? HT_DTYPE_I16 : HT_DTYPE_I32;
    const size_t row_bytes = outputs * ht_dtype_size(dtype) + 5 * sizeof *parent;
    size_t bytes;
    ht_status status = ht_check_bits(w, outputs, inputs, &w_stride);
    if (!status) status = ht_mst_check_numbers(outputs, parent);
    if (status) return status;
    if (!ht_mul(outputs, row_bytes, &bytes) || bytes > PTRDIFF_MAX || inputs >= INT32_MAX) return HT_ERROR_OVERFLOW;
    int32_t *memory = ht_allocate(bytes);
    if (!memory) return HT_ERROR_MEMORY;
    status = grow_in(memory, outputs, inputs, w, w_stride, dtype, rules ? rules : &defaults, parent, options);
    ht_free(memory);
    return status;
}
