// SPDX-License-Identifier: Apache-2.0
// What the searches need, with the vectors of any ISA. Included behind the vocabulary of an ISA's file: ht_bits,
// vectors of HT_BITS_WORDS words; ht_ints, vectors of HT_INTS numbers of 32 bits, and ht_where, which of them.
#ifndef HT_MASKS_SEARCH_CODE_H
#define HT_MASKS_SEARCH_CODE_H

#include <string.h>

#include "search.h"

// MARK: counting bits
// Bit c of plane i is bit i of the count at c.

// Adds two bits to a plane, in two operations; returns the carry.
HT_INLINE ht_bits add2(ht_bits *plane, ht_bits a, ht_bits b) {
    const ht_bits carry = ht_majority(*plane, a, b);
    *plane = ht_odd(*plane, a, b);
    return carry;
}

HT_INLINE ht_bits add4(ht_bits *plane, const ht_bits x[4]) {
    const ht_bits low = add2(plane, x[0], x[1]), high = add2(plane, x[2], x[3]);
    return add2(plane + 1, low, high);
}

HT_INLINE ht_bits add8(ht_bits *plane, const ht_bits x[8]) {
    const ht_bits low = add4(plane, x), high = add4(plane, x + 4);
    return add2(plane + 2, low, high);
}

HT_INLINE ht_bits add16(ht_bits *plane, const ht_bits x[16]) {
    const ht_bits low = add8(plane, x), high = add8(plane, x + 8);
    return add2(plane + 3, low, high);
}

HT_INLINE void add_carry(ht_bits *plane, const size_t planes, ht_bits carry) {
    HT_UNROLL
    for (size_t i = 0; i < planes; i++) {
        const ht_bits old = plane[i];
        plane[i] = ht_bxor(old, carry);
        carry = ht_band(old, carry);
    }
}

// MARK: blocks

enum { BLOCK_PLANES = 7 };

HT_INLINE ht_bits bits_at(const ht_bit_rows *rows, size_t row, size_t word, const size_t count) {
    return row < count ? ht_bload(rows->row[row] + word) : ht_bzero();
}

HT_INLINE void count_rows(const ht_bit_rows *rows, size_t word, const size_t count, ht_bits plane[BLOCK_PLANES]) {
    ht_bits x[16];
    HT_UNROLL
    for (size_t i = 0; i < BLOCK_PLANES; i++) plane[i] = ht_bzero();
    for (size_t row = 0; row < count; row += 16) {
        HT_UNROLL
        for (size_t i = 0; i < 16; i++) x[i] = bits_at(rows, row + i, word, count);
        if (count <= 4)
            plane[2] = add4(plane, x);
        else if (count <= 8)
            plane[3] = add8(plane, x);
        else
            add_carry(plane + 4, 3, add16(plane, x));
    }
}

// Where the count is n or more.
HT_INLINE ht_bits at_least(const ht_bits plane[BLOCK_PLANES], size_t n) {
    ht_bits is = ht_bones();
    HT_UNROLL
    for (size_t i = 0; i < BLOCK_PLANES; i++) is = ht_majority(is, plane[i], n >> i & 1 ? ht_bzero() : ht_bones());
    return n >> BLOCK_PLANES ? ht_bzero() : is;
}

// The sum of min(n, count).
HT_INLINE ht_counts add_survivors(ht_counts sum, const ht_bits plane[BLOCK_PLANES], size_t n, const size_t count) {
    const ht_bits full = at_least(plane, n);
    for (size_t i = 0; i < BLOCK_PLANES && n >> i; i++) sum = ht_add_counts(sum, ht_bandnot(full, plane[i]), i);
    for (size_t i = 0; i < BLOCK_PLANES; i++)
        if (n >> i & 1 && n <= count) sum = ht_add_counts(sum, full, i);
    return sum;
}

HT_INLINE uint64_t score_counted(const ht_bit_rows *rows, const ht_worth *worth, const size_t count) {
    ht_counts sum = ht_no_counts();
    for (size_t word = 0; word < rows->lines * HT_LINE_WORDS; word += HT_BITS_WORDS) {
        ht_bits plane[BLOCK_PLANES];
        count_rows(rows, word, count, plane);
        if (worth->scorer == HT_BIMASK_SURVIVORS)
            sum = add_survivors(sum, plane, worth->n, count);
        else
            sum = ht_add_counts(sum, at_least(plane, worth->n + 1), 0);
    }
    return ht_sum_counts(sum);
}

// Of one or two survivors no more is counted than whether there are so many.
HT_INLINE void first_two(const ht_bit_rows *rows, size_t word, const size_t count, ht_bits *one, ht_bits *two) {
    *one = *two = ht_bzero();
    for (size_t row = 0; row < count; row++) {
        const ht_bits x = ht_bload(rows->row[row] + word);
        *two = ht_bor_and(*two, *one, x);
        *one = ht_bor(*one, x);
    }
}

