// SPDX-License-Identifier: Apache-2.0
// Floats and bytes against signs in AVX-512: lanes are the outputs of a block.
#if defined(__x86_64__)
#include <immintrin.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl"))), \
                             apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")
#endif

// clang-format off: the second is written in the words of the first
#include "core/vec_avx512.h"
#include "lookup_store.h"
// clang-format on

#define EACH_BLOCKS(F, rows) F(rows, 1) F(rows, 2) F(rows, 3) F(rows, 4)
#define HT_LOOKUP_EACH(F) \
    EACH_BLOCKS(F, 1) EACH_BLOCKS(F, 2) EACH_BLOCKS(F, 3) EACH_BLOCKS(F, 4) EACH_BLOCKS(F, 5) EACH_BLOCKS(F, 6)

// MARK: floats

// A table of four inputs is a vector: entry i has input n negative where bit n of i is set.
static void build_f32(const void *values, int32_t zero, size_t words, char *tables) {
    const float *x = values;
    (void)zero;
    const __m512 one = _mm512_set1_ps(1), minus = _mm512_set1_ps(-1);
    const __m512 sign0 = _mm512_mask_blend_ps(0xaaaa, one, minus), sign1 = _mm512_mask_blend_ps(0xcccc, one, minus);
    const __m512 sign2 = _mm512_mask_blend_ps(0xf0f0, one, minus), sign3 = _mm512_mask_blend_ps(0xff00, one, minus);
    for (size_t four = 0; four < words * (HT_BINARY_WORD / 4); four++, x += 4, tables += 64) {
        const __m512 first = _mm512_mul_ps(_mm512_set1_ps(x[0]), sign0),
                     third = _mm512_mul_ps(_mm512_set1_ps(x[2]), sign2);
        const __m512 a = _mm512_fmadd_ps(_mm512_set1_ps(x[1]), sign1, first);
        const __m512 b = _mm512_fmadd_ps(_mm512_set1_ps(x[3]), sign3, third);
        _mm512_store_ps((float *)(void *)tables, _mm512_add_ps(a, b));
    }
}

// A row's four against 16 outputs is a permutation, whose indices are the words themselves, as only their low four bits
// matter, and an addition: three ports for two instructions, so at best 1.5 pairs of 64 signs a cycle. A shift for each
// block leaves 1.38 of a tile of six rows: 89 signs a cycle, against 32 multiply-adds.
HT_INLINE void run_f32(const ht_lookup_tile *tile, const size_t rows, const size_t blocks) {
    __m512 sums[HT_LOOKUP_ROWS][HT_LOOKUP_BLOCKS];
    const char *x[HT_LOOKUP_ROWS];
    HT_UNROLL
    for (size_t r = 0; r < rows; r++) {
        x[r] = tile->x[r];
        HT_UNROLL
        for (size_t b = 0; b < blocks; b++) sums[r][b] = _mm512_setzero_ps();
    }
    for (size_t run = 0; run < tile->run_count; run++) {
        const uint32_t *w = tile->w + tile->runs[run].w;
        ptrdiff_t at = tile->runs[run].x;
        for (size_t words = tile->runs[run].words; words > 0; words--, w += HT_BINARY_BLOCK) {
            __m512i index[HT_LOOKUP_BLOCKS];
            HT_UNROLL
            for (size_t b = 0; b < blocks; b++) index[b] = _mm512_load_si512(w + b * tile->block_words);
            for (const ptrdiff_t end = at + HT_LOOKUP_BYTES_F32; at < end; at += 64) {
                HT_UNROLL
                for (size_t r = 0; r < rows; r++) {
                    const __m512 table = _mm512_load_ps((const float *)(const void *)(x[r] + at));
                    HT_UNROLL
                    for (size_t b = 0; b < blocks; b++)
                        sums[r][b] = _mm512_add_ps(sums[r][b], _mm512_permutexvar_ps(index[b], table));
                }
                HT_UNROLL
                for (size_t b = 0; b < blocks; b++) index[b] = _mm512_srli_epi32(index[b], 4);
            }
        }
    }
    float *to = tile->sums;
    HT_UNROLL
    for (size_t r = 0; r < rows; r++) {
        HT_UNROLL
        for (size_t b = 0; b < blocks; b++)
            _mm512_store_ps(to + r * HT_LOOKUP_COLUMNS + b * HT_BINARY_BLOCK, sums[r][b]);
    }
}

