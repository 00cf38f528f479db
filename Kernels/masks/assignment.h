// SPDX-License-Identifier: Apache-2.0
// Block assignment: the search that moves a row of every block at once.
#ifndef HT_MASKS_ASSIGNMENT_H
#define HT_MASKS_ASSIGNMENT_H

#include "bit_rows.h"
#include "random.h"

/// Improves an order of a mask's rows by so many assignments, or, if 0, until they gain little. Errors: MEMORY, ISA.
ht_status ht_bimask_assign(const ht_bit_matrix *mask, ht_isa isa, size_t steps, ht_random *random, uint32_t *order);

#endif
