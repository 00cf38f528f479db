// SPDX-License-Identifier: Apache-2.0
// The product in AVX-512: kernels for every index code.
#include "bf16.h"
#include "index_code.h"

#if defined(__x86_64__)
#include <immintrin.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,bmi,bmi2,f16c,avx512f,avx512bw,avx512dq,avx512vl"))), \
                             apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,bmi,bmi2,f16c,avx512f,avx512bw,avx512dq,avx512vl")
#endif

// clang-format off: the second is written in the words of the first
#include "core/vec_avx512.h"
#include "tiles.h"
#include "widen.h"
// clang-format on

// How far ahead of a panel kernel weights are fetched: into L2 and from there into L1. In one stage the misses to
// memory hold the buffers that the misses of panel and sums to L2 need too: up to 8 % slower.
enum { l2_ahead = 8192, l1_ahead = 1024, index_ahead = 256 };

HT_INLINE void ht_prefetch_weights(const float *values) {
    _mm_prefetch((const char *)values + l2_ahead, _MM_HINT_T1);
    _mm_prefetch((const char *)values + l1_ahead, _MM_HINT_T0);
}

// How far a panel kernel has come.
typedef struct ht_panel_cursor {
    const float *values;
    const uint8_t *indices;
    float *sums;
} ht_panel_cursor;

// The index words of a strip's 16 rows, from its four quads.
HT_INLINE __m512i ht_strip_words(const uint32_t *indices, const size_t quad[4], size_t quad_words) {
    __m512i words = _mm512_castsi128_si512(_mm_loadu_si128((const __m128i *)indices));
    words = _mm512_inserti32x4(words, _mm_loadu_si128((const __m128i *)(indices + quad[1] * quad_words)), 1);
    words = _mm512_inserti32x4(words, _mm_loadu_si128((const __m128i *)(indices + quad[2] * quad_words)), 2);
    return _mm512_inserti32x4(words, _mm_loadu_si128((const __m128i *)(indices + quad[3] * quad_words)), 3);
}

#define CODE_TEMPLATE "avx512_code.h"
#include "each_code.h"

// Blocks of 128 columns leave room for panels of 64 rows of X.
#define WIDE_KERNELS(size) \
    {[HT_NM_CODE_2_2] = NAME_WITH(panel, 2, 2, size), [HT_NM_CODE_MAP] = NAME_WITH(panel, 1, 0, size)}

static const ht_nm_panel_shape shapes[] = {
    {64, WIDE_KERNELS(4)},
    {32, KERNELS(panel, 2)},
    {16, KERNELS(panel, 1)},
};

static const ht_nm_panel_shape shapes_shared2[] = {
    {64, WIDE_KERNELS(4_shared2)},
    {32, KERNELS(panel, 2_shared2)},
    {16, KERNELS(panel, 1_shared2)},
};

static const ht_nm_panel_shape shapes_shared4[] = {
    {64, WIDE_KERNELS(4_shared4)},
    {32, KERNELS(panel, 2_shared4)},
    {16, KERNELS(panel, 1_shared4)},
};

#define STRIPS_OF(rows)                                                      \
    {NAME_WITH(strip, 2, 1, rows), NAME_WITH(strip, 2, 2, rows), NULL, NULL, \
     NAME_WITH(strip, 4, 1, rows), NAME_WITH(strip, 4, 2, rows)}

const ht_nm_vectors ht_nm_avx512 = {
    .shapes = shapes,
    .shared = {shapes_shared2, shapes_shared4},
    .shape_count = sizeof shapes / sizeof *shapes,
    TILE_FUNCTIONS,
    .widen = {widen_f16, widen_bf16},
    .strips = {STRIPS_OF(1), STRIPS_OF(2), STRIPS_OF(4), STRIPS_OF(8)},
    .strip_rows = {8, 12, 0, 0, 12, 12, 0, 0},
};

// The fence orders vectors stored past the caches before what the caller does next.
static void run(const ht_nm_task *task) {
    ht_nm_panels_run(&ht_nm_avx512, task);
    _mm_sfence();
}

void ht_nm_gemm_f32_avx512(const ht_nm_task *task) { run(task); }

void ht_nm_gemm_bf16_avx512(const ht_nm_task *task) { run(task); }

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
