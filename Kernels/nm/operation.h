// SPDX-License-Identifier: Apache-2.0
// What products and convolutions, forward and backward, have in common: checks of the operands, the choice of the
// kernel, the split over threads.
#ifndef HT_NM_OPERATION_H
#define HT_NM_OPERATION_H

#include "kernels.h"

/// Y = epilogue(X * transpose(W)), where X may be an image. Unchecked, as the caller gives it.
typedef struct ht_nm_operation {
    ht_blob_kind kind;
    ht_dtype x_dtype;
    size_t t;                  // samples of Y,
    size_t x_samples;          // and of X: others where it is an image
    size_t groups;             // of a convolution: as many blobs, each with its part of the features of X and Y
    size_t outputs, inputs;    // features of Y and of X, of all groups
    size_t taps;               // for the size of the scratch also 0: then it is that of weights of any shape
    size_t kernel_width;       // taps of a row
    const ht_nm_image *image;  // null: X is a matrix, or an image of which each tap sees just its own pixel
    const void *x;
    size_t x_stride;
    const void *packed;
    size_t packed_size;
    const ht_epilogue *epilogue;  // or null
    void *y;
    size_t y_stride;
    bool branches;             // the blob has two. Those of the second one, with the same strides:
    const void *second_x;
    void *second_y;            // backward it is Y, to which the second branch adds
    const ht_options *options;  // or null
} ht_nm_operation;

ht_status ht_nm_run(const ht_nm_operation *operation);

/// The scratch that ht_nm_run needs; the operands other than the blob do not matter.
ht_status ht_nm_scratch_size(const ht_nm_operation *operation, size_t *size);

#endif
