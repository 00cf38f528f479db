// SPDX-License-Identifier: Apache-2.0
// The lists of weights of the design with pixels in the lanes, and where it applies.
#include "pixels.h"

#include <string.h>

#include "panels.h"

enum {
    chunk_limit = 576,    // inputs: 36 KiB of vectors
    inputs_limit = 32766, // counters have 15 bits
    channels_limit = 8000,
    reach_limit = 16384   // lanes
};

// MARK: lists

static size_t inputs_of(const ht_binary_layout *l) { return l->taps * l->of.tap_columns; }

static size_t chunks_of(const ht_binary_layout *l) { return ht_ceil_div(inputs_of(l), chunk_limit); }

// The lists of an output name at most half of its inputs.
static size_t groups_of_output(const ht_binary_layout *l) {
    return (inputs_of(l) / 2 + chunks_of(l) * (HT_BINARY_LIST_GROUP - 1)) / HT_BINARY_LIST_GROUP;
}

ht_status ht_binary_pixels_bytes(const ht_binary_layout *l, size_t *bytes) {
    size_t minus, ends, groups, entries;
    const bool fits = ht_mul(l->taps * sizeof(int32_t), l->of.outputs, &minus) &&
                      ht_mul(chunks_of(l) * sizeof(uint32_t), l->of.outputs, &ends) &&
                      ht_mul(groups_of_output(l), l->of.outputs, &groups) && groups <= UINT32_MAX &&
                      ht_mul(groups, HT_BINARY_LIST_GROUP * sizeof(uint16_t), &entries) &&
                      ht_add(entries, ends, bytes) && ht_add(*bytes, minus, bytes) &&
                      ht_add(*bytes, l->of.outputs + HT_ALIGNMENT, bytes);
    if (!fits) return HT_ERROR_OVERFLOW;
    *bytes &= ~(size_t)(HT_ALIGNMENT - 1);  // the next group's blob is aligned as well
    return HT_OK;
}

// Groups of entries come first: they are aligned to 16 bytes, and the rest to 4.
ht_binary_lists ht_binary_lists_of(const ht_binary_layout *l, const void *packed) {
    ht_binary_lists lists = {.chunks = chunks_of(l), .capacity = groups_of_output(l) * l->of.outputs};
    lists.chunk_inputs = lists.chunks ? ht_ceil_div(inputs_of(l), lists.chunks) : 0;
    if (!packed) return lists;
    lists.entries = (const uint16_t *)(const void *)((const char *)packed + l->behind);
    lists.minus = (const int32_t *)(const void *)(lists.entries + lists.capacity * HT_BINARY_LIST_GROUP);
    lists.end = (const uint32_t *)(lists.minus + l->taps * l->of.outputs);
    lists.of_plus = (const uint8_t *)(lists.end + lists.chunks * l->of.outputs);
    return lists;
}

static bool is_minus(const ht_binary_layout *l, const void *packed, size_t o, size_t tap, size_t k) {
    const uint32_t *words = ht_binary_words(l, packed, o / HT_BINARY_BLOCK);
    const size_t word = tap * l->tap_words + k / HT_BINARY_WORD;
    return words[word * HT_BINARY_BLOCK + o % HT_BINARY_BLOCK] >> k % HT_BINARY_WORD & 1;
}

static void count_minus(const ht_binary_layout *l, const void *packed, const ht_binary_lists *lists) {
    int32_t *minus = (int32_t *)lists->minus;
    uint8_t *of_plus = (uint8_t *)lists->of_plus;
    for (size_t o = 0; o < l->of.outputs; o++) {
        size_t all = 0;
        for (size_t tap = 0; tap < l->taps; tap++) {
            const uint32_t *w = ht_binary_words(l, packed, o / HT_BINARY_BLOCK) + o % HT_BINARY_BLOCK;
            int32_t count = 0;
            for (size_t word = 0; word < l->tap_words; word++)
                count += __builtin_popcount(w[(tap * l->tap_words + word) * HT_BINARY_BLOCK]);
            minus[tap * l->of.outputs + o] = count;
            all += (size_t)count;
        }
        of_plus[o] = all > inputs_of(l) - all;
    }
}

