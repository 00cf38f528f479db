// SPDX-License-Identifier: Apache-2.0
// The design with pixels in the lanes, in AVX-512: panels of 512 pixels, each output a list of vectors to add up.
//
// With S the inputs of a pixel that are -1 and that the list of an output names, and A those of all its inputs, a pixel
// differs from the weights in (-1 seen) + T places, T = 2 S - A, where the list is of weights that are +1, and in (-1
// seen) - T where it is of those that are -1. Counters hold C = floor(T / 2) from floor(-A / 2) on, and the lowest bit
// of A is that of T. Along a tree an output begins with the counters of its parent. Turned counters hold ~C, which with
// the other lowest bit is ~T.
#if defined(__x86_64__)
#if defined(__clang__)
#pragma clang attribute push(                                                                           \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vbmi2,gfni,bmi,bmi2"))), \
    apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vbmi2,gfni,bmi,bmi2")
#endif

#include "pixels_inputs.h"
#include "pixels_limits.h"
#include "pixels_numbers.h"
#include "pixels_views.h"

// MARK: sums

// floor(-A / 2), where the counters begin: sums of strings as long as the window, not of all its inputs.
static void find_start(job *j) {
    char *shifted = j->p.inputs;
    const ht_binary_panels *p = &j->p;
    const size_t bits = p->counter_bits + 1;
    __m512i sum[HT_SLICES_MAX], carry = _mm512_set1_epi64(-1);
    for (size_t bit = 0; bit < bits; bit++) sum[bit] = _mm512_setzero_si512();
    for (size_t tap = 0; tap < j->task->layout->taps; tap++) {
        __m512i up = _mm512_setzero_si512();
        shift_strings(j, tap, 1, p->channels + 1, p->count_bits, shifted);
        for (size_t bit = 0; bit < p->count_bits; bit++) up = ht_slices_full_add(&sum[bit], load(shifted, bit), up);
        for (size_t bit = p->count_bits; bit < bits; bit++) up = ht_slices_half_add(&sum[bit], up);
    }
    j->lowest = sum[0];
    for (size_t bit = 0; bit < bits; bit++) {
        sum[bit] = _mm512_xor_si512(sum[bit], _mm512_set1_epi64(-1));
        carry = ht_slices_half_add(&sum[bit], carry);
        if (bit) j->start[bit - 1] = sum[bit];
    }
}

HT_INLINE char *counters_of(const job *j, size_t o) { return vector(j->p.counters, o * j->p.counter_bits); }

// What an output begins a chunk with: with an array of its own, with its parent's, or with what all have.
HT_INLINE const char *counters_before(const job *j, size_t chunk, size_t o) {
    const int32_t parent = j->p.lists.parent[o];
    if (chunk) return counters_of(j, o);
    return parent == HT_BINARY_ROOT ? (const char *)j->start : counters_of(j, (size_t)parent);
}

// Adds both lists of a step to the counters, which are turned between them if it has a parent.
HT_INLINE void add_lists(const job *j, size_t step, bool has_parent, __m512i *sum, const size_t n) {
    const uint32_t *ends = j->p.lists.end + step * 2;
    size_t from = step ? ends[-1] : 0;
    for (size_t list = 0; list < 1 + (size_t)has_parent; list++) {
        const uint16_t *entries = j->p.lists.entries + from * HT_BINARY_LIST_GROUP;
        const size_t count = (ends[list] - from) * HT_BINARY_LIST_GROUP;
        if (list) {
            HT_UNROLL
            for (size_t bit = 0; bit < n; bit++) sum[bit] = _mm512_xor_si512(sum[bit], _mm512_set1_epi64(-1));
        }
        if (count >= HT_SLICES_LONG)
            ht_slices_add_list(entries, count, j->named, sum, n);
        else
            ht_slices_add_short(entries, count, j->named, sum, n);
        from = ends[list];
    }
}

// All outputs against a chunk.
HT_INLINE void add_chunk(const job *j, size_t chunk, const size_t n) {
    const ht_binary_lists *lists = &j->p.lists;
    const size_t outputs = j->task->layout->of.outputs;
    const bool is_last = chunk + 1 == lists->chunks, gives_bits = j->task->y_dtype == HT_DTYPE_B1;
    for (size_t step = j->task->o_begin; step < j->task->o_end; step++) {
        const size_t o = lists->order[step];
        const char *before = counters_before(j, chunk, o);
        __m512i sum[HT_SLICES_MAX];
        HT_UNROLL
        for (size_t bit = 0; bit < n; bit++) sum[bit] = load(before, bit);
        add_lists(j, chunk * outputs + step, lists->parent[o] != HT_BINARY_ROOT, sum, n);
        if (!is_last || lists->flags[o] & HT_BINARY_PARENT) {
            HT_UNROLL
            for (size_t bit = 0; bit < n; bit++) store(counters_of(j, o), bit, sum[bit]);
        }
        if (!is_last) continue;
        if (!gives_bits)
            keep_numbers(j, o, sum, n);
        else if (j->present_count <= HT_PANELS_TABLE_VIEWS)
            find_signs(j, o, sum, n, true);
        else
            find_signs(j, o, sum, n, false);
    }
}

