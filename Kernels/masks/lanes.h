// SPDX-License-Identifier: Apache-2.0
// Masks by magnitude with groups in the lanes of vectors: included behind the words of an ISA,
//   ht_keys, HT_KEYS                  a vector of 32-bit integers, and how many
//   ht_splat, ht_larger, ht_smaller, ht_and, ht_or, ht_add, ht_sub, ht_right (by a literal)
//   ht_or_where_reached(word, bit, key, least), ht_or_where_above     word | bit where key >= least, key > least
//   ht_smaller_where(a, key, word, bit), ht_larger_unless             with key where the bit is set, is not set, else a
//   ht_lowest(word, room)             its lowest set bit where room > 0, else 0
//   ht_less_one_where(a, word)        a - 1 where word is not 0
//   ht_is_any(a), ht_is_above(a, b), ht_is_same(a, b)                 in any lane, in all lanes
//   ht_load_columns(w, m, count, key) up to HT_KEYS columns of as many groups as keys; others become 0
//   ht_load_groups(w, m, key)         all columns of M = 8, 16 or 32, lanes in the order of the words in memory
//   ht_load_words(from, m), ht_store_words(to, m, word)               words of m bits, M = 8, 16 or 32, in memory
//   ht_mask_2(w, mask), ht_mask_4(w, n, mask)                         1:2 and N:4 masks of HT_KEYS groups
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

// 8, 16, 32 or 64.
static void ht_sort(ht_keys *a, size_t size) {
    if (size == 8) ht_sort_8(a);
    for (size_t at = 0; at + 16 <= size; at += 16) ht_sort_16(a + at);
    for (size_t half = 16; half < size; half *= 2)
        for (size_t at = 0; at < size; at += 2 * half) {
            for (size_t i = at; i < at + half; i++) ht_exchange(a + i, a + half + i);
            for (size_t apart = half / 2; apart; apart /= 2)
                for (size_t j = at + apart; j + apart < at + 2 * half; j += 2 * apart)
                    for (size_t i = j; i < j + apart; i++) ht_exchange(a + i, a + i + apart);
        }
}

// MARK: the least key that is kept

// What goes through all columns goes through every fourth of them: one chain would be longer than the rest takes.
enum { HT_CHAINS = 4 };

HT_INLINE ht_keys ht_largest(const ht_keys *key, const size_t count) {
    ht_keys first[HT_CHAINS] = {key[0], key[1], key[2], key[3]};
    HT_UNROLL
    for (size_t j = HT_CHAINS; j < count; j++) first[j % HT_CHAINS] = ht_larger(first[j % HT_CHAINS], key[j]);
    return ht_larger(ht_larger(first[0], first[1]), ht_larger(first[2], first[3]));
}

HT_INLINE ht_keys ht_smallest(const ht_keys *key, const size_t count) {
    ht_keys last[HT_CHAINS] = {key[0], key[1], key[2], key[3]};
    HT_UNROLL
    for (size_t j = HT_CHAINS; j < count; j++) last[j % HT_CHAINS] = ht_smaller(last[j % HT_CHAINS], key[j]);
    return ht_smaller(ht_smaller(last[0], last[1]), ht_smaller(last[2], last[3]));
}

// The two largest of a and b, of which each has two.
HT_INLINE void ht_merge_two(ht_keys *a, const ht_keys *b) {
    a[1] = ht_larger(ht_smaller(a[0], b[0]), ht_larger(a[1], b[1]));
    a[0] = ht_larger(a[0], b[0]);
}

HT_INLINE ht_keys ht_second(const ht_keys *key, const size_t count) {
    ht_keys two[HT_CHAINS][2];
    HT_UNROLL
    for (size_t i = 0; i < HT_CHAINS; i++) {
        two[i][0] = ht_larger(key[2 * i], key[2 * i + 1]);
        two[i][1] = ht_smaller(key[2 * i], key[2 * i + 1]);
    }
    HT_UNROLL
    for (size_t j = 2 * HT_CHAINS; j < count; j++) {
        ht_keys *a = two[j % HT_CHAINS];
        a[1] = ht_larger(a[1], ht_smaller(a[0], key[j]));
        a[0] = ht_larger(a[0], key[j]);
    }
    ht_merge_two(two[0], two[1]);
    ht_merge_two(two[2], two[3]);
    ht_merge_two(two[0], two[2]);
    return two[0][1];
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
    HT_UNROLL
    for (size_t j = 0; j < half; j++) a[j] = ht_larger(a[j], b[half - 1 - j]);
    return ht_smallest(a, half);
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
    size_t size = 8;
    while (size < m) size *= 2;
    for (size_t j = 0; j < size; j++) sorted[j] = j < m ? key[j] : ht_splat(-1);
    ht_sort(sorted, size);
    return sorted[n - 1];
}

