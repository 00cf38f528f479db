// SPDX-License-Identifier: Apache-2.0
#include "tiles.h"

#include <math.h>
#include <string.h>

// A view's share of the pixels in work.
typedef struct part {
    const ht_binary_view *view;
    size_t first, count;
    const ht_binary_run *runs;  // of the view,
    size_t run_count;           // if they are kept
} part;

typedef struct job {
    const ht_binary_task *task;
    const ht_binary_vectors *vectors;
    bool stores_itself;  // the kernel writes Y
    bool counts_outside;  // pixels outside the image add to sums
    bool keeps_runs;
    size_t view_count, parts;
    // Scratch:
    ht_binary_view *views;
    part *part;
    ht_binary_run *runs;
    uint32_t *zeros;  // a tap's words of signs that are all +1
    int32_t *counts;  // if it pads: [tap][HT_BINARY_COLUMNS], the weights of two blocks that are -1
    size_t *t;        // of each pixel, if sums are stored,
    char **y;         // or where its row of Y begins
    const char **x;
} job;

// Two blocks of outputs, and what becomes of their sums at the pixels of a view.
typedef struct pair {
    ht_binary_tile tile;
    ht_binary_finish finish;
    size_t o;
    int32_t level[HT_BINARY_COLUMNS];  // of the thresholds
    uint32_t flip;
    // Half of each level less 1, rounded up for sums of an even number of signs, and down for those of an odd one.
    int32_t half[2][HT_BINARY_COLUMNS];
} pair;

// MARK: scratch

// As many pixels as lists are to hold and L2 has room for, `bytes` each, while one pair of blocks after the other meets
// them; whole tiles.
static size_t pixels_at_once(size_t bytes, size_t t) {
    const size_t tiles = ht_min(HT_BINARY_TILES_AT_ONCE, HT_BINARY_NEAR_BYTES / ht_max(bytes, 1) / HT_BINARY_ROWS);
    return ht_min(t, ht_max(tiles, HT_BINARY_TILES_AT_LEAST) * HT_BINARY_ROWS);
}

static size_t bytes_of_x(const ht_binary_layout *l) { return l->tap_words * sizeof(uint32_t); }

// Y counts too: neighbouring lines of a row are written by one pair after the other, and are best still near.
static size_t bytes_of_x_and_y(const ht_binary_task *task) {
    return bytes_of_x(task->layout) + (task->y_order == HT_ORDER_ROWS ? task->y_stride : 0);
}

static bool counts_outside(const ht_conv *conv) { return conv && conv->shape.padding != HT_PADDING_ZERO; }

// Whether the runs of all views are listed at once, rather than those of a part when it comes.
static bool keeps_runs(const ht_binary_layout *l, size_t views) { return l->taps * views <= HT_BINARY_RUNS; }

// Where each part of the scratch lies; returns its size. Null memory only counts.
static size_t lay_out(job *j, const ht_binary_layout *l, const ht_conv *conv, size_t pixels, char *memory) {
    const size_t views = ht_binary_views(conv, NULL);
    size_t bytes = 0;
#define TAKE(member, count)                                      \
    do {                                                         \
        j->member = (void *)memory;                              \
        bytes += ht_carve(&memory, (count) * sizeof *j->member); \
    } while (0)
    j->view_count = views;
    j->keeps_runs = keeps_runs(l, views);
    TAKE(views, views);
    TAKE(part, views);
    TAKE(runs, keeps_runs(l, views) ? l->taps * views : l->taps);
    TAKE(zeros, l->tap_words);
    TAKE(counts, counts_outside(conv) ? l->taps * HT_BINARY_COLUMNS : 0);
    TAKE(x, pixels);
    TAKE(t, pixels);
    j->y = (char **)(void *)j->t;
#undef TAKE
    return bytes;
}

ht_status ht_binary_tiles_scratch(const ht_binary_layout *l, const ht_conv *conv, size_t t, size_t *bytes) {
    job none;
    *bytes = lay_out(&none, l, conv, pixels_at_once(bytes_of_x(l), t), NULL);
    return HT_OK;
}

