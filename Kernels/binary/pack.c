// SPDX-License-Identifier: Apache-2.0
// Packing signs for products, and back.
#include <string.h>

#include "channels.h"
#include "core/operands.h"
#include "designs.h"
#include "halftone/binary_conv.h"
#include "pixels.h"

// What the calls for matrices and for filters have in common: `groups` blobs, one behind the other.
typedef struct weights {
    ht_binary_layout layout;
    size_t groups;
    size_t columns;  // signs of a row
    size_t bytes;    // of all blobs
} weights;

// `conv` is null for a matrix.
static ht_status weights_make(ht_binary_weights of, const ht_conv *conv, const ht_options *options, weights *w) {
    const ht_binary_design asked = options ? options->binary_design : HT_BINARY_AUTO;
    const size_t groups = conv ? conv->shape.groups : 1;
    if ((unsigned)asked > HT_BINARY_CHANNELS) return HT_ERROR_DESIGN;
    of.design = HT_BINARY_DIRECT;
    ht_status status = ht_binary_layout_make(&of, &w->layout);
    if (status) return status;
    of.design = ht_binary_choose_design(&w->layout, conv, asked);
    status = ht_binary_layout_make(&of, &w->layout);
    w->groups = groups;
    w->columns = w->layout.taps * of.tap_columns;
    if (status) return status;
    return ht_mul(w->layout.bytes, groups, &w->bytes) && w->bytes <= PTRDIFF_MAX ? HT_OK : HT_ERROR_OVERFLOW;
}

static ht_status matrix_make(size_t outputs, size_t inputs, const ht_options *options, weights *w) {
    const ht_binary_weights of = {outputs, inputs, 1, 1, HT_BINARY_AUTO};
    return weights_make(of, NULL, options, w);
}

static ht_status filters_make(const ht_conv_shape *shape, const ht_options *options, weights *w) {
    ht_conv conv;
    ht_status status = ht_conv_make(shape, &conv);
    if (status) return status;
    const ht_conv_shape *s = &conv.shape;
    if (s->kernel_height > UINT16_MAX || s->kernel_width > UINT16_MAX) return HT_ERROR_OVERFLOW;
    const ht_binary_weights of = {s->outputs / s->groups, s->channels / s->groups, s->kernel_height, s->kernel_width,
                                  HT_BINARY_AUTO};
    return weights_make(of, &conv, options, w);
}

// MARK: words

static void pack_block(const weights *w, const uint64_t *rows, size_t stride, size_t outputs, uint32_t *to) {
    const ht_binary_layout *l = &w->layout;
    for (size_t tap = 0; tap < l->taps; tap++)
        for (size_t word = 0; word < l->tap_words; word++)
            for (size_t o = 0; o < HT_BINARY_BLOCK; o++) {
                const uint64_t *row = (const uint64_t *)((const char *)rows + o * stride);
                size_t first = word * HT_BINARY_WORD, count = ht_min(HT_BINARY_WORD, l->of.tap_columns - first);
                *to++ = o < outputs ? ht_bits_at(row, tap * l->of.tap_columns + first, count) : 0;
            }
}

static ht_status pack(const weights *w, const uint64_t *from, size_t stride, void *packed, size_t packed_size) {
    const ht_binary_layout *l = &w->layout;
    ht_status status = ht_check_bits(from, w->groups * l->of.outputs, w->columns, &stride);
    if (status) return status;
    if (!packed) return HT_ERROR_NULL;
    if (!ht_is_aligned(packed, HT_ALIGNMENT)) return HT_ERROR_ALIGNMENT;
    if (packed_size < w->bytes) return HT_ERROR_BUFFER_SIZE;
    for (size_t group = 0; group < w->groups; group++) {
        char *blob = (char *)packed + group * l->bytes;
        for (size_t block = 0; block < l->blocks; block++) {
            size_t first = block * HT_BINARY_BLOCK, outputs = ht_min(HT_BINARY_BLOCK, l->of.outputs - first);
            const char *rows = (const char *)from + (group * l->of.outputs + first) * stride;
            pack_block(w, (const uint64_t *)rows, stride, outputs, (uint32_t *)ht_binary_words(l, blob, block));
        }
        if (l->of.design == HT_BINARY_PIXELS) ht_binary_pixels_pack(l, blob);
        if (l->of.design == HT_BINARY_CHANNELS) ht_binary_channels_pack(l, blob);
        ht_binary_layout_seal(l, blob);
    }
    return HT_OK;
}

