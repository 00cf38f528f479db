// SPDX-License-Identifier: Apache-2.0
// Masks by magnitude with groups in the lanes of vectors: included behind the words of an ISA,
//   ht_keys, HT_KEYS            a vector of 32-bit integers, and how many
//   ht_splat, ht_larger, ht_smaller, ht_and, ht_or, ht_add, ht_sub, ht_right (by a literal)
//   ht_or_where_reached, ht_or_where_above(word, bit, key, least)   word | bit where key >= least, key > least
//   ht_lowest(word, room)       its lowest set bit where room > 0, else 0
//   ht_is_any, ht_is_same       whether any bit is set; whether two vectors are the same
//   ht_less_one_where(a, word)  a - 1 where word is not 0
// Keys are |w| as integers, or -1 below all of them. A word holds what is kept of a group, bit j for column j.
#ifndef HT_MASKS_LANES_H
#define HT_MASKS_LANES_H

#include <stdbool.h>

#include "core/simd.h"

enum { HT_WORD = 32, HT_MOST_COLUMNS = 64 };

// MARK: sorting, the largest first

HT_INLINE void ht_exchange(ht_keys *a, ht_keys *b) {
    const ht_keys larger = ht_larger(*a, *b);
    *b = ht_smaller(*a, *b);
    *a = larger;
}

// Batcher's odd-even merge of two sorted halves, one step at a time: all literals, so that keys stay in registers.
HT_INLINE void ht_merge_halves(ht_keys *a, const size_t half) {
    HT_UNROLL
    for (size_t i = 0; i < half; i++) ht_exchange(a + i, a + half + i);
}

HT_INLINE void ht_merge_apart(ht_keys *a, const size_t size, const size_t apart) {
    HT_UNROLL
    for (size_t i = apart; i < size - apart; i++)
        if (i / apart % 2) ht_exchange(a + i, a + i + apart);
}

HT_INLINE void ht_sort_4(ht_keys *a) {
    ht_exchange(a, a + 1);
    ht_exchange(a + 2, a + 3);
    ht_merge_halves(a, 2);
    ht_exchange(a + 1, a + 2);
}

HT_INLINE void ht_sort_8(ht_keys *a) {
    ht_sort_4(a);
    ht_sort_4(a + 4);
    ht_merge_halves(a, 4);
    ht_merge_apart(a, 8, 2);
    ht_merge_apart(a, 8, 1);
}

HT_INLINE void ht_sort_16(ht_keys *a) {
    ht_sort_8(a);
    ht_sort_8(a + 8);
    ht_merge_halves(a, 8);
    ht_merge_apart(a, 16, 4);
    ht_merge_apart(a, 16, 2);
    ht_merge_apart(a, 16, 1);
}

HT_INLINE void ht_sort_constant(ht_keys *a, const size_t size) {
    if (size == 4) ht_sort_4(a);
    if (size == 8) ht_sort_8(a);
    if (size == 16) ht_sort_16(a);
}

// Any power of two.
static void ht_sort(ht_keys *a, size_t size) {
    for (size_t half = 1; half < size; half *= 2)
        for (size_t at = 0; at < size; at += 2 * half) {
            for (size_t i = at; i < at + half; i++) ht_exchange(a + i, a + half + i);
            for (size_t apart = half / 2; apart; apart /= 2)
                for (size_t j = at + apart; j + apart < at + 2 * half; j += 2 * apart)
                    for (size_t i = j; i < j + apart; i++) ht_exchange(a + i, a + i + apart);
        }
}

// MARK: the least key that is kept

HT_INLINE ht_keys ht_largest(const ht_keys *key, const size_t count) {
    ht_keys first = key[0];
    HT_UNROLL
    for (size_t j = 1; j < count; j++) first = ht_larger(first, key[j]);
    return first;
}

HT_INLINE ht_keys ht_second(const ht_keys *key, const size_t count) {
    ht_keys first = ht_larger(key[0], key[1]), second = ht_smaller(key[0], key[1]);
    HT_UNROLL
    for (size_t j = 2; j < count; j++) {
        second = ht_larger(second, ht_smaller(first, key[j]));
        first = ht_larger(first, key[j]);
    }
    return second;
}

