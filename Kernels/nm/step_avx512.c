// SPDX-License-Identifier: Apache-2.0
// Packing from masks in AVX-512: entries are gathered by compression along rows, and by comparison along columns.
#if defined(__x86_64__)
#include <immintrin.h>

#include "step.h"

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,bmi,bmi2,popcnt,avx512f,avx512bw,avx512dq,avx512vl"))), \
                             apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,bmi,bmi2,popcnt,avx512f,avx512bw,avx512dq,avx512vl")
#endif

#include "core/simd.h"

enum { COLUMNS = HT_NM_MAX_COLUMNS, WORDS = COLUMNS / 64, LINE = HT_NM_LINE_COLUMNS, UNITS = 8 };

// Everything that follows from a pattern, as constants where the pattern is one.
typedef struct shape {
    size_t n, m;
    size_t width;         // of a block
    size_t slots;         // of a row in it
    size_t index_bits, unit_slots, units;
    size_t field_bytes;
    bool halves;          // values are rounded to bf16
} shape;

HT_INLINE shape shape_of(const size_t n, const size_t m, const size_t index_bits, const bool halves) {
    const size_t width = n * 2 >= m || index_bits == 1 ? COLUMNS / 2 : COLUMNS, slots = width / m * n;
    const size_t unit_slots = index_bits == 1 ? 32 / m * n : index_bits == 2 ? 16 : 8;
    return (shape){n, m, width, slots, index_bits, unit_slots, slots / unit_slots, index_bits == 3 ? 3 : 4, halves};
}

HT_INLINE uint64_t load_word(const void *from) {
    uint64_t word;
    __builtin_memcpy(&word, from, sizeof word);
    return word;
}

HT_INLINE __mmask16 load_bits(const uint8_t *from) {
    uint16_t bits;
    __builtin_memcpy(&bits, from, sizeof bits);
    return _cvtu32_mask16(bits);
}

// Past the caches where a blob is too large for them, so that its lines need not be read first.
HT_INLINE void store_whole(char *to, __m512i line, bool streams) {
    if (streams)
        _mm512_stream_si512((__m512i *)(void *)to, line);
    else
        _mm512_store_si512(to, line);
}

HT_INLINE void store_field(uint8_t *to, uint32_t field, const size_t bytes) { __builtin_memcpy(to, &field, bytes); }

// To nearest, ties to even, in the upper half; a NaN keeps its upper bits and becomes quiet.
HT_INLINE __m512i rounded(__m512i bits) {
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    const __m512i near = _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), odd);
    const __m512 v = _mm512_castsi512_ps(bits);
    const __mmask16 nan = _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
    return _mm512_mask_or_epi32(near, nan, bits, _mm512_set1_epi32(0x400000));
}

// MARK: rows

// Groups with fewer than n entries take their lowest free columns. `named` holds whole groups, none with more than n.
static uint64_t filled_up(uint64_t named, size_t n, size_t m) {
    const uint64_t group = m < 64 ? ((uint64_t)1 << m) - 1 : ~(uint64_t)0;
    uint64_t chosen = named;
    for (size_t at = 0; at < 64; at += m) {
        const uint64_t columns = group << at;
        for (size_t count = (size_t)__builtin_popcountll(named & columns); count < n; count++) {
            const uint64_t free = ~chosen & columns;
            chosen |= free & -free;
        }
    }
    return chosen;
}

// Returns whether no group of the row had to be filled up.
HT_INLINE bool choose(const ht_nm_row_lines *lines, size_t row, const shape s, uint64_t chosen[WORDS]) {
    bool is_full = true;
    HT_UNROLL
    for (size_t i = 0; i < s.width / 64; i++) {
        const uint64_t named = load_word(lines->bits[row] + 8 * i);
        const bool is_as_named = lines->is_full || (size_t)__builtin_popcountll(named) == 64 / s.m * s.n;
        chosen[i] = is_as_named ? named : filled_up(named, s.n, s.m);
        is_full &= is_as_named;
    }
    return is_full;
}

