// SPDX-License-Identifier: Apache-2.0
// N:M sparse weights: at most N of each M consecutive weights of a row are kept.
//
// W is a weight matrix of o rows (outputs) and k columns (inputs), as in PyTorch's Linear. A group is M consecutive
// columns of one row; groups never cross a row, and the last group of a row has k mod M columns if that is not 0.
// 1 <= N <= M <= 64; N = M is a dense matrix.
//
// N:M:G: with options.shared_rows = G (2, 4 or 8) each G consecutive rows of W keep the same columns; the last rows
// form a smaller set if G does not divide o.
//
// The way through: mask or prune the weights, pack them once, run the product as often as needed.
// The last word of a name is the type of the weights as they lie in memory: f32, f16 or bf16 (16 bits each, given as
// uint16_t), i8.
#ifndef HALFTONE_NM_H
#define HALFTONE_NM_H

#include "base.h"

#ifdef __cplusplus
extern "C" {
#endif

/// The magnitude mask (Zhou et al. 2021, "Learning N:M fine-grained structured sparse neural networks from scratch"):
/// one bit for each weight, 1 for the N weights of a group with the largest |w|; a last group of t < M columns keeps
/// min(N, t). Of equal magnitudes the lower column wins. A NaN counts as larger than infinity, so it is kept; of two
/// NaNs the one whose bits without the sign are more.
/// Rows that share a pattern keep the N columns with the largest sum of |w| over these rows (in double precision, row
/// by row, a NaN again above infinity), which maximises the magnitude that their group keeps.
///
/// mask: o rows of ceil(k / 8) bytes, column c in bit c % 8 of byte c / 8; the unused bits of a row's last byte are 0.
/// Errors: PATTERN, NULL, STRIDE, ALIGNMENT, OVERFLOW, THREADS, ISA. Window options are not used.
HT_API ht_status ht_nm_mask_f32(size_t o, size_t k, size_t n, size_t m, const float *w, size_t w_stride, uint8_t *mask,
                                size_t mask_stride, const ht_options *options);
HT_API ht_status ht_nm_mask_f16(size_t o, size_t k, size_t n, size_t m, const uint16_t *w, size_t w_stride,
                                uint8_t *mask, size_t mask_stride, const ht_options *options);
HT_API ht_status ht_nm_mask_bf16(size_t o, size_t k, size_t n, size_t m, const uint16_t *w, size_t w_stride,
                                 uint8_t *mask, size_t mask_stride, const ht_options *options);
HT_API ht_status ht_nm_mask_i8(size_t o, size_t k, size_t n, size_t m, const int8_t *w, size_t w_stride, uint8_t *mask,
                               size_t mask_stride, const ht_options *options);

/// Copies W to `pruned` with every weight outside its magnitude mask set to +0. `pruned` may be W itself (with the
/// same stride), not overlap it otherwise. Errors as ht_nm_mask_f32.
HT_API ht_status ht_nm_prune_f32(size_t o, size_t k, size_t n, size_t m, const float *w, size_t w_stride, float *pruned,
                                 size_t pruned_stride, const ht_options *options);
HT_API ht_status ht_nm_prune_f16(size_t o, size_t k, size_t n, size_t m, const uint16_t *w, size_t w_stride,
                                 uint16_t *pruned, size_t pruned_stride, const ht_options *options);
HT_API ht_status ht_nm_prune_bf16(size_t o, size_t k, size_t n, size_t m, const uint16_t *w, size_t w_stride,
                                  uint16_t *pruned, size_t pruned_stride, const ht_options *options);
HT_API ht_status ht_nm_prune_i8(size_t o, size_t k, size_t n, size_t m, const int8_t *w, size_t w_stride,
                                int8_t *pruned, size_t pruned_stride, const ht_options *options);

/// The size in bytes of the packed blob of o x k weights of type f32, f16, bf16 or i8; of the options shared_rows
/// matters. Errors: PATTERN, NULL, OVERFLOW, BLOB_DTYPE.
HT_API ht_status ht_nm_packed_size(size_t o, size_t k, size_t n, size_t m, ht_dtype dtype, const ht_options *options,
                                   size_t *size);

/// Packs the entries of W into `packed`: 64-byte aligned memory of at least ht_nm_packed_size bytes.
/// The blob is position-independent and the same for every ISA: write it to a file, map it back.
///
/// The entries of a group are its columns in `mask` (laid out as ht_nm_mask_f32 writes it), or, with a null mask, its
/// non-zero weights. With shared_rows they are the columns that any of the rows names. Either way a group with fewer
/// than N of them is filled up, from its lowest free column on, with columns that hold a weight of 0 in the blob. An
/// entry is a term of the product even when its weight is 0, so a NaN or infinity in X reaches Y through it; a column
/// that is no entry is never looked at.
/// Errors: PATTERN, NULL, STRIDE, ALIGNMENT, OVERFLOW, BUFFER_SIZE, THREADS, NOT_SPARSE (more than N in a group).
HT_API ht_status ht_nm_pack_f32(size_t o, size_t k, size_t n, size_t m, const float *w, size_t w_stride,
                                const uint8_t *mask, size_t mask_stride, void *packed, size_t packed_size,
                                const ht_options *options);
HT_API ht_status ht_nm_pack_f16(size_t o, size_t k, size_t n, size_t m, const uint16_t *w, size_t w_stride,
                                const uint8_t *mask, size_t mask_stride, void *packed, size_t packed_size,
                                const ht_options *options);
HT_API ht_status ht_nm_pack_bf16(size_t o, size_t k, size_t n, size_t m, const uint16_t *w, size_t w_stride,
                                 const uint8_t *mask, size_t mask_stride, void *packed, size_t packed_size,
                                 const ht_options *options);
HT_API ht_status ht_nm_pack_i8(size_t o, size_t k, size_t n, size_t m, const int8_t *w, size_t w_stride,
                               const uint8_t *mask, size_t mask_stride, void *packed, size_t packed_size,
                               const ht_options *options);

/// Writes the packed weights back as a dense o x k matrix of the blob's own type: entries as they were, +0 elsewhere.
/// Errors: NULL, STRIDE, ALIGNMENT, OVERFLOW, the blob errors, BLOB_SHAPE.
HT_API ht_status ht_nm_unpack(size_t o, size_t k, const void *packed, size_t packed_size, void *w, size_t w_stride,
                              const ht_options *options);

/// What a blob says of itself: o rows of k weights. Of filters these are a group's, and k is all taps; weights that are
/// packed backward have a row for each input, and k outputs at each tap.
typedef struct ht_nm_info {
    size_t o, k, n, m;
    size_t bytes;  // the whole blob, header included
    ht_dtype dtype;  // of the weights
    int shared_rows;  // as packed; 1 = each row has its own pattern
    int shared_taps;  // as packed; 0 where each tap has its own pattern, and with one tap
} ht_nm_info;

/// Reads and checks a blob's header against itself, this build and `packed_size`. A run does the same, so this is for
/// callers that hold bytes of unknown origin. Whatever the bytes behind a good header are, no call reads outside them.
/// Errors: NULL, ALIGNMENT, BLOB_TRUNCATED, BLOB_FOREIGN, BLOB_VERSION, BLOB_CORRUPT.
HT_API ht_status ht_nm_packed_info(const void *packed, size_t packed_size, ht_nm_info *info);

/// Checks the whole blob, not only its header: the entries of each group are inside it and ascend, padding is zero.
/// Errors as ht_nm_packed_info; BLOB_CORRUPT where the contents are not what a packer writes.
HT_API ht_status ht_nm_packed_check(const void *packed, size_t packed_size);

/// The scratch that a product of t rows with this blob needs under these options, in bytes: `x` is the type of X, F32,
/// BF16, U8 or I8, and says which product. Errors: NULL, OVERFLOW, THREADS, ISA, BLOB_DTYPE, the blob errors.
HT_API ht_status ht_nm_gemm_scratch_size(size_t t, ht_dtype x, const void *packed, size_t packed_size,
                                         const ht_options *options, size_t *size);

/// The product Y = epilogue(X * transpose(W)): x is t rows of k values, y is t rows of o values. With options.x_order
/// or y_order = HT_ORDER_FEATURES that operand is transposed in memory: k or o rows of t values, so that layers can be
/// chained without transposing.
///
/// The weights are f32, f16 or bf16; the latter two are widened, exactly. epilogue.output is F32.
/// Each y is one chain of fused multiply-adds over the entries of its row of W in column order, started at +0; the
/// epilogue follows. So a result has the same bits for any t, thread count, order and window, and on every ISA (NaNs
/// may differ in their payload), and |y - exact| <= gamma(entries) * sum |x w|. k = 0 gives epilogue(0); t = 0 or o = 0
/// does nothing. y must not overlap x, the blob or the bias. Allocates nothing when options carry a scratch of
/// ht_nm_gemm_scratch_size bytes. Errors: NULL, STRIDE, ALIGNMENT, OVERFLOW, BUFFER_SIZE, THREADS, WINDOW, ISA,
/// EPILOGUE, MEMORY, the blob errors, BLOB_SHAPE when the blob is not o x k, BLOB_DTYPE.
HT_API ht_status ht_nm_gemm_f32(size_t t, size_t o, size_t k, const float *x, size_t x_stride, const void *packed,
                                size_t packed_size, const ht_epilogue *epilogue, float *y, size_t y_stride,
                                const ht_options *options);

/// The same product with X and W in bf16, sums and epilogue in f32. epilogue.output is F32 (the default) or BF16
/// (rounded to nearest, ties to even).
/// The chain is that of ht_nm_gemm_f32 in the arithmetic of the bfloat16 dot product instructions: rounded to nearest,
/// subnormal operands and results count as zero. It has the same bits for any t, thread count, order, window and ISA,
/// but for sums that only rounding lifts to the least normal number, 2^-126: they are zero on AArch64.
HT_API ht_status ht_nm_gemm_bf16(size_t t, size_t o, size_t k, const uint16_t *x, size_t x_stride, const void *packed,
                                 size_t packed_size, const ht_epilogue *epilogue, void *y, size_t y_stride,
                                 const ht_options *options);

/// The same product with X in 8 bits, unsigned or signed, and W in i8: sum = sum of (x - x_zero) * w over the entries,
/// in 32 bits, exact whenever it fits (nothing saturates on the way; beyond that modulo 2^32: at most 65793 entries a
/// row always fit when x_zero is 0). epilogue.output is I32 (the default: the sum itself, only x_zero is used), F32 or
/// BF16 (epilogue as for f32, with the scale), U8 or I8 (then rounded to nearest, ties to even, and saturated).
/// The dyadic form takes U8 or I8, no bias, no residual, and the activations NONE and RELU (y >= y_zero).
/// Results are the same bits on every ISA.
HT_API ht_status ht_nm_gemm_u8(size_t t, size_t o, size_t k, const uint8_t *x, size_t x_stride, const void *packed,
                               size_t packed_size, const ht_epilogue *epilogue, void *y, size_t y_stride,
                               const ht_options *options);
HT_API ht_status ht_nm_gemm_i8(size_t t, size_t o, size_t k, const int8_t *x, size_t x_stride, const void *packed,
                               size_t packed_size, const ht_epilogue *epilogue, void *y, size_t y_stride,
                               const ht_options *options);

#ifdef __cplusplus
}
#endif

#endif
