// SPDX-License-Identifier: Apache-2.0
// The design with pixels in the lanes, in AVX-512: panels of 512 pixels, each output a list of vectors to add up.
//
// With S the inputs of a pixel that are -1 and that the list of an output names, and A those of all its inputs, a pixel
// differs from the weights in (-1 seen) + T places, T = 2 S - A, where the list is of weights that are +1, and in (-1
// seen) - T where it is of those that are -1. Counters hold C = floor(T / 2) from floor(-A / 2) on, and the lowest bit
// of A is that of T. Along a tree an output begins with the counters of its parent. Turned counters hold ~C, which with
// the other lowest bit is -T.
#if defined(__x86_64__)
#if defined(__clang__)
#pragma clang attribute push(                                                                           \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vbmi2,gfni,bmi,bmi2"))), \
    apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vbmi2,gfni,bmi,bmi2")
#endif

#include "panels.h"
#include "slices.h"
#include "transposes.h"

typedef struct job {
    const ht_binary_task *task;
    ht_binary_panels p;
    size_t lane;  // the first of the panel
    size_t first_string;  // the place of its first taps in the strings
    const char *named;  // what entries of lists are numbers of: the inputs of a chunk
    size_t present[HT_PANELS_VIEWS];  // views that have lanes in the panel
    size_t present_count;
    __m512i start[HT_SLICES_MAX];  // of the counters of all outputs
    __m512i lowest;  // bit of T
} job;

HT_INLINE char *vector(char *vectors, size_t i) { return vectors + i * HT_PANELS_VECTOR; }

HT_INLINE __m512i load(const char *vectors, size_t i) { return _mm512_load_si512(vectors + i * HT_PANELS_VECTOR); }

HT_INLINE void store(char *vectors, size_t i, __m512i v) { _mm512_store_si512(vectors + i * HT_PANELS_VECTOR, v); }

// MARK: strings

// Pixels of X that follow each other in the lanes and in memory.
typedef struct segment {
    size_t lane, count;
    const char *x;
} segment;

// Of 512 lanes from `first` on, which may be in front of the images. Lanes between segments see no pixel.
static size_t find_segments(const job *j, ptrdiff_t first, segment *segments) {
    const char *x = (const char *)j->task->x + j->task->x_first / 8;
    size_t count = 0, i = first < 0 ? ht_min(HT_BINARY_PANEL, (size_t)-first) : 0;
    while (i < HT_BINARY_PANEL) {
        const ht_binary_line line = ht_binary_line_at(&j->p.x, (size_t)(first + (ptrdiff_t)i));
        const size_t pixels = ht_min(line.count, HT_BINARY_PANEL - i);
        if (pixels) segments[count++] = (segment){i, pixels, x + line.pixel * j->task->x_stride};
        i += pixels;
        i += ht_min(line.gap, HT_BINARY_PANEL - i);
    }
    return count;
}

// Word `word` of the pixels in 512 lanes.
static void gather_words(const segment *s, size_t count, size_t stride, size_t word, uint64_t *words) {
    if (count != 1 || s->count != HT_BINARY_PANEL) memset(words, 0, HT_BINARY_PANEL * sizeof *words);
    for (; count > 0; count--, s++) {
        const char *from = s->x + word * sizeof *words;
        if (stride == sizeof *words)
            memcpy(words + s->lane, from, s->count * sizeof *words);
        else
            for (size_t i = 0; i < s->count; i++, from += stride) memcpy(words + s->lane + i, from, sizeof *words);
    }
}

// The pixels in 512 lanes, or zeros.
static void find_rows(const segment *s, size_t count, size_t stride, const char **rows) {
    static const char zeros[HT_PANELS_CHANNELS / 8 + HT_PANELS_VECTOR];
    for (size_t lane = 0; lane < HT_BINARY_PANEL; lane++) rows[lane] = zeros;
    for (; count > 0; count--, s++)
        for (size_t i = 0; i < s->count; i++) rows[s->lane + i] = s->x + i * stride;
}

