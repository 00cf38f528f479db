// SPDX-License-Identifier: Apache-2.0
// Masks that are N:M both ways with a tile in each lane: included behind the vocabulary of 32-bit integers of an ISA.
// transposable.h says what is done to a tile, and README.md what bounds it.
#ifndef HT_MASKS_TRANSPOSABLE_LANES_H
#define HT_MASKS_TRANSPOSABLE_LANES_H

#include <stdbool.h>
#include <string.h>

#include "core/floats.h"
#include "core/simd.h"
#include "transposable.h"

enum { most = HT_TRANSPOSABLE_MOST, no_way = -(1 << 30) };

typedef int32_t lanes[HT_LANES];

// Tiles side by side. Places of a row are `pitch` apart, M rounded up to the columns that paths are counted in at once.
typedef struct block {
    _Alignas(64) lanes weight[most * most];
    lanes price[most], row_price[most];
    lanes kept[most];  // of a row, a bit for each column
    lanes surplus, deficit;
    lanes before[most], is_exact;  // kept before, and whether that is the best
    lanes each[most * most];  // the most that a row gains by one column instead of another: [from][to]
    lanes reach[most + 1][most];  // the best of paths to a column with so many steps or fewer
} block;

typedef struct shape {
    size_t n, m, pitch, network;  // network: how many values are sorted at once
} shape;

enum { at_once = 4 };  // columns that steps begin at, and end at

HT_INLINE shape shape_of(size_t n, size_t m) {
    return (shape){n, m, ht_round_up(m, at_once), m <= 4 ? 4 : m <= 8 ? 8 : m <= 16 ? 16 : 32};
}

HT_INLINE ht_ints at(const lanes *values, size_t i) { return ht_iload(values[i]); }

// MARK: weights

// |w| as the bits of a float.
HT_INLINE uint32_t magnitude_at(const void *row, size_t i, ht_dtype dtype) {
    if (dtype == HT_DTYPE_F32) return ((const uint32_t *)row)[i] & 0x7fffffff;
    const uint16_t half = ((const uint16_t *)row)[i] & 0x7fff;
    return dtype == HT_DTYPE_BF16 ? (uint32_t)half << 16 : ht_bits_of_f32(ht_f16_to_f32(half));
}

// Lanes that have no tile get the last one again.
HT_INLINE void load_magnitudes(const ht_transposable_task *task, shape s, size_t column, block *b, ht_dtype dtype) {
    const size_t left = task->columns - column, tiles = ht_min(HT_LANES, ht_ceil_div(left, s.m));
    for (size_t i = 0; i < task->rows; i++) {
        const char *row = (const char *)task->w + i * task->w_stride + column * ht_dtype_size(dtype);
        for (size_t lane = 0; lane < HT_LANES; lane++) {
            const size_t first = ht_min(lane, tiles - 1) * s.m, columns = ht_min(s.m, left - first);
            for (size_t j = 0; j < columns; j++)
                b->weight[i * s.pitch + j][lane] = (int32_t)magnitude_at(row, first + j, dtype);
        }
    }
}

HT_INLINE void load_whole(const ht_transposable_task *task, shape s, size_t column, block *b, ht_dtype dtype) {
    for (size_t i = 0; i < s.m; i++) {
        const char *row = (const char *)task->w + i * task->w_stride + column * ht_dtype_size(dtype);
        for (size_t j = 0; j < s.m; j++)
            for (size_t lane = 0; lane < HT_LANES; lane++)
                b->weight[i * s.pitch + j][lane] = (int32_t)magnitude_at(row, lane * s.m + j, dtype);
    }
}

HT_INLINE ht_ints exponent_of(ht_ints magnitude) { return ht_imax(ht_iright(magnitude, 23), ht_isplat(1)); }

