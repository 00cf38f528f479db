// SPDX-License-Identifier: Apache-2.0
// What every family shares: status codes, options, the list of kernels, aligned memory.
//
// Rules that hold for every call of this library:
//   - Sizes come first, then operands, then the output, then a nullable options pointer.
//   - Matrices are row-major. Strides are in bytes, from one row to the next; 0 means rows without a gap.
//   - A call returns a status. Unless it is HT_OK, no output was written.
//   - Nothing prints, aborts, or changes global state, and there is no init call.
//   - Nothing outside the operands is read or written, whatever the shape.
#ifndef HALFTONE_BASE_H
#define HALFTONE_BASE_H

#include <stddef.h>
#include <stdint.h>

#define HT_VERSION_MAJOR 0
#define HT_VERSION_MINOR 6
#define HT_VERSION_PATCH 0

#if defined(_WIN32)
#define HT_API
#else
#define HT_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef enum ht_status {
    HT_OK = 0,
    HT_ERROR_NULL = 1,             // a pointer that this call needs is null
    HT_ERROR_PATTERN = 2,          // not 1 <= N <= M <= 64, or rows share a pattern otherwise than by 1, 2, 4 or 8
    HT_ERROR_STRIDE = 3,  // a stride is shorter than a row or not a multiple of the element size, or an order unknown
    HT_ERROR_ALIGNMENT = 4,  // a pointer is not aligned: elements to their size, blobs and scratch to 64 bytes
    HT_ERROR_OVERFLOW = 5,  // a size in bytes does not fit in size_t, or a number of a convolution in its 16 or 31 bits
    HT_ERROR_NOT_SPARSE = 6,  // a group holds more than N entries
    HT_ERROR_BUFFER_SIZE = 7,  // the packed or scratch buffer is too small
    HT_ERROR_THREADS = 8,  // threads is negative
    HT_ERROR_WINDOW = 9,  // a row or column window is outside the output or not on a boundary of 16 columns
    HT_ERROR_ISA = 10,  // the ISA asked for is unknown or does not run on this machine
    HT_ERROR_EPILOGUE = 11,  // the epilogue asks for what the operation does not do, or for nonsense
    HT_ERROR_MEMORY = 12,  // the scratch memory could not be allocated
    HT_ERROR_BLOB_TRUNCATED = 13,  // the packed blob is shorter than its header says, or than a header
    HT_ERROR_BLOB_FOREIGN = 14,  // these bytes are no Halftone blob, or one of another operation
    HT_ERROR_BLOB_VERSION = 15,  // a Halftone blob of a version or layout that this build does not know
    HT_ERROR_BLOB_CORRUPT = 16,  // the blob's header or contents contradict themselves
    HT_ERROR_BLOB_SHAPE = 17,  // the blob holds weights of another shape than the call says
    HT_ERROR_BLOB_DTYPE = 18,  // the blob holds weights of a type that the operation does not take
    HT_ERROR_TUNING = 19,  // the tuning data is malformed, of another version, or contradicts itself
    HT_ERROR_CONV = 20,  // a convolution without taps, whose groups do not divide its channels, or of another padding
    HT_ERROR_DEPTHWISE = 21,  // a depthwise convolution: N:M weights need more than one channel a group
    HT_ERROR_PERMUTATION = 22,  // not a permutation of the output channels, or one that leaves a group
    HT_ERROR_ESTIMATOR = 23,  // a gradient estimator unknown or with parameters out of their range
    HT_ERROR_DESIGN = 24,  // a design of binary kernels unknown, or not to be had by this call
    HT_ERROR_TREE = 25,  // no tree: a parent out of range or a circle, or a cluster out of range
    HT_ERROR_OPTIMIZER = 26  // an optimizer with a parameter out of its range
} ht_status;

/// One sentence about a status, for people. Never null; for an unknown value it says so.
HT_API const char *ht_status_text(ht_status status);

