// SPDX-License-Identifier: Apache-2.0
// The product in AVX-512: kernels for every index code.
#include "bf16.h"
#include "index_code.h"
#include "shared_taps.h"

#if defined(__x86_64__)
#include <immintrin.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,bmi,bmi2,f16c,avx512f,avx512bw,avx512dq,avx512vl"))), \
                             apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,bmi,bmi2,f16c,avx512f,avx512bw,avx512dq,avx512vl")
#endif

#define HT_VEC_GRIDS  // vectors as long as a grid has parts

// clang-format off: the second is written in the words of the first
#include "core/vec_avx512.h"
#include "avx512_words.h"
#include "tiles.h"
#include "widen.h"
// clang-format on

// How far ahead of a panel kernel weights are fetched: into L2 and from there into L1. In one stage the misses to
// memory hold the buffers that the misses of panel and sums to L2 need too: up to 8 % slower.
enum { l2_ahead = 8192, l1_ahead = 1024, index_ahead = 256 };

// How far ahead of a strip kernel weights are fetched, if a group of strips is not more.
enum { strip_ahead = 8192 };

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

// a & mask | set
#define ht_and_or(a, mask, set) _mm512_ternarylogic_epi32(a, _mm512_set1_epi32(mask), _mm512_set1_epi32(set), 0xea)

// The number of each lane's lowest bit in the low 5 bits, from the exponent of the bit as a float; the bit is cleared.
// The exponent is biased by 127, which is -1 in 5 bits.
HT_INLINE __m512i ht_take_lowest(__m512i *maps) {
    __m512i others = _mm512_and_epi32(*maps, _mm512_add_epi32(*maps, _mm512_set1_epi32(-1)));
    __m512i lowest = _mm512_xor_epi32(*maps, others);
    *maps = others;
    __m512i exponent = _mm512_srli_epi32(_mm512_castps_si512(_mm512_cvtepi32_ps(lowest)), 23);
    return _mm512_add_epi32(exponent, _mm512_set1_epi32(1));
}

// The first 8 of 16 floats of both.
HT_INLINE __m512 ht_lower_halves(const float *low, const float *high) {
    __m512d first = _mm512_castpd256_pd512(_mm256_castps_pd(_mm256_load_ps(low)));
    return _mm512_castpd_ps(_mm512_insertf64x4(first, _mm256_castps_pd(_mm256_load_ps(high)), 1));
}

// The last 8 of 16 floats of both. Those of `high` are in their place, so they take no shuffle.
HT_INLINE __m512 ht_upper_halves(const float *low, const float *high) {
    return _mm512_mask_load_ps(_mm512_castps256_ps512(_mm256_load_ps(low + 8)), 0xff00, high);
}

// The sum is complete here, and loads stay on their side. Compilers move so many picks ahead of their FMAs that
// registers have to be saved.
HT_INLINE void ht_settle(__m512 *sum) { __asm__ volatile("" : "+v"(*sum)::"memory"); }

#define CODE_TEMPLATE "avx512_code.h"
#include "each_code.h"

// Blocks of 128 columns leave room for panels of 64 rows of X.
#define WIDE_KERNELS(size) \
    {[HT_NM_CODE_2_2] = NAME_WITH(panel, 2, 2, size), [HT_NM_CODE_MAP] = NAME_WITH(panel, 1, 0, size)}

static const ht_nm_panel_shape shapes[] = {
    {64, 0, WIDE_KERNELS(4)},
    {64, 16, WIDE_KERNELS(3)},
    {32, 0, KERNELS(panel, 2)},
    {16, 0, KERNELS(panel, 1)},
};

static const ht_nm_panel_shape shapes_shared2[] = {
    {64, 0, WIDE_KERNELS(4_shared2)},
    {64, 16, {NULL}},
    {32, 0, KERNELS(panel, 2_shared2)},
    {16, 0, KERNELS(panel, 1_shared2)},
};

static const ht_nm_panel_shape shapes_shared4[] = {
    {64, 0, WIDE_KERNELS(4_shared4)},
    {64, 16, {NULL}},
    {32, 0, KERNELS(panel, 2_shared4)},
    {16, 0, KERNELS(panel, 1_shared4)},
};

const ht_nm_vectors ht_nm_avx512 = {
    .shapes = shapes,
    .shared = {shapes_shared2, shapes_shared4},
    .shape_count = sizeof shapes / sizeof *shapes,
    TILE_FUNCTIONS,
    .widen = {widen_f16, widen_bf16},
    .strips = {STRIP_KERNELS(strip, 1), STRIP_KERNELS(strip, 2), STRIP_KERNELS(strip, 4), STRIP_KERNELS(strip, 8)},
    .strip_rows = {12, 12, 12, 12, 12, 12, 12, 0},
    .grids = {{WINDOW_KERNELS(panel, 2_grid)}, {WINDOW_KERNELS(panel, 3_grid)}, {WINDOW_KERNELS(panel, 4_grid)}},
    .pack_pixels = pack_pixels,
    .store_pixels = store_pixels,
    .strip_rest = {4, 4, 4, 4, 4, 4, 4, 0},
    .pixels = &ht_nm_pixels_avx512,
};

// The fence orders vectors stored past the caches before what the caller does next.
static void run(const ht_nm_task *task) {
    if (!ht_nm_shared_taps_avx512(task)) ht_nm_panels_run(&ht_nm_avx512, task);
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
