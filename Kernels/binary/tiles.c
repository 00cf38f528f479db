// SPDX-License-Identifier: Apache-2.0
#include "tiles.h"

#include <string.h>

#include "core/operands.h"
#include "core/ref_store.h"

// A view's share of the pixels in work.
typedef struct part {
    const ht_binary_view *view;
    size_t first, count;
} part;

typedef struct job {
    const ht_binary_task *task;
    const ht_binary_vectors *vectors;
    bool stores_itself;  // the kernel writes Y
    size_t parts;
    // Scratch:
    ht_binary_view *views;
    part *part;
    ht_binary_run *runs;
    uint32_t *zeros;     // a tap's words of signs that are all +1
    size_t *t;
    const char **x;
    char **y;
} job;

// MARK: scratch

static size_t pixels_at_once(size_t t) { return ht_min(t, HT_BINARY_PIXELS_AT_ONCE); }

static size_t take(char **memory, size_t bytes) {
    const size_t rounded = ht_round_up(bytes, HT_ALIGNMENT);
    if (*memory) *memory += rounded;
    return rounded;
}

// Where each part of the scratch lies; returns its size. Null memory only counts.
static size_t lay_out(job *j, const ht_binary_layout *l, const ht_conv *conv, size_t t, char *memory) {
    const size_t views = ht_binary_views(conv, NULL), pixels = pixels_at_once(t);
    size_t bytes = 0;
#define TAKE(member, count)                                  \
    do {                                                     \
        j->member = (void *)memory;                          \
        bytes += take(&memory, (count) * sizeof *j->member); \
    } while (0)
    TAKE(views, views);
    TAKE(part, views);
    TAKE(runs, l->taps);
    TAKE(zeros, l->tap_words);
    TAKE(t, pixels);
    TAKE(x, pixels);
    TAKE(y, pixels);
#undef TAKE
    return bytes;
}

ht_status ht_binary_tiles_scratch(const ht_binary_layout *l, const ht_conv *conv, size_t t, size_t *bytes) {
    job none;
    *bytes = lay_out(&none, l, conv, t, NULL);
    return HT_OK;
}

// MARK: finishes

static int32_t clamp(int64_t v) { return v < 0 ? 0 : v > INT32_MAX ? INT32_MAX : (int32_t)v; }

// Counts the set bits of the weights of two blocks in the runs, each of which is met by zeros.
static void count_weights(const job *j, const ht_binary_tile *whole, const ht_binary_run *runs, size_t run_count,
                          int32_t counts[HT_BINARY_COLUMNS]) {
    const ht_binary_finish plain = {.adds = true};
    const char *x = (const char *)j->zeros;
    char *y = (char *)counts;
    ht_binary_tile tile = *whole;
    tile.rows = 1;
    tile.x = &x;
    tile.runs = runs;
    tile.run_count = run_count;
    tile.y = &y;
    tile.y_offset = 0;
    tile.columns = tile.blocks * HT_BINARY_BLOCK;
    tile.finish = &plain;
    j->vectors->tile(&tile);
}

// The sum of a pixel that differs from no weight, in all that adds to it: in X of signs that is the number of inputs
// seen and what the padding adds, in X of zeros and ones minus the number of weights that are -1.
static void find_starts(const job *j, const ht_binary_tile *tile, const ht_binary_view *v, ht_binary_finish *f) {
    const ht_binary_layout *l = j->task->layout;
    const ht_padding padding = j->task->conv ? j->task->conv->shape.padding : HT_PADDING_ZERO;
    const size_t seen = (v->down.end - v->down.begin) * (v->across.end - v->across.begin);
    int32_t counts[HT_BINARY_COLUMNS];
    f->adds = j->task->x_dtype == HT_DTYPE_U1;
    for (size_t o = 0; o < HT_BINARY_COLUMNS; o++) f->start[o] = f->adds ? 0 : (int32_t)(seen * l->of.tap_columns);
    if (f->adds) {
        const ht_binary_run all = {0, 0, l->tap_words};
        count_weights(j, tile, &all, l->tap_words != 0, counts);
        for (size_t o = 0; o < tile->blocks * HT_BINARY_BLOCK; o++) f->start[o] = -counts[o];
    } else if (padding != HT_PADDING_ZERO && !ht_binary_view_is_whole(l, v)) {
        const int32_t outside = (int32_t)((l->taps - seen) * l->of.tap_columns);
        count_weights(j, tile, j->runs, ht_binary_outside_runs(j->task, v, j->runs), counts);
        for (size_t o = 0; o < tile->blocks * HT_BINARY_BLOCK; o++) {
            const int32_t sum = outside - 2 * counts[o];
            f->start[o] += padding == HT_PADDING_PLUS_ONE ? sum : -sum;
        }
    }
}

// Where sums s = start - 2 d fall below the level: d >= floor((start - level) / 2) + 1. Sums start + d rise, so there
// it is the other way round.
static void find_cuts(const job *j, size_t o, size_t columns, ht_binary_finish *f) {
    const ht_binary_threshold *threshold = j->task->epilogue.threshold;
    f->bits = true;
    f->flip = 0;
    for (size_t i = 0; i < HT_BINARY_COLUMNS; i++) {
        const size_t column = j->task->y_first + o + i;
        f->cut[i] = INT32_MAX;
        if (i >= columns) continue;
        const int64_t level = threshold && threshold->level ? threshold->level[column] : 0, start = f->start[i];
        const bool flips = threshold && threshold->flip && threshold->flip[column / 8] >> column % 8 & 1;
        f->cut[i] = f->adds ? clamp(level - start) : clamp(((start - level) >> 1) + 1);
        f->flip |= (uint32_t)(flips != f->adds) << i;
    }
}

