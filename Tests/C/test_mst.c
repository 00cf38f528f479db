// SPDX-License-Identifier: Apache-2.0
// Trees of rows of signs, and what training takes from them. Trees are compared with Kruskal's, and edge by edge with
// what the header says is chosen, pair by pair; figures and gradients with their formulas and with differences.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "mst/tree.h"

static ht_isa isas[8];
static size_t isa_count;

#define EACH_ISA(options)                               \
    for (size_t isa_ = 0; isa_ < 2 * isa_count; isa_++) \
        if (((options) = (ht_options){.threads = isa_ % 2 ? 3 : 1, .isa = isas[isa_ / 2]}, true))

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

// MARK: rows with gaps

// Rows of `bytes` bytes, `stride` bytes apart, without a gap behind the last: what lies between is 0x5a.
typedef struct matrix {
    size_t rows, columns, bytes, stride;
    char *at;
} matrix;

static matrix make_matrix(size_t rows, size_t columns, size_t bytes, size_t gap) {
    matrix m = {rows, columns, bytes, bytes + gap, NULL};
    const size_t size = rows ? (rows - 1) * m.stride + bytes : 0;
    m.at = allocate(size);
    memset(m.at, 0x5a, size);
    return m;
}

static matrix make_bits(size_t rows, size_t columns, size_t gap) {
    return make_matrix(rows, columns, (columns + 63) / 64 * 8, gap * 8);
}

static matrix make_floats(size_t rows, size_t columns, size_t gap) {
    return make_matrix(rows, columns, columns * 4, gap * 4);
}

static uint64_t *bits_of(const matrix *m) { return (uint64_t *)(void *)m->at; }
static float *floats_of(const matrix *m) { return (float *)(void *)m->at; }
static uint64_t *word_at(const matrix *m, size_t row, size_t k) {
    return (uint64_t *)(void *)(m->at + row * m->stride) + k / 64;
}
static float *float_at(const matrix *m, size_t row, size_t k) { return (float *)(void *)(m->at + row * m->stride) + k; }
static bool bit_at(const matrix *m, size_t row, size_t k) { return *word_at(m, row, k) >> k % 64 & 1; }
static void flip(const matrix *m, size_t row, size_t k) { *word_at(m, row, k) ^= (uint64_t)1 << k % 64; }

static bool gaps_are_filled(const matrix *m) {
    bool holds = true;
    for (size_t row = 0; row + 1 < m->rows; row++)
        holds &= is_filled(m->at + row * m->stride + m->bytes, m->stride - m->bytes);
    return holds;
}

static void copy_row(const matrix *m, size_t to, size_t from) {
    memcpy(m->at + to * m->stride, m->at + from * m->stride, m->bytes);
}

// MARK: kinds of rows

typedef enum kind { RANDOM, FEW, NEAR, CHAIN, STAR, EQUAL, OPPOSITE, KINDS } kind;

static void fill_row(const matrix *m, size_t row) {
    for (size_t k = 0; k < m->bytes * 8; k += 64) *word_at(m, row, k) = (uint64_t)next_random() << 32 | next_random();
}

// A row like one before it.
static void vary_row(const matrix *m, size_t row, kind kind) {
    if (kind == RANDOM || row == 0 || (kind == FEW && row < 4)) {
        fill_row(m, row);
        return;
    }
    copy_row(m, row, kind == CHAIN ? row - 1 : kind == FEW || kind == NEAR ? next_random() % row : 0);
    if (m->columns == 0) return;
    if (kind == CHAIN || kind == STAR) flip(m, row, (row - 1) % m->columns);
    for (size_t i = 0; kind == NEAR && i < 5; i++) flip(m, row, next_random() % m->columns);
    const bool negates = kind == OPPOSITE && next_random() % 2;
    for (size_t k = 0; negates && k < m->columns; k++) flip(m, row, k);
}

// Bits behind the last of a row are noise.
static matrix make_rows(size_t outputs, size_t inputs, kind kind) {
    const matrix m = make_bits(outputs, inputs, next_random() % 3);
    for (size_t row = 0; row < outputs; row++) {
        vary_row(&m, row, kind);
        for (size_t k = inputs; k < m.bytes * 8; k++)
            if (next_random() % 2) flip(&m, row, k);
    }
    return m;
}

static size_t distance(const matrix *m, size_t a, size_t b, bool complement) {
    size_t d = 0;
    for (size_t k = 0; k < m->columns; k++) d += bit_at(m, a, k) != bit_at(m, b, k);
    return complement ? least(d, m->columns - d) : d;
}

// MARK: references

enum { most_rows = 150 };

// The distances of all pairs.
typedef struct distances {
    size_t rows;
    size_t of[most_rows][most_rows];
} distances;

static void measure_pairs(const matrix *m, bool complement, distances *d) {
    d->rows = m->rows;
    for (size_t a = 0; a < m->rows; a++)
        for (size_t b = 0; b <= a; b++) d->of[a][b] = d->of[b][a] = distance(m, a, b, complement);
}

static int compare_sizes(const void *a, const void *b) {
    const size_t x = *(const size_t *)a, y = *(const size_t *)b;
    return x < y ? -1 : x > y;
}

// Kruskal: the edges of a minimum spanning tree, shortest first; returns how many.
static size_t spanning_lengths(const distances *d, size_t longest, size_t *lengths) {
    size_t set[most_rows], edges = 0;
    for (size_t i = 0; i < d->rows; i++) set[i] = i;
    for (size_t length = 0; length <= longest && edges + 1 < d->rows; length++)
        for (size_t a = 0; a < d->rows; a++)
            for (size_t b = 0; b < a; b++) {
                const size_t from = set[a], to = set[b];
                if (d->of[a][b] != length || from == to) continue;
                lengths[edges++] = length;
                for (size_t i = 0; i < d->rows; i++) set[i] = set[i] == from ? to : set[i];
            }
    return edges;
}

static size_t best_star(const distances *d, size_t *sum) {
    size_t star = 0;
    *sum = SIZE_MAX;
    for (size_t a = 0; a < d->rows; a++) {
        size_t its_sum = 0;
        for (size_t b = 0; b < d->rows; b++) its_sum += d->of[a][b];
        if (its_sum < *sum) *sum = its_sum, star = a;
    }
    return star;
}

// Whether row a offers b a better edge than c and e: the shortest, then the row that is joined with the lowest number,
// then the parent that is least deep, then its number.
static bool is_better(const distances *d, const size_t *depth, size_t a, size_t b, size_t c, size_t e) {
    if (c == SIZE_MAX || d->of[a][b] != d->of[c][e]) return c == SIZE_MAX || d->of[a][b] < d->of[c][e];
    if (b != e) return b < e;
    return depth[a] != depth[c] ? depth[a] < depth[c] : a < c;
}

