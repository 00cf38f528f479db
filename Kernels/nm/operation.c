// SPDX-License-Identifier: Apache-2.0
#include "operation.h"

#include "bf16.h"
#include "core/operands.h"
#include "core/simd.h"
#include "core/threads.h"
#include "i8.h"
#include "panels.h"

const ht_entry ht_nm_gemm_f32_table[] = {
#if defined(__x86_64__)
    {"nm_gemm_f32", HT_ISA_AVX512, (ht_fn)ht_nm_gemm_f32_avx512},
    {"nm_gemm_f32", HT_ISA_AVX2, (ht_fn)ht_nm_gemm_f32_avx2},
#elif defined(__aarch64__)
    {"nm_gemm_f32", HT_ISA_NEON, (ht_fn)ht_nm_gemm_f32_neon},
#endif
    {"nm_gemm_f32", HT_ISA_REF, (ht_fn)ht_nm_gemm_f32_ref},
    {0},
};

const ht_entry ht_nm_gemm_bf16_table[] = {
#if defined(__x86_64__)
    {"nm_gemm_bf16", HT_ISA_AVX512_BF16, (ht_fn)ht_nm_gemm_bf16_avx512bf16},
    {"nm_gemm_bf16", HT_ISA_AVX512, (ht_fn)ht_nm_gemm_bf16_avx512},
    {"nm_gemm_bf16", HT_ISA_AVX2, (ht_fn)ht_nm_gemm_bf16_avx2},
#elif defined(__aarch64__)
    {"nm_gemm_bf16", HT_ISA_NEON_BF16, (ht_fn)ht_nm_gemm_bf16_neonbf16},
    {"nm_gemm_bf16", HT_ISA_NEON, (ht_fn)ht_nm_gemm_bf16_neon},
#endif
    {"nm_gemm_bf16", HT_ISA_REF, (ht_fn)ht_nm_gemm_bf16_ref},
    {0},
};

#define SET(dtype) (1u << HT_DTYPE_##dtype)

// What tells the products apart. Their first output type is the default one.
typedef struct product {
    const ht_entry *table;
    ht_dtype x, y;
    unsigned weights, outputs;  // sets of types
    ht_status (*scratch)(const ht_nm_layout *layout, size_t t, size_t *bytes);  // of one thread, for t rows
} product;

static const product f32_product = {
    ht_nm_gemm_f32_table, HT_DTYPE_F32, HT_DTYPE_F32, SET(F32) | SET(F16) | SET(BF16), SET(F32), ht_nm_panels_scratch};
static const product bf16_product = {ht_nm_gemm_bf16_table, HT_DTYPE_BF16,     HT_DTYPE_F32, SET(BF16),
                                     SET(F32) | SET(BF16),  ht_nm_bf16_scratch};
static const product u8_product = {
    ht_nm_gemm_i8_table, HT_DTYPE_U8, HT_DTYPE_I32, SET(I8), SET(I32) | SET(F32) | SET(BF16) | SET(U8) | SET(I8),
    ht_nm_i8_scratch};
static const product i8_product = {
    ht_nm_gemm_i8_table, HT_DTYPE_I8, HT_DTYPE_I32, SET(I8), SET(I32) | SET(F32) | SET(BF16) | SET(U8) | SET(I8),
    ht_nm_i8_scratch};

static const product *product_of(ht_dtype x) {
    switch (x) {
    case HT_DTYPE_F32: return &f32_product;
    case HT_DTYPE_BF16: return &bf16_product;
    case HT_DTYPE_U8: return &u8_product;
    case HT_DTYPE_I8: return &i8_product;
    default: return NULL;
    }
}

static bool contains(unsigned set, ht_dtype dtype) { return (unsigned)dtype < 32 && set >> dtype & 1; }

// MARK: checks

static ht_status check_options(const product *p, const ht_options *options, const ht_entry **entry, int *threads) {
    if (options->threads < 0) return HT_ERROR_THREADS;
    *threads = ht_resolve_threads(options->threads);
    return ht_pick(p->table, options->isa, entry);
}

ht_status ht_nm_choose_kernel(ht_dtype x, ht_dtype w, const ht_options *options, const ht_entry **entry, int *threads) {
    const product *p = product_of(x);
    return p && contains(p->weights, w) ? check_options(p, options, entry, threads) : HT_ERROR_BLOB_DTYPE;
}

static ht_status check_shape(const ht_nm_operation *op, const ht_nm_layout *l) {
    bool fits = l->rows == op->outputs / op->groups && l->of.tap_columns == op->inputs / op->groups;
    bool same_kernel = l->of.taps == op->taps && (l->of.taps == 1 || l->of.kernel_width == op->kernel_width);
    return (fits && same_kernel) || op->taps == 0 ? HT_OK : HT_ERROR_BLOB_SHAPE;
}

