// SPDX-License-Identifier: Apache-2.0
#include "depthwise.h"

#include <string.h>

#include "core/simd.h"
#include "views.h"

// Words of 64 channels, one pixel's behind the other's: a row of pixels is a row of words, and what a tap sees of it is
// the same row some pixels further on. A slice adds a tap to the counts of 512 signs in three operations and, for each
// bit of the counts that a carry reaches, two more.
typedef uint64_t slice __attribute__((vector_size(64)));
typedef uint64_t slice_anywhere __attribute__((vector_size(64), aligned(8), may_alias));

enum {
    slice_words = sizeof(slice) / sizeof(uint64_t),
    least_planes = 3,
    most_planes = 6,  // of a count, so that there can be
    most_taps = 62,  // and a cut above all counts
    most_words = 1 << 24  // of a line
};

typedef struct job {
    const ht_binary_task *task;
    size_t words;  // of a pixel
    size_t row_words;  // of a row of Y, and what a slice reaches beyond
    size_t line_words;  // of a row of X as a tap sees it, its padding included
    size_t line_taps;  // taps that share such a line: all of a row of the filter, or where there is a stride, one
    size_t planes;  // of a count
    // Scratch:
    int8_t *signs;  // [tap][channel], of the weights
    int32_t *starts;  // [channel]
    uint64_t *filter;  // [tap][row_words]
    uint64_t *lines;  // [kernel row][kernel column or one][line_words]
    uint64_t *cuts;  // [plane][row_words]
    uint64_t *flips;  // [row_words]
    uint64_t *y;  // [row_words]
    ht_binary_view *views;
} job;

static size_t planes_of(size_t taps) {
    size_t planes = least_planes;
    while ((taps + 1) >> planes) planes++;
    return planes;
}

static job make_job(const ht_binary_layout *l, const ht_conv *conv) {
    const ht_conv_shape *s = &conv->shape;
    job j = {.words = ht_bit_words(s->channels), .planes = planes_of(l->taps)};
    j.row_words = ht_round_up(conv->out_width * j.words + slice_words, slice_words);
    j.line_taps = s->stride_x == 1 ? s->kernel_width : 1;
    const size_t reach = s->stride_x == 1 ? (s->kernel_width - 1) * s->dilation_x : 0;
    j.line_words = j.row_words + reach * j.words;
    return j;
}

bool ht_binary_depthwise_applies(const ht_binary_layout *l, const ht_conv *conv, ht_dtype x, ht_dtype y) {
    if (!conv || x != HT_DTYPE_B1 || y != HT_DTYPE_B1 || conv->shape.groups == 1) return false;
    const bool is_depthwise = l->of.tap_columns == 1 && l->of.outputs == 1;
    if (!is_depthwise || l->taps > most_taps || conv->shape.dilation_x > INT16_MAX) return false;
    const job j = make_job(l, conv);
    return j.line_words <= most_words;
}

// Where each part of the scratch lies; returns its size. Null memory only counts.
static size_t lay_out(job *j, const ht_binary_layout *l, const ht_conv *conv, char *memory) {
    const size_t lines = l->of.kernel_height * (l->of.kernel_width / j->line_taps);
    size_t bytes = 0;
#define TAKE(member, count)                                      \
    do {                                                         \
        j->member = (void *)memory;                              \
        bytes += ht_carve(&memory, (count) * sizeof *j->member); \
    } while (0)
    TAKE(signs, conv->shape.channels * l->taps);
    TAKE(starts, conv->shape.channels);
    TAKE(filter, l->taps * j->row_words);
    TAKE(lines, lines * j->line_words);
    TAKE(cuts, j->planes * j->row_words);
    TAKE(flips, j->row_words);
    TAKE(y, j->row_words);
    TAKE(views, ht_binary_views(conv, NULL));
#undef TAKE
    return bytes;
}

size_t ht_binary_depthwise_scratch(const ht_binary_layout *l, const ht_conv *conv) {
    job j = make_job(l, conv);
    return lay_out(&j, l, conv, NULL);
}

// MARK: weights

static void set_bit(uint64_t *row, size_t channel) { row[channel / 64] |= (uint64_t)1 << channel % 64; }

// The first pixel of a row is written to all others.
static void repeat_pixel(const job *j, uint64_t *row, size_t begin, size_t end) {
    for (size_t i = begin * j->words; i < end * j->words; i++) row[i] = row[i - j->words];
}

static void expand_filter(const job *j) {
    const ht_binary_layout *l = j->task->layout;
    const size_t channels = j->task->conv->shape.channels;
    memset(j->filter, 0, l->taps * j->row_words * sizeof *j->filter);
    for (size_t channel = 0; channel < channels; channel++) {
        const uint32_t *words = ht_binary_words(l, (const char *)j->task->packed + channel * l->bytes, 0);
        for (size_t tap = 0; tap < l->taps; tap++) {
            const bool negative = words[tap * HT_BINARY_BLOCK] & 1;
            j->signs[tap * channels + channel] = negative ? -1 : 1;
            if (negative) set_bit(j->filter + tap * j->row_words, channel);
        }
    }
    for (size_t tap = 0; tap < l->taps; tap++)
        repeat_pixel(j, j->filter + tap * j->row_words, 1, j->task->conv->out_width);
}

