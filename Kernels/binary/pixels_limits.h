// SPDX-License-Identifier: Apache-2.0
// What sums are compared with or added to, and the signs. Included by pixels_avx512.c.
#ifndef HT_BINARY_PIXELS_LIMITS_H
#define HT_BINARY_PIXELS_LIMITS_H

#include "pixels_job.h"

// The weights of 16 outputs that are -1, of the taps that a view sees or, without a view, of all.
HT_INLINE __m512i count_minus(const job *j, const ht_binary_view *view, size_t o, __mmask16 present) {
    const ht_binary_layout *l = j->task->layout;
    const ht_binary_taps down = view ? view->down : (ht_binary_taps){0, l->of.kernel_height};
    const ht_binary_taps across = view ? view->across : (ht_binary_taps){0, l->of.kernel_width};
    __m512i count = _mm512_setzero_si512();
    for (size_t row = down.begin; row < down.end; row++)
        for (size_t column = across.begin; column < across.end; column++) {
            const int32_t *minus = j->p.lists.minus + (row * l->of.kernel_width + column) * l->of.outputs + o;
            count = _mm512_add_epi32(count, _mm512_maskz_loadu_epi32(present, minus));
        }
    return count;
}

HT_INLINE __m512i clamp(__m512i v, int32_t inputs) {
    return _mm512_max_epi32(_mm512_set1_epi32(-inputs), _mm512_min_epi32(v, _mm512_set1_epi32(inputs + 1)));
}

// The sum of a pixel that is +1 wherever it is inside the image, without what T changes.
HT_INLINE __m512i find_base(const job *j, const ht_binary_view *view, size_t o, __mmask16 present, __m512i all) {
    const ht_binary_layout *l = j->task->layout;
    const ht_padding padding = j->task->conv ? j->task->conv->shape.padding : HT_PADDING_ZERO;
    const size_t taps = (view->down.end - view->down.begin) * (view->across.end - view->across.begin);
    const int32_t seen = (int32_t)(taps * l->of.tap_columns);
    const int32_t outside = (int32_t)(l->taps * l->of.tap_columns) - seen;
    if (j->task->x_dtype == HT_DTYPE_U1) return _mm512_setzero_si512();
    const __m512i minus = count_minus(j, view, o, present);
    const __m512i base = _mm512_sub_epi32(_mm512_set1_epi32(seen), _mm512_add_epi32(minus, minus));
    if (padding == HT_PADDING_ZERO) return base;
    const __m512i beyond = _mm512_sub_epi32(all, minus);
    const __m512i pads = _mm512_sub_epi32(_mm512_set1_epi32(outside), _mm512_add_epi32(beyond, beyond));
    return padding == HT_PADDING_PLUS_ONE ? _mm512_add_epi32(base, pads) : _mm512_sub_epi32(base, pads);
}

HT_INLINE __m512i half(__m512i v) { return _mm512_srai_epi32(v, 1); }

// Which of 16 outputs have a flag.
HT_INLINE __mmask16 flags_of(const job *j, size_t o, __mmask16 present, uint8_t flag) {
    const __m128i flags = _mm_maskz_loadu_epi8(present, j->p.lists.flags + o);
    return _mm_test_epi8_mask(flags, _mm_set1_epi8((char)flag));
}

HT_INLINE __mmask16 flips_of(const ht_binary_threshold *threshold, size_t column, size_t count) {
    uint16_t flips = 0;
    if (threshold && threshold->flip) memcpy(&flips, threshold->flip + column / 8, ht_ceil_div(count, 8));
    return (__mmask16)flips;
}

// 16 outputs and how they are taken.
typedef struct strip {
    size_t o, count, column;  // of Y
    __mmask16 present, plus, turned;
} strip;

static strip find_strip(job *j, size_t o) {
    const ht_binary_task *task = j->task;
    strip s = {.o = o, .count = ht_min(16, task->o_end - o), .column = task->y_first + o};
    s.present = (__mmask16)((1u << s.count) - 1);
    s.plus = flags_of(j, o, s.present, HT_BINARY_OF_PLUS);
    s.turned = flags_of(j, o, s.present, HT_BINARY_TURNED);
    _mm_storeu_si128((__m128i *)(void *)(j->p.turned + o), _mm_movm_epi8(s.turned));
    return s;
}

HT_INLINE __m512i negate(__m512i v, __mmask16 which) {
    return _mm512_mask_sub_epi32(v, which, _mm512_setzero_si512(), v);
}