HT_INLINE void make_integers(shape s, lanes *weight, size_t rows) {
    const ht_ints infinite = ht_isplat(255), one = ht_isplat(1);
    const int all = ht_transposable_bits(s.m);
    ht_ints highest = one, any = one;
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < s.m; j++) {
            const ht_ints exponent = exponent_of(at(weight, i * s.pitch + j));
            any = ht_imax(any, exponent);
            highest = ht_imax(highest, ht_iwhere(ht_igreater(infinite, exponent), exponent, one));
        }
    const ht_ints fewer = ht_iwhere(ht_igreater(infinite, any), ht_isplat(0), ht_isplat(ht_transposable_log(s.m) + 1));
    const ht_ints right = ht_iadd(ht_iadd(highest, fewer), ht_isplat(31 - all));
    for (size_t i = 0; i < rows; i++)
        for (size_t j = 0; j < s.m; j++) {
            const ht_ints magnitude = at(weight, i * s.pitch + j), exponent = exponent_of(magnitude);
            const ht_ints hidden = ht_isplat(0x800000), low = ht_iand(magnitude, ht_isplat(0x7fffff));
            const ht_ints fraction = ht_iwhere(ht_igreater(hidden, magnitude), low, ht_ior(low, hidden));
            const ht_ints units = ht_iright_by(ht_ileft(fraction, 7), ht_isub(right, exponent));
            const ht_ints finite = ht_iadd(units, one);
            ht_istore(weight[i * s.pitch + j], ht_iwhere(ht_igreater(infinite, exponent), finite, ht_isplat(1 << all)));
        }
}

// Behind the edges: columns of the last tile, and rows.
HT_INLINE void clear_outside(const ht_transposable_task *task, shape s, size_t column, block *b) {
    const size_t left = task->columns - column, inside = left % s.m;
    for (size_t i = task->rows; i < s.m; i++)
        for (size_t j = 0; j < s.m; j++) ht_istore(b->weight[i * s.pitch + j], ht_isplat(0));
    for (size_t lane = left / s.m; lane < HT_LANES && inside; lane++)
        for (size_t i = 0; i < task->rows; i++)
            for (size_t j = inside; j < s.m; j++) b->weight[i * s.pitch + j][lane] = 0;
}

HT_INLINE void load_typed(const ht_transposable_task *task, shape s, size_t column, block *b, ht_dtype dtype) {
    const bool is_whole = task->rows == s.m && task->columns - column >= HT_LANES * s.m;
    if (is_whole)
        load_whole(task, s, column, b, dtype);
    else
        load_magnitudes(task, s, column, b, dtype);
    // What the last tile lacks must not count in its largest weight.
    if (!is_whole) clear_outside(task, s, column, b);
    make_integers(s, b->weight, task->rows);
    if (!is_whole) clear_outside(task, s, column, b);
}

HT_INLINE void load(const ht_transposable_task *task, shape s, size_t column, block *b) {
    switch (task->dtype) {
    case HT_DTYPE_F32: load_typed(task, s, column, b, HT_DTYPE_F32); break;
    case HT_DTYPE_F16: load_typed(task, s, column, b, HT_DTYPE_F16); break;
    default: load_typed(task, s, column, b, HT_DTYPE_BF16); break;
    }
}

HT_INLINE void store(const ht_transposable_task *task, shape s, size_t column, const block *b) {
    for (size_t lane = 0; lane < HT_LANES && column < task->columns; lane++, column += s.m) {
        const size_t columns = ht_min(s.m, task->columns - column);
        const uint32_t inside = (uint32_t)(((uint64_t)1 << columns) - 1);
        for (size_t i = 0; i < task->rows; i++) {
            uint64_t bits = (uint64_t)((uint32_t)b->kept[i][lane] & inside) << column % 8;
            uint8_t *to = task->mask + i * task->mask_stride + column / 8;
            for (; bits; bits >>= 8) *to++ |= (uint8_t)bits;
        }
    }
}

// MARK: sorting

HT_INLINE void exchange(ht_ints *x, size_t i, size_t j) {
    const ht_ints first = x[i];
    x[i] = ht_imax(first, x[j]);
    x[j] = ht_imin(first, x[j]);
}