// Bound: two shuffles for 16 columns.
HT_INLINE void compress_row(const ht_nm_row_lines *lines, size_t row, const shape s, const uint64_t chosen[WORDS],
                            float *kept) {
    const float *w = lines->w[row];
    const uint8_t *bits = lines->bits[row];
    for (size_t i = 0; i < s.width / 64; i++) {
        uint64_t named = load_word(bits + 8 * i), word = chosen[i];
        HT_UNROLL
        for (size_t j = 0; j < 4; j++, named >>= 16, word >>= 16, w += 16) {
            const __m512i v = _mm512_maskz_loadu_epi32(_cvtu32_mask16((uint32_t)named & 0xffff), w);
            const uint32_t columns = (uint32_t)word & 0xffff;
            _mm512_storeu_si512(kept, _mm512_maskz_compress_epi32(_cvtu32_mask16(columns), v));
            kept += s.m <= 16 ? 16 * s.n / s.m : (size_t)__builtin_popcount(columns);
        }
    }
}

// Where each lane's slot finds its window in 32 columns.
HT_INLINE __m512i window_of_slots(const shape s) {
    const size_t window = (size_t)1 << s.index_bits, slots = window / s.m * s.n;
    uint32_t at[16];
    HT_UNROLL
    for (size_t i = 0; i < 16; i++) at[i] = (uint32_t)(i / slots * window % 32);
    return _mm512_loadu_si512(at);
}

HT_INLINE __m512i shift_of_slots(const shape s) {
    uint32_t bits[16];
    HT_UNROLL
    for (size_t i = 0; i < 16; i++) bits[i] = (uint32_t)(i % s.unit_slots * s.index_bits);
    return _mm512_loadu_si512(bits);
}

// By the index fields, if no group was filled up. Bound: a shuffle for 32 columns, and a shift for 16 slots.
HT_INLINE void pick_row(const float *w, const uint32_t *field, const shape s, float *kept) {
    const size_t columns = 16 * s.m / s.n;
    const __m512i window = window_of_slots(s), shift = shift_of_slots(s);
    const __m512i index = _mm512_set1_epi32((1 << s.index_bits) - 1);
    for (size_t slot = 0; slot < s.slots; slot += 16, w += columns) {
        __m512i at = _mm512_set1_epi32((int)*field++), v = _mm512_setzero_si512();
        if (s.unit_slots == 8) at = _mm512_mask_set1_epi32(at, 0xff00, (int)*field++);
        at = _mm512_ternarylogic_epi32(_mm512_srlv_epi32(at, shift), index, window, 0xea);
        HT_UNROLL
        for (size_t c = 0; c < columns; c += 32) {
            const __m512i a = _mm512_loadu_si512(w + c), b = _mm512_loadu_si512(w + c + 16);
            const __m512i picked = _mm512_permutex2var_epi32(a, at, b);
            v = c ? _mm512_mask_mov_epi32(v, (__mmask16)(0xffff << c * s.n / s.m), picked) : picked;
        }
        _mm512_storeu_si512(kept + slot, v);
    }
}

// The values of two slots in one word, the first in the upper half.
HT_INLINE void round_row(float *kept, const size_t slots) {
    for (size_t i = 0; i < slots; i += 16) {
        const __m512i halves = rounded(_mm512_loadu_si512(kept + i));
        const __m512i odd = _mm512_srli_epi64(halves, 48);
        const __m512i pairs = _mm512_ternarylogic_epi32(halves, _mm512_set1_epi64(0xffff0000), odd, 0xea);
        _mm256_storeu_si256((__m256i *)(void *)(kept + i / 2), _mm512_cvtepi64_epi32(pairs));
    }
}

HT_INLINE __m512i in_lane(__m512i v, const __mmask16 lane, const void *from) {
    return _mm512_mask_broadcast_i32x4(v, lane, _mm_loadu_si128((const __m128i *)from));
}

// Words of four rows become lines of [word][row]. Bound: the loads and the three of them that take a vector port.
HT_INLINE void store_quads(float *const kept[HT_NM_QUAD], const size_t words, char *values, bool streams) {
    const __m512i turn = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    for (size_t i = 0; i < words; i += 4) {
        __m512i v = _mm512_castsi128_si512(_mm_loadu_si128((const __m128i *)(const void *)(kept[0] + i)));
        v = in_lane(v, 0x00f0, kept[1] + i);
        v = in_lane(v, 0x0f00, kept[2] + i);
        v = in_lane(v, 0xf000, kept[3] + i);
        store_whole(values + 16 * i, _mm512_permutexvar_epi32(turn, v), streams);
    }
}

