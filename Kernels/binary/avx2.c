// SPDX-License-Identifier: Apache-2.0
// The direct design in AVX2.
#if defined(__x86_64__)
#include <immintrin.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,bmi,bmi2"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c,bmi,bmi2")
#endif

// clang-format off: the second needs what the first defines
#include "nibbles.h"
#include "counts.h"
// clang-format on

HT_INLINE __m256i load(const void *from) { return _mm256_loadu_si256((const __m256i *)from); }

HT_INLINE void store_half(uint8_t *to, __m128i half) { _mm_store_si128((__m128i *)(void *)to, half); }

// Bytes 0 and 2, or 1 and 3, of a word of 16 outputs, into the steps that begin at `to`.
HT_INLINE void cut_bytes(__m256i bytes, uint8_t *to) {
    const __m256i nibble = _mm256_set1_epi8(15);
    __m256i low = _mm256_and_si256(bytes, nibble), high = _mm256_and_si256(_mm256_srli_epi16(bytes, 4), nibble);
    store_half(to, _mm256_castsi256_si128(low));
    store_half(to + 16, _mm256_castsi256_si128(high));
    store_half(to + 2 * HT_BINARY_STEP, _mm256_extracti128_si256(low, 1));
    store_half(to + 2 * HT_BINARY_STEP + 16, _mm256_extracti128_si256(high, 1));
}

// The four steps of a word of 16 outputs. First the same bytes of four outputs become neighbours, then of all.
HT_INLINE void cut_word(const uint32_t *w, uint8_t *to) {
    const __m256i same = _mm256_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15, 0, 4, 8, 12, 1, 5, 9,
                                          13, 2, 6, 10, 14, 3, 7, 11, 15);
    const __m256i halves = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    __m256i low = _mm256_permutevar8x32_epi32(_mm256_shuffle_epi8(load(w), same), halves);
    __m256i high = _mm256_permutevar8x32_epi32(_mm256_shuffle_epi8(load(w + 8), same), halves);
    cut_bytes(_mm256_unpacklo_epi64(low, high), to);
    cut_bytes(_mm256_unpackhi_epi64(low, high), to + HT_BINARY_STEP);
}

// Adds 16 counts, of which each half of a vector holds a part.
HT_INLINE void add_counts(int32_t *to, __m256i bytes) {
    __m256i low = _mm256_cvtepu8_epi16(_mm256_castsi256_si128(bytes));
    __m256i counts = _mm256_add_epi16(low, _mm256_cvtepu8_epi16(_mm256_extracti128_si256(bytes, 1)));
    __m256i counts0 = _mm256_cvtepu16_epi32(_mm256_castsi256_si128(counts));
    __m256i counts1 = _mm256_cvtepu16_epi32(_mm256_extracti128_si256(counts, 1));
    _mm256_storeu_si256((__m256i *)(void *)to, _mm256_add_epi32(load(to), counts0));
    _mm256_storeu_si256((__m256i *)(void *)(to + 8), _mm256_add_epi32(load(to + 8), counts1));
}

// Bound: a look-up and an addition for 16 outputs and a byte of X, and for 32 outputs a load of tables and two
// instructions that find it.
HT_INLINE void count_rows(ht_binary_part *part, const ht_binary_tile *tile, const uint8_t *steps, size_t first,
                          const size_t rows, const size_t blocks) {
    const char *x[8];
    __m256i sums[8][2];
    HT_UNROLL
    for (size_t r = 0; r < rows; r++) {
        x[r] = tile->x[first + r];
        sums[r][0] = sums[r][1] = _mm256_setzero_si256();
    }
    for (size_t word = 0; word < part->words; word++) {
        const ptrdiff_t at = part->x[word];
        HT_UNROLL
        for (size_t byte = 0; byte < 4; byte++, steps += HT_BINARY_STEP) {
            const __m256i w0 = load(steps), w1 = load(steps + 32);
            HT_UNROLL
            for (size_t r = 0; r < rows; r++) {
                const __m256i table = load(ht_binary_differences[*(const uint8_t *)(x[r] + at + byte)]);
                sums[r][0] = _mm256_add_epi8(sums[r][0], _mm256_shuffle_epi8(table, w0));
                if (blocks == 2) sums[r][1] = _mm256_add_epi8(sums[r][1], _mm256_shuffle_epi8(table, w1));
            }
        }
    }
    HT_UNROLL
    for (size_t r = 0; r < rows; r++) HT_UNROLL
    for (size_t b = 0; b < blocks; b++) add_counts(part->counts[first + r] + b * HT_BINARY_BLOCK, sums[r][b]);
}

HT_INLINE void count_blocks(ht_binary_part *part, const ht_binary_tile *tile, const size_t blocks) {
    _Alignas(HT_ALIGNMENT) uint8_t steps[most_words * sizeof(uint32_t) * HT_BINARY_STEP];
    for (size_t word = 0; word < part->words; word++) HT_UNROLL
    for (size_t b = 0; b < blocks; b++)
        cut_word(part->w[word] + b * tile->block_words, steps + word * 4 * HT_BINARY_STEP + b * 32);
    size_t r = 0;
    for (; r + 5 <= tile->rows; r += 5) count_rows(part, tile, steps, r, 5, blocks);
    switch (tile->rows - r) {
    case 4: count_rows(part, tile, steps, r, 4, blocks); break;
    case 3: count_rows(part, tile, steps, r, 3, blocks); break;
    case 2: count_rows(part, tile, steps, r, 2, blocks); break;
    case 1: count_rows(part, tile, steps, r, 1, blocks); break;
    }
}

static void count(ht_binary_part *part, const ht_binary_tile *tile) {
    if (tile->blocks == 2)
        count_blocks(part, tile, 2);
    else
        count_blocks(part, tile, 1);
}

HT_INLINE uint32_t at_least_8(const int32_t *a, const int32_t *b) {
    return (uint32_t)_mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpgt_epi32(load(b), load(a)))) ^ 0xff;
}

HT_INLINE uint32_t at_least(const int32_t *a, const int32_t *b) {
    return at_least_8(a, b) | at_least_8(a + 8, b + 8) << 8;
}

static const ht_binary_vectors vectors = {tile, false, ht_sums_store_avx2};

void ht_binary_gemm_avx2(const ht_binary_task *task) { ht_binary_tiles_run(&vectors, task); }

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
