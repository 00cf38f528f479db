// SPDX-License-Identifier: Apache-2.0
// The magnitude mask of a piece of a row: one kernel for each ISA. README.md has the designs and their bounds.
#ifndef HT_MASKS_MAGNITUDE_H
#define HT_MASKS_MAGNITUDE_H

#include "core/isa.h"

/// Kernels work on so many groups at once. What is left of a piece behind whole batches costs as much as a batch.
enum { HT_NM_MASK_BATCH = 16 };

/// Writes the N:M mask of neighbours in a row to ceil(columns / 8) bytes, the first column in bit 0 of the first;
/// unused bits become 0. The first column begins a group. |w| is compared by its bits, so these may be any numbers of
/// 31 bits. old: null, or bits like those of `mask`, which it may be itself. They may be any, but where they are the
/// mask already, kernels for which ranking is dear are faster.
typedef void ht_nm_mask_kernel(const float *w, size_t columns, size_t n, size_t m, const uint8_t *old, uint8_t *mask);

ht_nm_mask_kernel ht_nm_mask_f32_ref, ht_nm_mask_f32_avx2, ht_nm_mask_f32_avx512, ht_nm_mask_f32_neon;
extern const ht_entry ht_nm_mask_table[];

#endif
