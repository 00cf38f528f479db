// SPDX-License-Identifier: Apache-2.0
// The products' public face: checks the arguments, picks the row of the table, splits the output over threads.
#include <math.h>

#include "bf16.h"
#include "core/threads.h"
#include "i8.h"
#include "kernels.h"
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

static ht_status check_weights(const product *p, const void *packed, size_t packed_size, ht_nm_layout *layout) {
    ht_status status = ht_nm_layout_open(packed, packed_size, layout);
    return status || contains(p->weights, layout->dtype) ? status : HT_ERROR_BLOB_DTYPE;
}

// A matrix of `samples` rows of `features` values, or the other way round.
static ht_status check_activations(const void *data, size_t samples, size_t features, ht_dtype dtype, ht_order order,
                                   size_t *stride) {
    if ((unsigned)order > HT_ORDER_FEATURES) return HT_ERROR_STRIDE;
    bool by_rows = order == HT_ORDER_ROWS;
    return ht_check_matrix(data, by_rows ? samples : features, by_rows ? features : samples, ht_dtype_size(dtype),
                           stride);
}

static ht_status check_window(size_t begin, size_t *end, size_t size, size_t multiple) {
    if (*end == 0) *end = size;
    if (begin > *end || *end > size) return HT_ERROR_WINDOW;
    return begin % multiple || (*end % multiple && *end != size) ? HT_ERROR_WINDOW : HT_OK;
}

static bool in_range(int32_t value, ht_dtype dtype) {
    return dtype == HT_DTYPE_U8 ? 0 <= value && value <= 255 : -128 <= value && value <= 127;
}

static bool is_byte(ht_dtype dtype) { return dtype == HT_DTYPE_U8 || dtype == HT_DTYPE_I8; }

static ht_status check_dyadic(const ht_nm_task *task) {
    const ht_epilogue *e = &task->epilogue;
    const ht_quantization *q = e->quantization;
    if (!q->shift) return HT_ERROR_NULL;
    if (!ht_is_aligned(q->multiplier, 4) || !ht_is_aligned(q->offset, 4)) return HT_ERROR_ALIGNMENT;
    if (!is_byte(task->y_dtype) || e->bias || e->residual || e->activation > HT_ACTIVATION_RELU || q->scale)
        return HT_ERROR_EPILOGUE;
    for (size_t o = task->o_begin; o < task->o_end; o++)
        if (q->multiplier[o] < 0 || q->shift[o] < 1 || q->shift[o] > 62) return HT_ERROR_EPILOGUE;
    return HT_OK;
}

static ht_status check_quantization(const ht_nm_task *task) {
    const ht_quantization *q = task->epilogue.quantization;
    if (!is_byte(task->x_dtype)) return HT_ERROR_EPILOGUE;
    if (!in_range(q->x_zero, task->x_dtype)) return HT_ERROR_EPILOGUE;
    if (is_byte(task->y_dtype) && !in_range(q->y_zero, task->y_dtype)) return HT_ERROR_EPILOGUE;
    if (!(q->y_scale >= 0 && q->y_scale < INFINITY)) return HT_ERROR_EPILOGUE;
    if (!ht_is_aligned(q->scale, sizeof(float))) return HT_ERROR_ALIGNMENT;
    if (q->multiplier) return check_dyadic(task);
    return q->shift || q->offset || (task->y_dtype == HT_DTYPE_I32 && q->scale) ? HT_ERROR_EPILOGUE : HT_OK;
}

static ht_dtype residual_dtype(const ht_nm_task *task) {
    return task->y_dtype == HT_DTYPE_BF16 ? HT_DTYPE_BF16 : HT_DTYPE_F32;
}

static ht_status check_epilogue(const product *p, ht_nm_task *task, size_t t, size_t o) {
    ht_epilogue *e = &task->epilogue;
    if (!contains(p->outputs, task->y_dtype)) return HT_ERROR_EPILOGUE;
    if ((unsigned)e->activation > HT_ACTIVATION_GELU) return HT_ERROR_EPILOGUE;
    if (e->activation == HT_ACTIVATION_CLAMP && !(e->low <= e->high)) return HT_ERROR_EPILOGUE;
    if (task->y_dtype == HT_DTYPE_I32 && (e->bias || e->residual || e->activation)) return HT_ERROR_EPILOGUE;
    if (!ht_is_aligned(e->bias, sizeof(float))) return HT_ERROR_ALIGNMENT;
    if (e->residual) {
        ht_status status =
            check_activations(e->residual, t, o, residual_dtype(task), task->y_order, &e->residual_stride);
        if (status) return status;
    }
    return e->quantization ? check_quantization(task) : HT_OK;
}

// MARK: splitting

// A product cut into rows x columns pieces of Y.
typedef struct split {
    ht_nm_task whole;
    ht_nm_gemm_kernel *kernel;
    size_t row_pieces, column_pieces;
    size_t scratch_each;
} split;

// The part-th of `parts` nearly equal ranges of begin ..< end, cut at multiples of `grain` counted from begin.
static void cut(size_t *begin, size_t *end, size_t part, size_t parts, size_t grain) {
    size_t grains = ht_ceil_div(*end - *begin, grain), from = *begin;
    *begin = ht_min(*end, from + grains * part / parts * grain);
    *end = ht_min(*end, from + grains * (part + 1) / parts * grain);
}

