// SPDX-License-Identifier: Apache-2.0
// The spatial mask: which taps unstructured pruning would leave denser than the others.
//
// The order statistic of |w| is selected digit by digit, from the highest: a pass over W for each of three, and a
// fourth that counts per tap. Bound: about four cycles a weight. In the first pass a load, an addition and a store go
// to one of 2048 counters, of which neighbours often hit the same: four tables keep a counter from waiting for itself.
// The next two take out the few weights with the digits before, without branches, and the last one compares whole
// vectors.
#include <string.h>

#include "core/floats.h"
#include "filters.h"

enum { digits = 3, most_values = 1 << 11, tables = 4, chunk = 1024 };

// A digit of a magnitude of 31 bits.
typedef struct digit {
    unsigned shift, bits;
} digit;

static const digit all_digits[] = {{20, 11}, {9, 11}, {0, 9}};

static uint32_t magnitude_of(float w) { return ht_bits_of_f32(w) & 0x7fffffff; }

// Adds up to `chunk` weights whose higher digits are `known` by this digit: those that are less than a unit of these
// digits above it. None is higher than the first, and known 0.
static void count_chunk(const float *w, size_t count, digit d, uint32_t known, uint32_t counts[tables][most_values]) {
    const uint32_t unit = 1u << (d.shift + d.bits), least = known * unit;
    uint32_t found[chunk];
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        found[n] = magnitude_of(w[i]) - least;
        n += found[n] < unit;
    }
    for (size_t i = 0; i < n; i++) counts[i % tables][found[i] >> d.shift]++;
}

static void count_digit(const ht_spre_filters *f, digit d, uint32_t known, size_t counts[most_values]) {
    enum { chunks_at_once = 1 << 20 };  // that no counter of 32 bits overflows in
    uint32_t some[tables][most_values] = {{0}};
    size_t chunks = 0;
    memset(counts, 0, most_values * sizeof *counts);
    for (size_t row = 0; row < f->rows; row++)
        for (size_t column = 0; column < f->columns; column += chunk) {
            const float *w = ht_spre_row(f->w, f->w_stride, row) + column;
            count_chunk(w, ht_min(chunk, f->columns - column), d, known, some);
            const bool is_last = row + 1 == f->rows && column + chunk >= f->columns;
            if (++chunks % chunks_at_once && !is_last) continue;
            for (size_t i = 0; i < tables * most_values; i++)
                counts[i % most_values] += some[i / most_values][i % most_values];
            memset(some, 0, sizeof some);
        }
}

// The weights that are dropped: those below a magnitude, and of those that are equal to it the last ones.
typedef struct cut {
    uint32_t magnitude;
    size_t equals;  // that are kept
} cut;

// The cut below which `drops` weights lie, of which there are more.
static cut find_cut(const ht_spre_filters *f, size_t drops) {
    size_t counts[most_values];
    cut found = {0, 0};
    for (int i = 0; i < digits; i++) {
        uint32_t value = 0;
        count_digit(f, all_digits[i], found.magnitude, counts);
        for (; counts[value] <= drops; value++) drops -= counts[value];
        found.magnitude = found.magnitude << all_digits[i].bits | value;
        found.equals = counts[value] - drops;
    }
    return found;
}

// Counts the weights of each tap that are dropped.
static void count_dropped(const ht_spre_filters *f, cut at, size_t *dropped) {
    for (size_t row = 0; row < f->rows; row++)
        for (size_t tap = 0; tap < f->taps; tap++) {
            const float *w = ht_spre_row(f->w, f->w_stride, row) + tap * f->channels;
            uint32_t below = 0, equal = 0;  // a shape's numbers are below 2^31
            for (size_t i = 0; i < f->channels; i++) {
                below += magnitude_of(w[i]) < at.magnitude;
                equal += magnitude_of(w[i]) == at.magnitude;
            }
            const size_t kept = ht_min(equal, at.equals);
            at.equals -= kept;
            dropped[tap] += below + equal - kept;
        }
}

ht_status ht_spre_taps_f32(const ht_conv_shape *shape, size_t n, size_t m, const float *w, size_t w_stride,
                           uint8_t *taps, size_t *dropped, const ht_options *options) {
    ht_spre_filters f;
    if (options && options->threads < 0) return HT_ERROR_THREADS;
    if (!(1 <= n && n <= m && m <= 64)) return HT_ERROR_PATTERN;
    ht_status status = ht_spre_take_filters(shape, w, w_stride, &f);
    if (status) return status;
    if (!taps) return HT_ERROR_NULL;
    if (!ht_is_aligned(dropped, sizeof *dropped)) return HT_ERROR_ALIGNMENT;
    size_t *counts = ht_allocate(f.taps * sizeof *counts);
    if (!counts) return HT_ERROR_MEMORY;
    memset(counts, 0, f.taps * sizeof *counts);
    // floor(count (m - n) / m) and, of a tap, ceil(...), so that no product overflows.
    const size_t count = f.rows * f.columns, each = f.rows * f.channels;
    const size_t drops = count / m * (m - n) + count % m * (m - n) / m;
    const size_t share = each / m * (m - n) + ht_ceil_div(each % m * (m - n), m);
    if (drops) count_dropped(&f, find_cut(&f, drops), counts);
    for (size_t tap = 0; tap < f.taps; tap++) taps[tap] = counts[tap] < share;
    if (dropped) memcpy(dropped, counts, f.taps * sizeof *counts);
    ht_free(counts);
    return HT_OK;
}
