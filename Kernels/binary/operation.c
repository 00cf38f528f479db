// SPDX-License-Identifier: Apache-2.0
// What products and convolutions with signs have in common: checks of the operands, the choice of the kernel, the split
// over threads; and their public face.
#include <string.h>

#include "core/operands.h"
#include "core/threads.h"
#include "depthwise.h"
#include "designs.h"
#include "halftone/binary_conv.h"
#include "lookup.h"
#include "tiles.h"

const ht_entry ht_binary_gemm_table[] = {
#if defined(__x86_64__)
    {"binary_gemm", HT_ISA_AVX512_POPCNT, (ht_fn)ht_binary_gemm_avx512popcnt},
    {"binary_gemm", HT_ISA_AVX512, (ht_fn)ht_binary_gemm_avx512},
    {"binary_gemm", HT_ISA_AVX2, (ht_fn)ht_binary_gemm_avx2},
#elif defined(__aarch64__)
    {"binary_gemm", HT_ISA_NEON_DOTPROD, (ht_fn)ht_binary_gemm_neondot},
    {"binary_gemm", HT_ISA_NEON, (ht_fn)ht_binary_gemm_neon},
#endif
    {"binary_gemm", HT_ISA_REF, (ht_fn)ht_binary_gemm_ref},
    {0},
};

const ht_entry ht_binary_gemm_f32_table[] = {
#if defined(__x86_64__)
    {"binary_gemm_f32", HT_ISA_AVX512, (ht_fn)ht_binary_gemm_f32_avx512},
    {"binary_gemm_f32", HT_ISA_AVX2, (ht_fn)ht_binary_gemm_f32_avx2},
#elif defined(__aarch64__)
    {"binary_gemm_f32", HT_ISA_NEON, (ht_fn)ht_binary_gemm_f32_neon},
#endif
    {"binary_gemm_f32", HT_ISA_REF, (ht_fn)ht_binary_gemm_f32_ref},
    {0},
};

const ht_entry ht_binary_gemm_i8_table[] = {
#if defined(__x86_64__)
    {"binary_gemm_i8", HT_ISA_AVX512, (ht_fn)ht_binary_gemm_i8_avx512},
    {"binary_gemm_i8", HT_ISA_AVX2, (ht_fn)ht_binary_gemm_i8_avx2},
#elif defined(__aarch64__)
    {"binary_gemm_i8", HT_ISA_NEON, (ht_fn)ht_binary_gemm_i8_neon},
#endif
    {"binary_gemm_i8", HT_ISA_REF, (ht_fn)ht_binary_gemm_i8_ref},
    {0},
};

#define SET(dtype) (1u << HT_DTYPE_##dtype)

// What tells the products apart.
typedef struct product {
    const ht_entry *table;
    ht_dtype x, y;
    unsigned outputs;  // set of types
    ht_status (*scratch)(const ht_binary_layout *layout, const ht_conv *conv, size_t t,
                         size_t *bytes);  // of one thread
} product;

enum {
    reals = SET(F32) | SET(BF16),
    of_bytes = reals | SET(I32) | SET(U8) | SET(I8),
    of_bits = of_bytes | SET(I16) | SET(B1)
};

static const product products[] = {
    {ht_binary_gemm_table, HT_DTYPE_B1, HT_DTYPE_I32, of_bits, ht_binary_bits_scratch},
    {ht_binary_gemm_table, HT_DTYPE_U1, HT_DTYPE_I32, of_bits, ht_binary_bits_scratch},
    {ht_binary_gemm_f32_table, HT_DTYPE_F32, HT_DTYPE_F32, reals, ht_lookup_scratch_f32},
    {ht_binary_gemm_i8_table, HT_DTYPE_I8, HT_DTYPE_I32, of_bytes, ht_lookup_scratch_i8},
};

static const product *product_of(ht_dtype x) {
    for (size_t i = 0; i < sizeof products / sizeof *products; i++)
        if (products[i].x == x) return &products[i];
    return NULL;
}

static bool is_bits(ht_dtype dtype) { return dtype == HT_DTYPE_B1 || dtype == HT_DTYPE_U1; }

// Y = epilogue(X * transpose(W)), where X may be an image. Unchecked, as the caller gives it.
typedef struct operation {
    const product *product;
    size_t t;  // samples of Y,
    size_t x_samples;  // and of X
    size_t outputs, inputs;  // of all groups
    const ht_conv *conv;  // or null
    const void *x;
    size_t x_stride;
    const void *packed;
    size_t packed_size;
    const ht_epilogue *epilogue;
    void *y;
    size_t y_stride;
    const ht_options *options;  // never null
} operation;

