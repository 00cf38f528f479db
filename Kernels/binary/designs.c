// SPDX-License-Identifier: Apache-2.0
// Which design a product or convolution takes.
#include "designs.h"

#include "channels.h"
#include "pixels.h"
#include "tiles.h"

ht_binary_design ht_binary_choose_design(const ht_binary_layout *direct, const ht_conv *conv, ht_binary_design asked) {
    if (asked != HT_BINARY_AUTO) return asked;
    if (ht_binary_channels_pays(direct, conv)) return HT_BINARY_CHANNELS;
    return ht_binary_pixels_pays(direct, conv) ? HT_BINARY_PIXELS : HT_BINARY_DIRECT;
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
