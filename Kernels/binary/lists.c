// SPDX-License-Identifier: Apache-2.0
#include "lists.h"

#include <string.h>

enum {
    CHUNK = 576,   // inputs: 36 KiB of vectors, which stay in L1
    REACH = 8191,  // inputs that an entry of 16 bits can name
    ROOT = -1
};

static size_t inputs_of(const ht_binary_weights *of) { return of->kernel_height * of->kernel_width * of->tap_columns; }

// MARK: sizes

ht_status ht_binary_lists_plan(ht_binary_weights *of) {
    size_t each, groups;
    of->chunks = ht_ceil_div(inputs_of(of), CHUNK);
    each = (inputs_of(of) / 2 + of->chunks * (HT_BINARY_LIST_GROUP - 1)) / HT_BINARY_LIST_GROUP;
    if (!ht_mul(each, of->outputs, &groups) || groups > UINT32_MAX) return HT_ERROR_OVERFLOW;
    of->list_groups = groups;
    return HT_OK;
}

ht_status ht_binary_lists_bytes(const ht_binary_layout *l, size_t *bytes) {
    const size_t outputs = l->of.outputs;
    size_t minus, ends, entries;
    const bool fits = ht_mul(l->taps * sizeof(int32_t), outputs, &minus) &&
                      ht_mul(l->of.chunks * 2 * sizeof(uint32_t), outputs, &ends) &&
                      ht_mul(l->of.list_groups, HT_BINARY_LIST_GROUP * sizeof(uint16_t), &entries) &&
                      ht_add(entries, ends, bytes) && ht_add(*bytes, minus, bytes) &&
                      ht_add(*bytes, outputs * (sizeof(uint32_t) + sizeof(int32_t) + 1) + HT_ALIGNMENT, bytes);
    if (!fits) return HT_ERROR_OVERFLOW;
    *bytes &= ~(size_t)(HT_ALIGNMENT - 1);  // the next group's blob is aligned as well
    return HT_OK;
}

// Groups of entries come first: they are aligned to 16 bytes, and the rest to 4.
ht_binary_lists ht_binary_lists_of(const ht_binary_layout *l, const void *packed) {
    ht_binary_lists lists = {.chunks = l->of.chunks, .groups = l->of.list_groups};
    lists.chunk_inputs = lists.chunks ? ht_ceil_div(inputs_of(&l->of), lists.chunks) : 0;
    if (!packed) return lists;
    lists.entries = (const uint16_t *)(const void *)((const char *)packed + l->behind);
    lists.minus = (const int32_t *)(const void *)(lists.entries + lists.groups * HT_BINARY_LIST_GROUP);
    lists.end = (const uint32_t *)(lists.minus + l->taps * l->of.outputs);
    lists.order = lists.end + lists.chunks * 2 * l->of.outputs;
    lists.parent = (const int32_t *)(lists.order + l->of.outputs);
    lists.flags = (const uint8_t *)(lists.parent + l->of.outputs);
    return lists;
}

// MARK: rows

// Rows of signs, and which of them are taken negated.
typedef struct source {
    const char *rows;
    size_t stride;
    size_t inputs;
    const int32_t *parent;  // or null: all are roots
    uint8_t *flags;
} source;

static const uint64_t *row_of(const source *s, size_t output) {
    return (const uint64_t *)(const void *)(s->rows + output * s->stride);
}

static int32_t parent_of(const source *s, size_t output) { return s->parent ? s->parent[output] : ROOT; }

// Bits k ..< k + count of an output as it is taken; of no output, of a root's parent, none is set.
static uint32_t bits_of(const source *s, int32_t output, size_t k, size_t count) {
    if (output == ROOT) return 0;
    const uint32_t bits = ht_bits_at(row_of(s, (size_t)output), k, count);
    const uint32_t all = (uint32_t)(((uint64_t)1 << count) - 1);
    return s->flags[output] & HT_BINARY_OF_PLUS ? bits ^ all : bits;
}

// What an output has in a word that its parent has not, or the other way round.
static uint32_t difference(const source *s, size_t output, bool gone, size_t k, size_t count) {
    const uint32_t own = bits_of(s, (int32_t)output, k, count), other = bits_of(s, parent_of(s, output), k, count);
    return gone ? other & ~own : own & ~other;
}

// The entries of the list of inputs first ..< end; a null list only counts.
static size_t write_list(const source *s, size_t output, bool gone, size_t first, size_t end, uint16_t *to) {
    size_t entries = 0;
    for (size_t k = first; k < end; k += HT_BINARY_WORD) {
        uint32_t bits = difference(s, output, gone, k, ht_min(HT_BINARY_WORD, end - k));
        if (!to) entries += (size_t)__builtin_popcount(bits);
        for (; to && bits; bits &= bits - 1)
            to[entries++] = (uint16_t)((k - first + (size_t)__builtin_ctz(bits)) * HT_BINARY_LIST_UNIT);
    }
    return entries;
}

