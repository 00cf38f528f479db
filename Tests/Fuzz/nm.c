// SPDX-License-Identifier: Apache-2.0
// Bytes become a call of the N:M family. Two kinds of input:
//   products: every kernel row that runs here must give the bits of the reference, and touch nothing but its output;
//   blobs: whatever bytes claim to be a packed matrix, no call reads or writes outside its operands.
// Every buffer has its exact size, so that the address sanitizer sees a single byte too much.
#include <halftone.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../C/types.h"
#include "core/blob.h"
#include "nm/layout.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition)                                                           \
    do {                                                                             \
        if (!(condition)) {                                                          \
            fprintf(stderr, "%s:%d: %s is false\n", __FILE__, __LINE__, #condition); \
            abort();                                                                 \
        }                                                                            \
    } while (0)

// Larger products find nothing new and cost runs.
enum { most_terms = 100000 };

// MARK: the input

typedef struct input {
    const uint8_t *data;
    size_t size;
    uint32_t state;  // makes values when the bytes are used up
} input;

static uint32_t take_byte(input *in) {
    if (in->size) {
        in->size--;
        return *in->data++;
    }
    in->state = in->state * 1664525 + 1013904223;
    return in->state >> 24;
}

static uint32_t take_word(input *in) {
    uint32_t word = 0;
    for (int i = 0; i < 4; i++) word = word << 8 | take_byte(in);
    return word;
}

static size_t take_up_to(input *in, size_t most) {
    uint32_t high = take_byte(in);
    return (high << 8 | take_byte(in)) % (most + 1);
}

// Mostly numbers near 1, some zeros, some of any bits: infinities, NaNs, denormals.
static float take_float(input *in) {
    uint32_t kind = take_byte(in);
    if (kind < 16) return 0;
    if (kind > 24) return (float)((int)kind - 140) / 64;
    uint32_t bits = take_word(in);
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

// MARK: buffers

static void *exactly(size_t bytes, size_t alignment) {
    void *memory = NULL;
    REQUIRE(!posix_memalign(&memory, alignment, bytes));
    return memory;
}

// Lines of numbers, which are rows, or columns where it is feature-major, with a gap but behind the last.
typedef struct matrix {
    void *data;
    size_t rows, columns, stride, bytes, size;
    ht_dtype dtype;
    ht_order order;
} matrix;

static matrix make_matrix(size_t rows, size_t columns, ht_dtype dtype, ht_order order, size_t gap) {
    size_t lines = order == HT_ORDER_ROWS ? rows : columns, length = order == HT_ORDER_ROWS ? columns : rows;
    matrix a = {.rows = rows, .columns = columns, .size = ht_dtype_size(dtype), .dtype = dtype, .order = order};
    a.stride = (length + gap) * a.size;
    a.bytes = lines && length ? (lines - 1) * a.stride + length * a.size : 0;
    a.data = exactly(a.bytes, 16);
    memset(a.data, 0x5a, a.bytes);
    return a;
}

static void *element(const matrix *a, size_t row, size_t column) {
    size_t line = a->order == HT_ORDER_ROWS ? row : column, at = a->order == HT_ORDER_ROWS ? column : row;
    return (char *)a->data + line * a->stride + at * a->size;
}

static void take_value(input *in, void *to, ht_dtype dtype) {
    if (dtype == HT_DTYPE_F32) {
        float value = take_float(in);
        memcpy(to, &value, sizeof value);
    } else if (dtype == HT_DTYPE_F16 || dtype == HT_DTYPE_BF16) {
        // Mostly numbers near 1, like floats.
        uint32_t kind = take_byte(in), one = dtype == HT_DTYPE_F16 ? 0x3c00 : 0x3f80;
        uint16_t bits = (uint16_t)(kind < 16 ? 0 : kind > 24 ? (kind & 1) << 15 | (one + kind) : take_word(in));
        memcpy(to, &bits, sizeof bits);
    } else {
        uint8_t byte = (uint8_t)take_byte(in);
        memcpy(to, &byte, sizeof byte);
    }
}

static matrix take_matrix(input *in, size_t rows, size_t columns, ht_dtype dtype, ht_order order) {
    matrix a = make_matrix(rows, columns, dtype, order, take_byte(in) % 4);
    for (size_t row = 0; row < rows; row++)
        for (size_t column = 0; column < columns; column++) take_value(in, element(&a, row, column), dtype);
    return a;
}

static bool is_nan(const matrix *a, const void *at) {
    uint16_t half[2] = {0, 0};
    memcpy(a->dtype == HT_DTYPE_BF16 ? half + 1 : half, at, a->size);
    uint32_t bits = half[0] | (uint32_t)half[1] << 16;
    return (a->dtype == HT_DTYPE_F32 || a->dtype == HT_DTYPE_BF16) && (bits & 0x7fffffff) > 0x7f800000;
}

// NaNs may differ in their payload.
static bool same(const matrix *a, const matrix *b, size_t row, size_t column) {
    const void *x = element(a, row, column), *y = element(b, row, column);
    return !memcmp(x, y, a->size) || (is_nan(a, x) && is_nan(b, y));
}

// MARK: products

typedef struct product {
    types types;
    size_t t, o, k, n, m;
    matrix w, x, residual;
    float *bias, *scale;
    int32_t *multiplier, *offset;
    uint8_t *shift;
    ht_epilogue epilogue;
    ht_quantization quantization;
    ht_options options;
    void *packed;
    size_t packed_size;
} product;

static void take_window(input *in, product *p) {
    ht_options *options = &p->options;
    options->row_begin = take_up_to(in, p->t);
    options->row_end = options->row_begin + take_up_to(in, p->t - options->row_begin);
    options->column_begin = take_up_to(in, p->o / 16) * 16;
    options->column_end = options->column_begin + take_up_to(in, (p->o - options->column_begin) / 16) * 16;
}

static bool is_inside(const product *p, size_t row, size_t column) {
    const ht_options *options = &p->options;
    return row >= options->row_begin && row < (options->row_end ? options->row_end : p->t) &&
           column >= options->column_begin && column < (options->column_end ? options->column_end : p->o);
}

static ht_status multiply(const matrix *x, const void *packed, size_t size, const ht_epilogue *e, const matrix *y,
                          const ht_options *options) {
    size_t t = x->rows, o = y->columns, k = x->columns;
    switch (x->dtype) {
    case HT_DTYPE_BF16:
        return ht_nm_gemm_bf16(t, o, k, x->data, x->stride, packed, size, e, y->data, y->stride, options);
    case HT_DTYPE_U8: return ht_nm_gemm_u8(t, o, k, x->data, x->stride, packed, size, e, y->data, y->stride, options);
    case HT_DTYPE_I8: return ht_nm_gemm_i8(t, o, k, x->data, x->stride, packed, size, e, y->data, y->stride, options);
    default: return ht_nm_gemm_f32(t, o, k, x->data, x->stride, packed, size, e, y->data, y->stride, options);
    }
}

static void run(const product *p, ht_isa isa, int threads, bool own_scratch, const matrix *y) {
    ht_options options = p->options;
    ht_epilogue epilogue = p->epilogue;
    options.isa = isa;
    options.threads = threads;
    options.y_order = y->order;
    epilogue.output = p->types.y;
    if (p->types.w == HT_DTYPE_I8) epilogue.quantization = &p->quantization;
    if (own_scratch) {
        REQUIRE(!ht_nm_gemm_scratch_size(p->t, p->types.x, p->packed, p->packed_size, &options, &options.scratch_size));
        options.scratch = exactly(options.scratch_size, 64);
    }
    REQUIRE(!multiply(&p->x, p->packed, p->packed_size, &epilogue, y, &options));
    free(options.scratch);
}

static void compare_rows(input *in, const product *p) {
    ht_kernel_info rows[64];
    size_t gap = take_byte(in) % 4, count = ht_kernels(rows, 64);
    REQUIRE(count <= 64);
    matrix reference = make_matrix(p->t, p->o, p->types.y, p->options.y_order, gap);
    matrix fresh = make_matrix(p->t, p->o, p->types.y, p->options.y_order, gap);
    run(p, HT_ISA_REF, 1, false, &reference);
    for (size_t row = 0; row < p->t; row++)
        for (size_t column = 0; column < p->o; column++)
            if (!is_inside(p, row, column))
                REQUIRE(!memcmp(element(&reference, row, column), element(&fresh, row, column), fresh.size));
    size_t found = 0;
    for (size_t i = 0; i < count; i++) {
        if (strcmp(rows[i].op, p->types.op) || !rows[i].runs) continue;
        found++;
        matrix y = make_matrix(p->t, p->o, p->types.y, p->options.y_order, gap);
        run(p, (ht_isa)ht_isa_named(rows[i].isa), 1 + (int)take_byte(in) % 3, take_byte(in) & 1, &y);
        for (size_t row = 0; row < p->t; row++)
            for (size_t column = 0; column < p->o; column++) {
                REQUIRE(same(&y, &reference, row, column));
                memcpy(element(&y, row, column), element(&fresh, row, column), y.size);
            }
        REQUIRE(!memcmp(y.data, fresh.data, y.bytes));  // what is left are the gaps
        free(y.data);
    }
    REQUIRE(found > 0);
    free(reference.data), free(fresh.data);
}

// The functions for each type of weights.
#define WITH_TYPE(w, function, ...)                                       \
    ((w)->dtype == HT_DTYPE_F16    ? ht_nm_##function##_f16(__VA_ARGS__)  \
     : (w)->dtype == HT_DTYPE_BF16 ? ht_nm_##function##_bf16(__VA_ARGS__) \
     : (w)->dtype == HT_DTYPE_I8   ? ht_nm_##function##_i8(__VA_ARGS__)   \
                                   : ht_nm_##function##_f32(__VA_ARGS__))

// Packs W by its magnitude mask; what comes back must be W pruned.
static void pack(product *p) {
    const matrix *w = &p->w;
    const ht_options *options = &p->options;
    size_t mask_stride = (p->k + 7) / 8;
    uint8_t *mask = exactly(p->o * mask_stride, 16);
    matrix pruned = make_matrix(p->o, p->k, w->dtype, HT_ORDER_ROWS, 1);
    matrix back = make_matrix(p->o, p->k, w->dtype, HT_ORDER_ROWS, 2);
    REQUIRE(!WITH_TYPE(w, mask, p->o, p->k, p->n, p->m, w->data, w->stride, mask, 0, options));
    REQUIRE(!WITH_TYPE(w, prune, p->o, p->k, p->n, p->m, w->data, w->stride, pruned.data, pruned.stride, options));
    REQUIRE(!ht_nm_packed_size(p->o, p->k, p->n, p->m, w->dtype, options, &p->packed_size));
    p->packed = exactly(p->packed_size, 64);
    REQUIRE(!WITH_TYPE(w, pack, p->o, p->k, p->n, p->m, w->data, w->stride, mask, mask_stride, p->packed,
                       p->packed_size, options));
    REQUIRE(!ht_nm_packed_check(p->packed, p->packed_size));
    REQUIRE(!ht_nm_unpack(p->o, p->k, p->packed, p->packed_size, back.data, back.stride, NULL));
    for (size_t row = 0; row < p->o; row++)
        for (size_t column = 0; column < p->k; column++) REQUIRE(same(&back, &pruned, row, column));
    free(mask), free(pruned.data), free(back.data);
}

static void take_quantization(input *in, product *p) {
    ht_quantization *q = &p->quantization;
    bool is_byte = p->types.y == HT_DTYPE_U8 || p->types.y == HT_DTYPE_I8;
    q->x_zero = (int32_t)take_byte(in) - (p->types.x == HT_DTYPE_I8 ? 128 : 0);
    if (is_byte) q->y_zero = (int32_t)take_byte(in) - (p->types.y == HT_DTYPE_I8 ? 128 : 0);
    for (size_t i = 0; i < p->o; i++) {
        p->scale[i] = (float)take_byte(in) / 4096;
        p->multiplier[i] = (int32_t)(take_word(in) >> 1);
        p->shift[i] = (uint8_t)(1 + take_byte(in) % 62);
        p->offset[i] = (int32_t)take_word(in);
    }
    uint32_t kind = take_byte(in);
    if (is_byte && kind & 1) {
        q->multiplier = p->multiplier, q->shift = p->shift;
        q->offset = kind & 2 ? p->offset : NULL;
        q->half_away = kind >> 2 & 1;
    } else if (p->types.y != HT_DTYPE_I32) {
        q->scale = kind & 2 ? p->scale : NULL;
        q->y_scale = (float)(kind >> 3) / 8;
    }
}

static void take_epilogue(input *in, product *p) {
    ht_epilogue *e = &p->epilogue;
    if (p->types.w == HT_DTYPE_I8) take_quantization(in, p);
    if (p->types.y == HT_DTYPE_I32) return;
    if (p->quantization.multiplier) {
        e->activation = take_byte(in) & 1 ? HT_ACTIVATION_RELU : HT_ACTIVATION_NONE;
        return;
    }
    e->activation = (ht_activation)(take_byte(in) % 4);
    e->low = (float)(take_byte(in) % 8) - 6, e->high = e->low + (float)(take_byte(in) % 8);
    if (take_byte(in) & 1) e->bias = p->bias;
    if (take_byte(in) % 4 == 0) e->residual = p->residual.data, e->residual_stride = p->residual.stride;
}

static void fuzz_product(input *in) {
    product p = {.m = 1 + take_byte(in) % 64};
    p.n = 1 + take_byte(in) % p.m;
    if (take_byte(in) & 1) {  // mostly the patterns that have kernels of their own
        p.m = (size_t)1 << p.m % 5;
        p.n = p.n * 2 > p.m ? 1 : p.n;
    }
    p.t = take_up_to(in, take_byte(in) & 7 ? 20 : 150);
    p.o = take_up_to(in, take_byte(in) & 7 ? 40 : 600);
    p.k = take_up_to(in, take_byte(in) & 7 ? 140 : 700);
    size_t rows_in_time = 1 + most_terms / (1 + p.o * p.k);
    if (p.t > rows_in_time) p.t = rows_in_time;
    in->state = take_word(in);
    p.types = all_types[take_byte(in) % (sizeof all_types / sizeof *all_types)];
    uint32_t kind = take_byte(in);
    p.options.x_order = kind & 1 ? HT_ORDER_FEATURES : HT_ORDER_ROWS;
    p.options.y_order = kind & 2 ? HT_ORDER_FEATURES : HT_ORDER_ROWS;
    p.options.shared_rows = kind & 4 ? 1 << (kind >> 3 & 3) : 0;
    if (take_byte(in) & 1) take_window(in, &p);
    p.w = take_matrix(in, p.o, p.k, p.types.w, HT_ORDER_ROWS);
    p.x = take_matrix(in, p.t, p.k, p.types.x, p.options.x_order);
    ht_dtype residual = p.types.y == HT_DTYPE_BF16 ? HT_DTYPE_BF16 : HT_DTYPE_F32;
    p.residual = take_matrix(in, p.t, p.o, residual, p.options.y_order);
    p.bias = exactly(p.o * sizeof(float), 16), p.scale = exactly(p.o * sizeof(float), 16);
    p.multiplier = exactly(p.o * sizeof(int32_t), 16), p.offset = exactly(p.o * sizeof(int32_t), 16);
    p.shift = exactly(p.o, 16);
    for (size_t i = 0; i < p.o; i++) p.bias[i] = take_float(in);
    take_epilogue(in, &p);
    pack(&p);
    compare_rows(in, &p);
    free(p.w.data), free(p.x.data), free(p.residual.data), free(p.packed);
    free(p.bias), free(p.scale), free(p.multiplier), free(p.offset), free(p.shift);
}

// MARK: blobs

// Reads a blob in every way there is. The sizes are the blob's own, so that a good header leads to the kernels.
static void read_blob(const void *packed, size_t size) {
    ht_nm_info info;
    ht_status known = ht_nm_packed_info(packed, size, &info), whole = ht_nm_packed_check(packed, size);
    REQUIRE(known ? whole == known : whole == HT_OK || whole == HT_ERROR_BLOB_CORRUPT);
    if (known || info.o > most_terms || info.k > most_terms || info.o * info.k > most_terms) return;
    for (size_t i = 0; i < sizeof all_types / sizeof *all_types; i++) {
        types a = all_types[i];
        matrix x = make_matrix(3, info.k, a.x, HT_ORDER_ROWS, 0), y = make_matrix(3, info.o, a.y, HT_ORDER_ROWS, 0);
        ht_epilogue epilogue = {.output = a.y};
        for (ht_isa isa = HT_ISA_AUTO; isa <= HT_ISA_NEON_BF16; isa++) {
            ht_options options = {.threads = 1, .isa = isa};
            ht_status status = multiply(&x, packed, size, &epilogue, &y, &options);
            REQUIRE(status == HT_OK || status == HT_ERROR_ISA || (status == HT_ERROR_BLOB_DTYPE && info.dtype != a.w));
        }
        free(x.data), free(y.data);
    }
    matrix w = make_matrix(info.o, info.k, info.dtype, HT_ORDER_ROWS, 0);
    REQUIRE(!ht_nm_unpack(info.o, info.k, packed, size, w.data, 0, NULL));
    free(w.data);
}

static void fuzz_raw_blob(input *in) {
    size_t size = in->size;
    void *packed = exactly(size, 64);
    memcpy(packed, in->data, size);
    read_blob(packed, size);
    free(packed);
}

// A header with a right check word but any fields, and a body of any bytes.
static void fuzz_sealed_blob(input *in) {
    static const ht_dtype weights[] = {HT_DTYPE_F32, HT_DTYPE_F16, HT_DTYPE_BF16, HT_DTYPE_I8};
    uint32_t kind = take_byte(in);
    ht_blob_header header = {.kind = HT_BLOB_NM, .layout = HT_NM_LAYOUT_VERSION, .dtype = (uint16_t)weights[kind % 4]};
    header.shared_rows = 1 << (kind / 4 % 4);
    ht_options options = {.shared_rows = (int)header.shared_rows};
    header.m = 1 + take_byte(in) % 64;
    header.n = 1 + take_byte(in) % header.m;
    header.rows = take_up_to(in, 70);
    header.columns = take_up_to(in, 700);
    size_t size = 0;
    REQUIRE(!ht_nm_packed_size(header.rows, header.columns, header.n, header.m, header.dtype, &options, &size));
    header.bytes = size;
    in->state = take_word(in);
    uint32_t wild = take_byte(in);
    if (wild & 1) header.rows = (uint64_t)take_word(in) << wild % 33;
    if (wild & 2) header.columns = (uint64_t)take_word(in) << wild % 33;
    if (wild & 4) header.bytes = (uint64_t)take_word(in) << wild % 33;
    if (wild & 8) header.n = take_word(in), header.m = take_word(in);
    if (wild & 16) header.shared_rows = take_word(in), header.dtype = (uint16_t)take_word(in);
    ht_blob_seal(&header);
    uint8_t *packed = exactly(size, 64);
    memcpy(packed, &header, sizeof header);
    for (size_t i = sizeof header; i < size; i++) packed[i] = (uint8_t)take_byte(in);
    read_blob(packed, size);
    free(packed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    input in = {.data = data, .size = size};
    switch (take_byte(&in) % 4) {
    case 0: fuzz_raw_blob(&in); break;
    case 1: fuzz_sealed_blob(&in); break;
    default: fuzz_product(&in); break;
    }
    return 0;
}
