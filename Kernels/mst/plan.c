// SPDX-License-Identifier: Apache-2.0
// Which design weights with a tree are packed for.
#include <math.h>

#include "binary/designs.h"
#include "binary/pack.h"
#include "halftone/mst.h"

// The cycles of a design that is packed without a tree, or, if it is TREE, with it.
static ht_status find_cycles(ht_binary_signs signs, const ht_conv *conv, size_t t, ht_binary_design design,
                             bool numbers, double *cycles) {
    const ht_options options = {.binary_design = signs.along_tree ? HT_BINARY_AUTO : design};
    ht_binary_layout layout;
    const ht_status status = ht_binary_signs_layout(&signs, &options, &layout);
    if (!status) *cycles = ht_binary_cycles(&layout, conv, t, numbers);
    return status;
}

// `conv` is null for a product.
static ht_status make_plan(ht_binary_signs signs, const ht_conv *conv, size_t t, ht_dtype y, ht_mst_plan *plan) {
    ht_mst_plan p = {.design = HT_BINARY_DIRECT};
    if (!plan) return HT_ERROR_NULL;
    for (ht_binary_design d = HT_BINARY_DIRECT; d <= HT_BINARY_TREE; d++) {
        signs.along_tree = d == HT_BINARY_TREE;
        const ht_status status = find_cycles(signs, conv, t, d, y != HT_DTYPE_B1, &p.cycles[d]);
        if (status) return status;
        if (d != HT_BINARY_DIRECT && !ht_binary_has_designs()) p.cycles[d] = HUGE_VAL;
        if (p.cycles[d] * HT_BINARY_MARGIN < p.cycles[p.design]) p.design = d;
    }
    p.cycles[HT_BINARY_AUTO] = p.cycles[p.design];
    p.gain = p.cycles[HT_BINARY_AUTO] > 0 ? p.cycles[HT_BINARY_DIRECT] / p.cycles[HT_BINARY_AUTO] : 1;
    *plan = p;
    return HT_OK;
}

ht_status ht_mst_plan_gemm(size_t t, size_t outputs, size_t inputs, const uint64_t *w, size_t w_stride,
                           const int32_t *parent, ht_dtype y, ht_mst_plan *plan) {
    const ht_binary_signs signs = {
        .outputs = outputs, .inputs = inputs, .rows = w, .stride = w_stride, .parent = parent};
    return make_plan(signs, NULL, t, y, plan);
}

ht_status ht_mst_plan_conv(const ht_conv_shape *shape, const uint64_t *w, size_t w_stride, const int32_t *parent,
                           ht_dtype y, ht_mst_plan *plan) {
    const ht_binary_signs signs = {.shape = shape, .rows = w, .stride = w_stride, .parent = parent};
    ht_conv conv;
    const ht_status status = ht_conv_make(shape, &conv);
    return status ? status : make_plan(signs, &conv, conv.y_pixels, y, plan);
}
