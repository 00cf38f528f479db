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
    int complement;  // not 0: a row may be computed from the negation of another: an edge is min(d, inputs - d) long
    size_t max_depth;  // edges from a root to the farthest row at most; 0 = no limit, 1 = stars
    size_t trees;  // so many, or as many as there are rows; 0 = 1
} ht_mst_rules;

/// Grows a tree over the rows of a matrix of signs: parent[row] is the row that it is computed from, -1 for a root.
///
/// 1. The tree begins with row 0. The row nearest to one in it joins it, of several the lowest number, until all are in
///    it: a minimum spanning tree. A row's parent is the nearest, of several the least deep, then the lowest number.
/// 2. The trees - 1 longest edges are cut, of equal ones first those whose child has the highest number.
/// 3. Each tree is turned so that its root is its centre, of two the lower number. No tree over these edges is lower:
///    its depth is half of its longest path, rounded up.
///
/// Where that is deeper than max_depth all is done again from another first row, the one whose distances to all others
/// have the least sum, of several the lowest number, and rows that are max_depth deep take no children. With one tree
/// and a max_depth of 1 that is the best star, otherwise a heuristic. Neither cuts nor centres make a tree deeper.
///
/// Takes outputs^2 * 2 bytes of memory, * 4 from 32768 inputs on, for the products of all pairs, which are most of the
/// work; twice what the rows take, and a little for each row. Bits of w behind a row's last do not matter. Runs on
/// options.threads. Errors: NULL, STRIDE, ALIGNMENT, OVERFLOW (also from 2^31 outputs or 2^31 - 1 inputs on), THREADS,
/// ISA, MEMORY.
HT_API ht_status ht_mst_grow(size_t outputs, size_t inputs, const uint64_t *w, size_t w_stride,
                             const ht_mst_rules *rules, int32_t *parent, const ht_options *options);

/// What a tree saves. With L the smallest number for which 2^L >= inputs, and P the same for outputs, an edge takes
/// P bits for its parent, one for the complement if rules->complement is set, and L for each place of a difference.
typedef struct ht_mst_figures {
    size_t roots;
    size_t depth;  // edges from a root to the farthest row
    size_t longest;  // edge
    uint64_t distance;  // of all edges together
    double mean_distance;  // of an edge, as a share of inputs; 0 without edges or inputs
    double operation_ratio;  // additions: (roots * inputs + distance) / (outputs * inputs); 1 for an empty matrix
    double parameter_ratio;  // bits: (roots * inputs + those of edges) / (outputs * inputs); 1 for an empty matrix
} ht_mst_figures;

/// Of any tree. An edge between rows that differ in more than half of their places counts as its complement if
/// rules->complement is set; other rules do not matter. Bits of w behind a row's last do not matter either.
/// Errors: NULL, STRIDE, ALIGNMENT, OVERFLOW, TREE, MEMORY.
HT_API ht_status ht_mst_measure(size_t outputs, size_t inputs, const uint64_t *w, size_t w_stride,
                                const int32_t *parent, const ht_mst_rules *rules, ht_mst_figures *figures);

// MARK: weights

/// The size in bytes of weights packed along a tree: those of HT_BINARY_DIRECT, and the tree with its lists of
/// differences, 2 bytes each. Errors: NULL, STRIDE, ALIGNMENT, OVERFLOW, TREE, MEMORY.
HT_API ht_status ht_mst_packed_size(size_t outputs, size_t inputs, const uint64_t *w, size_t w_stride,
                                    const int32_t *parent, size_t *size);

/// Packs rows of signs along a tree, of which each root and each edge becomes a list of places: whichever is shorter,
/// of the row or edge or of its complement. The blob is one of ht_binary_gemm_b1 and ..._u1 and of all other calls that
/// take packed signs; its design is HT_BINARY_TREE, which applies where HT_BINARY_PIXELS does. Errors: as
/// ht_binary_pack, TREE, MEMORY.
HT_API ht_status ht_mst_pack(size_t outputs, size_t inputs, const uint64_t *w, size_t w_stride, const int32_t *parent,
                             void *packed, size_t packed_size, const ht_options *options);

/// The same for filters as ht_binary_conv_pack takes them. Numbers of `parent` count the outputs of a group, and each
/// group has a tree of its own. Errors: the same, CONV.
HT_API ht_status ht_mst_conv_packed_size(const ht_conv_shape *shape, const uint64_t *w, size_t w_stride,
                                         const int32_t *parent, size_t *size);
