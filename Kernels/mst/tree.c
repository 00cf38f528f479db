// SPDX-License-Identifier: Apache-2.0
#include "tree.h"

#include <stdbool.h>

ht_status ht_mst_order(size_t outputs, const int32_t *parent, int32_t *order) {
    size_t done = 0;
    for (size_t i = 0; i < outputs; i++)
        if (parent[i] < 0) order[done++] = (int32_t)i;
    for (size_t i = 0; i < done; i++)
        for (size_t k = 0; k < outputs; k++)
            if (parent[k] == order[i]) order[done++] = (int32_t)k;
    return done == outputs ? HT_OK : HT_ERROR_TREE;
}