static void run_piece(void *context, size_t piece) {
    const split *s = context;
    ht_nm_task task = s->whole;
    cut(&task.t_begin, &task.t_end, piece / s->column_pieces, s->row_pieces, HT_NM_STRIP);
    cut(&task.o_begin, &task.o_end, piece % s->column_pieces, s->column_pieces, HT_NM_STRIP);
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

ht_status ht_nm_gemm_scratch_size(size_t t, ht_dtype x, const void *packed, size_t packed_size,
                                  const ht_options *options, size_t *size) {
    static const ht_options defaults;
    const product *p = product_of(x);
    ht_nm_layout layout;
    const ht_entry *entry;
    int threads;
    size_t each;
    if (!size) return HT_ERROR_NULL;
    if (!p) return HT_ERROR_BLOB_DTYPE;
    ht_status status = check_options(p, options ? options : &defaults, &entry, &threads);
    if (!status) status = check_weights(p, packed, packed_size, &layout);
    if (!status) status = p->scratch(&layout, t, &each);
    if (status) return status;
    // Y is cut along rows or along columns, see ht_nm_choose_pieces.
    size_t rows = ht_ceil_div(t, HT_NM_STRIP), columns = ht_ceil_div(layout.rows, HT_NM_STRIP);
    size_t pieces = ht_min((size_t)threads, rows > columns ? rows : columns);
    return ht_mul(each, pieces, size) ? HT_OK : HT_ERROR_OVERFLOW;
}

static ht_status run(const product *p, const ht_nm_task *task, const ht_entry *entry, int threads,
                     const ht_options *options) {
    split s = {.whole = *task, .kernel = (ht_nm_gemm_kernel *)entry->kernel};
    ht_nm_choose_pieces(task->t_end - task->t_begin, task->o_end - task->o_begin, threads, &s.row_pieces,
                        &s.column_pieces);
    size_t pieces = s.row_pieces * s.column_pieces, bytes;
    ht_status status = p->scratch(task->layout, task->t_end - task->t_begin, &s.scratch_each);
    if (status) return status;
    if (!ht_mul(s.scratch_each, pieces, &bytes)) return HT_ERROR_OVERFLOW;
    if (options->scratch && !ht_is_aligned(options->scratch, HT_ALIGNMENT)) return HT_ERROR_ALIGNMENT;
    if (options->scratch && options->scratch_size < bytes) return HT_ERROR_BUFFER_SIZE;
    s.whole.scratch = options->scratch ? options->scratch : ht_allocate(bytes);
    if (!s.whole.scratch) return HT_ERROR_MEMORY;
    ht_parallel(run_piece, &s, pieces, threads);
    if (!options->scratch) ht_free(s.whole.scratch);
    return HT_OK;
}

// A single sample without gaps lies the same way in both orders, and kernels have less to do with rows.
static void prefer_rows(ht_nm_task *task) {
    const ht_epilogue *e = &task->epilogue;
    size_t y = ht_dtype_size(task->y_dtype), residual = ht_dtype_size(residual_dtype(task));
    if (task->x_stride == ht_dtype_size(task->x_dtype)) task->x_order = HT_ORDER_ROWS;
    if (task->y_stride == y && (!e->residual || e->residual_stride == residual)) task->y_order = HT_ORDER_ROWS;
}

static ht_status multiply(const product *p, size_t t, size_t o, size_t k, const void *x, size_t x_stride,
                          const void *packed, size_t packed_size, const ht_epilogue *epilogue, void *y, size_t y_stride,
                          const ht_options *options) {
    static const ht_options defaults;
    const ht_options *opt = options ? options : &defaults;
    ht_nm_layout layout;
    const ht_entry *entry;
    int threads;
    ht_nm_task task = {.layout = &layout,
                       .packed = packed,
                       .x = x,
                       .x_stride = x_stride,
                       .x_dtype = p->x,
                       .x_order = opt->x_order,
                       .y = y,
                       .y_stride = y_stride,
                       .y_dtype = epilogue && epilogue->output ? epilogue->output : p->y,
                       .y_order = opt->y_order,
                       .t_begin = opt->row_begin,
                       .t_end = opt->row_end,
                       .o_begin = opt->column_begin,
                       .o_end = opt->column_end};
    if (epilogue) task.epilogue = *epilogue;
    task.epilogue.output = task.y_dtype;

    ht_status status = check_options(p, opt, &entry, &threads);
    if (!status) status = check_weights(p, packed, packed_size, &layout);
    if (!status && (layout.rows != o || layout.columns != k)) status = HT_ERROR_BLOB_SHAPE;
    if (!status) status = check_window(task.t_begin, &task.t_end, t, 1);
    if (!status) status = check_window(task.o_begin, &task.o_end, o, HT_NM_STRIP);
    if (!status) status = check_activations(x, t, k, p->x, task.x_order, &task.x_stride);
    if (!status) status = check_epilogue(p, &task, t, o);
    if (!status) status = check_activations(y, t, o, task.y_dtype, task.y_order, &task.y_stride);
    if (status || task.t_begin == task.t_end || task.o_begin == task.o_end) return status;
    prefer_rows(&task);
    return run(p, &task, entry, threads, opt);
}

#define DEFINE(suffix, x_type, y_type)                                                                                 \
    ht_status ht_nm_gemm_##suffix(size_t t, size_t o, size_t k, const x_type *x, size_t x_stride, const void *packed,  \
                                  size_t packed_size, const ht_epilogue *epilogue, y_type *y, size_t y_stride,         \
                                  const ht_options *options) {                                                         \
        return multiply(&suffix##_product, t, o, k, x, x_stride, packed, packed_size, epilogue, y, y_stride, options); \
    }

DEFINE(f32, float, float)
DEFINE(bf16, uint16_t, void)
DEFINE(u8, uint8_t, void)
DEFINE(i8, int8_t, void)
