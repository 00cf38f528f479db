// SPDX-License-Identifier: Apache-2.0
// Channel reuse: rows of signs that resemble each other are computed from each other. Where row c differs from row p in
// the places D,
//
//     sum_c = sum_p + 2 sum over D of x_k w_ck
//
// so a row costs as many additions as it differs in. A tree says which row each is computed from: rows are its
// vertices, an edge is as long as the number of places that its ends differ in, and the whole tree is as short as can
// be.
//
// Method: Vo, Tran, Bae, Kim, Hong 2023, MST-compression: Compressing and Accelerating Binary Neural Networks with
// Minimum Spanning Tree (ICCV). Complement edges, several trees and the gradient of the tree's own edges are ours.
#ifndef HALFTONE_MST_H
#define HALFTONE_MST_H

#include "binary_conv.h"

#ifdef __cplusplus
extern "C" {
#endif

// MARK: trees

/// How a tree grows; a null pointer means the same as a zeroed struct.
typedef struct ht_mst_rules {
    int complement;  // 1: a row may be computed from the negation of another: an edge is min(d, inputs - d) long
    size_t max_depth;  // edges from a root to the farthest row at most; 0 = no limit, 1 = stars
    size_t trees;  // at most; 0 = 1. The minimum spanning tree loses its longest edges, each end of which begins a tree
} ht_mst_rules;

/// Grows a tree over the rows of a matrix of signs: parent[row] is the row that it is computed from, -1 for a root.
/// A minimum spanning tree, ties broken towards small depths, then lower numbers, rooted at its centre, so that it is
/// as low as it can be; where that is higher than max_depth, a heuristic: the best star's root, then always the row
/// that is nearest to one which is not too deep. Takes outputs^2 * 4 bytes of memory for the distances of all pairs, a
/// product with these signs. Runs on options.threads. Errors: NULL, STRIDE, ALIGNMENT, OVERFLOW, THREADS, ISA, MEMORY.
HT_API ht_status ht_mst_grow(size_t outputs, size_t inputs, const uint64_t *w, size_t w_stride,
                             const ht_mst_rules *rules, int32_t *parent, const ht_options *options);

/// What a tree saves.
typedef struct ht_mst_figures {
    size_t roots;
    size_t depth;  // edges from a root to the farthest row
    size_t longest;  // edge
    uint64_t distance;  // of all edges together
    double mean_distance;  // of an edge, as a share of inputs; 0 without edges
    double operation_ratio;  // (roots * inputs + distance) / (outputs * inputs): additions, against computing each row
    double parameter_ratio;  // bits of roots, and of a parent and the places of differences for each edge, against all
                             // rows
} ht_mst_figures;

/// Of any tree. An edge between rows that differ in more than half of their places counts as its complement if
/// rules->complement is set. Errors: NULL, STRIDE, ALIGNMENT, OVERFLOW, TREE.
HT_API ht_status ht_mst_measure(size_t outputs, size_t inputs, const uint64_t *w, size_t w_stride,
                                const int32_t *parent, const ht_mst_rules *rules, ht_mst_figures *figures);

// MARK: weights

/// The size in bytes of weights packed along a tree: those of HT_BINARY_DIRECT, and the tree with its lists of
/// differences, 2 bytes each. Errors: NULL, STRIDE, ALIGNMENT, OVERFLOW, TREE.
HT_API ht_status ht_mst_packed_size(size_t outputs, size_t inputs, const uint64_t *w, size_t w_stride,
                                    const int32_t *parent, size_t *size);

/// Packs rows of signs along a tree, of which each root and each edge becomes a list of places: whichever is shorter,
/// of the row or edge or of its complement. The blob is one of ht_binary_gemm_b1 and ..._u1 and of all other calls that
/// take packed signs; its design is HT_BINARY_TREE, which applies where HT_BINARY_PIXELS does. Errors: as
/// ht_binary_pack, TREE.
HT_API ht_status ht_mst_pack(size_t outputs, size_t inputs, const uint64_t *w, size_t w_stride, const int32_t *parent,
                             void *packed, size_t packed_size, const ht_options *options);

/// The same for filters as ht_binary_conv_pack takes them. Numbers of `parent` count the outputs of a group, and each
/// group has a tree of its own. Errors: the same, CONV.
HT_API ht_status ht_mst_conv_packed_size(const ht_conv_shape *shape, const uint64_t *w, size_t w_stride,
                                         const int32_t *parent, size_t *size);
HT_API ht_status ht_mst_conv_pack(const ht_conv_shape *shape, const uint64_t *w, size_t w_stride, const int32_t *parent,
                                  void *packed, size_t packed_size, const ht_options *options);

// MARK: learning

/// Centres for the rows of a latent matrix: centre[cluster] is the sign that most of its rows have at a place (+1 where
/// as many have either), a row of bits as in binary.h. cluster[row] says which is whose, numbers below `clusters`;
/// null = 0 for all. A row's sign is that of ht_sign_pack_f32. Errors: NULL, STRIDE, ALIGNMENT, OVERFLOW, THREADS,
/// TREE (a cluster out of range).
HT_API ht_status ht_mst_centres(size_t outputs, size_t inputs, const float *w, size_t w_stride, size_t clusters,
                                const int32_t *cluster, uint64_t *centre, size_t centre_stride,
                                const ht_options *options);

/// Adds the gradient of strength * sum over rows of the distance to their centre to `gradient`. A distance is counted
/// as sum (1 - c clip(w)) / 2, clip(w) = max(-1, min(1, w)), so its gradient is -c / 2 where |w| <= 1 and 0 elsewhere
/// and for NaN. (The paper's abstract says that filters are pulled to centres; this surrogate is ours.) Errors: as
/// ht_mst_centres.
HT_API ht_status ht_mst_centre_gradient_f32(size_t outputs, size_t inputs, const float *w, size_t w_stride,
                                            size_t clusters, const int32_t *cluster, const uint64_t *centre,
                                            size_t centre_stride, float strength, float *gradient,
                                            size_t gradient_stride, const ht_options *options);

/// Adds the gradient of strength * sum over the edges of a tree of the distance of their ends, counted as
/// sum (1 - clip(w_c) clip(w_p)) / 2: each end feels -clip(other) / 2 where |w| <= 1. A row's contributions are added
/// in the order: parent, then children by number. Errors: NULL, STRIDE, ALIGNMENT, OVERFLOW, THREADS, TREE.
HT_API ht_status ht_mst_edge_gradient_f32(size_t outputs, size_t inputs, const float *w, size_t w_stride,
                                          const int32_t *parent, float strength, float *gradient,
                                          size_t gradient_stride, const ht_options *options);

#ifdef __cplusplus
}
#endif

#endif
