// SPDX-License-Identifier: Apache-2.0
// Trees as arrays of parents: parent[row] is a row's parent, -1 of a root.
#ifndef HT_MST_TREE_H
#define HT_MST_TREE_H

#include "halftone/base.h"

/// Rows sorted by their owner: those of owner o are row[first[o]] ..< row[first[o + 1]], by number.
typedef struct ht_mst_lists {
    size_t *first;
    int32_t *row;
} ht_mst_lists;

/// Sorts rows by their owner, a number below `owners`, or -1 for none; a null `owner` is 0 for all. `rows` is at most
/// INT32_MAX, and a word for each owner fits in memory's addresses. Errors: TREE (an owner out of range), MEMORY.
ht_status ht_mst_lists_make(size_t rows, const int32_t *owner, size_t owners, ht_mst_lists *lists);
void ht_mst_lists_free(ht_mst_lists *lists);

/// Checks a caller's array, not yet what is in it. Errors: NULL, ALIGNMENT, OVERFLOW (more than INT32_MAX rows).
ht_status ht_mst_check_numbers(size_t rows, const int32_t *numbers);

/// The rows in an order in which parents come before children: roots by number, then level by level, each in the order
/// of its parents and then by number. `outputs` is at most INT32_MAX. Errors: TREE (a parent out of range or a circle),
/// MEMORY.
ht_status ht_mst_order(size_t outputs, const int32_t *parent, int32_t *order);

/// Turns each of some trees so that its root is its centre, of two the lower number: no root gives a lower tree.
/// `depth` is that of the deepest. Errors: MEMORY; then nothing changed.
ht_status ht_mst_root_at_centres(size_t outputs, int32_t *parent, size_t *depth);

#endif
