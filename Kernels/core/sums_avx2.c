// SPDX-License-Identifier: Apache-2.0
#include "sums.h"

#if defined(__x86_64__)
#include <immintrin.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c")
#endif

// clang-format off: the second is written in the words of the first
#include "vec_avx2.h"
#include "sums_store.h"
// clang-format on

void ht_sums_store_avx2(const ht_sums *sums) { store_sums(sums); }

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
