// SPDX-License-Identifier: Apache-2.0
// From counters to sums that are numbers. Included by pixels_avx512.c.
//
// Bits of an output become 512 numbers T of 16 bits; 16 outputs then become, pixel by pixel, vectors of factor * T +
// base of 32 bits. Bound: 5 shuffles for 16 sums, 3.2 of which run four a cycle on Zen 5 and the rest two.
#ifndef HT_BINARY_PIXELS_NUMBERS_H
#define HT_BINARY_PIXELS_NUMBERS_H

#include "core/sums.h"
#include "pixels_job.h"
#include "transposes.h"

// MARK: counters

HT_INLINE __m512i *numbers_of(const job *j, size_t o) {
    return (__m512i *)(void *)vector(j->p.results, o * HT_PANELS_NUMBERS);
}

// Bytes of 512 numbers from 8 planes, the lowest first. Vector r, 16-byte lane l, half h, byte p: pixel 128 l + 16 r +
// 8 h + p.
HT_INLINE void find_bytes(const __m512i *planes, __m512i *bytes) {
    HT_UNROLL
    for (size_t i = 0; i < 8; i++) bytes[i] = planes[7 - i];
    ht_transpose_bytes(bytes);
    HT_UNROLL
    for (size_t i = 0; i < 8; i++) bytes[i] = ht_transpose_bits(bytes[i]);
}

// Keeps T of 512 pixels, or ~T of turned counters. Vector 2 r + h, lane l, number p: pixel 128 l + 16 r + 8 h + p.
HT_INLINE void keep_numbers(const job *j, size_t o, const __m512i *sum, const size_t n) {
    __m512i planes[16], low[8], high[8];
    planes[0] = _mm512_xor_si512(j->lowest, _mm512_set1_epi64(j->p.turned[o]));
    HT_UNROLL
    for (size_t bit = 1; bit < 16; bit++) planes[bit] = sum[bit <= n ? bit - 1 : n - 1];
    find_bytes(planes, low);
    find_bytes(planes + 8, high);
    __m512i *to = numbers_of(j, o);
    HT_UNROLL
    for (size_t r = 0; r < 8; r++) {
        _mm512_store_si512(to + 2 * r, _mm512_unpacklo_epi8(low[r], high[r]));
        _mm512_store_si512(to + 2 * r + 1, _mm512_unpackhi_epi8(low[r], high[r]));
    }
}

// MARK: places

// Where the sums of a lane go, and what they are added to.
typedef struct places {
    char *to[HT_BINARY_PANEL];  // null: nowhere
    const int32_t *base[HT_BINARY_PANEL];
    size_t t[HT_BINARY_PANEL];  // the pixels of Y, in the order of the lanes
    size_t count;
    bool stores_itself;  // to Y, or else to sums:
    int32_t sums[HT_BINARY_PANEL][HT_SUMS_STRIP];
} places;

static void find_bases(const job *j, places *to) {
    for (size_t i = 0; i < j->present_count; i++) {
        const size_t view = j->present[i];
        const uint64_t *words = (const uint64_t *)(const void *)vector(j->p.view_lanes, view);
        for (size_t word = 0; word < 8; word++)
            for (uint64_t lanes = words[word]; lanes; lanes &= lanes - 1)
                to->base[word * 64 + (size_t)__builtin_ctzll(lanes)] = j->p.of_view + view * j->p.outputs;
    }
}

static void find_places(const job *j, places *to) {
    const ht_binary_task *task = j->task;
    to->stores_itself = task->y_dtype == HT_DTYPE_I32 && task->y_order == HT_ORDER_ROWS;
    to->count = 0;
    memset(to->to, 0, sizeof to->to);
    find_bases(j, to);
    const size_t step = to->stores_itself ? task->y_stride : sizeof *to->sums;
    for (size_t lane = 0; lane < HT_BINARY_PANEL;) {
        const ht_binary_line line = ht_binary_line_at(&j->p.y, j->lane + lane);
        const size_t all = ht_min(line.count, HT_BINARY_PANEL - lane);
        const size_t left = line.pixel < task->t_end ? task->t_end - line.pixel : 0, count = ht_min(all, left);
        char *at = to->stores_itself ? ht_binary_y(task, line.pixel, task->y_first) : to->sums[to->count];
        for (size_t i = 0; i < count; i++) {
            to->to[lane + i] = at + i * step;
            to->t[to->count + i] = line.pixel + i;
        }
        to->count += count;
        lane += all;
        lane += ht_min(line.gap, HT_BINARY_PANEL - lane);
    }
}

// MARK: sums

