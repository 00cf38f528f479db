// SPDX-License-Identifier: Apache-2.0
// The product in AVX-512: kernels for every index code, and the transpositions of X and Y.
#include "core/simd.h"
#include "index_code.h"
#include "panels.h"

#if defined(__x86_64__)
#include <immintrin.h>
#include <math.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,bmi,bmi2,avx512f,avx512bw,avx512dq,avx512vl"))), \
                             apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,bmi,bmi2,avx512f,avx512bw,avx512dq,avx512vl")
#endif

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
    const uint32_t *indices;
    float *sums;
} ht_panel_cursor;

HT_INLINE void ht_load_words(uint64_t words[2], const uint32_t *indices) {
    __builtin_memcpy(words, indices, 16);
}

// The index words of a strip's 16 rows, from its four quads.
HT_INLINE __m512i ht_strip_words(const uint32_t *indices, const size_t quad[4], size_t quad_words) {
    __m512i words = _mm512_castsi128_si512(_mm_loadu_si128((const __m128i *)indices));
    words = _mm512_inserti32x4(words, _mm_loadu_si128((const __m128i *)(indices + quad[1] * quad_words)), 1);
    words = _mm512_inserti32x4(words, _mm_loadu_si128((const __m128i *)(indices + quad[2] * quad_words)), 2);
    return _mm512_inserti32x4(words, _mm_loadu_si128((const __m128i *)(indices + quad[3] * quad_words)), 3);
}

// Keeps the compiler from turning two cheap shuffles of one load into many loads.
HT_INLINE __m512 ht_opaque(__m512 v) {
    __asm__("" : "+v"(v));
    return v;
}

#define CODE_TEMPLATE "avx512_code.h"
#include "each_code.h"

// Rows become columns: 4x4 blocks inside the 128-bit lanes first, then the lanes themselves.
HT_INLINE void transpose_16x16(__m512 r[16]) {
    __m512 t[16];
    HT_UNROLL
    for (int i = 0; i < 16; i += 4) {
        __m512 low01 = _mm512_unpacklo_ps(r[i], r[i + 1]), high01 = _mm512_unpackhi_ps(r[i], r[i + 1]);
        __m512 low23 = _mm512_unpacklo_ps(r[i + 2], r[i + 3]), high23 = _mm512_unpackhi_ps(r[i + 2], r[i + 3]);
        t[i] = _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(low01), _mm512_castps_pd(low23)));
        t[i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(low01), _mm512_castps_pd(low23)));
        t[i + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(high01), _mm512_castps_pd(high23)));
        t[i + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(high01), _mm512_castps_pd(high23)));
    }
    HT_UNROLL
    for (int j = 0; j < 4; j++) {
        __m512 even01 = _mm512_shuffle_f32x4(t[j], t[4 + j], 0x88), odd01 = _mm512_shuffle_f32x4(t[j], t[4 + j], 0xdd);
        __m512 even23 = _mm512_shuffle_f32x4(t[8 + j], t[12 + j], 0x88);
        __m512 odd23 = _mm512_shuffle_f32x4(t[8 + j], t[12 + j], 0xdd);
        r[j] = _mm512_shuffle_f32x4(even01, even23, 0x88);
        r[4 + j] = _mm512_shuffle_f32x4(odd01, odd23, 0x88);
        r[8 + j] = _mm512_shuffle_f32x4(even01, even23, 0xdd);
        r[12 + j] = _mm512_shuffle_f32x4(odd01, odd23, 0xdd);
    }
}

HT_INLINE __mmask16 first_lanes(size_t count) { return count < 16 ? (__mmask16)((1u << count) - 1) : 0xffff; }

static void pack_panel(const float *x, size_t x_stride, size_t rows, size_t columns, size_t padded, size_t width,
                       float *panel) {
    for (size_t t = 0; t < width; t += 16)
        for (size_t k = 0; k < padded; k += 16) {
            __m512 tile[16];
            __mmask16 in = first_lanes(k < columns ? columns - k : 0);
            HT_UNROLL
            for (size_t i = 0; i < 16; i++) {
                const float *from = (const float *)((const char *)x + (t + i) * x_stride) + k;
                tile[i] = t + i < rows ? _mm512_maskz_loadu_ps(in, from) : _mm512_setzero_ps();
                _mm_prefetch((const char *)from + 512, _MM_HINT_T1);
            }
            transpose_16x16(tile);
            HT_UNROLL
            for (size_t i = 0; i < 16; i++) _mm512_store_ps(panel + (k + i) * width + t, tile[i]);
        }
}

typedef struct epilogue {
    __m512 bias, least;
    __mmask16 in;
} epilogue;

HT_INLINE epilogue make_epilogue(size_t columns, const float *bias, bool relu) {
    __mmask16 in = first_lanes(columns);
    return (epilogue){bias ? _mm512_maskz_loadu_ps(in, bias) : _mm512_setzero_ps(),
                      _mm512_set1_ps(relu ? 0 : -INFINITY), in};
}

// max returns its second operand when one is a NaN or both are zero: NaN and -0 stay.
HT_INLINE void finish(const epilogue *e, __m512 sum, float *y) {
    _mm512_mask_storeu_ps(y, e->in, _mm512_max_ps(e->least, _mm512_add_ps(sum, e->bias)));
}

static void store_strip(const float *sums, size_t width, size_t rows, size_t columns, float *y, size_t y_stride,
                        const float *bias, bool relu) {
    const epilogue e = make_epilogue(columns, bias, relu);
    for (size_t t = 0; t < rows; t += 16) {
        __m512 tile[16];
        HT_UNROLL
        for (size_t i = 0; i < 16; i++) tile[i] = _mm512_load_ps(sums + i * width + t);
        transpose_16x16(tile);
        for (size_t i = 0; i < 16 && t + i < rows; i++) finish(&e, tile[i], (float *)((char *)y + (t + i) * y_stride));
    }
}

static void store_strip_rows(const float *sums, size_t rows, size_t columns, float *y, size_t y_stride,
                             const float *bias, bool relu) {
    const epilogue e = make_epilogue(columns, bias, relu);
    for (size_t r = 0; r < rows; r++) finish(&e, _mm512_load_ps(sums + r * 16), (float *)((char *)y + r * y_stride));
}

static const ht_nm_panel_shape shapes[] = {
    {64, {[HT_NM_CODE_2_2] = panel_2_2_4}},
    {32, KERNELS(panel, 2)},
    {16, KERNELS(panel, 1)},
};

static const ht_nm_vectors vectors = {
    .shapes = shapes,
    .shape_count = sizeof shapes / sizeof *shapes,
    .pack = pack_panel,
    .store = store_strip,
    .store_rows = store_strip_rows,
    .strips = {STRIP_KERNELS(strip, 1), STRIP_KERNELS(strip, 2), STRIP_KERNELS(strip, 4), STRIP_KERNELS(strip, 8)},
    .strip_rows = {8, 12, 0, 0, 12, 12, 0, 0},
};

void ht_nm_gemm_f32_avx512(const ht_nm_task *task) { ht_nm_panels_run(&vectors, task); }

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
