// SPDX-License-Identifier: Apache-2.0
// Numbers to bits and back, and the gradients of signs: checks, threads, and the public face.
#include "signs.h"

#include <math.h>

#include "core/operands.h"
#include "core/threads.h"
#include "layout.h"

const ht_entry ht_signs_table[] = {
#if defined(__x86_64__)
    {"signs", HT_ISA_AVX512, (ht_fn)ht_signs_avx512},
    {"signs", HT_ISA_AVX2, (ht_fn)ht_signs_avx2},
#elif defined(__aarch64__)
    {"signs", HT_ISA_NEON, (ht_fn)ht_signs_neon},
#endif
    {"signs", HT_ISA_REF, (ht_fn)ht_signs_ref},
    {0},
};

static const ht_options defaults;

// A matrix of elements of so many bits.
static ht_sign_operand matrix(const void *at, size_t stride, size_t bits) {
    return (ht_sign_operand){(char *)(uintptr_t)at, stride, bits};
}

// MARK: checks

static ht_status check_operands(ht_sign_task *task) {
    for (int i = 0; i < HT_SIGN_OPERANDS && task->operand[i].bits; i++) {
        ht_sign_operand *o = &task->operand[i];
        const ht_status status = o->bits == 1
                                     ? ht_check_bits((uint64_t *)(void *)o->at, task->rows, task->columns, &o->stride)
                                     : ht_check_matrix(o->at, task->rows, task->columns, o->bits / 8, &o->stride);
        if (status) return status;
    }
    return ht_is_aligned(task->threshold, 4) && ht_is_aligned(task->scale, 4) ? HT_OK : HT_ERROR_ALIGNMENT;
}

// MARK: pieces

// Rows that follow each other without a gap and do not differ are one.
static void join_rows(ht_sign_task *task) {
    bool joins = !task->threshold && !task->scale && task->columns % HT_SIGN_COLUMNS == 0;
    for (int i = 0; i < HT_SIGN_OPERANDS && task->operand[i].bits; i++)
        joins &= task->operand[i].stride == task->columns / 8 * task->operand[i].bits;
    if (!joins || task->rows == 0) return;
    task->columns *= task->rows;  // fits: an element of x takes a byte or more
    task->rows = 1;
}

// Pieces of some rows and columns of a task.
typedef struct pieces {
    ht_sign_task whole;
    ht_sign_kernel *kernel;
    size_t rows, columns;  // of a piece
    size_t across;         // pieces of a row
} pieces;

// Columns, or rows times columns, of a piece: enough to pay for taking it, and no more than fits the first caches.
enum { piece_size = 1 << 14 };

static void run_piece(void *context, size_t piece) {
    const pieces *p = context;
    const size_t row = piece / p->across * p->rows, column = piece % p->across * p->columns;
    ht_sign_task task = p->whole;
    task.rows = ht_min(p->rows, p->whole.rows - row);
    task.columns = ht_min(p->columns, p->whole.columns - column);
    for (int i = 0; i < HT_SIGN_OPERANDS && task.operand[i].bits; i++)
        task.operand[i].at += row * task.operand[i].stride + column / 8 * task.operand[i].bits;
    if (task.threshold) task.threshold = (const char *)task.threshold + column * 4;
    if (task.scale) task.scale += row;
    p->kernel(&task);
}

static ht_status run(ht_sign_call call, ht_sign_task *task, const ht_options *options) {
    const ht_entry *entry;
    if (!options) options = &defaults;
    if (options->threads < 0) return HT_ERROR_THREADS;
    ht_status status = ht_pick(ht_signs_table, options->isa, &entry);
    if (!status) status = check_operands(task);
    if (status || task->rows == 0 || task->columns == 0) return status;
    join_rows(task);
    pieces p = {.whole = *task, .kernel = ((ht_sign_row *)entry->kernel)()->kernel[call]};
    p.columns = ht_min(task->columns, piece_size);
    p.rows = piece_size / p.columns;
    p.across = ht_ceil_div(task->columns, p.columns);
    ht_parallel(run_piece, &p, ht_ceil_div(task->rows, p.rows) * p.across, ht_resolve_threads(options->threads));
    return HT_OK;
}

// MARK: estimators

static float or_default(float value, float standard) { return value == 0 ? standard : value; }

static bool is_positive(float value) { return value > 0 && value < INFINITY; }

static ht_status make_estimate(const ht_sign_estimator *e, ht_sign_estimate *to) {
    const float power = or_default(e->power, 1);
    *to = (ht_sign_estimate){.kind = e->kind,
                             .clip = or_default(e->clip, e->kind == HT_SIGN_RESTE ? 1.5f : 1),
                             .knee = or_default(e->knee, 0.1f),
                             .exponent = (1 - (double)power) / (double)power,
                             .share = 1 / (double)power,
                             .frequency = (double)or_default(e->frequency, 20)};
    bool holds = false;
    switch (e->kind) {
    case HT_SIGN_CLIPPED: holds = is_positive(to->clip); break;
    case HT_SIGN_POLYNOMIAL: holds = true; break;
    case HT_SIGN_RESTE:
        holds = is_positive(to->clip) && power >= 1 && power < INFINITY && to->knee > 0 && to->knee <= to->clip;
        break;
    case HT_SIGN_BIPER: holds = is_positive((float)to->frequency); break;
    }
    return holds ? HT_OK : HT_ERROR_ESTIMATOR;
}

