// SPDX-License-Identifier: Apache-2.0
#include "panels.h"

#include <string.h>

#include "bf16.h"
#include "core/floats.h"
#include "core/flush.h"
#include "core/machine.h"
#include "grid.h"
#include "shared_taps.h"

// What is worked on at once: rows of X and columns of Y, whose sums (245 to 524 KB) stay in L2.
typedef struct blocking {
    size_t rows, outputs;
    bool one_pass;  // over X: it takes all columns of Y
} blocking;

enum {
    most_rows = 256,
    widest_panel = 64,
    most_rest = 4,  // rows of X that strips take from the weights of panels
    one_pass_outputs = 1024,
    wide_bytes = 16 << 10,          // of widened weights that strips take at once
    wide_strips = 4 * HT_NM_STRIP    // a multiple of the strips that kernels work on together
};

// More rows read the weights less often, more outputs read X less often. Weights that do not fit in L3 come from
// memory. In one pass a panel is packed just before it is used, into L1.
static blocking choose_blocking(const ht_nm_layout *l) {
    if ((double)l->product_bytes > ht_machine_resident(ht_this_machine())) return (blocking){most_rows, 240, false};
    if (l->rows <= one_pass_outputs) return (blocking){128, ht_round_up(l->rows, wide_strips), true};
    return (blocking){128, 480, false};
}

size_t ht_nm_outputs_at_once(const ht_nm_layout *l) { return choose_blocking(l).outputs; }

// Columns of Y that there is room for, as the last strip may reach behind the last.
static size_t output_capacity(const ht_nm_layout *l) { return choose_blocking(l).outputs + HT_NM_STRIP; }

// Weights that the kernels can't take as they are packed are turned into wide ones with unshared indices, a block of
// the columns of Y in work at a time.
static bool is_wide(const ht_nm_layout *l) { return l->dtype == HT_DTYPE_F32; }

static size_t wide_values_bytes(const ht_nm_layout *l) {
    return is_wide(l) ? 0 : output_capacity(l) * l->block_slots * sizeof(float);
}

// The kernels read up to 64 bytes behind the last index.
static size_t wide_indices_bytes(const ht_nm_layout *l) {
    if (l->index_share == 1) return 0;
    size_t bytes = output_capacity(l) * ht_nm_units(l, l->block_slots) * l->field_bytes;
    return ht_round_up(bytes, HT_ALIGNMENT) + HT_ALIGNMENT;
}

// The widest panel may have less rows of X than there has to be room for.
static size_t rows_in_work(const ht_nm_layout *l, size_t t) {
    const size_t rows = ht_round_up(ht_min(t, choose_blocking(l).rows), HT_NM_STRIP);
    return rows > widest_panel / 2 ? ht_round_up(rows, widest_panel) : rows;
}

ht_status ht_nm_panels_scratch(const ht_nm_layout *l, size_t t, size_t *bytes) {
    size_t columns;
    if (!ht_mul(l->blocks, HT_NM_MAX_COLUMNS, &columns)) return HT_ERROR_OVERFLOW;
    const size_t rows = rows_in_work(l, t) + most_rest;
    if (!ht_add(columns, output_capacity(l), bytes) || !ht_mul(*bytes, rows * sizeof(float), bytes) ||
        !ht_add(*bytes, wide_values_bytes(l) + wide_indices_bytes(l), bytes))
        return HT_ERROR_OVERFLOW;
    *bytes = ht_max(*bytes, ht_max(ht_nm_shared_taps_scratch(l), ht_nm_pixels_scratch(l)));
    return HT_OK;
}

// The rows of X in work, widened.
ht_status ht_nm_bf16_scratch(const ht_nm_layout *l, size_t t, size_t *bytes) {
    size_t wide_x;
    ht_status status = ht_nm_panels_scratch(l, t, bytes);
    if (!status && (!ht_mul(l->columns, rows_in_work(l, t) * sizeof(float), &wide_x) || !ht_add(*bytes, wide_x, bytes)))
        status = HT_ERROR_OVERFLOW;
#if defined(__x86_64__)
    size_t least;
    if (!status) status = ht_nm_bf16_panels_scratch(l, t, &least);
    if (!status && *bytes < least) *bytes = least;
#endif
    return status;
}