// Prim, pair by pair.
static void grow_slowly(const distances *d, size_t root, size_t max_depth, int32_t *parent) {
    size_t depth[most_rows];
    bool taken[most_rows] = {false};
    taken[root] = true, depth[root] = 0, parent[root] = -1;
    for (size_t i = 1; i < d->rows; i++) {
        size_t from = SIZE_MAX, to = SIZE_MAX;
        for (size_t a = 0; a < d->rows; a++)
            for (size_t b = 0; b < d->rows; b++)
                if (taken[a] && !taken[b] && depth[a] < max_depth && is_better(d, depth, a, b, from, to))
                    from = a, to = b;
        taken[to] = true, depth[to] = depth[from] + 1, parent[to] = (int32_t)from;
    }
}

static void cut_slowly(const distances *d, size_t trees, int32_t *parent) {
    for (size_t i = 1; i < trees; i++) {
        size_t longest = SIZE_MAX;
        for (size_t row = 0; row < d->rows; row++) {
            if (parent[row] < 0) continue;
            const size_t length = d->of[row][parent[row]];
            if (longest == SIZE_MAX || length >= d->of[longest][parent[longest]]) longest = row;
        }
        if (longest != SIZE_MAX) parent[longest] = -1;
    }
}

// MARK: what a tree is like

static size_t depth_of(const int32_t *parent, int32_t row) {
    size_t depth = 0;
    for (; parent[row] >= 0; row = parent[row]) depth++;
    return depth;
}

static bool is_forest(size_t rows, const int32_t *parent) {
    for (size_t row = 0; row < rows; row++) {
        size_t steps = 0;
        for (int32_t r = (int32_t)row; r != -1; r = parent[r])
            if (r < -1 || r >= (int32_t)rows || ++steps > rows) return false;
    }
    return true;
}

// Edges between two rows, SIZE_MAX if they are in different trees.
static size_t tree_distance(const int32_t *parent, int32_t a, int32_t b) {
    size_t deep_a = depth_of(parent, a), deep_b = depth_of(parent, b), steps = 0;
    for (; deep_a > deep_b; deep_a--, steps++) a = parent[a];
    for (; deep_b > deep_a; deep_b--, steps++) b = parent[b];
    for (; a != b && a >= 0 && b >= 0; steps += 2) a = parent[a], b = parent[b];
    return a == b && a >= 0 ? steps : SIZE_MAX;
}

static size_t eccentricity(size_t rows, const int32_t *parent, size_t of) {
    size_t most = 0;
    for (size_t row = 0; row < rows; row++) {
        const size_t steps = tree_distance(parent, (int32_t)of, (int32_t)row);
        if (steps != SIZE_MAX && steps > most) most = steps;
    }
    return most;
}

// Whether each root is the first of the rows of its tree whose farthest row is nearest, half of the longest path.
static bool roots_are_centres(size_t rows, const int32_t *parent) {
    size_t far[most_rows];
    for (size_t row = 0; row < rows; row++) far[row] = eccentricity(rows, parent, row);
    for (size_t root = 0; root < rows; root++) {
        size_t diameter = 0;
        if (parent[root] >= 0) continue;
        for (size_t row = 0; row < rows; row++) {
            if (tree_distance(parent, (int32_t)root, (int32_t)row) == SIZE_MAX) continue;
            diameter = far[row] > diameter ? far[row] : diameter;
            if (far[row] < far[root] || (far[row] == far[root] && row < root)) return false;
        }
        if (far[root] != (diameter + 1) / 2) return false;
    }
    return true;
}

static bool has_edge(const int32_t *parent, int32_t a, int32_t b) { return parent[a] == b || parent[b] == a; }

static bool has_same_edges(size_t rows, const int32_t *parent, const int32_t *other) {
    bool holds = true;
    for (size_t row = 0; row < rows; row++) {
        if (parent[row] >= 0) holds &= has_edge(other, (int32_t)row, parent[row]);
        if (other[row] >= 0) holds &= has_edge(parent, (int32_t)row, other[row]);
    }
    return holds;
}

// MARK: growing

// On one ISA, and on one thread or several; nothing is written around the tree.
static void grow_with(const matrix *m, const ht_mst_rules *rules, const ht_options *options, int32_t *parent) {
    const size_t size = m->rows * sizeof *parent;
    int32_t *list = allocate(size + 2 * sizeof *list);
    memset(list, 0x5a, size + 2 * sizeof *list);
    CHECK(ht_mst_grow(m->rows, m->columns, bits_of(m), m->stride, rules, list + 1, options) == HT_OK);
    CHECK(is_filled(list, sizeof *list) && is_filled(list + 1 + m->rows, sizeof *list));
    memcpy(parent, list + 1, size);
    free(list);
}

// The same everywhere.
static void grow_everywhere(const matrix *m, const ht_mst_rules *rules, int32_t *parent) {
    int32_t *other = allocate(m->rows * sizeof *other);
    ht_options options;
    EACH_ISA(options) {
        grow_with(m, rules, &options, isa_ ? other : parent);
        if (isa_) CHECK(!memcmp(parent, other, m->rows * sizeof *parent));
    }
    free(other);
}

static size_t count_roots(size_t rows, const int32_t *parent) {
    size_t roots = 0;
    for (size_t row = 0; row < rows; row++) roots += parent[row] < 0;
    return roots;
}

static size_t deepest(size_t rows, const int32_t *parent) {
    size_t depth = 0;
    for (size_t row = 0; row < rows; row++) {
        const size_t its_depth = depth_of(parent, (int32_t)row);
        depth = its_depth > depth ? its_depth : depth;
    }
    return depth;
}

static size_t sum_edges(const distances *d, const int32_t *parent) {
    size_t sum = 0;
    for (size_t row = 0; row < d->rows; row++) sum += parent[row] < 0 ? 0 : d->of[row][parent[row]];
    return sum;
}

static size_t half_longest_path(size_t rows, const int32_t *parent) {
    size_t most = 0;
    for (size_t row = 0; row < rows; row++) {
        const size_t far = eccentricity(rows, parent, row);
        most = far > most ? far : most;
    }
    return (most + 1) / 2;
}

// The weight of a minimum spanning tree without its longest edges.
static size_t least_weight(const distances *d, size_t inputs, size_t trees) {
    size_t lengths[most_rows], sum = 0;
    const size_t edges = spanning_lengths(d, inputs, lengths);
    qsort(lengths, edges, sizeof *lengths, compare_sizes);
    for (size_t i = 0; i + trees < d->rows; i++) sum += lengths[i];
    return sum;
}

// `tree` is a minimum spanning tree, grown from row 0.
static void check_rules(const matrix *m, const distances *d, const int32_t *tree, const ht_mst_rules *rules) {
    int32_t parent[most_rows], expected[most_rows];
    const size_t trees = rules->trees ? rules->trees : 1;
    size_t star_sum;
    memcpy(expected, tree, sizeof expected);
    cut_slowly(d, trees, expected);
    const size_t depth = half_longest_path(m->rows, expected);
    const bool is_low = rules->max_depth == 0 || depth <= rules->max_depth;
    if (!is_low) {
        grow_slowly(d, best_star(d, &star_sum), rules->max_depth, expected);
        cut_slowly(d, trees, expected);
    }
    const ht_options options = {.threads = 1 + (int)(next_random() % 3), .isa = isas[next_random() % isa_count]};
    if (rules->max_depth == 0 && trees == 1)
        grow_everywhere(m, rules, parent);
    else
        grow_with(m, rules, &options, parent);
    CHECK(is_forest(m->rows, parent));
    CHECK(has_same_edges(m->rows, parent, expected));
    CHECK(count_roots(m->rows, parent) == least(trees, m->rows));
    CHECK(roots_are_centres(m->rows, parent));
    if (is_low) CHECK(deepest(m->rows, parent) == depth);
    if (is_low) CHECK(sum_edges(d, parent) == least_weight(d, m->columns, trees));
    if (rules->max_depth) CHECK(deepest(m->rows, parent) <= rules->max_depth);
    best_star(d, &star_sum);
    if (rules->max_depth == 1 && trees == 1 && m->rows) CHECK(sum_edges(d, parent) == star_sum);
}

