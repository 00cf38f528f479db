// SPDX-License-Identifier: Apache-2.0
// What training takes from clusters and trees of rows. Every row is written by one thread, so results do not depend on
// their number. Bound: memory; compilers make vectors of the loops.
#include <math.h>
#include <string.h>

#include "core/operands.h"
#include "core/threads.h"
#include "halftone/mst.h"
#include "tree.h"

enum { word_columns = 64, piece_words = 16 };

// What the calls take, checked.
typedef struct learning {
    size_t outputs, inputs;
    const float *w;
    size_t w_stride;
    size_t clusters;
    const int32_t *owner;  // clusters or parents
    uint64_t *centre;
    size_t centre_stride;
    float half;  // of the strength
    float *gradient;
    size_t gradient_stride;
    ht_mst_lists lists;  // rows by owner
} learning;

static const float *w_of(const learning *l, size_t row) {
    return (const float *)(const void *)((const char *)l->w + row * l->w_stride);
}

static float *gradient_of(const learning *l, size_t row) {
    return (float *)(void *)((char *)l->gradient + row * l->gradient_stride);
}

static uint64_t *centre_of(const learning *l, size_t cluster) {
    return (uint64_t *)(void *)((char *)l->centre + cluster * l->centre_stride);
}

// MARK: checks

static int threads_of(const ht_options *options) { return options ? options->threads : 0; }

static ht_status check_rows(learning *l, const ht_options *options) {
    if (threads_of(options) < 0) return HT_ERROR_THREADS;
    return ht_check_matrix(l->w, l->outputs, l->inputs, sizeof *l->w, &l->w_stride);
}

static ht_status check_gradient(learning *l) {
    return ht_check_matrix(l->gradient, l->outputs, l->inputs, sizeof *l->gradient, &l->gradient_stride);
}

static bool clusters_are_in_range(const learning *l) {
    if (!l->owner) return l->clusters > 0 || l->outputs == 0;
    for (size_t row = 0; row < l->outputs; row++)
        if (l->owner[row] < 0 || (size_t)l->owner[row] >= l->clusters) return false;
    return true;
}

static ht_status check_clusters(learning *l) {
    ht_status status = ht_check_bits(l->centre, l->clusters, l->inputs, &l->centre_stride);
    // All rows are of cluster 0 where nothing is said.
    if (!status) status = ht_mst_check_numbers(l->owner ? l->outputs : 0, l->owner);
    if (!status && l->outputs > INT32_MAX) status = HT_ERROR_OVERFLOW;
    if (status) return status;
    return clusters_are_in_range(l) ? HT_OK : HT_ERROR_TREE;
}

// MARK: centres

static void count_negative(const float *restrict w, size_t columns, int32_t *restrict negative) {
    for (size_t k = 0; k < columns; k++) negative[k] += w[k] < 0;
}

static void write_majority(const int32_t *negative, size_t columns, size_t members, uint64_t *bits) {
    memset(bits, 0, ht_ceil_div(columns, word_columns) * sizeof *bits);
    for (size_t k = 0; k < columns; k++)
        bits[k / word_columns] |= (uint64_t)((size_t)negative[k] * 2 > members) << k % word_columns;
}

// Some words of a centre.
static void vote(void *context, size_t piece) {
    const learning *l = context;
    const size_t pieces = ht_ceil_div(ht_ceil_div(l->inputs, word_columns), piece_words);
    const size_t cluster = piece / pieces, word = piece % pieces * piece_words, first = word * word_columns;
    const size_t columns = ht_min(piece_words * word_columns, l->inputs - first);
    const size_t begin = l->lists.first[cluster], end = l->lists.first[cluster + 1];
    int32_t negative[piece_words * word_columns] = {0};
    for (size_t i = begin; i < end; i++) count_negative(w_of(l, (size_t)l->lists.row[i]) + first, columns, negative);
    write_majority(negative, columns, end - begin, centre_of(l, cluster) + word);
}

ht_status ht_mst_centres(size_t outputs, size_t inputs, const float *w, size_t w_stride, size_t clusters,
                         const int32_t *cluster, uint64_t *centre, size_t centre_stride, const ht_options *options) {
    learning l = {.outputs = outputs, .inputs = inputs, .w = w, .w_stride = w_stride};
    l.clusters = clusters, l.owner = cluster, l.centre = centre, l.centre_stride = centre_stride;
    ht_status status = check_rows(&l, options);
    if (!status) status = check_clusters(&l);
    if (status || clusters == 0 || inputs == 0) return status;
    status = ht_mst_lists_make(outputs, cluster, clusters, &l.lists);
    if (status) return status;
    const size_t pieces = ht_ceil_div(ht_ceil_div(inputs, word_columns), piece_words);
    ht_parallel(vote, &l, clusters * pieces, ht_resolve_threads(threads_of(options)));
    ht_mst_lists_free(&l.lists);
    return HT_OK;
}

