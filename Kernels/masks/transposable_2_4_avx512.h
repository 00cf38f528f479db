// SPDX-License-Identifier: Apache-2.0
// Transposable 2:4 masks of f32 weights as they stream from memory: included behind transposable_lanes.h in AVX-512.
//
// Bound: reading the weights. 16 tiles are 16 loads and some 300 instructions, 75 of them on the one port that
// shuffles.
#ifndef HT_MASKS_TRANSPOSABLE_2_4_AVX512_H
#define HT_MASKS_TRANSPOSABLE_2_4_AVX512_H

enum { columns_at_once = 64, columns_ahead = 512 };

// Column j of the tiles of a row, tile 4 q + p in lane 4 p + q.
HT_INLINE void load_row(const float *row, size_t ahead, ht_ints column[4]) {
    ht_ints v[4];
    HT_UNROLL
    for (size_t q = 0; q < 4; q++) {
        __builtin_prefetch((const void *)((uintptr_t)(row + q * 16) + ahead), 0, 3);
        v[q] = _mm512_and_si512(_mm512_loadu_si512(row + q * 16), _mm512_set1_epi32(0x7fffffff));
    }
    const ht_ints low01 = _mm512_unpacklo_epi32(v[0], v[1]), high01 = _mm512_unpackhi_epi32(v[0], v[1]);
    const ht_ints low23 = _mm512_unpacklo_epi32(v[2], v[3]), high23 = _mm512_unpackhi_epi32(v[2], v[3]);
    column[0] = _mm512_unpacklo_epi64(low01, low23);
    column[1] = _mm512_unpackhi_epi64(low01, low23);
    column[2] = _mm512_unpacklo_epi64(high01, high23);
    column[3] = _mm512_unpackhi_epi64(high01, high23);
}

// The integers of make_integers without the 1 more, which differences don't see, where no tile needs more than a
// multiplication by a power of two: all are finite, and what is subnormal is nothing beside the largest.
HT_INLINE bool make_plain_integers(ht_ints w[4][4]) {
    ht_ints largest = w[0][0];
    HT_UNROLL
    for (size_t e = 1; e < 16; e++) largest = _mm512_max_epi32(largest, w[e / 4][e % 4]);
    const ht_ints least = ht_isplat(32 << 23), infinite = ht_isplat(255 << 23);
    if (_mm512_cmplt_epi32_mask(largest, least) | _mm512_cmpge_epi32_mask(largest, infinite)) return false;
    const ht_ints exponent = _mm512_andnot_si512(ht_isplat(0x7fffff), largest);
    const ht_ints power =
        ht_isub(ht_isplat((int32_t)((127u + 126 + 26) << 23)), exponent);  // 2^26 over the power above the largest
    HT_UNROLL
    for (size_t e = 0; e < 16; e++) {
        const __m512 units = _mm512_mul_ps(_mm512_castsi512_ps(w[e / 4][e % 4]), _mm512_castsi512_ps(power));
        w[e / 4][e % 4] = _mm512_cvttps_epi32(units);
    }
    return true;
}

// What a row adds to the pairs that it is in: the sums of its halves less each other, and the differences in them.
typedef struct row_sums {
    ht_ints halves, low, high;
} row_sums;

HT_INLINE row_sums sums_of(const ht_ints w[4]) {
    return (row_sums){.halves = ht_isub(ht_iadd(w[0], w[1]), ht_iadd(w[2], w[3])),
                      .low = ht_isub(w[0], w[1]),
                      .high = ht_isub(w[2], w[3])};
}

// max(|x + y|, |x - y|) = |x| + |y| stands for two of the three sums of keep_by_pairs.
HT_INLINE ht_ints most_of_pair(const row_sums *a, const row_sums *b) {
    const ht_ints low = ht_iabs(ht_isub(a->low, b->low)), high = ht_iabs(ht_isub(a->high, b->high));
    return ht_imax(ht_iabs(ht_isub(a->halves, b->halves)), ht_iadd(low, high));
}