// The number of channels that are -1, whose bits are rows of the strings as well.
static void count_channels(const job *j, char *block) {
    const ht_binary_panels *p = &j->p;
    __m512i sum[HT_SLICES_MAX];
    for (size_t bit = 0; bit < HT_SLICES_MAX; bit++) sum[bit] = _mm512_setzero_si512();
    ht_slices_add_list(p->all, ht_round_up(p->channels, HT_BINARY_LIST_GROUP), block, sum, HT_SLICES_MAX);
    for (size_t bit = 0; bit < p->count_bits; bit++) store(block, p->channels + 1 + bit, sum[bit]);
}

// The channels of 512 lanes as vectors: many at a time as rows, the last as words.
static void make_channels(const job *j, ptrdiff_t first, char *block) {
    const ht_binary_panels *p = &j->p;
    const size_t stride = j->task->x_stride;
    segment segments[HT_BINARY_PANEL];
    const size_t count = find_segments(j, first, segments);
    size_t channel = 0;
    if (p->channels >= 512) {
        const char *rows[HT_BINARY_PANEL];
        find_rows(segments, count, stride, rows);
        for (; channel + 512 <= p->channels; channel += 512)
            ht_vectors_from_rows(rows, channel / 8, (__m512i *)(void *)vector(block, channel));
    }
    for (; channel < p->channels; channel += 64) {
        __m512i some[64];
        gather_words(segments, count, stride, channel / 64, p->words);
        ht_vectors_from_words(p->words, some);
        memcpy(vector(block, channel), some, ht_min(64, p->channels - channel) * HT_PANELS_VECTOR);
    }
}

static void make_strings(const job *j, ptrdiff_t first, size_t blocks) {
    const ht_binary_panels *p = &j->p;
    for (size_t b = 0; b < blocks; b++, first += HT_BINARY_PANEL) {
        char *block = vector(p->strings, b * p->string_rows);
        make_channels(j, first, block);
        store(block, p->channels, _mm512_setzero_si512());
        count_channels(j, block);
    }
}

// Where the lanes of the panel see a tap in the strings.
HT_INLINE size_t place_of(const job *j, size_t tap) {
    const size_t width = j->task->layout->of.kernel_width;
    return j->first_string + tap / width * j->p.tap_down + tap % width * j->p.tap_across;
}

HT_INLINE void shift_rows(const job *j, size_t tap, size_t first, size_t count, char *to, const size_t taps) {
    const ht_binary_panels *p = &j->p;
    const size_t place = place_of(j, tap);
    const char *low = vector(p->strings, place / HT_BINARY_PANEL * p->string_rows + first);
    const char *high = low + p->string_rows * HT_PANELS_VECTOR;
    const __m512i word = _mm512_add_epi64(_mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7),
                                          _mm512_set1_epi64((long long)(place % HT_BINARY_PANEL / 64)));
    const __m512i next = _mm512_add_epi64(word, _mm512_set1_epi64(1));
    __m512i lanes[3], bits[3];
    HT_UNROLL
    for (size_t t = 0; t < taps; t++) {
        lanes[t] = load(p->tap_lanes, tap + t);
        bits[t] = _mm512_set1_epi64((long long)(place_of(j, tap + t) % 64));
    }
    for (size_t i = 0; i < count; i++) {
        const __m512i a = load(low, i), b = load(high, i);
        const __m512i words = _mm512_permutex2var_epi64(a, word, b), more = _mm512_permutex2var_epi64(a, next, b);
        HT_UNROLL
        for (size_t t = 0; t < taps; t++)
            store(to, t * p->channels + i, _mm512_and_si512(_mm512_shrdv_epi64(words, more, bits[t]), lanes[t]));
    }
}

