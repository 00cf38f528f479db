// SPDX-License-Identifier: Apache-2.0
#include "panels.h"

#include <string.h>

// What is worked on at once: rows of X and columns of Y, whose sums (245 KB) stay in L2.
typedef struct blocking {
    size_t rows, outputs;
} blocking;

enum { most_rows = 256 };

// More rows read the weights less often, more outputs read X less often. Weights that do not fit in L3 come from
// memory.
static blocking choose_blocking(const ht_nm_layout *l) {
    return l->bytes > (size_t)24 << 20 ? (blocking){most_rows, 240} : (blocking){128, 480};
}

// Columns of Y that there is room for, as the last strip may reach behind the last.
static size_t output_capacity(const ht_nm_layout *l) { return choose_blocking(l).outputs + HT_NM_STRIP; }

ht_status ht_nm_panels_scratch(const ht_nm_layout *l, size_t t, size_t *bytes) {
    size_t rows = ht_round_up(ht_min(t, choose_blocking(l).rows), HT_NM_STRIP), columns;
    if (!ht_mul(l->blocks, HT_NM_MAX_COLUMNS, &columns)) return HT_ERROR_OVERFLOW;
    if (!ht_add(columns, output_capacity(l), bytes) || !ht_mul(*bytes, rows * sizeof(float), bytes))
        return HT_ERROR_OVERFLOW;
    return HT_OK;
}

// A product as the loops below see it: some rows of X at a time.
typedef struct job {
    const ht_nm_task *task;
    const ht_nm_vectors *vectors;
    const ht_nm_layout *l;
    size_t code;
    size_t t, rows;        // the rows of X in work
    float *x;              // scratch: X as the kernels want it
    float *sums;           // scratch
} job;

// X from one row and column on.
static const float *x_at(const job *j, size_t t, size_t column) {
    bool by_rows = j->task->x_order == HT_ORDER_ROWS;
    size_t line = by_rows ? t : column, place = by_rows ? column : t;
    return (const float *)((const char *)j->task->x + line * j->task->x_stride) + place;
}

// Y from one row and column on.
static ht_nm_target target_at(const job *j, size_t t, size_t o) {
    const ht_nm_task *task = j->task;
    const ht_epilogue *e = &task->epilogue;
    bool by_rows = task->y_order == HT_ORDER_ROWS;
    size_t line = by_rows ? t : o, offset = (by_rows ? o : t) * ht_dtype_size(task->y_dtype);
    return (ht_nm_target){
        .y = (char *)task->y + line * task->y_stride + offset,
        .y_stride = task->y_stride,
        .dtype = task->y_dtype,
        .residual = e->residual ? (const char *)e->residual + line * e->residual_stride + offset : NULL,
        .residual_stride = e->residual_stride,
        .bias = e->bias ? e->bias + o : NULL,
        .epilogue = e,
    };
}

// Where block b begins in an X panel, in columns.
static size_t block_start(const job *j, size_t b) { return b ? b * ht_nm_panel_columns(j->l, 0) : 0; }

static size_t padded_columns(const job *j) {
    size_t last = j->l->blocks - 1;
    return block_start(j, last) + ht_nm_panel_columns(j->l, last);
}

// MARK: panels

// One panel of the rows in work.
typedef struct panel {
    const ht_nm_panel_shape *shape;
    size_t row, rows;      // of the rows in work
} panel;

static const ht_nm_panel_shape *shapes_of(const ht_nm_vectors *v, const ht_nm_layout *l) {
    return l->index_share == 1 ? v->shapes : v->shared[l->index_share / 4];
}

// The widest shape in which the remaining rows leave less than a narrowest panel idle: two panels of half the width
// take longer than one.
static const ht_nm_panel_shape *choose_shape(const job *j, size_t remaining) {
    const ht_nm_panel_shape *shapes = shapes_of(j->vectors, j->l), *narrowest = &shapes[j->vectors->shape_count - 1];
    for (const ht_nm_panel_shape *s = shapes; s < narrowest; s++)
        if (s->kernel[j->code] && s->width < remaining + narrowest->width) return s;
    return narrowest;
}

