// SPDX-License-Identifier: Apache-2.0
#include "filters.h"

#include <math.h>

#include "check.h"
#include "values.h"

static size_t or_one(size_t value) { return value ? value : 1; }

static size_t positions(size_t size, size_t before, size_t behind, size_t taps, size_t dilation, size_t stride) {
    size_t count = 0;
    for (size_t first = 0; first + (taps - 1) * dilation < before + size + behind; first += stride) count++;
    return count;
}

filters make_filters(const ht_conv_shape *shape, ht_dtype dtype, size_t gap) {
    filters f = {.shape = *shape, .shared_rows = 1};
    ht_conv_shape *s = &f.shape;
    s->images = or_one(s->images), s->groups = or_one(s->groups);
    s->stride_y = or_one(s->stride_y), s->stride_x = or_one(s->stride_x);
    s->dilation_y = or_one(s->dilation_y), s->dilation_x = or_one(s->dilation_x);
    f.y_height = positions(s->height, s->pad_top, s->pad_bottom, s->kernel_height, s->dilation_y, s->stride_y);
    f.y_width = positions(s->width, s->pad_left, s->pad_right, s->kernel_width, s->dilation_x, s->stride_x);
    size_t length = s->kernel_height * s->kernel_width * (s->channels / s->groups);
    f.w = make_matrix(s->outputs, length, dtype, HT_ORDER_ROWS, gap);
    f.mask = make_matrix(s->outputs, (length + 7) / 8, HT_DTYPE_U8, HT_ORDER_ROWS, gap);
    f.is_entry = allocate(s->outputs * length * sizeof *f.is_entry);
    f.value = allocate(s->outputs * length * sizeof *f.value);
    return f;
}

void free_filters(filters *f) {
    free_matrix(&f->w), free_matrix(&f->mask);
    free(f->is_entry), free(f->value);
}

size_t x_pixels(const filters *f) { return f->shape.images * f->shape.height * f->shape.width; }
size_t y_pixels(const filters *f) { return f->shape.images * f->y_height * f->y_width; }

// MARK: lines of weights

static size_t tap_count(const filters *f) { return f->shape.kernel_height * f->shape.kernel_width; }
static size_t group_channels(const filters *f) { return f->shape.channels / f->shape.groups; }
static size_t group_outputs(const filters *f) { return f->shape.outputs / f->shape.groups; }

// A line is what N:M counts along: the weights of one tap that add up to one result. Lines and their places are those
// of one group of channels.
static size_t line_count(const filters *f) { return f->backward ? group_channels(f) : group_outputs(f); }
static size_t line_length(const filters *f) { return f->backward ? group_outputs(f) : group_channels(f); }

// The channel that a place of a line reads.
static size_t channel_read(const filters *f, size_t group, size_t place) {
    size_t channel = group * line_length(f) + place;
    return f->backward && f->permutation ? f->permutation[channel] : channel;
}

static size_t output_of(const filters *f, size_t group, size_t line, size_t place) {
    return f->backward ? channel_read(f, group, place) : group * group_outputs(f) + line;
}

// The place of a weight in its filter.
static size_t weight_of(const filters *f, size_t line, size_t tap, size_t place) {
    return tap * group_channels(f) + (f->backward ? line : place);
}

static size_t at(const filters *f, size_t o, size_t weight) { return o * f->w.columns + weight; }

static float weight_value(const filters *f, size_t o, size_t weight) {
    return value_at(element(&f->w, o, weight), f->w.dtype, 0);
}

bool in_mask(const filters *f, size_t o, size_t weight) {
    return *(const uint8_t *)element(&f->mask, o, weight / 8) >> weight % 8 & 1;
}

// `count` places of the lines and taps that share a pattern.
typedef struct patch {
    size_t group, first_line, last_line, first_tap, last_tap, first_place, count;
} patch;

static void each_patch(const filters *f, void (*visit)(const filters *f, const patch *p, void *context),
                       void *context) {
    size_t taps_each = f->shared_taps ? tap_count(f) : 1, length = line_length(f);
    for (size_t group = 0; group < f->shape.groups; group++)
        for (size_t line = 0; line < line_count(f); line += f->shared_rows)
            for (size_t tap = 0; tap < tap_count(f); tap += taps_each)
                for (size_t place = 0; place < length; place += f->m) {
                    size_t behind = line + f->shared_rows < line_count(f) ? line + f->shared_rows : line_count(f);
                    size_t count = length - place < f->m ? length - place : f->m;
                    patch p = {group, line, behind - 1, tap, tap + taps_each - 1, place, count};
                    visit(f, &p, context);
                }
}