// Descending; the fewest exchanges known.
HT_INLINE void sort_4(ht_ints *x) {
    exchange(x, 0, 2), exchange(x, 1, 3), exchange(x, 0, 1), exchange(x, 2, 3), exchange(x, 1, 2);
}

HT_INLINE void sort_8(ht_ints *x) {
    exchange(x, 0, 2), exchange(x, 1, 3), exchange(x, 4, 6), exchange(x, 5, 7);
    exchange(x, 0, 4), exchange(x, 1, 5), exchange(x, 2, 6), exchange(x, 3, 7);
    exchange(x, 0, 1), exchange(x, 2, 3), exchange(x, 4, 5), exchange(x, 6, 7);
    exchange(x, 2, 4), exchange(x, 3, 5);
    exchange(x, 1, 4), exchange(x, 3, 6);
    exchange(x, 1, 2), exchange(x, 3, 4), exchange(x, 5, 6);
}

HT_INLINE void sort_16(ht_ints *x) {
    exchange(x, 0, 13), exchange(x, 1, 12), exchange(x, 2, 15), exchange(x, 3, 14), exchange(x, 4, 8),
        exchange(x, 5, 6), exchange(x, 7, 11), exchange(x, 9, 10);
    exchange(x, 0, 5), exchange(x, 1, 7), exchange(x, 2, 9), exchange(x, 3, 4), exchange(x, 6, 13), exchange(x, 8, 14),
        exchange(x, 10, 15), exchange(x, 11, 12);
    exchange(x, 0, 1), exchange(x, 2, 3), exchange(x, 4, 5), exchange(x, 6, 8), exchange(x, 7, 9), exchange(x, 10, 11),
        exchange(x, 12, 13), exchange(x, 14, 15);
    exchange(x, 0, 2), exchange(x, 1, 3), exchange(x, 4, 10), exchange(x, 5, 11), exchange(x, 6, 7), exchange(x, 8, 9),
        exchange(x, 12, 14), exchange(x, 13, 15);
    exchange(x, 1, 2), exchange(x, 3, 12), exchange(x, 4, 6), exchange(x, 5, 7), exchange(x, 8, 10), exchange(x, 9, 11),
        exchange(x, 13, 14);
    exchange(x, 1, 4), exchange(x, 2, 6), exchange(x, 5, 8), exchange(x, 7, 10), exchange(x, 9, 13),
        exchange(x, 11, 14);
    exchange(x, 2, 4), exchange(x, 3, 6), exchange(x, 9, 12), exchange(x, 11, 13);
    exchange(x, 3, 5), exchange(x, 6, 8), exchange(x, 7, 9), exchange(x, 10, 12);
    exchange(x, 3, 4), exchange(x, 5, 6), exchange(x, 7, 8), exchange(x, 9, 10), exchange(x, 11, 12);
    exchange(x, 6, 7), exchange(x, 8, 9);
}

// Two sorted halves, of which the second is met from its end, then halves of halves.
HT_INLINE void sort_32(ht_ints *x) {
    sort_16(x), sort_16(x + 16);
    HT_UNROLL
    for (size_t i = 0; i < 16; i++) exchange(x, i, 31 - i);
    for (size_t half = 8; half; half /= 2)
        for (size_t i = 0; i < 32; i++)
            if (!(i & half)) exchange(x, i, i + half);
}

HT_INLINE void sort(ht_ints *x, shape s) {
    HT_UNROLL
    for (size_t j = s.m; j < s.network; j++) x[j] = ht_isplat(INT32_MIN);
    switch (s.network) {
    case 4: sort_4(x); break;
    case 8: sort_8(x); break;
    case 16: sort_16(x); break;
    default: sort_32(x); break;
    }
}

// MARK: prices

