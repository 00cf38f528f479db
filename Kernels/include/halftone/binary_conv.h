// SPDX-License-Identifier: Apache-2.0
// Convolutions with filters of signs, see binary.h. Images of signs are NHWC with a pixel's channels as one row of
// bits: channel k is bit k of its pixel, whatever the groups, so that the packed output of a layer is the input of the
// next.
#ifndef HALFTONE_BINARY_CONV_H
#define HALFTONE_BINARY_CONV_H

#include "binary.h"
#include "conv.h"

#ifdef __cplusplus
extern "C" {
#endif

/// The size in bytes of packed filters. options.binary_design AUTO chooses for the shape, its height and width
/// included; packed filters can be used with images of any other size, padding, stride and dilation, with the direct
/// design if the one that was prepared does not apply. Errors: NULL, CONV, OVERFLOW, DESIGN.
HT_API ht_status ht_binary_conv_packed_size(const ht_conv_shape *shape, const ht_options *options, size_t *size);

/// Packs OHWI filters: `outputs` rows of kernel_height * kernel_width * (channels / groups) signs, one after the other
/// without a gap inside a row, as ht_sign_pack_f32 makes them of OHWI floats. The filters of a 1x1 convolution without
/// groups pack to the blob of the outputs x channels matrix. Errors: as ht_binary_pack, CONV.
HT_API ht_status ht_binary_conv_pack(const ht_conv_shape *shape, const uint64_t *w, size_t w_stride, void *packed,
                                     size_t packed_size, const ht_options *options);

/// The filters that were packed. Errors: as ht_binary_unpack, CONV.
HT_API ht_status ht_binary_conv_unpack(const ht_conv_shape *shape, const void *packed, size_t packed_size, uint64_t *w,
                                       size_t w_stride, const ht_options *options);

/// The scratch that a convolution of this shape needs under these options, in bytes; `x` is the type of its input.
/// Errors: as ht_binary_gemm_scratch_size, CONV, BLOB_SHAPE.
HT_API ht_status ht_binary_conv_scratch_size(const ht_conv_shape *shape, ht_dtype x, const void *packed,
                                             size_t packed_size, const ht_options *options, size_t *size);

/// The convolution, NHWC x OHWI -> NHWC. x is images * height * width pixels, x_stride bytes from pixel to pixel (0 =
/// without a gap), y likewise. A pixel outside the image counts as shape->padding says: as a real zero, which adds
/// nothing to the sum, or as one whose channels are all +1 or all -1; exactly, for every type of Y and any number of
/// channels. (Networks that pad with zeros before they take signs want PLUS_ONE.) Rows of windows and row_scale are
/// pixels of Y; column windows need groups = 1. Types, epilogues and errors are those of ht_binary_gemm_b1; CONV;
/// BLOB_SHAPE when the blob holds filters of another shape.
HT_API ht_status ht_binary_conv_b1(const ht_conv_shape *shape, const uint64_t *x, size_t x_stride, const void *packed,
                                   size_t packed_size, const ht_epilogue *epilogue, void *y, size_t y_stride,
                                   const ht_options *options);

/// The same for images of floats and bytes, padded with zeros (bytes: x_zero) only: see ht_binary_gemm_f32 and
/// ..._i8. In f32 the fours begin anew at each tap, taps row by row, a tap outside the image adding +0.
HT_API ht_status ht_binary_conv_f32(const ht_conv_shape *shape, const float *x, size_t x_stride, const void *packed,
                                    size_t packed_size, const ht_epilogue *epilogue, void *y, size_t y_stride,
                                    const ht_options *options);
HT_API ht_status ht_binary_conv_i8(const ht_conv_shape *shape, const int8_t *x, size_t x_stride, const void *packed,
                                   size_t packed_size, const ht_epilogue *epilogue, void *y, size_t y_stride,
                                   const ht_options *options);

#ifdef __cplusplus
}
#endif

#endif
