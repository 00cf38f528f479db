// SPDX-License-Identifier: Apache-2.0
#include "lookup.h"

#include <string.h>

enum {
    table_budget = 448 << 10,  // bytes of tables in work: half of a large L2
    pixels_at_most = 4096,     // of Y, listed at a time
    gathered_rows = 16         // of an X in columns, at a time: a line of it
};

// What is in work at a time: `rows` whole rows of an image of Y or, if one is too large, `columns` pixels of it, and
// the tables of the pixels of X that these see. A matrix is an image whose rows are one pixel.
typedef struct plan {
    size_t rows, columns;
    size_t x_rows, x_columns;  // at most
} plan;

typedef struct job {
    const ht_lookup_vectors *vectors;
    const ht_binary_task *task;
    ht_binary_task tables;  // the same with the tables as X
    ht_conv conv;           // of the tables
    plan plan;
    size_t pixel_bytes;  // of the tables of a pixel
    size_t short_words;
    size_t view_count;
    // Scratch:
    ht_binary_view *views;
    ht_binary_run *runs;
    size_t *t;
    const char **x;
    char *values;  // of pixels that are gathered, with what is missing at a tap's end
    char *memory;  // of tables
} job;

// The pixels begin ..< end of a row or column of an image.
typedef struct range {
    size_t begin, end;
} range;

// MARK: plan

static size_t reach(const ht_binary_axis *a) { return (a->kernel - 1) * a->dilation + 1; }

// How many neighbours in X some neighbours in Y see.
static size_t seen_by(const ht_binary_axis *a, size_t outputs) {
    return outputs ? ht_min(a->size, (outputs - 1) * a->stride + reach(a)) : 0;
}

// How many neighbours in Y need no more than so many in X; at least one.
static size_t outputs_of(const ht_binary_axis *a, size_t held) {
    if (held >= a->size) return ht_max(1, a->out_size);
    return held < reach(a) ? 1 : ht_min(ht_max(1, a->out_size), (held - reach(a)) / a->stride + 1);
}

// Which of those see places begin ..< end of Y.
static range range_seen(const ht_binary_axis *a, range y) {
    const size_t first = y.begin * a->stride, last = (y.end - 1) * a->stride + reach(a);
    const size_t begin = first > a->pad ? first - a->pad : 0, end = last > a->pad ? last - a->pad : 0;
    return (range){ht_min(begin, ht_min(end, a->size)), ht_min(end, a->size)};
}

// Whether a place of X is under a tap for any place of Y.
static bool is_seen(const ht_binary_axis *a, size_t place) {
    if (a->stride == 1) return true;
    for (size_t tap = 0; tap < a->kernel; tap++) {
        const size_t from = place + a->pad;
        if (from >= tap * a->dilation && (from - tap * a->dilation) % a->stride == 0) return true;
    }
    return false;
}

// Pieces of about the same size, none larger than `most`.
static size_t even(size_t size, size_t most) { return size ? ht_ceil_div(size, ht_ceil_div(size, most)) : 0; }

// Room grows with t: a thread's share must not need more than the whole.
static plan plan_matrix(size_t t, size_t held) {
    const size_t most = ht_max(HT_LOOKUP_ROWS, ht_min(held, pixels_at_most) / HT_LOOKUP_ROWS * HT_LOOKUP_ROWS);
    const size_t rows = ht_min(most, ht_round_up(even(t, most), HT_LOOKUP_ROWS));
    return (plan){rows, 1, ht_min(t, most), 1};
}

static plan plan_image(const ht_conv *conv, size_t held) {
    const ht_binary_axis down = ht_binary_down(conv), across = ht_binary_across(conv);
    const size_t row_pixels = ht_max(1, across.size);
    const size_t most_rows = ht_min(outputs_of(&down, held / row_pixels), pixels_at_most / ht_max(1, across.out_size));
    plan p = {.rows = even(down.out_size, ht_max(1, most_rows)), .columns = across.out_size};
    const size_t high = seen_by(&down, 1);
    const bool is_wide = across.out_size > pixels_at_most || high * row_pixels > held;
    if (p.rows == 1 && is_wide) {
        const size_t most = ht_max(HT_LOOKUP_ROWS, outputs_of(&across, held / ht_max(1, high)));
        p.columns = even(across.out_size, ht_min(most, pixels_at_most));
    }
    p.x_rows = seen_by(&down, p.rows);
    p.x_columns = seen_by(&across, p.columns);
    return p;
}

