// SPDX-License-Identifier: Apache-2.0
// Convolutions with pixels of Y in the lanes, of images that can be cut into 16 equal parts, a grid: lane i of a vector
// is the same pixel of part i. So a tap of the next pixel of Y sees just the next vector of X, and a pixel of X that
// nine taps look at is transposed once, where panels of a product have to be packed anew for each of the taps.
//
// The rows of the parts are transposed into a ring of planes just before the first row of Y needs them:
//     plane [columns / piece][pixels of a row][piece][16 parts], where a piece is the columns of a unit of slots.
#ifndef HT_NM_GRID_H
#define HT_NM_GRID_H

#include "panels.h"

/// Does one thread's convolution in this way if that is faster than as a product. Otherwise returns false.
bool ht_nm_grid_run(const ht_nm_vectors *vectors, const ht_nm_task *task);

#endif