// Writes the list of an output and a chunk; returns its entries.
static size_t write_list(const ht_binary_layout *l, const void *packed, const ht_binary_lists *lists, size_t chunk,
                         size_t o, uint16_t *to) {
    const size_t first = chunk * lists->chunk_inputs, end = ht_min(first + lists->chunk_inputs, inputs_of(l));
    size_t count = 0, tap = first / l->of.tap_columns, k = first % l->of.tap_columns;
    for (size_t i = first; i < end; i++) {
        if (is_minus(l, packed, o, tap, k) != lists->of_plus[o])
            to[count++] = (uint16_t)((i - first) * HT_BINARY_LIST_UNIT);
        if (++k < l->of.tap_columns) continue;
        k = 0;
        tap++;
    }
    while (count % HT_BINARY_LIST_GROUP) to[count++] = (uint16_t)(lists->chunk_inputs * HT_BINARY_LIST_UNIT);
    return count;
}

void ht_binary_pixels_pack(const ht_binary_layout *l, void *packed) {
    const ht_binary_lists lists = ht_binary_lists_of(l, packed);
    uint32_t *end = (uint32_t *)lists.end;
    memset((char *)packed + l->behind, 0, l->bytes - l->behind);
    count_minus(l, packed, &lists);
    uint32_t groups = 0;
    for (size_t chunk = 0; chunk < lists.chunks; chunk++)
        for (size_t o = 0; o < l->of.outputs; o++) {
            uint16_t *to = (uint16_t *)lists.entries + groups * (size_t)HT_BINARY_LIST_GROUP;
            groups += (uint32_t)(write_list(l, packed, &lists, chunk, o, to) / HT_BINARY_LIST_GROUP);
            end[chunk * l->of.outputs + o] = groups;
        }
}

ht_status ht_binary_pixels_check(const ht_binary_layout *l, const void *packed) {
    const ht_binary_lists lists = ht_binary_lists_of(l, packed);
    uint32_t last = 0;
    bool rises = true;
    for (size_t i = 0; i < lists.chunks * l->of.outputs; last = lists.end[i++]) rises &= last <= lists.end[i];
    return rises && last <= lists.capacity ? HT_OK : HT_ERROR_BLOB_CORRUPT;
}

// MARK: where it applies

static bool suits(const ht_binary_layout *l, const ht_conv *conv) {
    const size_t inputs = inputs_of(l);
    if (inputs == 0 || inputs > inputs_limit || l->of.tap_columns > channels_limit) return false;
    if (!conv) return true;
    const ht_conv_shape *s = &conv->shape;
    if (s->groups != 1 || s->stride_x != 1 || s->stride_y != 1) return false;
    if (ht_binary_views(conv, NULL) > HT_PANELS_VIEWS) return false;
    const size_t pitch = ht_max(s->width, conv->out_width);
    size_t down, across;
    return ht_mul((s->kernel_height - 1) * s->dilation_y + s->pad_top, pitch, &down) && down < reach_limit &&
           ht_mul(s->kernel_width - 1, s->dilation_x, &across) && across + s->pad_left < reach_limit;
}

bool ht_binary_pixels_applies(const ht_binary_task *task) {
    const bool bits = (task->x_dtype == HT_DTYPE_B1 || task->x_dtype == HT_DTYPE_U1) && task->y_dtype == HT_DTYPE_B1;
    const bool words = task->o_begin % 64 == 0 && (task->o_end % 64 == 0 || task->o_end == task->layout->of.outputs);
    return bits && words && suits(task->layout, task->conv);
}

// Cycles as measured on Zen 5: a pixel of the direct design counts 640 signs a cycle; an output of a panel takes 0.46
// for each input, half of which are listed, and 60 for each chunk; and a panel cuts its inputs into vectors.
bool ht_binary_pixels_pays(const ht_binary_layout *l, const ht_conv *conv) {
    if (!conv || !suits(l, conv) || conv->y_pixels == 0) return false;
    ht_binary_panels p;
    ht_binary_panels_make(l, conv, conv->y_pixels, NULL, &p);
    size_t rest;
    const double panels = (double)ht_binary_panels_count(&p.y, 0, conv->y_pixels, &rest);
    const double inputs = (double)inputs_of(l), words = (double)(l->taps * l->tap_words);
    const double pixel = (double)l->of.outputs * words * HT_BINARY_WORD / 640;
    const double panel = (double)p.outputs * (0.46 * inputs + 60 * (double)p.lists.chunks) + 3 * inputs + 2000;
    return panels * panel + (double)rest * pixel < (double)conv->y_pixels * pixel / 1.1;
}

ht_status ht_binary_pixels_scratch(const ht_binary_layout *l, const ht_conv *conv, size_t t, size_t *bytes) {
    ht_binary_panels panels;
    *bytes = suits(l, conv) ? ht_binary_panels_make(l, conv, t, NULL, &panels) : 0;
    return HT_OK;
}
