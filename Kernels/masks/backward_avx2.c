// SPDX-License-Identifier: Apache-2.0
// Backward masks in AVX2.
#if defined(__x86_64__)
#include <immintrin.h>
#include <stdbool.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2")
#endif

#include "core/simd.h"

enum { HT_KEYS = 8 };
typedef __m256i ht_keys, ht_counts;

HT_INLINE uint32_t ht_load_bits(const uint8_t *from, size_t count) {
    (void)count;
    return *from;
}

HT_INLINE void ht_store_bits(uint8_t *to, uint32_t bits, size_t count) {
    (void)count;
    *to = (uint8_t)bits;
}

HT_INLINE ht_keys ht_load_keys(const float *w, uint32_t bits, size_t count) {
    const __m256i bit = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
    const __m256i lanes = _mm256_set1_epi32((int)(bits & ((1u << count) - 1)));
    const __m256i out = _mm256_cmpeq_epi32(_mm256_and_si256(lanes, bit), _mm256_setzero_si256());
    const __m256i there = _mm256_cmpgt_epi32(_mm256_set1_epi32((int)count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
    const __m256i bare = count == 8 ? _mm256_loadu_si256((const __m256i *)(const void *)w)
                                    : _mm256_maskload_epi32((const int *)(const void *)w, there);
    return _mm256_or_si256(_mm256_and_si256(bare, _mm256_set1_epi32(0x7fffffff)), out);
}

HT_INLINE ht_counts ht_splat_count(uint32_t count) { return _mm256_set1_epi32((int)count); }

// The earlier row wins unless the later one is larger.
HT_INLINE void ht_compare(ht_keys earlier, ht_keys later, ht_counts *earlier_losses, ht_counts *later_losses) {
    const __m256i larger = _mm256_cmpgt_epi32(later, earlier);
    *earlier_losses = _mm256_sub_epi32(*earlier_losses, larger);
    *later_losses = _mm256_add_epi32(*later_losses, larger);
}

HT_INLINE uint32_t signs(__m256i v) { return (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(v)); }

HT_INLINE uint32_t ht_is_kept(ht_keys key, ht_counts losses, uint32_t n) {
    return signs(_mm256_andnot_si256(key, _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), losses)));
}

HT_INLINE void ht_take_larger(ht_keys key, uint32_t row, ht_keys *best, ht_counts *winner) {
    const __m256i larger = _mm256_cmpgt_epi32(key, *best);
    *best = _mm256_blendv_epi8(*best, key, larger);
    *winner = _mm256_blendv_epi8(*winner, _mm256_set1_epi32((int)row), larger);
}

HT_INLINE uint32_t ht_is_winner(ht_keys best, ht_counts winner, uint32_t row) {
    return signs(_mm256_andnot_si256(best, _mm256_cmpeq_epi32(winner, _mm256_set1_epi32((int)row))));
}

#include "backward_code.h"

void ht_bimask_backward_f32_avx2(const ht_backward_block *block) { mask_block(block); }

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