// Of a line of weights less the prices that cross it.
HT_INLINE ht_ints price_of(shape s, const lanes *weight, size_t step, const lanes *crossing) {
    ht_ints x[most];
    HT_UNROLL
    for (size_t j = 0; j < s.m; j++) x[j] = ht_isub(at(weight, j * step), at(crossing, j));
    sort(x, s);
    return ht_ihalf(ht_iadd(x[s.n - 1], x[s.n]));
}

HT_INLINE void set_prices(shape s, block *b) {
    for (size_t j = 0; j < s.m; j++) ht_istore(b->price[j], ht_isplat(0));
    for (int sweep = 0; sweep < ht_transposable_sweeps(s.m); sweep++) {
        for (size_t i = 0; i < s.m; i++) ht_istore(b->row_price[i], price_of(s, b->weight + i * s.pitch, 1, b->price));
        for (size_t j = 0; j < s.m; j++) ht_istore(b->price[j], price_of(s, b->weight + j, s.pitch, b->row_price));
    }
}

// The n largest, of equals the lower ones, where the nth has equals behind it.
static ht_ints largest_of_equals(shape s, const ht_ints *x, ht_ints nth) {
    ht_ints kept = ht_isplat(0), room = ht_isplat((int32_t)s.n);
    for (size_t j = 0; j < s.m; j++) {
        const ht_imask above = ht_igreater(x[j], nth);
        kept = ht_iwhere(above, ht_ior(kept, ht_isplat((int32_t)((uint32_t)1 << j))), kept);
        room = ht_iwhere(above, ht_isub(room, ht_isplat(1)), room);
    }
    for (size_t j = 0; j < s.m; j++) {
        const ht_ints bit = ht_isplat((int32_t)((uint32_t)1 << j));
        const ht_ints more = ht_iwhere(ht_igreater(room, ht_isplat(0)), bit, ht_isplat(0));
        const ht_ints new = ht_iwhere(ht_iequal(x[j], nth), more, ht_isplat(0));
        kept = ht_ior(kept, new);
        room = ht_iwhere(ht_ihas(new, bit), ht_isub(room, ht_isplat(1)), room);
    }
    return kept;
}

HT_INLINE ht_ints largest(shape s, const ht_ints *x) {
    ht_ints sorted[most], kept = ht_isplat(0);
    HT_UNROLL
    for (size_t j = 0; j < s.m; j++) sorted[j] = x[j];
    sort(sorted, s);
    if (ht_iany(ht_iequal(sorted[s.n - 1], sorted[s.n]))) return largest_of_equals(s, x, sorted[s.n - 1]);
    HT_UNROLL
    for (size_t j = 0; j < s.m; j++) {
        const ht_ints bit = ht_isplat((int32_t)((uint32_t)1 << j));
        kept = ht_iwhere(ht_igreater(x[j], sorted[s.n]), ht_ior(kept, bit), kept);
    }
    return kept;
}

HT_INLINE void keep_by_rows(shape s, block *b) {
    for (size_t i = 0; i < s.m; i++) {
        ht_ints x[most];
        HT_UNROLL
        for (size_t j = 0; j < s.m; j++) x[j] = ht_isub(at(b->weight, i * s.pitch + j), at(b->price, j));
        ht_istore(b->kept[i], largest(s, x));
    }
}

// MARK: paths

// Columns that too many and too few rows keep, counted for all columns of a tile at once: a sum's bit p in digit[p].
HT_INLINE bool find_uneven(shape s, block *b) {
    const int digits = ht_transposable_log(s.m) + 1;
    const ht_ints all = ht_isplat(-1);
    ht_ints digit[6], surplus = ht_isplat(0), deficit = ht_isplat(0), equal = all;
    for (int p = 0; p < digits; p++) digit[p] = ht_isplat(0);
    for (size_t i = 0; i < s.m; i++) {
        ht_ints carry = at(b->kept, i);
        HT_UNROLL
        for (int p = 0; p < digits; p++) {
            const ht_ints next = ht_iand(digit[p], carry);
            digit[p] = ht_ixor(digit[p], carry);
            carry = next;
        }
    }
    for (int p = digits - 1; p >= 0; p--) {
        const ht_ints wanted = ht_isplat(s.n >> p & 1 ? -1 : 0), differs = ht_iand(equal, ht_ixor(digit[p], wanted));
        surplus = ht_ior(surplus, ht_iand(differs, digit[p]));
        deficit = ht_ior(deficit, ht_iand(differs, wanted));
        equal = ht_iand(equal, ht_ixor(differs, all));
    }
    ht_istore(b->surplus, surplus);
    ht_istore(b->deficit, ht_iand(deficit, ht_isplat((int32_t)(((uint64_t)1 << s.m) - 1))));
    return ht_inonzero(surplus);
}

