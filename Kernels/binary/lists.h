// SPDX-License-Identifier: Apache-2.0
// What the designs with pixels in the lanes keep behind the words of a blob: each output as a list of inputs, or two of
// where it differs from another output. README.md and mst/README.md explain them.
#ifndef HT_BINARY_LISTS_H
#define HT_BINARY_LISTS_H

#include "layout.h"

/// Flags of an output: that others are computed from it, that it is taken negated, that its counters are kept as ~n.
enum { HT_BINARY_PARENT = 1, HT_BINARY_OF_PLUS = 2, HT_BINARY_TURNED = 4 };

enum { HT_BINARY_ROOT = -1 };  // the parent of an output that is computed from no other

/// The inputs of all taps, [tap][channel], are cut into chunks: so small that their vectors stay in L1, or, along a
/// tree, whose short lists are not worth another round, as large as entries can name. An entry is 8 times the number of
/// an input in its chunk, and each list is filled up to a multiple of 8 entries with the number behind the last, that
/// of a vector of zeros.
///
/// Outputs are taken as they are or negated (OF_PLUS). A root's first list names its inputs that are -1 then, its
/// second none. With a parent, one list names those that are -1 and not of the parent, to be added, and the other those
/// of the parent alone, to be subtracted. Counters are turned between the two, n becoming ~n, so that both are added;
/// children of an output that is left turned have their lists the other way round.
typedef struct ht_binary_lists {
    size_t chunks, chunk_inputs;
    size_t groups;  // of 8 entries, that there is room for
    const uint16_t *entries;
    const int32_t *minus;  // [tap][output]: how many weights are -1
    const uint32_t *end;  // [chunk][step][2] of each list, counted in groups from the first list on
    const uint32_t *order;  // [step]: the output; parents come first
    const int32_t *parent;  // [output], or -1
    const uint8_t *flags;  // [output]
} ht_binary_lists;

/// Without a blob only the sizes.
ht_binary_lists ht_binary_lists_of(const ht_binary_layout *layout, const void *packed);

/// Sets chunks and, without a tree, list_groups: a bound for any weights. Errors: OVERFLOW.
ht_status ht_binary_lists_plan(ht_binary_weights *weights);

/// Rows of signs, and the tree along which they are computed, if there is one: `parent` says which row from which, and
/// `order` has parents first.
typedef struct ht_binary_rows {
    const void *at;
    size_t stride;
    const int32_t *parent, *order;
} ht_binary_rows;

/// Raises list_groups, if need be, to what rows along a tree take. Errors: OVERFLOW, MEMORY.
ht_status ht_binary_lists_measure(const ht_binary_rows *rows, ht_binary_weights *weights);

/// The bytes that lists take behind the words. Errors: OVERFLOW.
ht_status ht_binary_lists_bytes(const ht_binary_layout *layout, size_t *bytes);

/// Writes them. Without a tree all outputs are roots.
void ht_binary_lists_pack(const ht_binary_layout *layout, const ht_binary_rows *rows, void *packed);

/// Whether the lists of a blob, and what outputs it names, stay inside; whatever entries are, they stay inside the
/// scratch. Errors: BLOB_CORRUPT.
ht_status ht_binary_lists_check(const ht_binary_layout *layout, const void *packed);

#endif
