// SPDX-License-Identifier: Apache-2.0
// Masks and packed weights of a training step: checks the arguments, and splits the work over threads.
#include "step.h"

#include "core/threads.h"
#include "halftone/training.h"
#include "masks/backward.h"
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
    if (!status) job->mask_backward = (ht_backward_kernel *)entry->kernel;
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

// MARK: one step after the other

static void mask_block(void *context, size_t block) {
    const step_job *job = context;
    const float *w[64];
    const uint8_t *forward[64];
    uint8_t *backward[64];
    size_t rows[64];
    ht_backward_block lines = {
        .columns = job->places.columns, .n = job->places.n, .w = w, .forward = forward, .backward = backward};
    lines.rows = ht_permuted_block(&job->places, block, rows);
    for (size_t r = 0; r < lines.rows; r++) {
        w[r] = (const float *)(const void *)((const char *)job->w + rows[r] * job->w_stride);
        forward[r] = job->mask + rows[r] * job->mask_stride;
        backward[r] = job->backward_mask + rows[r] * job->backward_stride;
    }
    job->mask_backward(&lines);
}

static void mask_backward(const step_job *job, int threads) {
    const size_t blocks = job->places.columns ? job->places.groups * ht_permuted_group_blocks(&job->places) : 0;
    ht_parallel(mask_block, (void *)job, blocks, threads);
}

static void mask_forward(const step_job *job) {
    const ht_permuted *p = &job->places;
    if (job->shape)
        ht_nm_conv_mask_f32(job->shape, p->n, p->m, job->w, job->w_stride, job->mask, job->mask_stride, &job->options);
    else
        ht_nm_mask_f32(p->group_rows, p->columns, p->n, p->m, job->w, job->w_stride, job->mask, job->mask_stride,
                       &job->options);
}

static void pack(step_job *job, size_t way, const uint8_t *mask, size_t mask_stride, int threads) {
    const ht_nm_pack_request *asked = &job->asked[way];
    job->packing[way].mask = mask;
    job->packing[way].mask_stride = mask_stride;
    for (size_t group = 0; group < asked->groups; group++) {
        const ht_nm_packing part = ht_nm_packing_of_group(&job->packing[way], asked, group);
        ht_nm_pack_blob(&part, threads);
    }
}

static void run(step_job *job) {
    const int threads = ht_resolve_threads(job->options.threads);
    mask_forward(job);
    if (job->is_wanted[FORWARD]) pack(job, FORWARD, job->mask, job->mask_stride, threads);
    if (!job->is_wanted[BACKWARD]) return;
    mask_backward(job, threads);
    pack(job, BACKWARD, job->backward_mask, job->backward_stride, threads);
}

// MARK: calls

// Masks that nobody asked for lie in memory of the call's own.
static ht_status step_pack(step_job *job, const ht_nm_step *step, const ht_options *options) {
    ht_status status = check_options(job, options);
    if (!status) status = check_operands(job, step);
    if (status || !(step->mask || step->forward || step->backward)) return status;
    const size_t rows = job->asked->rows, stride = ht_ceil_div(job->asked->columns, 8);
    size_t bytes;
    if (!ht_mul(rows, stride, &bytes)) return HT_ERROR_OVERFLOW;
    uint8_t *own = step->mask ? NULL : ht_allocate(bytes), *backward = step->backward ? ht_allocate(bytes) : NULL;
    if ((!step->mask && !own) || (step->backward && !backward)) status = HT_ERROR_MEMORY;
    if (own) job->mask_stride = stride;
    job->mask = step->mask ? step->mask : own;
    job->backward_mask = backward;
    job->backward_stride = stride;
    if (!status) run(job);
    ht_free(own);
    ht_free(backward);
    return status;
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
