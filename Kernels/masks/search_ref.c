// SPDX-License-Identifier: Apache-2.0
// What the searches need in portable C: the definition.
#include <string.h>

#include "search.h"

static size_t count_at(const ht_bit_rows *rows, size_t column) {
    size_t count = 0;
    for (size_t i = 0; i < rows->count; i++) count += rows->row[i][column / 64] >> column % 64 & 1;
    return count;
}

static uint64_t score(const ht_bit_rows *rows, const ht_worth *worth) {
    uint64_t sum = 0;
    for (size_t column = 0; column < rows->lines * HT_LINE_BITS; column++) {
        const size_t count = count_at(rows, column);
        sum += worth->scorer == HT_BIMASK_SURVIVORS ? ht_min(count, worth->n) : count > worth->n;
    }
    return sum;
}

static void fill(const ht_bit_rows *rows, const ht_worth *worth, uint64_t *full) {
    memset(full, 0, rows->lines * HT_LINE_WORDS * sizeof *full);
    for (size_t column = 0; column < rows->lines * HT_LINE_BITS; column++) {
        const size_t count = count_at(rows, column);
        const bool is_full = worth->scorer == HT_BIMASK_SURVIVORS ? count >= worth->n : count == worth->n;
        full[column / 64] |= (uint64_t)is_full << column % 64;
    }
}

static void add_costs(const ht_costs_task *task) {
    for (size_t r = 0; r < task->rows.count; r++) {
        const uint64_t *bits = task->rows.row[r] + task->line * HT_LINE_WORDS;
        uint64_t *sums = task->sums + r * task->planes * HT_LINE_WORDS;
        if (task->line == 0) memset(sums, 0, task->planes * HT_LINE_WORDS * sizeof *sums);
        for (size_t column = 0; column < HT_LINE_BITS; column++)
            for (size_t w = 0; w < HT_LINE_WORDS && (bits[column / 64] >> column % 64 & 1); w++) {
                uint64_t carry = task->table[column * HT_LINE_WORDS + w];
                for (size_t plane = 0; plane < task->planes; plane++) {
                    const uint64_t old = sums[plane * HT_LINE_WORDS + w];
                    sums[plane * HT_LINE_WORDS + w] = old ^ carry;
                    carry &= old;
                }
            }
    }
}

static void spread(const uint64_t *sums, size_t planes, size_t count, int32_t *costs, int32_t *least) {
    for (size_t j = 0; j < count; j++) {
        costs[j] = 0;
        for (size_t plane = 0; plane < planes; plane++)
            costs[j] += (int32_t)(sums[plane * HT_LINE_WORDS + j / 64] >> j % 64 & 1) << plane;
        if (costs[j] < least[j]) least[j] = costs[j];
    }
}

static ht_two_smallest two_smallest(const int32_t *cost, const int32_t *price, size_t count) {
    ht_two_smallest two = {{INT32_MAX, INT32_MAX}, {0, 0}};
    for (size_t j = 0; j < count; j++) {
        const int32_t value = cost[j] - price[j];
        if (value >= two.value[1]) continue;
        two.value[1] = value;
        two.at[1] = j;
        if (value >= two.value[0]) continue;
        two = (ht_two_smallest){{value, two.value[0]}, {j, two.at[0]}};
    }
    return two;
}

static size_t relax(const ht_paths *paths, const int32_t *cost, int32_t base, int32_t row) {
    size_t nearest = 0;
    int32_t least = INT32_MAX;
    for (size_t j = 0; j < paths->count; j++) {
        const int32_t distance = cost[j] - paths->price[j] + base;
        if (distance < paths->distance[j]) {
            paths->distance[j] = distance;
            paths->from[j] = row;
        }
        const int32_t key = 2 * paths->distance[j] + paths->bias[j];
        if (key >= least) continue;
        least = key;
        nearest = j;
    }
    return nearest;
}

static const ht_bimask_calls calls = {score, fill, add_costs, spread, two_smallest, relax};

const ht_bimask_calls *ht_bimask_search_ref(void) { return &calls; }