static const ht_mst_rules some_rules[] = {{0, 0, 0}, {0, 1, 0}, {0, 2, 0}, {0, 3, 1},   {0, 0, 2},
                                          {0, 0, 5}, {0, 2, 3}, {0, 1, 2}, {0, 0, 1000}};

static void check_growth(size_t outputs, size_t inputs, kind kind, bool complement) {
    static distances d;
    const matrix m = make_rows(outputs, inputs, kind);
    int32_t tree[most_rows];
    measure_pairs(&m, complement, &d);
    if (outputs) grow_slowly(&d, 0, SIZE_MAX, tree);
    for (size_t i = 0; i < COUNT(some_rules); i++) {
        ht_mst_rules rules = some_rules[i];
        rules.complement = complement;
        checking("tree over %zu x %zu, kind %d, complement %d, depth %zu, trees %zu", outputs, inputs, kind, complement,
                 rules.max_depth, rules.trees);
        check_rules(&m, &d, tree, &rules);
    }
    free(m.at);
}

// No rules and no options are the defaults.
static void check_defaults(void) {
    const matrix m = make_rows(40, 100, NEAR);
    int32_t parent[40], other[40];
    checking("tree by default");
    grow_everywhere(&m, &some_rules[0], parent);
    CHECK(ht_mst_grow(40, 100, bits_of(&m), m.stride, NULL, other, NULL) == HT_OK);
    CHECK(!memcmp(parent, other, sizeof parent));
    free(m.at);
}

// More rows than are tried pair by pair.
static void check_many_rows(void) {
    const matrix m = make_rows(600, 40, RANDOM);
    int32_t parent[600];
    bool met[600] = {true};
    size_t nearest[600], expected = 0, sum = 0;
    checking("tree over many rows");
    grow_everywhere(&m, NULL, parent);
    CHECK(is_forest(m.rows, parent) && count_roots(m.rows, parent) == 1);
    for (size_t row = 0; row < m.rows; row++) {
        nearest[row] = distance(&m, 0, row, false);
        if (parent[row] >= 0) sum += distance(&m, row, (size_t)parent[row], false);
    }
    for (size_t i = 1; i < m.rows; i++) {
        size_t best = 0;
        for (size_t row = 1; row < m.rows; row++)
            if (!met[row] && (best == 0 || nearest[row] < nearest[best])) best = row;
        met[best] = true, expected += nearest[best];
        for (size_t row = 0; row < m.rows; row++)
            if (!met[row]) nearest[row] = least(nearest[row], distance(&m, best, row, false));
    }
    CHECK(sum == expected);
    free(m.at);
}

// MARK: order

static void check_order_of(size_t rows, const int32_t *parent) {
    int32_t order[most_rows];
    bool is_met[most_rows] = {false}, holds = true;
    memset(order, 0x5a, sizeof order);
    CHECK(ht_mst_order(rows, parent, order) == HT_OK);
    for (size_t i = 0; i < rows; i++) {
        const int32_t row = order[i];
        holds &= row >= 0 && row < (int32_t)rows && !is_met[row] && (parent[row] < 0 || is_met[parent[row]]);
        if (!holds) break;
        is_met[row] = true;
        if (i) holds &= depth_of(parent, order[i - 1]) <= depth_of(parent, row);
        if (i && parent[order[i - 1]] == parent[row]) holds &= order[i - 1] < row;
    }
    CHECK(holds);
}

// Any tree; the rows' names are shuffled, so that parents have higher and lower numbers.
static void make_tree(size_t rows, uint32_t roots, int32_t *parent) {
    int32_t name[most_rows];
    for (size_t i = 0; i < rows; i++) {
        const size_t j = next_random() % (i + 1);
        name[i] = name[j], name[j] = (int32_t)i;
    }
    for (size_t i = 0; i < rows; i++)
        parent[name[i]] = i == 0 || next_random() % 10 < roots ? -1 : name[next_random() % i];
}

static void check_order(void) {
    int32_t parent[most_rows], order[most_rows];
    checking("order");
    for (size_t rows = 0; rows < most_rows; rows += 1 + rows / 4)
        for (uint32_t roots = 0; roots <= 10; roots += 5) make_tree(rows, roots, parent), check_order_of(rows, parent);
    static const int32_t tree[] = {3, -1, 3, 1, -1, 4, 1}, by_levels[] = {1, 4, 3, 6, 5, 0, 2};
    CHECK(ht_mst_order(COUNT(tree), tree, order) == HT_OK);
    CHECK(!memcmp(order, by_levels, sizeof by_levels));
    static const int32_t wrong[][4] = {{0, -1, 1, 1},         {1, 0, -1, 2},         {-1, 0, 1, 4},
                                       {-1, -2, 0, 0},        {3, 0, 1, 2},          {-1, 1, 0, 0},
                                       {-1, INT32_MAX, 0, 0}, {INT32_MIN, -1, 0, 0}, {-1, 2, 3, 1}};
    for (size_t i = 0; i < COUNT(wrong); i++) CHECK(ht_mst_order(4, wrong[i], order) == HT_ERROR_TREE);
}

// MARK: figures

static size_t bits_below(size_t count) { return count > 1 ? (size_t)ceil(log2((double)count)) : 0; }

static bool is_near(double a, double b) { return fabs(a - b) <= 1e-12 * fabs(b); }

static void check_figures(size_t outputs, size_t inputs, bool complement) {
    const matrix m = make_rows(outputs, inputs, outputs % 2 ? RANDOM : NEAR);
    int32_t parent[most_rows];
    make_tree(outputs, next_random() % 3, parent);
    const ht_mst_rules rules = {.complement = complement};
    ht_mst_figures figures;
    checking("figures of %zu x %zu, complement %d", outputs, inputs, complement);
    CHECK(ht_mst_measure(outputs, inputs, bits_of(&m), m.stride, parent, complement ? &rules : NULL, &figures) ==
          HT_OK);
    size_t sum = 0, longest = 0;
    const size_t roots = count_roots(outputs, parent), edges = outputs - roots;
    for (size_t row = 0; row < outputs; row++) {
        const size_t d = parent[row] < 0 ? 0 : distance(&m, row, (size_t)parent[row], complement);
        sum += d, longest = d > longest ? d : longest;
    }
    CHECK(figures.roots == roots && figures.depth == deepest(outputs, parent));
    CHECK(figures.longest == longest && figures.distance == sum);
    const double all = (double)(outputs * inputs);
    const size_t edge_bits = edges * (bits_below(outputs) + complement) + sum * bits_below(inputs);
    CHECK(is_near(figures.mean_distance, edges && inputs ? (double)sum / (double)(edges * inputs) : 0));
    CHECK(is_near(figures.operation_ratio, all > 0 ? (double)(roots * inputs + sum) / all : 1));
    CHECK(is_near(figures.parameter_ratio, all > 0 ? (double)(roots * inputs + edge_bits) / all : 1));
    free(m.at);
}

