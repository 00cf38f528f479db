// SPDX-License-Identifier: Apache-2.0
#if defined(__x86_64__)
#include <immintrin.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,bmi,bmi2,f16c"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,bmi,bmi2,f16c")
#endif

enum { ROWS = 6, VECTORS = 2 };

// clang-format off: the second is written in the words of the first
#include "core/vec_avx2.h"
#include "weight_gradient.h"
// clang-format on

void ht_weight_gradient_f32_avx2(const ht_weight_gradient_task *task) { weight_gradient(task); }

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