// The steps between some columns. Where a row does not offer one, a weight is out of reach instead: a path with such a
// step is worse than any single step, which there always is between a surplus and a deficit.
HT_INLINE void find_steps_between(shape s, block *b, size_t from, size_t to) {
    ht_ints best[at_once][at_once];
    HT_UNROLL
    for (size_t f = 0; f < at_once; f++) HT_UNROLL
    for (size_t t = 0; t < at_once; t++) best[f][t] = ht_isplat(no_way);
    for (size_t i = 0; i < s.m; i++) {
        const ht_ints kept = at(b->kept, i);
        ht_ints lost[at_once], won[at_once];
        HT_UNROLL
        for (size_t c = 0; c < at_once; c++) {
            const ht_imask loses = ht_ihas(kept, ht_isplat((int32_t)((uint32_t)1 << (from + c))));
            const ht_imask has = ht_ihas(kept, ht_isplat((int32_t)((uint32_t)1 << (to + c))));
            lost[c] = ht_iwhere(loses, at(b->weight, i * s.pitch + from + c), ht_isplat(-no_way));
            won[c] = ht_iwhere(has, ht_isplat(no_way), at(b->weight, i * s.pitch + to + c));
        }
        HT_UNROLL
        for (size_t f = 0; f < at_once; f++) HT_UNROLL
        for (size_t t = 0; t < at_once; t++) best[f][t] = ht_imax(best[f][t], ht_isub(won[t], lost[f]));
    }
    HT_UNROLL
    for (size_t f = 0; f < at_once; f++) HT_UNROLL
    for (size_t t = 0; t < at_once; t++) ht_istore(b->each[(from + f) * s.pitch + to + t], best[f][t]);
}

HT_INLINE void find_steps(shape s, block *b) {
    for (size_t from = 0; from < s.m; from += at_once)
        for (size_t to = 0; to < s.m; to += at_once) find_steps_between(s, b, from, to);
}

// From reach[0] on. Returns after how many steps no path gets better, at most M, and in which lanes some still did.
HT_INLINE size_t extend_paths(shape s, block *b, ht_ints *better) {
    for (size_t steps = 1;; steps++) {
        const lanes *before = b->reach[steps - 1];
        *better = ht_isplat(0);
        for (size_t to = 0; to < s.m; to++) {
            ht_ints best = at(before, to);
            for (size_t from = 0; from < s.m; from++)
                best = ht_imax(best, ht_iadd(at(before, from), at(b->each, from * s.pitch + to)));
            ht_istore(b->reach[steps][to], best);
            *better = ht_ior(*better, ht_ixor(best, at(before, to)));
        }
        if (steps == s.m || !ht_inonzero(*better)) return steps;
    }
}

HT_INLINE void exchange_columns(shape s, block *b, size_t lane, size_t from, size_t to) {
    const int32_t gain = b->each[from * s.pitch + to][lane];
    size_t i = 0;
    for (;; i++) {
        const uint32_t kept = (uint32_t)b->kept[i][lane];
        const int32_t more = b->weight[i * s.pitch + to][lane] - b->weight[i * s.pitch + from][lane];
        if (kept >> from & ~kept >> to & 1 && more == gain) break;
    }
    b->kept[i][lane] ^= (int32_t)((uint32_t)1 << from | (uint32_t)1 << to);
}

