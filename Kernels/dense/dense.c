// SPDX-License-Identifier: Apache-2.0
// The dense weight gradient's public face: a BLAS or the row of the table, and the split over threads.
#include <limits.h>
#include <string.h>

#include "blas.h"
#include "core/memory.h"
#include "core/threads.h"
#include "halftone/nm_gradient.h"
#include "kernels.h"

const ht_entry ht_weight_gradient_f32_table[] = {
#if defined(__x86_64__)
    {"weight_gradient_f32", HT_ISA_AVX512, (ht_fn)ht_weight_gradient_f32_avx512},
    {"weight_gradient_f32", HT_ISA_AVX2, (ht_fn)ht_weight_gradient_f32_avx2},
#elif defined(__aarch64__)
    {"weight_gradient_f32", HT_ISA_NEON, (ht_fn)ht_weight_gradient_f32_neon},
#endif
    {"weight_gradient_f32", HT_ISA_REF, (ht_fn)ht_weight_gradient_f32_ref},
    {0},
};

// Pieces of dW are cut at multiples of so many rows or columns: of every kernel's tile.
enum { grain = 48 };

// The part-th of `parts` nearly equal ranges of 0 ..< *end.
static void cut(size_t *begin, size_t *end, size_t part, size_t parts) {
    size_t grains = ht_ceil_div(*end, grain), size = *end;
    *begin = grains * part / parts * grain;
    *end = ht_min(size, grains * (part + 1) / parts * grain);
}

static void run_piece(void *context, size_t piece) {
    const ht_dense_split *s = context;
    ht_weight_gradient_task task = s->whole;
    if (s->by_rows)
        cut(&task.o_begin, &task.o_end, piece, s->pieces);
    else
        cut(&task.k_begin, &task.k_end, piece, s->pieces);
    task.scratch += piece * HT_DENSE_SCRATCH;
    s->kernel(&task);
}

ht_dense_split ht_dense_cut(const ht_weight_gradient_task *task, const ht_entry *entry, int threads) {
    ht_dense_split s = {.whole = *task, .kernel = (ht_weight_gradient_kernel *)entry->kernel};
    s.by_rows = task->o_end >= task->k_end;
    s.pieces = ht_min((size_t)threads, ht_ceil_div(s.by_rows ? task->o_end : task->k_end, grain));
    return s;
}

size_t ht_dense_scratch(const ht_dense_split *s) { return s->pieces * HT_DENSE_SCRATCH * sizeof(float); }

static void clear(const ht_weight_gradient_task *task) {
    for (size_t o = 0; o < task->o_end; o++)
        memset((char *)task->dw + o * task->dw_stride, 0, task->k_end * sizeof(float));
}

void ht_dense_run(const ht_dense_split *s) {
    if (s->whole.t == 0)
        clear(&s->whole);
    else
        ht_parallel(run_piece, (void *)s, s->pieces, (int)s->pieces);
}

static ht_status run(const ht_weight_gradient_task *task, const ht_entry *entry, int threads) {
    ht_dense_split s = ht_dense_cut(task, entry, threads);
    s.whole.scratch = ht_allocate(ht_dense_scratch(&s));
    if (!s.whole.scratch) return HT_ERROR_MEMORY;
    ht_dense_run(&s);
    ht_free(s.whole.scratch);
    return HT_OK;
}

static bool fits_int(size_t size) { return size <= INT_MAX; }

// False where there is no BLAS or its integers are too small.
static bool run_blas(const ht_weight_gradient_task *task) {
    ht_sgemm *sgemm = ht_blas_sgemm();
    size_t dy = task->dy_stride / sizeof(float), x = task->x_stride / sizeof(float),
           dw = task->dw_stride / sizeof(float);
    bool fits = fits_int(task->t) && fits_int(task->o_end) && fits_int(task->k_end) && fits_int(dy) && fits_int(x) &&
                fits_int(dw);
    if (!sgemm || !fits) return false;
    sgemm(HT_BLAS_ROW_MAJOR, HT_BLAS_TRANSPOSED, HT_BLAS_AS_IS, (int)task->o_end, (int)task->k_end, (int)task->t, 1,
          task->dy, (int)dy, task->x, (int)x, 0, task->dw, (int)dw);
    return true;
}

ht_status ht_weight_gradient_f32(size_t t, size_t o, size_t k, const float *dy, size_t dy_stride, const float *x,
                                 size_t x_stride, float *dw, size_t dw_stride, const ht_options *options) {
    static const ht_options defaults;
    const ht_options *opt = options ? options : &defaults;
    ht_weight_gradient_task task = {.t = t,
                                    .dy = dy,
                                    .dy_stride = dy_stride,
                                    .x = x,
                                    .x_stride = x_stride,
                                    .dw = dw,
                                    .dw_stride = dw_stride,
                                    .o_end = o,
                                    .k_end = k};
    const ht_entry *entry;
    if (opt->threads < 0) return HT_ERROR_THREADS;
    ht_status status = ht_pick(ht_weight_gradient_f32_table, opt->isa, &entry);
    if (!status) status = ht_check_matrix(dy, t, o, sizeof *dy, &task.dy_stride);
    if (!status) status = ht_check_matrix(x, t, k, sizeof *x, &task.x_stride);
    if (!status) status = ht_check_matrix(dw, o, k, sizeof *dw, &task.dw_stride);
    if (status || o == 0 || k == 0) return status;
    // Who names an ISA wants its row.
    if (opt->isa == HT_ISA_AUTO && t && run_blas(&task)) return HT_OK;
    return run(&task, entry, ht_resolve_threads(opt->threads));
}