static size_t pixel_bytes_of(const ht_binary_layout *l, size_t word_bytes) { return l->tap_words * word_bytes; }

static plan make_plan(const ht_binary_layout *l, const ht_conv *conv, size_t t, size_t word_bytes) {
    const size_t held = table_budget / ht_max(1, pixel_bytes_of(l, word_bytes));
    return conv ? plan_image(conv, held) : plan_matrix(t, held);
}

// MARK: scratch

// Where each part of the scratch lies; returns the size of all but the tables, which come last. Null memory only
// counts.
static size_t lay_out(job *j, const ht_binary_layout *l, const ht_conv *conv, size_t value_size, char *memory) {
    const size_t pixels = conv ? j->plan.rows * j->plan.columns : j->plan.x_rows;
    size_t bytes = 0;
    j->view_count = ht_binary_views(conv, NULL);
#define TAKE(member, count)                                      \
    do {                                                         \
        j->member = (void *)memory;                              \
        bytes += ht_carve(&memory, (count) * sizeof *j->member); \
    } while (0)
    TAKE(views, j->view_count);
    TAKE(runs, l->taps);
    TAKE(t, pixels);
    TAKE(x, pixels);
    TAKE(values, (conv ? 1 : gathered_rows) * l->tap_words * HT_BINARY_WORD * value_size);
#undef TAKE
    j->memory = memory;
    return bytes;
}

static ht_status scratch(const ht_binary_layout *l, const ht_conv *conv, size_t t, size_t word_bytes, size_t value_size,
                         size_t *bytes) {
    size_t tables;
    job j = {.plan = make_plan(l, conv, t, word_bytes)};
    *bytes = lay_out(&j, l, conv, value_size, NULL);
    const bool fits = ht_mul(j.plan.x_rows * j.plan.x_columns, pixel_bytes_of(l, word_bytes), &tables);
    return fits && ht_add(*bytes, tables, bytes) ? HT_OK : HT_ERROR_OVERFLOW;
}

ht_status ht_lookup_scratch_f32(const ht_binary_layout *l, const ht_conv *conv, size_t t, size_t *bytes) {
    return scratch(l, conv, t, HT_LOOKUP_BYTES_F32, sizeof(float), bytes);
}

ht_status ht_lookup_scratch_i8(const ht_binary_layout *l, const ht_conv *conv, size_t t, size_t *bytes) {
    return scratch(l, conv, t, HT_LOOKUP_BYTES_I8, sizeof(int8_t), bytes);
}

// MARK: tables

static int32_t zero_of(const ht_binary_task *task) {
    const ht_quantization *q = task->epilogue.quantization;
    return task->x_dtype == HT_DTYPE_I8 && q ? q->x_zero : 0;
}

// Inputs that are not there stand for zero.
static void clear_values(const job *j, size_t rows) {
    const size_t padded = j->task->layout->tap_words * HT_BINARY_WORD * ht_dtype_size(j->task->x_dtype);
    memset(j->values, zero_of(j->task), rows * padded);
}

// Tables of a row of X that lies in one piece.
static void build_row(const job *j, const void *row, char *tables) {
    const ht_binary_layout *l = j->task->layout;
    const void *values = row;
    if (l->of.tap_columns % HT_BINARY_WORD) {
        memcpy(j->values, row, l->of.tap_columns * ht_dtype_size(j->task->x_dtype));
        values = j->values;
    }
    j->vectors->build(values, zero_of(j->task), l->tap_words, tables);
}