// MARK: masks

static double magnitude(const filters *f, const patch *p, size_t place) {
    double total = 0;
    for (size_t line = p->first_line; line <= p->last_line; line++)
        for (size_t tap = p->first_tap; tap <= p->last_tap; tap++)
            total += fabs((double)weight_value(f, output_of(f, p->group, line, p->first_place + place),
                                               weight_of(f, line, tap, p->first_place + place)));
    return total;
}

static bool is_larger(double a, double b) { return isnan(a) ? !isnan(b) : a > b; }

static bool is_kept(const double *magnitudes, size_t count, size_t n, size_t place) {
    size_t before = 0;
    for (size_t j = 0; j < count; j++)
        if (is_larger(magnitudes[j], magnitudes[place]) || (j < place && !is_larger(magnitudes[place], magnitudes[j])))
            before++;
    return before < n;
}

static void set_mask_bit(const filters *f, size_t o, size_t weight, bool bit) {
    uint8_t *byte = element(&f->mask, o, weight / 8);
    *byte = (uint8_t)((*byte & ~(1 << weight % 8)) | bit << weight % 8);
}

static void mask_patch(const filters *f, const patch *p, void *unused) {
    (void)unused;
    double magnitudes[64];
    for (size_t j = 0; j < p->count; j++) magnitudes[j] = magnitude(f, p, j);
    for (size_t j = 0; j < p->count; j++)
        for (size_t line = p->first_line; line <= p->last_line; line++)
            for (size_t tap = p->first_tap; tap <= p->last_tap; tap++)
                set_mask_bit(f, output_of(f, p->group, line, p->first_place + j),
                             weight_of(f, line, tap, p->first_place + j), is_kept(magnitudes, p->count, f->n, j));
}

void set_magnitude_mask(filters *f) {
    for (size_t o = 0; o < f->shape.outputs; o++)
        if (f->mask.columns) memset(element(&f->mask, o, 0), 0, f->mask.columns);
    each_patch(f, mask_patch, NULL);
}

// MARK: entries

static bool is_named(const filters *f, const patch *p, size_t place) {
    bool named = false;
    for (size_t line = p->first_line; line <= p->last_line; line++)
        for (size_t tap = p->first_tap; tap <= p->last_tap; tap++) {
            size_t o = output_of(f, p->group, line, place), weight = weight_of(f, line, tap, place);
            named |= f->uses_mask ? in_mask(f, o, weight) : weight_value(f, o, weight) != 0;
        }
    return named;
}

static void enter(const filters *f, const patch *p, size_t place) {
    for (size_t line = p->first_line; line <= p->last_line; line++)
        for (size_t tap = p->first_tap; tap <= p->last_tap; tap++) {
            size_t o = output_of(f, p->group, line, place), weight = weight_of(f, line, tap, place);
            f->is_entry[at(f, o, weight)] = true;
            f->value[at(f, o, weight)] = !f->uses_mask || in_mask(f, o, weight) ? weight_value(f, o, weight) : 0;
        }
}

static void enter_patch(const filters *f, const patch *p, void *fits) {
    size_t entries = 0;
    for (size_t j = 0; j < p->count; j++)
        if (is_named(f, p, p->first_place + j)) enter(f, p, p->first_place + j), entries++;
    if (entries > f->n) *(bool *)fits = false;
    for (size_t j = 0; j < p->count && entries < f->n; j++)
        if (!is_named(f, p, p->first_place + j)) enter(f, p, p->first_place + j), entries++;
}

bool set_entries(filters *f) {
    bool fits = true;
    memset(f->is_entry, 0, f->shape.outputs * f->w.columns * sizeof *f->is_entry);
    each_patch(f, enter_patch, &fits);
    return fits;
}

// MARK: sums

// The row or column of X that a tap of a row or column of Y reads; SIZE_MAX outside the image.
static size_t read_at(size_t y, size_t stride, size_t tap, size_t dilation, size_t pad, size_t size) {
    size_t padded = y * stride + tap * dilation;
    return padded < pad || padded - pad >= size ? SIZE_MAX : padded - pad;
}

static void add_term(const filters *f, const float *from, sum *to, size_t y, size_t x, size_t weight) {
    sum *target = to + (f->backward ? x : y);
    double term = (double)f->value[weight] * (double)from[f->backward ? y : x];
    target->value += term;
    target->size += fabs(term);
    target->terms++;
}

