// SPDX-License-Identifier: Apache-2.0
// Masks and packed weights of a training step: checks the arguments, and splits the work over threads.
#include "step.h"

#include <string.h>

#include "core/threads.h"
#include "halftone/training.h"
#include "masks/backward.h"
#include "masks/magnitude.h"
#include "masks/permuted.h"

const ht_entry ht_nm_step_pack_table[] = {
#if defined(__x86_64__)
    {"nm_step_pack", HT_ISA_AVX512, (ht_fn)ht_nm_step_pack_avx512},
#endif
    {"nm_step_pack", HT_ISA_REF, (ht_fn)ht_nm_step_pack_ref},
    {0},
};

const ht_nm_step_calls *ht_nm_step_pack_ref(void) { return NULL; }

ht_status ht_nm_pick_step_calls(ht_isa isa, const ht_nm_step_calls **calls) {
    const ht_entry *entry;
    ht_status status = ht_pick(ht_nm_step_pack_table, isa, &entry);
    if (!status) *calls = ((ht_nm_step_kernel *)entry->kernel)();
    return status;
}

// What a call is about.
typedef struct step_job {
    const ht_conv_shape *shape;  // null: W is a matrix
    ht_nm_pack_request asked[2];
    ht_nm_packing packing[2];
    bool is_wanted[2];           // [forward, backward]
    const float *w;
    size_t w_stride;
    uint8_t *mask;               // of the magnitudes
    size_t mask_stride;
    uint8_t *backward_mask;
    size_t backward_stride;
    ht_permuted places;          // of the backward mask
    ht_nm_mask_kernel *mask_forward;
    ht_backward_kernel *mask_backward;
    const ht_nm_step_calls *calls;
    ht_options options;          // of the steps
} step_job;

enum { FORWARD, BACKWARD };

static ht_status set_requests(step_job *job, size_t o, size_t k, size_t n, size_t m, const ht_nm_step *step) {
    const ht_dtype dtype = step->dtype ? step->dtype : HT_DTYPE_F32;
    if (dtype != HT_DTYPE_F32 && dtype != HT_DTYPE_BF16) return HT_ERROR_BLOB_DTYPE;
    job->places = (ht_permuted){1, o, k, n, m, step->permutation};
    if (!job->shape) {
        job->asked[FORWARD] = ht_nm_matrix_request(HT_BLOB_NM, o, k, n, m, dtype, NULL);
        job->asked[BACKWARD] = ht_nm_matrix_request(HT_BLOB_NM_BACKWARD, o, k, n, m, dtype, step->permutation);
        return HT_OK;
    }
    ht_status status = ht_nm_filters_request(HT_BLOB_NM, job->shape, n, m, dtype, NULL, &job->asked[FORWARD]);
    if (!status)
        status = ht_nm_filters_request(HT_BLOB_NM_BACKWARD, job->shape, n, m, dtype, step->permutation,
                                       &job->asked[BACKWARD]);
    return status ? status : ht_permuted_filters(job->shape, n, m, step->permutation, &job->places);
}

static ht_status check_options(step_job *job, const ht_options *options) {
    static const ht_options defaults;
    const ht_entry *entry;
    size_t shared_rows;
    if (!options) options = &defaults;
    job->options = (ht_options){.threads = options->threads, .isa = options->isa};
    if (options->threads < 0) return HT_ERROR_THREADS;
    if (ht_nm_shared_rows(options, &shared_rows) || shared_rows > 1 || options->shared_taps) return HT_ERROR_PATTERN;
    ht_status status = ht_nm_pick_step_calls(options->isa, &job->calls);
    if (!status) status = ht_pick(ht_bimask_backward_f32_table, options->isa, &entry);
    if (status) return status;
    job->mask_backward = (ht_backward_kernel *)entry->kernel;
    status = ht_pick(ht_nm_mask_table, options->isa, &entry);
    if (!status) job->mask_forward = (ht_nm_mask_kernel *)entry->kernel;
    return status;
}

