// SPDX-License-Identifier: Apache-2.0
// The shape of trees.
#ifndef HT_MST_TREE_H
#define HT_MST_TREE_H

#include "halftone/base.h"

/// Orders the rows of a tree so that parents come before their children, level by level. Errors: TREE, MEMORY.
ht_status ht_mst_order(size_t outputs, const int32_t *parent, int32_t *order);

#endif
