// SPDX-License-Identifier: Apache-2.0
// Packing signs for products, and back.
#include "pack.h"

#include <string.h>

#include "channels.h"
#include "core/operands.h"
#include "core/simd.h"
#include "core/threads.h"
#include "designs.h"
#include "lists.h"
#include "mst/tree.h"

// What is packed: `groups` blobs, one behind the other.
typedef struct weights {
    ht_binary_layout layout;
    size_t groups;
    size_t columns;  // signs of a row
    size_t bytes;    // of all blobs
    ht_binary_rows rows;
} weights;

static ht_status set_bytes(weights *w) {
    return ht_mul(w->layout.bytes, w->groups, &w->bytes) && w->bytes <= PTRDIFF_MAX ? HT_OK : HT_ERROR_OVERFLOW;
}

// `conv` is null for a matrix.
static ht_status weights_make(ht_binary_weights of, const ht_conv *conv, const ht_options *options, weights *w) {
    const ht_binary_design asked = options ? options->binary_design : HT_BINARY_AUTO;
    if ((unsigned)asked >= HT_BINARY_TREE) return HT_ERROR_DESIGN;
    of.design = HT_BINARY_DIRECT;
    *w = (weights){.groups = conv ? conv->shape.groups : 1};
    ht_status status = ht_binary_layout_make(&of, &w->layout);
    if (status) return status;
    of.design = ht_binary_choose_design(&w->layout, conv, asked);
    status = ht_binary_layout_make(&of, &w->layout);
    w->columns = w->layout.taps * of.tap_columns;
    return status ? status : set_bytes(w);
}

static ht_status matrix_make(size_t outputs, size_t inputs, const ht_options *options, weights *w) {
    const ht_binary_weights of = {outputs, inputs, 1, 1, HT_BINARY_AUTO, 0, 0};
    return weights_make(of, NULL, options, w);
}

static ht_status filters_make(const ht_conv_shape *shape, const ht_options *options, weights *w) {
    ht_conv conv;
    ht_status status = ht_conv_make(shape, &conv);
    if (status) return status;
    const ht_conv_shape *s = &conv.shape;
    if (s->kernel_height > UINT16_MAX || s->kernel_width > UINT16_MAX) return HT_ERROR_OVERFLOW;
    const ht_binary_weights of = {
        s->outputs / s->groups, s->channels / s->groups, s->kernel_height, s->kernel_width, HT_BINARY_AUTO, 0, 0};
    return weights_make(of, &conv, options, w);
}

// MARK: trees

static size_t all_rows(const weights *w) { return w->groups * w->layout.of.outputs; }

// The rows of a group, as if there were no others.
static ht_binary_rows rows_of(const weights *w, size_t group) {
    const ht_binary_rows *all = &w->rows;
    const size_t first = group * w->layout.of.outputs;
    return (ht_binary_rows){(const char *)all->at + first * all->stride, all->stride,
                            all->parent ? all->parent + first : NULL, all->order ? all->order + first : NULL};
}

// Finds an order of the rows of each group, which the caller frees.
static ht_status order_groups(weights *w) {
    const size_t outputs = w->layout.of.outputs;
    int32_t *order = ht_allocate(all_rows(w) * sizeof *order);
    ht_status status = order ? HT_OK : HT_ERROR_MEMORY;
    for (size_t group = 0; group < w->groups && !status; group++)
        status = ht_mst_order(outputs, w->rows.parent + group * outputs, order + group * outputs);
    w->rows.order = order;
    return status;
}

// All groups have room for the longest lists, so that their blobs have one layout.
static ht_status measure_groups(weights *w) {
    ht_binary_weights of = w->layout.of;
    of.design = HT_BINARY_TREE;
    ht_status status = HT_OK;
    for (size_t group = 0; group < w->groups && !status; group++) {
        const ht_binary_rows rows = rows_of(w, group);
        status = ht_binary_lists_measure(&rows, &of);
    }
    if (!status) status = ht_binary_layout_make(&of, &w->layout);
    return status ? status : set_bytes(w);
}

