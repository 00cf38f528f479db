// SPDX-License-Identifier: Apache-2.0
// The product in AVX2: kernels for every index code, and the transpositions of X and Y.
#include "core/simd.h"
#include "index_code.h"
#include "panels.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <math.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,bmi,bmi2"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,bmi,bmi2")
#endif

// How far ahead of a panel kernel weights are fetched into L1.
enum { prefetch_bytes = 2048 };

HT_INLINE void ht_load_words(uint64_t words[2], const uint32_t *indices) {
    __builtin_memcpy(words, indices, 16);
}

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

// Rows become columns: 4x4 blocks inside the 128-bit lanes first, then the lanes themselves.
HT_INLINE void transpose_8x8(__m256 r[8]) {
    __m256 t[8];
    HT_UNROLL
    for (int i = 0; i < 8; i += 4) {
        __m256 low01 = _mm256_unpacklo_ps(r[i], r[i + 1]), high01 = _mm256_unpackhi_ps(r[i], r[i + 1]);
        __m256 low23 = _mm256_unpacklo_ps(r[i + 2], r[i + 3]), high23 = _mm256_unpackhi_ps(r[i + 2], r[i + 3]);
        t[i] = _mm256_shuffle_ps(low01, low23, 0x44);
        t[i + 1] = _mm256_shuffle_ps(low01, low23, 0xee);
        t[i + 2] = _mm256_shuffle_ps(high01, high23, 0x44);
        t[i + 3] = _mm256_shuffle_ps(high01, high23, 0xee);
    }
    HT_UNROLL
    for (int j = 0; j < 4; j++) {
        r[j] = _mm256_permute2f128_ps(t[j], t[4 + j], 0x20);
        r[4 + j] = _mm256_permute2f128_ps(t[j], t[4 + j], 0x31);
    }
}

// All bits set in the first `count` lanes.
HT_INLINE __m256i first_lanes(size_t count) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)ht_min(count, 8)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

static void pack_panel(const float *x, size_t x_stride, size_t rows, size_t columns, size_t padded, size_t width,
                       float *panel) {
    for (size_t t = 0; t < width; t += 8)
        for (size_t k = 0; k < padded; k += 8) {
            __m256 tile[8];
            __m256i in = first_lanes(k < columns ? columns - k : 0);
            HT_UNROLL
            for (size_t i = 0; i < 8; i++) {
                const float *from = (const float *)((const char *)x + (t + i) * x_stride) + k;
                tile[i] = t + i < rows ? _mm256_maskload_ps(from, in) : _mm256_setzero_ps();
                _mm_prefetch((const char *)from + 512, _MM_HINT_T1);
            }
            transpose_8x8(tile);
            HT_UNROLL
            for (size_t i = 0; i < 8; i++) _mm256_store_ps(panel + (k + i) * width + t, tile[i]);
        }
}

typedef struct epilogue {
    __m256 bias, least;
    __m256i in;
} epilogue;

HT_INLINE epilogue make_epilogue(size_t columns, const float *bias, bool relu) {
    __m256i in = first_lanes(columns);
    return (epilogue){bias ? _mm256_maskload_ps(bias, in) : _mm256_setzero_ps(), _mm256_set1_ps(relu ? 0 : -INFINITY),
                      in};
}

// max returns its second operand when one is a NaN or both are zero: NaN and -0 stay.
HT_INLINE void finish(const epilogue *e, __m256 sum, float *y) {
    _mm256_maskstore_ps(y, e->in, _mm256_max_ps(e->least, _mm256_add_ps(sum, e->bias)));
}

static void store_strip(const float *sums, size_t width, size_t rows, size_t columns, float *y, size_t y_stride,
                        const float *bias, bool relu) {
    for (size_t o = 0; o < columns; o += 8) {
        epilogue e = make_epilogue(columns - o, bias ? bias + o : NULL, relu);
        for (size_t t = 0; t < rows; t += 8) {
            __m256 tile[8];
            HT_UNROLL
            for (size_t i = 0; i < 8; i++) tile[i] = _mm256_load_ps(sums + (o + i) * width + t);
            transpose_8x8(tile);
            for (size_t i = 0; i < 8 && t + i < rows; i++)
                finish(&e, tile[i], (float *)((char *)y + (t + i) * y_stride) + o);
        }
    }
}

static void store_strip_rows(const float *sums, size_t rows, size_t columns, float *y, size_t y_stride,
                             const float *bias, bool relu) {
    for (size_t o = 0; o < columns; o += 8) {
        epilogue e = make_epilogue(columns - o, bias ? bias + o : NULL, relu);
        for (size_t r = 0; r < rows; r++)
            finish(&e, _mm256_load_ps(sums + r * 16 + o), (float *)((char *)y + r * y_stride) + o);
    }
}

static const ht_nm_panel_shape shapes[] = {
    {24, KERNELS(panel, 3)},
    {8, KERNELS(panel, 1)},
};

static const ht_nm_vectors vectors = {
    .shapes = shapes,
    .shape_count = sizeof shapes / sizeof *shapes,
    .pack = pack_panel,
    .store = store_strip,
    .store_rows = store_strip_rows,
    .strips = {STRIP_KERNELS(strip, 1), STRIP_KERNELS(strip, 2), STRIP_KERNELS(strip, 4)},
    .strip_rows = {4, 4, 0, 0, 2, 2, 0, 0},
};

void ht_nm_gemm_f32_avx2(const ht_nm_task *task) { ht_nm_panels_run(&vectors, task); }

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
