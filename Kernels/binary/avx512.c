// SPDX-License-Identifier: Apache-2.0
// The direct design in AVX-512 without VPOPCNTDQ.
#if defined(__x86_64__)
#include <immintrin.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,bmi,bmi2,avx512f,avx512bw,avx512dq,avx512vl"))), \
                             apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c,bmi,bmi2,avx512f,avx512bw,avx512dq,avx512vl")
#endif

// clang-format off: the second needs what the first defines
#include "nibbles.h"
#include "counts.h"
// clang-format on

HT_INLINE __m512i load(const void *from) { return _mm512_loadu_si512(from); }

// The bytes of a word of 16 outputs, the same byte of all in each quarter.
HT_INLINE __m512i same_bytes(const uint32_t *w) {
    const __m512i same = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
    const __m512i quarters = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    return _mm512_permutexvar_epi32(quarters, _mm512_shuffle_epi8(load(w), same));
}

HT_INLINE void store_step(__m512i bytes, uint8_t *to) {
    const __m512i shifts = _mm512_broadcast_i32x8(_mm256_setr_m128i(_mm_setzero_si128(), _mm_set1_epi16(4)));
    _mm512_store_si512(to, _mm512_and_si512(_mm512_srlv_epi16(bytes, shifts), _mm512_set1_epi8(15)));
}

// The four steps of a word of two blocks.
HT_INLINE void cut_word(const uint32_t *w, size_t block_words, uint8_t *to) {
    const __m512i w0 = same_bytes(w), w1 = same_bytes(w + block_words);
    store_step(_mm512_shuffle_i32x4(w0, w1, 0x00), to);
    store_step(_mm512_shuffle_i32x4(w0, w1, 0x55), to + HT_BINARY_STEP);
    store_step(_mm512_shuffle_i32x4(w0, w1, 0xaa), to + 2 * HT_BINARY_STEP);
    store_step(_mm512_shuffle_i32x4(w0, w1, 0xff), to + 3 * HT_BINARY_STEP);
}

// Adds 16 counts, of which each half of a vector holds a part.
HT_INLINE void add_counts(int32_t *to, __m256i bytes) {
    __m512i parts = _mm512_cvtepu8_epi16(bytes);
    __m256i counts = _mm256_add_epi16(_mm512_castsi512_si256(parts), _mm512_extracti64x4_epi64(parts, 1));
    _mm512_storeu_si512(to, _mm512_add_epi32(load(to), _mm512_cvtepu16_epi32(counts)));
}

// Bound: a look-up and an addition for 32 outputs and a byte of X, a load of tables and two instructions that find it.
HT_INLINE void count_rows(ht_binary_part *part, const ht_binary_tile *tile, const uint8_t *steps, size_t first,
                          const size_t rows) {
    const char *x[8];
    __m512i sums[8];
    HT_UNROLL
    for (size_t r = 0; r < rows; r++) {
        x[r] = tile->x[first + r];
        sums[r] = _mm512_setzero_si512();
    }
    for (size_t word = 0; word < part->words; word++) {
        const ptrdiff_t at = part->x[word];
        HT_UNROLL
        for (size_t byte = 0; byte < 4; byte++, steps += HT_BINARY_STEP) {
            const __m512i w = load(steps);
            HT_UNROLL
            for (size_t r = 0; r < rows; r++) {
                const uint8_t *tables = ht_binary_differences[*(const uint8_t *)(x[r] + at + byte)][0];
                const __m512i table = _mm512_broadcast_i64x4(_mm256_loadu_si256((const __m256i *)(const void *)tables));
                sums[r] = _mm512_add_epi8(sums[r], _mm512_shuffle_epi8(table, w));
            }
        }
    }
    HT_UNROLL
    for (size_t r = 0; r < rows; r++) {
        int32_t *counts = part->counts[first + r];
        add_counts(counts, _mm512_castsi512_si256(sums[r]));
        add_counts(counts + HT_BINARY_BLOCK, _mm512_extracti64x4_epi64(sums[r], 1));
    }
}

static void count(ht_binary_part *part, const ht_binary_tile *tile) {
    _Alignas(HT_ALIGNMENT) uint8_t steps[most_words * sizeof(uint32_t) * HT_BINARY_STEP];
    const size_t block_words = tile->blocks == 2 ? tile->block_words : 0;
    for (size_t word = 0; word < part->words; word++)
        cut_word(part->w[word], block_words, steps + word * 4 * HT_BINARY_STEP);
    size_t r = 0;
    for (; r + 7 <= tile->rows; r += 7) count_rows(part, tile, steps, r, 7);
    switch (tile->rows - r) {
    case 6: count_rows(part, tile, steps, r, 6); break;
    case 5: count_rows(part, tile, steps, r, 5); break;
    case 4: count_rows(part, tile, steps, r, 4); break;
    case 3: count_rows(part, tile, steps, r, 3); break;
    case 2: count_rows(part, tile, steps, r, 2); break;
    case 1: count_rows(part, tile, steps, r, 1); break;
    }
}

HT_INLINE uint32_t at_least(const int32_t *a, const int32_t *b) { return _mm512_cmpge_epi32_mask(load(a), load(b)); }

static const ht_binary_vectors vectors = {tile, false, ht_sums_store_avx512};

void ht_binary_gemm_avx512(const ht_binary_task *task) { ht_binary_tiles_run(&vectors, task); }

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
