// SPDX-License-Identifier: Apache-2.0
#include "views.h"

// The taps that place i of Y sees, u with 0 <= i stride + u dilation - pad < size, and the first place behind it where
// that may change.
static ht_binary_taps taps_at(const ht_binary_axis *a, size_t i, size_t *change) {
    const size_t first = i * a->stride, edge = a->size + a->pad;
    const size_t hidden = first < a->pad ? ht_ceil_div(a->pad - first, a->dilation) : 0;
    const size_t end = ht_min(a->kernel, first < edge ? ht_ceil_div(edge - first, a->dilation) : 0);
    *change = a->out_size;
    if (hidden) *change = ht_min(*change, ht_ceil_div(a->pad - (hidden - 1) * a->dilation, a->stride));
    if (end) *change = ht_min(*change, ht_ceil_div(edge - (end - 1) * a->dilation, a->stride));
    return (ht_binary_taps){ht_min(hidden, end), end};
}

// The next places of Y that see the same taps, from i on.
static ht_binary_taps next_places(const ht_binary_axis *a, size_t i, ht_binary_taps *taps) {
    size_t end, next;
    *taps = taps_at(a, i, &end);
    while (end < a->out_size) {
        const ht_binary_taps other = taps_at(a, end, &next);
        if (other.begin != taps->begin || other.end != taps->end) break;
        end = next;
    }
    return (ht_binary_taps){i, end};
}

static size_t count_places(const ht_binary_axis *a) {
    ht_binary_taps taps;
    size_t count = 0;
    for (size_t i = 0; i < a->out_size; i = next_places(a, i, &taps).end) count++;
    return count;
}

// The share of taps that places see inside the image.
static double seen_on(const ht_binary_axis *a) {
    double seen = 0;
    ht_binary_taps taps, places;
    for (size_t i = 0; i < a->out_size; i = places.end) {
        places = next_places(a, i, &taps);
        seen += (double)(places.end - places.begin) * (double)(taps.end - taps.begin);
    }
    return a->out_size ? seen / (double)a->out_size / (double)a->kernel : 1;
}

double ht_binary_seen_share(const ht_conv *conv) {
    if (!conv) return 1;
    const ht_binary_axis down = ht_binary_down(conv), across = ht_binary_across(conv);
    return seen_on(&down) * seen_on(&across);
}

// The views of a row of views, which are alike in all but their rows.
static size_t list_columns(const ht_binary_axis *across, ht_binary_view v, ht_binary_view *views) {
    size_t count = 0;
    for (size_t column = 0; column < across->out_size; column = v.columns.end) {
        v.columns = next_places(across, column, &v.across);
        views[count++] = v;
    }
    return count;
}

size_t ht_binary_views(const ht_conv *conv, ht_binary_view *views) {
    if (!conv) {
        if (views) *views = (ht_binary_view){.down = {0, 1}, .across = {0, 1}};
        return 1;
    }
    const ht_binary_axis down = ht_binary_down(conv), across = ht_binary_across(conv);
    const size_t count = count_places(&down) * count_places(&across);
    if (!views) return count;
    ht_binary_view v = {0};
    for (size_t row = 0; row < down.out_size; row = v.rows.end) {
        v.rows = next_places(&down, row, &v.down);
        views += list_columns(&across, v, views);
    }
    return count;
}

bool ht_binary_view_sees(const ht_binary_layout *l, const ht_binary_view *v, size_t tap) {
    const size_t down = tap / l->of.kernel_width, across = tap % l->of.kernel_width;
    return v->down.begin <= down && down < v->down.end && v->across.begin <= across && across < v->across.end;
}

static ht_binary_run run_of_tap(const ht_binary_layout *l, ptrdiff_t x, size_t tap) {
    return (ht_binary_run){x, tap * l->tap_words * HT_BINARY_BLOCK, l->tap_words};
}

static ptrdiff_t x_of_tap(const ht_binary_task *task, size_t down, size_t across) {
    if (!task->conv) return 0;
    const ht_conv_shape *s = &task->conv->shape;
    return (ptrdiff_t)((down * s->dilation_y * s->width + across * s->dilation_x) * task->x_stride);
}

size_t ht_binary_runs(const ht_binary_task *task, const ht_binary_view *v, ht_binary_run *runs) {
    const ht_binary_layout *l = task->layout;
    size_t count = 0;
    if (l->tap_words == 0) return 0;
    for (size_t down = v->down.begin; down < v->down.end; down++)
        for (size_t across = v->across.begin; across < v->across.end; across++) {
            const ht_binary_run next = run_of_tap(l, x_of_tap(task, down, across), down * l->of.kernel_width + across);
            ht_binary_run *last = count ? &runs[count - 1] : NULL;
            const bool joins = last && last->x + (ptrdiff_t)(last->words * sizeof(uint32_t)) == next.x &&
                               last->w + last->words * HT_BINARY_BLOCK == next.w;
            if (joins)
                last->words += next.words;
            else
                runs[count++] = next;
        }
    return count;
}

// Lists pixels first ..< end of Y, the first of which has its tap 0 at `at`, the next `step` bytes behind.
static inline size_t list(const ht_binary_task *task, size_t first, size_t end, uintptr_t at, size_t step,
                          const char **x, size_t *t, char **y) {
    const size_t count = end - first;
    char *line = (char *)task->y + first * task->y_stride;
    if (t)
        for (size_t i = 0; i < count; i++, at += step) {
            x[i] = (const char *)at;
            t[i] = first + i;
        }
    else
        for (size_t i = 0; i < count; i++, at += step, line += task->y_stride) {
            x[i] = (const char *)at;
            y[i] = line;
        }
    return count;
}

size_t ht_binary_view_pixels(const ht_binary_task *task, const ht_binary_view *v, size_t t_begin, size_t t_end,
                             const char **x, size_t *t, char **y) {
    const uintptr_t x_begin = (uintptr_t)task->x + task->x_first / 8;
    if (!task->conv) return list(task, t_begin, t_end, x_begin + t_begin * task->x_stride, task->x_stride, x, t, y);
    const ht_conv *conv = task->conv;
    const ht_conv_shape *s = &conv->shape;
    const size_t out_pixels = conv->out_height * conv->out_width;
    size_t count = 0;
    for (size_t image = t_begin / out_pixels; image * out_pixels < t_end; image++)
        for (size_t row = v->rows.begin; row < v->rows.end; row++) {
            const size_t line = image * out_pixels + row * conv->out_width;
            const size_t begin = ht_max(line + v->columns.begin, t_begin), end = ht_min(line + v->columns.end, t_end);
            if (begin >= end) continue;
            // Modulo 2^n: tap 0 of a pixel may be in front of X.
            const size_t pixel = (image * s->height + row * s->stride_y - s->pad_top) * s->width - s->pad_left +
                                 (begin - line) * s->stride_x;
            count += list(task, begin, end, x_begin + pixel * task->x_stride, s->stride_x * task->x_stride, x + count,
                          t ? t + count : NULL, y ? y + count : NULL);
        }
    return count;
}