// Lays a blob out, also one that is not wanted.
static ht_status check_blob(step_job *job, size_t way, void *packed, size_t size) {
    static char none[HT_ALIGNMENT] __attribute__((aligned(64)));
    ht_nm_packing *packing = &job->packing[way];
    job->is_wanted[way] = packed;
    *packing = (ht_nm_packing){.w = job->w,
                               .w_stride = job->w_stride,
                               .rounds = job->asked[way].of.dtype == HT_DTYPE_BF16,
                               .packed = packed ? packed : none,
                               .calls = job->calls};
    return ht_nm_pack_prepare(&job->asked[way], packing, packed ? size : SIZE_MAX, &job->options);
}

static ht_status check_operands(step_job *job, const ht_nm_step *step) {
    const ht_nm_pack_request *asked = job->asked;
    ht_status status = check_blob(job, FORWARD, step->forward, step->forward_size);
    if (!status) status = check_blob(job, BACKWARD, step->backward, step->backward_size);
    if (!status && step->mask)
        status = ht_check_matrix(step->mask, asked->rows, ht_ceil_div(asked->columns, 8), 1, &job->mask_stride);
    if (!status && step->backward) status = ht_nm_check_permutations(&asked[BACKWARD]);
    job->w_stride = job->packing[FORWARD].w_stride;
    return status;
}

// MARK: in one pass

// Columns of W, some whole blocks of the forward blob, are taken at once: masked, and packed forward, as the rows lie.
// What is kept of each block lies side by side in memory of the call's own, from where it is packed backward in the
// order of the permutation, block by block, each small enough for the L2 cache. So W is read once, and each line of the
// blobs is written once.
typedef struct stripes {
    const step_job *job;
    ht_nm_packing packing[2];  // of one group
    size_t rows;  // of the group
    size_t blocks, most;  // of the forward blob; most of a stripe
    size_t parts;  // each with memory of its own
    char *memory;
    size_t part_bytes;
} stripes;

enum {
    stripe_columns = 1024,  // a page of 4 KB: of fewer columns more than these would be fetched by the cores
    kept_bytes = 16 << 20,  // of a stripe, so that it stays in L3
    blocks_ahead = 3  // of the quads at hand
};

// Of what is kept of block b of a stripe, and of its bits.
static float *kept_line(const stripes *s, char *memory, size_t b, size_t row) {
    return (float *)(void *)memory + (b * s->rows + row) * s->packing[FORWARD].layout.block_slots;
}

static uint8_t *bits_line(const stripes *s, char *memory, size_t b, size_t row) {
    const ht_nm_layout *l = &s->packing[FORWARD].layout;
    return (uint8_t *)kept_line(s, memory, s->most, 0) + HT_NM_KEPT_SLACK * sizeof(float) +
           (b * s->rows + row) * (l->block_columns / 8);
}

static const float *weights_at(const stripes *s, size_t row, size_t column) {
    const ht_nm_packing *p = &s->packing[FORWARD];
    return (const float *)(const void *)((const char *)p->w + (p->first_row + row) * p->w_stride) + column;
}

static void prefetch(const void *from, size_t bytes) {
    for (size_t i = 0; i < bytes; i += HT_ALIGNMENT) __builtin_prefetch((const char *)from + i, 0, 3);
}

// Makes the mask of a block of a row.
static void mask_row(const stripes *s, size_t row, size_t column, uint8_t *bits) {
    const step_job *job = s->job;
    const size_t width = s->packing[FORWARD].layout.block_columns;
    job->mask_forward(weights_at(s, row, column), width, job->places.n, job->places.m, NULL, bits);
    if (job->mask)
        memcpy(job->mask + (s->packing[FORWARD].first_row + row) * job->mask_stride + column / 8, bits, width / 8);
}

// Moves on by some blocks of a stripe, quad by quad.
static void move_on(size_t *row, size_t *b, size_t by, size_t blocks) {
    for (*b += by; *b >= blocks; *b -= blocks) *row += HT_NM_QUAD;
}