static void pack_panel(const job *j, const panel *p) {
    for (size_t b = 0; b < j->l->blocks; b++) {
        const float *from = x_at(j, j->t + p->row, b * j->l->block_columns);
        float *to = j->x + p->row * padded_columns(j) + block_start(j, b) * p->shape->width;
        j->vectors->pack[j->task->x_order](from, j->task->x_stride, p->rows, ht_nm_block_width(j->l, b),
                                           ht_nm_panel_columns(j->l, b), p->shape->width, to);
    }
}

// Adds block b to the sums of columns o ..< end of Y, whose sums begin at column `base`.
static void add_block(const job *j, const panel *p, size_t b, size_t base, size_t o, size_t end) {
    size_t width = p->shape->width, quad = o / HT_NM_QUAD;
    ht_nm_panel_args args = {
        .values = ht_nm_values(j->l, j->task->packed, b, quad),
        .indices = ht_nm_indices(j->l, j->task->packed, b, quad),
        .quads = ht_ceil_div(end - o, HT_NM_QUAD),
        .slots = ht_nm_block_slots(j->l, b),
        .unit_slots = j->l->unit_slots,
        .panel = j->x + p->row * padded_columns(j) + block_start(j, b) * width,
        .sums = j->sums + p->row * output_capacity(j->l) + (o - base) * width,
        .first = b == 0,
    };
    p->shape->kernel[j->code](&args);
}

// The last block, strip by strip, each stored while its sums are in L1.
static void finish(const job *j, const panel *p, size_t base, size_t end) {
    for (size_t o = base; o < end; o += HT_NM_STRIP) {
        size_t stop = ht_min(end, o + HT_NM_STRIP);
        add_block(j, p, j->l->blocks - 1, base, o, stop);
        const ht_nm_target target = target_at(j, j->t + p->row, o);
        j->vectors->store[j->task->y_order](j->sums + p->row * output_capacity(j->l) + (o - base) * p->shape->width,
                                            p->shape->width, p->rows, stop - o, &target);
    }
}

static void run_panels(const job *j) {
    panel panels[most_rows / 8];
    size_t count = 0;
    for (size_t row = 0; row < j->rows; row += panels[count++].shape->width) {
        const ht_nm_panel_shape *shape = choose_shape(j, j->rows - row);
        panels[count] = (panel){shape, row, ht_min(shape->width, j->rows - row)};
        pack_panel(j, &panels[count]);
    }
    size_t outputs = choose_blocking(j->l).outputs;
    for (size_t o = j->task->o_begin; o < j->task->o_end; o += outputs) {
        size_t end = ht_min(j->task->o_end, o + outputs);
        for (size_t b = 0; b + 1 < j->l->blocks; b++)
            for (size_t i = 0; i < count; i++) add_block(j, &panels[i], b, o, o, end);
        for (size_t i = 0; i < count; i++) finish(j, &panels[i], o, end);
    }
}

// MARK: strips

// Copies a block of a row of X.
static void copy_block(const job *j, size_t t, size_t b, float *to) {
    size_t width = ht_nm_block_width(j->l, b);
    const float *from = x_at(j, t, b * j->l->block_columns);
    if (j->task->x_order == HT_ORDER_ROWS)
        memcpy(to, from, width * sizeof *to);
    else
        for (size_t k = 0; k < width; k++) to[k] = *(const float *)((const char *)from + k * j->task->x_stride);
}

// Copies the rows of X, each block's columns zero-padded, rows behind the last all zero.
static void copy_rows(const job *j, size_t padded_rows) {
    size_t stride = padded_columns(j);
    memset(j->x, 0, padded_rows * stride * sizeof *j->x);
    for (size_t b = 0; b < j->l->blocks; b++)
        for (size_t r = 0; r < j->rows; r++) copy_block(j, j->t + r, b, j->x + r * stride + block_start(j, b));
}

static void add_block_strips(const job *j, size_t b, size_t o, size_t end, size_t row, size_t log2_rows) {
    ht_nm_strip_args args = {
        .values = ht_nm_values(j->l, j->task->packed, b, o / HT_NM_QUAD),
        .indices = ht_nm_indices(j->l, j->task->packed, b, o / HT_NM_QUAD),
        .quads = ht_ceil_div(end - o, HT_NM_QUAD),
        .slots = ht_nm_block_slots(j->l, b),
        .unit_slots = j->l->unit_slots,
        .x = j->x + row * padded_columns(j) + block_start(j, b),
        .x_stride = padded_columns(j),
        .sums = j->sums,
        .first = b == 0,
    };
    j->vectors->strips[log2_rows][j->code](&args);
}