// MARK: index fields of rows

// Where two of four bits are set: two bits for each, the number of the first and of the last.
HT_INLINE __m128i indices_2_2(__m128i x) {
    const __m128i ones = _mm_set1_epi32(0x11111111);
    const __m128i x1 = _mm_srli_epi32(x, 1), x2 = _mm_srli_epi32(x, 2), x3 = _mm_srli_epi32(x, 3);
    const __m128i first0 = _mm_ternarylogic_epi32(x, x1, ones, 0x08);  // not 0, but 1
    const __m128i first1 = _mm_ternarylogic_epi32(x, x1, ones, 0x02);  // neither
    const __m128i last0 = _mm_ternarylogic_epi32(x3, x2, ones, 0xa2);  // 3, or not 2
    const __m128i last1 = _mm_ternarylogic_epi32(x3, x2, ones, 0xa8);  // 3 or 2
    const __m128i first = _mm_or_si128(first0, _mm_slli_epi32(first1, 1));
    const __m128i last = _mm_or_si128(_mm_slli_epi32(last0, 2), _mm_slli_epi32(last1, 3));
    return _mm_or_si128(first, last);
}

// The fields of four units of four rows as [unit][row].
HT_INLINE void store_units(const uint32_t field[HT_NM_QUAD][UNITS], uint8_t *fields) {
    const __m512i turn = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    __m512i v = _mm512_castsi128_si512(_mm_loadu_si128((const __m128i *)(const void *)field[0]));
    v = in_lane(v, 0x00f0, field[1]);
    v = in_lane(v, 0x0f00, field[2]);
    v = in_lane(v, 0xf000, field[3]);
    _mm512_storeu_si512(fields, _mm512_permutexvar_epi32(turn, v));
}

// The number of the only bit of each four, in 16 times 2 bits.
HT_INLINE uint32_t indices_2_1(uint64_t x) {
    const uint64_t ones = 0x1111111111111111;
    return (uint32_t)_pext_u64(((x >> 1 | x >> 3) & ones) | ((x >> 2 | x >> 3) & ones) << 1, ones * 3);
}

// The number of the only bit of each byte.
HT_INLINE __m256i indices_of_bytes(__m256i x) {
    const __m256i low = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 0, 1, 0, 2, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0));
    const __m256i high = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 4, 5, 0, 6, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0));
    const __m256i nibble = _mm256_set1_epi8(15);
    return _mm256_or_si256(_mm256_shuffle_epi8(low, _mm256_and_si256(x, nibble)),
                           _mm256_shuffle_epi8(high, _mm256_and_si256(_mm256_srli_epi16(x, 4), nibble)));
}

// The number of the only bit of each word of 16, as the exponent of a float; of none 0.
HT_INLINE __m512i indices_of_words(__m256i x) {
    const __m512i exponent = _mm512_srli_epi32(_mm512_castps_si512(_mm512_cvtepi32_ps(_mm512_cvtepu16_epi32(x))), 23);
    return _mm512_subs_epu16(exponent, _mm512_set1_epi32(127));
}

// The indices of a row's slots, a byte each.
HT_INLINE void index_bytes(const uint64_t chosen[WORDS], const shape s, uint8_t bytes[COLUMNS / 4]) {
    const __m256i x = _mm256_loadu_si256((const __m256i *)(const void *)chosen);
    const __m256i first = _mm256_andnot_si256(
        s.m == 8 ? _mm256_sub_epi8(x, _mm256_set1_epi8(1)) : _mm256_sub_epi16(x, _mm256_set1_epi16(1)), x);
    const __m256i last = _mm256_xor_si256(x, first);
    if (s.m == 8) {
        const __m256i a = indices_of_bytes(first), b = indices_of_bytes(last);
        if (s.n == 1) {
            _mm256_storeu_si256((__m256i *)(void *)bytes, a);
            return;
        }
        const __m256i low = _mm256_unpacklo_epi8(a, b), high = _mm256_unpackhi_epi8(a, b);
        _mm256_storeu_si256((__m256i *)(void *)bytes, _mm256_permute2x128_si256(low, high, 0x20));
        _mm256_storeu_si256((__m256i *)(void *)(bytes + 32), _mm256_permute2x128_si256(low, high, 0x31));
        return;
    }
    const __m512i a = indices_of_words(first);
    if (s.n == 1) {
        _mm_storeu_si128((__m128i *)(void *)bytes, _mm512_cvtepi32_epi8(a));
        return;
    }
    const __m512i both = _mm512_or_si512(a, _mm512_slli_epi32(indices_of_words(last), 8));
    _mm256_storeu_si256((__m256i *)(void *)bytes, _mm512_cvtepi32_epi16(both));
}

