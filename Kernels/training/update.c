// SPDX-License-Identifier: Apache-2.0
// Optimizers and the decay of pruned weights: arguments, dispatch, split over threads.
#include <math.h>

#include "core/memory.h"
#include "core/threads.h"
#include "halftone/training.h"
#include "kernels.h"

const ht_entry ht_update_table[] = {
#if defined(__x86_64__)
    {"weight_update", HT_ISA_AVX512, (ht_fn)ht_update_avx512},
    {"weight_update", HT_ISA_AVX2, (ht_fn)ht_update_avx2},
#elif defined(__aarch64__)
    {"weight_update", HT_ISA_NEON, (ht_fn)ht_update_neon},
#endif
    {"weight_update", HT_ISA_REF, (ht_fn)ht_update_ref},
    {0},
};

typedef struct update_job {
    ht_update update;
    ht_update_kernel *kernel;
} update_job;

// Columns of a row that one thread updates at a time: biases and other vectors are a single row.
enum { piece_columns = 1 << 14 };

static void update_piece(void *context, size_t piece) {
    const update_job *job = context;
    const size_t pieces = ht_ceil_div(job->update.columns, piece_columns), begin = piece % pieces * piece_columns;
    job->kernel(&job->update, piece / pieces, begin, ht_min(job->update.columns, begin + piece_columns));
}

static ht_status add_decay(ht_update *u, size_t rows, const ht_sr_ste *sr_ste) {
    if (!sr_ste || !sr_ste->mask) return HT_OK;
    if (!isfinite(sr_ste->decay) || sr_ste->decay < 0) return HT_ERROR_OPTIMIZER;
    if (sr_ste->decay == 0) return HT_OK;
    u->mask = sr_ste->mask;
    u->mask_stride = sr_ste->mask_stride;
    u->decay = sr_ste->decay;
    return ht_check_matrix(u->mask, rows, ht_ceil_div(u->columns, 8), 1, &u->mask_stride);
}

static ht_status check_weights(ht_update *u, size_t rows, const ht_sr_ste *sr_ste, const ht_options *options) {
    if (options && options->threads < 0) return HT_ERROR_THREADS;
    ht_status status = ht_check_matrix(u->w, rows, u->columns, sizeof *u->w, &u->w_stride);
    if (!status) status = ht_check_matrix(u->dw, rows, u->columns, sizeof *u->dw, &u->dw_stride);
    return status ? status : add_decay(u, rows, sr_ste);
}

static ht_status run(const ht_update *u, size_t rows, const ht_options *options) {
    const ht_entry *entry;
    ht_status status = ht_pick(ht_update_table, options ? options->isa : HT_ISA_AUTO, &entry);
    if (status || rows == 0 || u->columns == 0) return status;
    update_job job = {*u, (ht_update_kernel *)entry->kernel};
    const size_t pieces = rows * ht_ceil_div(u->columns, piece_columns);
    ht_each_row(update_piece, &job, pieces, options ? options->threads : 0);
    return HT_OK;
}

ht_status ht_sr_ste_f32(size_t o, size_t k, const float *w, size_t w_stride, const ht_sr_ste *sr_ste, float *dw,
                        size_t dw_stride, const ht_options *options) {
    ht_update u = {.kind = HT_UPDATE_SR_STE,
                   .columns = k,
                   .dw = dw,
                   .dw_stride = dw_stride,
                   .w = (float *)(uintptr_t)w,
                   .w_stride = w_stride,
                   .first = dw};
    ht_status status = check_weights(&u, o, sr_ste, options);
    return status || !u.mask ? status : run(&u, o, options);
}

static bool is_share(float x) { return x >= 0 && x < 1; }
static bool is_amount(float x) { return x >= 0 && isfinite(x); }

static bool is_sgd(const ht_sgd *sgd) {
    if (!is_amount(sgd->rate) || !is_amount(sgd->weight_decay)) return false;
    if (!is_share(sgd->momentum) || !(sgd->dampening >= 0 && sgd->dampening <= 1)) return false;
    return !sgd->nesterov || (sgd->momentum > 0 && sgd->dampening == 0);
}

ht_status ht_sgd_f32(size_t o, size_t k, const ht_sgd *sgd, const ht_sr_ste *sr_ste, const float *dw, size_t dw_stride,
                     float *velocity, float *w, size_t w_stride, const ht_options *options) {
    if (!sgd) return HT_ERROR_NULL;
    if (!is_sgd(sgd)) return HT_ERROR_OPTIMIZER;
    ht_update u = {.kind = HT_UPDATE_SGD,
                   .columns = k,
                   .dw = dw,
                   .dw_stride = dw_stride,
                   .w = w,
                   .w_stride = w_stride,
                   .first = sgd->momentum > 0 ? velocity : NULL,
                   .weight_decay = sgd->weight_decay,
                   .minus_rate = -sgd->rate,
                   .momentum = sgd->momentum,
                   .keep = 1 - sgd->dampening,
                   .nesterov = sgd->nesterov != 0};
    ht_status status = check_weights(&u, o, sr_ste, options);
    if (!status && sgd->momentum > 0) status = ht_check_matrix(velocity, o, k, sizeof *velocity, &u.w_stride);
    return status ? status : run(&u, o, options);
}

static float or_default(float x, float otherwise) { return x == 0 ? otherwise : x; }

ht_status ht_adamw_f32(size_t o, size_t k, const ht_adamw *adamw, const ht_sr_ste *sr_ste, const float *dw,
                       size_t dw_stride, float *mean, float *square, float *w, size_t w_stride,
                       const ht_options *options) {
    if (!adamw) return HT_ERROR_NULL;
    const float beta1 = or_default(adamw->beta1, 0.9f), beta2 = or_default(adamw->beta2, 0.999f);
    const float epsilon = or_default(adamw->epsilon, 1e-8f);
    const bool good = is_amount(adamw->rate) && is_amount(adamw->weight_decay) && is_share(beta1) && is_share(beta2) &&
                      is_amount(epsilon) && adamw->step > 0;
    if (!good) return HT_ERROR_OPTIMIZER;
    const double mean_left = 1 - pow(beta1, (double)adamw->step), square_left = 1 - pow(beta2, (double)adamw->step);
    ht_update u = {.kind = HT_UPDATE_ADAMW,
                   .columns = k,
                   .dw = dw,
                   .dw_stride = dw_stride,
                   .w = w,
                   .w_stride = w_stride,
                   .first = mean,
                   .second = square,
                   .minus_rate = (float)(-adamw->rate / mean_left),
                   .shrink = (float)fma(-(double)adamw->rate, adamw->weight_decay, 1),
                   .fresh1 = 1 - beta1,
                   .beta2 = beta2,
                   .fresh2 = 1 - beta2,
                   .root_scale = (float)(1 / sqrt(square_left)),
                   .epsilon = epsilon};
    ht_status status = check_weights(&u, o, sr_ste, options);
    if (!status) status = ht_check_matrix(mean, o, k, sizeof *mean, &u.w_stride);
    if (!status) status = ht_check_matrix(square, o, k, sizeof *square, &u.w_stride);
    return status ? status : run(&u, o, options);
}
