// SPDX-License-Identifier: Apache-2.0
// Where the design with pixels in the lanes applies, and what it costs.
#include "pixels.h"

#include <math.h>

#include "panels.h"

enum {
    inputs_limit = 32766, // counters have 15 bits
    reach_limit = 16384   // lanes
};

static size_t inputs_of(const ht_binary_layout *l) { return l->taps * l->of.tap_columns; }

// Groups of channels and outputs begin at words.
static bool has_whole_words(const ht_binary_layout *l) {
    return l->of.tap_columns % 64 == 0 && l->of.outputs % 64 == 0;
}

static bool suits(const ht_binary_layout *l, const ht_conv *conv) {
    const size_t inputs = inputs_of(l);
    if (inputs == 0 || inputs > inputs_limit || l->of.tap_columns > HT_PANELS_CHANNELS) return false;
    if (l->of.design == HT_BINARY_TREE && l->of.chunks != 1) return false;
    if (!conv) return true;
    const ht_conv_shape *s = &conv->shape;
    if ((s->groups != 1 && !has_whole_words(l)) || s->stride_x != 1 || s->stride_y != 1) return false;
    if (ht_binary_views(conv, NULL) > HT_PANELS_VIEWS) return false;
    const size_t pitch = ht_max(s->width, conv->out_width);
    size_t down, across;
    return ht_mul((s->kernel_height - 1) * s->dilation_y + s->pad_top, pitch, &down) && down < reach_limit &&
           ht_mul(s->kernel_width - 1, s->dilation_x, &across) && across + s->pad_left < reach_limit;
}

bool ht_binary_pixels_applies(const ht_binary_task *task) {
    const bool bits = task->x_dtype == HT_DTYPE_B1 || task->x_dtype == HT_DTYPE_U1;
    const ht_binary_layout *l = task->layout;
    const bool words = task->o_begin % 64 == 0 && (task->o_end % 64 == 0 || task->o_end == l->of.outputs);
    const bool all = task->o_begin == 0 && task->o_end == l->of.outputs;
    return bits && words && (all || l->of.design != HT_BINARY_TREE) && suits(l, task->conv);
}

double ht_binary_pixels_cycles(const ht_binary_layout *l, const ht_conv *conv, size_t t, bool numbers) {
    ht_binary_panels p;
    size_t rest;
    if (t == 0 || !suits(l, conv)) return HUGE_VAL;
    ht_binary_panels_make(l, conv, t, numbers, NULL, &p);
    const double panels = (double)ht_binary_panels_count(&p.y, p.least, 0, t, &rest);
    return panels * ht_binary_panel_cycles(l, numbers) + (double)rest * ht_binary_pixel_cycles(l, conv, numbers);
}

ht_status ht_binary_pixels_scratch(const ht_binary_layout *l, const ht_conv *conv, size_t t, size_t *bytes) {
    ht_binary_panels panels;
    *bytes = suits(l, conv) ? ht_binary_panels_make(l, conv, t, false, NULL, &panels) : 0;
    return HT_OK;
}
