// SPDX-License-Identifier: Apache-2.0
// The products there are: what the C test and the fuzzer go through.
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

#endif