// In each 16-byte lane, 8 x 8 numbers.
HT_INLINE void transpose_numbers(__m512i *a) {
    __m512i b[8], c[8];
    HT_UNROLL
    for (size_t i = 0; i < 4; i++) {
        b[2 * i] = _mm512_unpacklo_epi16(a[2 * i], a[2 * i + 1]);
        b[2 * i + 1] = _mm512_unpackhi_epi16(a[2 * i], a[2 * i + 1]);
    }
    HT_UNROLL
    for (size_t i = 0; i < 4; i++) {
        const size_t from = i / 2 * 4 + i % 2;
        c[2 * i] = _mm512_unpacklo_epi32(b[from], b[from + 2]);
        c[2 * i + 1] = _mm512_unpackhi_epi32(b[from], b[from + 2]);
    }
    HT_UNROLL
    for (size_t i = 0; i < 4; i++) {
        a[2 * i] = _mm512_unpacklo_epi64(c[i], c[i + 4]);
        a[2 * i + 1] = _mm512_unpackhi_epi64(c[i], c[i + 4]);
    }
}

// From four vectors of 4 outputs of a pixel in each lane to 16 outputs of a pixel each.
HT_INLINE void transpose_lanes(__m512i *q) {
    const __m512i a = _mm512_shuffle_i32x4(q[0], q[1], 0x44), b = _mm512_shuffle_i32x4(q[0], q[1], 0xEE);
    const __m512i c = _mm512_shuffle_i32x4(q[2], q[3], 0x44), d = _mm512_shuffle_i32x4(q[2], q[3], 0xEE);
    q[0] = _mm512_shuffle_i32x4(a, c, 0x88);
    q[1] = _mm512_shuffle_i32x4(a, c, 0xDD);
    q[2] = _mm512_shuffle_i32x4(b, d, 0x88);
    q[3] = _mm512_shuffle_i32x4(b, d, 0xDD);
}

// Numbers are doubled to pairs, of which the second counts nothing.
HT_INLINE __m512i multiply(__m512i pairs, __m512i factors) {
    return _mm512_madd_epi16(pairs, _mm512_and_si512(factors, _mm512_set1_epi32(0xffff)));
}

// Sums of 16 outputs.
static void store_strip(const job *j, size_t o, const places *places) {
    const __mmask16 present = (__mmask16)((1u << ht_min(16, j->task->o_end - o)) - 1);
    const size_t offset = places->stores_itself ? o * sizeof(int32_t) : 0;
    __m512i factors[4];
    for (size_t i = 0; i < 4; i++)
        factors[i] = _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)(const void *)(j->p.factor + o + 4 * i)));
    for (size_t v = 0; v < HT_PANELS_NUMBERS; v++) {
        __m512i a[8], b[8];
        HT_UNROLL
        for (size_t i = 0; i < 8; i++) {
            a[i] = _mm512_load_si512(numbers_of(j, o + i) + v);
            b[i] = _mm512_load_si512(numbers_of(j, o + 8 + i) + v);
        }
        transpose_numbers(a);
        transpose_numbers(b);
        HT_UNROLL
        for (size_t p = 0; p < 8; p++) {
            __m512i q[4] = {multiply(_mm512_unpacklo_epi16(a[p], a[p]), factors[0]),
                            multiply(_mm512_unpackhi_epi16(a[p], a[p]), factors[1]),
                            multiply(_mm512_unpacklo_epi16(b[p], b[p]), factors[2]),
                            multiply(_mm512_unpackhi_epi16(b[p], b[p]), factors[3])};
            transpose_lanes(q);
            HT_UNROLL
            for (size_t l = 0; l < 4; l++) {
                const size_t lane = 128 * l + 8 * v + p;
                if (!places->to[lane]) continue;
                const __m512i sum = _mm512_add_epi32(q[l], _mm512_loadu_si512(places->base[lane] + o));
                _mm512_mask_storeu_epi32(places->to[lane] + offset, present, sum);
            }
        }
    }
}

static void finish_strip(const job *j, size_t o, const places *places) {
    const ht_binary_task *task = j->task;
    const ht_sums out = {.at = places->sums[0],
                         .row_step = HT_SUMS_STRIP,
                         .strip_step = HT_SUMS_STRIP,
                         .rows = places->count,
                         .columns = ht_min(HT_SUMS_STRIP, task->o_end - o),
                         .t = places->t,
                         .column = task->y_first + o,
                         .epilogue = &task->epilogue,
                         .y = task->y,
                         .y_stride = task->y_stride,
                         .y_dtype = task->y_dtype,
                         .y_order = task->y_order};
    ht_sums_store_avx512(&out);
}

// All outputs of the pixels in the lanes of the panel, as far as they are the task's.
static void store_numbers(const job *j) {
    places places;
    find_places(j, &places);
    for (size_t o = j->task->o_begin; o < j->task->o_end; o += HT_SUMS_STRIP) {
        store_strip(j, o, &places);
        if (!places.stores_itself) finish_strip(j, o, &places);
    }
}

#endif
