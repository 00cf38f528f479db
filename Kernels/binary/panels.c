// SPDX-License-Identifier: Apache-2.0
#include "panels.h"

// MARK: lanes

// Images without lanes beside them follow each other without a gap.
static bool is_dense(const ht_binary_grid *g) { return g->width == g->pitch && g->height == g->rows; }

ht_binary_line ht_binary_line_at(const ht_binary_grid *g, size_t lane) {
    if (is_dense(g)) {
        const size_t pixels = g->images * g->height * g->width;
        return lane < pixels ? (ht_binary_line){lane, pixels - lane, SIZE_MAX} : (ht_binary_line){0, 0, SIZE_MAX};
    }
    const size_t column = lane % g->pitch, row = lane / g->pitch % g->rows, image = lane / g->pitch / g->rows;
    const size_t left = g->pitch - column;
    if (column >= g->width || row >= g->height || image >= g->images) return (ht_binary_line){0, 0, left};
    return (ht_binary_line){(image * g->height + row) * g->width + column, g->width - column, g->pitch - g->width};
}

size_t ht_binary_lane_of(const ht_binary_grid *g, size_t pixel) {
    const size_t column = pixel % g->width, row = pixel / g->width % g->height, image = pixel / g->width / g->height;
    return (image * g->rows + row) * g->pitch + column;
}

// The first pixel in a lane from `lane` on, at most `end`.
static size_t pixel_from(const ht_binary_grid *g, size_t lane, size_t end) {
    ht_binary_line line = ht_binary_line_at(g, lane);
    while (!line.count && line.gap != SIZE_MAX && lane <= ht_binary_lane_of(g, end - 1))
        line = ht_binary_line_at(g, lane += line.gap);
    return line.count ? ht_min(line.pixel, end) : end;
}

size_t ht_binary_panels_count(const ht_binary_grid *y, size_t least, size_t t_begin, size_t t_end, size_t *rest) {
    const size_t begin = ht_binary_lane_of(y, t_begin), end = ht_binary_lane_of(y, t_end - 1) + 1;
    const size_t lanes = end - begin;
    const size_t all = lanes / HT_BINARY_PANEL + (lanes % HT_BINARY_PANEL >= least);
    const size_t panels = least > HT_BINARY_PANEL ? 0 : all;
    *rest = t_end - pixel_from(y, begin + panels * HT_BINARY_PANEL, t_end);
    return panels;
}

// MARK: cost

// An entry takes 0.92, or 1.1 in the short lists of a tree, whose vectors lie in L2; the counters of an output 54 for
// each chunk, or 90 in a tree; an input is cut and moved; and 16 numbers are put together in 4, so that machines with
// fewer ports do not lose by them.
double ht_binary_panel_cycles(const ht_binary_layout *l, bool numbers) {
    const bool tree = l->of.design == HT_BINARY_TREE;
    const double entries = HT_BINARY_LIST_GROUP * (double)l->of.list_groups, outputs = (double)l->of.outputs;
    const double inputs = (double)l->taps * (double)l->of.tap_columns;
    const double counters = (tree ? 90 : 54) * (double)l->of.chunks, results = numbers ? 4 * HT_BINARY_PANEL / 16 : 0;
    return (tree ? 1.1 : 0.92) * entries + (counters + results) * outputs + 3 * inputs + 2000;
}

// 640 signs a cycle that are seen, and 16 numbers are stored.
double ht_binary_pixel_cycles(const ht_binary_layout *l, const ht_conv *conv, bool numbers) {
    const double words = (double)l->taps * (double)l->tap_words, outputs = (double)l->of.outputs;
    return outputs * words * HT_BINARY_WORD / 640 * ht_binary_seen_share(conv) + (numbers ? outputs / 16 : 0);
}

// MARK: scratch

static size_t bits_of(size_t n) {
    size_t bits = 0;
    while (n >> bits) bits++;
    return bits;
}

// The bits of counters that kernels are made for: 2^bits is more than inputs + 1, so that every limit fits.
static size_t counter_bits(size_t inputs) {
    static const size_t some[] = {8, 10, 11, 12, 13, 15};
    size_t i = 0;
    while (some[i] < bits_of(inputs + 1)) i++;
    return some[i];
}

