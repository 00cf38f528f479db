// SPDX-License-Identifier: Apache-2.0
// Packing with vectors, of masks' bits: what one ISA brings.
#ifndef HT_NM_STEP_H
#define HT_NM_STEP_H

#include "kernels.h"
#include "packing.h"

typedef struct ht_nm_step_calls ht_nm_step_calls;

typedef const ht_nm_step_calls *ht_nm_step_kernel(void);

/// Null: there are none, slots are written one at a time.
ht_nm_step_kernel ht_nm_step_pack_ref;

#endif
