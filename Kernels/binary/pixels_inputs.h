// SPDX-License-Identifier: Apache-2.0
// The inputs of a panel as vectors: pixels of X are cut into bits once, and moved to where each tap sees them. Included
// by pixels_avx512.c.
#ifndef HT_BINARY_PIXELS_INPUTS_H
#define HT_BINARY_PIXELS_INPUTS_H

#include "pixels_job.h"
#include "transposes.h"

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

static void copy_words(const char *from, size_t stride, size_t count, uint64_t *to) {
    if (stride == sizeof *to) {
        memcpy(to, from, count * sizeof *to);
        return;
    }
    for (size_t i = 0; i < count; i++) memcpy(to + i, from + i * stride, sizeof *to);
}

// Word `word` of the pixels in 512 lanes.
static void gather_words(const segment *s, size_t count, size_t stride, size_t word, uint64_t *words) {
    if (count != 1 || s->count != HT_BINARY_PANEL) memset(words, 0, HT_BINARY_PANEL * sizeof *words);
    for (; count > 0; count--, s++) copy_words(s->x + word * sizeof *words, stride, s->count, words + s->lane);
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

// The channels of 512 lanes as vectors: the last as words, which brings the rows into L1, and 512 at a time as rows.
static void make_channels(const job *j, ptrdiff_t first, char *block) {
    const ht_binary_panels *p = &j->p;
    const size_t stride = j->task->x_stride, wide = p->channels / 512 * 512;
    segment segments[HT_BINARY_PANEL];
    const char *rows[HT_BINARY_PANEL];
    const size_t count = find_segments(j, first, segments);
    for (size_t channel = wide; channel < p->channels; channel += 64) {
        __m512i some[64], *to = (__m512i *)(void *)vector(block, channel);
        const size_t left = p->channels - channel;
        gather_words(segments, count, stride, channel / 64, p->words);
        ht_vectors_from_words(p->words, left < 64 ? some : to);
        if (left < 64) memcpy(to, some, left * HT_PANELS_VECTOR);
    }
    if (wide) find_rows(segments, count, stride, rows);
    for (size_t channel = 0; channel < wide; channel += 512)
        ht_vectors_from_rows(rows, channel / 8, (__m512i *)(void *)vector(block, channel));
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

#endif