#define GATHER(type)                                                       \
    for (size_t k = 0; k < l->of.tap_columns; k++, from += task->x_stride) \
        for (size_t i = 0; i < count; i++)                                 \
            ((type *)(void *)j->values)[i * padded + k] = ((const type *)(const void *)from)[i];

// Tables of some rows of X that lies in columns.
static void build_gathered(const job *j, size_t t, size_t count) {
    const ht_binary_task *task = j->task;
    const ht_binary_layout *l = task->layout;
    const size_t padded = l->tap_words * HT_BINARY_WORD, size = ht_dtype_size(task->x_dtype);
    const char *from = (const char *)task->x + task->x_first * task->x_stride + t * size;
    if (size == sizeof(float))
        GATHER(float)
    else
        GATHER(int8_t)
    char *tables = (char *)j->tables.x + t * j->pixel_bytes;
    for (size_t i = 0; i < count; i++)
        j->vectors->build(j->values + i * padded * size, zero_of(task), l->tap_words, tables + i * j->pixel_bytes);
}

static const char *x_row(const ht_binary_task *task, size_t pixel) {
    return (const char *)task->x + pixel * task->x_stride + task->x_first * ht_dtype_size(task->x_dtype);
}

static void build_matrix(job *j, size_t t, size_t end) {
    j->tables.x = (const char *)((uintptr_t)j->memory - t * j->pixel_bytes);
    for (; t < end && j->task->x_order == HT_ORDER_FEATURES; t += ht_min(gathered_rows, end - t))
        build_gathered(j, t, ht_min(gathered_rows, end - t));
    for (; t < end; t++) build_row(j, x_row(j->task, t), (char *)j->tables.x + t * j->pixel_bytes);
}

// Tables of what pixels t ..< end of Y see, which are rows of one image or part of a row.
static void build_image(job *j, size_t t, size_t end) {
    const ht_conv *conv = j->task->conv;
    const ht_binary_axis down = ht_binary_down(conv), across = ht_binary_across(conv);
    const size_t image = t / conv->out_width / conv->out_height, row = t / conv->out_width,
                 last = (end - 1) / conv->out_width;
    const size_t first_row = row % conv->out_height;
    const range rows = {first_row, first_row + last - row + 1};
    const range columns =
        row == last ? (range){t - row * conv->out_width, end - row * conv->out_width} : (range){0, conv->out_width};
    const range y = range_seen(&down, rows), x = range_seen(&across, columns);
    const size_t origin = (image * down.size + y.begin) * j->plan.x_columns + x.begin;
    j->tables.x = (const char *)((uintptr_t)j->memory - origin * j->pixel_bytes);
    for (size_t r = y.begin; r < y.end; r++) {
        if (!is_seen(&down, r)) continue;
        char *tables = j->memory + (r - y.begin) * j->plan.x_columns * j->pixel_bytes;
        for (size_t c = x.begin; c < x.end; c++, tables += j->pixel_bytes)
            if (is_seen(&across, c)) build_row(j, x_row(j->task, (image * down.size + r) * across.size + c), tables);
    }
}

// Where a piece ends that begins with pixel t.
static size_t piece_end(const job *j, size_t t) {
    const ht_binary_task *task = j->task;
    const size_t width = task->conv ? task->conv->out_width : 1;
    if (!task->conv) return ht_min(task->t_end, t + j->plan.rows);
    const size_t column = t % width, row = t / width % task->conv->out_height;
    if (j->plan.columns < width) return ht_min(task->t_end, t + ht_min(j->plan.columns, width - column));
    if (column) return ht_min(task->t_end, t - column + width);
    return ht_min(task->t_end, t + ht_min(j->plan.rows, task->conv->out_height - row) * width);
}

// MARK: runs

static size_t tile_size(size_t left, size_t most) { return even(left, most); }