// Of the rows of a quad, as numbers.
HT_INLINE void make_fields(uint64_t chosen[HT_NM_QUAD][WORDS], const shape s, uint32_t field[HT_NM_QUAD][UNITS]) {
    for (size_t r = 0; r < HT_NM_QUAD; r++) {
        uint8_t bytes[COLUMNS / 4];
        const uint64_t index = 0x0101010101010101 * ((1u << s.index_bits) - 1);
        if (s.index_bits == 1) {
            __builtin_memcpy(field[r], chosen[r], 16);
        } else if (s.index_bits == 2 && s.width == 128) {
            const __m128i x = indices_2_2(_mm_loadu_si128((const __m128i *)(const void *)chosen[r]));
            _mm_storeu_si128((__m128i *)(void *)field[r], x);
        } else if (s.index_bits == 2) {
            for (size_t u = 0; u < s.units; u++) field[r][u] = indices_2_1(chosen[r][u]);
        } else {
            index_bytes(chosen[r], s, bytes);
            for (size_t u = 0; u < s.units; u++) field[r][u] = (uint32_t)_pext_u64(load_word(bytes + 8 * u), index);
        }
    }
}

HT_INLINE void store_quad_fields(const uint32_t field[HT_NM_QUAD][UNITS], const shape s, uint8_t *fields) {
    if (s.field_bytes == 4 && s.units == 4) {
        store_units(field, fields);
        return;
    }
    for (size_t u = 0; u < s.units; u++)
        for (size_t r = 0; r < HT_NM_QUAD; r++, fields += s.field_bytes)
            store_field(fields, field[r][u], s.field_bytes);
}

// MARK: quads of rows

HT_INLINE void pack_quad(const ht_nm_row_lines *lines, const shape s) {
    float rows[HT_NM_QUAD][COLUMNS / 2 + HT_NM_KEPT_SLACK] __attribute__((aligned(64)));
    uint64_t chosen[HT_NM_QUAD][WORDS] __attribute__((aligned(64)));
    uint32_t field[HT_NM_QUAD][UNITS];
    bool is_full[HT_NM_QUAD];
    float *kept[HT_NM_QUAD];
    HT_UNROLL
    for (size_t r = 0; r < HT_NM_QUAD; r++) is_full[r] = choose(lines, r, s, chosen[r]);
    make_fields(chosen, s, field);
    for (size_t r = 0; r < HT_NM_QUAD; r++) {
        kept[r] = lines->kept[r] ? lines->kept[r] : rows[r];
        if (s.index_bits > 1 && is_full[r])
            pick_row(lines->w[r], field[r], s, kept[r]);
        else
            compress_row(lines, r, s, chosen[r], kept[r]);
    }
    if (!lines->values) return;
    for (size_t r = 0; r < HT_NM_QUAD && s.halves; r++) {
        if (kept[r] != rows[r]) __builtin_memcpy(rows[r], kept[r], s.slots * sizeof(float));
        kept[r] = rows[r];
        round_row(kept[r], s.slots);
    }
    store_quads(kept, s.halves ? s.slots / 2 : s.slots, lines->values, lines->streams);
    store_quad_fields(field, s, lines->fields);
}

// MARK: columns

// What a group of places keeps of each column: slots in the order of places.
typedef struct picks {
    __m512i value[2], index[2];
} picks;