#define DEFINE(rows, blocks) \
    static void f32_##rows##_##blocks(const ht_lookup_tile *tile) { run_f32(tile, rows, blocks); }
HT_LOOKUP_EACH(DEFINE)
#undef DEFINE

static void tile_f32(const ht_lookup_tile *tile) {
#define NAME(rows, blocks) [rows - 1][blocks - 1] = f32_##rows##_##blocks,
    static void (*const kernels[HT_LOOKUP_ROWS][HT_LOOKUP_BLOCKS])(const ht_lookup_tile *) = {HT_LOOKUP_EACH(NAME)};
#undef NAME
    kernels[tile->rows - 1][tile->blocks - 1](tile);
}

static void store_f32(const ht_lookup_output *output) { ht_lookup_store(output); }

void ht_binary_gemm_f32_avx512(const ht_binary_task *task) {
    static const ht_lookup_vectors vectors = {
        HT_LOOKUP_ROWS, HT_LOOKUP_BLOCKS, HT_LOOKUP_BYTES_F32, build_f32, tile_f32, store_f32, NULL};
    ht_lookup_run(&vectors, task);
}

// MARK: bytes

// A vector is the tables of two fours in 16 bits, one of the lower and one of the upper half of a word's inputs, so
// that each half of a lane picks from its own.
static void build_i8(const void *values, int32_t zero, size_t words, char *tables) {
    const int8_t *x = values;
    const __m512i zeros = _mm512_set1_epi16((int16_t)zero);
    // In a quarter of a lane's fours: the n-th input four times.
    const __m512i spread = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 0, 1, 0, 1, 0, 1, 8, 9, 8, 9, 8, 9, 8, 9));
    const __m512i next = _mm512_set1_epi8(2);
    const __m512i sign0 = _mm512_set1_epi32((int)0xffff0000), sign1 = _mm512_set1_epi64((long long)0xffffffff00000000);
    const __m512i both = _mm512_add_epi16(sign0, sign1);
    const __m512i quarters = _mm512_setr_epi64(0, 0, 0, 0, 4, 4, 4, 4);
    // Each sum of a four's last two inputs four times, those of four 0 and four 4.
    const __m512i places = _mm512_or_si512(
        _mm512_setr_epi64(0, 0x0001000100010001, 0x0002000200020002, 0x0003000300030003, 0, 0x0001000100010001,
                          0x0002000200020002, 0x0003000300030003),
        _mm512_setr_epi64(0, 0, 0, 0, 0x0010001000100010, 0x0010001000100010, 0x0010001000100010, 0x0010001000100010));
    for (; words > 0; words--, x += HT_BINARY_WORD) {
        const __m512i v =
            _mm512_sub_epi16(_mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)(const void *)x)), zeros);
        __m512i input[4], shuffle = spread;
        HT_UNROLL
        for (size_t n = 0; n < 4; n++, shuffle = _mm512_add_epi8(shuffle, next))
            input[n] = _mm512_shuffle_epi8(v, shuffle);
        // -a = (a ^ -1) + 1
        const __m512i a = _mm512_sub_epi16(
            _mm512_add_epi16(_mm512_xor_si512(input[0], sign0), _mm512_xor_si512(input[1], sign1)), both);
        const __m512i b = _mm512_sub_epi16(
            _mm512_add_epi16(_mm512_xor_si512(input[2], sign0), _mm512_xor_si512(input[3], sign1)), both);
        HT_UNROLL
        for (int four = 0; four < 4; four++, tables += 64) {
            const __m512i first = _mm512_permutexvar_epi64(_mm512_add_epi64(quarters, _mm512_set1_epi64(four)), a);
            const __m512i last =
                _mm512_permutexvar_epi16(_mm512_add_epi16(places, _mm512_set1_epi16((int16_t)(4 * four))), b);
            _mm512_store_si512(tables, _mm512_add_epi16(first, last));
        }
    }
}