// MARK: centres

static const float odd_floats[] = {0.0f,       -0.0f, INFINITY, -INFINITY, NAN,   0x1p-149f,
                                   -0x1p-149f, 1.0f,  -1.0f,    1.5f,      -1.5f, -3.4e38f};

static float some_float(void) {
    const uint32_t kind = next_random() % 30;
    return kind < COUNT(odd_floats) ? odd_floats[kind] : ((float)next_random() / 0x1p31f - 1) * 1.5f;
}

static void fill_floats(const matrix *m) {
    for (size_t row = 0; row < m->rows; row++)
        for (size_t k = 0; k < m->columns; k++) *float_at(m, row, k) = some_float();
}

// Some clusters are empty.
static int32_t *make_clusters(size_t rows, size_t clusters) {
    int32_t *cluster = allocate(rows * sizeof *cluster);
    for (size_t row = 0; row < rows; row++) cluster[row] = (int32_t)(next_random() % clusters * 3 % clusters);
    return cluster;
}

static bool is_most_negative(const matrix *w, const int32_t *cluster, size_t c, size_t k) {
    long balance = 0;
    for (size_t row = 0; row < w->rows; row++)
        if ((cluster ? (size_t)cluster[row] : 0) == c) balance += *float_at(w, row, k) < 0 ? 1 : -1;
    return balance > 0;
}

static void check_centres(size_t outputs, size_t inputs, size_t clusters) {
    const matrix w = make_floats(outputs, inputs, next_random() % 3);
    fill_floats(&w);
    int32_t *cluster = clusters > 1 ? make_clusters(outputs, clusters) : NULL;
    for (int threads = 1; threads <= 3; threads += 2) {
        const matrix centre = make_bits(clusters, inputs, next_random() % 3);
        const ht_options options = {.threads = threads};
        checking("centres of %zu x %zu, %zu clusters, %d threads", outputs, inputs, clusters, threads);
        CHECK(ht_mst_centres(outputs, inputs, floats_of(&w), w.stride, clusters, cluster, bits_of(&centre),
                             centre.stride, &options) == HT_OK);
        bool holds = true;
        for (size_t c = 0; c < clusters; c++)
            for (size_t k = 0; k < centre.bytes * 8; k++)
                holds &= bit_at(&centre, c, k) == (k < inputs && is_most_negative(&w, cluster, c, k));
        CHECK(holds);
        CHECK(gaps_are_filled(&centre));
        free(centre.at);
    }
    free(w.at), free(cluster);
}

// MARK: gradients

static double clip(double w) { return isnan(w) ? 0 : fmax(-1, fmin(1, w)); }

// A gradient, and how many numbers of which size are added up to it.
typedef struct sum {
    long double value, size;
    int count;
} sum;

static void add(sum *s, long double value) { s->value += value, s->size += fabsl(value), s->count++; }

// What a call makes of the numbers that were in the gradient.
static bool is_gradient(float got, float before, float w, sum s) {
    if (!(fabsf(w) <= 1)) return !memcmp(&got, &before, sizeof got);
    add(&s, before);
    // Terms and sums are rounded; terms may be subnormal.
    return fabsl(got - s.value) <= s.count * (0x1p-23L * s.size + 0x1p-149L);
}

typedef struct gradient_case {
    const matrix *w, *centre;  // no centre: of the edges
    const int32_t *owner;
    size_t clusters;
    float strength;
} gradient_case;

static ht_status run_gradient(const gradient_case *c, const matrix *gradient, int threads) {
    const ht_options options = {.threads = threads};
    const matrix *w = c->w;
    if (c->centre)
        return ht_mst_centre_gradient_f32(w->rows, w->columns, floats_of(w), w->stride, c->clusters, c->owner,
                                          bits_of(c->centre), c->centre->stride, c->strength, floats_of(gradient),
                                          gradient->stride, &options);
    return ht_mst_edge_gradient_f32(w->rows, w->columns, floats_of(w), w->stride, c->owner, c->strength,
                                    floats_of(gradient), gradient->stride, &options);
}

static sum expected_gradient(const gradient_case *c, size_t row, size_t k) {
    sum s = {0};
    if (c->centre) {
        const bool is_minus = bit_at(c->centre, c->owner ? (size_t)c->owner[row] : 0, k);
        add(&s, (long double)c->strength * (is_minus ? 0.5L : -0.5L));
        return s;
    }
    for (size_t other = 0; other < c->w->rows; other++)
        if (c->owner[row] == (int32_t)other || c->owner[other] == (int32_t)row)
            add(&s, (long double)c->strength * -(long double)clip((double)*float_at(c->w, other, k)) / 2);
    return s;
}

static void check_gradient(const gradient_case *c) {
    const matrix *w = c->w;
    const matrix before = make_floats(w->rows, w->columns, 0);
    for (size_t row = 0; row < w->rows; row++)
        for (size_t k = 0; k < w->columns; k++)
            *float_at(&before, row, k) = next_random() % 8 ? (float)next_random() / 0x1p32f : -0.0f;
    for (int threads = 1; threads <= 3; threads += 2) {
        const matrix gradient = make_floats(w->rows, w->columns, (size_t)threads);
        for (size_t row = 0; row < w->rows; row++)
            memcpy(gradient.at + row * gradient.stride, before.at + row * before.stride, before.bytes);
        CHECK(run_gradient(c, &gradient, threads) == HT_OK);
        bool holds = true;
        for (size_t row = 0; row < w->rows; row++)
            for (size_t k = 0; k < w->columns; k++)
                holds &= is_gradient(*float_at(&gradient, row, k), *float_at(&before, row, k), *float_at(w, row, k),
                                     expected_gradient(c, row, k));
        CHECK(holds);
        CHECK(gaps_are_filled(&gradient));
        free(gradient.at);
    }
    free(before.at);
}

static double loss(const gradient_case *c, const double *w) {
    const size_t columns = c->w->columns;
    double sum = 0;
    for (size_t row = 0; row < c->w->rows; row++)
        for (size_t k = 0; k < columns; k++) {
            const double own = clip(w[row * columns + k]);
            if (c->centre)
                sum += (1 - (bit_at(c->centre, (size_t)c->owner[row], k) ? -own : own)) / 2;
            else if (c->owner[row] >= 0)
                sum += (1 - own * clip(w[(size_t)c->owner[row] * columns + k])) / 2;
        }
    return (double)c->strength * sum;
}