HT_INLINE __m512i load_place(const ht_nm_column_lines *lines, size_t place, size_t column, const shape s,
                             __mmask16 *named) {
    *named = load_bits(lines->bits[place] + column / 8);
    if (!lines->is_kept) return _mm512_maskz_loadu_epi32(*named, lines->w[place] + column);
    const float *kept = lines->w[place] + column * s.n / s.m;
    if (s.n * 16 == s.m) return _mm512_maskz_set1_epi32(*named, (int)*(const uint32_t *)(const void *)kept);
    __m512i v = _mm512_loadu_si512(kept);
    // From memory an expansion takes four times as long as from a register.
    __asm__("" : "+v"(v));
    return _mm512_maskz_expand_epi32(*named, v);
}

HT_INLINE __m512i where(__mmask16 mask, __m512i a, __m512i b) { return _mm512_mask_mov_epi32(b, mask, a); }

// Indices count from `first` on. Bound: a comparison, three selections and what a load takes for each place.
HT_INLINE picks pick_one(const ht_nm_column_lines *lines, size_t place, size_t column, const shape s,
                         const size_t first) {
    const __m512i magnitude = _mm512_set1_epi32(0x7fffffff);
    __m512i best = _mm512_set1_epi32(-1), value = _mm512_setzero_si512(), index = _mm512_set1_epi32((int)first);
    HT_UNROLL
    for (size_t j = 0; j < s.m; j++) {
        __mmask16 named;
        const __m512i v = load_place(lines, place + j, column, s, &named), key = _mm512_and_si512(v, magnitude);
        const __mmask16 larger = _mm512_mask_cmpgt_epi32_mask(named, key, best);
        best = where(larger, key, best);
        value = where(larger, v, value);
        index = where(larger, _mm512_set1_epi32((int)(first + j)), index);
    }
    return (picks){{value}, {index}};
}

// The best so far and the next; of equals, places in front. A group that has fewer takes its lowest free places.
HT_INLINE picks pick_two(const ht_nm_column_lines *lines, size_t place, size_t column, const shape s) {
    const __m512i magnitude = _mm512_set1_epi32(0x7fffffff), zero = _mm512_setzero_si512(), one = _mm512_set1_epi32(1);
    __m512i best = _mm512_set1_epi32(-1), value = zero, index = zero, next = best, next_value = zero, next_index = one;
    HT_UNROLL
    for (size_t j = 0; j < s.m; j++) {
        __mmask16 named;
        const __m512i v = load_place(lines, place + j, column, s, &named), key = _mm512_and_si512(v, magnitude);
        const __m512i number = _mm512_set1_epi32((int)j);
        const __mmask16 is_best = _mm512_mask_cmpgt_epi32_mask(named, key, best);
        const __mmask16 is_next = _mm512_mask_cmpgt_epi32_mask(named, key, next);
        next = where(is_best, best, where(is_next, key, next));
        next_value = where(is_best, value, where(is_next, v, next_value));
        next_index = where(is_best, index, where(is_next, number, next_index));
        best = where(is_best, key, best);
        value = where(is_best, v, value);
        index = where(is_best, number, index);
    }
    // Where there is one, the other is place 0, or 1 where that one is place 0.
    const __mmask16 single = _mm512_cmplt_epi32_mask(next, zero);
    const __mmask16 none = _mm512_cmplt_epi32_mask(best, zero);
    next_index = where(single, where(_mm512_testn_epi32_mask(index, index), one, zero), next_index);
    next_value = where(single, zero, next_value);
    index = where(none, zero, index);
    const __mmask16 swapped = _mm512_cmpgt_epi32_mask(index, next_index);
    return (picks){{where(swapped, next_value, value), where(swapped, value, next_value)},
                   {where(swapped, next_index, index), where(swapped, index, next_index)}};
}