// MARK: what is kept

// The bit of a column, for all groups. Compilers would put literals into registers by a port that shuffles need, so
// they must not see that these are literals.
HT_INLINE const uint32_t *ht_bits(void) {
#define EIGHT(j) 1u << (j), 2u << (j), 4u << (j), 8u << (j), 16u << (j), 32u << (j), 64u << (j), 128u << (j)
    static const uint32_t bits[HT_WORD] = {EIGHT(0), EIGHT(8), EIGHT(16), EIGHT(24)};
#undef EIGHT
    const uint32_t *hidden = bits;
    __asm__("" : "+r"(hidden));
    return hidden;
}

// Ranking is dear enough for a look at whether it is needed.
HT_INLINE bool ht_is_old_worth_it(const size_t n, const size_t m) { return m >= 16 && n > 2; }

// Of a word's first m bits; the others are 0.
HT_INLINE ht_keys ht_count_bits(ht_keys word, const size_t m) {
    word = ht_sub(word, ht_and(ht_right(word, 1), ht_splat(0x55555555)));
    word = ht_add(ht_and(word, ht_splat(0x33333333)), ht_and(ht_right(word, 2), ht_splat(0x33333333)));
    word = ht_and(ht_add(word, ht_right(word, 4)), ht_splat(0x0f0f0f0f));
    if (m <= 8) return word;
    word = ht_add(word, ht_right(word, 8));
    if (m > 16) word = ht_add(word, ht_right(word, 16));
    return ht_and(word, ht_splat(0x3f));
}

HT_INLINE ht_keys ht_reached(const ht_keys *key, const size_t count, ht_keys least) {
    const uint32_t *bits = ht_bits();
    ht_keys word[HT_CHAINS] = {ht_splat(0), ht_splat(0), ht_splat(0), ht_splat(0)};
    HT_UNROLL
    for (size_t j = 0; j < count; j++)
        word[j % HT_CHAINS] = ht_or_where_reached(word[j % HT_CHAINS], ht_splat((int)bits[j]), key[j], least);
    return ht_or(ht_or(word[0], word[1]), ht_or(word[2], word[3]));
}

static ht_keys ht_above(const ht_keys *key, size_t count, ht_keys least) {
    const uint32_t *bits = ht_bits();
    ht_keys word = ht_splat(0);
    for (size_t j = 0; j < count; j++) word = ht_or_where_above(word, ht_splat((int)bits[j]), key[j], least);
    return word;
}

// Of groups of more than 32 columns the words have two parts.
HT_INLINE size_t ht_part_columns(size_t m, size_t part) {
    return m - part * HT_WORD < HT_WORD ? m - part * HT_WORD : HT_WORD;
}