/// Instruction sets that kernels are written for. The words name CPU features, never CPUs.
typedef enum ht_isa {
    HT_ISA_AUTO = 0,  // the best row that runs here, or what the environment variable HALFTONE_ISA allows
    HT_ISA_REF = 1,  // portable C: the definition, on every machine
    HT_ISA_AVX2 = 2,  // AVX2, FMA, BMI2 and F16C
    HT_ISA_AVX512 = 3,  // AVX-512 F, BW, DQ and VL
    HT_ISA_AVX_VNNI = 4,  // AVX2 and AVX-VNNI
    HT_ISA_AVX512_VNNI = 5,  // AVX-512 as above, VNNI, VBMI and VBMI2
    HT_ISA_AVX512_BF16 = 6,  // AVX-512 as above, and BF16
    HT_ISA_NEON = 7,  // AArch64 Advanced SIMD
    HT_ISA_NEON_DOTPROD = 8,  // NEON and the 8-bit dot products
    HT_ISA_NEON_I8MM = 9,  // NEON, dot products and 8-bit matrix products
    HT_ISA_NEON_BF16 = 10,  // NEON and bfloat16 products
    HT_ISA_AVX512_POPCNT = 11  // AVX-512 as above, VPOPCNTDQ, BITALG, VBMI, VBMI2 and GFNI
} ht_isa;

/// "auto", "ref", "avx2", "avx512", "avxvnni", "avx512vnni", "avx512bf16", "neon", "neondot", "neoni8mm", "neonbf16",
/// "avx512popcnt"; null for an unknown value.
HT_API const char *ht_isa_name(ht_isa isa);

/// The ISA that a name stands for; -1 for an unknown name.
HT_API int ht_isa_named(const char *name);

/// Types of elements. Their numbers are part of the blob format.
typedef enum ht_dtype {
    HT_DTYPE_DEFAULT = 0,  // what the operation's description says
    HT_DTYPE_F32 = 1,
    HT_DTYPE_F16 = 2,  // IEEE binary16
    HT_DTYPE_BF16 = 3,  // the upper half of an f32
    HT_DTYPE_I8 = 4,
    HT_DTYPE_U8 = 5,
    HT_DTYPE_I32 = 6,
    HT_DTYPE_I16 = 7,
    HT_DTYPE_B1 = 8,  // a bit that stands for a sign: 0 is +1, 1 is -1; binary.h says how bits lie in memory
    HT_DTYPE_U1 = 9  // a bit that stands for itself
} ht_dtype;

/// The bytes of an element, 0 for bits, HT_DTYPE_DEFAULT and unknown values.
HT_API size_t ht_dtype_size(ht_dtype dtype);

/// How a matrix of activations lies in memory.
typedef enum ht_order {
    HT_ORDER_ROWS = 0,  // row-major: the values of one sample are neighbours; strides go from sample to sample
    HT_ORDER_FEATURES = 1  // feature-major: one value of all samples are neighbours; strides go from feature to feature
} ht_order;

/// What binary kernels work on; packing prepares for one of these, and DIRECT can always be asked for.
typedef enum ht_binary_design {
    HT_BINARY_AUTO = 0,  // packing: what is fastest for the shape; a call: what the weights were packed for
    HT_BINARY_DIRECT = 1,  // words of bits along the channels: xor, count, add
    HT_BINARY_PIXELS = 2,  // a bit of a vector is a pixel; weights are lists of channels
    HT_BINARY_CHANNELS = 3,  // a bit of a vector is an output channel; pixels are lists of channels
    HT_BINARY_TREE = 4  // as PIXELS, but outputs are lists of where they differ from each other: see mst.h
} ht_binary_design;

/// How a call is to run. A null pointer means the same as a zeroed struct.
typedef struct ht_options {
    int threads;  // 1 = this thread only, 0 = all that the machine offers. Never changes a bit of a result.
    ht_isa isa;  // HT_ISA_AUTO, or: the best row that needs no more than this
    size_t row_begin;  // Compute only these rows of the output ...
    size_t row_end;  // ... up to here, exclusive; 0 = to the last. The rest is not touched.
    size_t column_begin;  // Likewise for output columns; a multiple of 16
    size_t column_end;  // exclusive; a multiple of 16 or the last column; 0 = to the last
    void *scratch;  // 64-byte aligned memory for the call, or null: then the call allocates and frees it
    size_t scratch_size;  // its size in bytes: at least what the operation's ..._scratch_size says
    int shared_rows;  // masks and packing: so many rows, 2, 4 or 8, share one pattern; 0 or 1 = each has its own
    int shared_taps;  // masks and packing of filters: 1 = all taps of a filter share one pattern
    ht_order x_order;  // how X lies; windows count rows and columns of Y whatever the order
    ht_order y_order;  // how Y and the epilogue's residual lie
    ht_binary_design binary_design;  // of binary weights
} ht_options;

