// SPDX-License-Identifier: Apache-2.0
#include "calls.h"

static ht_status run_conv(const call *c) {
#define RUN(function)                                                                                          \
    function(&c->shape, c->from, c->from_stride, c->packed, c->packed_size, &c->epilogue, c->to, c->to_stride, \
             &c->options)
    switch (c->types.x) {
    case HT_DTYPE_BF16: return c->operation == CONV ? RUN(ht_nm_conv_bf16) : RUN(ht_nm_conv_backward_bf16);
    case HT_DTYPE_U8: return RUN(ht_nm_conv_u8);
    case HT_DTYPE_I8: return RUN(ht_nm_conv_i8);
    default: return c->operation == CONV ? RUN(ht_nm_conv_f32) : RUN(ht_nm_conv_backward_f32);
    }
#undef RUN
}

ht_status run_call(const call *c) {
    if (c->operation != GEMM_BACKWARD) return run_conv(c);
    size_t t = c->shape.width, o = c->shape.outputs, k = c->shape.channels;
    return c->types.x == HT_DTYPE_BF16
               ? ht_nm_gemm_backward_bf16(t, o, k, c->from, c->from_stride, c->packed, c->packed_size, &c->epilogue,
                                          c->to, c->to_stride, &c->options)
               : ht_nm_gemm_backward_f32(t, o, k, c->from, c->from_stride, c->packed, c->packed_size, &c->epilogue,
                                         c->to, c->to_stride, &c->options);
}

ht_status call_scratch(const call *c, size_t *size) {
    if (c->operation == GEMM_BACKWARD)
        return ht_nm_gemm_backward_scratch_size(c->shape.width, c->types.x, c->packed, c->packed_size, &c->options,
                                                size);
    return ht_nm_conv_scratch_size(&c->shape, c->types.x, c->packed, c->packed_size, &c->options, size);
}

// MARK: weights

ht_options sharing(const filters *f) {
    return (ht_options){.shared_rows = (int)f->shared_rows, .shared_taps = f->shared_taps};
}

ht_status packed_filters(operation operation, const filters *f, size_t *size) {
    const ht_conv_shape *s = &f->shape;
    ht_options options = sharing(f);
    if (operation == CONV) return ht_nm_conv_packed_size(s, f->n, f->m, f->w.dtype, &options, size);
    if (operation == CONV_BACKWARD)
        return ht_nm_conv_backward_packed_size(s, f->n, f->m, f->w.dtype, f->permutation, &options, size);
    return ht_nm_backward_packed_size(s->outputs, s->channels, f->n, f->m, f->w.dtype, f->permutation, &options, size);
}

ht_status pack_filters(operation operation, const filters *f, void *packed, size_t size) {
    const ht_conv_shape *s = &f->shape;
    const matrix *w = &f->w;
    const uint8_t *mask = f->uses_mask ? f->mask.data : NULL;
    ht_options options = sharing(f);
    if (operation == CONV)
        return WITH_TYPE(w->dtype, ht_nm_conv_pack, s, f->n, f->m, w->data, w->stride, mask, f->mask.stride, packed,
                         size, &options);
    if (operation == CONV_BACKWARD)
        return WITH_FLOATS(w->dtype, ht_nm_conv_backward_pack, s, f->n, f->m, w->data, w->stride, mask, f->mask.stride,
                           f->permutation, packed, size, &options);
    return WITH_FLOATS(w->dtype, ht_nm_backward_pack, s->outputs, s->channels, f->n, f->m, w->data, w->stride, mask,
                       f->mask.stride, f->permutation, packed, size, &options);
}
