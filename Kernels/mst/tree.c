// SPDX-License-Identifier: Apache-2.0
#include "tree.h"

#include <string.h>

#include "core/memory.h"

ht_status ht_mst_check_numbers(size_t rows, const int32_t *numbers) {
    size_t stride = 0;
    if (rows > INT32_MAX) return HT_ERROR_OVERFLOW;
    return ht_check_matrix(numbers, rows, 1, sizeof *numbers, &stride);
}

// MARK: lists

static size_t owner_of(const int32_t *owner, size_t row) { return owner ? (size_t)owner[row] : 0; }

static bool has_owner(const int32_t *owner, size_t row) { return !owner || owner[row] >= 0; }

static bool owners_are_in_range(size_t rows, const int32_t *owner, size_t owners) {
    for (size_t row = 0; row < rows; row++)
        if (has_owner(owner, row) ? owner_of(owner, row) >= owners : owner[row] != -1) return false;
    return true;
}

ht_status ht_mst_lists_make(size_t rows, const int32_t *owner, size_t owners, ht_mst_lists *lists) {
    if (!owners_are_in_range(rows, owner, owners)) return HT_ERROR_TREE;
    const size_t first_bytes = (owners + 1) * sizeof *lists->first;
    size_t *first = ht_allocate(first_bytes + rows * sizeof *lists->row);
    if (!first) return HT_ERROR_MEMORY;
    *lists = (ht_mst_lists){first, (int32_t *)(void *)((char *)first + first_bytes)};
    memset(first, 0, first_bytes);
    for (size_t row = 0; row < rows; row++)
        if (has_owner(owner, row)) first[owner_of(owner, row)]++;
    for (size_t o = 0; o < owners; o++) first[o + 1] += first[o];
    // Those are the ends of the lists; filled from behind they become the beginnings.
    for (size_t row = rows; row-- > 0;)
        if (has_owner(owner, row)) lists->row[--first[owner_of(owner, row)]] = (int32_t)row;
    return HT_OK;
}

void ht_mst_lists_free(ht_mst_lists *lists) { ht_free(lists->first); }

// MARK: order

ht_status ht_mst_order(size_t outputs, const int32_t *parent, int32_t *order) {
    ht_mst_lists children;
    const ht_status status = ht_mst_lists_make(outputs, parent, outputs, &children);
    if (status) return status;
    size_t count = 0;
    for (size_t row = 0; row < outputs; row++)
        if (parent[row] < 0) order[count++] = (int32_t)row;
    for (size_t i = 0; i < count; i++)
        for (size_t c = children.first[order[i]]; c < children.first[order[i] + 1]; c++)
            order[count++] = children.row[c];
    ht_mst_lists_free(&children);
    return count == outputs ? HT_OK : HT_ERROR_TREE;
}

// MARK: centres

// Trees whose edges are walked both ways.
typedef struct forest {
    const int32_t *parent;
    ht_mst_lists children;
    int32_t *from;  // the neighbour that a walk came from, -1 where it began
    int32_t *queue;
} forest;

enum { not_met = -2 };

static void meet(forest *f, int32_t row, int32_t from, size_t *met) {
    if (row < 0 || row == f->from[from]) return;
    f->from[row] = from;
    f->queue[(*met)++] = row;
}

// Walks breadth first over a tree. Returns the row that is met last, one of the farthest.
static int32_t walk(forest *f, int32_t start) {
    size_t met = 1;
    f->queue[0] = start, f->from[start] = -1;
    for (size_t i = 0; i < met; i++) {
        const int32_t row = f->queue[i];
        meet(f, f->parent[row], row, &met);
        for (size_t c = f->children.first[row]; c < f->children.first[row + 1]; c++)
            meet(f, f->children.row[c], row, &met);
    }
    return f->queue[met - 1];
}

// The middle of a longest path, and how far the farthest row is from there.
static int32_t find_centre(forest *f, int32_t start, size_t *depth) {
    const int32_t end = walk(f, walk(f, start));
    size_t edges = 0;
    for (int32_t row = end; f->from[row] >= 0; row = f->from[row]) edges++;
    int32_t row = end;
    for (size_t i = 0; i < edges / 2; i++) row = f->from[row];
    *depth = edges - edges / 2;
    return edges % 2 && f->from[row] < row ? f->from[row] : row;
}

ht_status ht_mst_root_at_centres(size_t outputs, int32_t *parent, size_t *depth) {
    forest f = {.parent = parent, .from = ht_allocate(2 * outputs * sizeof *f.from)};
    if (!f.from) return HT_ERROR_MEMORY;
    f.queue = f.from + outputs;
    const ht_status status = ht_mst_lists_make(outputs, parent, outputs, &f.children);
    if (!status) {
        *depth = 0;
        for (size_t row = 0; row < outputs; row++) f.from[row] = not_met;
        for (size_t row = 0; row < outputs; row++) {
            size_t its_depth;
            if (f.from[row] != not_met) continue;
            walk(&f, find_centre(&f, (int32_t)row, &its_depth));
            *depth = ht_max(*depth, its_depth);
        }
        memcpy(parent, f.from, outputs * sizeof *parent);
        ht_mst_lists_free(&f.children);
    }
    ht_free(f.from);
    return status;
}
