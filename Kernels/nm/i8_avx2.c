// SPDX-License-Identifier: Apache-2.0
// 8-bit products in AVX2.
#include "core/simd.h"
#include "i8.h"

#if defined(__x86_64__)
#include <immintrin.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,bmi,bmi2"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c,bmi,bmi2")
#endif

// MARK: picks

// The index fields of 8 rows, one in each lane. What is read behind them does not matter, see layout.c.
HT_INLINE __m256i load_fields(const uint8_t *indices, const int bits) {
    if (bits != 3) return _mm256_loadu_si256((const __m256i *)indices);
    const __m128i thirds = _mm_setr_epi8(0, 1, 2, -1, 3, 4, 5, -1, 6, 7, 8, -1, 9, 10, 11, -1);
    __m128i low = _mm_loadu_si128((const __m128i *)indices), high = _mm_loadu_si128((const __m128i *)(indices + 12));
    return _mm256_shuffle_epi8(_mm256_set_m128i(high, low), _mm256_broadcastsi128_si256(thirds));
}

// The four indices in the low bits of each lane, one in each byte: first two pairs, then each in two.
HT_INLINE __m256i spread(__m256i indices, const int bits) {
    indices = _mm256_and_si256(indices, _mm256_set1_epi32((1 << 4 * bits) - 1));
    __m256i pairs = _mm256_or_si256(indices, _mm256_slli_epi32(indices, 16 - 2 * bits));
    pairs = _mm256_and_si256(pairs, _mm256_set1_epi16((short)((1 << 2 * bits) - 1)));
    __m256i bytes = _mm256_or_si256(pairs, _mm256_slli_epi32(pairs, 8 - bits));
    return _mm256_and_si256(bytes, _mm256_set1_epi8((char)((1 << bits) - 1)));
}

// Bound: 10 operations for 32 slots. pdep would spread 8 slots of one row, which lie in two steps.
HT_INLINE void pick_in_windows(const ht_nm_layout *l, const uint8_t *indices, size_t steps, uint8_t *picks,
                               const int bits) {
    const size_t unit_steps = l->unit_slots / l->step, unit_bytes = ht_nm_unit_bytes(l);
    const __m256i step_columns = _mm256_set1_epi8((char)ht_nm_i8_step_columns(l));
    __m256i columns = _mm256_set1_epi32((int)ht_nm_i8_slot_columns(l));
    for (size_t step = 0; step < steps; indices += unit_bytes) {
        __m256i low = load_fields(indices, bits), high = load_fields(indices + unit_bytes / 2, bits);
        for (size_t end = ht_min(steps, step + unit_steps); step < end; step++) {
            __m256i *to = (__m256i *)(picks + step * HT_NM_I8_STEP);
            _mm256_storeu_si256(to, _mm256_add_epi8(spread(low, bits), columns));
            _mm256_storeu_si256(to + 1, _mm256_add_epi8(spread(high, bits), columns));
            low = _mm256_srli_epi32(low, 4 * bits);
            high = _mm256_srli_epi32(high, 4 * bits);
            columns = _mm256_add_epi8(columns, step_columns);
            columns = _mm256_and_si256(columns, _mm256_set1_epi8(HT_NM_I8_WINDOW - 1));
        }
    }
}

// A field holds the indices of one step, and they count in the window that picks count in.
static void pick_in_bytes(const uint8_t *indices, size_t steps, uint8_t *picks) {
    for (size_t i = 0; i < steps * HT_NM_I8_STEP; i += 32) {
        __m256i bytes = _mm256_loadu_si256((const __m256i *)(indices + i));
        bytes = _mm256_and_si256(bytes, _mm256_set1_epi8(HT_NM_I8_WINDOW - 1));
        _mm256_storeu_si256((__m256i *)(picks + i), bytes);
    }
}

void ht_nm_i8_pick_avx2(const ht_nm_layout *l, const uint8_t *indices, size_t steps, uint8_t *picks) {
    switch (l->index_bits) {
    case 1: ht_nm_i8_pick_maps(l, indices, steps, picks); break;
    case 2: pick_in_windows(l, indices, steps, picks, 2); break;
    case 3: pick_in_windows(l, indices, steps, picks, 3); break;
    case 4: pick_in_windows(l, indices, steps, picks, 4); break;
    default: pick_in_bytes(indices, steps, picks);
    }
}

// MARK: products

// vpmaddubsw would saturate: two products of 255 and 127 do not fit in 16 bits. So even and odd slots are widened and
// multiplied on their own.
typedef struct weights {
    __m256i even, odd;
} weights;

HT_INLINE weights prepare(__m256i w) {
    return (weights){_mm256_srai_epi16(_mm256_slli_epi16(w, 8), 8), _mm256_srai_epi16(w, 8)};
}

HT_INLINE __m256i add(__m256i sum, __m256i x, weights w) {
    __m256i even = _mm256_and_si256(x, _mm256_set1_epi16(0xff)), odd = _mm256_srli_epi16(x, 8);
    sum = _mm256_add_epi32(sum, _mm256_madd_epi16(even, w.even));
    return _mm256_add_epi32(sum, _mm256_madd_epi16(odd, w.odd));
}

#include "i8_avx2.h"

void ht_nm_gemm_i8_avx2(const ht_nm_task *task) { ht_nm_i8_run(&vectors, task); }

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