// A sum is base - 2 T where lists are of weights that are +1, base + 2 T where of those that are -1; of an X of zeros
// and ones T and -T. It is below the level where T < limit, or where T >= limit: then signs are inverted. What is
// turned, is so once more: ~T >= -limit.
static void find_limits(job *j, const strip *s) {
    const ht_binary_threshold *threshold = j->task->epilogue.threshold;
    const int32_t inputs = (int32_t)(j->task->layout->taps * j->task->layout->of.tap_columns);
    const bool adds = j->task->x_dtype == HT_DTYPE_U1, has_level = threshold && threshold->level;
    const __mmask16 flips = flips_of(threshold, s->column, s->count);
    const __mmask16 inverted = (__mmask16)(s->plus ^ s->turned ^ flips ^ (adds ? 0xffff : 0));
    const __m512i one = _mm512_set1_epi32(1), zero = _mm512_setzero_si512(),
                  all = count_minus(j, NULL, s->o, s->present);
    const __m512i levels = has_level ? _mm512_maskz_loadu_epi32(s->present, threshold->level + s->column) : zero;
    const __m512i level = clamp(levels, inputs);
    _mm_storeu_si128((__m128i *)(void *)(j->p.inverted + s->o), _mm_movm_epi8(inverted));
    for (size_t v = 0; v < j->p.views; v++) {
        const __m512i base = find_base(j, &j->p.view[v], s->o, s->present, all);
        const __m512i of_plus = adds ? level : _mm512_add_epi32(half(_mm512_sub_epi32(base, level)), one);
        const __m512i of_minus =
            adds ? _mm512_sub_epi32(one, level) : half(_mm512_add_epi32(_mm512_sub_epi32(level, base), one));
        const __m512i limit = clamp(_mm512_mask_blend_epi32(s->plus, of_minus, of_plus), inputs);
        _mm512_storeu_si512(j->p.of_view + v * j->p.outputs + s->o, negate(limit, s->turned));
    }
}

// A sum is base + factor * T, or of -T = ~T + 1 where counters hold that.
static void find_factors(job *j, const strip *s) {
    const bool adds = j->task->x_dtype == HT_DTYPE_U1;
    const __mmask16 negative = (__mmask16)(s->plus ^ s->turned ^ (adds ? 0xffff : 0));
    const __m512i factor = negate(_mm512_set1_epi32(adds ? 1 : 2), negative);
    const __m512i all = count_minus(j, NULL, s->o, s->present);
    _mm512_storeu_si512(j->p.factor + s->o, factor);
    for (size_t v = 0; v < j->p.views; v++) {
        const __m512i base = find_base(j, &j->p.view[v], s->o, s->present, all);
        _mm512_storeu_si512(j->p.of_view + v * j->p.outputs + s->o,
                            _mm512_mask_add_epi32(base, s->turned, base, factor));
    }
}

// MARK: signs

// For each bit of the limits of an output the set of present views where it is set, as an offset into the table of
// their lanes.
static void find_sets(const job *j, size_t table, size_t o) {
    const __m512i bits = _mm512_sllv_epi32(_mm512_set1_epi32(1),
                                           _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
    const size_t first = table * HT_PANELS_TABLE_VIEWS;
    __m512i set = _mm512_setzero_si512(), view = _mm512_set1_epi32(HT_PANELS_VECTOR);
    for (size_t i = first; i < ht_min(first + HT_PANELS_TABLE_VIEWS, j->present_count); i++) {
        const __m512i limit = _mm512_set1_epi32(j->p.of_view[j->present[i] * j->p.outputs + o]);
        set = _mm512_mask_or_epi32(set, _mm512_test_epi32_mask(limit, bits), set, view);
        view = _mm512_add_epi32(view, view);
    }
    _mm512_store_si512(j->p.sets[table * j->p.outputs + o], set);
}

// Panels inside an image see the same views, so that their sets are found once.
static void find_all_sets(job *j) {
    const size_t bytes = j->present_count * sizeof *j->present;
    if (j->present_count == j->known_count && !memcmp(j->present, j->known, bytes)) return;
    for (size_t table = 0; table * HT_PANELS_TABLE_VIEWS < j->present_count; table++)
        for (size_t o = j->task->o_begin; o < j->task->o_end; o++) find_sets(j, table, o);
    memcpy(j->known, j->present, bytes);
    j->known_count = j->present_count;
}

HT_INLINE __m512i limit_bit(const job *j, size_t o, size_t bit, const bool one_table) {
    __m512i lanes = _mm512_load_si512(j->p.tables + j->p.sets[o][bit]);
    for (size_t table = 1; !one_table && table * HT_PANELS_TABLE_VIEWS < j->present_count; table++) {
        const uint32_t set = j->p.sets[table * j->p.outputs + o][bit];
        lanes = _mm512_or_si512(lanes, _mm512_load_si512(vector(j->p.tables, table * HT_PANELS_TABLE) + set));
    }
    return lanes;
}

// Where T < limit: the borrow of their difference, in two's complement.
HT_INLINE void find_signs(const job *j, size_t o, const __m512i *sum, const size_t n, const bool one_table) {
    const __m512i lowest = _mm512_xor_si512(j->lowest, _mm512_set1_epi64(j->p.turned[o]));
    __m512i below = _mm512_andnot_si512(lowest, limit_bit(j, o, 0, one_table));
    HT_UNROLL
    for (size_t bit = 0; bit + 1 < n; bit++)
        below = _mm512_ternarylogic_epi64(sum[bit], limit_bit(j, o, bit + 1, one_table), below, 0x8E);
    below = _mm512_ternarylogic_epi64(sum[n - 1], limit_bit(j, o, n, one_table), below, 0xB2);
    store(j->p.results, o, _mm512_xor_si512(below, _mm512_set1_epi64(j->p.inverted[o])));
}

#endif
