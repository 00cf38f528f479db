// SPDX-License-Identifier: Apache-2.0
// Transposable 2:4 masks of f32 weights as they stream from memory: included behind transposable_lanes.h in AVX-512.
//
// Bound: reading the weights. 16 tiles are 16 loads and some 300 instructions, 75 of them on the one port that
// shuffles.
#ifndef HT_MASKS_TRANSPOSABLE_2_4_AVX512_H
#define HT_MASKS_TRANSPOSABLE_2_4_AVX512_H

enum { columns_at_once = 64, ahead = 1024 };  // floats

// Column j of the tiles of a row, tile 4 q + p in lane 4 p + q.
HT_INLINE void load_row(const float *row, ht_ints column[4]) {
    ht_ints v[4];
    HT_UNROLL
    for (size_t q = 0; q < 4; q++) {
        __builtin_prefetch(row + q * 16 + ahead, 0, 3);
        v[q] = _mm512_and_si512(_mm512_loadu_si512(row + q * 16), _mm512_set1_epi32(0x7fffffff));
    }
    const ht_ints low01 = _mm512_unpacklo_epi32(v[0], v[1]), high01 = _mm512_unpackhi_epi32(v[0], v[1]);
    const ht_ints low23 = _mm512_unpacklo_epi32(v[2], v[3]), high23 = _mm512_unpackhi_epi32(v[2], v[3]);
    column[0] = _mm512_unpacklo_epi64(low01, low23);
    column[1] = _mm512_unpackhi_epi64(low01, low23);
    column[2] = _mm512_unpacklo_epi64(high01, high23);
    column[3] = _mm512_unpackhi_epi64(high01, high23);
}

// The integers of make_integers, where no tile needs more than a multiplication by a power of two: all are finite, and
// what is subnormal is nothing beside the largest.
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
        w[e / 4][e % 4] = ht_iadd(_mm512_cvttps_epi32(units), ht_isplat(1));
    }
    return true;
}

HT_INLINE ht_ints most_of_pair(const ht_ints a[3], const ht_ints b[3]) {
    const ht_ints first = ht_iabs(ht_isub(a[0], b[0])), second = ht_iabs(ht_isub(a[1], b[1]));
    return ht_imax(ht_imax(first, second), ht_iabs(ht_isub(a[2], b[2])));
}

// The 2 largest of 4, of equals the lower ones, as signs: that of x[i] - x[j], i < j, says whether j beats i.
HT_INLINE void keep_2(const ht_ints x[4], ht_ints kept[4]) {
    const ht_ints by_1 = ht_isub(x[0], x[1]), by_2 = ht_isub(x[0], x[2]), by_3 = ht_isub(x[0], x[3]);
    const ht_ints of_12 = ht_isub(x[1], x[2]), of_13 = ht_isub(x[1], x[3]), of_23 = ht_isub(x[2], x[3]);
    kept[0] = _mm512_ternarylogic_epi32(by_1, by_2, by_3, 0x17);  // fewer than two are set
    kept[1] = _mm512_ternarylogic_epi32(by_1, of_12, of_13, 0x71);
    kept[2] = _mm512_ternarylogic_epi32(by_2, of_12, of_23, 0xd4);
    kept[3] = _mm512_ternarylogic_epi32(by_3, of_13, of_23, 0xe8);
}

// The signs of four vectors as bytes: of vector j, tile 4 q + p, in byte 4 j + q of 128 bits p.
HT_INLINE ht_ints pack_signs(const ht_ints sign[4]) {
    return _mm512_packs_epi16(_mm512_packs_epi32(sign[0], sign[1]), _mm512_packs_epi32(sign[2], sign[3]));
}

HT_INLINE void store_row(uint8_t *to, ht_ints signs) {
    const ht_ints bytes = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
    const ht_ints tiles = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    const ht_ints in_order = _mm512_permutexvar_epi32(tiles, _mm512_shuffle_epi8(signs, bytes));
    const uint64_t word = _cvtmask64_u64(_mm512_movepi8_mask(in_order));
    memcpy(to, &word, sizeof word);
}

// keep_by_pairs with what is kept as signs.
HT_INLINE void store_pairs(const ht_ints w[4][4], uint8_t *mask, size_t mask_stride) {
    ht_ints sums[4][3], first[4], second[4], kept_first[4], kept_second[4];
    HT_UNROLL
    for (size_t i = 0; i < 4; i++) {
        const ht_ints p = ht_iadd(w[i][0], w[i][1]), q = ht_iadd(w[i][2], w[i][3]);
        const ht_ints d = ht_isub(w[i][0], w[i][1]), e = ht_isub(w[i][2], w[i][3]);
        sums[i][0] = ht_isub(p, q), sums[i][1] = ht_iadd(d, e), sums[i][2] = ht_isub(d, e);
    }
    const ht_ints with_1 = ht_iadd(most_of_pair(sums[0], sums[1]), most_of_pair(sums[2], sums[3]));
    const ht_ints with_2 = ht_iadd(most_of_pair(sums[0], sums[2]), most_of_pair(sums[1], sums[3]));
    const ht_ints with_3 = ht_iadd(most_of_pair(sums[0], sums[3]), most_of_pair(sums[1], sums[2]));
    const ht_ints less_13 = ht_isub(with_1, with_3);
    const ht_ints sign_1 = _mm512_ternarylogic_epi32(ht_isub(with_1, with_2), less_13, less_13, 0x03);
    const ht_ints sign_3 = ht_iand(less_13, ht_isub(with_2, with_3));
    const ht_imask is_1 = _mm512_movepi32_mask(sign_1), is_3 = _mm512_movepi32_mask(sign_3);
    HT_UNROLL
    for (size_t j = 0; j < 4; j++) {
        const ht_ints partner = ht_iwhere(is_1, w[1][j], ht_iwhere(is_3, w[3][j], w[2][j]));
        first[j] = ht_isub(w[0][j], partner);
        second[j] = ht_isub(ht_iwhere(is_1, w[2][j], w[1][j]), ht_iwhere(is_3, w[2][j], w[3][j]));
    }
    keep_2(first, kept_first), keep_2(second, kept_second);
    const ht_ints a = pack_signs(kept_first), b = pack_signs(kept_second);
    const ht_ints one = pack_signs((ht_ints[4]){sign_1, sign_1, sign_1, sign_1});
    const ht_ints three = pack_signs((ht_ints[4]){sign_3, sign_3, sign_3, sign_3});
    const ht_ints not_1 = _mm512_ternarylogic_epi32(three, b, a, 0x35);  // row 2: three ? ~b : ~a
    store_row(mask, a);
    store_row(mask + mask_stride, _mm512_ternarylogic_epi32(one, a, b, 0x3a));         // one ? ~a : b
    store_row(mask + 2 * mask_stride, _mm512_ternarylogic_epi32(one, b, not_1, 0xca));  // one ? b : not_1
    store_row(mask + 3 * mask_stride, _mm512_ternarylogic_epi32(three, a, b, 0x35));    // three ? ~a : ~b
}

// 16 tiles; false where they need the general way.
HT_INLINE bool solve_16_tiles(const ht_transposable_task *task, size_t column) {
    ht_ints w[4][4];
    HT_UNROLL
    for (size_t i = 0; i < 4; i++)
        load_row((const float *)(const void *)((const char *)task->w + i * task->w_stride) + column, w[i]);
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
