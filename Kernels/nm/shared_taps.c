// SPDX-License-Identifier: Apache-2.0
// Lanes are the 16 filters of a strip. For each slot the pick of a pixel's channels is one shuffle, and since the three
// taps of a kernel row have the same pattern, it serves three FMAs: those of the pixel's right, own and left neighbour.
// So n pixels of Y in a row take 3 n FMAs and n + 2 shuffles a slot.
//
// Bound. FMAs have two ports, which shuffles share with a third: 58 of both for 14 pixels take 19.3 cycles, 42 FMAs 21.
// So the FMAs are the bound, M/N x peak; without sharing it is three quarters of that.
#include "shared_taps.h"

#include "bf16.h"

enum {
    kernel_width = 3,
    most_slots = 2,  // of a turn
    most_rows = 16,  // of a kernel
    window = 16,  // floats that a shuffle picks from
    most_pixels = 14,  // of Y in registers
    most_columns = 29,  // of X that they see
    prepared_bytes = 384 << 10  // of weights at a time, in L2 beside X
};

static size_t tap_slots(const ht_nm_layout *l) { return l->tap_width / l->window * l->window_slots; }

// Weights of a strip: [kernel row][run][tap][slot of the run][16 filters], as they lie in the blob but for the strip.
static size_t strip_values(const ht_nm_layout *l) {
    return ((l->blocks - 1) * l->block_slots + l->last_slots) * HT_NM_STRIP;
}

// Picks of a strip: [slot of a tap][16 filters].
static size_t strip_picks(const ht_nm_layout *l) { return tap_slots(l) * HT_NM_STRIP; }

static size_t strip_bytes(const ht_nm_layout *l) { return (strip_values(l) + strip_picks(l)) * sizeof(float); }

static size_t strips_at_once(const ht_nm_layout *l) {
    return ht_min(ht_ceil_div(l->rows, HT_NM_STRIP), 1 + prepared_bytes / strip_bytes(l));
}

size_t ht_nm_shared_taps_scratch(const ht_nm_layout *l) {
    return l->turn && l->blocks ? strips_at_once(l) * strip_bytes(l) + l->of.tap_columns * sizeof(float) : 0;
}

#if defined(__x86_64__)
#include <immintrin.h>

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,bmi,bmi2,avx512f,avx512bw,avx512dq,avx512vl"))), \
                             apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,bmi,bmi2,avx512f,avx512bw,avx512dq,avx512vl")
#endif

#include "avx512_words.h"

// Columns of X that the taps of so many pixels see.
#define COLUMNS(count, step, dilation) (((count) - 1) * (step) + (kernel_width - 1) * (dilation) + 1)

static size_t turn_slots(const ht_nm_layout *l) { return l->turn / l->window * l->window_slots; }

// A strip ready to be used.
typedef struct strip {
    const float *values;
    const uint32_t *picks;
    size_t o;  // its first column of Y
} strip;

// Some pixels of Y in a row.
typedef struct pixels {
    size_t t, count;  // the first, of all images
    const float *const *x;  // [kernel row][column]: what the taps see, zeros outside the image
    uint64_t rows;  // bit u: the image has what kernel row u sees
} pixels;

// MARK: weights

// Four slots of four rows from each of four quads become four vectors of 16 rows.
HT_INLINE void turn_step(const float *const quads[4], size_t step, float *to) {
    __m512 q[4];
    for (int i = 0; i < 4; i++) q[i] = _mm512_load_ps(quads[i] + step * 16);
    __m512 low01 = _mm512_shuffle_f32x4(q[0], q[1], 0x44), high01 = _mm512_shuffle_f32x4(q[0], q[1], 0xee);
    __m512 low23 = _mm512_shuffle_f32x4(q[2], q[3], 0x44), high23 = _mm512_shuffle_f32x4(q[2], q[3], 0xee);
    _mm512_store_ps(to, _mm512_shuffle_f32x4(low01, low23, 0x88));
    _mm512_store_ps(to + 16, _mm512_shuffle_f32x4(low01, low23, 0xdd));
    _mm512_store_ps(to + 32, _mm512_shuffle_f32x4(high01, high23, 0x88));
    _mm512_store_ps(to + 48, _mm512_shuffle_f32x4(high01, high23, 0xdd));
}

// The last strip may have fewer than four quads; then others stand for those that are missing.
static float *turn_block(const ht_nm_task *task, size_t quad, size_t b, float *to) {
    const ht_nm_layout *l = task->layout;
    const float *quads[4];
    for (size_t i = 0; i < 4; i++) quads[i] = ht_nm_values(l, task->packed, b, ht_min(quad + i, l->bundles - 1));
    for (size_t step = 0; step < ht_nm_block_slots(l, b) / 4; step++, to += 64) turn_step(quads, step, to);
    return to;
}

// What the weights of a kernel row outside the image add to a sum: -0, +0 or NaN, as X is +0 there.
static __m512 outside_of(const float *values, size_t slots) {
    __m512 sum = _mm512_set1_ps(-0.0f);
    for (size_t slot = 0; slot < slots; slot++, values += HT_NM_STRIP)
        sum = _mm512_fmadd_ps(_mm512_load_ps(values), _mm512_setzero_ps(), sum);
    return sum;
}

