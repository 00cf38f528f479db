// SPDX-License-Identifier: Apache-2.0
// The public face of products and convolutions, forward and backward.
#include "halftone/spre.h"
#include "operation.h"

// MARK: products

static ht_nm_operation product(ht_blob_kind kind, ht_dtype x, size_t t, size_t outputs, size_t inputs) {
    return (ht_nm_operation){.kind = kind,
                             .x_dtype = x,
                             .t = t,
                             .x_samples = t,
                             .groups = 1,
                             .outputs = outputs,
                             .inputs = inputs,
                             .taps = 1,
                             .kernel_width = 1};
}

static ht_status product_scratch(ht_blob_kind kind, ht_dtype x, size_t t, const void *packed, size_t packed_size,
                                 const ht_options *options, size_t *size) {
    ht_nm_operation op = product(kind, x, t, 0, 0);
    op.taps = 0;  // of any shape
    op.packed = packed;
    op.packed_size = packed_size;
    op.options = options;
    return ht_nm_scratch_size(&op, size);
}

ht_status ht_nm_gemm_scratch_size(size_t t, ht_dtype x, const void *packed, size_t packed_size,
                                  const ht_options *options, size_t *size) {
    return product_scratch(HT_BLOB_NM, x, t, packed, packed_size, options, size);
}

ht_status ht_nm_gemm_backward_scratch_size(size_t t, ht_dtype dy, const void *packed, size_t packed_size,
                                           const ht_options *options, size_t *size) {
    return product_scratch(HT_BLOB_NM_BACKWARD, dy, t, packed, packed_size, options, size);
}

#define SET_OPERANDS(op, from, from_stride, to, to_stride) \
    do {                                                   \
        (op).x = from;                                     \
        (op).x_stride = from_stride;                       \
        (op).packed = packed;                              \
        (op).packed_size = packed_size;                    \
        (op).epilogue = epilogue;                          \
        (op).y = to;                                       \
        (op).y_stride = to_stride;                         \
        (op).options = options;                            \
    } while (0)

#define DEFINE(suffix, x_type, y_type, dtype)                                                                         \
    ht_status ht_nm_gemm_##suffix(size_t t, size_t o, size_t k, const x_type *x, size_t x_stride, const void *packed, \
                                  size_t packed_size, const ht_epilogue *epilogue, y_type *y, size_t y_stride,        \
                                  const ht_options *options) {                                                        \
        ht_nm_operation op = product(HT_BLOB_NM, dtype, t, o, k);                                                     \
        SET_OPERANDS(op, x, x_stride, y, y_stride);                                                                   \
        return ht_nm_run(&op);                                                                                        \
    }

DEFINE(f32, float, float, HT_DTYPE_F32)
DEFINE(bf16, uint16_t, void, HT_DTYPE_BF16)
DEFINE(u8, uint8_t, void, HT_DTYPE_U8)
DEFINE(i8, int8_t, void, HT_DTYPE_I8)

#define DEFINE_BACKWARD(suffix, x_type, y_type, dtype)                                                          \
    ht_status ht_nm_gemm_backward_##suffix(size_t t, size_t o, size_t k, const x_type *dy, size_t dy_stride,    \
                                           const void *packed, size_t packed_size, const ht_epilogue *epilogue, \
                                           y_type *dx, size_t dx_stride, const ht_options *options) {           \
        ht_nm_operation op = product(HT_BLOB_NM_BACKWARD, dtype, t, k, o);                                      \
        SET_OPERANDS(op, dy, dy_stride, dx, dx_stride);                                                         \
        return ht_nm_run(&op);                                                                                  \
    }

DEFINE_BACKWARD(f32, float, float, HT_DTYPE_F32)
DEFINE_BACKWARD(bf16, uint16_t, void, HT_DTYPE_BF16)

// MARK: convolutions

// `image` lasts as long as the operation.
static ht_status convolution(ht_blob_kind kind, ht_dtype x, const ht_conv_shape *shape, ht_nm_image *image,
                             ht_nm_operation *op) {
    ht_conv conv;
    ht_status status = ht_nm_conv_make(shape, &conv);
    if (status) return status;
    const ht_conv_shape *s = &conv.shape;
    bool forward = kind == HT_BLOB_NM;
    *image = forward ? ht_nm_forward_image(&conv) : ht_nm_backward_image(&conv);
    *op = (ht_nm_operation){.kind = kind,
                            .x_dtype = x,
                            .t = forward ? conv.y_pixels : conv.x_pixels,
                            .x_samples = forward ? conv.x_pixels : conv.y_pixels,
                            .groups = s->groups,
                            .outputs = forward ? s->outputs : s->channels,
                            .inputs = forward ? s->channels : s->outputs,
                            .taps = s->kernel_height * s->kernel_width,
                            .kernel_width = s->kernel_width};
    if (!ht_nm_image_is_trivial(image, op->taps)) op->image = image;
    return HT_OK;
}