static size_t groups_of(const operation *op) { return op->conv ? op->conv->shape.groups : 1; }

// MARK: what kernels ask for

bool ht_binary_x_pixel(const ht_binary_task *task, size_t t, size_t tap, size_t *pixel) {
    *pixel = t;
    if (!task->conv) return true;
    const ht_conv *conv = task->conv;
    const ht_conv_shape *s = &conv->shape;
    const size_t column = t % conv->out_width, row = t / conv->out_width % conv->out_height;
    const size_t image = t / conv->out_width / conv->out_height;
    // Modulo 2^n: a place in front of the image is a large number.
    const size_t y = row * s->stride_y + tap / s->kernel_width * s->dilation_y - s->pad_top;
    const size_t x = column * s->stride_x + tap % s->kernel_width * s->dilation_x - s->pad_left;
    *pixel = (image * s->height + y) * s->width + x;
    return y < s->height && x < s->width;
}

void *ht_binary_y(const ht_binary_task *task, size_t t, size_t column) {
    return ht_element(task->y, task->y_stride, task->y_order, ht_dtype_size(task->y_dtype), t, column);
}

const void *ht_binary_residual(const ht_binary_task *task, size_t t, size_t column) {
    const ht_epilogue *e = &task->epilogue;
    const size_t size = ht_dtype_size(ht_residual_dtype(task->y_dtype));
    return e->residual ? ht_element(e->residual, e->residual_stride, task->y_order, size, t, column) : NULL;
}

// MARK: checks

static ht_status check_options(const operation *op, const ht_entry **entry, int *threads) {
    const ht_options *options = op->options;
    if (options->threads < 0) return HT_ERROR_THREADS;
    if ((unsigned)options->binary_design > HT_BINARY_TREE) return HT_ERROR_DESIGN;
    *threads = ht_resolve_threads(options->threads);
    return ht_pick(op->product->table, options->isa, entry);
}

static bool has_shape(const ht_binary_layout *l, const operation *op) {
    const size_t groups = groups_of(op);
    const size_t height = op->conv ? op->conv->shape.kernel_height : 1;
    const size_t width = op->conv ? op->conv->shape.kernel_width : 1;
    return l->of.outputs == op->outputs / groups && l->of.tap_columns == op->inputs / groups &&
           l->of.kernel_height == height && l->of.kernel_width == width;
}

// The layout of the first group's blob; all groups have the same.
static ht_status check_weights(const operation *op, ht_binary_layout *l) {
    ht_status status = ht_binary_layout_open(op->packed, op->packed_size, l);
    if (status) return status;
    if (!has_shape(l, op)) return HT_ERROR_BLOB_SHAPE;
    return ht_binary_layout_check_groups(l, op->packed, op->packed_size, groups_of(op));
}

// Rows of bits, or a matrix of elements.
static ht_status check_matrix(const void *data, size_t rows, size_t columns, ht_dtype dtype, ht_order order,
                              size_t *stride) {
    if (!is_bits(dtype)) return ht_check_activations(data, rows, columns, dtype, order, stride);
    if (order != HT_ORDER_ROWS) return HT_ERROR_STRIDE;
    return ht_check_bits(data, rows, columns, stride);
}

static ht_status check_windows(const operation *op, ht_binary_task *task) {
    ht_status status = ht_check_window(task->t_begin, &task->t_end, op->t, 1);
    if (!status) status = ht_check_window(task->o_begin, &task->o_end, op->outputs, HT_BINARY_BLOCK);
    if (status || groups_of(op) == 1) return status;
    return task->o_begin != 0 || task->o_end != op->outputs ? HT_ERROR_WINDOW : HT_OK;
}

static ht_status check_epilogue(const operation *op, ht_binary_task *task) {
    const ht_output_shape y = {op->t, op->outputs, task->y_dtype, task->y_order, task->o_begin, task->o_end};
    const bool knows = (unsigned)task->y_dtype < 32 && op->product->outputs >> task->y_dtype & 1;
    if (!knows) return HT_ERROR_EPILOGUE;
    if (task->y_dtype == HT_DTYPE_I16 && task->layout->taps * task->layout->of.tap_columns > INT16_MAX)
        return HT_ERROR_EPILOGUE;
    return ht_check_epilogue(&task->epilogue, task->x_dtype, &y);
}