// The slope of the loss; no w is near -1 or 1, where it has none.
static void check_slopes(const gradient_case *c) {
    const size_t count = c->w->rows * c->w->columns;
    const matrix gradient = make_floats(c->w->rows, c->w->columns, 0);
    double *w = allocate(count * sizeof *w);
    memset(gradient.at, 0, count * sizeof(float));
    CHECK(run_gradient(c, &gradient, 1) == HT_OK);
    for (size_t i = 0; i < count; i++) w[i] = (double)floats_of(c->w)[i];
    bool holds = true;
    for (size_t i = 0; i < count; i++) {
        const double at = w[i], step = 0x1p-10;
        w[i] = at + step;
        const double above = loss(c, w);
        w[i] = at - step;
        const double slope = (above - loss(c, w)) / (2 * step);
        w[i] = at;
        holds &= fabs(slope - (double)floats_of(&gradient)[i]) < 1e-5;
    }
    CHECK(holds);
    free(w), free(gradient.at);
}

static float smooth_float(void) {
    const float size = (float)next_random() / 0x1p32f * 0.9f + (next_random() % 3 ? 0.01f : 1.01f);
    return next_random() % 2 ? size : -size;
}

static void check_gradients(size_t outputs, size_t inputs, size_t clusters) {
    const bool is_smooth = outputs * inputs < 200;
    const matrix w = make_floats(outputs, inputs, 0), centre = make_rows(clusters, inputs, RANDOM);
    fill_floats(&w);
    int32_t *cluster = make_clusters(outputs, clusters), parent[most_rows];
    make_tree(outputs, 1, parent);
    const gradient_case cases[] = {{&w, &centre, cluster, clusters, 0.3f},
                                   {&w, &centre, NULL, clusters, -2},
                                   {&w, NULL, parent, 0, 0.3f},
                                   {&w, NULL, parent, 0, -2}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        checking("gradient %zu of %zu x %zu, %zu clusters", i, outputs, inputs, clusters);
        check_gradient(&cases[i]);
    }
    for (size_t i = 0; is_smooth && i < outputs * inputs; i++) floats_of(&w)[i] = smooth_float();
    if (is_smooth) check_slopes(&cases[0]), check_slopes(&cases[2]);
    free(w.at), free(centre.at), free(cluster);
}

// MARK: trees of packed weights

// Rows along some tree, packed as a matrix or, with a shape, as filters.
typedef struct packing {
    const ht_conv_shape *shape;  // or null
    size_t groups, outputs, size;  // outputs of a group
    int32_t *parent;  // of all groups
    char *packed;
} packing;

static packing pack_along_tree(const ht_conv_shape *shape, size_t groups, size_t outputs, size_t inputs) {
    packing p = {shape, groups, outputs, 0, allocate(groups * outputs * sizeof *p.parent), NULL};
    const matrix w = make_rows(groups * outputs, inputs, NEAR);
    for (size_t group = 0; group < groups; group++) make_tree(outputs, 2, p.parent + group * outputs);
    CHECK((shape ? ht_mst_conv_packed_size(shape, bits_of(&w), w.stride, p.parent, &p.size)
                 : ht_mst_packed_size(outputs, inputs, bits_of(&w), w.stride, p.parent, &p.size)) == HT_OK);
    p.packed = ht_allocate(p.size);
    CHECK(p.packed != NULL);
    CHECK((shape ? ht_mst_conv_pack(shape, bits_of(&w), w.stride, p.parent, p.packed, p.size, NULL)
                 : ht_mst_pack(outputs, inputs, bits_of(&w), w.stride, p.parent, p.packed, p.size, NULL)) == HT_OK);
    free(w.at);
    return p;
}

static void free_packing(packing *p) { free(p->parent), ht_free(p->packed); }

// Each group has the tree that it was packed along, and nothing is written around it.
static void check_unpacking(const ht_conv_shape *shape, size_t groups, size_t outputs, size_t inputs) {
    packing p = pack_along_tree(shape, groups, outputs, inputs);
    int32_t parent[most_rows + 2];
    checking("unpacked trees of %zu groups of %zu x %zu", groups, outputs, inputs);
    for (size_t group = 0; group < groups; group++) {
        const size_t each = p.size / groups;
        memset(parent, 0x5a, sizeof parent);
        CHECK(ht_mst_unpack_tree(outputs, p.packed + group * each, p.size - group * each, parent + 1) == HT_OK);
        CHECK(!memcmp(parent + 1, p.parent + group * outputs, outputs * sizeof *parent));
        CHECK(is_filled(parent, sizeof *parent) && is_filled(parent + 1 + outputs, sizeof *parent));
    }
    free_packing(&p);
}

static void check_unpacking_all(void) {
    const ht_conv_shape one = {.channels = 30, .outputs = 20, .kernel_height = 3, .kernel_width = 2};
    ht_conv_shape three = one;
    three.channels *= 3, three.outputs *= 3, three.groups = 3;
    check_unpacking(NULL, 1, 0, 70), check_unpacking(NULL, 1, 1, 0);
    check_unpacking(NULL, 1, 33, 70), check_unpacking(NULL, 1, 5, 9000);
    check_unpacking(&one, 1, 20, 180), check_unpacking(&three, 3, 20, 180);
}

static void refuse_unpacking(size_t outputs, const void *packed, size_t size, ht_status status) {
    int32_t parent[8];
    memset(parent, 0x5a, sizeof parent);
    CHECK(ht_mst_unpack_tree(outputs, packed, size, parent) == status);
    CHECK(is_filled(parent, sizeof parent));
}

// A header has a sum; what lies behind has none, but ends of lists and numbers of outputs are checked.
static void check_unpacking_damage(const packing *p) {
    ht_binary_info info;
    CHECK(ht_binary_packed_info(p->packed, p->size, &info) == HT_OK && info.design == HT_BINARY_TREE);
    p->packed[0] ^= 1, refuse_unpacking(6, p->packed, p->size, HT_ERROR_BLOB_FOREIGN), p->packed[0] ^= 1;
    p->packed[20] ^= 1, refuse_unpacking(6, p->packed, p->size, HT_ERROR_BLOB_CORRUPT), p->packed[20] ^= 1;
    char *lists = p->packed + 64 + 16 * 2 * 4;  // one block of 16 outputs, 40 inputs in 2 words
    for (size_t at = 0; at < p->size - 64 - 16 * 2 * 4; at++) lists[at] = (char)~lists[at];
    refuse_unpacking(6, p->packed, p->size, HT_ERROR_BLOB_CORRUPT);
}