// Keeps of the keys that equal the least only the lowest columns. `word` holds all that reach it.
static __attribute__((noinline)) void ht_break_ties(const ht_keys *key, size_t n, size_t m, const ht_keys *least,
                                                    ht_keys *word) {
    ht_keys equal[2], room = ht_splat((int)n);
    for (size_t part = 0; part * HT_WORD < m; part++) {
        const ht_keys above = ht_above(key + part * HT_WORD, ht_part_columns(m, part), *least);
        equal[part] = ht_sub(word[part], above);
        word[part] = above;
        room = ht_sub(room, ht_count_bits(above, HT_WORD));
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

// Of up to 32 columns.
HT_INLINE ht_keys ht_kept(const ht_keys *key, const size_t n, const size_t m) {
    const ht_keys least = ht_least_kept(key, n, m);
    ht_keys word = ht_reached(key, m, least);
    if (n == 1) return ht_lowest(word, ht_splat(1));
    if (!ht_is_same(ht_count_bits(word, m), ht_splat((int)n))) ht_break_ties(key, n, m, &least, &word);
    return word;
}

static void ht_kept_of_any(const ht_keys *key, size_t n, size_t m, ht_keys *word) {
    const ht_keys least = ht_least_of_any(key, n, m);
    ht_keys count = ht_splat(0);
    for (size_t part = 0; part * HT_WORD < m; part++) {
        word[part] = ht_above(key + part * HT_WORD, ht_part_columns(m, part), ht_sub(least, ht_splat(1)));
        count = ht_add(count, ht_count_bits(word[part], m));
    }
    if (!ht_is_same(count, ht_splat((int)n))) ht_break_ties(key, n, m, &least, word);
}

// The least that a word keeps, and the most that it does not.
typedef struct ht_limits {
    ht_keys least, most;
} ht_limits;

HT_INLINE void ht_meet(ht_limits *limits, ht_keys key, ht_keys word, ht_keys bit) {
    limits->least = ht_smaller_where(limits->least, key, word, bit);
    limits->most = ht_larger_unless(limits->most, key, word, bit);
}

// Whether the words say what is kept. Where what is kept and what is not meet in equals, this is not known.
HT_INLINE bool ht_is_kept(const ht_keys *key, const size_t n, const size_t m, ht_keys word) {
    const uint32_t *bits = ht_bits();
    ht_limits limits = {ht_splat(INT32_MAX), ht_splat(-1)};
    HT_UNROLL
    for (size_t j = 0; j < m; j++) ht_meet(&limits, key[j], word, ht_splat((int)bits[j]));
    return ht_is_above(limits.least, limits.most) && ht_is_same(ht_count_bits(word, m), ht_splat((int)n));
}

static bool ht_is_kept_of_any(const ht_keys *key, size_t n, size_t m, const ht_keys *word) {
    const uint32_t *bits = ht_bits();
    const ht_keys count = ht_add(ht_count_bits(word[0], HT_WORD), ht_count_bits(word[1], HT_WORD));
    ht_limits limits = {ht_splat(INT32_MAX), ht_splat(-1)};
    for (size_t j = 0; j < m; j++) ht_meet(&limits, key[j], word[j / HT_WORD], ht_splat((int)bits[j % HT_WORD]));
    return ht_is_above(limits.least, limits.most) && ht_is_same(count, ht_splat((int)n));
}

// MARK: batches of groups

HT_INLINE void ht_batch_of_words(const float *w, const size_t n, const size_t m, const uint8_t *old, uint8_t *mask) {
    ht_keys key[HT_WORD], word;
    ht_load_groups(w, m, key);
    if (old && ht_is_old_worth_it(n, m)) {
        word = ht_load_words(old, m);
        if (ht_is_kept(key, n, m, word)) {
            ht_store_words(mask, m, word);
            return;
        }
    }
    ht_store_words(mask, m, ht_kept(key, n, m));
}

// Takes HT_KEYS fields of m bits, which lie one behind the other, apart.
static void ht_split(const uint8_t *bits, size_t m, uint32_t *low, uint32_t *high) {
    uint8_t padded[HT_KEYS * HT_MOST_COLUMNS / 8 + 8];
    __builtin_memcpy(padded, bits, HT_KEYS * m / 8);
    __builtin_memset(padded + HT_KEYS * m / 8, 0, 8);
    for (size_t i = 0; i < HT_KEYS; i++) {
        const size_t at = i * m, shift = at % 8;
        uint64_t field;
        __builtin_memcpy(&field, padded + at / 8, sizeof field);
        field >>= shift;
        if (shift + m > 64) field |= (uint64_t)padded[at / 8 + 8] << (64 - shift);
        field &= UINT64_MAX >> (64 - m);
        low[i] = (uint32_t)field;
        high[i] = (uint32_t)(field >> 32);
    }
}

// And puts them there.
static void ht_join(const uint32_t *low, const uint32_t *high, size_t m, uint8_t *bits) {
    uint64_t word = 0;
    size_t filled = 0;
    for (size_t i = 0; i < HT_KEYS; i++) {
        const uint64_t field = low[i] | (uint64_t)high[i] << 32;
        word |= field << filled;
        filled += m;
        if (filled < 64) continue;
        __builtin_memcpy(bits, &word, sizeof word);
        bits += sizeof word;
        filled -= 64;
        word = filled ? field >> (m - filled) : 0;
    }
    __builtin_memcpy(bits, &word, filled / 8);
}

static void ht_batch_of_any(const float *w, size_t n, size_t m, const uint8_t *old, uint8_t *mask) {
    ht_keys key[HT_MOST_COLUMNS], word[2];
    uint32_t part[2][HT_KEYS];
    for (size_t j = 0; j < m; j += HT_KEYS) ht_load_columns(w + j, m, m - j < HT_KEYS ? m - j : HT_KEYS, key + j);
    if (!ht_is_old_worth_it(n, m)) old = NULL;
    if (old) {
        ht_split(old, m, part[0], part[1]);
        word[0] = ht_load_keys(part[0]);
        word[1] = ht_load_keys(part[1]);
    }
    if (!old || !ht_is_kept_of_any(key, n, m, word)) {
        word[1] = ht_splat(0);
        ht_kept_of_any(key, n, m, word);
    }
    ht_store_keys(part[0], word[0]);
    ht_store_keys(part[1], word[1]);
    ht_join(part[0], part[1], m, mask);
}

// `any` = n and m are no constants, or such that no other way is for them.
HT_INLINE void ht_batch(const bool any, const float *w, const size_t n, const size_t m, const uint8_t *old,
                        uint8_t *mask) {
    if (any)
        ht_batch_of_any(w, n, m, old, mask);
    else if (m == 2)
        ht_mask_2(w, mask);
    else if (m == 4)
        ht_mask_4(w, n, mask);
    else
        ht_batch_of_words(w, n, m, old, mask);
}

// MARK: pieces of rows

// Prefetch by hardware ends with each page. Pieces of fewer bytes are parts of rows, whose caller fetches.
enum { HT_AHEAD = 8192, HT_LEAST_AHEAD = 4096 };

HT_INLINE void ht_each_batch(const bool any, const float *w, size_t columns, const size_t n, const size_t m,
                             const uint8_t *old, uint8_t *mask) {
    const size_t step = HT_KEYS * m, bytes = step / 8, ahead = columns * sizeof *w < HT_LEAST_AHEAD ? 0 : HT_AHEAD;
    for (; columns >= step; columns -= step, w += step, mask += bytes) {
        for (size_t c = 0; c < step && ahead; c += 16) __builtin_prefetch((const char *)(w + c) + ahead);
        ht_batch(any, w, n, m, old, mask);
        if (old) old += bytes;
    }
    if (columns == 0) return;
    float last[HT_MOST_COLUMNS * HT_KEYS];
    uint8_t bits[HT_MOST_COLUMNS * HT_KEYS / 8];
    __builtin_memcpy(last, w, columns * sizeof *w);
    __builtin_memset(last + columns, 0, (step - columns) * sizeof *w);  // zeros behind all others are kept last
    ht_batch(any, last, n, m, NULL, bits);
    __builtin_memcpy(mask, bits, columns / 8);
    if (columns % 8) mask[columns / 8] = bits[columns / 8] & (uint8_t)((1 << columns % 8) - 1);
}

static void ht_keep_all(size_t columns, uint8_t *mask) {
    __builtin_memset(mask, 0xff, columns / 8);
    if (columns % 8) mask[columns / 8] = (uint8_t)((1 << columns % 8) - 1);
}

static void ht_mask_piece(const float *w, size_t columns, size_t n, size_t m, const uint8_t *old, uint8_t *mask) {
#define RUN(any, n, m) ht_each_batch(any, w, columns, n, m, old, mask)
#define CASE(n, m) \
    case (n) << 8 | (m): RUN(false, n, m); break
    switch (n << 8 | m) {
        CASE(1, 2);
        CASE(1, 4);
        CASE(2, 4);
        CASE(3, 4);
        CASE(1, 8);
        CASE(2, 8);
        CASE(4, 8);
        CASE(1, 16);
        CASE(2, 16);
        CASE(8, 16);
        CASE(16, 32);
    default:
        if (n == m)
            ht_keep_all(columns, mask);
        else if (m == 8)
            RUN(false, n, 8);
        else if (m == 16)
            RUN(false, n, 16);
        else
            RUN(true, n, m);
    }
#undef CASE
#undef RUN
}

#endif
