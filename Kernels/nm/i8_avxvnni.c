// SPDX-License-Identifier: Apache-2.0
// 8-bit products in AVX2 with VNNI.
#include "core/simd.h"
#include "i8.h"

#if defined(__x86_64__)
#include <immintrin.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,bmi,bmi2,avxvnni"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c,bmi,bmi2,avxvnni")
#endif

typedef __m256i weights;

HT_INLINE weights prepare(__m256i w) { return w; }

HT_INLINE __m256i add(__m256i sum, __m256i x, weights w) { return _mm256_dpbusd_avx_epi32(sum, x, w); }

#include "i8_avx2.h"

void ht_nm_gemm_i8_avxvnni(const ht_nm_task *task) { ht_nm_i8_run(&vectors, task); }

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