#define EACH_BITS(F) F(8) F(10) F(11) F(12) F(13) F(15)
#define DEFINE(n) \
    static void add_chunk_##n(const job *j, size_t chunk) { add_chunk(j, chunk, n); }
EACH_BITS(DEFINE)

static void run_chunk(job *j, size_t chunk) {
    make_inputs(j, chunk);
    switch (j->p.counter_bits) {
#define CASE(n) \
    case n: add_chunk_##n(j, chunk); break;
        EACH_BITS(CASE)
    }
}

// MARK: Y

// The signs of 64 outputs of the pixels in the lanes of the panel, as far as they are the task's.
static void scatter_words(const job *j, const uint64_t *words, size_t word) {
    const ht_binary_task *task = j->task;
    for (size_t i = 0; i < HT_BINARY_PANEL;) {
        const ht_binary_line line = ht_binary_line_at(&j->p.y, j->lane + i);
        const size_t left = line.count && line.pixel < task->t_end ? task->t_end - line.pixel : 0;
        const size_t count = ht_min(ht_min(line.count, left), HT_BINARY_PANEL - i);
        char *y = (char *)task->y + line.pixel * task->y_stride + task->y_first / 8 + word * sizeof *words;
        if (task->y_stride == sizeof *words)
            memcpy(y, words + i, count * sizeof *words);
        else
            for (size_t k = i; k < i + count; k++, y += task->y_stride) memcpy(y, words + k, sizeof *words);
        i += ht_min(HT_BINARY_PANEL - i, line.count);
        i += ht_min(HT_BINARY_PANEL - i, line.gap);
    }
}

static void store_signs(const job *j) {
    for (size_t o = j->task->o_begin; o < j->task->o_end; o += 64) {
        ht_vectors_to_words((const __m512i *)(const void *)vector(j->p.results, o), j->p.words);
        scatter_words(j, j->p.words, o / 64);
    }
}

static void run_panel(job *j) {
    const ht_binary_panels *p = &j->p;
    find_view_lanes(j);
    if (j->present_count == 0) return;
    find_tap_lanes(j);
    if (j->task->y_dtype == HT_DTYPE_B1) {
        make_tables(j);
        find_all_sets(j);
    }
    find_start(j);
    for (size_t chunk = 0; chunk < p->lists.chunks; chunk++) run_chunk(j, chunk);
    if (j->task->y_dtype == HT_DTYPE_B1)
        store_signs(j);
    else
        store_numbers(j);
}

// MARK: tasks

// What all panels have in common.
static void prepare(job *j) {
    const ht_binary_task *task = j->task;
    j->p.lists = ht_binary_lists_of(task->layout, task->packed);
    ht_binary_views(task->conv, j->p.view);
    for (size_t channel = 0; channel < ht_round_up(j->p.channels, HT_BINARY_LIST_GROUP); channel++)
        j->p.all[channel] = (uint16_t)(ht_min(channel, j->p.channels) * HT_BINARY_LIST_UNIT);
    memset(j->p.results, 0, j->p.outputs * HT_PANELS_VECTOR);
    for (size_t o = task->o_begin; o < task->o_end; o += 16) {
        const strip s = find_strip(j, o);
        if (task->y_dtype == HT_DTYPE_B1)
            find_limits(j, &s);
        else
            find_factors(j, &s);
    }
}

size_t ht_binary_pixels_run(const ht_binary_task *task) {
    job j;
    j.task = task;
    j.known_count = 0;
    const ht_binary_panels *p = &j.p;
    ht_binary_panels_make(task->layout, task->conv, task->t_end, task->y_dtype != HT_DTYPE_B1, task->scratch, &j.p);
    size_t rest;
    const size_t panels = ht_binary_panels_count(&p->y, p->least, task->t_begin, task->t_end, &rest);
    if (panels == 0) return task->t_begin;
    prepare(&j);
    const size_t begin = ht_binary_lane_of(&p->y, task->t_begin);
    for (size_t first = 0; first < panels; first += p->at_once) {
        const size_t count = ht_min(p->at_once, panels - first);
        const size_t lane = begin + first * HT_BINARY_PANEL;
        const size_t blocks = p->strings_at_once - p->at_once + count;
        make_strings(&j, (ptrdiff_t)lane - (ptrdiff_t)p->lead, blocks);
        for (size_t i = 0; i < count; i++) {
            j.lane = lane + i * HT_BINARY_PANEL;
            j.first_string = i * HT_BINARY_PANEL;
            run_panel(&j);
        }
    }
    return task->t_end - rest;
}

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