// MARK: the public face

#define DEFINE_PACK(suffix, type, threshold_type, call)                                                     \
    ht_status ht_sign_pack_##suffix(size_t rows, size_t columns, const type *x, size_t x_stride,            \
                                    const threshold_type *threshold, uint64_t *bits, size_t bits_stride,    \
                                    const ht_options *options) {                                            \
        ht_sign_task task = {.rows = rows,                                                                  \
                             .columns = columns,                                                            \
                             .operand = {matrix(x, x_stride, sizeof *x * 8), matrix(bits, bits_stride, 1)}, \
                             .threshold = threshold};                                                       \
        return run(call, &task, options);                                                                   \
    }

DEFINE_PACK(f32, float, float, HT_SIGN_PACK_F32)
DEFINE_PACK(f16, uint16_t, float, HT_SIGN_PACK_F16)
DEFINE_PACK(bf16, uint16_t, float, HT_SIGN_PACK_BF16)
DEFINE_PACK(i8, int8_t, int32_t, HT_SIGN_PACK_I8)

ht_status ht_sign_unpack_f32(size_t rows, size_t columns, const uint64_t *bits, size_t bits_stride, const float *scale,
                             float *x, size_t x_stride, const ht_options *options) {
    ht_sign_task task = {.rows = rows,
                         .columns = columns,
                         .operand = {matrix(bits, bits_stride, 1), matrix(x, x_stride, 32)},
                         .scale = scale};
    return run(HT_SIGN_UNPACK_F32, &task, options);
}

ht_status ht_sign_unpack_i8(size_t rows, size_t columns, const uint64_t *bits, size_t bits_stride, int8_t *x,
                            size_t x_stride, const ht_options *options) {
    ht_sign_task task = {
        .rows = rows, .columns = columns, .operand = {matrix(bits, bits_stride, 1), matrix(x, x_stride, 8)}};
    return run(HT_SIGN_UNPACK_I8, &task, options);
}

ht_status ht_sign_gradient_f32(size_t rows, size_t columns, const ht_sign_estimator *estimator, const float *x,
                               size_t x_stride, const float *threshold, const float *dy, size_t dy_stride, float *dx,
                               size_t dx_stride, const ht_options *options) {
    if (!estimator) return HT_ERROR_NULL;
    ht_sign_task task = {.rows = rows,
                         .columns = columns,
                         .operand = {matrix(x, x_stride, 32), matrix(dy, dy_stride, 32), matrix(dx, dx_stride, 32)},
                         .threshold = threshold};
    const ht_status status = make_estimate(estimator, &task.estimate);
    return status ? status : run(HT_SIGN_GRADIENT, &task, options);
}

ht_status ht_sign_pack_clipped_f32(size_t rows, size_t columns, float clip, const float *x, size_t x_stride,
                                   const float *threshold, uint64_t *bits, size_t bits_stride, uint64_t *inside,
                                   size_t inside_stride, const ht_options *options) {
    if (!is_positive(clip)) return HT_ERROR_ESTIMATOR;
    ht_sign_task task = {
        .rows = rows,
        .columns = columns,
        .operand = {matrix(x, x_stride, 32), matrix(bits, bits_stride, 1), matrix(inside, inside_stride, 1)},
        .threshold = threshold,
        .estimate = {.clip = clip}};
    return run(HT_SIGN_PACK_INSIDE, &task, options);
}

ht_status ht_sign_gradient_clipped_f32(size_t rows, size_t columns, const uint64_t *inside, size_t inside_stride,
                                       const float *dy, size_t dy_stride, float *dx, size_t dx_stride,
                                       const ht_options *options) {
    ht_sign_task task = {
        .rows = rows,
        .columns = columns,
        .operand = {matrix(inside, inside_stride, 1), matrix(dy, dy_stride, 32), matrix(dx, dx_stride, 32)}};
    return run(HT_SIGN_GRADIENT_INSIDE, &task, options);
}

ht_status ht_sign_pack_periodic_f32(size_t rows, size_t columns, float frequency, const float *x, size_t x_stride,
                                    uint64_t *bits, size_t bits_stride, const ht_options *options) {
    const ht_sign_estimator estimator = {.kind = HT_SIGN_BIPER, .frequency = frequency};
    ht_sign_task task = {
        .rows = rows, .columns = columns, .operand = {matrix(x, x_stride, 32), matrix(bits, bits_stride, 1)}};
    const ht_status status = make_estimate(&estimator, &task.estimate);
    return status ? status : run(HT_SIGN_PACK_WAVE, &task, options);
}
