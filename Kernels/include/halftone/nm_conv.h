// SPDX-License-Identifier: Apache-2.0
// Convolutions with N:M sparse weights: at each tap of a filter at most N of each M consecutive input channels are
// kept.
//
// Groups of M begin anew at each tap; the last group of a tap has channels / groups mod M channels if that is not 0,
// and keeps min(N, t) of its t channels. With options.shared_rows = G (2, 4 or 8) each G consecutive filters of a
// group keep the same channels at a tap; with options.shared_taps all taps of a filter keep the same channels.
// A convolution in which each group has a single channel of several (a depthwise one) has nothing to choose from:
// HT_ERROR_DEPTHWISE.
//
// w is OHWI: `outputs` rows of kernel_height * kernel_width * (channels / groups) weights, w_stride bytes from one
// filter to the next, 0 = without a gap; masks and pruned weights likewise, a mask with one bit for each weight of a
// row as ht_nm_mask_f32 writes it. The strides, padding, size and number of images do not matter to weights.
#ifndef HALFTONE_NM_CONV_H
#define HALFTONE_NM_CONV_H

#include "conv.h"
#include "nm.h"

#ifdef __cplusplus
extern "C" {
#endif

/// The magnitude mask of filters, see ht_nm_mask_f32; taps that share a pattern keep the channels with the largest sum
/// of magnitudes over the taps (and rows). Errors: as ht_nm_mask_f32, CONV, DEPTHWISE.
HT_API ht_status ht_nm_conv_mask_f32(const ht_conv_shape *shape, size_t n, size_t m, const float *w, size_t w_stride,
                                     uint8_t *mask, size_t mask_stride, const ht_options *options);
HT_API ht_status ht_nm_conv_mask_f16(const ht_conv_shape *shape, size_t n, size_t m, const uint16_t *w, size_t w_stride,
                                     uint8_t *mask, size_t mask_stride, const ht_options *options);
HT_API ht_status ht_nm_conv_mask_bf16(const ht_conv_shape *shape, size_t n, size_t m, const uint16_t *w,
                                      size_t w_stride, uint8_t *mask, size_t mask_stride, const ht_options *options);
HT_API ht_status ht_nm_conv_mask_i8(const ht_conv_shape *shape, size_t n, size_t m, const int8_t *w, size_t w_stride,
                                    uint8_t *mask, size_t mask_stride, const ht_options *options);

/// Copies W to `pruned`, +0 outside its magnitude mask; see ht_nm_prune_f32. Errors: as ht_nm_conv_mask_f32.
HT_API ht_status ht_nm_conv_prune_f32(const ht_conv_shape *shape, size_t n, size_t m, const float *w, size_t w_stride,
                                      float *pruned, size_t pruned_stride, const ht_options *options);
HT_API ht_status ht_nm_conv_prune_f16(const ht_conv_shape *shape, size_t n, size_t m, const uint16_t *w,
                                      size_t w_stride, uint16_t *pruned, size_t pruned_stride,
                                      const ht_options *options);
HT_API ht_status ht_nm_conv_prune_bf16(const ht_conv_shape *shape, size_t n, size_t m, const uint16_t *w,
                                       size_t w_stride, uint16_t *pruned, size_t pruned_stride,
                                       const ht_options *options);
HT_API ht_status ht_nm_conv_prune_i8(const ht_conv_shape *shape, size_t n, size_t m, const int8_t *w, size_t w_stride,
                                     int8_t *pruned, size_t pruned_stride, const ht_options *options);

/// The size in bytes of packed filters of type f32, f16, bf16 or i8. Errors: NULL, PATTERN, CONV, DEPTHWISE, OVERFLOW,
/// BLOB_DTYPE.
HT_API ht_status ht_nm_conv_packed_size(const ht_conv_shape *shape, size_t n, size_t m, ht_dtype dtype,
                                        const ht_options *options, size_t *size);

/// Packs the entries of W, which are chosen as in ht_nm_pack_f32. The filters of a 1x1 convolution without groups pack
/// to the blob of the outputs x channels matrix; those of several groups are one such blob for each group, one behind
/// the other. Errors: as ht_nm_pack_f32, CONV, DEPTHWISE.
HT_API ht_status ht_nm_conv_pack_f32(const ht_conv_shape *shape, size_t n, size_t m, const float *w, size_t w_stride,
                                     const uint8_t *mask, size_t mask_stride, void *packed, size_t packed_size,
                                     const ht_options *options);
HT_API ht_status ht_nm_conv_pack_f16(const ht_conv_shape *shape, size_t n, size_t m, const uint16_t *w, size_t w_stride,
                                     const uint8_t *mask, size_t mask_stride, void *packed, size_t packed_size,
                                     const ht_options *options);
HT_API ht_status ht_nm_conv_pack_bf16(const ht_conv_shape *shape, size_t n, size_t m, const uint16_t *w,
                                      size_t w_stride, const uint8_t *mask, size_t mask_stride, void *packed,
                                      size_t packed_size, const ht_options *options);
HT_API ht_status ht_nm_conv_pack_i8(const ht_conv_shape *shape, size_t n, size_t m, const int8_t *w, size_t w_stride,
                                    const uint8_t *mask, size_t mask_stride, void *packed, size_t packed_size,
                                    const ht_options *options);

/// The scratch that a convolution of this shape, forward or backward, needs under these options, in bytes; `x` is the
/// type of its input. Errors: as ht_nm_gemm_scratch_size, CONV, DEPTHWISE, BLOB_SHAPE.
HT_API ht_status ht_nm_conv_scratch_size(const ht_conv_shape *shape, ht_dtype x, const void *packed, size_t packed_size,
                                         const ht_options *options, size_t *size);

/// The convolution, NHWC x OHWI -> NHWC, each y with its epilogue. x is images * height * width pixels of `channels`
/// values, x_stride bytes from pixel to pixel (0 = without a gap), y likewise with `outputs` values; so a convolution
/// can read or write some channels of a wider image. With options.x_order or y_order = HT_ORDER_FEATURES that operand
/// is channel-major: a plane of images * height * width values for each channel, strides from plane to plane. Rows of
/// options' windows are the pixels of Y; column windows need groups = 1.
///
/// Types, epilogues, chains of additions and guarantees are those of ht_nm_gemm_f32, ..._bf16, ..._u8 and ..._i8. The
/// order of a chain is: taps row by row, at each tap the entries by ascending channel, at a pixel outside the image as
/// with x = 0. In f32 filters three taps wide whose taps, and no rows, share their pattern, one of 1:4, 1:8, 2:8, 1:16
/// and 2:16, and that have a multiple of 16 channels in a group, up to 256, the taps of a kernel row take turns, each
/// with the entries of the next 8 channels, or 16 where M = 16. A pixel outside the image is a real zero, x_zero where
/// x is quantized. The matrix that a convolution is of (im2col) is never written down; a channel-major X is turned into
/// rows in the scratch. Errors: as the product, CONV, DEPTHWISE; BLOB_SHAPE when the blob holds filters of another
/// shape.
HT_API ht_status ht_nm_conv_f32(const ht_conv_shape *shape, const float *x, size_t x_stride, const void *packed,
                                size_t packed_size, const ht_epilogue *epilogue, float *y, size_t y_stride,
                                const ht_options *options);
HT_API ht_status ht_nm_conv_bf16(const ht_conv_shape *shape, const uint16_t *x, size_t x_stride, const void *packed,
                                 size_t packed_size, const ht_epilogue *epilogue, void *y, size_t y_stride,
                                 const ht_options *options);
HT_API ht_status ht_nm_conv_u8(const ht_conv_shape *shape, const uint8_t *x, size_t x_stride, const void *packed,
                               size_t packed_size, const ht_epilogue *epilogue, void *y, size_t y_stride,
                               const ht_options *options);
HT_API ht_status ht_nm_conv_i8(const ht_conv_shape *shape, const int8_t *x, size_t x_stride, const void *packed,
                               size_t packed_size, const ht_epilogue *epilogue, void *y, size_t y_stride,
                               const ht_options *options);

#ifdef __cplusplus
}
#endif

#endif