static void check_unpacking_errors(void) {
    checking("errors of unpacked trees");
    const packing p = pack_along_tree(NULL, 1, 6, 40);
    int32_t parent[8];
    memset(parent, 0x5a, sizeof parent);
    CHECK(ht_mst_unpack_tree(6, p.packed, p.size, NULL) == HT_ERROR_NULL);
    CHECK(ht_mst_unpack_tree(6, p.packed, p.size, (int32_t *)(void *)((char *)parent + 2)) == HT_ERROR_ALIGNMENT);
    CHECK(is_filled(parent, sizeof parent));
    refuse_unpacking(6, NULL, p.size, HT_ERROR_NULL);
    refuse_unpacking(6, p.packed + 8, p.size - 8, HT_ERROR_ALIGNMENT);
    refuse_unpacking(6, p.packed, p.size - 1, HT_ERROR_BLOB_TRUNCATED);
    refuse_unpacking(6, p.packed, 63, HT_ERROR_BLOB_TRUNCATED);
    refuse_unpacking(5, p.packed, p.size, HT_ERROR_BLOB_SHAPE);
    refuse_unpacking(0, p.packed, p.size, HT_ERROR_BLOB_SHAPE);
    check_unpacking_damage(&p);
    free(p.parent), ht_free(p.packed);
}

static void check_unpacking_other_designs(void) {
    static const uint64_t w[6];
    checking("trees of weights that were packed without");
    for (ht_binary_design design = HT_BINARY_AUTO; design < HT_BINARY_TREE; design++) {
        const ht_options options = {.binary_design = design};
        size_t size;
        CHECK(ht_binary_packed_size(6, 40, &options, &size) == HT_OK);
        void *packed = ht_allocate(size);
        CHECK(ht_binary_pack(6, 40, w, 0, packed, size, &options) == HT_OK);
        refuse_unpacking(6, packed, size, HT_ERROR_DESIGN);
        ht_free(packed);
    }
}

// MARK: errors

static uint64_t words[4 * 2], centres[3 * 2];
static float numbers[4 * 70];
static struct {
    int32_t parent[4];
    ht_mst_figures figures;
    uint64_t centre[3 * 2];
    float gradient[4 * 70];
} result;

// Calls that differ in one argument from one that holds.
typedef struct arguments {
    size_t outputs, inputs, w_stride, clusters, centre_stride, to_stride;
    const void *w;
    const int32_t *owner;
    const void *centre;
    void *to;
    ht_options options;
} arguments;

typedef ht_status function(const arguments *a);

static ht_status call_grow(const arguments *a) {
    return ht_mst_grow(a->outputs, a->inputs, a->w, a->w_stride, NULL, a->to, &a->options);
}
static ht_status call_measure(const arguments *a) {
    return ht_mst_measure(a->outputs, a->inputs, a->w, a->w_stride, a->owner, NULL, a->to);
}
static ht_status call_centres(const arguments *a) {
    return ht_mst_centres(a->outputs, a->inputs, a->w, a->w_stride, a->clusters, a->owner, a->to, a->centre_stride,
                          &a->options);
}
static ht_status call_centre_gradient(const arguments *a) {
    return ht_mst_centre_gradient_f32(a->outputs, a->inputs, a->w, a->w_stride, a->clusters, a->owner, a->centre,
                                      a->centre_stride, 1, a->to, a->to_stride, &a->options);
}
static ht_status call_edge_gradient(const arguments *a) {
    return ht_mst_edge_gradient_f32(a->outputs, a->inputs, a->w, a->w_stride, a->owner, 1, a->to, a->to_stride,
                                    &a->options);
}

typedef struct call {
    const char *name;
    function *run;
    const void *w;
    void *to;
    size_t unit, to_unit;  // strides are multiples of; 0 = it has none
    bool takes_tree, takes_clusters, takes_options, picks_isa;
} call;

static const call calls[] = {
    {"grow", call_grow, words, result.parent, 8, 0, false, false, true, true},
    {"measure", call_measure, words, &result.figures, 8, 0, true, false, false, false},
    {"centres", call_centres, numbers, result.centre, 4, 0, false, true, true, false},
    {"centre gradient", call_centre_gradient, numbers, result.gradient, 4, 4, false, true, true, false},
    {"edge gradient", call_edge_gradient, numbers, result.gradient, 4, 4, true, false, true, false}};

static void expect(const call *c, arguments a, ht_status status) {
    memset(&result, 0x5a, sizeof result);
    checking("%s, which should return %d", c->name, status);
    CHECK(c->run(&a) == status);
    CHECK(is_filled(&result, sizeof result));
}

static void check_owner_errors(const call *c, arguments good) {
    static const int32_t circle[] = {1, 2, 0, -1}, itself[] = {-1, 1, 0, 0}, beyond[] = {-1, 0, 4, 0},
                         below[] = {-2, 0, 0, 0};
    arguments a = good;
    a.owner = (const int32_t *)(const void *)((const char *)good.owner + 1), expect(c, a, HT_ERROR_ALIGNMENT);
    a.owner = beyond, expect(c, a, HT_ERROR_TREE);
    a.owner = below, expect(c, a, HT_ERROR_TREE);
    if (c->takes_clusters) {
        a.owner = circle, expect(c, a, HT_ERROR_TREE);  // a root is no cluster
        a = good, a.clusters = 0, expect(c, a, HT_ERROR_TREE);
        a.owner = NULL, expect(c, a, HT_ERROR_TREE);
        a = good, a.centre_stride = 8, expect(c, a, HT_ERROR_STRIDE);
        a = good, a.centre_stride = 20, expect(c, a, HT_ERROR_STRIDE);
        a = good, a.clusters = (size_t)1 << 60, expect(c, a, HT_ERROR_OVERFLOW);
        return;
    }
    a.owner = circle, expect(c, a, HT_ERROR_TREE);
    a.owner = itself, expect(c, a, HT_ERROR_TREE);
    a.owner = NULL, expect(c, a, HT_ERROR_NULL);
}

static void check_empty(const call *c, arguments a) {
    checking("%s of nothing", c->name);
    a.clusters = 0, a.outputs = 0, a.w = NULL, a.owner = NULL, a.centre = NULL;
    if (c->run != call_measure) a.to = NULL;
    CHECK(c->run(&a) == HT_OK);
    static const int32_t own[] = {-1, 0, 0, 0};
    static int32_t parent[4];
    a.clusters = 4, a.outputs = 4, a.inputs = 0, a.owner = c->takes_clusters ? NULL : own;
    if (c->run == call_grow) a.to = parent;
    CHECK(c->run(&a) == HT_OK);
}

static void check_errors(const call *c) {
    static const int32_t tree[] = {1, -1, 1, 0}, cluster[] = {0, 2, 1, 2};
    const arguments good = {.outputs = 4,
                            .inputs = 70,
                            .clusters = 3,
                            .w = c->w,
                            .owner = c->takes_clusters ? cluster : tree,
                            .centre = centres,
                            .to = c->to};
    arguments a = good;
    memset(&result, 0, sizeof result);
    checking("%s", c->name);
    CHECK(c->run(&a) == HT_OK);
    a.w = NULL, expect(c, a, HT_ERROR_NULL), a = good;
    a.to = NULL, expect(c, a, HT_ERROR_NULL), a = good;
    a.w = (const char *)c->w + 1, expect(c, a, HT_ERROR_ALIGNMENT), a = good;
    a.w_stride = 8, expect(c, a, HT_ERROR_STRIDE), a = good;
    a.w_stride = 600 + c->unit / 2, expect(c, a, HT_ERROR_STRIDE), a = good;
    a.outputs = (size_t)1 << 60, expect(c, a, HT_ERROR_OVERFLOW), a = good;
    a.outputs = (size_t)1 << 31, a.inputs = 0, expect(c, a, HT_ERROR_OVERFLOW), a = good;
    if (c->run != call_measure) a.to = (char *)c->to + 1, expect(c, a, HT_ERROR_ALIGNMENT), a = good;
    if (c->to_unit) a.to_stride = 8, expect(c, a, HT_ERROR_STRIDE), a = good;
    if (c->to_unit) a.to_stride = 282, expect(c, a, HT_ERROR_STRIDE), a = good;
    if (c->takes_options) a.options.threads = -1, expect(c, a, HT_ERROR_THREADS), a = good;
    if (c->picks_isa) a.options.isa = (ht_isa)99, expect(c, a, HT_ERROR_ISA), a = good;
    if (c->takes_tree || c->takes_clusters) check_owner_errors(c, good);
    check_empty(c, good);
}