// A matrix of t rows is an image of one row.
static void set_grids(const ht_conv *conv, size_t t, ht_binary_panels *p) {
    p->x = p->y = (ht_binary_grid){t, 1, t, 1, 1};
    if (!conv) return;
    const ht_conv_shape *s = &conv->shape;
    const size_t pitch = ht_max(s->width, conv->out_width), rows = ht_max(s->height, conv->out_height);
    p->x = (ht_binary_grid){pitch, rows, s->width, s->height, s->images};
    p->y = (ht_binary_grid){pitch, rows, conv->out_width, conv->out_height, s->images};
    p->tap_down = s->dilation_y * pitch;
    p->tap_across = s->dilation_x;
    p->lead = s->pad_top * pitch + s->pad_left;
    p->reach = (s->kernel_height - 1) * p->tap_down + (s->kernel_width - 1) * p->tap_across;
}

static size_t columns_of_views(const ht_conv *conv, size_t views) {
    size_t columns = 1;
    ht_binary_view view[HT_PANELS_VIEWS];
    ht_binary_views(conv, view);
    while (columns < views && view[columns].rows.begin == view[0].rows.begin) columns++;
    return columns;
}

size_t ht_binary_panels_make(const ht_binary_layout *l, const ht_conv *conv, size_t t, bool numbers, char *scratch,
                             ht_binary_panels *p) {
    const size_t inputs = l->taps * l->of.tap_columns;
    *p = (ht_binary_panels){.lists = ht_binary_lists_of(l, NULL),
                            .channels = l->of.tap_columns,
                            .count_bits = bits_of(l->of.tap_columns),
                            .counter_bits = counter_bits(inputs),
                            .outputs = ht_round_up(l->of.outputs, 64),
                            .views = ht_binary_views(conv, NULL)};
    set_grids(conv, t, p);
    const double pixel = ht_binary_pixel_cycles(l, conv, numbers);
    p->least = pixel > 0 ? 1 + (size_t)(ht_binary_panel_cycles(l, numbers) / pixel) : SIZE_MAX;
    p->view_columns = columns_of_views(conv, p->views);
    p->string_rows = p->channels + 1 + p->count_bits;
    p->in_place = l->taps == 1 && p->lead == 0 && p->lists.chunks == 1;
    p->at_once = p->in_place ? 1 : HT_PANELS_AT_ONCE;
    p->strings_at_once = p->at_once + (p->in_place ? 0 : ht_ceil_div(p->reach, HT_BINARY_PANEL) + 1);
    size_t bytes = 0;
    char *memory = scratch;
#define TAKE(member, count)                                      \
    do {                                                         \
        p->member = (void *)memory;                              \
        bytes += ht_carve(&memory, (count) * sizeof *p->member); \
    } while (0)
    TAKE(inputs, (p->lists.chunk_inputs + 1) * HT_PANELS_VECTOR);
    TAKE(tables, HT_PANELS_TABLES * HT_PANELS_TABLE * HT_PANELS_VECTOR);
    TAKE(words, HT_BINARY_PANEL);
    TAKE(view_lanes, p->views * HT_PANELS_VECTOR);
    TAKE(tap_lanes, l->taps * HT_PANELS_VECTOR);
    TAKE(view, p->views);
    TAKE(of_view, p->views * p->outputs);
    TAKE(factor, p->outputs);
    TAKE(sets, ht_ceil_div(p->views, HT_PANELS_TABLE_VIEWS) * p->outputs);
    TAKE(all, ht_round_up(p->channels, 8));
    TAKE(inverted, p->outputs);
    TAKE(turned, p->outputs);
    const size_t first_named = p->in_place ? bytes : 0;
    TAKE(strings, p->strings_at_once * p->string_rows * HT_PANELS_VECTOR);
    const bool keeps_counters = p->lists.chunks > 1 || l->of.design == HT_BINARY_TREE;
    TAKE(counters, keeps_counters ? p->outputs * p->counter_bits * HT_PANELS_VECTOR : 0);
    TAKE(results, p->outputs * HT_PANELS_NUMBERS * HT_PANELS_VECTOR);
#undef TAKE
    // An entry of a list can be any number of 16 bits, 8 bytes apart.
    return ht_max(bytes, first_named + (size_t)UINT16_MAX * 8 + HT_PANELS_VECTOR);
}