// Rows behind the last are those of the last, kept nowhere.
static void pack_quad(const stripes *s, size_t row, size_t block, size_t b, size_t blocks, char *memory) {
    const ht_nm_layout *l = &s->packing[FORWARD].layout;
    const size_t column = (block + b) * l->block_columns;
    const bool is_wanted = s->job->is_wanted[FORWARD] && row + HT_NM_QUAD <= s->rows;
    ht_nm_row_lines lines = {.is_full = true,
                             .values = (void *)ht_nm_values(l, s->packing->packed, block + b, row / HT_NM_QUAD),
                             .fields = (uint8_t *)ht_nm_indices(l, s->packing->packed, block + b, row / HT_NM_QUAD),
                             .streams = ht_nm_streams(l)};
    size_t next_row = row, next_b = b;
    move_on(&next_row, &next_b, blocks_ahead, blocks);
    for (size_t r = 0; r < HT_NM_QUAD; r++) {
        const size_t at = ht_min(row + r, s->rows - 1);
        uint8_t *bits = bits_line(s, memory, b, at);
        // A few lines at a time, or loads would wait; hardware prefetch alone ends with each page.
        if (next_row + r < s->rows)
            prefetch(weights_at(s, next_row + r, (block + next_b) * l->block_columns),
                     l->block_columns * sizeof(float));
        if (at == row + r) mask_row(s, at, column, bits);
        lines.w[r] = weights_at(s, at, column);
        lines.bits[r] = bits;
        lines.kept[r] = s->job->is_wanted[BACKWARD] && at == row + r ? kept_line(s, memory, b, at) : NULL;
    }
    if (!is_wanted) lines.values = NULL;
    if (is_wanted || s->job->is_wanted[BACKWARD]) s->job->calls->pack_rows(l, &lines);
}

// Block `to` of the backward weights, of the columns of block b of a stripe that begins at `block`.
static void pack_places(const stripes *s, size_t to, size_t block, size_t b, char *memory) {
    const ht_nm_packing *p = &s->packing[BACKWARD];
    const ht_nm_layout *l = &p->layout;
    const size_t columns = s->packing[FORWARD].layout.block_columns, bundle = (block + b) * columns / HT_NM_QUAD;
    const float *w[HT_NM_MAX_COLUMNS];
    const uint8_t *bits[HT_NM_MAX_COLUMNS];
    for (size_t i = 0; i < l->block_columns; i++) {
        const size_t place = to * l->block_columns + i;
        const size_t row = p->permutation ? p->permutation[place] - p->first_row : place;
        w[i] = kept_line(s, memory, b, row);
        bits[i] = bits_line(s, memory, b, row);
    }
    s->job->calls->pack_columns(l, &(ht_nm_column_lines){.w = w,
                                                         .is_kept = true,
                                                         .bits = bits,
                                                         .columns = columns,
                                                         .values = (void *)ht_nm_values(l, p->packed, to, bundle),
                                                         .fields = (uint8_t *)ht_nm_indices(l, p->packed, to, bundle),
                                                         .streams = ht_nm_streams(l)});
}

// What a block kept is fetched while the one before is packed.
static void pack_stripe(const stripes *s, size_t block, size_t blocks, char *memory) {
    const ht_nm_layout *l = &s->packing[FORWARD].layout, *backward = &s->packing[BACKWARD].layout;
    const size_t ways = backward->columns / backward->block_columns;
    for (size_t row = 0; row < s->rows; row += HT_NM_QUAD)
        for (size_t b = 0; b < blocks; b++) pack_quad(s, row, block, b, blocks, memory);
    for (size_t b = 0; b < blocks && s->job->is_wanted[BACKWARD]; b++)
        for (size_t to = 0; to < ways; to++) {
            const size_t begin = s->rows * to / ways, end = s->rows * (to + 1) / ways;
            if (b + 1 < blocks)
                prefetch(kept_line(s, memory, b + 1, begin), (end - begin) * l->block_slots * sizeof(float));
            pack_places(s, to, block, b, memory);
        }
}

static void pack_part(void *context, size_t part) {
    const stripes *s = context;
    const size_t all = ht_ceil_div(s->blocks, s->most), end = ht_min(s->blocks, all * (part + 1) / s->parts * s->most);
    for (size_t block = all * part / s->parts * s->most; block < end; block += s->most)
        pack_stripe(s, block, ht_min(s->most, end - block), s->memory + part * s->part_bytes);
    s->job->calls->finish();
}