HT_INLINE void follow_path(shape s, block *b, size_t lane, size_t steps) {
    const uint32_t deficit = (uint32_t)b->deficit[lane];
    size_t to = (size_t)__builtin_ctz(deficit);
    for (size_t j = to + 1; j < s.m; j++)
        if (deficit >> j & 1 && b->reach[steps][j][lane] > b->reach[steps][to][lane]) to = j;
    for (; steps > 0; steps--) {
        size_t from = 0;
        const int32_t sum = b->reach[steps][to][lane];
        if (sum == b->reach[steps - 1][to][lane]) continue;
        while (b->reach[steps - 1][from][lane] + b->each[from * s.pitch + to][lane] != sum) from++;
        exchange_columns(s, b, lane, from, to);
        to = from;
    }
}

HT_INLINE void level_columns(shape s, block *b) {
    while (find_uneven(s, b)) {
        const ht_ints surplus = ht_iload(b->surplus);
        ht_ints better;
        for (size_t j = 0; j < s.m; j++) {
            const ht_imask is_start = ht_ihas(surplus, ht_isplat((int32_t)((uint32_t)1 << j)));
            ht_istore(b->reach[0][j], ht_iwhere(is_start, ht_isplat(0), ht_isplat(no_way)));
        }
        find_steps(s, b);
        const size_t steps = extend_paths(s, b, &better);
        for (size_t lane = 0; lane < HT_LANES; lane++)
            if (b->surplus[lane]) follow_path(s, b, lane, steps);
    }
}

// MARK: masks from before

// Whether tiles are all whole and have a mask of before; which of these are exact: those that keep N in each row and
// column, and in which no path gets better for ever, as it does round a circle that gains.
HT_INLINE bool find_exact(const ht_transposable_task *task, shape s, size_t column, block *b) {
    if (!task->before || task->rows < s.m || task->columns - column < HT_LANES * s.m) return false;
    int32_t is_right[HT_LANES];
    for (size_t lane = 0; lane < HT_LANES; lane++) {
        is_right[lane] = -1;
        for (size_t i = 0; i < s.m; i++) {
            const uint8_t *row = task->before + i * task->before_stride;
            const uint32_t kept = ht_transposable_bits_at(row, column + lane * s.m, s.m);
            b->before[i][lane] = b->kept[i][lane] = (int32_t)kept;
            if ((size_t)__builtin_popcount(kept) != s.n) is_right[lane] = 0;
        }
    }
    find_uneven(s, b);
    find_steps(s, b);
    for (size_t j = 0; j < s.m; j++) ht_istore(b->reach[0][j], ht_isplat(0));
    ht_ints better;
    extend_paths(s, b, &better);
    ht_istore(b->surplus, ht_ior(better, ht_iload(b->surplus)));
    for (size_t lane = 0; lane < HT_LANES; lane++) b->is_exact[lane] = b->surplus[lane] ? 0 : is_right[lane];
    return true;
}

HT_INLINE bool are_all_exact(const block *b) { return !ht_inonzero(ht_ixor(ht_iload(b->is_exact), ht_isplat(-1))); }

HT_INLINE void keep_exact(shape s, block *b) {
    const ht_imask is_exact = ht_ihas(ht_iload(b->is_exact), ht_isplat(1));
    for (size_t i = 0; i < s.m; i++) ht_istore(b->kept[i], ht_iwhere(is_exact, at(b->before, i), at(b->kept, i)));
}

// MARK: 2:4

HT_INLINE ht_ints largest_sum(const ht_ints *a, const ht_ints *b) {
    ht_ints best = ht_isplat(0);
    HT_UNROLL
    for (size_t i = 0; i < 3; i++) best = ht_imax(best, ht_iabs(ht_isub(a[i], b[i])));

    return best;
}

