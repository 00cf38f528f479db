// SPDX-License-Identifier: Apache-2.0
// The sampled weight gradient's public face: checks the arguments, picks the row of the table, splits the rows of W
// over threads; and how columns and samples are cut.
#include "gradient.h"

#include "core/threads.h"
#include "halftone/nm_gradient.h"

const ht_entry ht_nm_sampled_gradient_f32_table[] = {
#if defined(__x86_64__)
    {"nm_sampled_gradient_f32", HT_ISA_AVX512, (ht_fn)ht_nm_sampled_gradient_f32_avx512},
    {"nm_sampled_gradient_f32", HT_ISA_AVX2, (ht_fn)ht_nm_sampled_gradient_f32_avx2},
#elif defined(__aarch64__)
    {"nm_sampled_gradient_f32", HT_ISA_NEON, (ht_fn)ht_nm_sampled_gradient_f32_neon},
#endif
    {"nm_sampled_gradient_f32", HT_ISA_REF, (ht_fn)ht_nm_sampled_gradient_f32_ref},
    {0},
};

// MARK: tiles

// A tile has this many columns, or more where that gives a kernel too few entries.
enum { least_columns = 64, most_columns = 256, wanted_entries = 8 };

// Windows of a power of two columns begin at a multiple of them.
static bool has_windows(const ht_nm_layout *l) { return l->code != HT_NM_CODE_8; }

static size_t tile_columns(const ht_nm_layout *l) {
    size_t columns = ht_min(ht_max(least_columns, wanted_entries * l->m / l->n), most_columns);
    size_t unit = has_windows(l) ? least_columns : l->m;
    return ht_min(columns / unit * unit, l->block_columns);
}

static size_t reach_of(const ht_nm_layout *l, size_t least) {
    size_t reach = least;
    while (reach < (has_windows(l) ? l->window : l->m)) reach *= 2;
    return reach;
}

static void set_entry(const ht_nm_layout *l, ht_nm_tile *tile, size_t group, size_t slot) {
    size_t window = l->window_slots ? slot / l->window_slots * l->window : 0;
    size_t base = has_windows(l) ? window / tile->reach * tile->reach : group;
    size_t e = tile->entries++;
    tile->base[e] = base - tile->column;
    tile->unit[e] = slot / l->unit_slots;
    tile->right[e] = (uint32_t)(slot % l->unit_slots * l->index_bits);
    tile->offset[e] = (uint32_t)(window - base);
}

bool ht_nm_next_tile(const ht_nm_layout *l, size_t least, ht_nm_tile *tile) {
    ht_nm_tile next = {.block = tile->block, .column = tile->column + tile->columns, .reach = reach_of(l, least)};
    next.entry = tile->entry + tile->entries;
    if (next.block < l->blocks && next.column >= ht_nm_block_width(l, next.block)) next.block++, next.column = 0;
    if (next.block >= l->blocks) return false;
    next.columns = ht_min(tile_columns(l), ht_nm_block_width(l, next.block) - next.column);
    for (size_t c = 0; c < next.columns; c += l->m)
        for (size_t i = 0; i < ht_min(l->n, next.columns - c); i++)
            set_entry(l, &next, next.column + c, ht_nm_group_slot(l, next.column + c) + i);
    *tile = next;
    return true;
}

// MARK: samples

ht_nm_parts ht_nm_cut_samples(const ht_nm_layout *l, size_t t) {
    size_t fit = HT_NM_TILE_FLOATS / ht_max(least_columns, ht_round_up(tile_columns(l), HT_NM_STRIP)) / 2;
    ht_nm_parts parts = {.pairs = HT_NM_PAIRS, .pieces = 1, .length = ht_ceil_div(t, HT_NM_CHAINS)};
    while (parts.pairs > 1 && parts.pairs * parts.length > fit) parts.pairs /= 2;
    if (parts.length > fit) parts.pieces = ht_ceil_div(parts.length, fit);
    parts.samples = ht_ceil_div(parts.length, parts.pieces);
    parts.pieces = parts.length ? ht_ceil_div(parts.length, parts.samples) : 1;
    parts.count = HT_NM_PAIRS / parts.pairs * parts.pieces;
    return parts;
}

ht_nm_part ht_nm_part_at(const ht_nm_parts *parts, size_t i) {
    size_t piece = i % parts->pieces, sample = piece * parts->samples;
    return (ht_nm_part){.pair = i / parts->pieces * parts->pairs,
                        .pairs = parts->pairs,
                        .sample = sample,
                        .samples = ht_min(parts->samples, parts->length - sample),
                        .first = piece == 0,
                        .last = piece + 1 == parts->pieces};
}

// MARK: the call

typedef struct split {
    ht_nm_gradient_task whole;
    const ht_nm_gradient_calls *calls;
    size_t pieces;
} split;

