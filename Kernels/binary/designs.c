// SPDX-License-Identifier: Apache-2.0
// Which design a product or convolution takes.
#include "designs.h"

#include <math.h>

#include "channels.h"
#include "panels.h"
#include "tiles.h"

bool ht_binary_has_designs(void) {
    const ht_entry *entry;
    return !ht_pick(ht_binary_gemm_table, HT_ISA_AUTO, &entry) && entry->isa == HT_ISA_AVX512_POPCNT;
}

double ht_binary_cycles(const ht_binary_layout *l, const ht_conv *conv, size_t t, bool numbers) {
    if (l->of.design == HT_BINARY_DIRECT) return (double)t * ht_binary_pixel_cycles(l, conv, numbers);
    if (l->of.design == HT_BINARY_CHANNELS) return numbers ? HUGE_VAL : ht_binary_channels_cycles(l, conv);
    return ht_binary_pixels_cycles(l, conv, t, numbers);
}

static double cycles_in(ht_binary_design design, const ht_binary_layout *direct, const ht_conv *conv, bool numbers) {
    ht_binary_weights of = direct->of;
    ht_binary_layout l;
    of.design = design;
    return ht_binary_layout_make(&of, &l) ? HUGE_VAL : ht_binary_cycles(&l, conv, conv->y_pixels, numbers);
}

ht_binary_design ht_binary_choose_design(const ht_binary_layout *direct, const ht_conv *conv, ht_binary_design asked) {
    static const ht_binary_design others[] = {HT_BINARY_CHANNELS, HT_BINARY_PIXELS};
    if (asked != HT_BINARY_AUTO) return asked;
    ht_binary_design best = HT_BINARY_DIRECT;
    if (!conv) return best;
    double least = cycles_in(best, direct, conv, false);
    for (size_t i = 0; i < 2; i++) {
        const double cycles = cycles_in(others[i], direct, conv, false);
        if (cycles * HT_BINARY_MARGIN < least) best = others[i], least = cycles;
    }
    return best;
}

ht_binary_design ht_binary_design_of(const ht_binary_task *task) {
    const ht_binary_design packed = task->layout->of.design;
    if (task->design != HT_BINARY_AUTO && task->design != packed) return HT_BINARY_DIRECT;
    if (ht_binary_has_lists(packed) && ht_binary_pixels_applies(task)) return packed;
    if (packed == HT_BINARY_CHANNELS && ht_binary_channels_applies(task)) return packed;
    return HT_BINARY_DIRECT;
}

ht_status ht_binary_bits_scratch(const ht_binary_layout *l, const ht_conv *conv, size_t t, size_t *bytes) {
    size_t besides = 0;
    ht_status status = ht_binary_tiles_scratch(l, conv, t, bytes);
    if (!status && ht_binary_has_lists(l->of.design)) status = ht_binary_pixels_scratch(l, conv, t, &besides);
    if (!status && l->of.design == HT_BINARY_CHANNELS) status = ht_binary_channels_scratch(l, conv, t, &besides);
    *bytes = ht_max(*bytes, besides);
    return status;
}
