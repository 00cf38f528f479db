// SPDX-License-Identifier: Apache-2.0
// The direct design in NEON without dot products: differences are counted in bytes.
#if defined(__aarch64__)
#include <arm_neon.h>

#include "core/simd.h"

enum { most_words = 31 };  // 8 in a byte of each

typedef uint8x16_t sums_of_4;

HT_INLINE sums_of_4 add_bits(sums_of_4 sums, uint8x16_t bits) { return vaddq_u8(sums, bits); }

HT_INLINE uint32x4_t totals(sums_of_4 sums) { return vpaddlq_u16(vpaddlq_u8(sums)); }

#include "neon_counts.h"

static const ht_binary_vectors vectors = {tile, false, ht_sums_store_neon};

void ht_binary_gemm_neon(const ht_binary_task *task) { ht_binary_tiles_run(&vectors, task); }
#endif
