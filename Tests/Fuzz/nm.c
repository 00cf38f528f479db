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

#include "core/blob.h"

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

// Rows of `columns` floats, `stride` bytes apart, no gap behind the last.
typedef struct matrix {
    float *data;
    size_t rows, columns, stride, bytes;
} matrix;

static matrix make_matrix(size_t rows, size_t columns, size_t gap) {
    matrix a = {.rows = rows, .columns = columns, .stride = (columns + gap) * sizeof(float)};
    a.bytes = rows && columns ? (rows - 1) * a.stride + columns * sizeof(float) : 0;
    a.data = exactly(a.bytes, 16);
    memset(a.data, 0x5a, a.bytes);
    return a;
}

static float *element(const matrix *a, size_t row, size_t column) {
    return (float *)((char *)a->data + row * a->stride) + column;
}

static matrix take_matrix(input *in, size_t rows, size_t columns) {
    matrix a = make_matrix(rows, columns, take_byte(in) % 4);
    for (size_t row = 0; row < rows; row++)
        for (size_t column = 0; column < columns; column++) *element(&a, row, column) = take_float(in);
    return a;
}

// NaNs may differ in their payload.
static bool same(float a, float b) { return (a != a && b != b) || !memcmp(&a, &b, sizeof a); }

// MARK: products