// Rows first ..< first + count of the strings as the lanes of the panel see them through `taps` taps, up to 3 at a time
// if these begin in the same word. Returns how many that were.
static size_t shift_strings(const job *j, size_t tap, size_t taps, size_t first, size_t count, char *to) {
    const size_t word = place_of(j, tap) / 64;
    if (taps >= 3 && place_of(j, tap + 1) / 64 == word && place_of(j, tap + 2) / 64 == word) {
        shift_rows(j, tap, first, count, to, 3);
        return 3;
    }
    shift_rows(j, tap, first, count, to, 1);
    return 1;
}

// MARK: lanes of views

// Lanes begin ..< end of the panel.
HT_INLINE __m512i lanes_between(ptrdiff_t begin, ptrdiff_t end) {
    const __m512i word = _mm512_setr_epi64(0, 64, 128, 192, 256, 320, 384, 448), zero = _mm512_setzero_si512();
    const __m512i ones = _mm512_set1_epi64(-1);
    const __m512i from = _mm512_max_epi64(zero, _mm512_sub_epi64(_mm512_set1_epi64(begin), word));
    const __m512i to = _mm512_max_epi64(zero, _mm512_sub_epi64(_mm512_set1_epi64(end), word));
    return _mm512_andnot_si512(_mm512_sllv_epi64(ones, to), _mm512_sllv_epi64(ones, from));
}

// The lanes of the panel in places begin ..< end of each `period` lanes.
static __m512i lanes_of(size_t lane, size_t period, size_t begin, size_t end) {
    __m512i lanes = _mm512_setzero_si512();
    for (ptrdiff_t at = -(ptrdiff_t)(lane % period); at < HT_BINARY_PANEL; at += (ptrdiff_t)period)
        lanes = _mm512_or_si512(lanes, lanes_between(at + (ptrdiff_t)begin, at + (ptrdiff_t)end));
    return lanes;
}

// Views are rectangles: a range of rows and one of columns.
static void find_view_lanes(job *j) {
    const ht_binary_panels *p = &j->p;
    const size_t pitch = p->y.pitch;
    __m512i columns[HT_PANELS_VIEWS], rows = _mm512_set1_epi64(-1);
    j->present_count = 0;
    for (size_t v = 0; v < p->views; v++) {
        const ht_binary_view *view = &p->view[v];
        const size_t column = v % p->view_columns;
        if (!j->task->conv)
            columns[column] = rows;
        else if (v == column)
            columns[column] = lanes_of(j->lane, pitch, view->columns.begin, view->columns.end);
        if (j->task->conv && column == 0)
            rows = lanes_of(j->lane, pitch * p->y.rows, view->rows.begin * pitch, view->rows.end * pitch);
        const __m512i lanes = _mm512_and_si512(rows, columns[column]);
        store(p->view_lanes, v, lanes);
        if (_mm512_test_epi64_mask(lanes, lanes)) j->present[j->present_count++] = v;
    }
}

// The lanes whose pixels see a tap inside the image.
static void find_tap_lanes(job *j) {
    const ht_binary_layout *l = j->task->layout;
    for (size_t tap = 0; tap < l->taps; tap++) {
        __m512i lanes = _mm512_setzero_si512();
        for (size_t i = 0; i < j->present_count; i++) {
            if (ht_binary_view_sees(l, &j->p.view[j->present[i]], tap))
                lanes = _mm512_or_si512(lanes, load(j->p.view_lanes, j->present[i]));
        }
        store(j->p.tap_lanes, tap, lanes);
    }
}

// For each set of views the lanes that are in one of them.
static void make_tables(job *j) {
    for (size_t first = 0; first < j->present_count; first += HT_PANELS_TABLE_VIEWS) {
        char *table = vector(j->p.tables, first / HT_PANELS_TABLE_VIEWS * HT_PANELS_TABLE);
        store(table, 0, _mm512_setzero_si512());
        for (size_t i = 0; i < ht_min(HT_PANELS_TABLE_VIEWS, j->present_count - first); i++) {
            const __m512i lanes = load(j->p.view_lanes, j->present[first + i]);
            for (size_t set = 0; set < (size_t)1 << i; set++)
                store(table, set + ((size_t)1 << i), _mm512_or_si512(lanes, load(table, set)));
        }
    }
}

