// SPDX-License-Identifier: Apache-2.0
#include "lists.h"

#include <string.h>

enum {
    CHUNK = 576,  // inputs: 36 KiB of vectors, which stay in L1
    REACH = UINT16_MAX / HT_BINARY_LIST_UNIT  // the greatest number of an input
};

static size_t inputs_of(const ht_binary_weights *of) { return of->kernel_height * of->kernel_width * of->tap_columns; }

static size_t chunks_of(const ht_binary_weights *of) {
    return ht_ceil_div(inputs_of(of), of->design == HT_BINARY_TREE ? REACH : CHUNK);
}

// MARK: sizes

ht_status ht_binary_lists_plan(ht_binary_weights *of) {
    size_t each, groups;
    of->chunks = chunks_of(of);
    if (of->design == HT_BINARY_TREE) return HT_OK;
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

// Rows, and how each of them is taken.
typedef struct source {
    const ht_binary_rows *rows;
    size_t inputs;
    uint8_t *flags;
} source;

static const uint64_t *row_of(const source *s, size_t output) {
    return (const uint64_t *)(const void *)((const char *)s->rows->at + output * s->rows->stride);
}

static int32_t parent_of(const source *s, size_t output) {
    return s->rows->parent ? s->rows->parent[output] : HT_BINARY_ROOT;
}

static size_t output_at(const source *s, size_t step) { return s->rows->order ? (size_t)s->rows->order[step] : step; }

// Bits k ..< k + count of an output as it is taken; of a root's parent none is set.
static uint32_t bits_of(const source *s, int32_t output, size_t k, size_t count) {
    if (output == HT_BINARY_ROOT) return 0;
    const uint32_t bits = ht_bits_at(row_of(s, (size_t)output), k, count);
    const uint32_t all = (uint32_t)(((uint64_t)1 << count) - 1);
    return s->flags[output] & HT_BINARY_OF_PLUS ? bits ^ all : bits;
}

static uint32_t difference(const source *s, size_t output, size_t k, size_t count) {
    return bits_of(s, (int32_t)output, k, count) ^ bits_of(s, parent_of(s, output), k, count);
}

// Takes an output so that it differs in at most half of its inputs from its parent, which is settled.
static void settle(const source *s, size_t output) {
    const int32_t parent = parent_of(s, output);
    size_t entries = 0;
    uint8_t *flags = &s->flags[output];
    *flags = 0;
    for (size_t k = 0; k < s->inputs; k += HT_BINARY_WORD)
        entries += (size_t)__builtin_popcount(difference(s, output, k, ht_min(HT_BINARY_WORD, s->inputs - k)));
    if (entries > s->inputs - entries) *flags |= HT_BINARY_OF_PLUS;
    if (parent == HT_BINARY_ROOT) return;
    if (!(s->flags[parent] & HT_BINARY_TURNED)) *flags |= HT_BINARY_TURNED;
    s->flags[parent] |= HT_BINARY_PARENT;
}

static void settle_all(const source *s, size_t outputs) {
    for (size_t step = 0; step < outputs; step++) settle(s, output_at(s, step));
}

// MARK: lists

// A list of an output.
typedef struct list {
    size_t output;
    bool second;
    size_t first, end;  // inputs
} list;

static list list_at(const source *s, size_t number, size_t chunk, size_t chunk_inputs) {
    const size_t first = ht_min(chunk * chunk_inputs, s->inputs);
    return (list){output_at(s, number / 2), number % 2, first, ht_min(first + chunk_inputs, s->inputs)};
}

// What a list names of `count` inputs from k on.
static uint32_t named(const source *s, const list *of, size_t k, size_t count) {
    const bool is_root = parent_of(s, of->output) == HT_BINARY_ROOT;
    const bool parent_is_turned = !is_root && !(s->flags[of->output] & HT_BINARY_TURNED);
    const uint32_t own = bits_of(s, (int32_t)of->output, k, count);
    return difference(s, of->output, k, count) & (of->second != parent_is_turned ? ~own : own);
}

static size_t count_list(const source *s, const list *of) {
    size_t entries = 0;
    for (size_t k = of->first; k < of->end; k += HT_BINARY_WORD)
        entries += (size_t)__builtin_popcount(named(s, of, k, ht_min(HT_BINARY_WORD, of->end - k)));
    return ht_ceil_div(entries, HT_BINARY_LIST_GROUP);
}

// Returns the groups of entries.
static size_t write_list(const source *s, const list *of, size_t zeros, uint16_t *to) {
    size_t entries = 0;
    for (size_t k = of->first; k < of->end; k += HT_BINARY_WORD)
        for (uint32_t bits = named(s, of, k, ht_min(HT_BINARY_WORD, of->end - k)); bits; bits &= bits - 1)
            to[entries++] = (uint16_t)((k - of->first + (size_t)__builtin_ctz(bits)) * HT_BINARY_LIST_UNIT);
    for (; entries % HT_BINARY_LIST_GROUP; entries++) to[entries] = (uint16_t)(zeros * HT_BINARY_LIST_UNIT);
    return entries / HT_BINARY_LIST_GROUP;
}

ht_status ht_binary_lists_measure(const ht_binary_rows *rows, ht_binary_weights *of) {
    source s = {rows, inputs_of(of), ht_allocate(of->outputs)};
    if (!s.flags) return HT_ERROR_MEMORY;
    settle_all(&s, of->outputs);
    const size_t chunks = chunks_of(of), chunk_inputs = chunks ? ht_ceil_div(s.inputs, chunks) : 0;
    size_t groups = 0;
    for (size_t chunk = 0; chunk < chunks; chunk++)
        for (size_t number = 0; number < 2 * of->outputs; number++) {
            const list it = list_at(&s, number, chunk, chunk_inputs);
            groups += count_list(&s, &it);
        }
    ht_free(s.flags);
    if (groups > UINT32_MAX) return HT_ERROR_OVERFLOW;
    of->list_groups = ht_max(of->list_groups, groups);
    return HT_OK;
}

// MARK: packing

static int32_t count_tap(const ht_binary_layout *l, const uint64_t *row, size_t tap) {
    int32_t count = 0;
    for (size_t k = 0; k < l->of.tap_columns; k += HT_BINARY_WORD)
        count += __builtin_popcount(
            ht_bits_at(row, tap * l->of.tap_columns + k, ht_min(HT_BINARY_WORD, l->of.tap_columns - k)));
    return count;
}

static void pack_outputs(const ht_binary_layout *l, const source *s, const ht_binary_lists *lists) {
    const size_t outputs = l->of.outputs;
    for (size_t output = 0; output < outputs; output++) {
        for (size_t tap = 0; tap < l->taps; tap++)
            ((int32_t *)lists->minus)[tap * outputs + output] = count_tap(l, row_of(s, output), tap);
        ((uint32_t *)lists->order)[output] = (uint32_t)output_at(s, output);
        ((int32_t *)lists->parent)[output] = parent_of(s, output);
    }
}

void ht_binary_lists_pack(const ht_binary_layout *l, const ht_binary_rows *rows, void *packed) {
    const ht_binary_lists lists = ht_binary_lists_of(l, packed);
    const source s = {rows, inputs_of(&l->of), (uint8_t *)lists.flags};
    memset((char *)packed + l->behind, 0, l->bytes - l->behind);
    settle_all(&s, l->of.outputs);
    pack_outputs(l, &s, &lists);
    uint32_t *end = (uint32_t *)lists.end;
    size_t groups = 0;
    for (size_t chunk = 0; chunk < lists.chunks; chunk++)
        for (size_t number = 0; number < 2 * l->of.outputs; number++) {
            const list it = list_at(&s, number, chunk, lists.chunk_inputs);
            uint16_t *to = (uint16_t *)lists.entries + groups * HT_BINARY_LIST_GROUP;
            groups += write_list(&s, &it, lists.chunk_inputs, to);
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
        right &= lists.order[o] < l->of.outputs && lists.parent[o] >= HT_BINARY_ROOT &&
                 lists.parent[o] < (int64_t)l->of.outputs;
    return right && last <= lists.groups ? HT_OK : HT_ERROR_BLOB_CORRUPT;
}