static void check_centre_operand(void) {
    const int32_t cluster[] = {0, 0};
    const call *c = &calls[3];
    arguments a = {.outputs = 2, .inputs = 70, .clusters = 1, .w = numbers, .owner = cluster, .to = result.gradient};
    expect(c, a, HT_ERROR_NULL);
    a.centre = (const char *)centres + 4, expect(c, a, HT_ERROR_ALIGNMENT);
}

// MARK: plans

// Whether the kernels that are chosen here have more designs than the direct one.
static bool machine_has_designs(void) {
    ht_kernel_info rows[64];
    const size_t count = ht_kernels(rows, COUNT(rows));
    for (size_t i = 0; i < least(count, COUNT(rows)); i++)
        if (!strcmp(rows[i].op, "binary_gemm") && rows[i].chosen) return !strcmp(rows[i].isa, "avx512popcnt");
    return false;
}

// No design is more than 5 % faster than that of a plan, which is no slower than the direct one.
static void check_plan(const ht_mst_plan *plan) {
    const double best = plan->cycles[plan->design], direct = plan->cycles[HT_BINARY_DIRECT];
    bool holds = plan->design >= HT_BINARY_DIRECT && plan->design <= HT_BINARY_TREE;
    for (size_t d = HT_BINARY_DIRECT; d <= HT_BINARY_TREE; d++) {
        const bool is_finite = plan->cycles[d] < HUGE_VAL;
        holds &= plan->cycles[d] >= 0 && best <= plan->cycles[d] * 1.05;
        if (d != HT_BINARY_DIRECT && !machine_has_designs()) holds &= !is_finite;
    }
    CHECK(holds && direct < HUGE_VAL && plan->cycles[HT_BINARY_AUTO] == best);
    CHECK(plan->design == HT_BINARY_DIRECT ? best == direct : best * 1.05 < direct);
    CHECK(plan->gain >= 1 && is_near(plan->gain, best > 0 ? direct / best : 1));
}

static bool applies(const ht_mst_plan *plan, ht_binary_design design) { return plan->cycles[design] < HUGE_VAL; }

static ht_mst_plan plan_product(size_t t, const matrix *w, const int32_t *parent, ht_dtype y) {
    ht_mst_plan plan;
    checking("plan of %zu rows of %zu x %zu to type %d", t, w->rows, w->columns, (int)y);
    CHECK(ht_mst_plan_gemm(t, w->rows, w->columns, bits_of(w), w->stride, parent, y, &plan) == HT_OK);
    check_plan(&plan);
    CHECK(!applies(&plan, HT_BINARY_CHANNELS));
    return plan;
}

// Each row is its parent's but for a hundredth of its signs.
static matrix make_near_rows(size_t outputs, size_t inputs, int32_t *parent) {
    const matrix w = make_bits(outputs, inputs, 1);
    fill_row(&w, 0), parent[0] = -1;
    for (size_t row = 1; row < outputs; row++) {
        parent[row] = (int32_t)(row - 1) / 2, copy_row(&w, row, (row - 1) / 2);
        for (size_t i = 0; i < inputs / 100; i++) flip(&w, row, next_random() % inputs);
    }
    return w;
}

static void check_plans_of_products(void) {
    static const size_t ts[] = {0, 1, 100, 512, 1024, 5000};
    int32_t parent[most_rows];
    const matrix near_rows = make_near_rows(128, 1152, parent);
    for (size_t i = 0; i < COUNT(ts); i++)
        for (int bits = 0; bits < 2; bits++) plan_product(ts[i], &near_rows, parent, bits ? HT_DTYPE_B1 : HT_DTYPE_I32);
    const ht_mst_plan short_tree = plan_product(1024, &near_rows, parent, HT_DTYPE_B1);
    CHECK(short_tree.design == (machine_has_designs() ? HT_BINARY_TREE : HT_BINARY_DIRECT));
    CHECK(applies(&short_tree, HT_BINARY_PIXELS) == machine_has_designs());
    const ht_mst_plan nothing = plan_product(0, &near_rows, parent, HT_DTYPE_B1);
    CHECK(nothing.design == HT_BINARY_DIRECT && nothing.gain == 1);
    free(near_rows.at);
    const matrix far_rows = make_rows(128, 1152, RANDOM);
    CHECK(ht_mst_grow(128, 1152, bits_of(&far_rows), far_rows.stride, NULL, parent, NULL) == HT_OK);
    CHECK(plan_product(1024, &far_rows, parent, HT_DTYPE_B1).design != HT_BINARY_TREE);
    free(far_rows.at);
}

static ht_mst_plan plan_filters(const ht_conv_shape *shape, const matrix *w, const int32_t *parent, ht_dtype y) {
    ht_mst_plan plan;
    checking("plan of filters of %zu, stride %zu, %zu groups, type %d", w->columns, shape->stride_x, shape->groups,
             (int)y);
    CHECK(ht_mst_plan_conv(shape, bits_of(w), w->stride, parent, y, &plan) == HT_OK);
    check_plan(&plan);
    return plan;
}

// Filters of more inputs than the entries of a list can name, or counters count, and none.
static void check_plans_of_long_rows(void) {
    static const size_t channels[] = {0, 1, 2047, 2048, 5461, 4681}, taps[] = {3, 1, 4, 4, 6, 7};
    int32_t parent[most_rows];
    for (size_t i = 0; i < COUNT(taps); i++) {
        const size_t inputs = channels[i] * taps[i];
        const ht_conv_shape shape = {.height = 10,
                                     .width = 100,
                                     .channels = channels[i],
                                     .outputs = 20,
                                     .kernel_height = 1,
                                     .kernel_width = taps[i]};
        const matrix w = make_rows(20, inputs, NEAR);
        make_tree(20, 1, parent);
        const ht_mst_plan plan = plan_filters(&shape, &w, parent, HT_DTYPE_B1);
        const bool has_designs = machine_has_designs() && inputs > 0;
        CHECK(applies(&plan, HT_BINARY_TREE) == (has_designs && inputs <= 8191));
        CHECK(applies(&plan, HT_BINARY_PIXELS) == (has_designs && inputs <= 32766));
        free(w.at);
    }
}

