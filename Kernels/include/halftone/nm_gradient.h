// SPDX-License-Identifier: Apache-2.0
// The other two products of a training step of Y = X * transpose(W) and of Y = conv(X, W):
//
//     dX = dY * W             sparse if W is N:M along its rows, the output channels: the backward product
//     dW = transpose(dY) * X  dense, or sampled: only where W has entries
//
// The backward mask may be another one than the forward mask (Zhang et al. 2023, "Bi-directional masks for efficient
// N:M sparse training"): at most N of each M consecutive rows of W, taken in the order of a permutation, are kept in
// each column. Or one mask is N:M both ways (Hubara et al. 2021, "Accelerated sparse neural training").
#ifndef HALFTONE_NM_GRADIENT_H
#define HALFTONE_NM_GRADIENT_H

#include "nm_conv.h"

#ifdef __cplusplus
extern "C" {
#endif

/// The size in bytes of W (o x k) packed for the backward product; of `permutation` only whether it is null matters.
/// Errors: PATTERN, NULL, OVERFLOW, BLOB_DTYPE.
HT_API ht_status ht_nm_backward_packed_size(size_t o, size_t k, size_t n, size_t m, ht_dtype dtype,
                                            const uint32_t *permutation, const ht_options *options, size_t *size);

/// Packs the entries of W for the backward product, straight from the dense forward weights and a mask that both lie as
/// in ht_nm_pack_f32. A group is M consecutive places of one column; place j is row permutation[j] of W, or row j where
/// it is null; the last group of a column has o mod M places if that is not 0. What an entry is, how groups are filled
/// up and what shared_rows means (consecutive columns of W share their pattern) follows ht_nm_pack_f32.
/// permutation: each of 0 ..< o once. Errors: as ht_nm_pack_f32, PERMUTATION, MEMORY.
HT_API ht_status ht_nm_backward_pack_f32(size_t o, size_t k, size_t n, size_t m, const float *w, size_t w_stride,
                                         const uint8_t *mask, size_t mask_stride, const uint32_t *permutation,
                                         void *packed, size_t packed_size, const ht_options *options);
HT_API ht_status ht_nm_backward_pack_f16(size_t o, size_t k, size_t n, size_t m, const uint16_t *w, size_t w_stride,
                                         const uint8_t *mask, size_t mask_stride, const uint32_t *permutation,
                                         void *packed, size_t packed_size, const ht_options *options);
HT_API ht_status ht_nm_backward_pack_bf16(size_t o, size_t k, size_t n, size_t m, const uint16_t *w, size_t w_stride,
                                          const uint8_t *mask, size_t mask_stride, const uint32_t *permutation,
                                          void *packed, size_t packed_size, const ht_options *options);

/// One blob for both directions of a mask that is N:M both ways, as every N:M mask along the rows is whose transposed
/// is one too: values are stored once, with the indices of both directions. M is 4, 8 or 16, N less than M, and rows
/// share no patterns. ht_nm_gemm_* and ht_nm_gemm_backward_* both take it. The forward product runs as with a blob of
/// its own; the backward product first takes the values out, in time that does not depend on t, into scratch memory as
/// large as weights packed backward. Groups that are filled up are so in each direction for itself, with zeros. Errors:
/// as ht_nm_packed_size.
HT_API ht_status ht_nm_transposable_packed_size(size_t o, size_t k, size_t n, size_t m, ht_dtype dtype,
                                                const ht_options *options, size_t *size);

/// Packs such a blob. Errors: as ht_nm_pack_f32; NOT_SPARSE where a group of either direction has more than N entries.
HT_API ht_status ht_nm_transposable_pack_f32(size_t o, size_t k, size_t n, size_t m, const float *w, size_t w_stride,
                                             const uint8_t *mask, size_t mask_stride, void *packed, size_t packed_size,
                                             const ht_options *options);
HT_API ht_status ht_nm_transposable_pack_f16(size_t o, size_t k, size_t n, size_t m, const uint16_t *w, size_t w_stride,
                                             const uint8_t *mask, size_t mask_stride, void *packed, size_t packed_size,
                                             const ht_options *options);
HT_API ht_status ht_nm_transposable_pack_bf16(size_t o, size_t k, size_t n, size_t m, const uint16_t *w,
                                              size_t w_stride, const uint8_t *mask, size_t mask_stride, void *packed,
                                              size_t packed_size, const ht_options *options);

/// The scratch of a backward product of t rows with this blob, in bytes; see ht_nm_gemm_scratch_size.
HT_API ht_status ht_nm_gemm_backward_scratch_size(size_t t, ht_dtype dy, const void *packed, size_t packed_size,
                                                  const ht_options *options, size_t *size);

/// The backward product dX = epilogue(dY * W): dy is t rows of o values, dx t rows of k values in the original order of
/// both, whatever the permutation. Each dx is one chain of fused multiply-adds over the entries of its column of W by
/// ascending place, started at +0. x_order and y_order speak of dy and dx; everything else is as in ht_nm_gemm_f32 and
/// ht_nm_gemm_bf16. Errors: as these; BLOB_FOREIGN for weights that are packed forward.
HT_API ht_status ht_nm_gemm_backward_f32(size_t t, size_t o, size_t k, const float *dy, size_t dy_stride,
                                         const void *packed, size_t packed_size, const ht_epilogue *epilogue, float *dx,
                                         size_t dx_stride, const ht_options *options);
HT_API ht_status ht_nm_gemm_backward_bf16(size_t t, size_t o, size_t k, const uint16_t *dy, size_t dy_stride,
                                          const void *packed, size_t packed_size, const ht_epilogue *epilogue, void *dx,
                                          size_t dx_stride, const ht_options *options);

/// The same for a convolution: groups are M consecutive places of the output channels at one tap and input channel.
/// With several groups of channels, places and permutation stay inside each: permutation[j] is in the group of j.
/// Errors: as ht_nm_conv_packed_size and ht_nm_conv_pack_f32, PERMUTATION, MEMORY.
HT_API ht_status ht_nm_conv_backward_packed_size(const ht_conv_shape *shape, size_t n, size_t m, ht_dtype dtype,
                                                 const uint32_t *permutation, const ht_options *options, size_t *size);
HT_API ht_status ht_nm_conv_backward_pack_f32(const ht_conv_shape *shape, size_t n, size_t m, const float *w,
                                              size_t w_stride, const uint8_t *mask, size_t mask_stride,
                                              const uint32_t *permutation, void *packed, size_t packed_size,
                                              const ht_options *options);
HT_API ht_status ht_nm_conv_backward_pack_f16(const ht_conv_shape *shape, size_t n, size_t m, const uint16_t *w,
                                              size_t w_stride, const uint8_t *mask, size_t mask_stride,
                                              const uint32_t *permutation, void *packed, size_t packed_size,
                                              const ht_options *options);
HT_API ht_status ht_nm_conv_backward_pack_bf16(const ht_conv_shape *shape, size_t n, size_t m, const uint16_t *w,
                                               size_t w_stride, const uint8_t *mask, size_t mask_stride,
                                               const uint32_t *permutation, void *packed, size_t packed_size,
                                               const ht_options *options);

/// The gradient of a convolution with respect to its input: dy is as y of ht_nm_conv_f32, dx as its x; `shape` is that
/// of the forward convolution. Each dx is one chain of fused multiply-adds, taps from the last to the first, row by
/// row, at each tap the entries by ascending place. Errors: as ht_nm_gemm_backward_f32, CONV, DEPTHWISE.
HT_API ht_status ht_nm_conv_backward_f32(const ht_conv_shape *shape, const float *dy, size_t dy_stride,
                                         const void *packed, size_t packed_size, const ht_epilogue *epilogue, float *dx,
                                         size_t dx_stride, const ht_options *options);
HT_API ht_status ht_nm_conv_backward_bf16(const ht_conv_shape *shape, const uint16_t *dy, size_t dy_stride,
                                          const void *packed, size_t packed_size, const ht_epilogue *epilogue, void *dx,
                                          size_t dx_stride, const ht_options *options);

/// The dense weight gradient dW = transpose(dY) * X: dy is t rows of o values, x t rows of k, dw o rows of k. It comes
/// from cblas_sgemm of a BLAS that is found at run time (HALFTONE_BLAS names its file; "none" looks for none), else
/// from kernels of this library, whose sums are chains of fused multiply-adds over t. options.threads governs these
/// kernels; a BLAS has threads of its own. With an options.isa there is no BLAS, whatever HALFTONE_ISA says. t = 0
/// gives +0. Errors: NULL, STRIDE, ALIGNMENT, OVERFLOW, THREADS, ISA,
/// MEMORY.
HT_API ht_status ht_weight_gradient_f32(size_t t, size_t o, size_t k, const float *dy, size_t dy_stride, const float *x,
                                        size_t x_stride, float *dw, size_t dw_stride, const ht_options *options);

/// The dense weight gradient of a convolution: dw[o][u][v][k] = sum over the pixels of Y of dy at output o times the x
/// of channel k of o's group that tap (u, v) sees there; dy is as y of ht_nm_conv_f32, x as its x, dw as its dense w,
/// any groups. taps: a byte for each tap, of which those that are 0 get +0 and cost no time, or null: all. Each dw is
/// one chain of fused multiply-adds over the pixels of Y, started at +0, at a pixel outside the image with x = 0; it
/// comes from kernels of this library, never from a BLAS. Both images are in rows; x_order, windows and scratch are not
/// used. Errors: NULL, STRIDE, ALIGNMENT, OVERFLOW, THREADS, ISA, CONV, MEMORY.
HT_API ht_status ht_conv_weight_gradient_f32(const ht_conv_shape *shape, const float *dy, size_t dy_stride,
                                             const float *x, size_t x_stride, const uint8_t *taps, float *dw,
                                             size_t dw_stride, const ht_options *options);

/// The dense gradient of a convolution with respect to its input, for masks that are not N:M along the output channels:
/// dy is as y of ht_nm_conv_f32, dx as its x, w as its dense w, with zeros where it is pruned, any groups. Each dx is
/// one chain of fused multiply-adds, taps from the last to the first, at each tap the output channels of the group: the
/// bits of ht_nm_conv_backward_f32 with all of W's entries packed, N = M. Images, options and errors are those of
/// ht_conv_weight_gradient_f32.
HT_API ht_status ht_conv_input_gradient_f32(const ht_conv_shape *shape, const float *dy, size_t dy_stride,
                                            const float *w, size_t w_stride, float *dx, size_t dx_stride,
                                            const ht_options *options);

/// The file that cblas_sgemm comes from ("libopenblas.so.0"), or "none".
HT_API const char *ht_blas_runtime(void);

/// How many entries each row of packed forward weights (o x k) has: floor(k / M) N + min(N, k mod M). Errors: the
/// blob's.
HT_API ht_status ht_nm_row_entries(const void *packed, size_t packed_size, size_t *entries);

/// The columns of the entries of packed forward weights, o rows of ht_nm_row_entries numbers, each row ascending; those
/// that a group was filled up with too. Errors: NULL, STRIDE, ALIGNMENT, the blob's, BLOB_SHAPE.
HT_API ht_status ht_nm_entry_columns(size_t o, size_t k, const void *packed, size_t packed_size, uint32_t *columns,
                                     size_t columns_stride);

/// The sampled weight gradient: dW only at the entries of packed forward weights (of any type), o rows of
/// ht_nm_row_entries values in the order of ht_nm_entry_columns: gradient[r][e] = sum over t of dy[t][r] * x[t][column
/// of entry e]. The sum over t is cut into 16 chains of fused multiply-adds, by t mod 16, which are then added in pairs
/// (0 + 8, 1 + 9 ...; then 0 + 4 ...; then 0 + 2 ...; then 0 + 1), so that it has the same bits on every ISA.
/// x_order = HT_ORDER_FEATURES means that both dy and x are feature-major: o and k rows of t values.
/// Errors: NULL, STRIDE, ALIGNMENT, OVERFLOW, THREADS, ISA, MEMORY, the blob's, BLOB_SHAPE.
HT_API ht_status ht_nm_sampled_gradient_f32(size_t t, size_t o, size_t k, const float *dy, size_t dy_stride,
                                            const float *x, size_t x_stride, const void *packed, size_t packed_size,
                                            float *gradient, size_t gradient_stride, const ht_options *options);

#ifdef __cplusplus
}
#endif

#endif