// `order` of the rows is the caller's to free, whatever is returned.
static ht_status signs_make(const ht_binary_signs *s, const ht_options *options, weights *w) {
    const ht_options direct = {.binary_design = HT_BINARY_DIRECT};
    const ht_options *chosen = s->along_tree ? &direct : options;
    *w = (weights){.groups = 0};
    ht_status status = s->shape ? filters_make(s->shape, chosen, w) : matrix_make(s->outputs, s->inputs, chosen, w);
    w->rows = (ht_binary_rows){s->rows, s->stride, NULL, NULL};
    if (status || !s->along_tree) return status;
    status = ht_check_bits(s->rows, all_rows(w), w->columns, &w->rows.stride);
    if (status) return status;
    if (!s->parent && all_rows(w)) return HT_ERROR_NULL;
    w->rows.parent = s->parent;
    status = order_groups(w);
    return status ? status : measure_groups(w);
}

// MARK: words

// Whether each word of a tap begins in a word of the row, so that words only change places.
static bool is_whole(const ht_binary_layout *l) { return l->taps == 1 || l->of.tap_columns % HT_BINARY_WORD == 0; }

static uint64_t *row_at(const void *rows, size_t stride, size_t row) {
    return (uint64_t *)(uintptr_t)((const char *)rows + row * stride);
}

// A word of a tap of one row.
static uint32_t word_of(const ht_binary_layout *l, const uint64_t *row, size_t tap, size_t word) {
    const size_t first = word * HT_BINARY_WORD;
    return ht_bits_at(row, tap * l->of.tap_columns + first, ht_min(HT_BINARY_WORD, l->of.tap_columns - first));
}

// Both halves of as many whole words of 64 bits of the rows as there are. Bound: two stores for each word.
HT_INLINE size_t pack_whole(const ht_binary_layout *l, const void *rows, size_t stride, const size_t outputs,
                            uint32_t *to) {
    const size_t pairs = l->taps * l->of.tap_columns / 64;
    const char *from = rows;
    for (size_t i = 0; i < pairs; i++, to += 2 * HT_BINARY_BLOCK)
        for (size_t o = 0; o < outputs; o++) {
            const uint64_t word = row_at(from, stride, o)[i];
            to[o] = (uint32_t)word;
            to[HT_BINARY_BLOCK + o] = (uint32_t)(word >> 32);
        }
    return pairs * 2;
}

HT_INLINE size_t unpack_whole(const ht_binary_layout *l, const uint32_t *from, size_t outputs, void *rows,
                              size_t stride) {
    const size_t pairs = l->taps * l->of.tap_columns / 64;
    for (size_t i = 0; i < pairs; i++, from += 2 * HT_BINARY_BLOCK)
        for (size_t o = 0; o < outputs; o++)
            row_at(rows, stride, o)[i] = from[o] | (uint64_t)from[HT_BINARY_BLOCK + o] << 32;
    return pairs * 2;
}

static void pack_block(const ht_binary_layout *l, const void *rows, size_t stride, size_t outputs, uint32_t *to) {
    size_t done = 0;
    if (outputs < HT_BINARY_BLOCK) memset(to, 0, l->block_words * sizeof *to);
    if (is_whole(l))
        done = outputs == HT_BINARY_BLOCK ? pack_whole(l, rows, stride, HT_BINARY_BLOCK, to)
                                          : pack_whole(l, rows, stride, outputs, to);
    for (size_t i = done; i < l->taps * l->tap_words; i++)
        for (size_t o = 0; o < outputs; o++)
            to[i * HT_BINARY_BLOCK + o] = word_of(l, row_at(rows, stride, o), i / l->tap_words, i % l->tap_words);
}

