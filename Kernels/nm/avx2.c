// SPDX-License-Identifier: Apache-2.0
// The product in AVX2: kernels for every index code.
#include "bf16.h"
#include "index_code.h"

#if defined(__x86_64__)
#include <immintrin.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,bmi,bmi2,f16c"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,bmi,bmi2,f16c")
#endif

// clang-format off: the second is written in the words of the first
#include "core/vec_avx2.h"
#include "tiles.h"
#include "widen.h"
// clang-format on

// How far ahead of a panel kernel weights are fetched into L1.
enum { prefetch_bytes = 2048 };

HT_INLINE void ht_load_words(uint64_t words[2], const uint32_t *indices) { __builtin_memcpy(words, indices, 16); }

// The index words of a strip's 16 rows, from its four quads.
HT_INLINE void ht_strip_words(__m256i words[2], const uint32_t *indices, const size_t quad[4], size_t quad_words) {
    HT_UNROLL
    for (int half = 0; half < 2; half++)
        words[half] = _mm256_loadu2_m128i((const __m128i *)(indices + quad[half * 2 + 1] * quad_words),
                                          (const __m128i *)(indices + quad[half * 2] * quad_words));
}

// Each lane's float of the 16 at x: bits 0-2 of the index pick in both halves, bit 3 picks the half.
HT_INLINE __m256 ht_pick_of_16(const float *x, __m256i index) {
    __m256 low = _mm256_permutevar8x32_ps(_mm256_loadu_ps(x), index);
    __m256 high = _mm256_permutevar8x32_ps(_mm256_loadu_ps(x + 8), index);
    return _mm256_blendv_ps(low, high, _mm256_castsi256_ps(_mm256_slli_epi32(index, 28)));
}

// Keeps the compiler from turning one load and cheap shuffles into many loads.
HT_INLINE __m256 ht_opaque(__m256 v) {
    __asm__("" : "+x"(v));
    return v;
}

#define CODE_TEMPLATE "avx2_code.h"
#include "each_code.h"

static const ht_nm_panel_shape shapes[] = {
    {24, {panel_2_1_3, panel_2_2_3, NULL, NULL, panel_4_1_3, panel_4_2_3, NULL, panel_8_0_3}},
    {8, {panel_2_1_1, panel_2_2_1, NULL, NULL, panel_4_1_1, panel_4_2_1, NULL, panel_8_0_1}},
};

static const ht_nm_vectors vectors = {
    .shapes = shapes,
    .shape_count = sizeof shapes / sizeof *shapes,
    TILE_FUNCTIONS,
    .widen = {widen_f16, widen_bf16},
    .strips = {{strip_2_1_1, strip_2_2_1, NULL, NULL, strip_4_1_1, strip_4_2_1},
               {strip_2_1_2, strip_2_2_2, NULL, NULL, strip_4_1_2, strip_4_2_2},
               {strip_2_1_4, strip_2_2_4, NULL, NULL, strip_4_1_4, strip_4_2_4}},
    .strip_rows = {4, 4, 0, 0, 2, 2, 0, 0},
};

void ht_nm_gemm_f32_avx2(const ht_nm_task *task) { ht_nm_panels_run(&vectors, task); }

void ht_nm_gemm_bf16_avx2(const ht_nm_task *task) { ht_nm_panels_run(&vectors, task); }

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