static void unpack_row(const ht_binary_layout *l, const void *blob, size_t o, uint64_t *row) {
    const uint32_t *words = ht_binary_words(l, blob, o / HT_BINARY_BLOCK) + o % HT_BINARY_BLOCK;
    memset(row, 0, ht_bit_words(l->taps * l->of.tap_columns) * sizeof *row);
    for (size_t tap = 0; tap < l->taps; tap++)
        for (size_t word = 0; word < l->tap_words; word++) {
            size_t to = tap * l->of.tap_columns + word * HT_BINARY_WORD;
            uint64_t bits = words[(tap * l->tap_words + word) * HT_BINARY_BLOCK];
            row[to / 64] |= bits << to % 64;
            if (to % 64 > 32 && bits >> (64 - to % 64)) row[to / 64 + 1] |= bits >> (64 - to % 64);
        }
}

static ht_status unpack(const weights *w, const void *packed, size_t packed_size, uint64_t *to, size_t stride) {
    ht_binary_layout found;
    const ht_binary_weights *of = &w->layout.of;
    ht_status status = ht_check_bits(to, w->groups * of->outputs, w->columns, &stride);
    if (status) return status;
    for (size_t group = 0, at = 0; group < w->groups; group++, at += found.bytes) {
        status = ht_binary_layout_open((const char *)packed + at, packed_size - at, &found);
        if (status) return status;
        bool fits = found.of.outputs == of->outputs && found.of.tap_columns == of->tap_columns &&
                    found.of.kernel_height == of->kernel_height && found.of.kernel_width == of->kernel_width;
        if (!fits) return HT_ERROR_BLOB_SHAPE;
    }
    for (size_t row = 0; row < w->groups * of->outputs; row++) {
        const char *blob = (const char *)packed + row / of->outputs * found.bytes;
        unpack_row(&found, blob, row % of->outputs, (uint64_t *)((char *)to + row * stride));
    }
    return HT_OK;
}

// MARK: the public face

ht_status ht_binary_packed_size(size_t outputs, size_t inputs, const ht_options *options, size_t *size) {
    weights w;
    ht_status status = size ? matrix_make(outputs, inputs, options, &w) : HT_ERROR_NULL;
    if (!status) *size = w.bytes;
    return status;
}

ht_status ht_binary_conv_packed_size(const ht_conv_shape *shape, const ht_options *options, size_t *size) {
    weights w;
    ht_status status = size ? filters_make(shape, options, &w) : HT_ERROR_NULL;
    if (!status) *size = w.bytes;
    return status;
}

ht_status ht_binary_pack(size_t outputs, size_t inputs, const uint64_t *from, size_t stride, void *packed,
                         size_t packed_size, const ht_options *options) {
    weights w;
    ht_status status = matrix_make(outputs, inputs, options, &w);
    return status ? status : pack(&w, from, stride, packed, packed_size);
}

ht_status ht_binary_conv_pack(const ht_conv_shape *shape, const uint64_t *from, size_t stride, void *packed,
                              size_t packed_size, const ht_options *options) {
    weights w;
    ht_status status = filters_make(shape, options, &w);
    return status ? status : pack(&w, from, stride, packed, packed_size);
}

ht_status ht_binary_unpack(size_t outputs, size_t inputs, const void *packed, size_t packed_size, uint64_t *to,
                           size_t stride, const ht_options *options) {
    weights w;
    ht_status status = matrix_make(outputs, inputs, options, &w);
    return status ? status : unpack(&w, packed, packed_size, to, stride);
}

ht_status ht_binary_conv_unpack(const ht_conv_shape *shape, const void *packed, size_t packed_size, uint64_t *to,
                                size_t stride, const ht_options *options) {
    weights w;
    ht_status status = filters_make(shape, options, &w);
    return status ? status : unpack(&w, packed, packed_size, to, stride);
}

ht_status ht_binary_packed_info(const void *packed, size_t packed_size, ht_binary_info *info) {
    ht_binary_layout l;
    if (!info) return HT_ERROR_NULL;
    ht_status status = ht_binary_layout_open(packed, packed_size, &l);
    if (status) return status;
    const ht_binary_weights *of = &l.of;
    *info = (ht_binary_info){of->outputs, of->tap_columns, of->kernel_height, of->kernel_width, l.bytes, of->design};
    return HT_OK;
}