// MARK: stores

// By bytes: other threads may be at work on the same word.
static void store_bit(const ht_binary_task *task, size_t t, size_t column, bool set) {
    uint8_t *byte = (uint8_t *)task->y + t * task->y_stride + column / 8;
    const unsigned bit = 1u << column % 8;
    *byte = (uint8_t)(set ? *byte | bit : *byte & ~bit);
}

void ht_binary_store_plain(const ht_binary_output *out) {
    const ht_binary_task *task = out->task;
    for (size_t r = 0; r < out->rows; r++)
        for (size_t i = 0; i < out->columns; i++) {
            const size_t t = out->t[r], column = task->y_first + out->o + i;
            const int32_t sum = out->sums[r * HT_BINARY_COLUMNS + i];
            if (task->y_dtype == HT_DTYPE_B1)
                store_bit(task, t, column, ht_ref_is_negative(&task->epilogue, sum, column));
            else
                ht_ref_store_sum(&task->epilogue, task->y_dtype, sum, t, column, ht_binary_residual(task, t, column),
                                 ht_binary_y(task, t, column));
        }
}

// Bits of a group that do not begin at a byte's boundary are put in one at a time.
static bool kernel_stores(const ht_binary_task *task) {
    if (task->y_dtype == HT_DTYPE_B1)
        return task->y_first % HT_BINARY_BLOCK == 0 &&
               (!task->conv || task->conv->shape.groups == 1 || task->layout->of.outputs % HT_BINARY_BLOCK == 0);
    return task->y_dtype == HT_DTYPE_I32 && task->y_order == HT_ORDER_ROWS;
}

// MARK: runs

// All pixels of a part against up to two blocks.
static void run_part(const job *j, const part *p, ht_binary_tile tile, size_t o) {
    const ht_binary_task *task = j->task;
    ht_binary_finish finish = {0};
    find_starts(j, &tile, p->view, &finish);
    if (task->y_dtype == HT_DTYPE_B1 && j->stores_itself) find_cuts(j, o, tile.columns, &finish);
    int32_t sums[HT_BINARY_ROWS][HT_BINARY_COLUMNS];
    char *rows[HT_BINARY_ROWS];
    for (size_t r = 0; r < HT_BINARY_ROWS; r++) rows[r] = (char *)sums[r];
    tile.finish = &finish;
    tile.runs = j->runs;
    tile.run_count = ht_binary_runs(task, p->view, j->runs);
    const size_t column = task->y_first + o;
    tile.y_offset = !j->stores_itself ? 0 : task->y_dtype == HT_DTYPE_B1 ? column / 8 : column * sizeof(int32_t);
    for (size_t first = p->first, end = p->first + p->count; first < end; first += HT_BINARY_ROWS) {
        tile.rows = ht_min(HT_BINARY_ROWS, end - first);
        tile.x = j->x + first;
        tile.y = j->stores_itself ? j->y + first : rows;
        j->vectors->tile(&tile);
        if (j->stores_itself) continue;
        const ht_binary_output out = {task, sums[0], j->t + first, tile.rows, o, tile.columns};
        j->vectors->store(&out);
    }
}

static void list_pixels(job *j, size_t t_begin, size_t t_end) {
    const size_t views = ht_binary_views(j->task->conv, NULL);
    size_t count = 0;
    j->parts = 0;
    for (size_t v = 0; v < views; v++) {
        const size_t found = ht_binary_view_pixels(j->task, &j->views[v], t_begin, t_end, j->t + count, j->x + count);
        if (found) j->part[j->parts++] = (part){&j->views[v], count, found};
        count += found;
    }
    for (size_t i = 0; i < count; i++) j->y[i] = (char *)j->task->y + j->t[i] * j->task->y_stride;
}

static void run_blocks(const job *j, size_t o) {
    const ht_binary_layout *l = j->task->layout;
    const size_t columns = ht_min(HT_BINARY_COLUMNS, j->task->o_end - o);
    const ht_binary_tile tile = {.w = ht_binary_words(l, j->task->packed, o / HT_BINARY_BLOCK),
                                 .block_words = l->block_words,
                                 .blocks = ht_ceil_div(columns, HT_BINARY_BLOCK),
                                 .columns = columns};
    for (size_t p = 0; p < j->parts; p++) run_part(j, &j->part[p], tile, o);
}

void ht_binary_tiles_run(const ht_binary_vectors *vectors, const ht_binary_task *task) {
    job j = {.task = task, .vectors = vectors, .stores_itself = kernel_stores(task)};
    lay_out(&j, task->layout, task->conv, task->t_end - task->t_begin, task->scratch);
    ht_binary_views(task->conv, j.views);
    memset(j.zeros, 0, task->layout->tap_words * sizeof *j.zeros);
    const size_t step = pixels_at_once(task->t_end - task->t_begin);
    for (size_t t = task->t_begin; t < task->t_end; t += step) {
        const size_t end = ht_min(task->t_end, t + step);
        list_pixels(&j, t, end);
        // The weights of two blocks stay in L1 while all pixels meet them.
        for (size_t o = task->o_begin; o < task->o_end; o += HT_BINARY_COLUMNS) run_blocks(&j, o);
    }
}
