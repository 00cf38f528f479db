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

typedef struct split {
    ht_weight_gradient_task whole;
    ht_weight_gradient_kernel *kernel;
    size_t pieces;
    bool by_rows;
} split;

// The part-th of `parts` nearly equal ranges of 0 ..< *end.
static void cut(size_t *begin, size_t *end, size_t part, size_t parts) {
    size_t grains = ht_ceil_div(*end, grain), size = *end;
    *begin = grains * part / parts * grain;
    *end = ht_min(size, grains * (part + 1) / parts * grain);
}

static void run_piece(void *context, size_t piece) {
    const split *s = context;
    ht_weight_gradient_task task = s->whole;
    if (s->by_rows)
        cut(&task.o_begin, &task.o_end, piece, s->pieces);
    else
        cut(&task.k_begin, &task.k_end, piece, s->pieces);
    task.scratch += piece * HT_DENSE_SCRATCH;
    s->kernel(&task);
}

static split split_of(const ht_weight_gradient_task *task, const ht_entry *entry, int threads) {
    split s = {.whole = *task, .kernel = (ht_weight_gradient_kernel *)entry->kernel};
    s.by_rows = task->o_end >= task->k_end;
    s.pieces = ht_min((size_t)threads, ht_ceil_div(s.by_rows ? task->o_end : task->k_end, grain));
    return s;
}

static size_t scratch_floats(const split *s) { return s->pieces * HT_DENSE_SCRATCH; }