// Adds a word of a tap to a row whose bits from there on are 0. A damaged word may have bits behind the tap's last.
static void put_word(const ht_binary_layout *l, size_t tap, size_t word, uint64_t bits, uint64_t *row) {
    const size_t first = word * HT_BINARY_WORD, to = tap * l->of.tap_columns + first;
    const size_t count = ht_min(HT_BINARY_WORD, l->of.tap_columns - first);
    bits &= ((uint64_t)1 << count) - 1;
    row[to / 64] |= bits << to % 64;
    if (to % 64 + count > 64) row[to / 64 + 1] |= bits >> (64 - to % 64);
}

static void unpack_block(const ht_binary_layout *l, const uint32_t *from, size_t outputs, void *rows, size_t stride) {
    const size_t words = ht_bit_words(l->taps * l->of.tap_columns);
    const size_t done = is_whole(l) ? unpack_whole(l, from, outputs, rows, stride) : 0;
    for (size_t o = 0; o < outputs; o++) {
        uint64_t *row = row_at(rows, stride, o);
        memset(row + done / 2, 0, (words - done / 2) * sizeof *row);
        for (size_t i = done; i < l->taps * l->tap_words; i++)
            put_word(l, i / l->tap_words, i % l->tap_words, from[i * HT_BINARY_BLOCK + o], row);
    }
}

// MARK: blocks

// The blocks of all groups, and the rows that they hold.
typedef struct exchange {
    const ht_binary_layout *layout;
    char *packed;
    char *rows;
    size_t stride;
} exchange;

// Where a block lies, and how many rows it holds.
static uint32_t *block_of(const exchange *e, size_t piece, void **rows, size_t *outputs) {
    const ht_binary_layout *l = e->layout;
    const size_t group = piece / l->blocks, block = piece % l->blocks, first = block * HT_BINARY_BLOCK;
    *rows = e->rows + (group * l->of.outputs + first) * e->stride;
    *outputs = ht_min(HT_BINARY_BLOCK, l->of.outputs - first);
    return (uint32_t *)(uintptr_t)ht_binary_words(l, e->packed + group * l->bytes, block);
}

static void pack_piece(void *context, size_t piece) {
    const exchange *e = context;
    void *rows;
    size_t outputs;
    uint32_t *to = block_of(e, piece, &rows, &outputs);
    pack_block(e->layout, rows, e->stride, outputs, to);
}

static void unpack_piece(void *context, size_t piece) {
    const exchange *e = context;
    void *rows;
    size_t outputs;
    const uint32_t *from = block_of(e, piece, &rows, &outputs);
    unpack_block(e->layout, from, outputs, rows, e->stride);
}

static void pack_groups(const weights *w, char *packed, int threads) {
    const ht_binary_layout *l = &w->layout;
    exchange e = {l, packed, (char *)(uintptr_t)w->rows.at, w->rows.stride};
    ht_parallel(pack_piece, &e, w->groups * l->blocks, threads);
    for (size_t group = 0; group < w->groups; group++, packed += l->bytes) {
        const ht_binary_rows rows = rows_of(w, group);
        if (ht_binary_has_lists(l->of.design)) ht_binary_lists_pack(l, &rows, packed);
        if (l->of.design == HT_BINARY_CHANNELS) ht_binary_channels_pack(l, packed);
        ht_binary_layout_seal(l, packed);
    }
}

static ht_status pack(weights *w, void *packed, size_t packed_size, const ht_options *options) {
    const int threads = options ? options->threads : 0;
    ht_status status = ht_check_bits(w->rows.at, all_rows(w), w->columns, &w->rows.stride);
    if (status) return status;
    if (threads < 0) return HT_ERROR_THREADS;
    if (!packed) return HT_ERROR_NULL;
    if (!ht_is_aligned(packed, HT_ALIGNMENT)) return HT_ERROR_ALIGNMENT;
    if (packed_size < w->bytes) return HT_ERROR_BUFFER_SIZE;
    pack_groups(w, packed, ht_resolve_threads(threads));
    return HT_OK;
}