// A blob of weights for both directions serves one group. The layout becomes that of the direction.
static ht_status check_transposable(const ht_nm_operation *op, ht_nm_layout *l) {
    const ht_nm_layout both = *l;
    if (op->groups != 1) return HT_ERROR_BLOB_FOREIGN;
    ht_status status = ht_nm_is_forward(op->kind) ? HT_OK : ht_nm_turned_layout(&both, l);
    return status ? status : check_shape(op, l);
}

// The layout of the first group's blob; all groups have the same.
static ht_status check_weights(const product *p, const ht_nm_operation *op, ht_nm_layout *l) {
    size_t bytes;
    ht_status status = ht_nm_layout_open(op->packed, op->packed_size, l);
    if (status) return status;
    if (!contains(p->weights, l->dtype)) return HT_ERROR_BLOB_DTYPE;
    if (l->of.kind == HT_BLOB_NM_TRANSPOSABLE) return check_transposable(op, l);
    if (l->of.kind != op->kind || l->of.branches != op->branches) return HT_ERROR_BLOB_FOREIGN;
    status = check_shape(op, l);
    if (status) return status;
    if (!ht_mul(l->bytes, op->groups, &bytes) || bytes > op->packed_size) return HT_ERROR_BLOB_TRUNCATED;
    for (size_t group = 1; group < op->groups; group++)
        if (memcmp((const char *)op->packed + group * l->bytes, op->packed, sizeof(ht_blob_header)))
            return HT_ERROR_BLOB_CORRUPT;
    return HT_OK;
}

// What is only for binary products is an error here.
static ht_status check_epilogue(const product *p, const ht_nm_operation *op, ht_nm_task *task) {
    const ht_output_shape y = {op->t, op->outputs, task->y_dtype, task->y_order, task->o_begin, task->o_end};
    const ht_epilogue *e = &task->epilogue;
    if (!contains(p->outputs, task->y_dtype) || e->row_scale || e->threshold) return HT_ERROR_EPILOGUE;
    if (e->quantization && p->x != HT_DTYPE_U8 && p->x != HT_DTYPE_I8) return HT_ERROR_EPILOGUE;
    return ht_check_epilogue(&task->epilogue, p->x, &y);
}

// MARK: splitting

// A product cut into rows x columns pieces of Y.
typedef struct split {
    ht_nm_task whole;
    ht_nm_gemm_kernel *kernel;
    size_t row_pieces, column_pieces;
    size_t scratch_each;
} split;

static void run_piece(void *context, size_t piece) {
    const split *s = context;
    ht_nm_task task = s->whole;
    ht_cut(&task.t_begin, &task.t_end, piece / s->column_pieces, s->row_pieces, HT_NM_STRIP);
    ht_cut(&task.o_begin, &task.o_end, piece % s->column_pieces, s->column_pieces, HT_NM_STRIP);
    task.scratch = (char *)task.scratch + piece * s->scratch_each;
    s->kernel(&task);
}

// Rows first: each thread then packs only its own part of X. Columns when there are too few rows to keep all busy.
void ht_nm_choose_pieces(size_t rows, size_t columns, int threads, size_t *row_pieces, size_t *column_pieces) {
    size_t n = (size_t)threads;
    bool by_rows = rows >= n * HT_NM_PANEL_ROWS || rows >= columns;
    *row_pieces = by_rows ? ht_min(n, ht_ceil_div(rows, HT_NM_STRIP)) : 1;
    *column_pieces = by_rows ? 1 : ht_min(n, ht_ceil_div(columns, HT_NM_STRIP));
}

// MARK: scratch

// Kernels take a permuted X as it lies. But an image whose channels are planes, and one that is permuted and read once
// for each of several taps, are copied to rows of places first.
static bool needs_copy(const ht_nm_layout *l, bool is_image, ht_order x_order) {
    return is_image && (x_order == HT_ORDER_FEATURES || (l->permutation && (l->of.taps > 1 || l->taps)));
}

// What a call needs beside the kernels' scratch lies in front of that of the pieces.
typedef struct scratch {
    size_t each;         // of a piece
    size_t turned;       // weights of a transposable blob
    size_t panel_lines;  // of columns of a permuted X
    size_t copy;         // of X
    size_t bytes;        // of all
} scratch;