static void sum_piece(void *context, size_t piece) {
    const split *s = context;
    ht_nm_gradient_task task = s->whole;
    size_t strips = ht_ceil_div(task.layout->rows, HT_NM_STRIP);
    task.o_begin = strips * piece / s->pieces * HT_NM_STRIP;
    task.o_end = ht_min(task.layout->rows, strips * (piece + 1) / s->pieces * HT_NM_STRIP);
    task.scratch = (ht_nm_gradient_scratch *)task.scratch + piece;
    s->calls->sum(&task);
}

static ht_status run(const ht_nm_gradient_task *task, const ht_nm_gradient_calls *calls, int threads) {
    split s = {.whole = *task, .calls = calls};
    size_t bytes;
    s.pieces = ht_min((size_t)threads, ht_ceil_div(task->layout->rows, HT_NM_STRIP));
    if (!ht_mul(s.pieces, sizeof(ht_nm_gradient_scratch), &bytes)) return HT_ERROR_OVERFLOW;
    s.whole.scratch = ht_allocate(bytes);
    if (!s.whole.scratch) return HT_ERROR_MEMORY;
    ht_parallel(sum_piece, &s, s.pieces, threads);
    ht_free(s.whole.scratch);
    return HT_OK;
}

typedef struct transposition {
    const ht_nm_gradient_calls *calls;
    const float *from;
    size_t from_stride, features, samples;
    float *to;
} transposition;

enum { features_at_once = 64 };

static void transpose_piece(void *context, size_t piece) {
    const transposition *a = context;
    size_t first = piece * features_at_once;
    a->calls->transpose((const float *)((const char *)a->from + first * a->from_stride), a->from_stride,
                        ht_min(features_at_once, a->features - first), a->samples, a->to + first,
                        a->features * sizeof(float));
}

static void transpose(transposition a, int threads) {
    ht_parallel(transpose_piece, &a, ht_ceil_div(a.features, features_at_once), threads);
}

// Kernels want the values of a sample side by side.
static ht_status run_features(const ht_nm_gradient_task *task, const ht_nm_gradient_calls *calls, int threads) {
    const ht_nm_layout *l = task->layout;
    size_t dy_floats = task->t * l->rows, x_floats = task->t * l->columns, floats, bytes;
    if (!ht_add(dy_floats, x_floats, &floats) || !ht_mul(floats, sizeof(float), &bytes)) return HT_ERROR_OVERFLOW;
    float *dy = ht_allocate(bytes);
    if (!dy) return HT_ERROR_MEMORY;
    float *x = dy + dy_floats;
    transpose((transposition){calls, task->dy, task->dy_stride, l->rows, task->t, dy}, threads);
    transpose((transposition){calls, task->x, task->x_stride, l->columns, task->t, x}, threads);
    ht_nm_gradient_task by_rows = *task;
    by_rows.order = HT_ORDER_ROWS;
    by_rows.dy = dy;
    by_rows.dy_stride = l->rows * sizeof(float);
    by_rows.x = x;
    by_rows.x_stride = l->columns * sizeof(float);
    ht_status status = run(&by_rows, calls, threads);
    ht_free(dy);
    return status;
}

ht_status ht_nm_sampled_gradient_f32(size_t t, size_t o, size_t k, const float *dy, size_t dy_stride, const float *x,
                                     size_t x_stride, const void *packed, size_t packed_size, float *gradient,
                                     size_t gradient_stride, const ht_options *options) {
    static const ht_options defaults;
    const ht_options *opt = options ? options : &defaults;
    const bool by_rows = opt->x_order == HT_ORDER_ROWS;
    const ht_entry *entry;
    ht_nm_layout l;
    ht_nm_gradient_task task = {.layout = &l,
                                .packed = packed,
                                .t = t,
                                .dy = dy,
                                .dy_stride = dy_stride,
                                .x = x,
                                .x_stride = x_stride,
                                .order = opt->x_order,
                                .gradient = gradient,
                                .gradient_stride = gradient_stride};
    if (opt->threads < 0) return HT_ERROR_THREADS;
    if ((unsigned)opt->x_order > HT_ORDER_FEATURES) return HT_ERROR_STRIDE;
    ht_status status = ht_pick(ht_nm_sampled_gradient_f32_table, opt->isa, &entry);
    if (!status) status = ht_nm_layout_open_product(packed, packed_size, &l);
    if (!status && (l.rows != o || l.columns != k)) status = HT_ERROR_BLOB_SHAPE;
    if (!status) status = ht_check_matrix(dy, by_rows ? t : o, by_rows ? o : t, sizeof *dy, &task.dy_stride);
    if (!status) status = ht_check_matrix(x, by_rows ? t : k, by_rows ? k : t, sizeof *x, &task.x_stride);
    if (!status) status = ht_check_matrix(gradient, o, ht_nm_entries(&l), sizeof *gradient, &task.gradient_stride);
    if (status || o == 0 || k == 0) return status;
    const ht_nm_gradient_calls *calls = ((ht_nm_gradient_kernel *)entry->kernel)();
    const int threads = ht_resolve_threads(opt->threads);
    return by_rows || !calls->transpose ? run(&task, calls, threads) : run_features(&task, calls, threads);
}
