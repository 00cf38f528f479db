// SPDX-License-Identifier: Apache-2.0
// Convolutions, their gradients with respect to the input, and backward products, of every type: one call for all.
#ifndef TESTS_C_CALLS_H
#define TESTS_C_CALLS_H

#include "filters.h"
#include "types.h"

typedef enum operation { CONV, CONV_BACKWARD, GEMM_BACKWARD } operation;

typedef struct call {
    operation operation;
    types types;
    ht_conv_shape shape;  // of a product: an image of one row, with a pixel for each row of X
    const void *from;     // X or dY
    size_t from_stride;
    const void *packed;
    size_t packed_size;
    ht_epilogue epilogue;
    void *to;  // Y or dX
    size_t to_stride;
    ht_options options;
} call;

ht_status run_call(const call *c);
ht_status call_scratch(const call *c, size_t *size);

/// The options that say what weights share.
ht_options sharing(const filters *f);

ht_status packed_filters(operation operation, const filters *f, size_t *size);
ht_status pack_filters(operation operation, const filters *f, void *packed, size_t size);

#endif