typedef struct product {
    size_t t, o, k, n, m;
    matrix w, x;
    float *bias;
    ht_epilogue epilogue;
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

static void run(const product *p, ht_isa isa, int threads, bool own_scratch, matrix *y) {
    ht_options options = p->options;
    options.isa = isa;
    options.threads = threads;
    if (own_scratch) {
        REQUIRE(!ht_nm_gemm_scratch_size(p->t, HT_DTYPE_F32, p->packed, p->packed_size, &options,
                                         &options.scratch_size));
        options.scratch = exactly(options.scratch_size, 64);
    }
    REQUIRE(!ht_nm_gemm_f32(p->t, p->o, p->k, p->x.data, p->x.stride, p->packed, p->packed_size, &p->epilogue, y->data,
                            y->stride, &options));
    free(options.scratch);
}

static void compare_rows(input *in, const product *p) {
    ht_kernel_info rows[64];
    size_t gap = take_byte(in) % 4, count = ht_kernels(rows, 64);
    REQUIRE(count <= 64);
    matrix reference = make_matrix(p->t, p->o, gap), fresh = make_matrix(p->t, p->o, gap);
    run(p, HT_ISA_REF, 1, false, &reference);
    for (size_t row = 0; row < p->t; row++)
        for (size_t column = 0; column < p->o; column++)
            if (!is_inside(p, row, column))
                REQUIRE(same(*element(&reference, row, column), *element(&fresh, row, column)));
    for (size_t i = 0; i < count; i++) {
        if (strcmp(rows[i].op, "nm_gemm_f32") || !rows[i].runs) continue;
        matrix y = make_matrix(p->t, p->o, gap);
        run(p, (ht_isa)ht_isa_named(rows[i].isa), 1 + (int)take_byte(in) % 3, take_byte(in) & 1, &y);
        for (size_t j = 0; j < y.bytes / sizeof(float); j++) REQUIRE(same(y.data[j], reference.data[j]));
        free(y.data);
    }
    free(reference.data), free(fresh.data);
}

// Packs W by its magnitude mask; what comes back must be W pruned.
static void pack(product *p) {
    size_t mask_stride = (p->k + 7) / 8;
    uint8_t *mask = exactly(p->o * mask_stride, 16);
    matrix pruned = make_matrix(p->o, p->k, 1), back = make_matrix(p->o, p->k, 2);
    REQUIRE(!ht_nm_mask_f32(p->o, p->k, p->n, p->m, p->w.data, p->w.stride, mask, 0, NULL));
    REQUIRE(!ht_nm_prune_f32(p->o, p->k, p->n, p->m, p->w.data, p->w.stride, pruned.data, pruned.stride, NULL));
    REQUIRE(!ht_nm_packed_size(p->o, p->k, p->n, p->m, HT_DTYPE_F32, NULL, &p->packed_size));
    p->packed = exactly(p->packed_size, 64);
    REQUIRE(!ht_nm_pack_f32(p->o, p->k, p->n, p->m, p->w.data, p->w.stride, mask, mask_stride, p->packed,
                            p->packed_size, NULL));
    REQUIRE(!ht_nm_packed_check(p->packed, p->packed_size));
    REQUIRE(!ht_nm_unpack(p->o, p->k, p->packed, p->packed_size, back.data, back.stride, NULL));
    for (size_t row = 0; row < p->o; row++)
        for (size_t column = 0; column < p->k; column++)
            REQUIRE(same(*element(&back, row, column), *element(&pruned, row, column)));
    free(mask), free(pruned.data), free(back.data);
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
    p.epilogue.activation = take_byte(in) & 1 ? HT_ACTIVATION_RELU : HT_ACTIVATION_NONE;
    bool has_bias = take_byte(in) & 1;
    if (take_byte(in) & 1) take_window(in, &p);
    p.w = take_matrix(in, p.o, p.k);
    p.x = take_matrix(in, p.t, p.k);
    p.bias = exactly(p.o * sizeof(float), 16);
    for (size_t i = 0; i < p.o; i++) p.bias[i] = take_float(in);
    if (has_bias) p.epilogue.bias = p.bias;
    pack(&p);
    compare_rows(in, &p);
    free(p.w.data), free(p.x.data), free(p.bias), free(p.packed);
}

// MARK: blobs

// Reads a blob in every way there is. The sizes are the blob's own, so that a good header leads to the kernels.
static void read_blob(const void *packed, size_t size) {
    ht_nm_info info;
    ht_status known = ht_nm_packed_info(packed, size, &info), whole = ht_nm_packed_check(packed, size);
    REQUIRE(known ? whole == known : whole == HT_OK || whole == HT_ERROR_BLOB_CORRUPT);
    if (known || info.o > most_terms || info.k > most_terms || info.o * info.k > most_terms) return;
    matrix x = make_matrix(3, info.k, 0), y = make_matrix(3, info.o, 0), w = make_matrix(info.o, info.k, 0);
    for (ht_isa isa = HT_ISA_AUTO; isa <= HT_ISA_AVX512; isa++) {
        ht_options options = {.threads = 1, .isa = isa};
        ht_status status = ht_nm_gemm_f32(3, info.o, info.k, x.data, 0, packed, size, NULL, y.data, 0, &options);
        REQUIRE(status == HT_OK || status == HT_ERROR_ISA);
    }
    REQUIRE(!ht_nm_unpack(info.o, info.k, packed, size, w.data, 0, NULL));
    free(x.data), free(y.data), free(w.data);
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
    ht_blob_header header = {.kind = HT_BLOB_NM, .layout = 1, .dtype = HT_DTYPE_F32};
    header.m = 1 + take_byte(in) % 64;
    header.n = 1 + take_byte(in) % header.m;
    header.rows = take_up_to(in, 70);
    header.columns = take_up_to(in, 700);
    size_t size = 0;
    REQUIRE(!ht_nm_packed_size(header.rows, header.columns, header.n, header.m, HT_DTYPE_F32, NULL, &size));
    header.bytes = size;
    in->state = take_word(in);
    uint32_t wild = take_byte(in);
    if (wild & 1) header.rows = (uint64_t)take_word(in) << wild % 33;
    if (wild & 2) header.columns = (uint64_t)take_word(in) << wild % 33;
    if (wild & 4) header.bytes = (uint64_t)take_word(in) << wild % 33;
    if (wild & 8) header.n = take_word(in), header.m = take_word(in);
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
