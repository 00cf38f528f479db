// SPDX-License-Identifier: Apache-2.0
// The definition of what becomes of a sum on its way to Y, for the reference rows of all families.
#ifndef HT_CORE_REF_STORE_H
#define HT_CORE_REF_STORE_H

#include <stdbool.h>

#include "halftone/base.h"

/// Finishes the sum of row t and column o and writes it to `y`, of a type that has bytes. `residual` points to its
/// value, or is null.
void ht_ref_store_sum(const ht_epilogue *epilogue, ht_dtype dtype, int32_t sum, size_t t, size_t o,
                      const void *residual, void *y);

/// The same for a sum of floats; y is F32 or BF16.
void ht_ref_store_real(const ht_epilogue *epilogue, ht_dtype dtype, float sum, size_t t, size_t o, const void *residual,
                       void *y);

/// Whether the sum becomes -1.
bool ht_ref_is_negative(const ht_epilogue *epilogue, int32_t sum, size_t o);

#endif