ht_status ht_nm_conv_scratch_size(const ht_conv_shape *shape, ht_dtype x, const void *packed, size_t packed_size,
                                  const ht_options *options, size_t *size) {
    ht_nm_image image;
    ht_nm_operation op;
    ht_nm_layout l;
    ht_status status = ht_nm_layout_open(packed, packed_size, &l);
    if (status) return status;
    ht_blob_kind kind = ht_nm_is_forward(l.of.kind) ? HT_BLOB_NM : HT_BLOB_NM_BACKWARD;
    status = convolution(kind, x, shape, &image, &op);
    if (status) return status;
    op.branches = l.of.branches;
    op.packed = packed;
    op.packed_size = packed_size;
    op.options = options;
    return ht_nm_scratch_size(&op, size);
}

#define DEFINE_CONV(suffix, x_type, y_type, dtype)                                                                  \
    ht_status ht_nm_conv_##suffix(const ht_conv_shape *shape, const x_type *x, size_t x_stride, const void *packed, \
                                  size_t packed_size, const ht_epilogue *epilogue, y_type *y, size_t y_stride,      \
                                  const ht_options *options) {                                                      \
        ht_nm_image image;                                                                                          \
        ht_nm_operation op;                                                                                         \
        ht_status status = convolution(HT_BLOB_NM, dtype, shape, &image, &op);                                      \
        if (status) return status;                                                                                  \
        SET_OPERANDS(op, x, x_stride, y, y_stride);                                                                 \
        return ht_nm_run(&op);                                                                                      \
    }

DEFINE_CONV(f32, float, float, HT_DTYPE_F32)
DEFINE_CONV(bf16, uint16_t, void, HT_DTYPE_BF16)
DEFINE_CONV(u8, uint8_t, void, HT_DTYPE_U8)
DEFINE_CONV(i8, int8_t, void, HT_DTYPE_I8)

#define DEFINE_CONV_BACKWARD(suffix, x_type, y_type, dtype)                                                     \
    ht_status ht_nm_conv_backward_##suffix(const ht_conv_shape *shape, const x_type *dy, size_t dy_stride,      \
                                           const void *packed, size_t packed_size, const ht_epilogue *epilogue, \
                                           y_type *dx, size_t dx_stride, const ht_options *options) {           \
        ht_nm_image image;                                                                                      \
        ht_nm_operation op;                                                                                     \
        ht_status status = convolution(HT_BLOB_NM_BACKWARD, dtype, shape, &image, &op);                         \
        if (status) return status;                                                                              \
        SET_OPERANDS(op, dy, dy_stride, dx, dx_stride);                                                         \
        return ht_nm_run(&op);                                                                                  \
    }

DEFINE_CONV_BACKWARD(f32, float, float, HT_DTYPE_F32)
DEFINE_CONV_BACKWARD(bf16, uint16_t, void, HT_DTYPE_BF16)

// MARK: branches

ht_status ht_spre_conv_f32(const ht_conv_shape *shape, const float *x, size_t x_stride, const void *packed,
                           size_t packed_size, float *ya, float *yb, size_t y_stride, const ht_options *options) {
    const ht_epilogue *epilogue = NULL;
    ht_nm_image image;
    ht_nm_operation op;
    ht_status status = convolution(HT_BLOB_NM, HT_DTYPE_F32, shape, &image, &op);
    if (status) return status;
    SET_OPERANDS(op, x, x_stride, ya, y_stride);
    op.branches = true;
    op.second_x = x;
    op.second_y = yb;
    return ht_nm_run(&op);
}

ht_status ht_spre_backward_f32(const ht_conv_shape *shape, const float *dya, const float *dyb, size_t dy_stride,
                               const void *packed, size_t packed_size, float *dx, size_t dx_stride,
                               const ht_options *options) {
    const ht_epilogue *epilogue = NULL;
    ht_nm_image image;
    ht_nm_operation op;
    ht_status status = convolution(HT_BLOB_NM_BACKWARD, HT_DTYPE_F32, shape, &image, &op);
    if (status) return status;
    SET_OPERANDS(op, dya, dy_stride, dx, dx_stride);
    op.branches = true;
    op.second_x = dyb;
    op.second_y = dx;
    return ht_nm_run(&op);
}
