// SPDX-License-Identifier: Apache-2.0
// Packing rows of signs, along a tree or not: what the public calls of this family and of channel reuse share.
#ifndef HT_BINARY_PACK_H
#define HT_BINARY_PACK_H

#include "halftone/binary_conv.h"
#include "layout.h"

/// Rows of signs of a matrix, or of filters.
typedef struct ht_binary_signs {
    const ht_conv_shape *shape;  // of filters, or null
    size_t outputs, inputs;      // of a matrix
    const uint64_t *rows;
    size_t stride;
    bool along_tree;
    const int32_t *parent;  // then: of each row, counted in its group
} ht_binary_signs;

/// The layout of the blob of a group. Errors: as for its size.
ht_status ht_binary_signs_layout(const ht_binary_signs *signs, const ht_options *options, ht_binary_layout *layout);

/// The size of the blob; rows matter only along a tree. Errors: as the public calls.
ht_status ht_binary_signs_packed_size(const ht_binary_signs *signs, const ht_options *options, size_t *size);

ht_status ht_binary_signs_pack(const ht_binary_signs *signs, void *packed, size_t packed_size,
                               const ht_options *options);

#endif