// A product as the loops below see it: some rows of X at a time.
typedef struct job {
    const ht_nm_task *task;
    const ht_nm_vectors *vectors;
    const ht_nm_layout *l;
    size_t code;
    size_t index_share;    // rows of a quad whose indices are one field for the kernels in use
    const ht_nm_panel_shape *shapes;
    size_t t, rows;        // the rows of X in work
    size_t rest;           // rows behind them that go as strips along with their panels
    ht_nm_task source;     // of which the kernels take X: the task, or an f32 matrix of the rows in work
    size_t source_t;       // its first row
    float *x;              // scratch: X as the kernels want it
    float *sums;           // scratch
    float *strip_x, *strip_sums;  // likewise, of strips
    float *values;         // scratch: widened weights
    uint8_t *indices;      // scratch: unshared indices
    float *wide_x;         // scratch: widened X
} job;

static bool is_bf16(const job *j) { return j->task->x_dtype == HT_DTYPE_BF16; }

static bool by_rows(const job *j) { return j->source.x_order == HT_ORDER_ROWS; }

// The columns from `column` on that lie side by side in X; the last block's padding behind all columns is none of them.
static ht_nm_segment segment_at(const job *j, size_t column, size_t end) {
    if (j->source.image) return ht_nm_segment_at(j->l, column, end);
    return (ht_nm_segment){0, column, end - column, end - column};
}

// Where rows of X begin at a segment.
static void find_lines(const job *j, size_t t, size_t rows, const ht_nm_segment *at, const void **lines) {
    ht_nm_x_lines(&j->source, t - j->source_t, rows, at, NULL, lines);
}

static void widen(const uint16_t *from, size_t count, float *to) {
    for (size_t i = 0; i < count; i++) to[i] = ht_bf16_to_f32(from[i]);
}

// One row of X with the columns as the weights count them.
static void widen_row(const job *j, size_t t, float *to) {
    const uint32_t *permutation = j->task->permutation;
    if (permutation) {
        const uint16_t *line = ht_nm_x_line(j->task, t);
        for (size_t place = 0; place < j->l->columns; place++)
            to[place] = line ? ht_bf16_to_f32(line[permutation[place]]) : 0;
        return;
    }
    for (size_t column = 0; column < j->l->columns;) {
        const ht_nm_segment at = segment_at(j, column, j->l->columns);
        const void *line;
        ht_nm_x_lines(j->task, t, 1, &at, NULL, &line);
        size_t present = line ? at.present : 0;
        widen(line, present, to + column);
        memset(to + column + present, 0, (at.columns - present) * sizeof *to);
        column += at.columns;
    }
}

// Makes the rows of X in work an f32 matrix in the order of X.
static void widen_x(job *j) {
    const ht_nm_task *task = j->task;
    bool rows_first = task->x_order == HT_ORDER_ROWS;
    size_t lines = rows_first ? j->rows : j->l->columns, length = rows_first ? j->l->columns : j->rows;
    j->source = *task;
    for (size_t line = 0; line < lines; line++)
        if (rows_first)
            widen_row(j, j->t + line, j->wide_x + line * length);
        else
            widen(ht_nm_x_element(task, j->t, line), length, j->wide_x + line * length);
    j->source.image = NULL;
    j->source.permutation = NULL;
    j->source.x = j->wide_x;
    j->source.x_dtype = HT_DTYPE_F32;
    j->source.x_stride = length * sizeof(float);
    j->source_t = j->t;
}

// The weights of some columns of Y in a block, as the kernels want them.
typedef struct weights {
    const float *values;
    const uint8_t *indices;
    size_t slots, o;  // the first column
} weights;

static weights weights_of(const job *j, size_t b, size_t o, size_t end) {
    const ht_nm_layout *l = j->l;
    size_t quad = o / HT_NM_QUAD, quads = ht_ceil_div(end - o, HT_NM_QUAD), slots = ht_nm_block_slots(l, b);
    const void *values = ht_nm_values(l, j->task->packed, b, quad);
    weights w = {values, ht_nm_indices(l, j->task->packed, b, quad), slots, o};
    if (!is_wide(l)) {
        j->vectors->widen[l->dtype == HT_DTYPE_BF16](values, quads * slots * HT_NM_QUAD, j->values);
        w.values = j->values;
    }
    if (l->index_share > j->index_share) {
        ht_nm_expand_indices(l, w.indices, b, quads, j->indices);
        w.indices = j->indices;
    }
    return w;
}

