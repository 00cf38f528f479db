// SPDX-License-Identifier: Apache-2.0
// Bytes become a call of the N:M family. Two kinds of input:
//   products: every kernel row that runs here must give the bits of the reference, and touch nothing but its output;
//   blobs: whatever bytes claim to be a packed matrix, no call reads or writes outside its operands.
#include "core/blob.h"
#include "fuzz.h"
#include "nm/layout.h"

// MARK: products

typedef struct product {
    result result;
    size_t t, o, k, n, m;
    matrix w, x;
    void *packed;
    size_t packed_size;
} product;

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

static ht_status run_product(const void *context, const matrix *y, const ht_options *options) {
    const product *p = context;
    return multiply(&p->x, p->packed, p->packed_size, &p->result.epilogue, y, options);
}

static ht_status product_scratch(const void *context, const ht_options *options, size_t *size) {
    const product *p = context;
    return ht_nm_gemm_scratch_size(p->t, p->x.dtype, p->packed, p->packed_size, options, size);
}

// Packs W by its magnitude mask; what comes back must be W pruned.
static void pack(product *p) {
    const matrix *w = &p->w;
    const ht_options *options = &p->result.options;
    size_t mask_stride = (p->k + 7) / 8;
    uint8_t *mask = exactly(p->o * mask_stride, 16);
    matrix pruned = make_matrix(p->o, p->k, w->dtype, HT_ORDER_ROWS, 1);
    matrix back = make_matrix(p->o, p->k, w->dtype, HT_ORDER_ROWS, 2);
    REQUIRE(!WITH_TYPE(w->dtype, ht_nm_mask, p->o, p->k, p->n, p->m, w->data, w->stride, mask, 0, options));
    REQUIRE(!WITH_TYPE(w->dtype, ht_nm_prune, p->o, p->k, p->n, p->m, w->data, w->stride, pruned.data, pruned.stride,
                       options));
    REQUIRE(!ht_nm_packed_size(p->o, p->k, p->n, p->m, w->dtype, options, &p->packed_size));
    p->packed = exactly(p->packed_size, 64);
    REQUIRE(!WITH_TYPE(w->dtype, ht_nm_pack, p->o, p->k, p->n, p->m, w->data, w->stride, mask, mask_stride, p->packed,
                       p->packed_size, options));
    REQUIRE(!ht_nm_packed_check(p->packed, p->packed_size));
    REQUIRE(!ht_nm_unpack(p->o, p->k, p->packed, p->packed_size, back.data, back.stride, NULL));
    for (size_t row = 0; row < p->o; row++)
        for (size_t column = 0; column < p->k; column++)
            REQUIRE(same_value(element(&back, row, column), element(&pruned, row, column), w->dtype));
    free(mask), free_matrix(&pruned), free_matrix(&back);
}

static void fuzz_product(input *in) {
    product p = {0};
    result *r = &p.result;
    take_pattern(in, &p.n, &p.m);
    p.t = take_up_to(in, take_byte(in) & 7 ? 20 : 150);
    p.o = take_up_to(in, take_byte(in) & 7 ? 40 : 600);
    p.k = take_up_to(in, take_byte(in) & 7 ? 140 : 700);
    size_t rows_in_time = 1 + most_terms / (1 + p.o * p.k);
    if (p.t > rows_in_time) p.t = rows_in_time;
    in->state = take_word(in);
    r->types = all_types[take_byte(in) % (sizeof all_types / sizeof *all_types)];
    r->rows = p.t, r->columns = p.o;
    uint32_t kind = take_byte(in);
    r->options.x_order = kind & 1 ? HT_ORDER_FEATURES : HT_ORDER_ROWS;
    r->options.y_order = kind & 2 ? HT_ORDER_FEATURES : HT_ORDER_ROWS;
    r->options.shared_rows = kind & 4 ? 1 << (kind >> 3 & 3) : 0;
    if (take_byte(in) & 1) take_window(in, r, true);
    p.w = take_matrix(in, p.o, p.k, r->types.w, HT_ORDER_ROWS);
    p.x = take_matrix(in, p.t, p.k, r->types.x, r->options.x_order);
    take_epilogue(in, r);
    pack(&p);
    run run = {&p, run_product, product_scratch};
    matrix y = compare_rows(in, &run, r);
    free_matrix(&p.w), free_matrix(&p.x), free_matrix(&y), free(p.packed);
    free_result(r);
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
        free_matrix(&x), free_matrix(&y);
    }
    matrix w = make_matrix(info.o, info.k, info.dtype, HT_ORDER_ROWS, 0);
    REQUIRE(!ht_nm_unpack(info.o, info.k, packed, size, w.data, 0, NULL));
    free_matrix(&w);
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
