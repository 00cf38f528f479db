// SPDX-License-Identifier: Apache-2.0
// Networks of signs: packing, and products of matrices whose weights, and activations if they are of type B1, are ±1.
//
// A bit stands for a sign: 0 is +1, 1 is -1. The sign of a zero of either sign is +1, and so is that of a NaN. With d
// the number of places where two rows of K signs differ, popcount(a xor b), their product is K - 2 d.
//
// A row of n bits is ceil(n / 64) words: bit k is bit k % 64 of word k / 64, on a little-endian machine also bit k % 8
// of byte k / 8. Bits behind the last are 0. Every call writes them so, and relies on it where it reads (set ones make
// sums wrong, nothing worse). Strides of rows of bits are multiples of 8 bytes, 0 = without a gap.
//
// Method: Rastegari et al. 2016, XNOR-Net; Courbariaux et al. 2016, Binarized Neural Networks.
#ifndef HALFTONE_BINARY_H
#define HALFTONE_BINARY_H

#include "base.h"

#ifdef __cplusplus
extern "C" {
#endif

// MARK: signs

/// bits = x < threshold[column]; a null threshold is 0. A NaN on either side gives +1.
/// Errors: NULL, STRIDE, ALIGNMENT, OVERFLOW, THREADS, ISA.
HT_API ht_status ht_sign_pack_f32(size_t rows, size_t columns, const float *x, size_t x_stride, const float *threshold,
                                  uint64_t *bits, size_t bits_stride, const ht_options *options);
HT_API ht_status ht_sign_pack_f16(size_t rows, size_t columns, const uint16_t *x, size_t x_stride,
                                  const float *threshold, uint64_t *bits, size_t bits_stride,
                                  const ht_options *options);
HT_API ht_status ht_sign_pack_bf16(size_t rows, size_t columns, const uint16_t *x, size_t x_stride,
                                   const float *threshold, uint64_t *bits, size_t bits_stride,
                                   const ht_options *options);
HT_API ht_status ht_sign_pack_i8(size_t rows, size_t columns, const int8_t *x, size_t x_stride,
                                 const int32_t *threshold, uint64_t *bits, size_t bits_stride,
                                 const ht_options *options);

/// x = scale[row] or, where the bit is set, -scale[row]; a null scale is 1. Errors: as ht_sign_pack_f32.
HT_API ht_status ht_sign_unpack_f32(size_t rows, size_t columns, const uint64_t *bits, size_t bits_stride,
                                    const float *scale, float *x, size_t x_stride, const ht_options *options);
/// x = 1 or -1.
HT_API ht_status ht_sign_unpack_i8(size_t rows, size_t columns, const uint64_t *bits, size_t bits_stride, int8_t *x,
                                   size_t x_stride, const ht_options *options);

/// How somebody else packs signs.
typedef struct ht_bit_format {
    int big_endian;  // 0: bit k is bit k % 8 of byte k / 8 (NumPy's bitorder="little"); 1: bit 7 - k % 8 of it ("big")
    int one_is_plus;  // 0: a set bit is -1, as here; 1: a set bit is +1
} ht_bit_format;

/// Reads rows of ceil(columns / 8) bytes in another format; what lies behind a row's last bit does not matter. Strides
/// of such rows are any number of bytes. Errors: NULL, STRIDE, ALIGNMENT, OVERFLOW, THREADS.
HT_API ht_status ht_bits_import(size_t rows, size_t columns, const ht_bit_format *format, const uint8_t *bytes,
                                size_t bytes_stride, uint64_t *bits, size_t bits_stride, const ht_options *options);
/// Writes such rows; the bits behind a row's last are those of +1.
HT_API ht_status ht_bits_export(size_t rows, size_t columns, const ht_bit_format *format, const uint64_t *bits,
                                size_t bits_stride, uint8_t *bytes, size_t bytes_stride, const ht_options *options);

/// Rows become columns. Errors: NULL, STRIDE, ALIGNMENT, OVERFLOW, THREADS, ISA.
HT_API ht_status ht_bits_transpose(size_t rows, size_t columns, const uint64_t *bits, size_t bits_stride,
                                   uint64_t *transposed, size_t transposed_stride, const ht_options *options);

// MARK: weights

/// The size in bytes of packed weights: at most 64 + outputs * inputs / 8 bytes, outputs rounded up to 16 and inputs to
/// 32, for HT_BINARY_DIRECT, which is what AUTO means for products; see Kernels/binary/README.md for the others.
/// Errors: NULL, OVERFLOW, DESIGN.
HT_API ht_status ht_binary_packed_size(size_t outputs, size_t inputs, const ht_options *options, size_t *size);

/// Packs `outputs` rows of `inputs` signs for products. `packed` is 64-byte aligned, w apart from it. Packed weights
/// do not depend on the machine: they can be written to a file and mapped back. Bits of w behind a row's last do not
/// matter. Runs on options.threads.
/// Errors: NULL, STRIDE, ALIGNMENT, OVERFLOW, THREADS, BUFFER_SIZE, DESIGN.
HT_API ht_status ht_binary_pack(size_t outputs, size_t inputs, const uint64_t *w, size_t w_stride, void *packed,
                                size_t packed_size, const ht_options *options);

/// The rows that were packed. Runs on options.threads. Errors: NULL, STRIDE, ALIGNMENT, OVERFLOW, THREADS, BLOB_*.
HT_API ht_status ht_binary_unpack(size_t outputs, size_t inputs, const void *packed, size_t packed_size, uint64_t *w,
                                  size_t w_stride, const ht_options *options);

/// What a blob says of itself. Of filters these are a group's.
typedef struct ht_binary_info {
    size_t outputs;
    size_t inputs;  // at each tap
    size_t kernel_height, kernel_width;  // 1 and 1 of a matrix
    size_t bytes;  // the whole blob, header included
    ht_binary_design design;  // that the weights were packed for, never AUTO
} ht_binary_info;

/// Reads and checks a blob's header against itself, this build and `packed_size`. A call that takes the blob does the
/// same, so this is for callers that hold bytes of unknown origin. Errors: NULL, ALIGNMENT, BLOB_*.
HT_API ht_status ht_binary_packed_info(const void *packed, size_t packed_size, ht_binary_info *info);

/// Turns y = sign(gamma (s - mean) / sqrt(variance + epsilon) + beta), s = scale sum + bias, into thresholds on the
/// integer sum of `inputs` signs: exactly, as that formula comes out in doubles, for all outputs. scale, bias, gamma
/// and beta may be null: 1, 0, 1, 0; so may mean and variance together: 0, 1 - epsilon. Scales may be negative or 0.
/// Errors: NULL, OVERFLOW.
HT_API ht_status ht_binary_fold_batch_norm(size_t outputs, size_t inputs, const float *scale, const float *bias,
                                           const float *gamma, const float *beta, const float *mean,
                                           const float *variance, float epsilon, int32_t *level, uint8_t *flip);

// MARK: products

/// The scratch that a product of t rows of type `x` needs under these options, in bytes; enough for any fewer rows.
/// Errors: NULL, ALIGNMENT, OVERFLOW, THREADS, ISA, BLOB_*, DESIGN.
HT_API ht_status ht_binary_gemm_scratch_size(size_t t, ht_dtype x, const void *packed, size_t packed_size,
                                             const ht_options *options, size_t *size);

/// Y = epilogue(X * transpose(W)), X t rows of `inputs` signs, W `outputs` rows of them. Y is of type I32 (the
/// default), I16 (inputs at most 32767), F32, BF16, U8 or I8, or signs: B1. Sums are exact. I32 and I16 take no other
/// epilogue, B1 a threshold only, F32 and the others y = activation(sum * row_scale[row] * quantization.scale[column] +
/// bias + residual), in that order, each product rounded once and the bias added by a fused multiply-add, then the
/// conversion; u8 and i8 also take the dyadic form without row_scale. The same bits on every ISA and for any number of
/// threads. Bits lie in rows: their order must be ROWS. Windows of columns begin and end at multiples of 16 or at the
/// last column. Errors: NULL, STRIDE, ALIGNMENT, OVERFLOW, THREADS, WINDOW, ISA, EPILOGUE, BUFFER_SIZE, MEMORY, DESIGN,
/// BLOB_*.
HT_API ht_status ht_binary_gemm_b1(size_t t, size_t outputs, size_t inputs, const uint64_t *x, size_t x_stride,
                                   const void *packed, size_t packed_size, const ht_epilogue *epilogue, void *y,
                                   size_t y_stride, const ht_options *options);

/// The same for an X of zeros and ones, as attention maps are: a set bit counts as 1, a clear one as 0.
HT_API ht_status ht_binary_gemm_u1(size_t t, size_t outputs, size_t inputs, const uint64_t *x, size_t x_stride,
                                   const void *packed, size_t packed_size, const ht_epilogue *epilogue, void *y,
                                   size_t y_stride, const ht_options *options);

/// The same for an X of floats; Y is F32 or BF16. A sum is taken in fours: ((±x0 + ±x1) + (±x2 + ±x3)), x beyond the
/// last +0, each four then added to the sum of those before, from +0 on: the same bits on every ISA, for any T.
/// options.x_order may be FEATURES.
HT_API ht_status ht_binary_gemm_f32(size_t t, size_t outputs, size_t inputs, const float *x, size_t x_stride,
                                    const void *packed, size_t packed_size, const ht_epilogue *epilogue, void *y,
                                    size_t y_stride, const ht_options *options);

/// The same for an X of bytes with exact sums, modulo 2^32; Y is I32, F32, BF16, U8 or I8. The epilogue's x_zero is
/// subtracted from every x. options.x_order may be FEATURES.
HT_API ht_status ht_binary_gemm_i8(size_t t, size_t outputs, size_t inputs, const int8_t *x, size_t x_stride,
                                   const void *packed, size_t packed_size, const ht_epilogue *epilogue, void *y,
                                   size_t y_stride, const ht_options *options);

#ifdef __cplusplus
}
#endif

#endif