// MARK: limits

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

// A sum is base - 2 T where lists are of weights that are +1, base + 2 T where of those that are -1; of an X of zeros
// and ones T and -T. It is below the level where T < limit, or where T >= limit: then signs are inverted. What is
// turned, is so once more, and -T >= -limit.
static void find_limits(job *j) {
    const ht_binary_task *task = j->task;
    const ht_binary_threshold *threshold = task->epilogue.threshold;
    const int32_t inputs = (int32_t)(task->layout->taps * task->layout->of.tap_columns);
    const bool adds = task->x_dtype == HT_DTYPE_U1;
    const __m512i one = _mm512_set1_epi32(1), zero = _mm512_setzero_si512();
    for (size_t o = task->o_begin; o < task->o_end; o += 16) {
        const size_t count = ht_min(16, task->o_end - o), column = task->y_first + o;
        const __mmask16 present = (__mmask16)((1u << count) - 1);
        const __mmask16 plus = flags_of(j, o, present, HT_BINARY_OF_PLUS);
        const __mmask16 turned = flags_of(j, o, present, HT_BINARY_TURNED);
        const __mmask16 inverted =
            (__mmask16)(plus ^ turned ^ flips_of(threshold, column, count) ^ (adds ? 0xffff : 0));
        _mm_storeu_si128((__m128i *)(void *)(j->p.inverted + o), _mm_movm_epi8(inverted));
        _mm_storeu_si128((__m128i *)(void *)(j->p.turned + o), _mm_movm_epi8(turned));
        const __m512i all = count_minus(j, NULL, o, present);
        const __m512i levels =
            threshold && threshold->level ? _mm512_maskz_loadu_epi32(present, threshold->level + column) : zero;
        const __m512i level = clamp(levels, inputs);
        for (size_t v = 0; v < j->p.views; v++) {
            const __m512i base = find_base(j, &j->p.view[v], o, present, all);
            const __m512i of_plus_limit = adds ? level : _mm512_add_epi32(half(_mm512_sub_epi32(base, level)), one);
            const __m512i of_minus_limit =
                adds ? _mm512_sub_epi32(one, level) : half(_mm512_add_epi32(_mm512_sub_epi32(level, base), one));
            const __m512i limit = clamp(_mm512_mask_blend_epi32(plus, of_minus_limit, of_plus_limit), inputs);
            const __m512i either = _mm512_mask_sub_epi32(limit, turned, zero, limit);
            _mm512_storeu_si512(j->p.limit + v * j->p.outputs + o, either);
        }
    }
}

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

// The vectors of the inputs of a chunk, and one of zeros.
static void make_inputs(job *j, size_t chunk) {
    const ht_binary_panels *p = &j->p;
    j->named = p->in_place ? p->strings : p->inputs;
    if (p->in_place) return;
    const size_t first = chunk * p->lists.chunk_inputs;
    const size_t end = ht_min(first + p->lists.chunk_inputs, j->task->layout->taps * p->channels);
    for (size_t i = first; i < end;) {
        const size_t channel = i % p->channels, count = ht_min(end - i, p->channels - channel);
        const size_t taps = count == p->channels ? (end - i) / count : 1;
        i += count * shift_strings(j, i / p->channels, taps, channel, count, vector(p->inputs, i - first));
    }
    store(p->inputs, p->lists.chunk_inputs, _mm512_setzero_si512());
}