// Lays the memory out; of one group as of all.
static stripes make_stripes(const step_job *job, int threads) {
    const ht_nm_layout *l = &job->packing[FORWARD].layout, *backward = &job->packing[BACKWARD].layout;
    stripes s = {.job = job, .rows = l->rows};
    if (!job->calls || !ht_nm_packs_rows(l) || !ht_nm_packs_columns(backward) || l->of.taps > 1) return s;
    s.blocks = l->rows ? l->columns / l->block_columns : 0;
    if (s.blocks == 0) return s;
    const size_t kept = l->rows * l->block_slots * sizeof(float), bits = l->rows * (l->block_columns / 8);
    const size_t fit = ht_min(stripe_columns / l->block_columns, kept_bytes / kept);
    s.most = ht_max(1, ht_min(fit, ht_ceil_div(s.blocks, (size_t)threads)));
    s.parts = ht_min((size_t)threads, ht_ceil_div(s.blocks, s.most));
    s.part_bytes = ht_round_up(s.most * (kept + bits) + HT_NM_KEPT_SLACK * sizeof(float), HT_ALIGNMENT);
    return s;
}

// MARK: one step after the other

// What the pass leaves, which may be everything: columns of W from one on, and places from one on.
typedef struct rest {
    const step_job *job;
    size_t columns, places;  // that were packed
} rest;

static bool is_nothing_left(const step_job *job, const rest *r) {
    return r->columns == job->places.columns && r->places == job->places.group_rows &&
           job->places.group_rows % HT_NM_QUAD == 0;
}

// A pass over some columns is one over a matrix, or over filters of one tap.
static void mask_forward(const rest *r) {
    const step_job *job = r->job;
    const ht_permuted *p = &job->places;
    if (job->shape && r->columns == 0)
        ht_nm_conv_mask_f32(job->shape, p->n, p->m, job->w, job->w_stride, job->mask, job->mask_stride, &job->options);
    else
        ht_nm_mask_f32(ht_permuted_rows(p), p->columns - r->columns, p->n, p->m, job->w + r->columns, job->w_stride,
                       job->mask + r->columns / 8, job->mask_stride, &job->options);
}

// Of a block whose places the pass has packed only the columns that it has not.
static void mask_block(void *context, size_t block) {
    const rest *r = context;
    const step_job *job = r->job;
    const bool is_packed = block % ht_permuted_group_blocks(&job->places) * job->places.m < r->places;
    const size_t column = is_packed ? r->columns : 0;
    const float *w[64];
    const uint8_t *forward[64];
    uint8_t *backward[64];
    size_t rows[64];
    ht_backward_block lines = {
        .columns = job->places.columns - column, .n = job->places.n, .w = w, .forward = forward, .backward = backward};
    if (lines.columns == 0) return;
    lines.rows = ht_permuted_block(&job->places, block, rows);
    for (size_t i = 0; i < lines.rows; i++) {
        w[i] = (const float *)(const void *)((const char *)job->w + rows[i] * job->w_stride) + column;
        forward[i] = job->mask + rows[i] * job->mask_stride + column / 8;
        backward[i] = job->backward_mask + rows[i] * job->backward_stride + column / 8;
    }
    job->mask_backward(&lines);
}

static void pack_forward(const ht_nm_packing *p, const rest *r, int threads) {
    const ht_nm_layout *l = &p->layout;
    const size_t blocks = r->columns / l->block_columns;
    ht_nm_pack_slots(p, &(ht_nm_slots){l->rows / HT_NM_QUAD * HT_NM_QUAD, l->rows, 0, blocks}, threads);
    ht_nm_pack_slots(p, &(ht_nm_slots){0, l->rows, blocks, l->blocks}, threads);
}

static void pack_backward(const ht_nm_packing *p, const rest *r, int threads) {
    const ht_nm_layout *l = &p->layout;
    const size_t blocks = r->places / l->block_columns;
    ht_nm_pack_slots(p, &(ht_nm_slots){0, r->columns, blocks, l->blocks}, threads);
    ht_nm_pack_slots(p, &(ht_nm_slots){r->columns, l->rows, 0, l->blocks}, threads);
}