// All pairs of four places at once: a difference is negative where the later one is larger, and 0 where that is not
// named; those without a name rank below all that have one. Bound: 14 operations, 8 shuffles that expand, 4 loads of
// masks and 12 operations behind them on two ports, 19 cycles for 64 weights.
HT_INLINE picks pick_two_of_four(const ht_nm_column_lines *lines, size_t place, size_t column, const shape s) {
    const __m512i magnitude = _mm512_set1_epi32(0x7fffffff), none = _mm512_set1_epi32(-1);
    __mmask16 named[4];
    __m512i v[4], key[4];
    HT_UNROLL
    for (size_t j = 0; j < 4; j++) {
        v[j] = load_place(lines, place + j, column, s, &named[j]);
        key[j] = _mm512_mask_and_epi32(none, named[j], v[j], magnitude);
    }
    const __m512i d01 = _mm512_maskz_sub_epi32(named[1], key[0], key[1]);
    const __m512i d02 = _mm512_maskz_sub_epi32(named[2], key[0], key[2]);
    const __m512i d12 = _mm512_maskz_sub_epi32(named[2], key[1], key[2]);
    const __m512i d03 = _mm512_maskz_sub_epi32(named[3], key[0], key[3]);
    const __m512i d13 = _mm512_maskz_sub_epi32(named[3], key[1], key[3]);
    const __m512i d23 = _mm512_maskz_sub_epi32(named[3], key[2], key[3]);
    const __mmask16 keep0 = _mm512_movepi32_mask(_mm512_ternarylogic_epi32(d01, d02, d03, 0x17));
    const __mmask16 keep1 = _mm512_movepi32_mask(_mm512_ternarylogic_epi32(d01, d12, d13, 0x71));
    const __mmask16 keep2 = _mm512_movepi32_mask(_mm512_ternarylogic_epi32(d02, d12, d23, 0xd4));
    const __mmask16 keep3 = _mm512_movepi32_mask(_mm512_ternarylogic_epi32(d03, d13, d23, 0xe8));
    const __m512i one = _mm512_set1_epi32(1), two = _mm512_set1_epi32(2), three = _mm512_set1_epi32(3);
    return (picks){
        {where(keep0, v[0], where(keep1, v[1], v[2])), where(keep3, v[3], where(keep2, v[2], v[1]))},
        {where(keep0, _mm512_setzero_si512(), where(keep1, one, two)), where(keep3, three, where(keep2, two, one))}};
}

HT_INLINE picks pick(const ht_nm_column_lines *lines, size_t place, size_t column, const shape s, const size_t first) {
    if (s.n == 1) return pick_one(lines, place, column, s, first);
    return s.m == 4 ? pick_two_of_four(lines, place, column, s) : pick_two(lines, place, column, s);
}

// Four words of 16 columns, in lanes, become a line of each of four bundles.
HT_INLINE void store_line(const __m512i word[4], char *to, size_t bundle_bytes, bool streams) {
    const __m512i low01 = _mm512_shuffle_i32x4(word[0], word[1], 0x44);
    const __m512i high01 = _mm512_shuffle_i32x4(word[0], word[1], 0xee);
    const __m512i low23 = _mm512_shuffle_i32x4(word[2], word[3], 0x44);
    const __m512i high23 = _mm512_shuffle_i32x4(word[2], word[3], 0xee);
    store_whole(to, _mm512_shuffle_i32x4(low01, low23, 0x88), streams);
    store_whole(to + bundle_bytes, _mm512_shuffle_i32x4(low01, low23, 0xdd), streams);
    store_whole(to + 2 * bundle_bytes, _mm512_shuffle_i32x4(high01, high23, 0x88), streams);
    store_whole(to + 3 * bundle_bytes, _mm512_shuffle_i32x4(high01, high23, 0xdd), streams);
}

HT_INLINE void store_three_bytes(uint8_t *to, __m128i fields) {
    const __m128i pack = _mm_setr_epi8(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, -1, -1, -1, -1);
    const __m128i bytes = _mm_shuffle_epi8(fields, pack);
    _mm_storel_epi64((__m128i *)(void *)to, bytes);
    store_field(to + 8, (uint32_t)_mm_extract_epi32(bytes, 2), 4);
}

HT_INLINE void store_fields(__m512i fields, const shape s, uint8_t *to, size_t bundle_bytes) {
    __m128i bundle[4] = {_mm512_castsi512_si128(fields), _mm512_extracti32x4_epi32(fields, 1),
                         _mm512_extracti32x4_epi32(fields, 2), _mm512_extracti32x4_epi32(fields, 3)};
    HT_UNROLL
    for (size_t i = 0; i < 4; i++, to += bundle_bytes) {
        if (s.field_bytes == 3)
            store_three_bytes(to, bundle[i]);
        else
            _mm_storeu_si128((__m128i *)(void *)to, bundle[i]);
    }
}