// Takes an output so that it differs in at most half of its inputs from its parent, which is settled.
static void settle(const source *s, size_t output) {
    const int32_t parent = parent_of(s, output);
    size_t entries = 0;
    s->flags[output] = 0;
    for (size_t k = 0; k < s->inputs; k += HT_BINARY_WORD) {
        const size_t count = ht_min(HT_BINARY_WORD, s->inputs - k);
        const uint32_t own = bits_of(s, (int32_t)output, k, count), other = bits_of(s, parent, k, count);
        entries += (size_t)__builtin_popcount(own ^ other);
    }
    if (entries > s->inputs - entries) s->flags[output] = HT_BINARY_OF_PLUS;
    if (parent != ROOT) s->flags[parent] |= HT_BINARY_PARENT;
}

static void settle_all(const source *s, size_t outputs, const int32_t *order) {
    for (size_t step = 0; step < outputs; step++) settle(s, order ? (size_t)order[step] : step);
}

// MARK: measuring

static size_t groups_of(const source *s, size_t output, size_t chunk, size_t chunk_inputs) {
    const size_t first = ht_min(chunk * chunk_inputs, s->inputs), end = ht_min(first + chunk_inputs, s->inputs);
    return ht_ceil_div(write_list(s, output, false, first, end, NULL), HT_BINARY_LIST_GROUP) +
           ht_ceil_div(write_list(s, output, true, first, end, NULL), HT_BINARY_LIST_GROUP);
}

ht_status ht_binary_lists_measure(const void *rows, size_t stride, const int32_t *parent, const int32_t *order,
                                  ht_binary_weights *of) {
    const size_t inputs = inputs_of(of);
    source s = {rows, stride, inputs, parent, ht_allocate(of->outputs + 1)};
    if (!s.flags) return HT_ERROR_MEMORY;
    settle_all(&s, of->outputs, order);
    of->chunks = ht_ceil_div(inputs, CHUNK);
    const size_t chunk_inputs = of->chunks ? ht_ceil_div(inputs, of->chunks) : 0;
    size_t groups = 0;
    for (size_t output = 0; output < of->outputs; output++)
        for (size_t chunk = 0; chunk < of->chunks; chunk++) groups += groups_of(&s, output, chunk, chunk_inputs);
    ht_free(s.flags);
    if (groups > UINT32_MAX) return HT_ERROR_OVERFLOW;
    of->list_groups = ht_max(of->list_groups, groups);
    return HT_OK;
}

// MARK: packing

static void count_minus(const ht_binary_layout *l, const source *s, int32_t *minus) {
    for (size_t output = 0; output < l->of.outputs; output++)
        for (size_t tap = 0; tap < l->taps; tap++) {
            int32_t count = 0;
            for (size_t k = 0; k < l->of.tap_columns; k += HT_BINARY_WORD)
                count += __builtin_popcount(ht_bits_at(row_of(s, output), tap * l->of.tap_columns + k,
                                                       ht_min(HT_BINARY_WORD, l->of.tap_columns - k)));
            minus[tap * l->of.outputs + output] = count;
        }
}

static void fill_up(uint16_t *list, size_t entries, size_t zeros) {
    for (; entries % HT_BINARY_LIST_GROUP; entries++) list[entries] = (uint16_t)(zeros * HT_BINARY_LIST_UNIT);
}

void ht_binary_lists_pack(const ht_binary_layout *l, const void *rows, size_t stride, const int32_t *parent,
                          const int32_t *order, void *packed) {
    const ht_binary_lists lists = ht_binary_lists_of(l, packed);
    const size_t outputs = l->of.outputs;
    source s = {rows, stride, inputs_of(&l->of), parent, (uint8_t *)lists.flags};
    memset((char *)packed + l->behind, 0, l->bytes - l->behind);
    settle_all(&s, outputs, order);
    count_minus(l, &s, (int32_t *)lists.minus);
    for (size_t step = 0; step < outputs; step++) {
        ((uint32_t *)lists.order)[step] = order ? (uint32_t)order[step] : (uint32_t)step;
        ((int32_t *)lists.parent)[step] = parent_of(&s, step);
    }
    uint32_t *end = (uint32_t *)lists.end;
    uint16_t *entries = (uint16_t *)lists.entries;
    size_t groups = 0;
    for (size_t chunk = 0; chunk < lists.chunks; chunk++)
        for (size_t list = 0; list < 2 * outputs; list++) {
            const size_t first = ht_min(chunk * lists.chunk_inputs, s.inputs);
            const size_t last = ht_min(first + lists.chunk_inputs, s.inputs);
            uint16_t *to = entries + groups * HT_BINARY_LIST_GROUP;
            const size_t count = write_list(&s, lists.order[list / 2], list % 2, first, last, to);
            fill_up(to, count, lists.chunk_inputs);
            groups += ht_ceil_div(count, HT_BINARY_LIST_GROUP);
            *end++ = (uint32_t)groups;
        }
}

// MARK: checking

ht_status ht_binary_lists_check(const ht_binary_layout *l, const void *packed) {
    const ht_binary_lists lists = ht_binary_lists_of(l, packed);
    uint32_t last = 0;
    bool right = lists.chunk_inputs <= REACH;
    for (size_t i = 0; i < lists.chunks * 2 * l->of.outputs; last = lists.end[i++]) right &= last <= lists.end[i];
    for (size_t o = 0; o < l->of.outputs; o++)
        right &= lists.order[o] < l->of.outputs && lists.parent[o] >= ROOT &&
                 lists.parent[o] < (int64_t)l->of.outputs;
    return right && last <= lists.groups ? HT_OK : HT_ERROR_BLOB_CORRUPT;
}