// Where each lane's column of a slot of the first tap lies in its window of X.
static void make_picks(const ht_nm_task *task, size_t quad, uint32_t *picks) {
    const ht_nm_layout *l = task->layout;
    const size_t slots = turn_slots(l), unit_bytes = ht_nm_unit_bytes(l), most = l->bundles - 1 - quad;
    const size_t quads[4] = {0, ht_min(1, most), ht_min(2, most), ht_min(3, most)};
    for (size_t turn = 0; turn < l->tap_width / l->turn; turn++) {
        const size_t column = turn * kernel_width * l->turn, b = column / l->block_columns;
        const size_t first = ht_nm_group_slot(l, column % l->block_columns);
        const uint8_t *indices = ht_nm_indices(l, task->packed, b, quad);
        const size_t quad_bytes = ht_nm_units(l, ht_nm_block_slots(l, b)) * unit_bytes;
        for (size_t slot = first; slot < first + slots; slot++, picks += HT_NM_STRIP) {
            __m512i fields = ht_strip_words(indices + slot / l->unit_slots * unit_bytes, quads, quad_bytes);
            if (l->field_bytes == 3) fields = ht_widen_fields(fields);
            const __m512i index =
                _mm512_srlv_epi32(fields, _mm512_set1_epi32((int)(slot % l->unit_slots * l->index_bits)));
            const size_t before = turn * l->turn % window + (slot - first) / l->window_slots * l->window;
            const __m512i place = _mm512_and_si512(index, _mm512_set1_epi32((int)l->window - 1));
            _mm512_store_si512(picks, _mm512_add_epi32(place, _mm512_set1_epi32((int)before)));
        }
    }
}

static strip prepare(const ht_nm_task *task, size_t o, float *memory) {
    const ht_nm_layout *l = task->layout;
    float *end = memory;
    for (size_t b = 0; b < l->blocks; b++) end = turn_block(task, o / HT_NM_QUAD, b, end);
    make_picks(task, o / HT_NM_QUAD, (uint32_t *)end);
    return (strip){memory, (const uint32_t *)end, o};
}

// MARK: kernels

// Adds a kernel row: for each turn of the taps their weights and picks, then column by column of X one pick a slot, and
// its products with the weights of the taps that see it: tap v of pixel p sees column p step + v dilation. `slots` of a
// turn, `count` pixels, step and dilation are constants.
HT_INLINE void add_row(const ht_nm_layout *l, const float *values, const uint32_t *picks, const float *const *x,
                       __m512 *sums, const int slots, const int count, const int step, const int dilation) {
    for (size_t first = 0; first < l->tap_width; first += l->turn) {
        const size_t channel = first / window * window;
        __m512 w[kernel_width][most_slots];
        __m512i pick[most_slots];
        HT_UNROLL
        for (int s = 0; s < slots; s++) {
            pick[s] = _mm512_load_si512(picks + s * 16);
            HT_UNROLL
            for (int tap = 0; tap < kernel_width; tap++) w[tap][s] = _mm512_load_ps(values + (tap * slots + s) * 16);
        }
        HT_UNROLL
        for (int c = 0; c < COLUMNS(count, step, dilation); c++) {
            __m512 v[most_slots];
            HT_UNROLL
            for (int s = 0; s < slots; s++) v[s] = _mm512_permutexvar_ps(pick[s], _mm512_loadu_ps(x[c] + channel));
            HT_UNROLL
            for (int tap = 0; tap < kernel_width; tap++) {
                const int p = (c - tap * dilation) / step;
                HT_UNROLL
                for (int s = 0; s < slots; s++)
                    if (c >= tap * dilation && (c - tap * dilation) % step == 0 && p < count)
                        sums[p] = _mm512_fmadd_ps(w[tap][s], v[s], sums[p]);
            }
        }
        values += kernel_width * slots * 16;
        picks += slots * 16;
    }
}

HT_INLINE void add_rows(const ht_nm_layout *l, const strip *s, const pixels *p, float *out, const int slots,
                        const int count, const int step, const int dilation) {
    __m512 sums[most_pixels];
    HT_UNROLL
    for (int i = 0; i < count; i++) sums[i] = _mm512_setzero_ps();
    for (size_t u = 0; u < l->of.taps / kernel_width; u++) {
        const float *values = s->values + u * kernel_width * tap_slots(l) * 16;
        if (p->rows >> u & 1) {
            add_row(l, values, s->picks, p->x + u * most_columns, sums, slots, count, step, dilation);
            continue;
        }
        const __m512 outside = outside_of(values, kernel_width * tap_slots(l));
        HT_UNROLL
        for (int i = 0; i < count; i++) sums[i] = _mm512_add_ps(sums[i], outside);
    }
    HT_UNROLL
    for (int i = 0; i < count; i++) _mm512_store_ps(out + i * 16, sums[i]);
}

