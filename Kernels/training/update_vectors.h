// SPDX-License-Identifier: Apache-2.0
// Updates in the words of core/vec_<isa>.h and of two more that the including file says: ht_vsqrt(v) and
// ht_where_bits(bits, a, b), a in the lanes whose bit is set.
//
// Bound: memory. SGD with momentum reads three numbers a weight and writes two, AdamW four and three; there are at most
// 12 instructions to a vector of them.
#ifndef HT_TRAINING_UPDATE_VECTORS_H
#define HT_TRAINING_UPDATE_VECTORS_H

#include "kernels.h"

HT_INLINE float *row_of(const float *matrix, size_t stride, size_t row) {
    return matrix ? (float *)(void *)((char *)matrix + row * stride) : 0;
}

// The bits of the lanes from this column on, a multiple of their number.
HT_INLINE uint32_t bits_at(const uint8_t *mask, size_t column, size_t columns) {
    uint32_t bits = mask[column / 8];
    if (HT_VEC_LANES > 8 && column + 8 < columns) bits |= (uint32_t)mask[column / 8 + 1] << 8;
    return bits >> column % 8;
}

HT_INLINE ht_vec decayed(const ht_update *u, const uint8_t *mask, size_t column, ht_vec w, ht_vec g) {
    return ht_where_bits(bits_at(mask, column, u->columns), g, ht_vfma(ht_vsplat(u->decay), w, g));
}

HT_INLINE ht_vec sgd(const ht_update *u, ht_vec g, ht_vec w, float *velocity, ht_lanes in) {
    const ht_vec momentum = ht_vsplat(u->momentum);
    ht_vec v = g;
    if (u->weight_decay != 0) g = v = ht_vfma(ht_vsplat(u->weight_decay), w, g);
    if (velocity) {
        v = ht_vfma(momentum, ht_load_f32(velocity, in), ht_vmul(ht_vsplat(u->keep), g));
        ht_store_f32(velocity, v, in);
    }
    if (u->nesterov) v = ht_vfma(momentum, v, g);
    return ht_vfma(ht_vsplat(u->minus_rate), v, w);
}

HT_INLINE ht_vec adamw(const ht_update *u, ht_vec g, ht_vec w, float *mean_at, float *square_at, ht_lanes in) {
    ht_vec mean = ht_load_f32(mean_at, in), square = ht_load_f32(square_at, in);
    mean = ht_vfma(ht_vsplat(u->fresh1), ht_vsub(g, mean), mean);
    square = ht_vfma(ht_vsplat(u->beta2), square, ht_vmul(ht_vmul(ht_vsplat(u->fresh2), g), g));
    ht_store_f32(mean_at, mean, in);
    ht_store_f32(square_at, square, in);
    const ht_vec root = ht_vfma(ht_vsqrt(square), ht_vsplat(u->root_scale), ht_vsplat(u->epsilon));
    return ht_vfma(ht_vsplat(u->minus_rate), ht_vdiv(mean, root), ht_vmul(w, ht_vsplat(u->shrink)));
}

HT_INLINE void update_row(const ht_update *u, size_t row, size_t begin, size_t end, const ht_update_kind kind) {
    const float *dw = row_of(u->dw, u->dw_stride, row);
    float *w = row_of(u->w, u->w_stride, row), *second = row_of(u->second, u->w_stride, row);
    float *first = row_of(u->first, kind == HT_UPDATE_SR_STE ? u->dw_stride : u->w_stride, row);
    const uint8_t *mask = u->mask ? u->mask + row * u->mask_stride : 0;
    for (size_t c = begin; c < end; c += HT_VEC_LANES) {
        const ht_lanes in = ht_first_lanes(end - c);
        const ht_vec old = ht_load_f32(w + c, in);
        ht_vec g = ht_load_f32(dw + c, in);
        if (mask) g = decayed(u, mask, c, old, g);
        if (kind == HT_UPDATE_SR_STE)
            ht_store_f32(first + c, g, in);
        else if (kind == HT_UPDATE_SGD)
            ht_store_f32(w + c, sgd(u, g, old, first ? first + c : 0, in), in);
        else
            ht_store_f32(w + c, adamw(u, g, old, first + c, second + c, in), in);
    }
}

HT_INLINE void update_any(const ht_update *u, size_t row, size_t begin, size_t end) {
    switch (u->kind) {
    case HT_UPDATE_SR_STE: update_row(u, row, begin, end, HT_UPDATE_SR_STE); break;
    case HT_UPDATE_SGD: update_row(u, row, begin, end, HT_UPDATE_SGD); break;
    case HT_UPDATE_ADAMW: update_row(u, row, begin, end, HT_UPDATE_ADAMW); break;
    }
}

#endif
