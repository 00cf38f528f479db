// SPDX-License-Identifier: Apache-2.0
// The products there are: what the C test and the fuzzers go through.
#ifndef TEST_TYPES_H
#define TEST_TYPES_H

#include <halftone.h>

typedef struct types {
    const char *op;
    ht_dtype w, x, y;
} types;

static const types all_types[] = {{"nm_gemm_f32", HT_DTYPE_F32, HT_DTYPE_F32, HT_DTYPE_F32},
                                  {"nm_gemm_f32", HT_DTYPE_F16, HT_DTYPE_F32, HT_DTYPE_F32},
                                  {"nm_gemm_f32", HT_DTYPE_BF16, HT_DTYPE_F32, HT_DTYPE_F32},
                                  {"nm_gemm_bf16", HT_DTYPE_BF16, HT_DTYPE_BF16, HT_DTYPE_F32},
                                  {"nm_gemm_bf16", HT_DTYPE_BF16, HT_DTYPE_BF16, HT_DTYPE_BF16},
                                  {"nm_gemm_i8", HT_DTYPE_I8, HT_DTYPE_U8, HT_DTYPE_I32},
                                  {"nm_gemm_i8", HT_DTYPE_I8, HT_DTYPE_U8, HT_DTYPE_F32},
                                  {"nm_gemm_i8", HT_DTYPE_I8, HT_DTYPE_U8, HT_DTYPE_U8},
                                  {"nm_gemm_i8", HT_DTYPE_I8, HT_DTYPE_I8, HT_DTYPE_I32},
                                  {"nm_gemm_i8", HT_DTYPE_I8, HT_DTYPE_I8, HT_DTYPE_F32},
                                  {"nm_gemm_i8", HT_DTYPE_I8, HT_DTYPE_I8, HT_DTYPE_BF16},
                                  {"nm_gemm_i8", HT_DTYPE_I8, HT_DTYPE_I8, HT_DTYPE_I8}};

/// The function for a type of weights.
#define WITH_FLOATS(type, function, ...)                      \
    ((type) == HT_DTYPE_F16    ? function##_f16(__VA_ARGS__)  \
     : (type) == HT_DTYPE_BF16 ? function##_bf16(__VA_ARGS__) \
                               : function##_f32(__VA_ARGS__))
#define WITH_TYPE(type, function, ...) \
    ((type) == HT_DTYPE_I8 ? function##_i8(__VA_ARGS__) : WITH_FLOATS(type, function, __VA_ARGS__))

#endif
