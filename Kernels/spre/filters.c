// SPDX-License-Identifier: Apache-2.0
#include "filters.h"

#include "nm/image.h"

ht_status ht_spre_take_filters(const ht_conv_shape *shape, const float *w, size_t w_stride, ht_spre_filters *f) {
    ht_conv conv;
    ht_status status = ht_nm_conv_make(shape, &conv);
    if (status) return status;
    const ht_conv_shape *s = &conv.shape;
    *f = (ht_spre_filters){.rows = s->outputs,
                           .taps = s->kernel_height * s->kernel_width,
                           .channels = s->channels / s->groups,
                           .w = w,
                           .w_stride = w_stride};
    if (!ht_mul(f->taps, f->channels, &f->columns)) return HT_ERROR_OVERFLOW;
    return ht_check_matrix(w, f->rows, f->columns, sizeof *w, &f->w_stride);
}

ht_status ht_spre_take_branches(const uint8_t *mask, size_t mask_stride, const uint8_t *kept, ht_spre_filters *f) {
    f->mask = mask;
    f->mask_stride = mask_stride;
    f->kept = kept;
    return kept ? ht_check_matrix(mask, f->rows, ht_ceil_div(f->columns, 8), 1, &f->mask_stride) : HT_ERROR_NULL;
}
