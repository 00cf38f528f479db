// SPDX-License-Identifier: Apache-2.0
// The direct design in NEON with dot products: one with ones adds the counts of four bytes to a sum of 32 bits.
#if defined(__aarch64__)
#include <arm_neon.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("dotprod"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("arch=armv8.2-a+dotprod")
#endif

#include "core/simd.h"

enum { most_words = 256 };  // so that sums stay in registers along most products

typedef uint32x4_t sums_of_4;

HT_INLINE sums_of_4 add_bits(sums_of_4 sums, uint8x16_t bits) { return vdotq_u32(sums, bits, vdupq_n_u8(1)); }

HT_INLINE uint32x4_t totals(sums_of_4 sums) { return sums; }

#include "neon_counts.h"

static const ht_binary_vectors vectors = {tile, false, ht_sums_store_neon};

void ht_binary_gemm_neondot(const ht_binary_task *task) { ht_binary_tiles_run(&vectors, task); }

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