static ht_status run(const ht_weight_gradient_task *task, const ht_entry *entry, int threads) {
    split s = split_of(task, entry, threads);
    s.whole.scratch = ht_allocate(scratch_floats(&s) * sizeof(float));
    if (!s.whole.scratch) return HT_ERROR_MEMORY;
    ht_parallel(run_piece, &s, s.pieces, threads);
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

static void clear(const ht_weight_gradient_task *task) {
    for (size_t o = 0; o < task->o_end; o++)
        memset((char *)task->dw + o * task->dw_stride, 0, task->k_end * sizeof(float));
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
    if (t == 0) {
        clear(&task);
        return HT_OK;
    }
    // Who names an ISA wants its row.
    if (opt->isa == HT_ISA_AUTO && run_blas(&task)) return HT_OK;
    return run(&task, entry, ht_resolve_threads(opt->threads));
}

// MARK: convolutions

// The weight gradient of a convolution: for each group of channels a product. Its columns are those of the taps that
// are wanted, so where these are not all it goes to scratch memory first.
typedef struct conv_gradient {
    ht_conv conv;
    ht_nm_image image;
    size_t taps, wanted;  // of the kernel, and how many of them
    size_t channels, outputs;  // of a group
    size_t *numbers;  // scratch: of the taps that are wanted
    float *some;  // scratch: dW of a group with these taps only, or null where dW is written itself
} conv_gradient;

static size_t columns_of(const conv_gradient *g) { return g->wanted * g->channels; }

static void find_taps(conv_gradient *g, const uint8_t *taps) {
    for (size_t tap = 0, i = 0; tap < g->taps; tap++)
        if (!taps || taps[tap]) g->numbers[i++] = tap;
}

// Copies rows of dW with some taps to their places, +0 between them.
static void spread(const conv_gradient *g, float *dw, size_t dw_stride) {
    const size_t bytes = g->channels * sizeof *dw;
    for (size_t o = 0; o < g->outputs; o++) {
        char *to = (char *)dw + o * dw_stride;
        memset(to, 0, g->taps * bytes);
        for (size_t i = 0; i < g->wanted; i++)
            memcpy(to + g->numbers[i] * bytes, g->some + o * columns_of(g) + i * g->channels, bytes);
    }
}

static void run_conv_group(const conv_gradient *g, const split *whole, size_t group, int threads) {
    split s = *whole;
    float *dw = (float *)((char *)s.whole.dw + group * g->outputs * s.whole.dw_stride);
    s.whole.dy += group * g->outputs;
    s.whole.x += group * g->channels;
    s.whole.dw = g->some ? g->some : dw;
    if (g->some) s.whole.dw_stride = columns_of(g) * sizeof *dw;
    if (s.whole.t == 0)
        clear(&s.whole);
    else
        ht_parallel(run_piece, &s, s.pieces, threads);
    if (g->some) spread(g, dw, whole->whole.dw_stride);
}

// All memory is there before anything is written.
static ht_status run_conv(conv_gradient *g, const ht_weight_gradient_task *task, const uint8_t *taps,
                          const ht_entry *entry, int threads) {
    split s = split_of(task, entry, threads);
    const bool is_part = g->wanted < g->taps;
    const size_t scratch = scratch_floats(&s) * sizeof(float), numbers = ht_round_up(g->taps * sizeof *g->numbers, 64);
    size_t some = 0, bytes;
    if (is_part && !ht_mul(g->outputs, columns_of(g) * sizeof(float), &some)) return HT_ERROR_OVERFLOW;
    if (!ht_add(scratch + numbers, some, &bytes)) return HT_ERROR_OVERFLOW;
    char *memory = ht_allocate(bytes);
    if (!memory) return HT_ERROR_MEMORY;
    s.whole.scratch = (float *)memory;
    g->numbers = (size_t *)(memory + scratch);
    g->some = is_part ? (float *)(memory + scratch + numbers) : NULL;
    find_taps(g, taps);
    s.whole.taps = g->numbers;
    for (size_t group = 0; group < g->conv.shape.groups; group++) run_conv_group(g, &s, group, threads);
    ht_free(memory);
    return HT_OK;
}

static ht_status make_conv_gradient(const ht_conv_shape *shape, const uint8_t *taps, conv_gradient *g) {
    *g = (conv_gradient){0};
    ht_status status = ht_conv_make(shape, &g->conv);
    if (status) return status;
    const ht_conv_shape *s = &g->conv.shape;
    if (s->padding != HT_PADDING_ZERO) return HT_ERROR_CONV;
    g->image = ht_nm_forward_image(&g->conv);
    g->taps = s->kernel_height * s->kernel_width;
    g->channels = s->channels / s->groups;
    g->outputs = s->outputs / s->groups;
    g->wanted = taps ? 0 : g->taps;
    for (size_t tap = 0; taps && tap < g->taps; tap++) g->wanted += taps[tap] != 0;
    return HT_OK;
}

ht_status ht_conv_weight_gradient_f32(const ht_conv_shape *shape, const float *dy, size_t dy_stride, const float *x,
                                      size_t x_stride, const uint8_t *taps, float *dw, size_t dw_stride,
                                      const ht_options *options) {
    static const ht_options defaults;
    const ht_options *opt = options ? options : &defaults;
    const ht_entry *entry;
    conv_gradient g;
    size_t columns;
    if (opt->threads < 0) return HT_ERROR_THREADS;
    ht_status status = ht_pick(ht_weight_gradient_f32_table, opt->isa, &entry);
    if (!status) status = make_conv_gradient(shape, taps, &g);
    if (status) return status;
    const ht_conv *conv = &g.conv;
    if (!ht_mul(g.taps, g.channels, &columns)) return HT_ERROR_OVERFLOW;
    status = ht_check_matrix(dy, conv->y_pixels, conv->shape.outputs, sizeof *dy, &dy_stride);
    if (!status) status = ht_check_matrix(x, conv->x_pixels, conv->shape.channels, sizeof *x, &x_stride);
    if (!status) status = ht_check_matrix(dw, conv->shape.outputs, columns, sizeof *dw, &dw_stride);
    if (status || conv->shape.outputs == 0 || columns == 0) return status;
    const ht_weight_gradient_task task = {.t = conv->y_pixels,
                                          .dy = dy,
                                          .dy_stride = dy_stride,
                                          .x = x,
                                          .x_stride = x_stride,
                                          .dw = dw,
                                          .dw_stride = dw_stride,
                                          .o_end = g.outputs,
                                          .k_end = columns_of(&g),
                                          .image = &g.image,
                                          .channels = g.channels};
    return run_conv(&g, &task, taps, entry, ht_resolve_threads(opt->threads));
}