// MARK: finishes

// Counts the weights of the pair that are -1 at a tap: there they meet zeros.
static void count_tap(const job *j, const pair *p, size_t tap, int32_t counts[HT_BINARY_COLUMNS]) {
    const ht_binary_layout *l = j->task->layout;
    const ht_binary_finish plain = {.adds = true};
    const ht_binary_run run = {0, tap * l->tap_words * HT_BINARY_BLOCK, l->tap_words};
    const char *x = (const char *)j->zeros;
    char *y = (char *)counts;
    ht_binary_tile tile = p->tile;
    tile.rows = 1;
    tile.x = &x;
    tile.runs = &run;
    tile.run_count = l->tap_words != 0;
    tile.y = &y;
    tile.y_offset = 0;
    tile.columns = tile.blocks * HT_BINARY_BLOCK;
    tile.ahead = 0;
    tile.finish = &plain;
    memset(counts, 0, HT_BINARY_COLUMNS * sizeof *counts);  // those of blocks that are not there
    j->vectors->tile(&tile);
}

static size_t seen(const ht_binary_view *v) {
    return (v->down.end - v->down.begin) * (v->across.end - v->across.begin);
}

// What pixels outside the image add. Outputs that are not there have no counts.
static void add_outside(const job *j, const ht_binary_view *v, pair *p) {
    const ht_binary_layout *l = j->task->layout;
    const int32_t sign = j->task->conv->shape.padding == HT_PADDING_PLUS_ONE ? 1 : -1;
    for (size_t tap = 0; tap < l->taps; tap++) {
        const int32_t *counts = j->counts + tap * HT_BINARY_COLUMNS;
        if (ht_binary_view_sees(l, v, tap)) continue;
        for (size_t i = 0; i < p->tile.columns; i++)
            p->finish.start[i] += sign * ((int32_t)l->of.tap_columns - 2 * counts[i]);
    }
}

// The sum of a pixel that differs from no weight, in all that adds to it: in X of signs that is the number of inputs
// seen and what the padding adds, in X of zeros and ones minus the number of weights that are -1.
static void find_starts(const job *j, const ht_binary_view *v, pair *p) {
    const ht_binary_layout *l = j->task->layout;
    ht_binary_finish *f = &p->finish;
    if (f->adds) {
        count_tap(j, p, 0, f->start);
        for (size_t i = 0; i < HT_BINARY_COLUMNS; i++) f->start[i] = -f->start[i];
        return;
    }
    for (size_t i = 0; i < HT_BINARY_COLUMNS; i++) f->start[i] = (int32_t)(seen(v) * l->of.tap_columns);
    if (j->counts_outside && seen(v) < l->taps) add_outside(j, v, p);
}

static int32_t at_least_0(int32_t v) { return v < 0 ? 0 : v; }

static int32_t clamp(int64_t v) { return v < 0 ? 0 : v > INT32_MAX ? INT32_MAX : (int32_t)v; }

// Sums s = start - 2 d fall below the level where d >= floor((start - level) / 2) + 1, here with halves that do not
// overflow; the starts of a view are all even or all odd. Sums start + d rise, so there it is the other way round.
static void find_cuts(pair *p) {
    ht_binary_finish *f = &p->finish;
    const int32_t *half = p->half[f->start[0] & 1];
    for (size_t i = 0; i < HT_BINARY_COLUMNS; i++) f->cut[i] = at_least_0((f->start[i] >> 1) - half[i]);
    if (f->adds)
        for (size_t i = 0; i < p->tile.columns; i++) f->cut[i] = clamp((int64_t)p->level[i] - f->start[i]);
    for (size_t i = p->tile.columns; i < HT_BINARY_COLUMNS; i++) f->cut[i] = INT32_MAX;
}