// Only signs have pixels that are all +1 or -1, and images lie in rows.
static ht_status check_image(const operation *op, const ht_binary_task *task) {
    if (!op->conv) return HT_OK;
    if (op->conv->shape.padding != HT_PADDING_ZERO && task->x_dtype != HT_DTYPE_B1) return HT_ERROR_CONV;
    return task->x_order == HT_ORDER_ROWS ? HT_OK : HT_ERROR_STRIDE;
}

// MARK: groups

// Kernels read whole words, so the groups of an image whose bits do not begin at one are moved apart first.
static bool needs_regrouping(const operation *op, const ht_binary_layout *l) {
    return op->product->x == HT_DTYPE_B1 && groups_of(op) > 1 && l->of.tap_columns % HT_BINARY_WORD != 0;
}

static size_t regrouped_stride(const operation *op, const ht_binary_layout *l) {
    return ht_round_up(groups_of(op) * l->tap_words * sizeof(uint32_t), sizeof(uint64_t));
}

typedef struct regrouping {
    const operation *op;
    const ht_binary_layout *layout;
    size_t x_stride;  // of X, and
    char *to;  // of the copy:
    size_t to_stride;
} regrouping;

static void regroup_pixel(void *context, size_t pixel) {
    const regrouping *r = context;
    const ht_binary_layout *l = r->layout;
    const uint64_t *from = (const uint64_t *)((const char *)r->op->x + pixel * r->x_stride);
    uint32_t *to = (uint32_t *)(void *)(r->to + pixel * r->to_stride);
    for (size_t group = 0; group < groups_of(r->op); group++)
        for (size_t word = 0; word < l->tap_words; word++) {
            const size_t first = word * HT_BINARY_WORD, count = ht_min(HT_BINARY_WORD, l->of.tap_columns - first);
            *to++ = ht_bits_at(from, group * l->of.tap_columns + first, count);
        }
}

static void regroup(const operation *op, ht_binary_task *task, char *to, int threads) {
    regrouping r = {op, task->layout, task->x_stride, to, regrouped_stride(op, task->layout)};
    ht_each_row(regroup_pixel, &r, op->x_samples, threads);
    task->x = to;
    task->x_stride = r.to_stride;
}

static ht_binary_task task_of_group(const operation *op, const ht_binary_task *whole, size_t group) {
    ht_binary_task task = *whole;
    const ht_binary_layout *l = whole->layout;
    if (groups_of(op) == 1) return task;
    task.packed = (const char *)task.packed + group * l->bytes;
    task.x_first = group * (needs_regrouping(op, l) ? l->tap_words * HT_BINARY_WORD : l->of.tap_columns);
    task.y_first = group * l->of.outputs;
    task.o_begin = 0;
    task.o_end = l->of.outputs;
    return task;
}

// MARK: splitting

typedef struct split {
    const operation *op;
    ht_binary_task whole;
    ht_binary_kernel *kernel;
    bool depthwise;  // all groups at once
    size_t row_pieces, column_pieces;
    size_t scratch_each;
} split;

// The most that one of `pieces` gets of `size` cut at multiples of `grain`.
static size_t largest_piece(size_t size, size_t pieces, size_t grain) {
    return ht_min(size, ht_ceil_div(ht_ceil_div(size, grain), pieces) * grain);
}

// By rows, so that the weights of a block serve many, or by columns if the threads' shares are more alike so.
static void choose_pieces(split *s, int threads) {
    const size_t n = (size_t)threads, rows = s->whole.t_end - s->whole.t_begin;
    const size_t columns = s->whole.o_end - s->whole.o_begin;
    const double of_rows = (double)largest_piece(rows, n, HT_BINARY_ROWS) * (double)columns;
    const double of_columns = (double)largest_piece(columns, n, HT_BINARY_COLUMNS) * (double)rows;
    const bool together = groups_of(s->op) > 1 || s->whole.layout->of.design == HT_BINARY_TREE;
    const bool by_rows = of_rows <= of_columns || together;
    s->row_pieces = by_rows ? ht_max(1, ht_min(n, ht_ceil_div(rows, HT_BINARY_ROWS))) : 1;
    s->column_pieces = by_rows ? 1 : ht_min(n, ht_ceil_div(columns, HT_BINARY_COLUMNS));
}

// Bits behind the last column, of which kernels write what they like up to a multiple of 16 or nothing. By bytes: other
// threads may be at work on the same word.
static void clear_tails(const operation *op, const ht_binary_task *share) {
    const size_t begin = op->outputs / 8, bytes = ht_bit_words(op->outputs) * sizeof(uint64_t) - begin;
    if (share->y_dtype != HT_DTYPE_B1 || share->o_end != op->outputs || bytes == 0) return;
    for (size_t t = share->t_begin; t < share->t_end; t++) {
        uint8_t *last = (uint8_t *)share->y + t * share->y_stride + begin;
        const uint8_t present = (uint8_t)(*last & ((1u << op->outputs % 8) - 1));
        memset(last, 0, bytes);
        *last = present;
    }
}