static void store(const job *j, const ht_lookup_tile *tile, const size_t *t, size_t o, size_t columns) {
    const ht_binary_task *task = j->task;
    if (j->vectors->store_floats) {
        j->vectors->store_floats(&(ht_lookup_output){task, tile->sums, t, tile->rows, o, columns});
        return;
    }
    const ht_sums sums = {.at = tile->sums,
                          .row_step = HT_LOOKUP_COLUMNS,
                          .strip_step = HT_BINARY_BLOCK,
                          .rows = tile->rows,
                          .columns = columns,
                          .t = t,
                          .column = task->y_first + o,
                          .epilogue = &task->epilogue,
                          .y = task->y,
                          .y_stride = task->y_stride,
                          .y_dtype = task->y_dtype,
                          .y_order = task->y_order};
    j->vectors->store_sums(&sums);
}

// Pixels of a view against a few blocks.
static void run_blocks(const job *j, size_t count, size_t run_count, size_t o, size_t blocks) {
    const ht_binary_task *task = j->task;
    const ht_binary_layout *l = task->layout;
    int32_t sums[HT_LOOKUP_ROWS * HT_LOOKUP_COLUMNS] __attribute__((aligned(HT_ALIGNMENT)));
    ht_lookup_tile tile = {.blocks = blocks,
                           .runs = j->runs,
                           .run_count = run_count,
                           .w = ht_binary_words(l, task->packed, o / HT_BINARY_BLOCK),
                           .block_words = l->block_words,
                           .short_words = j->short_words,
                           .sums = sums};
    for (size_t done = 0; done < count; done += tile.rows) {
        tile.rows = tile_size(count - done, j->vectors->rows);
        tile.x = j->x + done;
        j->vectors->tile(&tile);
        store(j, &tile, j->t + done, o, ht_min(blocks * HT_BINARY_BLOCK, task->o_end - o));
    }
}

static void run_view(const job *j, const ht_binary_view *v, size_t t, size_t end) {
    const size_t count = ht_binary_view_pixels(&j->tables, v, t, end, j->x, j->t, NULL);
    if (!count) return;
    const size_t runs = ht_binary_runs(&j->tables, v, j->runs);
    // The weights of a few blocks stay in L1 while all pixels meet them.
    for (size_t o = j->task->o_begin, blocks; o < j->task->o_end; o += blocks * HT_BINARY_BLOCK) {
        blocks = tile_size(ht_ceil_div(j->task->o_end - o, HT_BINARY_BLOCK), j->vectors->blocks);
        run_blocks(j, count, runs, o, blocks);
    }
}

// Fours of bytes are at most 4 (128 + |zero|), 16 bits hold 2^15 - 1, and a word adds four of them.
static size_t short_words_of(int32_t zero) {
    const int32_t most = zero < 0 ? 127 - zero : 128 + zero;
    return (size_t)(INT16_MAX / (4 * most) / 4);
}

void ht_lookup_run(const ht_lookup_vectors *vectors, const ht_binary_task *task) {
    const bool is_f32 = task->x_dtype == HT_DTYPE_F32;
    job j = {.vectors = vectors, .task = task, .tables = *task, .short_words = short_words_of(zero_of(task))};
    j.plan = make_plan(task->layout, task->conv, task->t_end - task->t_begin,
                       is_f32 ? HT_LOOKUP_BYTES_F32 : HT_LOOKUP_BYTES_I8);
    j.pixel_bytes = pixel_bytes_of(task->layout, vectors->word_bytes);
    lay_out(&j, task->layout, task->conv, ht_dtype_size(task->x_dtype), task->scratch);
    ht_binary_views(task->conv, j.views);
    clear_values(&j, task->conv ? 1 : gathered_rows);
    j.tables.x_stride = j.pixel_bytes;
    j.tables.x_first = 0;
    if (task->conv) {
        j.conv = *task->conv;
        j.conv.shape.width = j.plan.x_columns;
        j.tables.conv = &j.conv;
    }
    for (size_t t = task->t_begin, end; t < task->t_end; t = end) {
        end = piece_end(&j, t);
        task->conv ? build_image(&j, t, end) : build_matrix(&j, t, end);
        for (size_t v = 0; v < j.view_count; v++) run_view(&j, &j.views[v], t, end);
    }
}
