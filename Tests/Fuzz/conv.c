// SPDX-License-Identifier: Apache-2.0
// Bytes become a convolution, its gradient with respect to the input, or a backward product. Three kinds of input:
//   every kernel row that runs here must give the bits of the reference row, that row the bits of a chain of fused
//   multiply-adds or an exact integer, and nothing but the output may be touched;
//   whatever is behind a good header, no call reads or writes outside its operands;
//   nor with whatever header.
#include "../C/calls.h"
#include "../C/check.h"
#include "../C/values.h"
#include "core/blob.h"
#include "fuzz.h"

typedef struct problem {
    result result;
    call call;
    filters filters;
    uint32_t *permutation;
    matrix from;
    void *packed;
    size_t packed_size;
} problem;

// MARK: the input

static void take_shape(input *in, ht_conv_shape *s) {
    uint32_t kind = take_byte(in);
    s->groups = kind & 3 ? kind >> 2 & 1 : 1 + take_byte(in) % 4;
    size_t groups = s->groups ? s->groups : 1;
    s->channels = groups * take_up_to(in, kind & 24 ? 24 : 150);
    s->outputs = groups * take_up_to(in, kind & 96 ? 24 : 150);
    s->images = take_byte(in) % 3;
    s->height = take_byte(in) % 12, s->width = take_byte(in) % 40;
    s->kernel_height = 1 + take_byte(in) % 4, s->kernel_width = 1 + take_byte(in) % 4;
    s->stride_y = take_byte(in) % 4, s->stride_x = take_byte(in) % 4;
    s->dilation_y = take_byte(in) % 4, s->dilation_x = take_byte(in) % 4;
    s->pad_top = take_byte(in) % 5, s->pad_left = take_byte(in) % 5;
    s->pad_bottom = take_byte(in) % 5, s->pad_right = take_byte(in) % 5;
    if (kind & 128) s->kernel_height = s->kernel_width = 1;
}

// A backward product has one row of pixels and one tap.
static void make_product(ht_conv_shape *s) {
    *s = (ht_conv_shape){.images = 1,
                         .height = 1,
                         .width = s->width * s->height,
                         .channels = s->channels,
                         .outputs = s->outputs,
                         .kernel_height = 1,
                         .kernel_width = 1};
}

// Less of what costs most, until it is cheap.
static void shrink(ht_conv_shape *s) {
    size_t groups = s->groups ? s->groups : 1, images = s->images ? s->images : 1;
    for (;;) {
        size_t pixels = (s->height + s->pad_top + s->pad_bottom) * (s->width + s->pad_left + s->pad_right) * images;
        size_t taps = s->kernel_height * s->kernel_width;
        if ((pixels + 1) * taps * s->outputs * (s->channels / groups) <= 2 * most_terms) return;
        if (s->height > 1 || s->width > 8)
            s->height = (s->height + 1) / 2, s->width = (s->width + 1) / 2;
        else
            s->outputs = s->outputs / groups / 2 * groups, s->channels = s->channels / groups / 2 * groups;
    }
}

static uint32_t *take_permutation(input *in, const ht_conv_shape *s) {
    uint32_t *numbers = exactly(s->outputs * sizeof *numbers, sizeof(void *));
    for (size_t i = 0; i < s->outputs; i++) numbers[i] = (uint32_t)i;
    size_t each = s->outputs / s->groups;
    for (size_t i = 0; i < s->outputs; i++) {
        size_t first = i / each * each, j = first + take_up_to(in, i - first);
        uint32_t number = numbers[i];
        numbers[i] = numbers[j], numbers[j] = number;
    }
    return numbers;
}

// The library's magnitude mask forward, in some inputs a part of it.
static void take_mask(input *in, operation operation, filters *f) {
    ht_options options = sharing(f);
    set_magnitude_mask(f);
    if (operation == CONV)
        REQUIRE(!WITH_TYPE(f->w.dtype, ht_nm_conv_mask, &f->shape, f->n, f->m, f->w.data, f->w.stride, f->mask.data,
                           f->mask.stride, &options));
    uint32_t kind = take_byte(in);
    f->uses_mask = kind & 1;
    for (size_t o = 0; o < f->w.rows; o++) {
        for (size_t i = 0; i < f->mask.columns && kind & 2; i++)
            *(uint8_t *)element(&f->mask, o, i) &= (uint8_t)(take_byte(in) | take_byte(in));
        for (size_t i = 0; i < f->w.columns && !f->uses_mask; i++)
            if (!in_mask(f, o, i)) memset(element(&f->w, o, i), 0, f->w.size);
    }
}