// Stores sums[row][16] of up to 16 rows and columns of Y from row t and column o on.
static void store_strip(const job *j, const float *sums, size_t t, size_t rows, size_t o, size_t columns) {
    const ht_nm_target target = target_at(j, t, o);
    if (j->task->y_order == HT_ORDER_ROWS) {
        j->vectors->store_rows(sums, rows, columns, &target);
        return;
    }
    _Alignas(HT_ALIGNMENT) float turned[HT_NM_STRIP * HT_NM_STRIP];
    j->vectors->pack[HT_ORDER_ROWS](sums, HT_NM_STRIP * sizeof *sums, rows, HT_NM_STRIP, HT_NM_STRIP, HT_NM_STRIP,
                                    turned);
    j->vectors->store[HT_ORDER_FEATURES](turned, HT_NM_STRIP, rows, columns, &target);
}

// Up to HT_NM_STRIP_ROWS rows of X from `row` on, for all columns of Y.
static void run_strip_pass(const job *j, size_t row, size_t rows) {
    size_t log2_rows = rows > 4 ? 3 : rows > 2 ? 2 : rows > 1 ? 1 : 0, pass_rows = (size_t)1 << log2_rows;
    size_t outputs = output_capacity(j->l) * HT_NM_STRIP / pass_rows / HT_NM_STRIP * HT_NM_STRIP;
    for (size_t o = j->task->o_begin; o < j->task->o_end; o += outputs) {
        size_t end = ht_min(j->task->o_end, o + outputs);
        for (size_t b = 0; b < j->l->blocks; b++) add_block_strips(j, b, o, end, row, log2_rows);
        for (size_t s = o; s < end; s += HT_NM_STRIP)
            store_strip(j, j->sums + (s - o) * pass_rows, j->t + row, rows, s, ht_min(HT_NM_STRIP, end - s));
    }
}

static void run_strips(const job *j) {
    copy_rows(j, ht_round_up(j->rows, HT_NM_STRIP_ROWS));
    for (size_t row = 0; row < j->rows; row += HT_NM_STRIP_ROWS)
        run_strip_pass(j, row, ht_min(HT_NM_STRIP_ROWS, j->rows - row));
}

// MARK: both

// Without columns there is nothing to add up: Y is the epilogue of zero.
static void store_empty(const ht_nm_vectors *v, const ht_nm_task *task) {
    const job j = {.task = task, .vectors = v};
    _Alignas(HT_ALIGNMENT) static const float zeros[HT_NM_STRIP * HT_NM_STRIP];
    for (size_t t = task->t_begin; t < task->t_end; t += HT_NM_STRIP)
        for (size_t o = task->o_begin; o < task->o_end; o += HT_NM_STRIP)
            store_strip(&j, zeros, t, ht_min(HT_NM_STRIP, task->t_end - t), o, ht_min(HT_NM_STRIP, task->o_end - o));
}

// What the loops above know.
static bool is_known(const ht_nm_vectors *v, const ht_nm_task *task) {
    const ht_nm_layout *l = task->layout;
    return l->dtype == HT_DTYPE_F32 && shapes_of(v, l) && shapes_of(v, l)[v->shape_count - 1].kernel[l->code];
}

void ht_nm_panels_run(const ht_nm_vectors *v, const ht_nm_task *task) {
    const ht_nm_layout *l = task->layout;
    if (!is_known(v, task)) {
        ht_nm_gemm_f32_ref(task);
        return;
    }
    if (l->blocks == 0) {
        store_empty(v, task);
        return;
    }
    job j = {.task = task, .vectors = v, .l = l, .code = l->code};
    for (j.t = task->t_begin; j.t < task->t_end; j.t += j.rows) {
        j.rows = ht_min(choose_blocking(l).rows, task->t_end - j.t);
        j.x = task->scratch;
        j.sums = j.x + ht_round_up(j.rows, HT_NM_STRIP) * padded_columns(&j);
        if (j.rows <= v->strip_rows[j.code] && l->index_share == 1)
            run_strips(&j);
        else
            run_panels(&j);
    }
}