static ht_status plan_scratch(const product *p, const ht_nm_operation *op, const ht_nm_layout *l, size_t t,
                              size_t pieces, scratch *s) {
    *s = (scratch){0};
    ht_status status = p->scratch(l, t, &s->each);
    if (status) return status;
    ht_order x_order = op->options ? op->options->x_order : HT_ORDER_ROWS;
    if (needs_copy(l, op->image, x_order)) {
        if (!ht_mul(op->x_samples, l->of.tap_columns * ht_dtype_size(p->x), &s->copy) || s->copy > PTRDIFF_MAX)
            return HT_ERROR_OVERFLOW;
        s->copy = ht_round_up(s->copy, HT_ALIGNMENT);
    }
    if (l->permutation) s->panel_lines = ht_round_up(l->of.tap_columns * sizeof(uint32_t), HT_ALIGNMENT);
    if (l->is_turned) s->turned = ht_round_up(l->bytes, HT_ALIGNMENT);
    bool fits = ht_mul(s->each, pieces, &s->bytes) && ht_add(s->bytes, s->turned + s->panel_lines, &s->bytes) &&
                ht_add(s->bytes, s->copy, &s->bytes);
    return fits ? HT_OK : HT_ERROR_OVERFLOW;
}

ht_status ht_nm_scratch_size(const ht_nm_operation *op, size_t *size) {
    static const ht_options defaults;
    const product *p = product_of(op->x_dtype);
    ht_nm_layout l, second;
    const ht_entry *entry;
    int threads;
    scratch s;
    if (!size) return HT_ERROR_NULL;
    if (!p) return HT_ERROR_BLOB_DTYPE;
    ht_status status = check_options(p, op->options ? op->options : &defaults, &entry, &threads);
    if (!status) status = check_weights(p, op, &l);
    if (status) return status;
    // Y is cut along rows or along columns, see ht_nm_choose_pieces.
    size_t rows = ht_ceil_div(op->t, HT_NM_STRIP), columns = ht_ceil_div(l.rows, HT_NM_STRIP), bytes;
    const size_t pieces = ht_min((size_t)threads, ht_max(rows, columns));
    status = plan_scratch(p, op, &l, op->t, pieces, &s);
    bytes = s.bytes;
    if (!status && op->branches) status = ht_nm_second_layout(&l, op->packed, &second);
    if (!status && op->branches) status = plan_scratch(p, op, &second, op->t, pieces, &s);
    if (!status) *size = ht_max(bytes, s.bytes);
    return status;
}

// MARK: runs

// Copies X to rows of places, a tile at a time, so that planes are read in whole lines.
typedef struct copy_job {
    const ht_nm_task *task;
    size_t samples;
    char *to;
} copy_job;

enum { copied_samples = 64, copied_places = 16 };

static size_t column_at(const ht_nm_task *task, size_t place) {
    return task->permutation ? task->permutation[place] : place;
}

// Values of `size` bytes, a constant, that are `step` bytes apart from sample to sample.
HT_INLINE void copy_tile(const char *const *from, size_t step, size_t samples, size_t places, char *to,
                         size_t to_stride, const size_t size) {
    for (size_t sample = 0; sample < samples; sample++, to += to_stride)
        for (size_t place = 0; place < places; place++) memcpy(to + place * size, from[place] + sample * step, size);
}

HT_INLINE void copy_places(const char *const *from, size_t step, size_t samples, size_t places, char *to,
                           size_t to_stride, const size_t size) {
    if (places == copied_places)
        copy_tile(from, step, samples, copied_places, to, to_stride, size);
    else
        copy_tile(from, step, samples, places, to, to_stride, size);
}

static void copy_part(void *context, size_t part) {
    const copy_job *job = context;
    const ht_nm_task *task = job->task;
    const bool by_rows = task->x_order == HT_ORDER_ROWS;
    const size_t size = ht_dtype_size(task->x_dtype), count = task->layout->of.tap_columns, stride = count * size;
    const size_t step = by_rows ? task->x_stride : size, apart = by_rows ? size : task->x_stride;
    const size_t first = part * copied_samples, samples = ht_min(copied_samples, job->samples - first);
    for (size_t place = 0; place < count; place += copied_places) {
        const size_t places = ht_min(copied_places, count - place);
        const char *from[copied_places] = {NULL};
        for (size_t i = 0; i < places; i++)
            from[i] = (const char *)task->x + column_at(task, place + i) * apart + first * step;
        char *to = job->to + first * stride + place * size;
        switch (size) {
        case 4: copy_places(from, step, samples, places, to, stride, 4); break;
        case 2: copy_places(from, step, samples, places, to, stride, 2); break;
        default: copy_places(from, step, samples, places, to, stride, 1); break;
        }
    }
}