static void run_piece(void *context, size_t piece) {
    const split *s = context;
    ht_binary_task share = s->whole;
    ht_cut(&share.t_begin, &share.t_end, piece / s->column_pieces, s->row_pieces, HT_BINARY_ROWS);
    ht_cut(&share.o_begin, &share.o_end, piece % s->column_pieces, s->column_pieces, HT_BINARY_COLUMNS);
    if (share.t_begin == share.t_end || share.o_begin == share.o_end) return;
    share.scratch = (char *)share.scratch + piece * s->scratch_each;
    if (s->depthwise) ht_binary_depthwise_run(&share);
    for (size_t group = 0; group < groups_of(s->op) && !s->depthwise; group++) {
        const ht_binary_task task = task_of_group(s->op, &share, group);
        s->kernel(&task);
    }
    clear_tails(s->op, &share);
}

// Of one thread, and of the copy of X in front of those of all.
static ht_status plan_scratch(const operation *op, const ht_binary_layout *l, size_t rows, size_t pieces, size_t *each,
                              size_t *copy, size_t *bytes) {
    *copy = 0;
    ht_status status = op->product->scratch(l, op->conv, rows, each);
    if (status) return status;
    if (ht_binary_depthwise_applies(l, op->conv, op->product->x, HT_DTYPE_B1))
        *each = ht_max(*each, ht_binary_depthwise_scratch(l, op->conv));
    *each = ht_round_up(*each, HT_ALIGNMENT);
    if (needs_regrouping(op, l) && !ht_mul(op->x_samples, regrouped_stride(op, l), copy)) return HT_ERROR_OVERFLOW;
    *copy = ht_round_up(*copy, HT_ALIGNMENT);
    return ht_mul(*each, pieces, bytes) && ht_add(*bytes, *copy, bytes) ? HT_OK : HT_ERROR_OVERFLOW;
}

static ht_status scratch_size(const operation *op, size_t *size) {
    ht_binary_layout l;
    const ht_entry *entry;
    int threads;
    size_t each, copy;
    if (!size) return HT_ERROR_NULL;
    ht_status status = check_options(op, &entry, &threads);
    if (!status) status = op->conv ? check_weights(op, &l) : ht_binary_layout_open(op->packed, op->packed_size, &l);
    return status ? status : plan_scratch(op, &l, op->t, (size_t)threads, &each, &copy, size);
}

static ht_status run(const operation *op, const ht_binary_task *task, const ht_entry *entry, int threads) {
    split s = {.op = op, .whole = *task, .kernel = (ht_binary_kernel *)entry->kernel};
    s.depthwise =
        entry->isa != HT_ISA_REF && ht_binary_depthwise_applies(task->layout, op->conv, task->x_dtype, task->y_dtype);
    choose_pieces(&s, threads);
    size_t copy, bytes;
    ht_status status = plan_scratch(op, task->layout, task->t_end - task->t_begin, s.row_pieces * s.column_pieces,
                                    &s.scratch_each, &copy, &bytes);
    void *memory, *own;
    if (!status) status = ht_take_scratch(op->options, bytes, &memory, &own);
    if (status) return status;
    if (needs_regrouping(op, task->layout) && !s.depthwise) regroup(op, &s.whole, memory, threads);
    s.whole.scratch = memory ? (char *)memory + copy : NULL;
    ht_parallel(run_piece, &s, s.row_pieces * s.column_pieces, threads);
    ht_free(own);
    return HT_OK;
}

static ht_status check_and_run(const operation *op) {
    const ht_options *options = op->options;
    ht_binary_layout layout;
    const ht_entry *entry;
    int threads;
    ht_binary_task task = {.layout = &layout,
                           .packed = op->packed,
                           .conv = op->conv,
                           .x = op->x,
                           .x_stride = op->x_stride,
                           .x_dtype = op->product->x,
                           .x_order = options->x_order,
                           .y = op->y,
                           .y_stride = op->y_stride,
                           .y_dtype = op->epilogue && op->epilogue->output ? op->epilogue->output : op->product->y,
                           .y_order = options->y_order,
                           .design = options->binary_design,
                           .t_begin = options->row_begin,
                           .t_end = options->row_end,
                           .o_begin = options->column_begin,
                           .o_end = options->column_end};
    if (op->epilogue) task.epilogue = *op->epilogue;
    task.epilogue.output = task.y_dtype;
    ht_status status = check_options(op, &entry, &threads);
    if (!status) status = check_weights(op, &layout);
    if (!status) status = check_windows(op, &task);
    if (!status) status = check_image(op, &task);
    if (!status) status = check_matrix(op->x, op->x_samples, op->inputs, task.x_dtype, task.x_order, &task.x_stride);
    if (!status) status = check_epilogue(op, &task);
    if (!status) status = check_matrix(op->y, op->t, op->outputs, task.y_dtype, task.y_order, &task.y_stride);
    if (status || task.t_begin == task.t_end || task.o_begin == task.o_end) return status;
    return run(op, &task, entry, threads);
}

