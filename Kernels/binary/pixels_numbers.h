// SPDX-License-Identifier: Apache-2.0
// From counters to sums that are numbers. Included by pixels_avx512.c.
//
// Bits of an output become 512 numbers T of 16 bits; 16 outputs then become, pixel by pixel, vectors of factor * T +
// base of 32 bits. Bound: 5 shuffles for 16 sums, 3.5 of which run four a cycle on Zen 5 and the others two.
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

// 16 outputs of 32 pixels: vector p, lane l of each half of 8 outputs is pixel 8 l + p. Even numbers of both halves are
// outputs 0 to 7, odd ones 8 to 15, so that a multiply-add of either widens them in their place.
HT_INLINE void load_numbers(const job *j, size_t o, size_t v, __m512i *first, __m512i *second) {
    HT_UNROLL
    for (size_t i = 0; i < 8; i++) {
        const size_t output = o + i / 2 + i % 2 * 8;
        first[i] = _mm512_load_si512(numbers_of(j, output) + v);
        second[i] = _mm512_load_si512(numbers_of(j, output + 4) + v);
    }
    transpose_numbers(first);
    transpose_numbers(second);
}

HT_INLINE void store_sum(const places *places, size_t lane, size_t o, size_t offset, __mmask16 present, __m512i sum) {
    if (!places->to[lane]) return;
    const __m512i base = _mm512_loadu_si512(places->base[lane] + o);
    _mm512_mask_storeu_epi32(places->to[lane] + offset, present, _mm512_add_epi32(sum, base));
}

// Factors of outputs 0 to 7, each with a zero beside it, for both pixels of a pair.
HT_INLINE __m512i load_factors(const job *j, size_t o) {
    const __m256i factors = _mm256_loadu_si256((const __m256i *)(const void *)(j->p.factor + o));
    return _mm512_and_si512(_mm512_broadcast_i64x4(factors), _mm512_set1_epi32(0xffff));
}

// Sums of 16 outputs.
static void store_strip(const job *j, size_t o, const places *places) {
    const __mmask16 present = (__mmask16)((1u << ht_min(16, j->task->o_end - o)) - 1);
    const size_t offset = places->stores_itself ? o * sizeof(int32_t) : 0;
    const __m512i even = load_factors(j, o), odd = _mm512_slli_epi32(load_factors(j, o + 8), 16);
    const __m512i pairs[2] = {_mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11),
                              _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15)};
    for (size_t v = 0; v < HT_PANELS_NUMBERS; v++) {
        __m512i first[8], second[8];
        load_numbers(j, o, v, first, second);
        HT_UNROLL
        for (size_t p = 0; p < 8; p++) {
            HT_UNROLL
            for (size_t i = 0; i < 2; i++) {
                const __m512i pair = _mm512_permutex2var_epi64(first[p], pairs[i], second[p]);
                const __m512i low = _mm512_madd_epi16(pair, even), high = _mm512_madd_epi16(pair, odd);
                const size_t lane = 256 * i + 8 * v + p;
                store_sum(places, lane, o, offset, present, _mm512_inserti64x4(low, _mm512_castsi512_si256(high), 1));
                store_sum(places, lane + 128, o, offset, present, _mm512_shuffle_i64x2(low, high, 0xEE));
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