// MARK: thresholds

// The sums of a pixel whose counts are 0. Rows of taps outside the image are not counted; what lies outside in the
// others is, as if it were +1, and is taken back here.
static void set_starts(const job *j, const ht_binary_view *v) {
    const ht_binary_weights *of = &j->task->layout->of;
    const ht_conv_shape *s = &j->task->conv->shape;
    const int32_t padding = s->padding == HT_PADDING_PLUS_ONE ? 1 : s->padding == HT_PADDING_MINUS_ONE ? -1 : 0;
    memset(j->starts, 0, s->channels * sizeof *j->starts);
    for (size_t row = 0; row < of->kernel_height; row++)
        for (size_t column = 0; column < of->kernel_width; column++) {
            const size_t tap = row * of->kernel_width + column;
            const int8_t *signs = j->signs + tap * s->channels;
            const bool seen = ht_binary_view_sees(j->task->layout, v, tap),
                       counted = v->down.begin <= row && row < v->down.end;
            const int32_t each = counted ? 1 : 0, of_sign = seen ? 0 : padding - each;
            for (size_t channel = 0; channel < s->channels; channel++)
                j->starts[channel] += each + of_sign * signs[channel];
        }
}

// The bit of a sum start - 2 d is set where d >= floor((start - level) / 2) + 1.
static size_t cut_of(const job *j, int64_t start, size_t channel) {
    const ht_binary_threshold *threshold = j->task->epilogue.threshold;
    const int64_t level = threshold && threshold->level ? threshold->level[channel] : 0;
    const int64_t cut = ((start - level) >> 1) + 1, above = (int64_t)j->task->layout->taps + 1;
    return (size_t)(cut < 0 ? 0 : cut > above ? above : cut);
}

// The cuts of a row of pixels, whose views follow each other.
static void set_cuts(const job *j, const ht_binary_view *views, size_t count) {
    const size_t channels = j->task->conv->shape.channels;
    memset(j->cuts, 0, j->planes * j->row_words * sizeof *j->cuts);
    for (const ht_binary_view *v = views; v < views + count; v++) {
        const size_t first = v->columns.begin * j->words;
        set_starts(j, v);
        for (size_t channel = 0; channel < channels; channel++) {
            const size_t cut = cut_of(j, j->starts[channel], channel);
            for (size_t plane = 0; plane < j->planes; plane++)
                if (cut >> plane & 1) set_bit(j->cuts + plane * j->row_words + first, channel);
        }
        for (size_t plane = 0; plane < j->planes; plane++)
            repeat_pixel(j, j->cuts + plane * j->row_words, v->columns.begin + 1, v->columns.end);
    }
}

static void set_flips(const job *j) {
    const ht_binary_threshold *threshold = j->task->epilogue.threshold;
    memset(j->flips, 0, j->row_words * sizeof *j->flips);
    if (!threshold || !threshold->flip) return;
    for (size_t channel = 0; channel < j->task->conv->shape.channels; channel++)
        if (threshold->flip[channel / 8] >> channel % 8 & 1) set_bit(j->flips, channel);
    repeat_pixel(j, j->flips, 1, j->task->conv->out_width);
}

// MARK: rows

// Pixels, `from_stride` bytes apart, one behind the other.
static void copy_pixels(const job *j, const char *from, size_t from_stride, size_t pixels, char *to, size_t to_stride) {
    const size_t bytes = j->words * sizeof(uint64_t);
    if (from_stride == bytes && to_stride == bytes)
        memcpy(to, from, pixels * bytes);
    else
        for (size_t i = 0; i < pixels; i++) memcpy(to + i * to_stride, from + i * from_stride, bytes);
}

// Pixels first, first + step ... of a row of X, as +1 where they are outside of it.
static void copy_line(const job *j, const char *row, ptrdiff_t first, size_t step, size_t pixels, uint64_t *line) {
    const size_t width = j->task->conv->shape.width, x_stride = j->task->x_stride, bytes = j->words * sizeof *line;
    const size_t before = first < 0 ? ht_min(pixels, ht_ceil_div((size_t)-first, step)) : 0;
    const size_t begin = (size_t)(first + (ptrdiff_t)(before * step));
    const size_t inside = begin < width ? ht_min(pixels - before, ht_ceil_div(width - begin, step)) : 0;
    memset(line, 0, before * bytes);
    if (inside)
        copy_pixels(j, row + begin * x_stride, step * x_stride, inside, (char *)(line + before * j->words), bytes);
    memset(line + (before + inside) * j->words, 0, (pixels - before - inside) * bytes);
}

