// SPDX-License-Identifier: Apache-2.0
// The exact linear assignment: which column each row takes so that the sum of costs is least.
#ifndef HT_MASKS_LINEAR_ASSIGNMENT_H
#define HT_MASKS_LINEAR_ASSIGNMENT_H

#include "search.h"

/// The largest cost for so many rows: a path is at most as long as all costs together.
static inline size_t ht_most_cost(size_t count) { return ((size_t)1 << 27) / (count ? count : 1); }

typedef struct ht_assignment {
    const ht_bimask_calls *calls;
    size_t count;          // rows and columns, at most HT_ASSIGNED
    const int32_t *costs;  // rows of HT_ASSIGNED, of which those behind `count` are not looked at
    int32_t price[HT_ASSIGNED];   // of each column, any at first: its least cost is near the last
    int32_t column[HT_ASSIGNED];  // of each row: the result

    // What the solution takes.
    int32_t row[HT_ASSIGNED];  // of each column, or -1
    int32_t distance[HT_ASSIGNED], from[HT_ASSIGNED], bias[HT_ASSIGNED];
    int32_t waiting[HT_ASSIGNED], closed[HT_ASSIGNED];
} ht_assignment;

/// Sets the columns, and prices by which no other columns cost less.
void ht_assign(ht_assignment *assignment);

#endif
