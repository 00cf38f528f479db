// SPDX-License-Identifier: Apache-2.0
// The direct design in AVX-512 with VPOPCNTDQ: lanes are the 16 outputs of a block, each step one word of 32 inputs.
#if defined(__x86_64__)
#include <immintrin.h>

#include "channels.h"
#include "core/simd.h"
#include "pixels.h"
#include "tiles.h"

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vpopcntdq"))), \
                             apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512vpopcntdq")
#endif

// Words of X and of bits of Y, wherever they lie.
typedef uint32_t __attribute__((aligned(2), may_alias)) ht_word;
typedef uint16_t __attribute__((may_alias)) ht_half;

// A step of a row: two vectors of 16 x 32 bits in six instructions on four ports that take vectors, so at best 4/3
// vectors a cycle: 682 signs. 14 rows have 28 sums, which with two vectors of weights and two of differences fill the
// registers; a statement for each row keeps the compiler from holding differences longer.
#define ADD_ROW(blocks)                                                                                \
    do {                                                                                               \
        __m512i a_, b_;                                                                                \
        const ht_word *x_ = (const ht_word *)(const void *)(tile->x[r] + at);                          \
        if ((blocks) == 2)                                                                             \
            __asm__(                                                                                   \
                "vpbroadcastd %6, %2\n\tvpxord %4, %2, %3\n\tvpxord %5, %2, %2\n\tvpopcntd %3, %3\n\t" \
                "vpopcntd %2, %2\n\tvpaddd %3, %0, %0\n\tvpaddd %2, %1, %1"                            \
                : "+v"(sums[r][0]), "+v"(sums[r][1]), "=&v"(a_), "=&v"(b_)                             \
                : "v"(w0), "v"(w1), "m"(*x_));                                                         \
        else                                                                                           \
            __asm__("vpbroadcastd %3, %1\n\tvpxord %2, %1, %1\n\tvpopcntd %1, %1\n\tvpaddd %1, %0, %0" \
                    : "+v"(sums[r][0]), "=&v"(a_)                                                      \
                    : "v"(w0), "m"(*x_));                                                              \
    } while (0)

// The first step, to which nothing need be added.
#define SET_ROW(blocks)                                                                                \
    do {                                                                                               \
        const ht_word *x_ = (const ht_word *)(const void *)(tile->x[r] + at);                          \
        if ((blocks) == 2)                                                                             \
            __asm__(                                                                                   \
                "vpbroadcastd %4, %1\n\tvpxord %2, %1, %0\n\tvpxord %3, %1, %1\n\tvpopcntd %0, %0\n\t" \
                "vpopcntd %1, %1"                                                                      \
                : "=&v"(sums[r][0]), "=&v"(sums[r][1])                                                 \
                : "v"(w0), "v"(w1), "m"(*x_));                                                         \
        else                                                                                           \
            __asm__("vpbroadcastd %2, %0\n\tvpxord %1, %0, %0\n\tvpopcntd %0, %0"                      \
                    : "=&v"(sums[r][0])                                                                \
                    : "v"(w0), "m"(*x_));                                                              \
    } while (0)

// The words of a step are those at `at` bytes behind each row's first.
HT_INLINE void add_step(const ht_binary_tile *tile, ptrdiff_t at, const uint32_t *w, __m512i (*sums)[2],
                        const size_t rows, const size_t blocks) {
    const __m512i w0 = _mm512_load_si512(w), w1 = blocks == 2 ? _mm512_load_si512(w + tile->block_words) : w0;
    HT_UNROLL
    for (size_t r = 0; r < rows; r++) ADD_ROW(blocks);
}

// Weights come slowly from beyond L2: a step asks for those of another one later, which one block alone meets soon.
HT_INLINE void fetch_weights(const ht_binary_tile *tile, const uint32_t *w, const size_t blocks) {
    if (tile->ahead == 0) return;
    if (blocks == 1) {
        _mm_prefetch((const char *)(w + tile->ahead), _MM_HINT_T0);
    } else {
        _mm_prefetch((const char *)(w + tile->ahead), _MM_HINT_T1);
        _mm_prefetch((const char *)(w + tile->block_words + tile->ahead), _MM_HINT_T1);
    }
}