// Bound: loads of the rows' bits.
HT_INLINE uint64_t score_two(const ht_bit_rows *rows, const size_t count, const size_t n) {
    ht_counts sum = ht_no_counts();
    for (size_t word = 0; word < rows->lines * HT_LINE_WORDS; word += HT_BITS_WORDS) {
        ht_bits one, two;
        first_two(rows, word, count, &one, &two);
        sum = ht_add_counts(sum, one, 0);
        if (n == 2) sum = ht_add_counts(sum, two, 0);
    }
    return ht_sum_counts(sum);
}

static uint64_t score(const ht_bit_rows *rows, const ht_worth *worth) {
    if (worth->scorer == HT_BIMASK_SURVIVORS && worth->n <= 2) {
        switch (worth->n << 8 | rows->count) {
        case 0x104: return score_two(rows, 4, 1);
        case 0x108: return score_two(rows, 8, 1);
        case 0x110: return score_two(rows, 16, 1);
        case 0x204: return score_two(rows, 4, 2);
        case 0x208: return score_two(rows, 8, 2);
        case 0x210: return score_two(rows, 16, 2);
        default: return score_two(rows, ht_hidden(rows->count), worth->n);
        }
    }
    switch (rows->count) {
    case 4: return score_counted(rows, worth, 4);
    case 8: return score_counted(rows, worth, 8);
    case 16: return score_counted(rows, worth, 16);
    default: return score_counted(rows, worth, ht_hidden(rows->count));
    }
}

HT_INLINE void fill_counted(const ht_bit_rows *rows, const ht_worth *worth, uint64_t *full, const size_t count) {
    for (size_t word = 0; word < rows->lines * HT_LINE_WORDS; word += HT_BITS_WORDS) {
        ht_bits plane[BLOCK_PLANES];
        count_rows(rows, word, count, plane);
        ht_bits is = at_least(plane, worth->n);
        if (worth->scorer == HT_BIMASK_ELIGIBLE) is = ht_bandnot(at_least(plane, worth->n + 1), is);
        ht_bstore(full + word, is);
    }
}

HT_INLINE void fill_two(const ht_bit_rows *rows, uint64_t *full, const size_t count, const size_t n) {
    for (size_t word = 0; word < rows->lines * HT_LINE_WORDS; word += HT_BITS_WORDS) {
        ht_bits one, two;
        first_two(rows, word, count, &one, &two);
        ht_bstore(full + word, n == 2 ? two : one);
    }
}

static void fill(const ht_bit_rows *rows, const ht_worth *worth, uint64_t *full) {
    if (worth->scorer == HT_BIMASK_SURVIVORS && worth->n <= 2) {
        switch (worth->n << 8 | rows->count) {
        case 0x103: fill_two(rows, full, 3, 1); break;
        case 0x10f: fill_two(rows, full, 15, 1); break;
        case 0x203: fill_two(rows, full, 3, 2); break;
        default: fill_two(rows, full, ht_hidden(rows->count), worth->n);
        }
        return;
    }
    switch (rows->count) {
    case 3: fill_counted(rows, worth, full, 3); break;
    case 7: fill_counted(rows, worth, full, 7); break;
    case 15: fill_counted(rows, worth, full, 15); break;
    default: fill_counted(rows, worth, full, ht_hidden(rows->count));
    }
}

// MARK: costs

enum { LINE_PLANES = 10, LIST_STEP = 8, LONG_STEP = 32, ROWS_AHEAD = 4 };

// The lines of the table that a row adds up, as offsets in bytes; behind them the zeros that follow the table.
HT_INLINE size_t list_lines(const uint64_t *bits, uint16_t *list) {
    size_t count = ht_list_bits(bits, list);
    while (count % LIST_STEP) list[count++] = HT_LINE_BITS * HT_LINE_WORDS * sizeof(uint64_t);
    return count;
}

HT_INLINE void load_lines(const char *table, const uint16_t *list, ht_bits *x, const size_t count) {
    HT_UNROLL
    for (size_t i = 0; i < count; i++) x[i] = ht_bload((const uint64_t *)(const void *)(table + list[i]));
}

// Bound: two operations on two ports and a load for each line, but for a fifth more of carries and lists.
HT_INLINE void add_lines(const char *table, const uint16_t *list, size_t count, ht_bits plane[LINE_PLANES]) {
    HT_UNROLL
    for (size_t i = 0; i < LINE_PLANES; i++) plane[i] = ht_bzero();
    for (; count >= LONG_STEP; count -= LONG_STEP, list += LONG_STEP) {
        ht_bits x[16];
        load_lines(table, list, x, 16);
        const ht_bits low = add16(plane, x);
        load_lines(table, list + 16, x, 16);
        const ht_bits high = add16(plane, x);
        add_carry(plane + 5, LINE_PLANES - 5, add2(plane + 4, low, high));
    }
    for (; count; count -= LIST_STEP, list += LIST_STEP) {
        ht_bits x[LIST_STEP];
        load_lines(table, list, x, LIST_STEP);
        add_carry(plane + 3, LINE_PLANES - 3, add8(plane, x));
    }
}