typedef void kernel(const ht_nm_layout *l, const strip *s, const pixels *p, float *out);

#define DEFINE(slots, count, step, dilation)                                                                        \
    static void add_##slots##_##count##_##step##_##dilation(const ht_nm_layout *l, const strip *s, const pixels *p, \
                                                            float *out) {                                           \
        add_rows(l, s, p, out, slots, count, step, dilation);                                                       \
    }
#define DEFINE_ALL(step, dilation)                                      \
    DEFINE(1, 7, step, dilation)                                        \
    DEFINE(2, 7, step, dilation)                                        \
                                                                        \
    DEFINE(1, 14, step, dilation)                                       \
    DEFINE(2, 14, step, dilation)                                       \
    static kernel *const kernels_##step##_##dilation[2][most_slots] = { \
        {add_1_7_##step##_##dilation, add_2_7_##step##_##dilation},     \
        {add_1_14_##step##_##dilation, add_2_14_##step##_##dilation}};

DEFINE_ALL(1, 1)
DEFINE_ALL(2, 1)
DEFINE_ALL(1, 2)

// Kernels by whether they take 14 pixels and by the slots of a turn; null for other steps and dilations.
static kernel *const (*kernels_for(const ht_nm_image *i))[most_slots] {
    if (i->spread_x != 1) return NULL;
    if (i->step_x == 1 && i->dilation_x == 1) return kernels_1_1;
    if (i->step_x == 2 && i->dilation_x == 1) return kernels_2_1;
    return i->step_x == 1 && i->dilation_x == 2 ? kernels_1_2 : NULL;
}

// MARK: pixels

// What the taps of the pixels from t on see, which are all in one row of an image.
static pixels find_pixels(const ht_nm_task *task, const float *zeros, size_t t, size_t count, const float **x) {
    const ht_nm_image *i = task->image;
    const size_t row = t / i->out_width, columns = COLUMNS(count, i->step_x, i->dilation_x);
    const ptrdiff_t top = (ptrdiff_t)(row % i->out_height * i->step_y) + i->top;
    const ptrdiff_t left = (ptrdiff_t)(t % i->out_width * i->step_x) + i->left;
    pixels found = {.t = t, .count = count, .x = x};
    for (size_t u = 0; u < task->layout->of.taps / kernel_width; u++, x += most_columns) {
        const size_t y = (size_t)(top + (ptrdiff_t)(u * i->dilation_y));
        const size_t first = (row / i->out_height * i->height + y) * i->width;
        for (size_t n = 0; n < most_columns; n++) {
            const size_t c = (size_t)(left + (ptrdiff_t)n);
            bool inside = y < i->height && c < i->width && n < columns;
            x[n] = inside ? (const float *)((const char *)task->x + (first + c) * task->x_stride) : zeros;
        }
        found.rows |= (uint64_t)(y < i->height) << u;
    }
    return found;
}

static void run_strip(const ht_nm_task *task, const strip *s, const pixels *p) {
    _Alignas(HT_ALIGNMENT) float sums[most_pixels * HT_NM_STRIP];
    kernels_for(task->image)[p->count > 7][turn_slots(task->layout) - 1](task->layout, s, p, sums);
    const ht_nm_target target = ht_nm_target_at(task, p->t, s->o);
    ht_nm_avx512.store_rows(sums, p->count, ht_min(HT_NM_STRIP, task->o_end - s->o), &target);
}

static void run_pixels(const ht_nm_task *task, const float *zeros, const strip *strips, size_t count) {
    const float *x[most_rows * most_columns];
    const size_t width = task->image->out_width;
    for (size_t t = task->t_begin, each; t < task->t_end; t += each) {
        size_t left = ht_min(task->t_end - t, width - t % width);
        each = ht_min(left, most_pixels);
        const pixels p = find_pixels(task, zeros, t, each, x);
        for (size_t i = 0; i < count; i++) run_strip(task, &strips[i], &p);
    }
}

bool ht_nm_shared_taps_avx512(const ht_nm_task *task) {
    enum { most_strips = 64 };
    const ht_nm_layout *l = task->layout;
    if (!task->image || !l->turn || task->y_order != HT_ORDER_ROWS || l->of.taps / kernel_width > most_rows ||
        !kernels_for(task->image))
        return false;
    const size_t at_once = ht_min(strips_at_once(l), most_strips);
    float *memory = task->scratch, *zeros = memory + at_once * strip_bytes(l) / sizeof *memory;
    memset(zeros, 0, l->of.tap_columns * sizeof *zeros);
    for (size_t o = task->o_begin; o < task->o_end; o += at_once * HT_NM_STRIP) {
        strip strips[most_strips];
        size_t count = ht_min(at_once, ht_ceil_div(task->o_end - o, HT_NM_STRIP));
        for (size_t i = 0; i < count; i++)
            strips[i] = prepare(task, o + i * HT_NM_STRIP, memory + i * strip_bytes(l) / sizeof *memory);
        run_pixels(task, zeros, strips, count);
    }
    return true;
}

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
