// SPDX-License-Identifier: Apache-2.0
// What a tree saves.
#include "core/operands.h"
#include "halftone/mst.h"
#include "tree.h"

typedef struct matrix {
    size_t outputs, inputs;
    const uint64_t *w;
    size_t w_stride;
} matrix;

static const uint64_t *row_of(const matrix *m, int32_t row) {
    return (const uint64_t *)(const void *)((const char *)m->w + (size_t)row * m->w_stride);
}

static size_t count_differences(const matrix *m, int32_t row, int32_t other) {
    if (m->inputs == 0) return 0;
    const uint64_t *a = row_of(m, row), *b = row_of(m, other);
    const size_t whole = m->inputs / 64;
    size_t count = 0;
    for (size_t i = 0; i < whole; i++) count += (size_t)__builtin_popcountll(a[i] ^ b[i]);
    const uint64_t rest = ((uint64_t)1 << m->inputs % 64) - 1;
    return rest ? count + (size_t)__builtin_popcountll((a[whole] ^ b[whole]) & rest) : count;
}

static size_t measure_edge(const matrix *m, int32_t row, int32_t other, bool complement) {
    const size_t d = count_differences(m, row, other);
    return complement ? ht_min(d, m->inputs - d) : d;
}

// The bits of a number below `count`.
static size_t bits_below(size_t count) {
    size_t bits = 0;
    while (bits < 64 && count > (size_t)1 << bits) bits++;
    return bits;
}

static void set_shares(const matrix *m, bool complement, ht_mst_figures *f) {
    const size_t edges = m->outputs - f->roots;
    const double all = (double)m->outputs * (double)m->inputs, roots = (double)f->roots * (double)m->inputs;
    const double distance = (double)f->distance;
    const double edge_bits = (double)(bits_below(m->outputs) + complement), place_bits = (double)bits_below(m->inputs);
    f->mean_distance = edges && m->inputs ? distance / (double)edges / (double)m->inputs : 0;
    f->operation_ratio = all > 0 ? (roots + distance) / all : 1;
    f->parameter_ratio = all > 0 ? (roots + (double)edges * edge_bits + distance * place_bits) / all : 1;
}

// `depth` holds the depth of each row that was visited.
static void measure(const matrix *m, const int32_t *parent, const int32_t *order, bool complement, int32_t *depth,
                    ht_mst_figures *f) {
    for (size_t i = 0; i < m->outputs; i++) {
        const int32_t row = order[i], from = parent[row];
        depth[row] = from < 0 ? 0 : depth[from] + 1;
        f->depth = ht_max(f->depth, (size_t)depth[row]);
        f->roots += from < 0;
        if (from < 0) continue;
        const size_t length = measure_edge(m, row, from, complement);
        f->longest = ht_max(f->longest, length);
        f->distance += length;
    }
    set_shares(m, complement, f);
}

ht_status ht_mst_measure(size_t outputs, size_t inputs, const uint64_t *w, size_t w_stride, const int32_t *parent,
                         const ht_mst_rules *rules, ht_mst_figures *figures) {
    ht_mst_figures result = {0};
    ht_status status = ht_check_bits(w, outputs, inputs, &w_stride);
    if (!status) status = ht_mst_check_numbers(outputs, parent);
    if (status) return status;
    if (!figures) return HT_ERROR_NULL;
    const matrix m = {outputs, inputs, w, w_stride};
    int32_t *order = ht_allocate(2 * outputs * sizeof *order);
    if (!order) return HT_ERROR_MEMORY;
    status = ht_mst_order(outputs, parent, order);
    if (!status) measure(&m, parent, order, rules && rules->complement, order + outputs, &result);
    if (!status) *figures = result;
    ht_free(order);
    return status;
}