// The largest of both sorted halves are the larger of the i-th largest of one and the i-th least of the other.
HT_INLINE ht_keys ht_middle(const ht_keys *key, const size_t half) {
    ht_keys a[HT_MOST_COLUMNS / 2], b[HT_MOST_COLUMNS / 2];
    HT_UNROLL
    for (size_t j = 0; j < half; j++) a[j] = key[j];
    ht_sort_constant(a, half);
    HT_UNROLL
    for (size_t j = 0; j < half; j++) b[j] = key[half + j];
    ht_sort_constant(b, half);
    ht_keys least = ht_larger(a[0], b[half - 1]);
    HT_UNROLL
    for (size_t j = 1; j < half; j++) least = ht_smaller(least, ht_larger(a[j], b[half - 1 - j]));
    return least;
}

// The n-th largest of 8 or 16 keys, or of 32 where n is 1, 2 or 16.
HT_INLINE ht_keys ht_least_kept(const ht_keys *key, const size_t n, const size_t m) {
    if (n == 1) return ht_largest(key, m);
    if (n == 2) return ht_second(key, m);
    if (2 * n == m) return ht_middle(key, m / 2);
    ht_keys sorted[16];
    HT_UNROLL
    for (size_t j = 0; j < m; j++) sorted[j] = key[j];
    ht_sort_constant(sorted, m);
    return sorted[n - 1];
}

// The n-th largest of any number.
static ht_keys ht_least_of_any(const ht_keys *key, size_t n, size_t m) {
    ht_keys sorted[HT_MOST_COLUMNS];
    size_t size = 1;
    while (size < m) size *= 2;
    for (size_t j = 0; j < size; j++) sorted[j] = j < m ? key[j] : ht_splat(-1);
    ht_sort(sorted, size);
    return sorted[n - 1];
}

// MARK: what is kept

HT_INLINE ht_keys ht_count_bits(ht_keys word) {
    word = ht_sub(word, ht_and(ht_right(word, 1), ht_splat(0x55555555)));
    word = ht_add(ht_and(word, ht_splat(0x33333333)), ht_and(ht_right(word, 2), ht_splat(0x33333333)));
    word = ht_and(ht_add(word, ht_right(word, 4)), ht_splat(0x0f0f0f0f));
    word = ht_add(word, ht_right(word, 8));
    return ht_and(ht_add(word, ht_right(word, 16)), ht_splat(0x3f));
}

HT_INLINE ht_keys ht_reached(const ht_keys *key, const size_t count, ht_keys least) {
    ht_keys word = ht_splat(0);
    HT_UNROLL
    for (size_t j = 0; j < count; j++) word = ht_or_where_reached(word, ht_splat((int)(1u << j)), key[j], least);
    return word;
}

static ht_keys ht_above(const ht_keys *key, size_t count, ht_keys least) {
    ht_keys word = ht_splat(0);
    for (size_t j = 0; j < count; j++) word = ht_or_where_above(word, ht_splat((int)(1u << j)), key[j], least);
    return word;
}

// Keeps of the keys that equal the least only the lowest columns. `word` holds all that reach it.
static __attribute__((noinline)) void ht_break_ties(const ht_keys *key, size_t n, size_t m, const ht_keys *least,
                                                    ht_keys *word) {
    ht_keys equal[2], room = ht_splat((int)n);
    for (size_t part = 0; part * HT_WORD < m; part++) {
        const size_t count = m - part * HT_WORD;
        const ht_keys above = ht_above(key + part * HT_WORD, count < HT_WORD ? count : HT_WORD, *least);
        equal[part] = ht_sub(word[part], above);
        word[part] = above;
        room = ht_sub(room, ht_count_bits(above));
    }
    for (size_t part = 0; part * HT_WORD < m; part++)
        for (;;) {
            const ht_keys lowest = ht_lowest(equal[part], room);
            if (!ht_is_any(lowest)) break;
            word[part] = ht_or(word[part], lowest);
            equal[part] = ht_sub(equal[part], lowest);
            room = ht_less_one_where(room, lowest);
        }
}

