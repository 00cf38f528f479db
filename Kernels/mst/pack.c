// SPDX-License-Identifier: Apache-2.0
// Packing rows of signs along trees.
#include "binary/pack.h"

#include <string.h>

#include "binary/lists.h"
#include "halftone/mst.h"

ht_status ht_mst_packed_size(size_t outputs, size_t inputs, const uint64_t *w, size_t w_stride, const int32_t *parent,
                             size_t *size) {
    const ht_binary_signs signs = {NULL, outputs, inputs, w, w_stride, true, parent};
    return ht_binary_signs_packed_size(&signs, NULL, size);
}

ht_status ht_mst_pack(size_t outputs, size_t inputs, const uint64_t *w, size_t w_stride, const int32_t *parent,
                      void *packed, size_t packed_size, const ht_options *options) {
    const ht_binary_signs signs = {NULL, outputs, inputs, w, w_stride, true, parent};
    return ht_binary_signs_pack(&signs, packed, packed_size, options);
}

ht_status ht_mst_conv_packed_size(const ht_conv_shape *shape, const uint64_t *w, size_t w_stride, const int32_t *parent,
                                  size_t *size) {
    const ht_binary_signs signs = {shape, 0, 0, w, w_stride, true, parent};
    return shape ? ht_binary_signs_packed_size(&signs, NULL, size) : HT_ERROR_NULL;
}

ht_status ht_mst_conv_pack(const ht_conv_shape *shape, const uint64_t *w, size_t w_stride, const int32_t *parent,
                           void *packed, size_t packed_size, const ht_options *options) {
    const ht_binary_signs signs = {shape, 0, 0, w, w_stride, true, parent};
    return shape ? ht_binary_signs_pack(&signs, packed, packed_size, options) : HT_ERROR_NULL;
}

ht_status ht_mst_unpack_tree(size_t outputs, const void *packed, size_t packed_size, int32_t *parent) {
    ht_binary_layout l;
    ht_status status = ht_binary_layout_open(packed, packed_size, &l);
    if (status) return status;
    if (l.of.outputs != outputs) return HT_ERROR_BLOB_SHAPE;
    if (l.of.design != HT_BINARY_TREE) return HT_ERROR_DESIGN;
    if (outputs == 0) return HT_OK;
    if (!parent) return HT_ERROR_NULL;
    if (!ht_is_aligned(parent, sizeof *parent)) return HT_ERROR_ALIGNMENT;
    memcpy(parent, ht_binary_lists_of(&l, packed).parent, outputs * sizeof *parent);
    return HT_OK;
}
