// SPDX-License-Identifier: Apache-2.0
// The kernels of pixels.h in AVX-512.
#include "index_code.h"
#include "panels.h"

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
#include "core/epilogue.h"
#include "avx512_words.h"
// clang-format on

#define CODE_TEMPLATE "avx512_turn.h"
#include "each_code.h"

// Compilers move loads and picks so far ahead of their FMAs that registers have to be saved.
#define LOAD_CHUNK(chunk, from) __asm__ volatile("vmovups %1, %0" : "=v"(chunk) : "m"(*(const __m512_u *)(from)))
#define LOAD_REST(chunk, from) \
    __asm__ volatile("vmovups %1, %0%{%2%}%{z%}" : "=v"(chunk) : "m"(*(const __m512_u *)(from)), "Yk"(rest))

HT_INLINE void ht_pick_and_add(__m512 *sum, __m512 chunk, __m512i index, __m512 weight) {
    __m512 picked;
    __asm__ volatile(
        "vpermps %[chunk], %[index], %[picked]\n\t"
        "vfmadd231ps %[picked], %[weight], %[sum]"
        : [sum] "+v"(*sum), [picked] "=&v"(picked)
        : [chunk] "v"(chunk), [index] "v"(index), [weight] "v"(weight));
}

#define RUN_NAME_OF(stem, slots, size) RUN_NAME_WITH(stem, slots, size)
#define RUN_NAME_WITH(stem, slots, size) stem##_##slots##_##size
#define CHUNK_SLOTS 1
#include "avx512_run.h"
#define CHUNK_SLOTS 2
#include "avx512_run.h"
#define CHUNK_SLOTS 4
#include "avx512_run.h"
#define CHUNK_SLOTS 8
#include "avx512_run.h"

// Adds weights times zero to as many sums as there are chunks here.
HT_INLINE void add_products_of_zero(const float *weights, size_t chunk_slots, const size_t chunks, __m512 *sums) {
    for (size_t slot = 0; slot < chunk_slots; slot++) HT_UNROLL
    for (size_t i = 0; i < chunks; i++) {
        __m512 weight = _mm512_load_ps(weights + (i * (chunk_slots + 1) + slot) * 16);
        sums[i] = _mm512_fmadd_ps(weight, _mm512_setzero_ps(), sums[i]);
    }
}

// The order of zeros does not matter, so there are four chains.
static void outside(const float *weights, size_t chunks, size_t chunk_slots, float *to) {
    __m512 sums[4] = {_mm512_set1_ps(-0.0f), _mm512_set1_ps(-0.0f), _mm512_set1_ps(-0.0f), _mm512_set1_ps(-0.0f)};
    for (; chunks >= 4; chunks -= 4, weights += 4 * (chunk_slots + 1) * 16)
        add_products_of_zero(weights, chunk_slots, 4, sums);
    for (; chunks; chunks--, weights += (chunk_slots + 1) * 16) add_products_of_zero(weights, chunk_slots, 1, sums);
    _mm512_store_ps(to, _mm512_add_ps(_mm512_add_ps(sums[0], sums[1]), _mm512_add_ps(sums[2], sums[3])));
}

static void add(float *sums, size_t rows, const float *row) {
    const __m512 values = _mm512_load_ps(row);
    for (size_t i = 0; i < rows; i++)
        _mm512_store_ps(sums + i * 16, _mm512_add_ps(_mm512_load_ps(sums + i * 16), values));
}

static void store(const float *sums, size_t strips, size_t samples, const ht_nm_target *target) {
    const ht_finish finish = ht_make_finish(target->epilogue, HT_DTYPE_F32);
    for (size_t u = 0; u < strips; u++, sums += HT_NM_RUN * 16) {
        const ht_vec bias = target->bias ? ht_load_f32(target->bias + u * 16, 0xffff) : ht_vsplat(0);
        for (size_t p = 0; p < samples; p++) {
            float *y = (float *)(target->y + p * target->y_stride) + u * 16;
            ht_vec v = ht_cut_off(&finish, ht_vadd(ht_vload(sums + p * 16), bias));
            if (target->streams)
                ht_vstream(y, v);
            else
                ht_store_f32(y, v, 0xffff);
        }
    }
}

#define SHORT_RUNS(u, s)                                                                                        \
    run##u##_##s##_1, run##u##_##s##_2, run##u##_##s##_3, run##u##_##s##_4, run##u##_##s##_5, run##u##_##s##_6, \
        run##u##_##s##_7, run##u##_##s##_8
#define LONG_RUNS(u, s) run##u##_##s##_9, run##u##_##s##_10, run##u##_##s##_11, run##u##_##s##_12, run##u##_##s##_13
#define RUNS(s)                                                                                        \
    {                                                                                                  \
        {SHORT_RUNS(1, s), LONG_RUNS(1, s)}, {SHORT_RUNS(2, s), LONG_RUNS(2, s)}, { SHORT_RUNS(3, s) } \
    }
static ht_nm_run_kernel *const runs[][HT_NM_RUN_STRIPS][HT_NM_RUN] = {RUNS(1), RUNS(2), RUNS(4), RUNS(8)};

const ht_nm_pixel_kernels ht_nm_pixels_avx512 = {
    .codes = {{turn_2_1_16, 4, runs[2]},
              {turn_2_2_16, 8, runs[3]},
              {turn_3_1_16, 2, runs[1]},
              {turn_3_2_16, 4, runs[2]},
              {turn_4_1_16, 1, runs[0]},
              {turn_4_2_16, 2, runs[1]}},
    .outside = outside,
    .store = store,
    .add = add,
};

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
