// SPDX-License-Identifier: Apache-2.0
// Backward masks' public face: checks the arguments, picks the row of the table, splits the blocks over threads.
#include "backward.h"

#include "core/threads.h"
#include "halftone/bimask.h"
#include "permuted.h"

const ht_entry ht_bimask_backward_f32_table[] = {
#if defined(__x86_64__)
    {"bimask_backward_f32", HT_ISA_AVX512, (ht_fn)ht_bimask_backward_f32_avx512},
    {"bimask_backward_f32", HT_ISA_AVX2, (ht_fn)ht_bimask_backward_f32_avx2},
#endif
    {"bimask_backward_f32", HT_ISA_REF, (ht_fn)ht_bimask_backward_f32_ref},
    {0},
};

typedef struct backward_job {
    ht_permuted rows;
    ht_backward_kernel *kernel;
    const float *w;
    size_t w_stride;
    const uint8_t *forward;
    size_t forward_stride;
    uint8_t *backward;
    size_t backward_stride;
} backward_job;

static void mask_block(void *context, size_t i) {
    const backward_job *job = context;
    const float *w[64];
    const uint8_t *forward[64];
    uint8_t *backward[64];
    size_t rows[64];
    ht_backward_block block = {.columns = job->rows.columns,
                               .n = job->rows.n,
                               .w = w,
                               .forward = job->forward ? forward : NULL,
                               .backward = backward};
    block.rows = ht_permuted_block(&job->rows, i, rows);
    for (size_t r = 0; r < block.rows; r++) {
        w[r] = (const float *)(const void *)((const char *)job->w + rows[r] * job->w_stride);
        if (job->forward) forward[r] = job->forward + rows[r] * job->forward_stride;
        backward[r] = job->backward + rows[r] * job->backward_stride;
    }
    job->kernel(&block);
}

static ht_status mask_backward(backward_job job, const ht_options *options) {
    const ht_permuted *p = &job.rows;
    const size_t rows = ht_permuted_rows(p), bytes = ht_ceil_div(p->columns, 8);
    const ht_entry *entry;
    if (options && options->threads < 0) return HT_ERROR_THREADS;
    ht_status status = ht_pick(ht_bimask_backward_f32_table, options ? options->isa : HT_ISA_AUTO, &entry);
    if (!status) status = ht_check_matrix(job.w, rows, p->columns, sizeof *job.w, &job.w_stride);
    if (!status && job.forward) status = ht_check_matrix(job.forward, rows, bytes, 1, &job.forward_stride);
    if (!status) status = ht_check_matrix(job.backward, rows, bytes, 1, &job.backward_stride);
    if (!status) status = ht_permuted_check(p);
    if (status || rows == 0 || bytes == 0) return status;
    job.kernel = (ht_backward_kernel *)entry->kernel;
    ht_parallel(mask_block, &job, p->groups * ht_permuted_group_blocks(p),
                ht_resolve_threads(options ? options->threads : 0));
    return HT_OK;
}

ht_status ht_bimask_backward_f32(size_t o, size_t k, size_t n, size_t m, const float *w, size_t w_stride,
                                 const uint8_t *forward, size_t forward_stride, const uint32_t *permutation,
                                 uint8_t *backward, size_t backward_stride, const ht_options *options) {
    const ht_permuted rows = {1, o, k, n, m, permutation};
    return mask_backward((backward_job){rows, NULL, w, w_stride, forward, forward_stride, backward, backward_stride},
                         options);
}

ht_status ht_bimask_conv_backward_f32(const ht_conv_shape *shape, size_t n, size_t m, const float *w, size_t w_stride,
                                      const uint8_t *forward, size_t forward_stride, const uint32_t *permutation,
                                      uint8_t *backward, size_t backward_stride, const ht_options *options) {
    ht_permuted rows;
    ht_status status = ht_permuted_filters(shape, n, m, permutation, &rows);
    if (status) return status;
    return mask_backward((backward_job){rows, NULL, w, w_stride, forward, forward_stride, backward, backward_stride},
                         options);
}
