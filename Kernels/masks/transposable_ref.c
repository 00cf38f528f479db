// SPDX-License-Identifier: Apache-2.0
// The definition of masks that are N:M both ways, one tile at a time.
#include <string.h>

#include "transposable_weights.h"

enum { most = HT_TRANSPOSABLE_MOST, no_way = INT32_MIN };

typedef struct tile {
    size_t n, m;
    int32_t weight[most][most];
    uint32_t kept[most];  // of a row, a bit for each column
} tile;

static bool keeps(const tile *t, size_t row, size_t column) { return t->kept[row] >> column & 1; }

// MARK: prices

static void insert(int32_t *sorted, size_t count, int32_t value) {
    for (; count && sorted[count - 1] < value; count--) sorted[count] = sorted[count - 1];
    sorted[count] = value;
}

static int32_t price_of(const tile *t, const int32_t *sorted) {
    const int32_t sum = sorted[t->n - 1] + sorted[t->n];
    return sum / 2 - (sum % 2 < 0);
}

static void set_prices(const tile *t, int32_t column_price[most]) {
    int32_t row_price[most], sorted[most];
    memset(column_price, 0, most * sizeof *column_price);
    for (int sweep = 0; sweep < ht_transposable_sweeps(t->m); sweep++) {
        for (size_t i = 0; i < t->m; i++) {
            for (size_t j = 0; j < t->m; j++) insert(sorted, j, t->weight[i][j] - column_price[j]);
            row_price[i] = price_of(t, sorted);
        }
        for (size_t j = 0; j < t->m; j++) {
            for (size_t i = 0; i < t->m; i++) insert(sorted, i, t->weight[i][j] - row_price[i]);
            column_price[j] = price_of(t, sorted);
        }
    }
}

// The n largest of m, of equals the lower ones.
static uint32_t largest(const int32_t *value, size_t m, size_t n) {
    uint32_t kept = 0;
    for (size_t j = 0; j < m; j++) {
        size_t before = 0;
        for (size_t i = 0; i < m; i++) before += value[i] > value[j] || (value[i] == value[j] && i < j);
        kept |= (uint32_t)(before < n) << j;
    }
    return kept;
}

static void keep_by_rows(tile *t) {
    int32_t price[most], rest[most];
    set_prices(t, price);
    for (size_t i = 0; i < t->m; i++) {
        for (size_t j = 0; j < t->m; j++) rest[j] = t->weight[i][j] - price[j];
        t->kept[i] = largest(rest, t->m, t->n);
    }
}

// MARK: paths

// The most that one row gains by keeping column `to` instead of `from`.
static int32_t gain(const tile *t, size_t from, size_t to) {
    int32_t best = no_way;
    for (size_t i = 0; i < t->m; i++) {
        if (!keeps(t, i, from) || keeps(t, i, to)) continue;
        const int32_t gained = t->weight[i][to] - t->weight[i][from];
        if (gained > best) best = gained;
    }
    return best;
}

static void exchange(tile *t, size_t from, size_t to, int32_t gained) {
    size_t i = 0;
    while (!keeps(t, i, from) || keeps(t, i, to) || t->weight[i][to] - t->weight[i][from] != gained) i++;
    t->kept[i] ^= (uint32_t)1 << from | (uint32_t)1 << to;
}

static void move(tile *t, uint32_t surplus, uint32_t deficit) {
    int32_t each[most][most], reach[most + 1][most];  // the best of paths with so many steps or fewer
    for (size_t j = 0; j < t->m; j++) reach[0][j] = surplus >> j & 1 ? 0 : no_way;
    for (size_t from = 0; from < t->m; from++)
        for (size_t to = 0; to < t->m; to++) each[from][to] = gain(t, from, to);
    for (size_t steps = 1; steps <= t->m; steps++)
        for (size_t to = 0; to < t->m; to++) {
            reach[steps][to] = reach[steps - 1][to];
            for (size_t from = 0; from < t->m; from++) {
                if (reach[steps - 1][from] == no_way || each[from][to] == no_way) continue;
                const int32_t sum = reach[steps - 1][from] + each[from][to];
                if (sum > reach[steps][to]) reach[steps][to] = sum;
            }
        }
    size_t steps = t->m, to = 0;
    while (!(deficit >> to & 1)) to++;
    for (size_t j = to; j < t->m; j++)
        if (deficit >> j & 1 && reach[steps][j] > reach[steps][to]) to = j;
    for (; steps > 0; steps--) {
        size_t from = 0;
        if (reach[steps][to] == reach[steps - 1][to]) continue;
        while (reach[steps - 1][from] == no_way || each[from][to] == no_way ||
               reach[steps - 1][from] + each[from][to] != reach[steps][to])
            from++;
        exchange(t, from, to, each[from][to]);
        to = from;
    }
}

static void level_columns(tile *t) {
    for (;;) {
        uint32_t surplus = 0, deficit = 0;
        for (size_t j = 0; j < t->m; j++) {
            size_t count = 0;
            for (size_t i = 0; i < t->m; i++) count += keeps(t, i, j);
            surplus |= (uint32_t)(count > t->n) << j;
            deficit |= (uint32_t)(count < t->n) << j;
        }
        if (!surplus) return;
        move(t, surplus, deficit);
    }
}

// MARK: 2:4

static void keep_by_pairs(tile *t) {
    static const uint8_t splits[3][2][2] = {{{0, 1}, {2, 3}}, {{0, 2}, {1, 3}}, {{0, 3}, {1, 2}}};
    int32_t best = no_way;
    for (size_t split = 0; split < 3; split++) {
        int32_t sum = 0;
        uint32_t kept[4];
        for (size_t pair = 0; pair < 2; pair++) {
            const size_t low = splits[split][pair][0], high = splits[split][pair][1];
            int32_t more[4];
            for (size_t j = 0; j < 4; j++) more[j] = t->weight[low][j] - t->weight[high][j];
            kept[low] = largest(more, 4, 2);
            kept[high] = ~kept[low] & 15;
            for (size_t j = 0; j < 4; j++) sum += kept[low] >> j & 1 ? more[j] : -more[j];
        }
        if (sum <= best) continue;
        best = sum;
        memcpy(t->kept, kept, sizeof kept);
    }
}

// MARK: the task

static void set(uint8_t *row, size_t column, size_t columns, uint32_t kept) {
    for (size_t j = 0; j < columns; j++)
        if (kept >> j & 1) row[(column + j) / 8] |= (uint8_t)(1 << (column + j) % 8);
}

void ht_transposable_mask_ref(const ht_transposable_task *task) {
    tile t = {.n = task->n, .m = task->m};
    for (size_t column = 0; column < task->columns; column += t.m) {
        const size_t columns = ht_min(t.m, task->columns - column);
        ht_transposable_weights(task, column, columns, t.weight);
        if (t.n == 2 && t.m == 4) {
            keep_by_pairs(&t);
        } else {
            keep_by_rows(&t);
            level_columns(&t);
        }
        for (size_t i = 0; i < task->rows; i++) set(task->mask + i * task->mask_stride, column, columns, t.kept[i]);
    }
}