typedef enum ht_activation {
    HT_ACTIVATION_NONE = 0,
    HT_ACTIVATION_RELU = 1,  // v < 0 ? 0 : v; a NaN stays a NaN
    HT_ACTIVATION_CLAMP = 2,  // v < low ? low : v > high ? high : v; a NaN stays a NaN
    HT_ACTIVATION_GELU = 3  // v/2 (1 + erf(v / sqrt 2)), Docs/Numerics.md says how exactly
} ht_activation;

/// The real values behind 8-bit products: x stands for (x - x_zero) * its scale, w for w * its scale.
/// A zeroed struct leaves the sums as they are.
typedef struct ht_quantization {
    int32_t x_zero;  // subtracted from every x; in the range of its type
    const float *scale;  // of one unit of a column's sum, one for each output column; null = 1
    float y_scale;  // of one unit of an 8-bit y; 0 = 1
    int32_t y_zero;  // added to every 8-bit y; in the range of its type

    // The dyadic form (Yao et al. 2021, HAWQ-V3): integers only, y = (sum + offset) * multiplier / 2^shift + y_zero.
    const int32_t *multiplier;  // one for each output column, >= 0; null = the float form with scale and y_scale
    const uint8_t *shift;  // one for each output column, 1 to 62
    const int32_t *offset;  // one for each output column, or null
    int half_away;  // 0: an exact half goes to the even neighbour; 1: up, as (v + 2^(shift-1)) >> shift
} ht_quantization;

/// Where outputs of type B1 change their sign: y is -1 where sum < level[column], and +1 elsewhere; where bit column %
/// 8 of byte column / 8 of `flip` is set, the other way round. A batch normalisation folds to this exactly, see
/// ht_binary_fold_batch_norm.
typedef struct ht_binary_threshold {
    const int32_t *level;  // one for each output column; null = 0
    const uint8_t *flip;  // or null
} ht_binary_threshold;

/// What happens to a sum before it is stored: y = activation(sum * scale + bias[column] + residual), then the
/// conversion to y's type. A null pointer means the same as a zeroed struct: y = sum + 0.
typedef struct ht_epilogue {
    const float *bias;  // one value for each output column, or null
    ht_activation activation;
    float low, high;  // of HT_ACTIVATION_CLAMP: low <= high
    const void *residual;  // as many values as y, f32 (bf16 where y is bf16); null or y itself or apart from y
    size_t residual_stride;  // bytes, as y's
    ht_dtype output;  // of y; each operation says what it offers
    const ht_quantization *quantization;  // 8-bit and binary products only
    const float *row_scale;  // binary products only: of the sums of each row of Y (times the column's), null = 1
    const ht_binary_threshold *threshold;  // outputs of type B1 only; null = signs of the sums
} ht_epilogue;

/// One row of a dispatch table.
typedef struct ht_kernel_info {
    const char *op;  // "nm_gemm_f32"
    const char *isa;  // "avx512"
    int runs;  // this machine can run it
    int chosen;  // HT_ISA_AUTO picks it here (HALFTONE_ISA taken into account)
} ht_kernel_info;

/// Writes up to `capacity` rows to `list`, each op's best first and its reference last, and returns how many there are.
/// Tests, fuzzers and tools walk this list, so that they meet every kernel there is.
HT_API size_t ht_kernels(ht_kernel_info *list, size_t capacity);

/// The names of the CPU features that kernels ask about and this machine has, separated by spaces ("avx2 fma ...").
HT_API const char *ht_cpu_features(void);

/// The name of the OpenMP runtime that threads come from ("libomp.so.5"), or "serial" if none was found.
HT_API const char *ht_thread_runtime(void);

/// How many threads `threads = 0` stands for.
HT_API int ht_thread_count(void);

/// `bytes` of memory, aligned to 64 bytes; from 1 MiB up to 2 MiB and on huge pages where the system offers them,
/// which doubles the rate at which packed weights stream. Null when there is none. Contents are undefined.
HT_API void *ht_allocate(size_t bytes);

/// Gives back what ht_allocate returned. Null is allowed.
HT_API void ht_free(void *memory);

#ifdef __cplusplus
}
#endif

#endif