// For each bit of the limits of an output the set of views where it is set, in 16 numbers a table.
HT_INLINE void find_sets(const job *j, size_t o, uint32_t sets[HT_PANELS_TABLES][16]) {
    const __m512i bits = _mm512_sllv_epi32(_mm512_set1_epi32(1),
                                           _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15));
    size_t first = 0, table = 0;
    do {
        __m512i set = _mm512_setzero_si512(), view = _mm512_set1_epi32(HT_PANELS_VECTOR);
        for (size_t i = first; i < ht_min(first + HT_PANELS_TABLE_VIEWS, j->present_count); i++) {
            const __m512i limit = _mm512_set1_epi32(j->p.limit[j->present[i] * j->p.outputs + o]);
            set = _mm512_mask_or_epi32(set, _mm512_test_epi32_mask(limit, bits), set, view);
            view = _mm512_add_epi32(view, view);
        }
        _mm512_storeu_si512(sets[table++], set);
        first += HT_PANELS_TABLE_VIEWS;
    } while (first < j->present_count);
}

HT_INLINE __m512i limit_bit(const job *j, uint32_t sets[HT_PANELS_TABLES][16], size_t bit, const bool one_table) {
    __m512i lanes = _mm512_load_si512(j->p.tables + sets[0][bit]);
    for (size_t table = 1; !one_table && table * HT_PANELS_TABLE_VIEWS < j->present_count; table++)
        lanes =
            _mm512_or_si512(lanes, _mm512_load_si512(vector(j->p.tables, table * HT_PANELS_TABLE) + sets[table][bit]));
    return lanes;
}

// Where T < limit: the borrow of their difference, in two's complement.
HT_INLINE void find_signs(const job *j, size_t o, const __m512i *sum, const size_t n, const bool one_table) {
    uint32_t sets[HT_PANELS_TABLES][16];
    find_sets(j, o, sets);
    const __m512i lowest = _mm512_xor_si512(j->lowest, _mm512_set1_epi64(j->p.turned[o]));
    __m512i below = _mm512_andnot_si512(lowest, limit_bit(j, sets, 0, one_table));
    HT_UNROLL
    for (size_t bit = 0; bit + 1 < n; bit++)
        below = _mm512_ternarylogic_epi64(sum[bit], limit_bit(j, sets, bit + 1, one_table), below, 0x8E);
    below = _mm512_ternarylogic_epi64(sum[n - 1], limit_bit(j, sets, n, one_table), below, 0xB2);
    store(j->p.signs, o, _mm512_xor_si512(below, _mm512_set1_epi64(j->p.inverted[o])));
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
    const bool is_last = chunk + 1 == lists->chunks;
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
        if (j->present_count <= HT_PANELS_TABLE_VIEWS)
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

static void run_panel(job *j) {
    const ht_binary_panels *p = &j->p;
    find_view_lanes(j);
    if (j->present_count == 0) return;
    find_tap_lanes(j);
    make_tables(j);
    find_start(j);
    for (size_t chunk = 0; chunk < p->lists.chunks; chunk++) run_chunk(j, chunk);
    for (size_t o = j->task->o_begin; o < j->task->o_end; o += 64) {
        ht_vectors_to_words((const __m512i *)(const void *)vector(p->signs, o), p->words);
        scatter_words(j, p->words, o / 64);
    }
}

// MARK: tasks

// What all panels have in common.
static void prepare(job *j) {
    const ht_binary_task *task = j->task;
    j->p.lists = ht_binary_lists_of(task->layout, task->packed);
    ht_binary_views(task->conv, j->p.view);
    for (size_t channel = 0; channel < ht_round_up(j->p.channels, HT_BINARY_LIST_GROUP); channel++)
        j->p.all[channel] = (uint16_t)(ht_min(channel, j->p.channels) * HT_BINARY_LIST_UNIT);
    memset(j->p.signs, 0, j->p.outputs * HT_PANELS_VECTOR);
    find_limits(j);
}

size_t ht_binary_pixels_run(const ht_binary_task *task) {
    job j;
    j.task = task;
    const ht_binary_panels *p = &j.p;
    ht_binary_panels_make(task->layout, task->conv, task->t_end, task->scratch, &j.p);
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