static void copy_x(ht_nm_task *task, size_t samples, char *to, int threads) {
    copy_job job = {task, samples, to};
    ht_each_row(copy_part, &job, ht_ceil_div(samples, copied_samples), threads);
    task->x = to;
    task->x_stride = task->layout->of.tap_columns * ht_dtype_size(task->x_dtype);
    task->x_order = HT_ORDER_ROWS;
    task->permutation = NULL;
}

// Takes the blob's permutation, if it is one, and finds the lines of the panel for it. Errors: BLOB_CORRUPT.
static ht_status take_permutation(ht_nm_task *task, uint32_t *panel_lines) {
    const ht_nm_layout *l = task->layout;
    const uint32_t none = UINT32_MAX;
    task->permutation = (const uint32_t *)((const char *)task->packed + l->permutation);
    task->panel_lines = panel_lines;
    for (size_t column = 0; column < l->of.tap_columns; column++) panel_lines[column] = none;
    for (size_t place = 0; place < l->of.tap_columns; place++) {
        uint32_t column = task->permutation[place];
        if (column >= l->of.tap_columns || panel_lines[column] != none) return HT_ERROR_BLOB_CORRUPT;
        panel_lines[column] = (uint32_t)ht_nm_panel_line(l, place);
    }
    return HT_OK;
}

// A single sample without gaps lies the same way in both orders, and kernels have less to do with rows.
static void prefer_rows(ht_nm_task *task) {
    const ht_epilogue *e = &task->epilogue;
    size_t y = ht_dtype_size(task->y_dtype), residual = ht_dtype_size(ht_residual_dtype(task->y_dtype));
    if (task->x_stride == ht_dtype_size(task->x_dtype)) task->x_order = HT_ORDER_ROWS;
    if (task->y_stride == y && (!e->residual || e->residual_stride == residual)) task->y_order = HT_ORDER_ROWS;
}

static const void *features_from(const void *data, ht_order order, size_t stride, size_t size, size_t feature) {
    return data ? (const char *)data + feature * (order == HT_ORDER_ROWS ? size : stride) : NULL;
}

// The part of a whole task that one group does.
static ht_nm_task task_of_group(const ht_nm_task *whole, size_t group) {
    ht_nm_task task = *whole;
    const ht_nm_layout *l = task.layout;
    size_t input = group * l->of.tap_columns, output = group * l->rows;
    ht_epilogue *e = &task.epilogue;
    if (group == 0) return task;
    task.packed = (const char *)task.packed + group * l->bytes;
    task.x = features_from(task.x, task.x_order, task.x_stride, ht_dtype_size(task.x_dtype), input);
    task.y = (void *)features_from(task.y, task.y_order, task.y_stride, ht_dtype_size(task.y_dtype), output);
    e->bias = e->bias ? e->bias + output : NULL;
    e->residual = features_from(e->residual, task.y_order, e->residual_stride,
                                ht_dtype_size(ht_residual_dtype(whole->y_dtype)), output);
    return task;
}

static ht_quantization quantization_of_group(const ht_quantization *whole, size_t output) {
    ht_quantization q = *whole;
    q.scale = q.scale ? q.scale + output : NULL;
    q.multiplier = q.multiplier ? q.multiplier + output : NULL;
    q.shift = q.shift ? q.shift + output : NULL;
    q.offset = q.offset ? q.offset + output : NULL;
    return q;
}

static ht_status run_group(const ht_nm_operation *op, split *s, const ht_nm_task *whole, size_t group,
                           const scratch *size, char *memory, int threads) {
    s->whole = task_of_group(whole, group);
    ht_nm_task *task = &s->whole;
    ht_quantization quantization;
    if (task->epilogue.quantization) {
        quantization = quantization_of_group(task->epilogue.quantization, group * task->layout->rows);
        task->epilogue.quantization = &quantization;
    }
    if (size->turned) {
        ht_nm_turn(task->layout, task->packed, memory, threads);
        task->packed = memory;
        memory += size->turned;
    }
    if (size->panel_lines) {
        ht_status status = take_permutation(task, (uint32_t *)memory);
        if (status) return status;
    }
    memory += size->panel_lines;
    if (needs_copy(task->layout, op->image, task->x_order)) copy_x(task, op->x_samples, memory, threads);
    task->image = op->image;
    prefer_rows(task);
    task->scratch = memory + size->copy;
    ht_parallel(run_piece, s, s->row_pieces * s->column_pieces, threads);
    return HT_OK;
}