static void check_plans_of_convolutions(void) {
    ht_conv_shape shape = {.height = 28,
                           .width = 28,
                           .channels = 128,
                           .outputs = 128,
                           .kernel_height = 3,
                           .kernel_width = 3,
                           .pad_top = 1,
                           .pad_bottom = 1,
                           .pad_left = 1,
                           .pad_right = 1};
    const bool has_designs = machine_has_designs();
    int32_t parent[most_rows];
    const matrix w = make_near_rows(128, 1152, parent);
    ht_mst_plan plan = plan_filters(&shape, &w, parent, HT_DTYPE_B1);
    CHECK(plan.design == (has_designs ? HT_BINARY_TREE : HT_BINARY_DIRECT));
    CHECK(applies(&plan, HT_BINARY_PIXELS) == has_designs && applies(&plan, HT_BINARY_CHANNELS) == has_designs);
    CHECK(!applies((plan = plan_filters(&shape, &w, parent, HT_DTYPE_I32), &plan), HT_BINARY_CHANNELS));
    shape.stride_x = shape.stride_y = 2;
    plan = plan_filters(&shape, &w, parent, HT_DTYPE_B1);
    CHECK(!applies(&plan, HT_BINARY_PIXELS) && !applies(&plan, HT_BINARY_TREE));
    shape.images = 0, shape.height = 0, shape.pad_top = 0, shape.pad_bottom = 0;
    plan = plan_filters(&shape, &w, parent, HT_DTYPE_B1);
    CHECK(plan.design == HT_BINARY_DIRECT && plan.gain == 1);
    free(w.at);
}

// Groups have trees of their own, and run by pixels where their channels and outputs fill words.
static void check_plans_of_groups(void) {
    ht_conv_shape shape = {
        .height = 40, .width = 40, .channels = 128, .outputs = 128, .kernel_height = 3, .kernel_width = 3, .groups = 2};
    int32_t parent[most_rows];
    const matrix w = make_near_rows(128, 576, parent);
    for (size_t row = 0; row < 64; row++) copy_row(&w, 64 + row, row), parent[64 + row] = parent[row];
    ht_mst_plan plan = plan_filters(&shape, &w, parent, HT_DTYPE_B1);
    CHECK(applies(&plan, HT_BINARY_TREE) == machine_has_designs() && !applies(&plan, HT_BINARY_CHANNELS));
    parent[127] = 64, parent[64] = 127;
    CHECK(ht_mst_plan_conv(&shape, bits_of(&w), w.stride, parent, HT_DTYPE_B1, &plan) == HT_ERROR_TREE);
    memset(parent, 0xff, sizeof parent);
    shape.channels = 32, shape.groups = 4, shape.kernel_height = 9, shape.kernel_width = 8;
    plan = plan_filters(&shape, &w, parent, HT_DTYPE_B1);
    CHECK(!applies(&plan, HT_BINARY_PIXELS) && !applies(&plan, HT_BINARY_TREE));
    free(w.at);
}

static const ht_conv_shape planned_shape = {
    .height = 3, .width = 3, .channels = 35, .outputs = 4, .kernel_height = 1, .kernel_width = 2};

// As a product and as filters.
static void refuse_plan(const uint64_t *w, size_t stride, const int32_t *parent, ht_status status) {
    ht_mst_plan plan;
    memset(&plan, 0x5a, sizeof plan);
    checking("plans, which should return %d", status);
    CHECK(ht_mst_plan_gemm(9, 4, 70, w, stride, parent, HT_DTYPE_B1, &plan) == status);
    CHECK(ht_mst_plan_conv(&planned_shape, w, stride, parent, HT_DTYPE_B1, &plan) == status);
    CHECK(is_filled(&plan, sizeof plan));
}

static void check_plan_errors(void) {
    static const int32_t tree[] = {1, -1, 1, 0}, circle[] = {1, 2, 0, -1}, beyond[] = {-1, 0, 4, 0};
    ht_mst_plan plan;
    ht_conv_shape shape = planned_shape;
    CHECK(ht_mst_plan_gemm(9, 4, 70, words, 0, tree, HT_DTYPE_B1, NULL) == HT_ERROR_NULL);
    CHECK(ht_mst_plan_conv(&shape, words, 0, tree, HT_DTYPE_B1, NULL) == HT_ERROR_NULL);
    refuse_plan(NULL, 0, tree, HT_ERROR_NULL), refuse_plan(words, 0, NULL, HT_ERROR_NULL);
    refuse_plan(words, 8, tree, HT_ERROR_STRIDE), refuse_plan(words, 20, tree, HT_ERROR_STRIDE);
    refuse_plan((const uint64_t *)(const void *)((const char *)words + 4), 0, tree, HT_ERROR_ALIGNMENT);
    refuse_plan(words, 0, circle, HT_ERROR_TREE), refuse_plan(words, 0, beyond, HT_ERROR_TREE);
    memset(&plan, 0x5a, sizeof plan);
    CHECK(ht_mst_plan_gemm(9, 4, (size_t)1 << 31, words, 0, tree, HT_DTYPE_B1, &plan) == HT_ERROR_OVERFLOW);
    CHECK(ht_mst_plan_conv(NULL, words, 0, tree, HT_DTYPE_B1, &plan) == HT_ERROR_NULL);
    shape.groups = 3;
    CHECK(ht_mst_plan_conv(&shape, words, 0, tree, HT_DTYPE_B1, &plan) == HT_ERROR_CONV);
    CHECK(is_filled(&plan, sizeof plan));
}

void test_mst(void) {
    isa_count = runnable("binary_gemm", isas, COUNT(isas));
    CHECK(isa_count > 0);
    static const size_t outputs[] = {0, 1, 2, 3, 9, 64, 70, 140}, inputs[] = {0, 1, 31, 64, 65, 300};
    for (size_t o = 0; o < COUNT(outputs); o++)
        for (size_t i = 0; i < COUNT(inputs); i++) {
            // Of many rows some are enough.
            for (int kind = 0; kind < KINDS; kind++)
                for (int complement = 0; complement < 2 && (outputs[o] < 100 || (kind + i) % 4 == 0); complement++)
                    check_growth(outputs[o], inputs[i], (enum kind)kind, complement);
            check_figures(outputs[o], inputs[i], false), check_figures(outputs[o], inputs[i], true);
            for (size_t clusters = 1; clusters < 9; clusters += 3) {
                check_centres(outputs[o], inputs[i], clusters);
                check_gradients(outputs[o], inputs[i], clusters);
            }
        }
    // Products of more than 16 bits.
    check_growth(9, 33000, NEAR, false), check_growth(9, 33000, OPPOSITE, true);
    check_defaults(), check_many_rows(), check_order();
    check_centres(20, 2500, 3), check_gradients(7, 9, 3), check_gradients(4, 40, 2);
    for (size_t i = 0; i < COUNT(calls); i++) check_errors(&calls[i]);
    check_centre_operand();
    check_unpacking_all(), check_unpacking_errors(), check_unpacking_other_designs();
    check_plans_of_products(), check_plans_of_long_rows();
    check_plans_of_convolutions(), check_plans_of_groups(), check_plan_errors();
}