// The words of up to 32 columns.
HT_INLINE ht_keys ht_kept(const ht_keys *key, const size_t n, const size_t m) {
    const ht_keys least = ht_least_kept(key, n, m);
    ht_keys word = ht_reached(key, m, least);
    if (n == 1) return ht_lowest(word, ht_splat(1));
    if (!ht_is_same(ht_count_bits(word), ht_splat((int)n))) ht_break_ties(key, n, m, &least, &word);
    return word;
}

static void ht_kept_of_any(const ht_keys *key, size_t n, size_t m, ht_keys *word) {
    const ht_keys least = ht_least_of_any(key, n, m);
    ht_keys count = ht_splat(0);
    for (size_t part = 0; part * HT_WORD < m; part++) {
        const size_t columns = m - part * HT_WORD;
        word[part] = ht_reached(key + part * HT_WORD, columns < HT_WORD ? columns : HT_WORD, least);
        count = ht_add(count, ht_count_bits(word[part]));
    }
    if (!ht_is_same(count, ht_splat((int)n))) ht_break_ties(key, n, m, &least, word);
}

// MARK: pieces of rows

// Writes fields of m bits one behind the other; `count` is a multiple of 8.
static void ht_join(const uint64_t *field, size_t count, size_t m, uint8_t *bits) {
    uint64_t word = 0;
    size_t filled = 0;
    for (size_t i = 0; i < count; i++) {
        word |= field[i] << filled;
        filled += m;
        if (filled < 64) continue;
        __builtin_memcpy(bits, &word, sizeof word);
        bits += sizeof word;
        filled -= 64;
        word = filled ? field[i] >> (m - filled) : 0;
    }
    __builtin_memcpy(bits, &word, filled / 8);
}

static void ht_batch_of_any(const float *w, size_t n, size_t m, uint8_t *mask) {
    ht_keys key[HT_MOST_COLUMNS], word[2] = {ht_splat(0), ht_splat(0)};
    uint32_t words[2][HT_KEYS];
    uint64_t field[HT_KEYS];
    for (size_t j = 0; j < m; j++) key[j] = ht_load_apart(w + j, m);
    ht_kept_of_any(key, n, m, word);
    ht_store_keys(words[0], word[0]);
    ht_store_keys(words[1], word[1]);
    for (size_t i = 0; i < HT_KEYS; i++) field[i] = words[0][i] | (uint64_t)words[1][i] << 32;
    ht_join(field, HT_KEYS, m, mask);
}

typedef void ht_batch(const float *w, size_t n, size_t m, uint8_t *mask);

// Hardware prefetch alone ends with each page.
enum { HT_AHEAD = 4096 };

HT_INLINE void ht_each_batch(ht_batch *batch, const size_t step, const float *w, size_t columns, size_t n, size_t m,
                             uint8_t *mask) {
    for (; columns >= step; columns -= step, w += step, mask += step / 8) {
        for (size_t c = 0; c < step; c += 16) __builtin_prefetch((const char *)(w + c) + HT_AHEAD);
        batch(w, n, m, mask);
    }
    if (columns == 0) return;
    float last[HT_MOST_COLUMNS * HT_KEYS];
    uint8_t bits[sizeof last / sizeof *last / 8];
    __builtin_memcpy(last, w, columns * sizeof *w);
    __builtin_memset(last + columns, 0, (step - columns) * sizeof *w);
    batch(last, n, m, bits);
    __builtin_memcpy(mask, bits, columns / 8);
    if (columns % 8) mask[columns / 8] = bits[columns / 8] & (uint8_t)((1 << columns % 8) - 1);
}

static void ht_keep_all(size_t columns, uint8_t *mask) {
    __builtin_memset(mask, 0xff, columns / 8);
    if (columns % 8) mask[columns / 8] = (uint8_t)((1 << columns % 8) - 1);
}

#endif