// A unit of index fields of 16 columns, and the lines of its slots.
HT_INLINE void pack_unit(const ht_nm_column_lines *lines, size_t unit, size_t column, const shape s, char *values,
                         uint8_t *fields) {
    const size_t line_slots = s.halves ? 8 : 4, bundle_values = s.slots * 16 / (s.halves ? 2 : 1);
    size_t place = unit * s.unit_slots / s.n * s.m;
    __m512i field = _mm512_setzero_si512();
    values += unit * s.unit_slots / line_slots * HT_ALIGNMENT;
    for (size_t slot = 0; slot < s.unit_slots; values += HT_ALIGNMENT) {
        __m512i value[8];
        HT_UNROLL
        for (size_t i = 0; i < line_slots; i += s.n, slot += s.n, place += s.m) {
            // Of two groups of two, the second is in the same window of four.
            const size_t first = s.m == 2 ? i % 2 * 2 : 0;
            const picks p = pick(lines, place, column, s, first);
            HT_UNROLL
            for (size_t j = 0; j < s.n; j++) {
                const __m512i shift = _mm512_set1_epi32((int)((slot + j) * s.index_bits));
                value[i + j] = p.value[j];
                field = _mm512_or_si512(field, _mm512_sllv_epi32(p.index[j], shift));
            }
        }
        if (s.halves) HT_UNROLL
        for (size_t i = 0; i < 4; i++)
            value[i] = _mm512_ternarylogic_epi32(rounded(value[2 * i]), _mm512_set1_epi32((int)0xffff0000),
                                                 _mm512_srli_epi32(rounded(value[2 * i + 1]), 16), 0xea);
        store_line(value, values, bundle_values, lines->streams);
    }
    store_fields(field, s, fields + unit * HT_NM_QUAD * s.field_bytes, s.units * HT_NM_QUAD * s.field_bytes);
}

HT_INLINE void pack_places(const ht_nm_column_lines *lines, const shape s) {
    const size_t bundle_values = s.slots * 16 / (s.halves ? 2 : 1), bundle_fields = s.units * 4 * s.field_bytes;
    for (size_t column = 0; column < lines->columns; column += LINE) {
        char *values = (char *)lines->values + column / HT_NM_QUAD * bundle_values;
        uint8_t *fields = lines->fields + column / HT_NM_QUAD * bundle_fields;
        for (size_t unit = 0; unit < s.units; unit++) pack_unit(lines, unit, column, s, values, fields);
    }
}

// MARK: patterns

#define EACH_PATTERN(run, halves)                                    \
    switch (l->n << 8 | l->m) {                                      \
    case 1 << 8 | 2: run(lines, shape_of(1, 2, 2, halves)); break;   \
    case 1 << 8 | 4: run(lines, shape_of(1, 4, 2, halves)); break;   \
    case 2 << 8 | 4: run(lines, shape_of(2, 4, 2, halves)); break;   \
    case 1 << 8 | 8: run(lines, shape_of(1, 8, 3, halves)); break;   \
    case 2 << 8 | 8: run(lines, shape_of(2, 8, 3, halves)); break;   \
    case 1 << 8 | 16: run(lines, shape_of(1, 16, 4, halves)); break; \
    case 2 << 8 | 16: run(lines, shape_of(2, 16, 4, halves)); break; \
    default: break;                                                  \
    }

static void pack_rows(const ht_nm_layout *l, const ht_nm_row_lines *lines) {
    if (l->code == HT_NM_CODE_MAP) {
        pack_quad(lines, shape_of(l->n, l->m, 1, l->value_bytes == 2));
    } else if (l->value_bytes == 2) {
        EACH_PATTERN(pack_quad, true)
    } else {
        EACH_PATTERN(pack_quad, false)
    }
}

static void pack_columns(const ht_nm_layout *l, const ht_nm_column_lines *lines) {
    if (l->value_bytes == 2) {
        EACH_PATTERN(pack_places, true)
    } else {
        EACH_PATTERN(pack_places, false)
    }
}

static void finish(void) { _mm_sfence(); }

static const ht_nm_step_calls calls = {pack_rows, pack_columns, finish};

const ht_nm_step_calls *ht_nm_step_pack_avx512(void) { return &calls; }

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