// MARK: gradients

// Adds half to or, where the bit is set, subtracts it from the numbers of a word where |w| <= 1.
static void pull_word(const float *restrict w, uint64_t bits, size_t columns, float half, float *restrict gradient) {
    float push[word_columns];
    for (size_t k = 0; k < word_columns; k++) push[k] = bits >> k & 1 ? half : -half;
    for (size_t k = 0; k < columns; k++) gradient[k] = fabsf(w[k]) <= 1 ? gradient[k] + push[k] : gradient[k];
}

static void pull_to_centre(void *context, size_t row) {
    const learning *l = context;
    const uint64_t *centre = centre_of(l, l->owner ? (size_t)l->owner[row] : 0);
    const float *w = w_of(l, row);
    float *gradient = gradient_of(l, row);
    for (size_t k = 0; k < l->inputs; k += word_columns)
        pull_word(w + k, centre[k / word_columns], ht_min(word_columns, l->inputs - k), l->half, gradient + k);
}

ht_status ht_mst_centre_gradient_f32(size_t outputs, size_t inputs, const float *w, size_t w_stride, size_t clusters,
                                     const int32_t *cluster, const uint64_t *centre, size_t centre_stride,
                                     float strength, float *gradient, size_t gradient_stride,
                                     const ht_options *options) {
    learning l = {.outputs = outputs, .inputs = inputs, .w = w, .w_stride = w_stride, .half = strength / 2};
    l.clusters = clusters, l.owner = cluster;
    l.centre = (uint64_t *)(uintptr_t)centre, l.centre_stride = centre_stride;
    l.gradient = gradient, l.gradient_stride = gradient_stride;
    ht_status status = check_rows(&l, options);
    if (!status) status = check_clusters(&l);
    if (!status) status = check_gradient(&l);
    if (status || inputs == 0) return status;
    ht_each_row(pull_to_centre, &l, outputs, threads_of(options));
    return HT_OK;
}

// Clips what is already multiplied, which gives the same number as the product of the clipped one, so that no compiler
// can make one rounding of the product and the difference.
static void pull_row(const float *restrict w, const float *restrict other, size_t columns, float half,
                     float *restrict gradient) {
    const float most = fabsf(half);
    for (size_t k = 0; k < columns; k++) {
        const float pull = half * other[k];
        float clipped = pull > most ? most : pull < -most ? -most : pull;
        clipped = pull == pull ? clipped : 0;
        gradient[k] = fabsf(w[k]) <= 1 ? gradient[k] - clipped : gradient[k];
    }
}

static void pull_to_neighbours(void *context, size_t row) {
    const learning *l = context;
    const float *w = w_of(l, row);
    float *gradient = gradient_of(l, row);
    if (l->owner[row] >= 0) pull_row(w, w_of(l, (size_t)l->owner[row]), l->inputs, l->half, gradient);
    for (size_t i = l->lists.first[row]; i < l->lists.first[row + 1]; i++)
        pull_row(w, w_of(l, (size_t)l->lists.row[i]), l->inputs, l->half, gradient);
}

static ht_status check_tree(const learning *l) {
    ht_status status = ht_mst_check_numbers(l->outputs, l->owner);
    if (status) return status;
    int32_t *order = ht_allocate(l->outputs * sizeof *order);
    if (!order) return HT_ERROR_MEMORY;
    status = ht_mst_order(l->outputs, l->owner, order);
    ht_free(order);
    return status;
}

ht_status ht_mst_edge_gradient_f32(size_t outputs, size_t inputs, const float *w, size_t w_stride,
                                   const int32_t *parent, float strength, float *gradient, size_t gradient_stride,
                                   const ht_options *options) {
    learning l = {.outputs = outputs, .inputs = inputs, .w = w, .w_stride = w_stride, .half = strength / 2};
    l.owner = parent, l.gradient = gradient, l.gradient_stride = gradient_stride;
    ht_status status = check_rows(&l, options);
    if (!status) status = check_gradient(&l);
    if (!status) status = check_tree(&l);
    if (status || inputs == 0) return status;
    status = ht_mst_lists_make(outputs, parent, outputs, &l.lists);
    if (status) return status;
    ht_each_row(pull_to_neighbours, &l, outputs, threads_of(options));
    ht_mst_lists_free(&l.lists);
    return HT_OK;
}
