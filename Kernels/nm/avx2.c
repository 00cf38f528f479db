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

// How far a panel kernel has come.
typedef struct ht_panel_cursor {
    const float *values;
    const uint8_t *indices;
    float *sums;
} ht_panel_cursor;

// The index fields of a strip's 16 rows, from its four quads.
HT_INLINE void ht_strip_words(__m256i words[2], const uint8_t *indices, const size_t quad[4], size_t quad_bytes) {
    HT_UNROLL
    for (int half = 0; half < 2; half++)
        words[half] = _mm256_loadu2_m128i((const __m128i *)(indices + quad[half * 2 + 1] * quad_bytes),
                                          (const __m128i *)(indices + quad[half * 2] * quad_bytes));
}

// Fields of 3 bytes, four a lane, become words.
HT_INLINE void ht_widen_fields(__m256i words[2]) {
    const __m256i bytes =
        _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 2, -1, 3, 4, 5, -1, 6, 7, 8, -1, 9, 10, 11, -1));
    for (int half = 0; half < 2; half++) words[half] = _mm256_shuffle_epi8(words[half], bytes);
}

// Each lane's float of the 16 at x: bits 0-2 of the index pick in both halves, bit 3 picks the half.
HT_INLINE __m256 ht_pick_of_16(const float *x, __m256i index) {
    __m256 low = _mm256_permutevar8x32_ps(_mm256_loadu_ps(x), index);
    __m256 high = _mm256_permutevar8x32_ps(_mm256_loadu_ps(x + 8), index);
    return _mm256_blendv_ps(low, high, _mm256_castsi256_ps(_mm256_slli_epi32(index, 28)));
}

// One half of v in both: `half` is 0x44 or 0xee. The barrier keeps the compiler from turning one load and cheap
// shuffles into many loads.
#define ht_splat_half(v, half)                                             \
    __extension__({                                                        \
        __m256d splat_ = _mm256_permute4x64_pd(_mm256_castps_pd(v), half); \
        __asm__("" : "+x"(splat_));                                        \
        _mm256_castpd_ps(splat_);                                          \
    })

#define CODE_TEMPLATE "avx2_code.h"
#include "each_code.h"

static const ht_nm_panel_shape shapes[] = {
    {24, 0, KERNELS(panel, 3)},
    {16, 0, KERNELS(panel, 2)},
    {8, 0, KERNELS(panel, 1)},
};

static const ht_nm_vectors vectors = {
    .shapes = shapes,
    .shape_count = sizeof shapes / sizeof *shapes,
    TILE_FUNCTIONS,
    .widen = {widen_f16, widen_bf16},
    .strips = {{WINDOW_KERNELS(strip, 1)}, {WINDOW_KERNELS(strip, 2)}, {WINDOW_KERNELS(strip, 4)}},
    .strip_rows = {4, 4, 4, 4, 2, 2, 0, 0},
};

void ht_nm_gemm_f32_avx2(const ht_nm_task *task) { ht_nm_panels_run(&vectors, task); }

void ht_nm_gemm_bf16_avx2(const ht_nm_task *task) { ht_nm_panels_run(&vectors, task); }

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