// With a row's sums of two columns less the two others, in the three ways that there are, the most that a pair of rows
// gains is the largest difference of two such sums.
HT_INLINE void keep_by_pairs(block *b) {
    const shape s = shape_of(2, 4);
    ht_ints w[4][4], sums[4][3], first[4], second[4];
    HT_UNROLL
    for (size_t i = 0; i < 4; i++) {
        HT_UNROLL
        for (size_t j = 0; j < 4; j++) w[i][j] = at(b->weight, i * 4 + j);
        const ht_ints p = ht_iadd(w[i][0], w[i][1]), q = ht_iadd(w[i][2], w[i][3]);
        const ht_ints d = ht_isub(w[i][0], w[i][1]), e = ht_isub(w[i][2], w[i][3]);
        sums[i][0] = ht_isub(p, q), sums[i][1] = ht_iadd(d, e), sums[i][2] = ht_isub(d, e);
    }
    const ht_ints with_1 = ht_iadd(largest_sum(sums[0], sums[1]), largest_sum(sums[2], sums[3]));
    const ht_ints with_2 = ht_iadd(largest_sum(sums[0], sums[2]), largest_sum(sums[1], sums[3]));
    const ht_ints with_3 = ht_iadd(largest_sum(sums[0], sums[3]), largest_sum(sums[1], sums[2]));
    const ht_imask not_1 = ht_igreater(with_2, with_1), is_3 = ht_igreater(with_3, ht_imax(with_1, with_2));
    HT_UNROLL
    for (size_t j = 0; j < 4; j++) {
        const ht_ints partner = ht_iwhere(is_3, w[3][j], ht_iwhere(not_1, w[2][j], w[1][j]));
        const ht_ints low = ht_iwhere(is_3, w[1][j], ht_iwhere(not_1, w[1][j], w[2][j]));
        first[j] = ht_isub(w[0][j], partner);
        second[j] = ht_isub(low, ht_iwhere(is_3, w[2][j], w[3][j]));
    }
    const ht_ints a = largest(s, first), c = largest(s, second), all = ht_isplat(15);
    const ht_ints not_a = ht_ixor(a, all), not_c = ht_ixor(c, all);
    ht_istore(b->kept[0], a);
    ht_istore(b->kept[1], ht_iwhere(is_3, c, ht_iwhere(not_1, c, not_a)));
    ht_istore(b->kept[2], ht_iwhere(is_3, not_c, ht_iwhere(not_1, not_a, c)));
    ht_istore(b->kept[3], ht_iwhere(is_3, not_a, not_c));
}

// MARK: the task

HT_INLINE void keep_best(shape s, block *b) {
    set_prices(s, b);
    keep_by_rows(s, b);
    level_columns(s, b);
}

HT_INLINE void solve(const ht_transposable_task *task, const size_t n, const size_t m) {
    const shape s = shape_of(n, m);
    block b;
    for (size_t column = 0; column < task->columns; column += HT_LANES * m) {
        load(task, s, column, &b);
        if (n == 2 && m == 4) {
            keep_by_pairs(&b);
        } else {
            const bool has_mask = find_exact(task, s, column, &b);
            if (!has_mask || !are_all_exact(&b)) keep_best(s, &b);
            if (has_mask) keep_exact(s, &b);
        }
        store(task, s, column, &b);
    }
}

static void solve_2_4(const ht_transposable_task *task) { solve(task, 2, 4); }
static void solve_4_8(const ht_transposable_task *task) { solve(task, 4, 8); }
static void solve_8_16(const ht_transposable_task *task) { solve(task, 8, 16); }
static void solve_any(const ht_transposable_task *task) { solve(task, task->n, task->m); }

static void solve_task(const ht_transposable_task *task) {
    if (task->n == 2 && task->m == 4)
        solve_2_4(task);
    else if (task->n == 4 && task->m == 8)
        solve_4_8(task);
    else if (task->n == 8 && task->m == 16)
        solve_8_16(task);
    else
        solve_any(task);
}

#endif
