// SPDX-License-Identifier: Apache-2.0
// The backward mask of one block of rows inside their forward mask. README.md has the bounds.
#ifndef HT_MASKS_BACKWARD_H
#define HT_MASKS_BACKWARD_H

#include <stddef.h>
#include <stdint.h>

#include "core/isa.h"

/// In each column, of the rows whose forward bit is set, the n with the largest |w|; of equals those in front. All
/// lines begin at a column whose number is a multiple of 8.
typedef struct ht_backward_block {
    size_t rows, columns;           // 1 ... 64 rows: M, or fewer in the last block
    size_t n;
    const float *const *w;          // a line for each row, in the order of places
    const uint8_t *const *forward;  // of ceil(columns / 8) bytes; null: all bits are set
    uint8_t *const *backward;       // likewise; bits behind the columns become 0. It may be `forward`.
} ht_backward_block;

typedef void ht_backward_kernel(const ht_backward_block *block);

ht_backward_kernel ht_bimask_backward_f32_ref, ht_bimask_backward_f32_avx2, ht_bimask_backward_f32_avx512;
extern const ht_entry ht_bimask_backward_f32_table[];

#endif