static bool is_depthwise(const ht_conv_shape *s) { return s->groups > 1 && s->channels == s->groups; }

static void take_filters(input *in, problem *p) {
    operation operation = p->call.operation;
    uint32_t kind = take_byte(in);
    filters *f = &p->filters;
    *f = make_filters(&p->call.shape, p->call.types.w, take_byte(in) % 4);
    take_pattern(in, &f->n, &f->m);
    f->backward = operation != CONV;
    f->shared_rows = kind & 1 ? (size_t)1 << (kind >> 1 & 3) : 1;
    f->shared_taps = operation != GEMM_BACKWARD && kind & 8;
    if (f->backward && kind & 16) f->permutation = p->permutation = take_permutation(in, &f->shape);
    take_values(in, &f->w);
    if (is_depthwise(&f->shape)) return;
    take_mask(in, operation, f);
    REQUIRE(set_entries(f));
}

static void pack(problem *p) {
    const filters *f = &p->filters;
    REQUIRE(!packed_filters(p->call.operation, f, &p->packed_size));
    p->packed = exactly(p->packed_size, 64);
    REQUIRE(!pack_filters(p->call.operation, f, p->packed, p->packed_size));
    for (size_t group = 0, each = p->packed_size / f->shape.groups; group < f->shape.groups; group++)
        REQUIRE(!ht_nm_packed_check((const char *)p->packed + group * each, each));
    p->call.packed = p->packed, p->call.packed_size = p->packed_size;
}

static void take_operands(input *in, problem *p) {
    const filters *f = &p->filters;
    result *r = &p->result;
    uint32_t kind = take_byte(in);
    bool backward = f->backward;
    r->types = p->call.types;
    r->rows = backward ? x_pixels(f) : y_pixels(f), r->columns = backward ? f->shape.channels : f->shape.outputs;
    r->options.x_order = kind & 1 ? HT_ORDER_FEATURES : HT_ORDER_ROWS;
    r->options.y_order = kind & 2 ? HT_ORDER_FEATURES : HT_ORDER_ROWS;
    if (kind & 4) take_window(in, r, f->shape.groups == 1);
    p->from = take_matrix(in, backward ? y_pixels(f) : x_pixels(f), backward ? f->shape.outputs : f->shape.channels,
                          r->types.x, r->options.x_order);
    p->call.from = p->from.data, p->call.from_stride = p->from.stride;
    take_epilogue(in, r);
    p->call.epilogue = r->epilogue;
}

// False when there is nothing to run.
static bool take_problem(input *in, problem *p) {
    enum { types_with_gradient = 5 };  // the first, those of floats
    call *c = &p->call;
    c->operation = (operation)(take_byte(in) % 3);
    c->types = all_types[take_byte(in) % (c->operation == CONV ? COUNT(all_types) : types_with_gradient)];
    take_shape(in, &c->shape);
    in->state = take_word(in);
    if (c->operation == GEMM_BACKWARD) make_product(&c->shape);
    shrink(&c->shape);
    take_filters(in, p);
    if (is_depthwise(&p->filters.shape)) {
        REQUIRE(packed_filters(c->operation, &p->filters, &p->packed_size) == HT_ERROR_DEPTHWISE);
        return false;
    }
    pack(p);
    take_operands(in, p);
    return true;
}

static void free_problem(problem *p) {
    free_filters(&p->filters), free(p->permutation), free_matrix(&p->from), free(p->packed);
    free_result(&p->result);
}

// MARK: runs

static call call_into(const problem *p, const matrix *y, const ht_options *options) {
    call c = p->call;
    c.to = y ? y->data : NULL, c.to_stride = y ? y->stride : 0;
    c.options = *options;
    return c;
}

static ht_status run_problem(const void *context, const matrix *y, const ht_options *options) {
    call c = call_into(context, y, options);
    return run_call(&c);
}

static ht_status problem_scratch(const void *context, const ht_options *options, size_t *size) {
    call c = call_into(context, NULL, options);
    return call_scratch(&c, size);
}

static float *real_operand(const problem *p) {
    float *values = exactly(p->from.rows * p->from.columns * sizeof *values, sizeof(void *));
    for (size_t row = 0; row < p->from.rows; row++)
        for (size_t column = 0; column < p->from.columns; column++)
            values[row * p->from.columns + column] =
                value_at(element(&p->from, row, column), p->from.dtype, 0) - (float)p->result.quantization.x_zero;
    return values;
}

