// SPDX-License-Identifier: Apache-2.0
// Backward masks in AVX-512.
#if defined(__x86_64__)
#include <immintrin.h>
#include <stdbool.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl")
#endif

#include "core/simd.h"

enum { HT_KEYS = 16 };
typedef __m512i ht_keys, ht_counts;

HT_INLINE uint32_t ht_load_bits(const uint8_t *from, size_t count) {
    return count > 8 ? (uint32_t)from[0] | (uint32_t)from[1] << 8 : from[0];
}

HT_INLINE void ht_store_bits(uint8_t *to, uint32_t bits, size_t count) {
    to[0] = (uint8_t)bits;
    if (count > 8) to[1] = (uint8_t)(bits >> 8);
}

HT_INLINE ht_keys ht_load_keys(const float *w, uint32_t bits, size_t count) {
    const __mmask16 in = (__mmask16)(bits & ((1u << count) - 1));
    return _mm512_mask_and_epi32(_mm512_set1_epi32(-1), in, _mm512_maskz_loadu_epi32(in, w),
                                 _mm512_set1_epi32(0x7fffffff));
}

HT_INLINE ht_counts ht_splat_count(uint32_t count) { return _mm512_set1_epi32((int)count); }

// The earlier row wins unless the later one is larger.
HT_INLINE void ht_compare(ht_keys earlier, ht_keys later, ht_counts *earlier_losses, ht_counts *later_losses) {
    const __m512i one = _mm512_set1_epi32(1);
    const __mmask16 larger = _mm512_cmpgt_epi32_mask(later, earlier);
    *earlier_losses = _mm512_mask_add_epi32(*earlier_losses, larger, *earlier_losses, one);
    *later_losses = _mm512_mask_sub_epi32(*later_losses, larger, *later_losses, one);
}

HT_INLINE uint32_t ht_is_kept(ht_keys key, ht_counts losses, uint32_t n) {
    const __mmask16 in = _mm512_cmpge_epi32_mask(key, _mm512_setzero_si512());
    return _mm512_mask_cmplt_epi32_mask(in, losses, _mm512_set1_epi32((int)n));
}

HT_INLINE void ht_take_larger(ht_keys key, uint32_t row, ht_keys *best, ht_counts *winner) {
    const __mmask16 larger = _mm512_cmpgt_epi32_mask(key, *best);
    *best = _mm512_mask_mov_epi32(*best, larger, key);
    *winner = _mm512_mask_mov_epi32(*winner, larger, _mm512_set1_epi32((int)row));
}

HT_INLINE uint32_t ht_is_winner(ht_keys best, ht_counts winner, uint32_t row) {
    const __mmask16 in = _mm512_cmpge_epi32_mask(best, _mm512_setzero_si512());
    return _mm512_mask_cmpeq_epi32_mask(in, winner, _mm512_set1_epi32((int)row));
}

#include "backward_code.h"

void ht_bimask_backward_f32_avx512(const ht_backward_block *block) { mask_block(block); }

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