static void read_thresholds(const ht_binary_task *task, pair *p) {
    const ht_binary_threshold *threshold = task->epilogue.threshold;
    const size_t column = task->y_first + p->o, columns = p->tile.columns;
    if (threshold && threshold->level) memcpy(p->level, threshold->level + column, columns * sizeof *p->level);
    if (threshold && threshold->flip) memcpy(&p->finish.flip, threshold->flip + column / 8, ht_ceil_div(columns, 8));
    if (p->finish.adds) p->finish.flip = ~p->finish.flip;
    p->finish.flip &= (uint32_t)(((uint64_t)1 << columns) - 1);
    for (size_t i = 0; i < HT_BINARY_COLUMNS; i++) {
        const int32_t level = p->level[i] < -INT32_MAX ? -INT32_MAX : p->level[i];  // there is no sum below either
        p->half[0][i] = (level >> 1) + (level & 1) - 1;
        p->half[1][i] = (level >> 1) - 1;
    }
}

// What a scale, a bias and an activation that cuts off make of floats.
static void read_reals(const ht_binary_task *task, pair *p) {
    const ht_epilogue *e = &task->epilogue;
    const float *scale = e->quantization ? e->quantization->scale : NULL;
    const size_t column = task->y_first + p->o;
    ht_binary_finish *f = &p->finish;
    f->reals = true;
    f->low = e->activation == HT_ACTIVATION_NONE ? -INFINITY : e->activation == HT_ACTIVATION_RELU ? 0 : e->low;
    f->high = e->activation == HT_ACTIVATION_CLAMP ? e->high : INFINITY;
    for (size_t i = 0; i < p->tile.columns; i++) {
        f->scale[i] = scale ? scale[column + i] : 1;
        f->bias[i] = e->bias ? e->bias[column + i] : 0;
    }
}

static bool are_plain_reals(const ht_binary_task *task) {
    const ht_epilogue *e = &task->epilogue;
    return task->y_dtype == HT_DTYPE_F32 && !e->residual && !e->row_scale && e->activation != HT_ACTIVATION_GELU;
}

// Bits of a group that do not begin at a byte's boundary are put in one at a time.
static bool kernel_stores(const ht_binary_vectors *vectors, const ht_binary_task *task) {
    if (task->y_dtype == HT_DTYPE_B1)
        return task->y_first % HT_BINARY_BLOCK == 0 &&
               (!task->conv || task->conv->shape.groups == 1 || task->layout->of.outputs % HT_BINARY_BLOCK == 0);
    const bool in_rows = task->y_order == HT_ORDER_ROWS;
    return in_rows && (task->y_dtype == HT_DTYPE_I32 || (vectors->finishes_reals && are_plain_reals(task)));
}

// MARK: runs

// All pixels of a part against a pair.
static void run_part(const job *j, const part *part, pair *p) {
    const ht_binary_task *task = j->task;
    find_starts(j, part->view, p);
    if (p->finish.bits) find_cuts(p);
    _Alignas(HT_ALIGNMENT) int32_t sums[HT_BINARY_ROWS][HT_BINARY_COLUMNS];
    char *rows[HT_BINARY_ROWS];
    for (size_t r = 0; !j->stores_itself && r < HT_BINARY_ROWS; r++) rows[r] = (char *)sums[r];
    ht_binary_tile tile = p->tile;
    if (!j->stores_itself) tile.columns = tile.blocks * HT_BINARY_BLOCK;
    tile.runs = part->runs;
    tile.run_count = j->keeps_runs ? part->run_count : ht_binary_runs(task, part->view, j->runs);
    for (size_t first = part->first, end = first + part->count; first < end; first += HT_BINARY_ROWS) {
        tile.rows = ht_min(HT_BINARY_ROWS, end - first);
        if (first) tile.ahead = 0;  // the first tile fetches the weights of the next pair
        tile.x = j->x + first;
        tile.y = j->stores_itself ? j->y + first : rows;
        j->vectors->tile(&tile);
        if (j->stores_itself) continue;
        const ht_sums out = {.at = sums[0],
                             .row_step = HT_BINARY_COLUMNS,
                             .strip_step = HT_BINARY_BLOCK,
                             .rows = tile.rows,
                             .columns = p->tile.columns,
                             .t = j->t + first,
                             .column = task->y_first + p->o,
                             .epilogue = &task->epilogue,
                             .y = task->y,
                             .y_stride = task->y_stride,
                             .y_dtype = task->y_dtype,
                             .y_order = task->y_order};
        j->vectors->store(&out);
    }
}