// The 2 largest of 4, of equals the lower ones, as signs: that of x[i] - x[j], i < j, says whether j beats i. In the
// end a byte for each of the 4, in the 32 bits of the tile.
HT_INLINE ht_ints keep_2(const ht_ints x[4]) {
    const ht_ints by_1 = ht_isub(x[0], x[1]), by_2 = ht_isub(x[0], x[2]), by_3 = ht_isub(x[0], x[3]);
    const ht_ints of_12 = ht_isub(x[1], x[2]), of_13 = ht_isub(x[1], x[3]), of_23 = ht_isub(x[2], x[3]);
    const ht_ints first = _mm512_ternarylogic_epi32(by_1, by_2, by_3, 0x17);  // fewer than two are set
    const ht_ints second = _mm512_ternarylogic_epi32(by_1, of_12, of_13, 0x71);
    const ht_ints third = _mm512_ternarylogic_epi32(by_2, of_12, of_23, 0xd4);
    const ht_ints fourth = _mm512_ternarylogic_epi32(by_3, of_13, of_23, 0xe8);
    const ht_ints bytes = _mm512_packs_epi16(_mm512_packs_epi32(first, second), _mm512_packs_epi32(third, fourth));
    const __m128i by_tile = _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    return _mm512_shuffle_epi8(bytes, _mm512_broadcast_i32x4(by_tile));
}

HT_INLINE uint64_t word_of(ht_ints bytes) {
    const ht_ints tiles = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    return _cvtmask64_u64(_mm512_movepi8_mask(_mm512_permutexvar_epi32(tiles, bytes)));
}

// keep_by_pairs.
HT_INLINE void store_pairs(const ht_ints w[4][4], uint8_t *mask, size_t mask_stride) {
    row_sums sums[4];
    ht_ints first[4], second[4];
    HT_UNROLL
    for (size_t i = 0; i < 4; i++) sums[i] = sums_of(w[i]);
    const ht_ints with_1 = ht_iadd(most_of_pair(sums, sums + 1), most_of_pair(sums + 2, sums + 3));
    const ht_ints with_2 = ht_iadd(most_of_pair(sums, sums + 2), most_of_pair(sums + 1, sums + 3));
    const ht_ints with_3 = ht_iadd(most_of_pair(sums, sums + 3), most_of_pair(sums + 1, sums + 2));
    const ht_imask is_1 = _mm512_mask_cmpge_epi32_mask(_mm512_cmpge_epi32_mask(with_1, with_2), with_1, with_3);
    const ht_imask is_3 = _mm512_mask_cmpgt_epi32_mask(_mm512_cmpgt_epi32_mask(with_3, with_1), with_3, with_2);
    HT_UNROLL
    for (size_t j = 0; j < 4; j++) {
        const ht_ints partner = ht_iwhere(is_1, w[1][j], ht_iwhere(is_3, w[3][j], w[2][j]));
        first[j] = ht_isub(w[0][j], partner);
        second[j] = ht_isub(ht_iwhere(is_1, w[2][j], w[1][j]), ht_iwhere(is_3, w[2][j], w[3][j]));
    }
    const ht_ints a = keep_2(first), b = keep_2(second), all = ht_isplat(-1);
    const ht_ints not_1 = ht_ixor(ht_iwhere(is_3, b, a), all);  // row 2 unless rows 0 and 1 are a pair
    const uint64_t word[4] = {word_of(a), word_of(_mm512_mask_xor_epi32(b, is_1, a, all)),
                              word_of(ht_iwhere(is_1, b, not_1)), ~word_of(ht_iwhere(is_3, a, b))};
    HT_UNROLL
    for (size_t i = 0; i < 4; i++) memcpy(mask + i * mask_stride, &word[i], sizeof word[i]);
}

// 16 tiles; false where they need the general way.
HT_INLINE bool solve_16_tiles(const ht_transposable_task *task, size_t column) {
    ht_ints w[4][4];
    const size_t next = column + columns_ahead, stride = task->w_stride;
    const size_t ahead = (next < task->columns ? columns_ahead : columns_ahead - task->columns) * sizeof(float) +
                         (next < task->columns ? 0 : 4 * stride);  // or in the next row of tiles
    HT_UNROLL
    for (size_t i = 0; i < 4; i++)
        load_row((const float *)(const void *)((const char *)task->w + i * stride) + column, ahead, w[i]);
    if (!make_plain_integers(w)) return false;
    store_pairs(w, task->mask + column / 8, task->mask_stride);
    return true;
}

static void solve_2_4_stream(const ht_transposable_task *task) {
    for (size_t column = 0; column < task->columns; column += columns_at_once) {
        const size_t columns = ht_min(columns_at_once, task->columns - column);
        if (columns == columns_at_once && task->rows == 4 && solve_16_tiles(task, column)) continue;
        ht_transposable_task rest = *task;
        rest.w = (const float *)task->w + column;
        rest.mask += column / 8;
        rest.columns = columns;
        solve_2_4(&rest);
    }
}

#endif