static const float *values_at(const weights *w, size_t o) { return w->values + (o - w->o) * w->slots; }

static const uint8_t *indices_at(const job *j, const weights *w, size_t o) {
    return w->indices + (o - w->o) / j->index_share * ht_nm_units(j->l, w->slots) * j->l->field_bytes;
}

// Panels, sums and weights take half of an L2 of 1 MB.
static bool streams(const ht_nm_task *task, const char *y) {
    const size_t outputs = task->o_end - task->o_begin, rows = task->t_end - task->t_begin;
    return outputs * sizeof(float) * rows > (size_t)512 << 10 && task->y_dtype == HT_DTYPE_F32 &&
           ht_is_aligned(y, HT_ALIGNMENT) && task->y_stride % HT_ALIGNMENT == 0;
}

// Y from one row and column on.
ht_nm_target ht_nm_target_at(const ht_nm_task *task, size_t t, size_t o) {
    const ht_epilogue *e = &task->epilogue;
    bool by_rows = task->y_order == HT_ORDER_ROWS;
    size_t line = by_rows ? t : o, offset = (by_rows ? o : t) * ht_dtype_size(task->y_dtype);
    char *y = (char *)task->y + line * task->y_stride + offset;
    return (ht_nm_target){
        .y = y,
        .y_stride = task->y_stride,
        .dtype = task->y_dtype,
        .streams = streams(task, y),
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
    size_t row, rows;  // of the rows in work
} panel;

static size_t rows_of(const ht_nm_panel_shape *s) { return s->width - s->idle; }

// The widest shape in which the remaining rows leave less than a narrowest panel idle: two panels of half the width
// take longer than one.
static const ht_nm_panel_shape *choose_shape(const job *j, size_t remaining) {
    const ht_nm_panel_shape *narrowest = &j->shapes[j->vectors->shape_count - 1];
    for (const ht_nm_panel_shape *s = j->shapes; s < narrowest; s++)
        if (s->kernel[j->code] && rows_of(s) < remaining + rows_of(narrowest)) return s;
    return narrowest;
}

// Rows of a permuted X are packed all blocks at once.
static bool scatters(const job *j) { return j->source.permutation && by_rows(j); }

static bool packs_late(const job *j) { return choose_blocking(j->l).one_pass && !scatters(j); }

// Panels that are packed late take the place of the first.
static float *panel_at(const job *j, const panel *p, size_t b) {
    if (packs_late(j)) return j->x;
    return j->x + p->row * padded_columns(j) + block_start(j, b) * p->shape->width;
}

static const float *features_at(const job *j, size_t t, size_t column) {
    return (const float *)((const char *)j->source.x + column * j->source.x_stride) + (t - j->source_t);
}

// Columns of the block from c on, counted from its first, and zeros behind its last.
static void pack_feature_columns(const job *j, const panel *p, size_t b, size_t c, size_t end, float *to) {
    const uint32_t *permutation = j->source.permutation;
    const size_t columns = ht_nm_block_width(j->l, b), from = ht_min(c, columns),
                 begin = b * j->l->block_columns + from;
    j->vectors->pack_features(features_at(j, j->t + p->row, permutation ? 0 : begin), j->source.x_stride,
                              permutation ? permutation + begin : NULL, p->rows, columns - from, end - c,
                              p->shape->width, to);
}

// Packs columns of the block, counted from its first, and zeros behind its last.
static void pack_columns(const job *j, const panel *p, size_t b, size_t c, size_t end) {
    const size_t width = p->shape->width, begin = b * j->l->block_columns, columns = ht_nm_block_width(j->l, b);
    float *to = panel_at(j, p, b) + c * width;
    if (!by_rows(j)) {
        pack_feature_columns(j, p, b, c, end, to);
        return;
    }
    const void *lines[widest_panel];
    while (c < end) {
        ht_nm_segment at = {.columns = end - c};
        if (c < columns) {
            at = segment_at(j, begin + c, begin + ht_min(columns, end));
            find_lines(j, j->t + p->row, p->rows, &at, lines);
            // What is behind the last column is zero like the padding of a tap.
            if (c + at.columns == columns) at.columns = end - c;
        }
        j->vectors->pack_lines(lines, at.present ? p->rows : 0, at.present, at.columns, width, to);
        c += at.columns;
        to += at.columns * width;
    }
}

static void pack_panel(const job *j, const panel *p) {
    if (scatters(j))
        ht_nm_pack_permuted(&j->source, j->t + p->row - j->source_t, p->rows, j->vectors->scatter_lines,
                            p->shape->width, panel_at(j, p, 0));
    else
        for (size_t b = 0; b < j->l->blocks; b++) pack_columns(j, p, b, 0, ht_nm_panel_columns(j->l, b));
}

// Of a feature-major X all panels get a few columns at a time, so that what lies side by side is read at once.
static void pack_panels(const job *j, const panel *panels, size_t count) {
    for (size_t i = 0; by_rows(j) && i < count; i++) pack_panel(j, &panels[i]);
    for (size_t b = 0; !by_rows(j) && b < j->l->blocks; b++)
        for (size_t c = 0; c < ht_nm_panel_columns(j->l, b); c += 16)
            for (size_t i = 0; i < count; i++) pack_columns(j, &panels[i], b, c, c + 16);
}

// Adds block b to the sums of columns o ..< end of Y. The sums and the weights begin at column w->o.
static void add_block(const job *j, const panel *p, size_t b, const weights *w, size_t o, size_t end) {
    size_t width = p->shape->width;
    ht_nm_panel_args args = {
        .values = values_at(w, o),
        .indices = indices_at(j, w, o),
        .quads = ht_ceil_div(end - o, HT_NM_QUAD),
        .slots = w->slots,
        .unit_slots = j->l->unit_slots,
        .panel = panel_at(j, p, b),
        .sums = j->sums + p->row * output_capacity(j->l) + (o - w->o) * width,
        .first = b == 0,
    };
    uint64_t mode = is_bf16(j) ? ht_flush_begin() : 0;
    p->shape->kernel[j->code](&args);
    if (is_bf16(j)) ht_flush_end(mode);
}

// The last block, a few strips at a time, each stored while its sums are in L1.
static void finish(const job *j, const panel *p, const weights *w, size_t end) {
    for (size_t o = w->o; o < end; o += HT_NM_FINISH) {
        size_t stop = ht_min(end, o + HT_NM_FINISH);
        add_block(j, p, j->l->blocks - 1, w, o, stop);
        const ht_nm_target target = ht_nm_target_at(j->task, j->t + p->row, o);
        j->vectors->store[j->task->y_order](j->sums + p->row * output_capacity(j->l) + (o - w->o) * p->shape->width,
                                            p->shape->width, p->rows, stop - o, &target);
    }
}

// There may be panel kernels for rows that share their indices; strip kernels know none.
static void use_panels_that_share(job *j) {
    const ht_nm_panel_shape *shared = j->l->index_share > 1 ? j->vectors->shared[j->l->index_share / 4] : NULL;
    j->shapes = shared ? shared : j->vectors->shapes;
    j->index_share = shared ? j->l->index_share : 1;
}

// MARK: strips

// Copies values to places from `place` on, of which 16 lie side by side every `distance`.
static void copy_run(const float *from, size_t count, size_t place, size_t distance, float *to) {
    for (size_t done = 0, each; done < count; done += each, place += each) {
        each = ht_min(count - done, 16 - place % 16);
        float *slot = to + place / 16 * distance + place % 16;
        if (each == 16)
            memcpy(slot, from + done, 16 * sizeof *to);
        else
            memcpy(slot, from + done, each * sizeof *to);
    }
}

// Copies the columns of a block of a row of X.
static void copy_row(const job *j, size_t t, size_t b, size_t distance, float *to) {
    const size_t begin = b * j->l->block_columns, end = begin + ht_nm_block_width(j->l, b);
    if (j->source.permutation) {
        const float *line = ht_nm_x_line(&j->source, t - j->source_t);
        for (size_t c = 0; line && c < end - begin; c++)
            to[c / 16 * distance + c % 16] = line[j->source.permutation[begin + c]];
        return;
    }
    for (size_t column = begin; column < end;) {
        const ht_nm_segment at = segment_at(j, column, end);
        const void *line;
        find_lines(j, t, 1, &at, &line);
        if (line) copy_run(line, at.present, column - begin, distance, to);
        column += at.columns;
    }
}

static void copy_features(const job *j, size_t t, size_t b, size_t distance, float *to) {
    const size_t begin = b * j->l->block_columns;
    for (size_t c = 0; c < ht_nm_block_width(j->l, b); c++)
        to[c / 16 * distance + c % 16] = *(const float *)ht_nm_x_element(&j->source, t - j->source_t, begin + c);
}

// Copies rows of X to [column / 16][row][16], so that a kernel finds all of a window at fixed distances. Each block's
// columns are padded with zeros, and so are the rows.
static void copy_rows(const job *j, size_t row, size_t rows, size_t padded_rows) {
    memset(j->strip_x, 0, padded_rows * padded_columns(j) * sizeof *j->strip_x);
    for (size_t b = 0; b < j->l->blocks; b++)
        for (size_t r = 0; r < rows; r++)
            (by_rows(j) ? copy_row : copy_features)(j, j->t + row + r, b, padded_rows * 16,
                                                    j->strip_x + block_start(j, b) * padded_rows + r * 16);
}

// `sums` are those of the first column of the weights.
static void add_strips(const job *j, size_t b, const weights *w, size_t end, size_t log2_rows, float *sums) {
    ht_nm_strip_args args = {
        .values = w->values,
        .indices = w->indices,
        .quads = ht_ceil_div(end - w->o, HT_NM_QUAD),
        .slots = w->slots,
        .unit_slots = j->l->unit_slots,
        .x = j->strip_x + (block_start(j, b) << log2_rows),
        .sums = sums,
        .first = b == 0,
    };
    uint64_t mode = is_bf16(j) ? ht_flush_begin() : 0;
    j->vectors->strips[log2_rows][j->code](&args);
    if (is_bf16(j)) ht_flush_end(mode);
}

// Columns of Y whose weights are taken at once: as many as there are, or so few that wide weights stay in L1.
static size_t strips_at_once(const job *j, size_t columns) {
    if (is_wide(j->l) && j->l->index_share == 1) return columns;
    size_t fit = wide_bytes / (j->l->block_slots * sizeof(float));
    return ht_min(output_capacity(j->l) / wide_strips, 1 + fit / wide_strips) * wide_strips;
}

static void add_block_strips(const job *j, size_t b, size_t o, size_t end, size_t log2_rows) {
    size_t each = strips_at_once(j, end - o);
    for (size_t from = o; from < end; from += each) {
        size_t stop = ht_min(end, from + each);
        const weights w = weights_of(j, b, from, stop);
        add_strips(j, b, &w, stop, log2_rows, j->strip_sums + ((from - o) << log2_rows));
    }
}

void ht_nm_store_strip(const ht_nm_vectors *v, const ht_nm_task *task, const float *sums, size_t t, size_t rows,
                       size_t o, size_t columns) {
    const ht_nm_target target = ht_nm_target_at(task, t, o);
    if (task->y_order == HT_ORDER_ROWS) {
        v->store_rows(sums, rows, columns, &target);
        return;
    }
    _Alignas(HT_ALIGNMENT) float turned[HT_NM_STRIP * HT_NM_STRIP];
    const void *lines[HT_NM_STRIP];
    for (size_t row = 0; row < rows; row++) lines[row] = sums + row * HT_NM_STRIP;
    v->pack_lines(lines, rows, HT_NM_STRIP, HT_NM_STRIP, HT_NM_STRIP, turned);
    v->store[HT_ORDER_FEATURES](turned, HT_NM_STRIP, rows, columns, &target);
}

// The kernels for so many rows, of those for 1, 2, 4 and 8.
static size_t log2_of_pass(size_t rows) { return rows > 4 ? 3 : rows > 2 ? 2 : rows > 1 ? 1 : 0; }

// Columns o ..< end of rows whose sums are complete.
static void store_strips(const job *j, size_t row, size_t rows, size_t o, size_t end) {
    for (size_t s = o; s < end; s += HT_NM_STRIP)
        ht_nm_store_strip(j->vectors, j->task, j->strip_sums + ((s - o) << log2_of_pass(rows)), j->t + row, rows, s,
                          ht_min(HT_NM_STRIP, end - s));
}

// Up to HT_NM_STRIP_ROWS rows of X from `row` on, for all columns of Y.
static void run_strip_pass(const job *j, size_t row, size_t rows) {
    size_t log2_rows = log2_of_pass(rows), pass_rows = (size_t)1 << log2_rows;
    copy_rows(j, row, rows, pass_rows);
    size_t outputs = output_capacity(j->l) * HT_NM_STRIP / pass_rows / HT_NM_STRIP * HT_NM_STRIP;
    for (size_t o = j->task->o_begin; o < j->task->o_end; o += outputs) {
        size_t end = ht_min(j->task->o_end, o + outputs);
        for (size_t b = 0; b < j->l->blocks; b++) add_block_strips(j, b, o, end, log2_rows);
        store_strips(j, row, rows, o, end);
    }
}

static void run_strips(job *j) {
    j->index_share = 1;
    j->strip_x = j->x;
    j->strip_sums = j->sums;
    for (size_t row = 0; row < j->rows; row += HT_NM_STRIP_ROWS)
        run_strip_pass(j, row, ht_min(HT_NM_STRIP_ROWS, j->rows - row));
}

// MARK: both

static void run_panels(job *j) {
    use_panels_that_share(j);
    panel panels[most_rows / 8];
    size_t count = 0;
    for (size_t row = 0; row < j->rows; row += rows_of(panels[count++].shape)) {
        const ht_nm_panel_shape *shape = choose_shape(j, j->rows - row);
        panels[count] = (panel){shape, row, ht_min(rows_of(shape), j->rows - row)};
    }
    const blocking blocks = choose_blocking(j->l);
    if (!packs_late(j)) pack_panels(j, panels, count);
    if (j->rest) copy_rows(j, j->rows, j->rest, (size_t)1 << log2_of_pass(j->rest));
    for (size_t o = j->task->o_begin; o < j->task->o_end; o += blocks.outputs) {
        size_t end = ht_min(j->task->o_end, o + blocks.outputs);
        for (size_t b = 0; b < j->l->blocks; b++) {
            const weights w = weights_of(j, b, o, end);
            for (size_t i = 0; i < count; i++) {
                if (packs_late(j)) pack_columns(j, &panels[i], b, 0, ht_nm_panel_columns(j->l, b));
                if (b + 1 < j->l->blocks)
                    add_block(j, &panels[i], b, &w, o, end);
                else
                    finish(j, &panels[i], &w, end);
            }
            if (j->rest) add_strips(j, b, &w, end, log2_of_pass(j->rest), j->strip_sums);
        }
        if (j->rest) store_strips(j, j->rows, j->rest, o, end);
    }
}

static bool takes_strips(const job *j, size_t rows) { return rows <= j->vectors->strip_rows[j->code]; }

// Without columns there is nothing to add up: Y is the epilogue of zero.
static void store_empty(const ht_nm_vectors *v, const ht_nm_task *task) {
    _Alignas(HT_ALIGNMENT) static const float zeros[HT_NM_STRIP * HT_NM_STRIP];
    for (size_t t = task->t_begin; t < task->t_end; t += HT_NM_STRIP)
        for (size_t o = task->o_begin; o < task->o_end; o += HT_NM_STRIP)
            ht_nm_store_strip(v, task, zeros, t, ht_min(HT_NM_STRIP, task->t_end - t), o,
                              ht_min(HT_NM_STRIP, task->o_end - o));
}

// What the loops above know.
static bool is_known(const ht_nm_vectors *v, const ht_nm_task *task) {
    return v->shapes[v->shape_count - 1].kernel[task->layout->code] != NULL;
}

// A few rows more than narrowest panels hold are left for strips: another panel would take longer.
static size_t rows_at_once(const job *j, size_t remaining) {
    size_t rows = ht_min(choose_blocking(j->l).rows, remaining);
    size_t few = rows % j->vectors->shapes[j->vectors->shape_count - 1].width;
    return few < rows && few <= j->vectors->strip_rest[j->code] ? rows - few : rows;
}

// Whether the last rows go as strips along with the panels before them, as long as the weights are at hand, which
// strips want with indices of their own.
static bool goes_along(const job *j, size_t rows) {
    return rows <= ht_min(j->vectors->strip_rest[j->code], most_rest) && j->l->index_share == 1 && !is_bf16(j);
}

// What run_panels and run_strips would do with some rows of X in work, so many times, and whether they read the weights
// for themselves.
static void schedule_rows(const job *j, ht_nm_schedule *s, size_t rows, size_t times, bool alone) {
    bool strips = takes_strips(j, rows);
    ht_nm_passes *passes = strips ? &s->strips : &s->panels;
    size_t pass = 0, reads = !alone ? 0 : strips ? ht_ceil_div(rows, HT_NM_STRIP_ROWS) * times : times;
    for (size_t row = 0; times && row < rows; row += pass) {
        pass = strips ? (size_t)1 << log2_of_pass(rows - row) : rows_of(choose_shape(j, rows - row));
        passes->rows += pass * times;
        passes->passes += times;
        s->panel = pass > s->panel ? pass : s->panel;
    }
    s->reads += reads;
    if (!is_wide(j->l) || j->l->index_share > (strips ? 1 : j->index_share)) s->prepared += reads;
}

static void schedule(job *j, ht_nm_schedule *s) {
    use_panels_that_share(j);
    s->rows = choose_blocking(j->l).rows;
    s->columns = choose_blocking(j->l).outputs;
    s->design = takes_strips(j, rows_at_once(j, s->t)) ? HT_NM_DESIGN_STRIPS : HT_NM_DESIGN_PANELS;
    const size_t most = s->rows, whole = rows_at_once(j, most), times = s->t < most ? 0 : (s->t - most) / whole + 1;
    schedule_rows(j, s, whole, times, true);
    for (size_t rest = s->t - times * whole, rows; rest; rest -= rows) {
        rows = rows_at_once(j, rest);
        schedule_rows(j, s, rows, 1, rest == s->t || !goes_along(j, rest));
    }
}

void ht_nm_panels_run(const ht_nm_vectors *v, const ht_nm_task *task) {
    const ht_nm_layout *l = task->layout;
    if (!is_known(v, task)) {
        (task->x_dtype == HT_DTYPE_BF16 ? ht_nm_gemm_bf16_ref : ht_nm_gemm_f32_ref)(task);
        return;
    }
    if (l->blocks == 0 && !task->schedule) {
        store_empty(v, task);
        return;
    }
    if (l->blocks && ht_nm_grid_run(v, task)) return;
    if (l->blocks && ht_nm_takes_pixels(v, task)) {
        ht_nm_pixels_run(v, task);
        return;
    }
    job j = {.task = task, .vectors = v, .l = l, .code = l->code, .source = *task, .x = task->scratch};
    if (task->schedule) schedule(&j, task->schedule);
    for (j.t = task->t_begin; j.t < task->t_end; j.t += j.rows + j.rest) {
        j.rows = rows_at_once(&j, task->t_end - j.t);
        const size_t behind = task->t_end - j.t - j.rows, rows = rows_in_work(l, j.rows);
        j.rest = !takes_strips(&j, j.rows) && goes_along(&j, behind) ? behind : 0;
        j.strip_x = j.x + rows * padded_columns(&j);
        j.sums = j.strip_x + most_rest * padded_columns(&j);
        j.strip_sums = j.sums + rows * output_capacity(l);
        j.values = j.strip_sums + most_rest * output_capacity(l);
        j.indices = (uint8_t *)j.values + wide_values_bytes(l);
        j.wide_x = (float *)(j.indices + wide_indices_bytes(l));
        if (is_bf16(&j)) widen_x(&j);
        if (takes_strips(&j, j.rows))
            run_strips(&j);
        else
            run_panels(&j);
    }
}