// Adds the two halves of each lane to the sums in memory.
HT_INLINE void widen(int32_t *to, __m512i (*sums)[HT_LOOKUP_BLOCKS], const size_t rows, const size_t blocks) {
    const __m512i ones = _mm512_set1_epi16(1);
    HT_UNROLL
    for (size_t r = 0; r < rows; r++) {
        HT_UNROLL
        for (size_t b = 0; b < blocks; b++) {
            int32_t *sum = to + r * HT_LOOKUP_COLUMNS + b * HT_BINARY_BLOCK;
            _mm512_store_si512(sum, _mm512_add_epi32(_mm512_load_si512(sum), _mm512_madd_epi16(sums[r][b], ones)));
            sums[r][b] = _mm512_setzero_si512();
        }
    }
}

// Four bits of the lower and of the upper half of each lane, which picks from the upper half of a table.
#define INDEX(word, four)                                                                         \
    _mm512_ternarylogic_epi32(_mm512_srli_epi16(word, 4 * (four)), _mm512_set1_epi32(0x000f000f), \
                              _mm512_set1_epi32(0x00100000), 0xea)

#define ADD_FOURS(four)                                                                                           \
    do {                                                                                                          \
        __m512i index[HT_LOOKUP_BLOCKS];                                                                          \
        HT_UNROLL                                                                                                 \
        for (size_t b = 0; b < blocks; b++) index[b] = INDEX(_mm512_load_si512(w + b * tile->block_words), four); \
        HT_UNROLL                                                                                                 \
        for (size_t r = 0; r < rows; r++) {                                                                       \
            const __m512i table = _mm512_load_si512(x[r] + at + 64 * (four));                                     \
            HT_UNROLL                                                                                             \
            for (size_t b = 0; b < blocks; b++)                                                                   \
                sums[r][b] = _mm512_add_epi16(sums[r][b], _mm512_permutexvar_epi16(index[b], table));             \
        }                                                                                                         \
    } while (0)

// Two fours of a row against 16 outputs are a permutation and an addition: with two permutations a cycle at best 256
// signs. The two instructions that make an index leave 1.7 pairs of a tile of six rows: 219 signs a cycle, against 128
// products of VNNI.
HT_INLINE void run_i8(const ht_lookup_tile *tile, const size_t rows, const size_t blocks) {
    __m512i sums[HT_LOOKUP_ROWS][HT_LOOKUP_BLOCKS];
    const char *x[HT_LOOKUP_ROWS];
    int32_t *to = tile->sums;
    HT_UNROLL
    for (size_t r = 0; r < rows; r++) {
        x[r] = tile->x[r];
        HT_UNROLL
        for (size_t b = 0; b < blocks; b++) {
            sums[r][b] = _mm512_setzero_si512();
            _mm512_store_si512(to + r * HT_LOOKUP_COLUMNS + b * HT_BINARY_BLOCK, sums[r][b]);
        }
    }
    size_t left = tile->short_words;
    for (size_t run = 0; run < tile->run_count; run++) {
        const uint32_t *w = tile->w + tile->runs[run].w;
        ptrdiff_t at = tile->runs[run].x;
        for (size_t words = tile->runs[run].words; words > 0; words--, w += HT_BINARY_BLOCK, at += HT_LOOKUP_BYTES_I8) {
            if (left == 0) {
                widen(to, sums, rows, blocks);
                left = tile->short_words;
            }
            left--;
            ADD_FOURS(0);
            ADD_FOURS(1);
            ADD_FOURS(2);
            ADD_FOURS(3);
        }
    }
    widen(to, sums, rows, blocks);
}

#define DEFINE(rows, blocks) \
    static void i8_##rows##_##blocks(const ht_lookup_tile *tile) { run_i8(tile, rows, blocks); }
HT_LOOKUP_EACH(DEFINE)
#undef DEFINE

static void tile_i8(const ht_lookup_tile *tile) {
#define NAME(rows, blocks) [rows - 1][blocks - 1] = i8_##rows##_##blocks,
    static void (*const kernels[HT_LOOKUP_ROWS][HT_LOOKUP_BLOCKS])(const ht_lookup_tile *) = {HT_LOOKUP_EACH(NAME)};
#undef NAME
    kernels[tile->rows - 1][tile->blocks - 1](tile);
}

void ht_binary_gemm_i8_avx512(const ht_binary_task *task) {
    static const ht_lookup_vectors vectors = {
        HT_LOOKUP_ROWS, HT_LOOKUP_BLOCKS, HT_LOOKUP_BYTES_I8, build_i8, tile_i8, NULL, ht_sums_store_avx512};
    ht_lookup_run(&vectors, task);
}

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
