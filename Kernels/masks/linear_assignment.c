// SPDX-License-Identifier: Apache-2.0
// Jonker and Volgenant 1987, "A shortest augmenting path algorithm for dense and sparse linear assignment problems":
// rows bid for columns, most find one, and shortest augmenting paths find the others theirs. A column j has a price p;
// a row that holds one holds one of those with the least cost - p. No call depends on the ISA's lanes: of equal columns
// the first is taken.
#include "linear_assignment.h"

enum {
    far_away = 1 << 28,  // farther than any column; twice of it and a little more fit
    closed = 1 << 30,  // the bias of a column that is never the nearest
    rounds = 3,  // of bids
    bids_a_row = 16,  // at most, lest few rows bid against each other for long
};

static size_t padded(const ht_assignment *a) { return ht_round_up(a->count, 16); }

static const int32_t *costs_of(const ht_assignment *a, int32_t row) { return a->costs + (size_t)row * HT_ASSIGNED; }

static void take(ht_assignment *a, int32_t row, int32_t column) {
    a->row[column] = row;
    a->column[row] = column;
}

// Each row takes what is cheapest for it, and lowers its price as far as it stays so: then whoever had it goes on at
// once. Where two columns are equally cheap it takes one, and whoever had that waits for the next round.
static size_t bid(ht_assignment *a, size_t waiting) {
    size_t at = 0, left = 0, bids = bids_a_row * a->count;
    while (at < waiting) {
        const int32_t row = a->waiting[at++];
        const ht_two_smallest two = a->calls->two_smallest(costs_of(a, row), a->price, padded(a));
        const bool is_cheaper = two.value[0] < two.value[1];
        int32_t column = (int32_t)two.at[0];
        if (is_cheaper)
            a->price[column] -= two.value[1] - two.value[0];
        else if (a->row[column] >= 0)
            column = (int32_t)two.at[1];
        const int32_t loser = a->row[column];
        take(a, row, column);
        if (loser < 0) continue;
        a->column[loser] = -1;
        if (is_cheaper && bids && bids--)
            a->waiting[--at] = loser;
        else
            a->waiting[left++] = loser;
    }
    return left;
}

// Closes the nearest columns, one after the other, until one is free. Returns it.
static int32_t find_path(ht_assignment *a, int32_t start, size_t *closed_count) {
    const ht_paths paths = {a->distance, a->from, a->bias, a->price, padded(a)};
    for (size_t j = 0; j < paths.count; j++) {
        a->distance[j] = far_away;
        a->bias[j] = j < a->count ? a->row[j] >= 0 : closed;
    }
    int32_t row = start, base = 0;
    for (*closed_count = 0;;) {
        const int32_t column = (int32_t)a->calls->relax(&paths, costs_of(a, row), base, row);
        if (a->row[column] < 0) return column;
        a->closed[(*closed_count)++] = column;
        a->bias[column] = closed;
        row = a->row[column];
        base = a->distance[column] - (costs_of(a, row)[column] - a->price[column]);
    }
}

static void augment(ht_assignment *a, int32_t start) {
    size_t count;
    int32_t column = find_path(a, start, &count), row;
    for (size_t i = 0; i < count; i++) {
        const int32_t passed = a->closed[i];
        a->price[passed] += a->distance[passed] - a->distance[column];
    }
    do {
        row = a->from[column];
        const int32_t before = a->column[row];
        take(a, row, column);
        column = before;
    } while (row != start);
}

void ht_assign(ht_assignment *a) {
    size_t waiting = a->count;
    for (size_t i = 0; i < a->count; i++) {
        a->row[i] = a->column[i] = -1;
        a->waiting[i] = (int32_t)i;
    }
    if (a->count == 1) take(a, 0, 0), waiting = 0;
    for (size_t j = a->count; j < padded(a); j++) a->price[j] = -far_away;
    for (int round = 0; round < rounds; round++) waiting = bid(a, waiting);
    for (size_t i = 0; i < waiting; i++) augment(a, a->waiting[i]);
}