HT_INLINE void set_step(const ht_binary_tile *tile, ptrdiff_t at, const uint32_t *w, __m512i (*sums)[2],
                        const size_t rows, const size_t blocks) {
    const __m512i w0 = _mm512_load_si512(w), w1 = blocks == 2 ? _mm512_load_si512(w + tile->block_words) : w0;
    HT_UNROLL
    for (size_t r = 0; r < rows; r++) SET_ROW(blocks);
}

// The lower halves of both blocks' values.
HT_INLINE __m512i low_halves(__m512i first, __m512i second) {
    static const uint16_t even[32] = {0,  2,  4,  6,  8,  10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30,
                                      32, 34, 36, 38, 40, 42, 44, 46, 48, 50, 52, 54, 56, 58, 60, 62};
    return _mm512_permutex2var_epi16(first, _mm512_loadu_si512(even), second);
}

// Counts of 16 bits: one comparison for both blocks.
HT_INLINE void finish_narrow_bits(const ht_binary_tile *tile, __m512i (*sums)[2], const size_t rows) {
    const ht_binary_finish *f = tile->finish;
    const __m512i most = _mm512_set1_epi32(INT16_MAX);
    const __m512i cuts = low_halves(_mm512_min_epi32(_mm512_loadu_si512(f->cut), most),
                                    _mm512_min_epi32(_mm512_loadu_si512(f->cut + HT_BINARY_BLOCK), most));
    const uint32_t flip = f->flip;
    HT_UNROLL
    for (size_t r = 0; r < rows; r++)
        *(ht_word *)(void *)(tile->y[r] + tile->y_offset) =
            _mm512_cmpge_epi16_mask(low_halves(sums[r][0], sums[r][1]), cuts) ^ flip;
}

HT_INLINE void finish_bits(const ht_binary_tile *tile, __m512i (*sums)[2], const size_t rows, const size_t blocks) {
    const ht_binary_finish *f = tile->finish;
    const __m512i cut0 = _mm512_loadu_si512(f->cut), cut1 = _mm512_loadu_si512(f->cut + HT_BINARY_BLOCK);
    const uint32_t flip = f->flip;
    HT_UNROLL
    for (size_t r = 0; r < rows; r++) {
        char *y = tile->y[r] + tile->y_offset;
        uint32_t bits = _mm512_cmpge_epi32_mask(sums[r][0], cut0);
        if (blocks == 2) {
            bits = _mm512_kunpackw(_mm512_cmpge_epi32_mask(sums[r][1], cut1), bits) ^ flip;
            *(ht_word *)(void *)y = bits;
        } else {
            *(ht_half *)(void *)y = (uint16_t)(bits ^ flip);
        }
    }
}

HT_INLINE __m512i sum_of(__m512i start, __m512i count, bool adds) {
    return adds ? _mm512_add_epi32(start, count) : _mm512_sub_epi32(_mm512_sub_epi32(start, count), count);
}

// As the shared epilogue has it: max and min give their second operand where one is a NaN.
HT_INLINE __m512i real_of(const ht_binary_finish *f, __m512i sum, size_t first) {
    const __m512 scale = _mm512_loadu_ps(f->scale + first), bias = _mm512_loadu_ps(f->bias + first);
    const __m512 v = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum), scale, bias);
    return _mm512_castps_si512(_mm512_min_ps(_mm512_set1_ps(f->high), _mm512_max_ps(_mm512_set1_ps(f->low), v)));
}

HT_INLINE void finish_sums(const ht_binary_tile *tile, __m512i (*sums)[2], const size_t rows, const size_t blocks,
                           const bool adds, const bool reals) {
    const ht_binary_finish *f = tile->finish;
    const __m512i start0 = _mm512_loadu_si512(f->start), start1 = _mm512_loadu_si512(f->start + HT_BINARY_BLOCK);
    const uint32_t present = (uint32_t)(((uint64_t)1 << tile->columns) - 1);
    HT_UNROLL
    for (size_t r = 0; r < rows; r++) {
        int32_t *y = (int32_t *)(void *)(tile->y[r] + tile->y_offset);
        const __m512i first = sum_of(start0, sums[r][0], adds);
        _mm512_mask_storeu_epi32(y, (__mmask16)present, reals ? real_of(f, first, 0) : first);
        if (blocks == 1) continue;
        const __m512i second = sum_of(start1, sums[r][1], adds);
        _mm512_mask_storeu_epi32(y + HT_BINARY_BLOCK, (__mmask16)(present >> 16),
                                 reals ? real_of(f, second, HT_BINARY_BLOCK) : second);
    }
}