static void list_pixels(job *j, size_t t_begin, size_t t_end) {
    size_t count = 0;
    ht_binary_run *runs = j->runs;
    j->parts = 0;
    for (size_t v = 0; v < j->view_count; v++) {
        const ht_binary_view *view = &j->views[v];
        const size_t found = ht_binary_view_pixels(j->task, view, t_begin, t_end, j->x + count,
                                                   j->stores_itself ? NULL : j->t + count, j->y + count);
        if (!found) continue;
        const size_t run_count = j->keeps_runs ? ht_binary_runs(j->task, view, runs) : 0;
        j->part[j->parts++] = (part){view, count, found, runs, run_count};
        count += found;
        runs += run_count;
    }
}

// Rows of a single tile use up weights as fast as memory brings them: these are to come as one stream, block by block.
static bool is_stream(const ht_binary_task *task) { return task->t_end - task->t_begin <= HT_BINARY_ROWS; }

static void run_pair(const job *j, size_t o, size_t columns) {
    const ht_binary_task *task = j->task;
    const ht_binary_layout *l = task->layout;
    const bool bits = task->y_dtype == HT_DTYPE_B1;
    const size_t column = task->y_first + o;
    pair p = {.o = o, .finish = {.bits = bits && j->stores_itself, .adds = task->x_dtype == HT_DTYPE_U1}};
    p.finish.narrow = l->taps * l->of.tap_columns < INT16_MAX;
    p.tile = (ht_binary_tile){.w = ht_binary_words(l, task->packed, o / HT_BINARY_BLOCK),
                              .block_words = l->block_words,
                              .blocks = ht_ceil_div(columns, HT_BINARY_BLOCK),
                              .columns = columns,
                              .ahead = is_stream(task) ? HT_BINARY_AHEAD : 2 * l->block_words,
                              .y_offset = !j->stores_itself ? 0
                                          : bits            ? column / 8
                                                            : column * sizeof(int32_t),
                              .finish = &p.finish};
    if (p.finish.bits) read_thresholds(task, &p);
    if (j->stores_itself && task->y_dtype == HT_DTYPE_F32) read_reals(task, &p);
    for (size_t tap = 0; j->counts_outside && tap < l->taps; tap++)
        count_tap(j, &p, tap, j->counts + tap * HT_BINARY_COLUMNS);
    for (size_t i = 0; i < j->parts; i++) run_part(j, &j->part[i], &p);
}

void ht_binary_tiles_run(const ht_binary_vectors *vectors, const ht_binary_task *task) {
    job j = {.task = task, .vectors = vectors, .stores_itself = kernel_stores(vectors, task)};
    const size_t step = pixels_at_once(bytes_of_x_and_y(task), task->t_end - task->t_begin);
    lay_out(&j, task->layout, task->conv, step, task->scratch);
    ht_binary_views(task->conv, j.views);
    for (size_t v = 0; counts_outside(task->conv) && v < j.view_count; v++)
        j.counts_outside |= seen(&j.views[v]) < task->layout->taps;
    memset(j.zeros, 0, task->layout->tap_words * sizeof *j.zeros);
    for (size_t t = task->t_begin; t < task->t_end; t += step) {
        const size_t end = ht_min(task->t_end, t + step);
        list_pixels(&j, t, end);
        // The weights of two blocks stay in L1 while all pixels meet them.
        const size_t columns = is_stream(task) ? HT_BINARY_BLOCK : HT_BINARY_COLUMNS;
        for (size_t o = task->o_begin; o < task->o_end; o += columns) run_pair(&j, o, ht_min(columns, task->o_end - o));
    }
}