// Runs one task, or one for each branch; all that can go wrong is found before the first of them writes to Y.
static ht_status run(const product *p, const ht_nm_operation *op, const ht_nm_task *tasks, const ht_entry *entry,
                     int threads) {
    split s = {.kernel = (ht_nm_gemm_kernel *)entry->kernel};
    const size_t count = op->branches ? 2 : 1, t = tasks->t_end - tasks->t_begin;
    ht_nm_choose_pieces(t, tasks->o_end - tasks->o_begin, threads, &s.row_pieces, &s.column_pieces);
    scratch size[2] = {0};
    void *memory, *own;
    ht_status status = HT_OK;
    for (size_t i = 0; i < count && !status; i++)
        status = plan_scratch(p, op, tasks[i].layout, t, s.row_pieces * s.column_pieces, &size[i]);
    if (!status) status = ht_take_scratch(op->options, ht_max(size[0].bytes, size[1].bytes), &memory, &own);
    if (status) return status;
    // A permutation that is none is found before a group in front of it has written its part of Y.
    for (size_t group = 1; size->panel_lines && group < op->groups && !status; group++) {
        ht_nm_task part = task_of_group(tasks, group);
        status = take_permutation(&part, memory);
    }
    for (size_t i = 0; i < count; i++) {
        s.scratch_each = size[i].each;
        for (size_t group = 0; group < op->groups && !status; group++)
            status = run_group(op, &s, &tasks[i], group, &size[i], memory, threads);
    }
    ht_free(own);
    return status;
}

// What the second branch does beside the first, and its layout. Errors too: BLOB_CORRUPT.
static ht_status second_task(const ht_nm_operation *op, const ht_nm_task *first, ht_nm_layout *layout,
                             ht_nm_task *task) {
    const ht_dtype x = first->x_dtype, y = first->y_dtype;
    size_t x_stride = first->x_stride, y_stride = first->y_stride;
    *task = *first;
    task->layout = layout;
    task->x = op->second_x;
    task->y = op->second_y;
    if (!ht_nm_is_forward(op->kind)) {
        task->epilogue.residual = op->y;
        task->epilogue.residual_stride = first->y_stride;
    }
    ht_status status = ht_nm_second_layout(first->layout, op->packed, layout);
    if (!status) status = ht_check_activations(task->x, op->x_samples, op->inputs, x, first->x_order, &x_stride);
    if (!status) status = ht_check_activations(task->y, op->t, op->outputs, y, first->y_order, &y_stride);
    return status;
}

// Columns of Y are counted in its only group.
static ht_status check_windows(const ht_nm_operation *op, ht_nm_task *task) {
    ht_status status = ht_check_window(task->t_begin, &task->t_end, op->t, 1);
    if (!status) status = ht_check_window(task->o_begin, &task->o_end, op->outputs, HT_NM_STRIP);
    if (status || op->groups == 1) return status;
    if (task->o_begin != 0 || task->o_end != op->outputs) return HT_ERROR_WINDOW;
    return HT_OK;
}

ht_status ht_nm_run(const ht_nm_operation *op) {
    static const ht_options defaults;
    const ht_options *options = op->options ? op->options : &defaults;
    const product *p = product_of(op->x_dtype);
    ht_nm_layout layout, second;
    const ht_entry *entry;
    int threads;
    ht_nm_task tasks[2];
    ht_nm_task task = {.layout = &layout,
                       .packed = op->packed,
                       .x = op->x,
                       .x_stride = op->x_stride,
                       .x_dtype = p->x,
                       .x_order = options->x_order,
                       .y = op->y,
                       .y_stride = op->y_stride,
                       .y_dtype = op->epilogue && op->epilogue->output ? op->epilogue->output : p->y,
                       .y_order = options->y_order,
                       .t_begin = options->row_begin,
                       .t_end = options->row_end,
                       .o_begin = options->column_begin,
                       .o_end = options->column_end};
    if (op->epilogue) task.epilogue = *op->epilogue;
    task.epilogue.output = task.y_dtype;

    ht_status status = check_options(p, options, &entry, &threads);
    if (!status) status = check_weights(p, op, &layout);
    if (!status) status = check_windows(op, &task);
    if (!status) status = ht_check_activations(op->x, op->x_samples, op->inputs, p->x, task.x_order, &task.x_stride);
    if (!status) status = check_epilogue(p, op, &task);
    if (!status) status = ht_check_activations(op->y, op->t, op->outputs, task.y_dtype, task.y_order, &task.y_stride);
    if (!status) task.o_end = ht_min(task.o_end, layout.rows);
    if (!status && op->branches) status = second_task(op, &task, &second, &tasks[1]);
    if (status || task.t_begin == task.t_end || task.o_begin == task.o_end) return status;
    tasks[0] = task;
    return run(p, op, tasks, entry, threads);
}
