// SPDX-License-Identifier: Apache-2.0
#if defined(__x86_64__)
#include <immintrin.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,bmi,bmi2,f16c,avx512f,avx512bw,avx512dq,avx512vl"))), \
                             apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,bmi,bmi2,f16c,avx512f,avx512bw,avx512dq,avx512vl")
#endif

enum { ROWS = 8, VECTORS = 3 };

// clang-format off: the second is written in the words of the first
#include "core/vec_avx512.h"
#include "weight_gradient.h"
// clang-format on

void ht_weight_gradient_f32_avx512(const ht_weight_gradient_task *task) { weight_gradient(task); }

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