static ht_status unpack(const weights *w, const void *packed, size_t packed_size, uint64_t *to, size_t stride,
                        const ht_options *options) {
    ht_binary_layout found;
    const ht_binary_weights *of = &w->layout.of;
    const int threads = options ? options->threads : 0;
    ht_status status = ht_check_bits(to, w->groups * of->outputs, w->columns, &stride);
    if (status) return status;
    if (threads < 0) return HT_ERROR_THREADS;
    status = ht_binary_layout_open(packed, packed_size, &found);
    if (status) return status;
    const bool fits = found.of.outputs == of->outputs && found.of.tap_columns == of->tap_columns &&
                      found.of.kernel_height == of->kernel_height && found.of.kernel_width == of->kernel_width;
    if (!fits) return HT_ERROR_BLOB_SHAPE;
    status = ht_binary_layout_check_groups(&found, packed, packed_size, w->groups);
    if (status) return status;
    exchange e = {&found, (char *)(uintptr_t)packed, (char *)to, stride};
    ht_parallel(unpack_piece, &e, w->groups * found.blocks, ht_resolve_threads(threads));
    return HT_OK;
}

// MARK: shared with channel reuse

ht_status ht_binary_signs_layout(const ht_binary_signs *signs, const ht_options *options, ht_binary_layout *layout) {
    weights w;
    ht_status status = signs_make(signs, options, &w);
    *layout = w.layout;
    ht_free((void *)(uintptr_t)w.rows.order);
    return status;
}

ht_status ht_binary_signs_packed_size(const ht_binary_signs *signs, const ht_options *options, size_t *size) {
    weights w;
    if (!size) return HT_ERROR_NULL;
    ht_status status = signs_make(signs, options, &w);
    if (!status) *size = w.bytes;
    ht_free((void *)(uintptr_t)w.rows.order);
    return status;
}

ht_status ht_binary_signs_pack(const ht_binary_signs *signs, void *packed, size_t packed_size,
                               const ht_options *options) {
    weights w;
    ht_status status = signs_make(signs, options, &w);
    if (!status) status = pack(&w, packed, packed_size, options);
    ht_free((void *)(uintptr_t)w.rows.order);
    return status;
}

// MARK: the public face

ht_status ht_binary_packed_size(size_t outputs, size_t inputs, const ht_options *options, size_t *size) {
    const ht_binary_signs signs = {.outputs = outputs, .inputs = inputs};
    return ht_binary_signs_packed_size(&signs, options, size);
}

ht_status ht_binary_conv_packed_size(const ht_conv_shape *shape, const ht_options *options, size_t *size) {
    const ht_binary_signs signs = {.shape = shape};
    return shape ? ht_binary_signs_packed_size(&signs, options, size) : HT_ERROR_NULL;
}

ht_status ht_binary_pack(size_t outputs, size_t inputs, const uint64_t *from, size_t stride, void *packed,
                         size_t packed_size, const ht_options *options) {
    const ht_binary_signs signs = {.outputs = outputs, .inputs = inputs, .rows = from, .stride = stride};
    return ht_binary_signs_pack(&signs, packed, packed_size, options);
}

ht_status ht_binary_conv_pack(const ht_conv_shape *shape, const uint64_t *from, size_t stride, void *packed,
                              size_t packed_size, const ht_options *options) {
    const ht_binary_signs signs = {.shape = shape, .rows = from, .stride = stride};
    return shape ? ht_binary_signs_pack(&signs, packed, packed_size, options) : HT_ERROR_NULL;
}

ht_status ht_binary_unpack(size_t outputs, size_t inputs, const void *packed, size_t packed_size, uint64_t *to,
                           size_t stride, const ht_options *options) {
    weights w;
    ht_status status = matrix_make(outputs, inputs, options, &w);
    return status ? status : unpack(&w, packed, packed_size, to, stride, options);
}

ht_status ht_binary_conv_unpack(const ht_conv_shape *shape, const void *packed, size_t packed_size, uint64_t *to,
                                size_t stride, const ht_options *options) {
    weights w;
    ht_status status = filters_make(shape, options, &w);
    return status ? status : unpack(&w, packed, packed_size, to, stride, options);
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