HT_API ht_status ht_mst_conv_pack(const ht_conv_shape *shape, const uint64_t *w, size_t w_stride, const int32_t *parent,
                                  void *packed, size_t packed_size, const ht_options *options);

/// The tree that weights were packed along: parents of the outputs of one blob, a matrix or a group of filters. They
/// are as a blob of unknown origin has them, in range but perhaps in a circle. Errors: NULL, ALIGNMENT, BLOB_*
/// (BLOB_SHAPE: of other outputs), DESIGN (packed without a tree).
HT_API ht_status ht_mst_unpack_tree(size_t outputs, const void *packed, size_t packed_size, int32_t *parent);

/// What one thread needs in each design, by a model that was measured on Zen 5 (binary/README.md), and which is best.
typedef struct ht_mst_plan {
    /// To pack for: the direct one, or one that is faster by more than the model's error, 5 %.
    ht_binary_design design;
    /// By design: infinite where it is none for the operands or this machine; AUTO is the best. Of groups of channels
    /// one counts, with room for the longest lists of any.
    double cycles[HT_BINARY_TREE + 1];
    double gain;  // of that design over DIRECT, 1 at least
} ht_mst_plan;

/// Whether t rows of X, signs or zeros and ones, are worth a tree. `y` is B1 for signs and any other type for numbers.
/// Errors: as ht_mst_packed_size; then `plan` is as it was.
HT_API ht_status ht_mst_plan_gemm(size_t t, size_t outputs, size_t inputs, const uint64_t *w, size_t w_stride,
                                  const int32_t *parent, ht_dtype y, ht_mst_plan *plan);

/// Whether a convolution of images of signs is, of the size in `shape`. `parent` is as ht_mst_conv_pack takes it.
/// Errors: the same, CONV.
HT_API ht_status ht_mst_plan_conv(const ht_conv_shape *shape, const uint64_t *w, size_t w_stride, const int32_t *parent,
                                  ht_dtype y, ht_mst_plan *plan);

// MARK: learning

/// Centres for the rows of a latent matrix: centre[cluster] is the sign that most of its rows have at a place (+1 where
/// as many have either), a row of bits as in binary.h. cluster[row] says which is whose, numbers below `clusters`;
/// null = 0 for all. The centre of no rows is +1. A row's sign is that of ht_sign_pack_f32. Runs on options.threads.
/// Errors: NULL, STRIDE, ALIGNMENT, OVERFLOW, THREADS, TREE (a cluster out of range), MEMORY.
HT_API ht_status ht_mst_centres(size_t outputs, size_t inputs, const float *w, size_t w_stride, size_t clusters,
                                const int32_t *cluster, uint64_t *centre, size_t centre_stride,
                                const ht_options *options);

/// Adds the gradient of strength * sum over rows of the distance to their centre to `gradient`, which is apart from w.
/// A distance is counted as sum (1 - c clip(w)) / 2, clip(w) = max(-1, min(1, w)), so its gradient is -c / 2 where |w|
/// <= 1; elsewhere, and for a NaN, `gradient` stays as it is. (The paper's abstract says that filters are pulled to
/// centres; this surrogate is ours.) Errors: as ht_mst_centres.
HT_API ht_status ht_mst_centre_gradient_f32(size_t outputs, size_t inputs, const float *w, size_t w_stride,
                                            size_t clusters, const int32_t *cluster, const uint64_t *centre,
                                            size_t centre_stride, float strength, float *gradient,
                                            size_t gradient_stride, const ht_options *options);

/// Adds the gradient of strength * sum over the edges of a tree of the distance of their ends to `gradient`, which is
/// apart from w. A distance is counted as sum (1 - clip(w_c) clip(w_p)) / 2, clip of a NaN being 0: each end feels
/// -(strength / 2) clip(other) where its own |w| <= 1; elsewhere, and for a NaN, its `gradient` stays as it is. A row's
/// contributions are rounded and added one by one, parent first, then children by number: the same bits for any number
/// of threads. Errors: NULL, STRIDE, ALIGNMENT, OVERFLOW, THREADS, TREE, MEMORY.
HT_API ht_status ht_mst_edge_gradient_f32(size_t outputs, size_t inputs, const float *w, size_t w_stride,
                                          const int32_t *parent, float strength, float *gradient,
                                          size_t gradient_stride, const ht_options *options);

#ifdef __cplusplus
}
#endif

#endif