static uint64_t *line_of(const job *j, size_t row, size_t column) {
    const size_t each = j->task->layout->of.kernel_width / j->line_taps;
    return j->lines + (row * each + (each == 1 ? 0 : column)) * j->line_words;
}

// The lines that the taps of a view's rows see from a row of Y.
static void copy_lines(const job *j, const ht_binary_view *v, size_t image, size_t y_row) {
    const ht_conv *conv = j->task->conv;
    const ht_conv_shape *s = &conv->shape;
    for (size_t row = v->down.begin; row < v->down.end; row++) {
        const size_t x_row = image * s->height + y_row * s->stride_y + row * s->dilation_y - s->pad_top;
        const char *from = (const char *)j->task->x + x_row * s->width * j->task->x_stride;
        const ptrdiff_t first = -(ptrdiff_t)s->pad_left;
        if (s->stride_x == 1) {
            const size_t pixels = conv->out_width + (s->kernel_width - 1) * s->dilation_x;
            copy_line(j, from, first, 1, pixels, line_of(j, row, 0));
        } else {
            for (size_t column = 0; column < s->kernel_width; column++)
                copy_line(j, from, first + (ptrdiff_t)(column * s->dilation_x), s->stride_x, conv->out_width,
                          line_of(j, row, column));
        }
    }
}

// A word of the lines that a tap sees is `shift` words further on where taps share a line.
static const uint64_t *tap_line(const job *j, size_t row, size_t column) {
    const size_t shift = j->line_taps == 1 ? 0 : column * j->task->conv->shape.dilation_x * j->words;
    return line_of(j, row, column) + shift;
}

HT_INLINE void add_to_counts(slice *counts, const slice *difference, const size_t planes) {
    slice carry = *difference;
    HT_UNROLL
    for (size_t plane = 0; plane < planes; plane++) {
        const slice both = counts[plane] & carry;
        counts[plane] ^= carry;
        carry = both;
    }
}

// Counts 512 channels at word i of a row, and compares: a count is below its cut where the difference borrows.
HT_INLINE void run_slice(const job *j, const ht_binary_view *v, size_t i, const size_t planes) {
    const size_t width = j->task->layout->of.kernel_width;
    slice counts[most_planes] = {{0}}, borrow = {0};
    for (size_t row = v->down.begin; row < v->down.end; row++)
        for (size_t column = 0; column < width; column++) {
            const slice x = *(const slice_anywhere *)(tap_line(j, row, column) + i);
            const slice w = *(const slice *)(j->filter + (row * width + column) * j->row_words + i);
            const slice difference = x ^ w;
            add_to_counts(counts, &difference, planes);
        }
    HT_UNROLL
    for (size_t plane = 0; plane < planes; plane++) {
        const slice cut = *(const slice *)(j->cuts + plane * j->row_words + i);
        borrow = (~counts[plane] & (cut | borrow)) | (cut & borrow);
    }
    *(slice *)(j->y + i) = ~borrow ^ *(const slice *)(j->flips + i);
}

static void run_row(const job *j, const ht_binary_view *v, size_t begin, size_t end) {
    const size_t last = end * j->words;
    for (size_t i = begin * j->words / slice_words * slice_words; i < last; i += slice_words) switch (j->planes) {
        case least_planes: run_slice(j, v, i, least_planes); break;
        case 4: run_slice(j, v, i, 4); break;
        case 5: run_slice(j, v, i, 5); break;
        default: run_slice(j, v, i, most_planes); break;
        }
}

// The pixels of Y from t on that are in the same row, up to t_end; returns where the next row begins. `across` views
// lie side by side.
static size_t run_pixels(const job *j, size_t across, size_t t, size_t t_end) {
    const ht_conv *conv = j->task->conv;
    const size_t row = t / conv->out_width % conv->out_height, image = t / conv->out_width / conv->out_height;
    const size_t begin = t % conv->out_width, end = ht_min(conv->out_width, begin + (t_end - t));
    const ht_binary_view *v = j->views;
    while (row >= v->rows.end) v += across;
    if (t == j->task->t_begin || row == v->rows.begin) set_cuts(j, v, across);
    copy_lines(j, v, image, row);
    run_row(j, v, begin, end);
    char *y = (char *)j->task->y + t * j->task->y_stride;
    copy_pixels(j, (const char *)(j->y + begin * j->words), j->words * sizeof *j->y, end - begin, y, j->task->y_stride);
    return t + end - begin;
}

void ht_binary_depthwise_run(const ht_binary_task *task) {
    job j = make_job(task->layout, task->conv);
    j.task = task;
    lay_out(&j, task->layout, task->conv, task->scratch);
    expand_filter(&j);
    set_flips(&j);
    const size_t views = ht_binary_views(task->conv, j.views);
    size_t across = 1;
    while (across < views && j.views[across].rows.begin == j.views[0].rows.begin) across++;
    for (size_t t = task->t_begin; t < task->t_end;) t = run_pixels(&j, across, t, task->t_end);
}
