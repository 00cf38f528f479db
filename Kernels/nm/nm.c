// SPDX-License-Identifier: Apache-2.0
// The product's public face: checks the arguments, picks the row of the table, splits the output over threads.
#include "core/threads.h"
#include "kernels.h"
#include "panels.h"

const ht_entry ht_nm_gemm_f32_table[] = {
#if defined(__x86_64__)
    {"nm_gemm_f32", HT_ISA_AVX512, (ht_fn)ht_nm_gemm_f32_avx512},
    {"nm_gemm_f32", HT_ISA_AVX2, (ht_fn)ht_nm_gemm_f32_avx2},
#endif
    {"nm_gemm_f32", HT_ISA_REF, (ht_fn)ht_nm_gemm_f32_ref},
    {0},
};

// Columns of Y come in strips of 16, and windows and threads are cut there.
enum { strip = 16 };

static ht_status check_window(size_t begin, size_t *end, size_t size, size_t multiple) {
    if (*end == 0) *end = size;
    if (begin > *end || *end > size) return HT_ERROR_WINDOW;
    return begin % multiple || (*end % multiple && *end != size) ? HT_ERROR_WINDOW : HT_OK;
}

static ht_status check_options(const ht_options *options, const ht_entry **entry, int *threads) {
    if (options->threads < 0) return HT_ERROR_THREADS;
    *threads = ht_resolve_threads(options->threads);
    return ht_pick(ht_nm_gemm_f32_table, options->isa, entry);
}

ht_status ht_nm_gemm_f32_scratch_size(size_t t, size_t o, size_t k, size_t n, size_t m, const ht_options *options,
                                      size_t *size) {
    static const ht_options defaults;
    ht_nm_layout layout;
    const ht_entry *entry;
    int threads;
    if (!size) return HT_ERROR_NULL;
    ht_status status = check_options(options ? options : &defaults, &entry, &threads);
    if (!status) status = ht_nm_layout_make(o, k, n, m, &layout);
    size_t each;
    if (!status) status = ht_nm_panels_scratch(&layout, t, &each);
    if (status) return status;
    // Y is cut along rows or along columns, see choose_pieces.
    size_t rows = ht_ceil_div(t, strip), columns = ht_ceil_div(o, strip);
    size_t pieces = ht_min((size_t)threads, rows > columns ? rows : columns);
    return ht_mul(each, pieces, size) ? HT_OK : HT_ERROR_OVERFLOW;
}

// A product cut into rows x columns pieces of Y.
typedef struct split {
    ht_nm_gemm_f32_task whole;
    ht_nm_gemm_f32_kernel *kernel;
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
    ht_nm_gemm_f32_task task = s->whole;
    cut(&task.t_begin, &task.t_end, piece / s->column_pieces, s->row_pieces, strip);
    cut(&task.o_begin, &task.o_end, piece % s->column_pieces, s->column_pieces, strip);
    task.scratch = (char *)task.scratch + piece * s->scratch_each;
    s->kernel(&task);
}

// Rows first: each thread then packs only its own part of X. Columns when there are too few rows to keep all busy.
static void choose_pieces(split *s, int threads) {
    size_t rows = s->whole.t_end - s->whole.t_begin, columns = s->whole.o_end - s->whole.o_begin, n = (size_t)threads;
    bool by_rows = rows >= n * HT_NM_PANEL_ROWS || rows >= columns;
    s->row_pieces = by_rows ? ht_min(n, ht_ceil_div(rows, strip)) : 1;
    s->column_pieces = by_rows ? 1 : ht_min(n, ht_ceil_div(columns, strip));
}

ht_status ht_nm_gemm_f32(size_t t, size_t o, size_t k, const float *x, size_t x_stride, const void *packed,
                         size_t packed_size, const ht_epilogue *epilogue, float *y, size_t y_stride,
                         const ht_options *options) {
    static const ht_options defaults;
    const ht_options *opt = options ? options : &defaults;
    ht_nm_layout layout;
    const ht_entry *entry;
    int threads;
    ht_nm_gemm_f32_task task = {.layout = &layout,
                                .packed = packed,
                                .x = x,
                                .x_stride = x_stride,
                                .y = y,
                                .y_stride = y_stride,
                                .t_begin = opt->row_begin,
                                .t_end = opt->row_end,
                                .o_begin = opt->column_begin,
                                .o_end = opt->column_end};
    if (epilogue) task.epilogue = *epilogue;

    ht_status status = check_options(opt, &entry, &threads);
    if (!status) status = ht_nm_layout_open(packed, packed_size, &layout);
    if (!status && (layout.rows != o || layout.columns != k)) status = HT_ERROR_BLOB_SHAPE;
    if (!status) status = ht_check_matrix(x, t, k, sizeof *x, &task.x_stride);
    if (!status) status = ht_check_matrix(y, t, o, sizeof *y, &task.y_stride);
    if (!status) status = check_window(task.t_begin, &task.t_end, t, 1);
    if (!status) status = check_window(task.o_begin, &task.o_end, o, strip);
    if (!status && (unsigned)task.epilogue.activation > HT_ACTIVATION_RELU) status = HT_ERROR_EPILOGUE;
    if (!status && !ht_is_aligned(task.epilogue.bias, sizeof(float))) status = HT_ERROR_ALIGNMENT;
    if (status || task.t_begin == task.t_end || task.o_begin == task.o_end) return status;

    split s = {.whole = task, .kernel = (ht_nm_gemm_f32_kernel *)entry->kernel};
    choose_pieces(&s, threads);
    size_t pieces = s.row_pieces * s.column_pieces, bytes;
    if ((status = ht_nm_panels_scratch(&layout, t, &s.scratch_each))) return status;
    if (!ht_mul(s.scratch_each, pieces, &bytes)) return HT_ERROR_OVERFLOW;
    if (opt->scratch && !ht_is_aligned(opt->scratch, HT_ALIGNMENT)) return HT_ERROR_ALIGNMENT;
    if (opt->scratch && opt->scratch_size < bytes) return HT_ERROR_BUFFER_SIZE;
    s.whole.scratch = opt->scratch ? opt->scratch : ht_allocate(bytes);
    if (!s.whole.scratch) return HT_ERROR_MEMORY;
    ht_parallel(run_piece, &s, pieces, threads);
    if (!opt->scratch) ht_free(s.whole.scratch);
    return HT_OK;
}
