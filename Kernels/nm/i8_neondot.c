// SPDX-License-Identifier: Apache-2.0
// 8-bit products in NEON with dot products.
#include "i8.h"

#if defined(__aarch64__)
#include <arm_neon.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("dotprod"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("arch=armv8.2-a+dotprod")
#endif

#include "neon.h"

typedef int32x4_t sums_of_4;

HT_INLINE sums_of_4 start_sums(int32x4_t sums) { return sums; }

HT_INLINE int32x4_t total_sums(sums_of_4 sums) { return sums; }

HT_INLINE sums_of_4 add_products(sums_of_4 sums, uint8x16_t x, int8x16_t w) {
    return vdotq_s32(sums, vreinterpretq_s8_u8(x), w);
}

#define IN_ORDER HT_IN_ORDER
#define MOST_SUMS 16
#define SIGNED_X true
#include "i8_neon.h"

void ht_nm_gemm_i8_neondot(const ht_nm_task *task) { ht_nm_i8_run(&vectors, task); }

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