static void check_values(const problem *p, const matrix *y) {
    const result *r = &p->result;
    bool is_byte = r->types.w == HT_DTYPE_I8;
    float *from = real_operand(p);
    sum *sums = calloc(r->rows * r->columns + 1, sizeof *sums);
    REQUIRE(sums);
    if (is_byte) add_terms(&p->filters, from, sums);
    for (size_t row = 0; row < r->rows; row++)
        for (size_t column = 0; column < r->columns; column++) {
            uint32_t expected;
            if (!is_inside(r, row, column)) continue;
            set_result(r->types, &r->epilogue, is_byte ? 0 : chain(&p->filters, from, row, column),
                       (int32_t)sums[row * r->columns + column].value, row, column,
                       r->epilogue.residual ? element(&r->residual, row, column) : NULL, &expected);
            REQUIRE(same_value(&expected, element(y, row, column), y->dtype));
        }
    free(from), free(sums);
}

static void fuzz_problem(input *in) {
    problem p = {0};
    if (take_problem(in, &p)) {
        run run = {&p, run_problem, problem_scratch};
        matrix y = compare_rows(in, &run, &p.result);
        // Products of bf16 take subnormal numbers for zeros, and the bits of GELU are the library's own.
        if (p.call.types.x != HT_DTYPE_BF16 && p.result.epilogue.activation != HT_ACTIVATION_GELU) check_values(&p, &y);
        free_matrix(&y);
    }
    free_problem(&p);
}

// MARK: damaged blobs

// Runs every row; a call that refuses leaves its output alone.
static void run_everywhere(const problem *p, bool may_refuse) {
    run run = {p, run_problem, problem_scratch};
    for (ht_isa isa = HT_ISA_AUTO; isa <= HT_ISA_NEON_BF16; isa++) {
        matrix y = make_matrix(p->result.rows, p->result.columns, p->result.types.y, p->result.options.y_order, 0);
        ht_status status = run_into(&run, &p->result, isa, 1, false, &y);
        REQUIRE(may_refuse || status == HT_OK || status == HT_ERROR_ISA);
        REQUIRE(status == HT_OK || is_filled(y.data, y.bytes));
        free_matrix(&y);
    }
}

static void fuzz_damaged_body(input *in) {
    problem p = {0};
    if (take_problem(in, &p)) {
        size_t each = p.packed_size / p.filters.shape.groups, body = each - sizeof(ht_blob_header);
        for (size_t i = 1 + take_byte(in) % 32; i > 0; i--) {
            size_t place = take_word(in) % body + sizeof(ht_blob_header);
            ((uint8_t *)p.packed)[take_byte(in) % p.filters.shape.groups * each + place] = (uint8_t)take_byte(in);
        }
        run_everywhere(&p, p.permutation != NULL);  // which may be none any more
    }
    free_problem(&p);
}

static void damage_header(input *in, ht_blob_header *h) {
    uint32_t wild = take_byte(in), more = take_byte(in);
    if (wild & 1) h->rows = (uint64_t)take_word(in) << more % 33;
    if (wild & 2) h->columns = (uint64_t)take_word(in) << more % 33;
    if (wild & 4) h->bytes = (uint64_t)take_word(in) << more % 33;
    if (wild & 8) h->n = take_byte(in), h->m = take_byte(in);
    if (wild & 16) h->shared_rows = (uint16_t)take_byte(in), h->dtype = (uint16_t)take_byte(in);
    if (wild & 32) h->flags = (uint16_t)take_byte(in);
    if (wild & 64) h->kernel_height = (uint16_t)take_word(in), h->kernel_width = (uint16_t)take_word(in);
    if (wild & 128) h->kind = (uint16_t)take_byte(in), h->layout = (uint16_t)take_byte(in);
}

// A header with a right check word but wrong fields, before the filters of each group.
static void fuzz_damaged_header(input *in) {
    problem p = {0};
    if (take_problem(in, &p)) {
        ht_blob_header header;
        memcpy(&header, p.packed, sizeof header);
        damage_header(in, &header);
        ht_blob_seal(&header);
        for (size_t group = 0, each = p.packed_size / p.filters.shape.groups; group < p.filters.shape.groups; group++)
            memcpy((char *)p.packed + group * each, &header, sizeof header);
        ht_nm_packed_check(p.packed, p.packed_size);
        run_everywhere(&p, true);
    }
    free_problem(&p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    input in = {.data = data, .size = size};
    switch (take_byte(&in) % 8) {
    case 0: fuzz_damaged_header(&in); break;
    case 1: fuzz_damaged_body(&in); break;
    default: fuzz_problem(&in); break;
    }
    return 0;
}