// MARK: the public face

static const ht_options defaults;

static operation matrix_product(ht_dtype x, size_t t, size_t outputs, size_t inputs, const ht_options *options) {
    return (operation){.product = product_of(x),
                       .t = t,
                       .x_samples = t,
                       .outputs = outputs,
                       .inputs = inputs,
                       .options = options ? options : &defaults};
}

ht_status ht_binary_gemm_scratch_size(size_t t, ht_dtype x, const void *packed, size_t packed_size,
                                      const ht_options *options, size_t *size) {
    operation op = matrix_product(x, t, 0, 0, options);
    op.packed = packed;
    op.packed_size = packed_size;
    return op.product ? scratch_size(&op, size) : HT_ERROR_BLOB_DTYPE;
}

#define DEFINE_GEMM(suffix, x_type, dtype)                                                                          \
    ht_status ht_binary_gemm_##suffix(size_t t, size_t outputs, size_t inputs, const x_type *x, size_t x_stride,    \
                                      const void *packed, size_t packed_size, const ht_epilogue *epilogue, void *y, \
                                      size_t y_stride, const ht_options *options) {                                 \
        operation op = matrix_product(dtype, t, outputs, inputs, options);                                          \
        SET_OPERANDS(op);                                                                                           \
        return check_and_run(&op);                                                                                  \
    }

#define SET_OPERANDS(op)                \
    do {                                \
        (op).x = x;                     \
        (op).x_stride = x_stride;       \
        (op).packed = packed;           \
        (op).packed_size = packed_size; \
        (op).epilogue = epilogue;       \
        (op).y = y;                     \
        (op).y_stride = y_stride;       \
    } while (0)

DEFINE_GEMM(b1, uint64_t, HT_DTYPE_B1)
DEFINE_GEMM(u1, uint64_t, HT_DTYPE_U1)
DEFINE_GEMM(f32, float, HT_DTYPE_F32)
DEFINE_GEMM(i8, int8_t, HT_DTYPE_I8)

// `conv` lasts as long as the operation.
static ht_status convolution(ht_dtype x, const ht_conv_shape *shape, const ht_options *options, ht_conv *conv,
                             operation *op) {
    ht_status status = ht_conv_make(shape, conv);
    *op = (operation){.product = product_of(x),
                      .t = conv->y_pixels,
                      .x_samples = conv->x_pixels,
                      .outputs = conv->shape.outputs,
                      .inputs = conv->shape.channels,
                      .conv = conv,
                      .options = options ? options : &defaults};
    return status || op->product ? status : HT_ERROR_BLOB_DTYPE;
}

ht_status ht_binary_conv_scratch_size(const ht_conv_shape *shape, ht_dtype x, const void *packed, size_t packed_size,
                                      const ht_options *options, size_t *size) {
    ht_conv conv = {0};
    operation op;
    ht_status status = convolution(x, shape, options, &conv, &op);
    op.packed = packed;
    op.packed_size = packed_size;
    return status ? status : scratch_size(&op, size);
}

#define DEFINE_CONV(suffix, x_type, dtype)                                                                          \
    ht_status ht_binary_conv_##suffix(const ht_conv_shape *shape, const x_type *x, size_t x_stride,                 \
                                      const void *packed, size_t packed_size, const ht_epilogue *epilogue, void *y, \
                                      size_t y_stride, const ht_options *options) {                                 \
        ht_conv conv = {0};                                                                                         \
        operation op;                                                                                               \
        ht_status status = convolution(dtype, shape, options, &conv, &op);                                          \
        SET_OPERANDS(op);                                                                                           \
        return status ? status : check_and_run(&op);                                                                \
    }

DEFINE_CONV(b1, uint64_t, HT_DTYPE_B1)
DEFINE_CONV(f32, float, HT_DTYPE_F32)
DEFINE_CONV(i8, int8_t, HT_DTYPE_I8)
