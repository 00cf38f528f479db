// SPDX-License-Identifier: Apache-2.0
// The definition of what an update computes, number by number.
#include <math.h>

#include "kernels.h"

static float decayed_gradient(const ht_update *u, size_t row, size_t column, float w) {
    const float g = ((const float *)(const void *)((const char *)u->dw + row * u->dw_stride))[column];
    if (!u->mask || u->mask[row * u->mask_stride + column / 8] >> column % 8 & 1) return g;
    return fmaf(u->decay, w, g);
}

static float sgd(const ht_update *u, float g, float w, float *velocity) {
    if (u->weight_decay != 0) g = fmaf(u->weight_decay, w, g);
    float v = g;
    if (velocity) *velocity = v = fmaf(u->momentum, *velocity, u->keep * g);
    return fmaf(u->minus_rate, u->nesterov ? fmaf(u->momentum, v, g) : v, w);
}

static float adamw(const ht_update *u, float g, float w, float *mean, float *square) {
    *mean = fmaf(u->fresh1, g - *mean, *mean);
    *square = fmaf(u->beta2, *square, u->fresh2 * g * g);
    return fmaf(u->minus_rate, *mean / fmaf(sqrtf(*square), u->root_scale, u->epsilon), w * u->shrink);
}

static float *at(float *matrix, size_t stride, size_t row, size_t column) {
    return matrix ? (float *)(void *)((char *)matrix + row * stride) + column : NULL;
}

void ht_update_ref(const ht_update *u, size_t row, size_t begin, size_t end) {
    for (size_t c = begin; c < end; c++) {
        float *w = at(u->w, u->w_stride, row, c);
        const float g = decayed_gradient(u, row, c, *w);
        float *first = at(u->first, u->kind == HT_UPDATE_SR_STE ? u->dw_stride : u->w_stride, row, c);
        switch (u->kind) {
        case HT_UPDATE_SR_STE: *first = g; break;
        case HT_UPDATE_SGD: *w = sgd(u, g, *w, first); break;
        case HT_UPDATE_ADAMW: *w = adamw(u, g, *w, first, at(u->second, u->w_stride, row, c)); break;
        }
    }
}