HT_INLINE void add_planes(uint64_t *sums, size_t planes, const ht_bits plane[LINE_PLANES], bool is_first) {
    ht_bits carry = ht_bzero();
    for (size_t i = 0; i < planes; i++, sums += HT_LINE_WORDS) {
        const ht_bits more = i < LINE_PLANES ? plane[i] : ht_bzero(), old = is_first ? ht_bzero() : ht_bload(sums);
        ht_bstore(sums, ht_odd(old, more, carry));
        carry = ht_majority(old, more, carry);
    }
}

static void add_costs(const ht_costs_task *task) {
    const size_t first = task->line * HT_LINE_WORDS;
    for (size_t r = 0; r < task->rows.count; r++) {
        uint16_t list[HT_LINE_BITS + 64];
        if (r + ROWS_AHEAD < task->rows.count) __builtin_prefetch(task->rows.row[r + ROWS_AHEAD] + first);
        const size_t count = list_lines(task->rows.row[r] + first, list);
        uint64_t *sums = task->sums + r * task->planes * HT_LINE_WORDS;
        for (size_t word = 0; word < HT_LINE_WORDS; word += HT_BITS_WORDS) {
            ht_bits plane[LINE_PLANES];
            add_lines((const char *)(task->table + word), list, count, plane);
            add_planes(sums + word, task->planes, plane, task->line == 0);
        }
    }
}

// Eight planes make bytes, of which up to four make a number.
static void spread(const uint64_t *sums, size_t planes, size_t count, int32_t *costs, int32_t *least) {
    for (size_t j = 0; j < count; j += HT_BYTES) {
        ht_ints cost[HT_BYTES / HT_INTS];
        for (size_t first = 0; first < planes; first += 8) {
            ht_bytes bytes = ht_no_bytes();
            for (size_t i = first; i < ht_min(planes, first + 8); i++)
                bytes = ht_add_bit(bytes, sums + i * HT_LINE_WORDS, j, i - first);
            HT_UNROLL
            for (size_t v = 0; v < HT_BYTES / HT_INTS; v++) {
                const ht_ints part = ht_widen(bytes, v, first);
                cost[v] = first ? ht_iadd(cost[v], part) : part;
            }
        }
        for (size_t v = 0; v < ht_min(HT_BYTES, count - j) / HT_INTS; v++) {
            int32_t *of = least + j + v * HT_INTS;
            ht_istore(costs + j + v * HT_INTS, cost[v]);
            ht_istore(of, ht_imin(ht_iload(of), cost[v]));
        }
    }
}

// MARK: assignment

HT_INLINE size_t first_equal(const int32_t *cost, const int32_t *price, int32_t value, size_t from, size_t count) {
    for (size_t j = from / HT_INTS * HT_INTS; j < count; j += HT_INTS) {
        uint32_t equal = ht_equal(ht_isub(ht_iload(cost + j), ht_iload(price + j)), ht_isplat(value));
        if (j < from) equal &= ~0u << (from - j);
        if (equal) return j + (size_t)__builtin_ctz(equal);
    }
    return count;
}

static ht_two_smallest two_smallest(const int32_t *cost, const int32_t *price, size_t count) {
    ht_ints first = ht_isplat(INT32_MAX), second = first;
    for (size_t j = 0; j < count; j += HT_INTS) {
        const ht_ints value = ht_isub(ht_iload(cost + j), ht_iload(price + j));
        second = ht_imin(second, ht_imax(first, value));
        first = ht_imin(first, value);
    }
    ht_two_smallest two;
    two.value[0] = ht_least(first);
    two.value[1] = ht_least(ht_without_one(first, two.value[0], second));
    two.at[0] = first_equal(cost, price, two.value[0], 0, count);
    two.at[1] = first_equal(cost, price, two.value[1], two.value[0] == two.value[1] ? two.at[0] + 1 : 0, count);
    return two;
}

// Bound: ten operations on two ports for each vector of columns.
static size_t relax(const ht_paths *p, const int32_t *cost, int32_t base, int32_t row) {
    const ht_ints offset = ht_isplat(base), by = ht_isplat(row), step = ht_isplat(HT_INTS);
    ht_ints least = ht_isplat(INT32_MAX), at = ht_isplat(0), column = ht_icount_up();
    for (size_t j = 0; j < p->count; j += HT_INTS) {
        const ht_ints way = ht_iadd(ht_isub(ht_iload(cost + j), ht_iload(p->price + j)), offset);
        const ht_ints old = ht_iload(p->distance + j), distance = ht_imin(old, way);
        ht_istore_where(p->from + j, by, ht_less(way, old));
        ht_istore(p->distance + j, distance);
        const ht_ints key = ht_iadd(ht_iadd(distance, distance), ht_iload(p->bias + j));
        at = ht_choose(ht_less(key, least), column, at);
        least = ht_imin(least, key);
        column = ht_iadd(column, step);
    }
    const ht_ints nearest = ht_isplat(ht_least(least));
    return (size_t)ht_least(ht_choose(ht_less(nearest, least), ht_isplat(INT32_MAX), at));
}

static const ht_bimask_calls calls = {score, fill, add_costs, spread, two_smallest, relax};

#endif