HT_INLINE void run_tile(const ht_binary_tile *tile, const size_t rows, const size_t blocks) {
    // Sums of few rows are twice as many, in turn, lest an addition wait for the one before it.
    const bool twice = rows <= HT_BINARY_ROWS / 2;
    __m512i sums[HT_BINARY_ROWS][2], others[HT_BINARY_ROWS][2];
    const ht_binary_run *run = tile->runs, *const end = run + tile->run_count;
    if (twice || run == end) {
        HT_UNROLL
        for (size_t r = 0; r < rows; r++) others[r][0] = others[r][1] = _mm512_setzero_si512();
    }
    if (run == end) {
        HT_UNROLL
        for (size_t r = 0; r < rows; r++) sums[r][0] = sums[r][1] = _mm512_setzero_si512();
    } else {
        ptrdiff_t at = run->x;
        const uint32_t *w = tile->w + run->w;
        size_t words = run->words - 1;
        fetch_weights(tile, w, blocks);
        set_step(tile, at, w, sums, rows, blocks);
        at += 4;
        w += HT_BINARY_BLOCK;
        for (;;) {
            if (words & 1) {
                fetch_weights(tile, w, blocks);
                add_step(tile, at, w, twice ? others : sums, rows, blocks);
                at += 4;
                w += HT_BINARY_BLOCK;
            }
            for (words /= 2; words; words--, at += 8, w += 2 * HT_BINARY_BLOCK) {
                fetch_weights(tile, w, blocks);
                fetch_weights(tile, w + HT_BINARY_BLOCK, blocks);
                add_step(tile, at, w, sums, rows, blocks);
                add_step(tile, at + 4, w + HT_BINARY_BLOCK, twice ? others : sums, rows, blocks);
            }
            if (++run == end) break;
            at = run->x;
            w = tile->w + run->w;
            words = run->words;
        }
    }
    if (twice) {
        HT_UNROLL
        for (size_t r = 0; r < rows; r++) {
            sums[r][0] = _mm512_add_epi32(sums[r][0], others[r][0]);
            if (blocks == 2) sums[r][1] = _mm512_add_epi32(sums[r][1], others[r][1]);
        }
    }
    if (tile->finish->bits && tile->finish->narrow && blocks == 2)
        finish_narrow_bits(tile, sums, rows);
    else if (tile->finish->bits)
        finish_bits(tile, sums, rows, blocks);
    else if (tile->finish->reals && tile->finish->adds)
        finish_sums(tile, sums, rows, blocks, true, true);
    else if (tile->finish->reals)
        finish_sums(tile, sums, rows, blocks, false, true);
    else if (tile->finish->adds)
        finish_sums(tile, sums, rows, blocks, true, false);
    else
        finish_sums(tile, sums, rows, blocks, false, false);
}

#define EACH_ROWS(F) F(1) F(2) F(3) F(4) F(5) F(6) F(7) F(8) F(9) F(10) F(11) F(12) F(13) F(14)
#define DEFINE(rows)                                                                     \
    static void tile_##rows##_1(const ht_binary_tile *tile) { run_tile(tile, rows, 1); } \
    static void tile_##rows##_2(const ht_binary_tile *tile) { run_tile(tile, rows, 2); }
EACH_ROWS(DEFINE)

static void tile(const ht_binary_tile *tile) {
#define NAMES(rows) {tile_##rows##_1, tile_##rows##_2},
    static void (*const kernels[HT_BINARY_ROWS][2])(const ht_binary_tile *) = {EACH_ROWS(NAMES)};
    kernels[tile->rows - 1][tile->blocks - 1](tile);
}

static const ht_binary_vectors vectors = {tile, true, ht_sums_store_avx512};

void ht_binary_gemm_avx512popcnt(const ht_binary_task *task) {
    switch (ht_binary_design_of(task)) {
    case HT_BINARY_PIXELS:
    case HT_BINARY_TREE: {
        ht_binary_task rest = *task;
        rest.t_begin = ht_binary_pixels_run(task);
        if (rest.t_begin < rest.t_end) ht_binary_tiles_run(&vectors, &rest);
        break;
    }
    case HT_BINARY_CHANNELS: ht_binary_channels_run(task); break;
    default: ht_binary_tiles_run(&vectors, task);
    }
}

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
