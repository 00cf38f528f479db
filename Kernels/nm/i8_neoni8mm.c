// SPDX-License-Identifier: Apache-2.0
// 8-bit products in NEON with dot products of X without and weights with a sign.
#include "i8.h"

#if defined(__aarch64__)
#include <arm_neon.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("dotprod,i8mm"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("arch=armv8.2-a+dotprod+i8mm")
#endif

#include "neon.h"

typedef int32x4_t sums_of_4;

HT_INLINE sums_of_4 start_sums(int32x4_t sums) { return sums; }

HT_INLINE int32x4_t total_sums(sums_of_4 sums) { return sums; }

HT_INLINE sums_of_4 add_products(sums_of_4 sums, uint8x16_t x, int8x16_t w) { return vusdotq_s32(sums, x, w); }

#define IN_ORDER HT_IN_ORDER
#define MOST_SUMS 16
#define SIGNED_X false
#include "i8_neon.h"

void ht_nm_gemm_i8_neoni8mm(const ht_nm_task *task) { ht_nm_i8_run(&vectors, task); }

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