void add_terms(const filters *f, const float *from, sum *to) {
    const ht_conv_shape *s = &f->shape;
    for (size_t i = 0; i < s->images; i++)
        for (size_t r = 0; r < f->y_height; r++)
            for (size_t c = 0; c < f->y_width; c++)
                for (size_t o = 0; o < s->outputs; o++)
                    for (size_t u = 0; u < s->kernel_height; u++)
                        for (size_t v = 0; v < s->kernel_width; v++)
                            for (size_t k = 0; k < group_channels(f); k++) {
                                size_t row = read_at(r, s->stride_y, u, s->dilation_y, s->pad_top, s->height);
                                size_t column = read_at(c, s->stride_x, v, s->dilation_x, s->pad_left, s->width);
                                size_t weight = at(f, o, (u * s->kernel_width + v) * group_channels(f) + k);
                                if (row == SIZE_MAX || column == SIZE_MAX || !f->is_entry[weight]) continue;
                                size_t x = ((i * s->height + row) * s->width + column) * s->channels +
                                           o / group_outputs(f) * group_channels(f) + k;
                                size_t y = ((i * f->y_height + r) * f->y_width + c) * s->outputs + o;
                                add_term(f, from, to, y, x, weight);
                            }
}

// The row or column of Y in which a tap reads this one of X; SIZE_MAX where there is none.
static size_t read_by(size_t x, size_t stride, size_t tap, size_t dilation, size_t pad, size_t size) {
    size_t padded = x + pad, offset = tap * dilation;
    if (padded < offset || (padded - offset) % stride || (padded - offset) / stride >= size) return SIZE_MAX;
    return (padded - offset) / stride;
}

// The pixel of the operand that a tap of a result's pixel reads; SIZE_MAX for none.
static size_t pixel_read(const filters *f, size_t pixel, size_t tap) {
    const ht_conv_shape *s = &f->shape;
    size_t height = f->backward ? s->height : f->y_height, width = f->backward ? s->width : f->y_width;
    size_t u = tap / s->kernel_width, v = tap % s->kernel_width;
    size_t image = pixel / width / height, row = pixel / width % height, column = pixel % width;
    size_t from_height = f->backward ? f->y_height : s->height, from_width = f->backward ? f->y_width : s->width;
    size_t (*read)(size_t, size_t, size_t, size_t, size_t, size_t) = f->backward ? read_by : read_at;
    row = read(row, s->stride_y, u, s->dilation_y, s->pad_top, from_height);
    column = read(column, s->stride_x, v, s->dilation_x, s->pad_left, from_width);
    return row == SIZE_MAX || column == SIZE_MAX ? SIZE_MAX : (image * from_height + row) * from_width + column;
}

// Adds the entries of one tap that are at these places.
static float add_places(const filters *f, const float *from, size_t pixel, size_t channel, size_t tap, size_t place,
                        size_t behind, float total) {
    size_t group = channel / line_count(f), line = channel % line_count(f), read = pixel_read(f, pixel, tap);
    size_t from_channels = f->backward ? f->shape.outputs : f->shape.channels;
    for (; place < behind && place < line_length(f); place++) {
        size_t weight = at(f, output_of(f, group, line, place), weight_of(f, line, tap, place));
        if (!f->is_entry[weight]) continue;
        float x = read == SIZE_MAX ? 0 : from[read * from_channels + channel_read(f, group, place)];
        total = fmaf(f->value[weight], x, total);
    }
    return total;
}

static bool takes_turns(const filters *f) {
    static const size_t patterns[][2] = {{1, 4}, {1, 8}, {2, 8}, {1, 16}, {2, 16}};
    bool known = false;
    for (size_t i = 0; i < COUNT(patterns); i++) known |= f->n == patterns[i][0] && f->m == patterns[i][1];
    return known && !f->backward && f->shared_taps && f->shared_rows == 1 && f->w.dtype == HT_DTYPE_F32 &&
           f->shape.kernel_width == 3 && group_channels(f) % 16 == 0 && group_channels(f) <= 256;
}

// So many places a tap adds before it is the next one's turn.
static size_t turn_length(const filters *f) { return !takes_turns(f) ? line_length(f) + 1 : f->m == 16 ? 16 : 8; }

float chain(const filters *f, const float *from, size_t pixel, size_t channel) {
    float total = 0;
    size_t taps = tap_count(f), width = f->shape.kernel_width, turn = turn_length(f);
    for (size_t row = 0; row < taps; row += width)
        for (size_t place = 0; place < line_length(f); place += turn)
            for (size_t step = row; step < row + width; step++)
                total = add_places(f, from, pixel, channel, f->backward ? taps - 1 - step : step, place, place + turn,
                                   total);
    return total;
}