static ht_nm_packing group_of(const step_job *job, size_t way, size_t group) {
    ht_nm_packing part = ht_nm_packing_of_group(&job->packing[way], &job->asked[way], group);
    part.mask = way == FORWARD ? job->mask : job->backward_mask;
    part.mask_stride = way == FORWARD ? job->mask_stride : job->backward_stride;
    return part;
}

static void pack_rest(const rest *r, int threads) {
    const step_job *job = r->job;
    const ht_permuted *p = &job->places;
    mask_forward(r);
    if (job->is_wanted[BACKWARD] && p->columns)
        ht_parallel(mask_block, (void *)r, p->groups * ht_permuted_group_blocks(p), threads);
    for (size_t group = 0; group < p->groups; group++) {
        const ht_nm_packing forward = group_of(job, FORWARD, group), backward = group_of(job, BACKWARD, group);
        if (job->is_wanted[FORWARD]) pack_forward(&forward, r, threads);
        if (job->is_wanted[BACKWARD]) pack_backward(&backward, r, threads);
    }
}

static void run(const step_job *job, stripes *s, const rest *r, int threads) {
    for (size_t group = 0; group < job->places.groups; group++) {
        for (size_t way = 0; way < 2; way++) {
            s->packing[way] = group_of(job, way, group);
            if (job->is_wanted[way]) ht_nm_pack_ends(&s->packing[way]);
        }
        ht_parallel(pack_part, s, s->parts, threads);
    }
    if (!is_nothing_left(job, r)) pack_rest(r, threads);
}

// MARK: calls

// Masks that nobody asked for lie in memory of the call's own, as far as there is more than one pass.
static ht_status step_pack(step_job *job, const ht_nm_step *step, const ht_options *options) {
    ht_status status = check_options(job, options);
    if (!status) status = check_operands(job, step);
    if (status || !(step->mask || step->forward || step->backward)) return status;

    const int threads = ht_resolve_threads(job->options.threads);
    const ht_nm_layout *forward = &job->packing[FORWARD].layout, *backward = &job->packing[BACKWARD].layout;
    stripes s = make_stripes(job, threads);
    const rest r = {job, s.blocks * forward->block_columns,
                    backward->columns / backward->block_columns * backward->block_columns};
    const size_t stride = ht_ceil_div(job->places.columns, 8);
    size_t bytes = 0;
    if (!is_nothing_left(job, &r) && !ht_mul(ht_permuted_rows(&job->places), stride, &bytes)) return HT_ERROR_OVERFLOW;
    const size_t own = step->mask ? 0 : bytes, behind = step->backward ? bytes : 0, parts = s.parts * s.part_bytes;
    char *memory = ht_allocate(ht_round_up(parts, HT_ALIGNMENT) + own + behind);
    if (!memory) return HT_ERROR_MEMORY;
    s.memory = memory;
    job->mask = step->mask ? step->mask : own ? (uint8_t *)memory + parts : NULL;
    if (own) job->mask_stride = stride;
    job->backward_mask = (uint8_t *)memory + parts + own;
    job->backward_stride = stride;
    run(job, &s, &r, threads);
    ht_free(memory);
    return HT_OK;
}

ht_status ht_nm_step_pack_f32(size_t o, size_t k, size_t n, size_t m, const float *w, size_t w_stride,
                              const ht_nm_step *step, const ht_options *options) {
    if (!step) return HT_ERROR_NULL;
    step_job job = {.w = w, .w_stride = w_stride, .mask_stride = step->mask_stride};
    ht_status status = set_requests(&job, o, k, n, m, step);
    return status ? status : step_pack(&job, step, options);
}

ht_status ht_nm_conv_step_pack_f32(const ht_conv_shape *shape, size_t n, size_t m, const float *w, size_t w_stride,
                                   const ht_nm_step *step, const ht_options *options) {
    if (!shape || !step) return HT_ERROR_NULL;
    step_job job = {.shape = shape, .w = w, .w_stride = w_stride, .mask_stride = step->mask_stride};
    ht_status status = set_requests(&job, 0, 0, n, m, step);
    return status ? status : step_pack(&job, step, options);
}
