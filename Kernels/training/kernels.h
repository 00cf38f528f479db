// SPDX-License-Identifier: Apache-2.0
// What moves weights: the kernels, one name each, and their dispatch table.
#ifndef HT_TRAINING_KERNELS_H
#define HT_TRAINING_KERNELS_H

#include <stdbool.h>

#include "core/isa.h"

typedef enum ht_update_kind { HT_UPDATE_SR_STE, HT_UPDATE_SGD, HT_UPDATE_ADAMW } ht_update_kind;

/// An update of all weights, checked. Strides are in bytes. Constants of kinds other than `kind` mean nothing.
typedef struct ht_update {
    ht_update_kind kind;
    size_t columns;
    const float *dw;
    float *w;              // SR_STE: only read
    float *first, *second;  // velocity, or the means of g and of its square; SR_STE: dw, to be written. Null: none
    size_t dw_stride, w_stride;
    const uint8_t *mask;   // null: no decay of pruned weights
    size_t mask_stride;
    float decay;           // of pruned weights
    float weight_decay;
    float minus_rate;      // ADAMW: over the correction of the mean
    float momentum, keep;  // keep = 1 - dampening
    bool nesterov;
    float shrink;          // 1 - rate weight_decay
    float fresh1;          // 1 - beta1
    float beta2, fresh2;   // fresh2 = 1 - beta2
    float root_scale;      // 1 / sqrt(1 - beta2^step)
    float epsilon;
} ht_update;

/// Updates columns begin ..< end of a row; begin is a multiple of 16.
typedef void ht_update_kernel(const ht_update *update, size_t row, size_t begin, size_t end);

ht_update_kernel ht_update_ref, ht_update_avx2, ht_update_avx512, ht_update_neon;
extern const ht_entry ht_update_table[];

#endif
