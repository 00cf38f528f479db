// SPDX-License-Identifier: Apache-2.0
// Masks and packed weights of a training step against the calls that make them one after the other, byte for byte, and
// packing from masks in every row of the table against the reference's.
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "matrix.h"

static size_t below(size_t bound) { return next_random() % bound; }

// MARK: what to pack

typedef struct subject {
    bool is_conv;
    ht_conv_shape shape;  // of a convolution
    size_t groups;
    size_t o, k, n, m;    // of a convolution k is all taps
    matrix w, mask;
    uint32_t *permutation;
    ht_dtype dtype;
} subject;

// Few magnitudes, so that many are equal; now and then what floats have besides numbers.
static uint32_t random_weight(bool special) {
    static const uint32_t specials[] = {0,          0x80000000, 0x7f800000, 0xff800000, 0x7fc00000,
                                        0xffffffff, 0x7fffffff, 0x7f800001, 1,          0x3f808000,
                                        0x3f818000, 0x7f7fffff, 0x00008000, 0xff80ffff};
    if (special && below(4) == 0) return specials[below(COUNT(specials))];
    float value = below(2) ? (float)((int)below(9) - 4) : (float)((int)below(65536) - 32768) * 0x1.3p-14f;
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static uint32_t *random_permutation(size_t groups, size_t each) {
    uint32_t *numbers = exactly(groups * each * sizeof *numbers + 4, 64);
    for (size_t i = 0; i < groups * each; i++) numbers[i] = (uint32_t)i;
    for (size_t g = 0; g < groups; g++)
        for (size_t i = each; i > 1; i--) {
            uint32_t *a = &numbers[g * each + i - 1], *b = &numbers[g * each + below(i)], number = *a;
            *a = *b;
            *b = number;
        }
    return numbers;
}

static void fill(subject *s) {
    const bool special = below(2);
    s->w = make_matrix(s->o, s->k, HT_DTYPE_F32, HT_ORDER_ROWS, below(2) ? below(4) : 0);
    s->mask = make_matrix(s->o, (s->k + 7) / 8, HT_DTYPE_U8, HT_ORDER_ROWS, below(3));
    for (size_t row = 0; row < s->o; row++)
        for (size_t column = 0; column < s->k; column++) {
            uint32_t bits = random_weight(special);
            memcpy(element(&s->w, row, column), &bits, sizeof bits);
        }
    s->permutation = below(4) ? random_permutation(s->groups, s->o / s->groups) : NULL;
    s->dtype = below(3) ? HT_DTYPE_F32 : HT_DTYPE_BF16;
}

static subject make_product(size_t o, size_t k, size_t n, size_t m) {
    subject s = {.groups = 1, .o = o, .k = k, .n = n, .m = m};
    fill(&s);
    return s;
}

static subject make_conv(size_t groups, size_t outputs, size_t channels, size_t height, size_t width, size_t n,
                         size_t m) {
    subject s = {.is_conv = true, .groups = groups, .o = groups * outputs, .k = height * width * channels};
    s.shape = (ht_conv_shape){.height = 5,
                              .width = 5,
                              .channels = groups * channels,
                              .outputs = groups * outputs,
                              .kernel_height = height,
                              .kernel_width = width,
                              .groups = groups};
    s.n = n;
    s.m = m;
    fill(&s);
    return s;
}

static void release(subject *s) {
    free_matrix(&s->w);
    free_matrix(&s->mask);
    free(s->permutation);
}

// MARK: calls of a product or a convolution

static ht_status step_of(const subject *s, const ht_nm_step *step, const ht_options *options) {
    if (s->is_conv) return ht_nm_conv_step_pack_f32(&s->shape, s->n, s->m, s->w.data, s->w.stride, step, options);
    return ht_nm_step_pack_f32(s->o, s->k, s->n, s->m, s->w.data, s->w.stride, step, options);
}

static size_t size_of(const subject *s, bool backward) {
    size_t size = 0;
    ht_status status;
    if (s->is_conv)
        status = backward
                     ? ht_nm_conv_backward_packed_size(&s->shape, s->n, s->m, s->dtype, s->permutation, NULL, &size)
                     : ht_nm_conv_packed_size(&s->shape, s->n, s->m, s->dtype, NULL, &size);
    else
        status = backward ? ht_nm_backward_packed_size(s->o, s->k, s->n, s->m, s->dtype, s->permutation, NULL, &size)
                          : ht_nm_packed_size(s->o, s->k, s->n, s->m, s->dtype, NULL, &size);
    CHECK(status == HT_OK);
    return size;
}

static void mask_of(const subject *s, matrix *mask, matrix *backward) {
    const ht_options ref = {.threads = 1, .isa = HT_ISA_REF};
    ht_status status, second;
    if (s->is_conv) {
        status = ht_nm_conv_mask_f32(&s->shape, s->n, s->m, s->w.data, s->w.stride, mask->data, mask->stride, &ref);
        second = ht_bimask_conv_backward_f32(&s->shape, s->n, s->m, s->w.data, s->w.stride, mask->data, mask->stride,
                                             s->permutation, backward->data, backward->stride, &ref);
    } else {
        status = ht_nm_mask_f32(s->o, s->k, s->n, s->m, s->w.data, s->w.stride, mask->data, mask->stride, &ref);
        second = ht_bimask_backward_f32(s->o, s->k, s->n, s->m, s->w.data, s->w.stride, mask->data, mask->stride,
                                        s->permutation, backward->data, backward->stride, &ref);
    }
    CHECK(status == HT_OK && second == HT_OK);
}

// To nearest, ties to even.
static uint16_t rounded(const void *value) {
    uint32_t bits;
    memcpy(&bits, value, sizeof bits);
    const uint32_t lower = bits & 0xffff, upper = bits >> 16;
    if ((bits & 0x7fffffff) > 0x7f800000) return (uint16_t)(upper | 0x40);
    return (uint16_t)(upper + (lower > 0x8000 || (lower == 0x8000 && upper % 2)));
}

static ht_status pack_f32(const subject *s, bool backward, const matrix *mask, void *to, size_t size,
                          const ht_options *options) {
    const float *w = s->w.data;
    const size_t stride = s->w.stride;
    if (s->is_conv && backward)
        return ht_nm_conv_backward_pack_f32(&s->shape, s->n, s->m, w, stride, mask->data, mask->stride, s->permutation,
                                            to, size, options);
    if (s->is_conv)
        return ht_nm_conv_pack_f32(&s->shape, s->n, s->m, w, stride, mask->data, mask->stride, to, size, options);
    if (backward)
        return ht_nm_backward_pack_f32(s->o, s->k, s->n, s->m, w, stride, mask->data, mask->stride, s->permutation, to,
                                       size, options);
    return ht_nm_pack_f32(s->o, s->k, s->n, s->m, w, stride, mask->data, mask->stride, to, size, options);
}

static ht_status pack_bf16(const subject *s, bool backward, const matrix *mask, void *to, size_t size,
                           const ht_options *options) {
    uint16_t *w = exactly(s->o * s->k * 2 + 2, 64);
    ht_status status;
    for (size_t i = 0; i < s->o * s->k; i++) w[i] = rounded(element(&s->w, i / s->k, i % s->k));
    if (s->is_conv && backward)
        status = ht_nm_conv_backward_pack_bf16(&s->shape, s->n, s->m, w, 0, mask->data, mask->stride, s->permutation,
                                               to, size, options);
    else if (s->is_conv)
        status = ht_nm_conv_pack_bf16(&s->shape, s->n, s->m, w, 0, mask->data, mask->stride, to, size, options);
    else if (backward)
        status = ht_nm_backward_pack_bf16(s->o, s->k, s->n, s->m, w, 0, mask->data, mask->stride, s->permutation, to,
                                          size, options);
    else
        status = ht_nm_pack_bf16(s->o, s->k, s->n, s->m, w, 0, mask->data, mask->stride, to, size, options);
    free(w);
    return status;
}

static void *pack(const subject *s, bool backward, const matrix *mask, size_t size, const ht_options *options) {
    void *packed = exactly(size, 64);
    memset(packed, 0x5a, size);
    CHECK((s->dtype == HT_DTYPE_F32 ? pack_f32 : pack_bf16)(s, backward, mask, packed, size, options) == HT_OK);
    return packed;
}

// MARK: one after the other

typedef struct expectation {
    matrix mask, backward_mask;
    void *forward, *backward;
    size_t forward_size, backward_size;
} expectation;

static expectation expect(const subject *s) {
    const ht_options ref = {.threads = 1, .isa = HT_ISA_REF};
    expectation e = {.mask = make_matrix(s->o, (s->k + 7) / 8, HT_DTYPE_U8, HT_ORDER_ROWS, 0),
                     .backward_mask = make_matrix(s->o, (s->k + 7) / 8, HT_DTYPE_U8, HT_ORDER_ROWS, 0),
                     .forward_size = size_of(s, false),
                     .backward_size = size_of(s, true)};
    mask_of(s, &e.mask, &e.backward_mask);
    e.forward = pack(s, false, &e.mask, e.forward_size, &ref);
    e.backward = pack(s, true, &e.backward_mask, e.backward_size, &ref);
    CHECK(ht_nm_packed_check(e.forward, e.forward_size / s->groups) == HT_OK);
    CHECK(ht_nm_packed_check(e.backward, e.backward_size / s->groups) == HT_OK);
    return e;
}

static void free_expectation(expectation *e) {
    free_matrix(&e->mask);
    free_matrix(&e->backward_mask);
    free(e->forward);
    free(e->backward);
}

// The rows of the mask, with all between them as it was.
static bool is_mask(const matrix *mask, const matrix *expected) {
    for (size_t row = 0; row < mask->rows && mask->columns; row++) {
        const char *bits = element(mask, row, 0);
        if (memcmp(bits, element(expected, row, 0), mask->columns)) return false;
        if (row + 1 < mask->rows && !is_filled(bits + mask->columns, mask->stride - mask->columns)) return false;
    }
    return true;
}

// Any outputs may be left out.
static void check_step(const subject *s, const expectation *e, unsigned outputs, const ht_options *options) {
    void *forward = exactly(e->forward_size, 64), *backward = exactly(e->backward_size, 64);
    const ht_nm_step step = {.mask = outputs & 1 ? s->mask.data : NULL,
                             .mask_stride = s->mask.stride,
                             .forward = outputs & 2 ? forward : NULL,
                             .forward_size = e->forward_size,
                             .backward = outputs & 4 ? backward : NULL,
                             .backward_size = e->backward_size,
                             .permutation = s->permutation,
                             .dtype = s->dtype == HT_DTYPE_F32 && below(2) ? HT_DTYPE_DEFAULT : s->dtype};
    memset(s->mask.memory, 0x5a, s->mask.bytes);
    memset(forward, 0x5a, e->forward_size);
    memset(backward, 0x5a, e->backward_size);
    CHECK(step_of(s, &step, options) == HT_OK);
    CHECK(outputs & 1 ? is_mask(&s->mask, &e->mask) : is_filled(s->mask.memory, s->mask.bytes));
    CHECK(outputs & 2 ? !memcmp(forward, e->forward, e->forward_size) : is_filled(forward, e->forward_size));
    CHECK(outputs & 4 ? !memcmp(backward, e->backward, e->backward_size) : is_filled(backward, e->backward_size));
    free(forward);
    free(backward);
}

// Masks that keep fewer than they may, so that groups are filled up.
static void check_packs(const subject *s, expectation *e, const ht_options *options) {
    const ht_options ref = {.threads = 1, .isa = HT_ISA_REF};
    for (int backward = 0; backward < 2; backward++) {
        const matrix *mask = backward ? &e->backward_mask : &e->mask;
        const size_t size = backward ? e->backward_size : e->forward_size;
        void *expected = pack(s, backward, mask, size, &ref), *packed = pack(s, backward, mask, size, options);
        CHECK(!memcmp(packed, expected, size));
        free(expected);
        free(packed);
    }
}

// Whether no group has more than n entries.
static bool is_sparse(const subject *s, const matrix *mask, bool backward) {
    const size_t taps = s->is_conv ? s->shape.kernel_height * s->shape.kernel_width : 1, each = s->o / s->groups;
    const size_t lines = backward ? s->groups * s->k : s->o * taps, length = backward ? each : s->k / taps;
    for (size_t line = 0; line < lines; line++)
        for (size_t i = 0, count = 0; i < length; i++) {
            const size_t place = line / (s->k ? s->k : 1) * each + i;
            const size_t row = !backward ? line / taps : s->permutation ? s->permutation[place] : place;
            const size_t column = backward ? line % s->k : line % taps * length + i;
            const uint8_t *bits = element(mask, row, 0);
            count = (i % s->m ? count : 0) + (bits[column / 8] >> column % 8 & 1);
            if (count > s->n) return false;
        }
    return true;
}

// Entries more, until there are too many.
static void check_crowds(const subject *s, expectation *e, const ht_options *options) {
    for (int i = 0; i < 12 && s->o && s->k; i++) {
        const bool backward = i % 2;
        matrix *mask = backward ? &e->backward_mask : &e->mask;
        const size_t size = backward ? e->backward_size : e->forward_size, column = below(s->k);
        *((uint8_t *)element(mask, below(s->o), 0) + column / 8) |= (uint8_t)(1 << column % 8);
        void *packed = exactly(size, 64);
        memset(packed, 0x5a, size);
        const ht_status status =
            (s->dtype == HT_DTYPE_F32 ? pack_f32 : pack_bf16)(s, backward, mask, packed, size, options);
        CHECK(status == (is_sparse(s, mask, backward) ? HT_OK : HT_ERROR_NOT_SPARSE));
        CHECK((status == HT_OK) != is_filled(packed, size));
        free(packed);
    }
}

static void drop_entries(matrix *mask) {
    for (size_t i = 0; i < mask->bytes; i++) ((uint8_t *)mask->data)[i] &= (uint8_t)(next_random() | next_random());
}

static void check_subject(subject *s) {
    expectation e = expect(s);
    ht_isa isas[8];
    const size_t count = runnable("nm_step_pack", isas, COUNT(isas));
    CHECK(count > 0);
    checking("step %zu x %zu, %zu:%zu, %zu groups%s%s%s", s->o, s->k, s->n, s->m, s->groups,
             s->is_conv ? ", convolution" : "", s->permutation ? ", permuted" : "",
             s->dtype == HT_DTYPE_BF16 ? ", bf16" : "");
    check_step(s, &e, 7, NULL);
    for (size_t i = 0; i < count; i++)
        for (int threads = 1; threads <= 2; threads++) {
            const ht_options options = {.threads = threads, .isa = isas[i]};
            check_step(s, &e, threads == 1 ? 7 : (unsigned)below(8), &options);
        }
    drop_entries(&e.mask);
    drop_entries(&e.backward_mask);
    for (size_t i = 0; i < count; i++) {
        const ht_options options = {.threads = 1 + (int)below(2), .isa = isas[i]};
        check_packs(s, &e, &options);
    }
    check_crowds(s, &e, NULL);
    free_expectation(&e);
    release(s);
}

// MARK: cases

// A pattern of every index code, and of some with two.
static const size_t patterns[][2] = {{2, 4},   {1, 4}, {1, 2}, {1, 8}, {2, 8}, {1, 16}, {2, 16}, {4, 8}, {8, 16},
                                     {16, 32}, {3, 4}, {4, 4}, {3, 5}, {5, 7}, {1, 1},  {1, 32}, {2, 64}};

// Whole blocks of both directions, and some rows, columns and groups more.
static void check_large(void) {
    static const size_t sizes[] = {128, 256, 384, 512, 260, 300, 129};
    for (size_t p = 0; p < COUNT(patterns); p++)
        for (int i = 0; i < 3; i++) {
            if (is_skipped()) continue;
            size_t o = sizes[below(COUNT(sizes))], k = sizes[below(COUNT(sizes))];
            if (i == 0) o = k = 256;
            if (i == 1) o = 256 + below(9), k = 512;
            subject s = make_product(o, k, patterns[p][0], patterns[p][1]);
            check_subject(&s);
        }
}

static void check_small(void) {
    for (int i = 0; i < 100; i++) {
        if (is_skipped()) continue;
        const size_t p = below(COUNT(patterns));
        subject s = make_product(below(70), below(70), patterns[p][0], patterns[p][1]);
        check_subject(&s);
    }
    for (size_t o = 0; o < 2; o++)
        for (size_t k = 0; k < 2; k++) {
            subject s = make_product(o, k, 2, 4);
            check_subject(&s);
        }
}

static void check_convs(void) {
    for (int i = 0; i < 30; i++) {
        if (is_skipped()) continue;
        const size_t p = below(COUNT(patterns)), wide = below(3) == 0;
        subject s = make_conv(1 + below(3), wide ? 128 : 1 + below(40), wide ? 64 : 2 + below(40), 1 + below(3),
                              1 + below(3), patterns[p][0], patterns[p][1]);
        check_subject(&s);
    }
}

// MARK: errors

typedef struct call {
    ht_nm_step step;
    size_t o, k, n, m;
    const float *w;
    size_t w_stride;
    ht_options options;
} call;

static void check_error(const call *c, ht_status expected, int line) {
    static uint8_t mask[64];
    void *forward = exactly(c->step.forward_size + 64, 64), *backward = exactly(c->step.backward_size + 64, 64);
    ht_nm_step step = c->step;
    memset(mask, 0x5a, sizeof mask);
    memset(forward, 0x5a, step.forward_size + 64);
    memset(backward, 0x5a, step.backward_size + 64);
    step.mask = mask;
    step.forward = (char *)forward + (size_t)(uintptr_t)c->step.forward;  // by so many bytes beside its place
    step.backward = (char *)backward + (size_t)(uintptr_t)c->step.backward;
    checking("a wrong step, line %d", line);
    CHECK(ht_nm_step_pack_f32(c->o, c->k, c->n, c->m, c->w, c->w_stride, &step, &c->options) == expected);
    CHECK(is_filled(mask, sizeof mask));
    CHECK(is_filled(forward, step.forward_size + 64));
    CHECK(is_filled(backward, step.backward_size + 64));
    free(forward);
    free(backward);
}

#define EXPECT(status, change)                   \
    do {                                         \
        call changed = right;                    \
        changed.change;                          \
        check_error(&changed, status, __LINE__); \
    } while (0)

static void check_errors(void) {
    static const uint32_t twice[4] = {0, 1, 1, 3};
    static float w[4 * 8];
    call right = {.o = 4, .k = 8, .n = 2, .m = 4, .w = w, .options = {.threads = 1}};
    CHECK(ht_nm_packed_size(4, 8, 2, 4, HT_DTYPE_F32, NULL, &right.step.forward_size) == HT_OK);
    CHECK(ht_nm_backward_packed_size(4, 8, 2, 4, HT_DTYPE_F32, twice, NULL, &right.step.backward_size) == HT_OK);
    EXPECT(HT_ERROR_NULL, w = NULL);
    EXPECT(HT_ERROR_PATTERN, n = 0);
    EXPECT(HT_ERROR_PATTERN, m = 65);
    EXPECT(HT_ERROR_PATTERN, options.shared_rows = 2);
    EXPECT(HT_ERROR_PATTERN, options.shared_rows = 3);
    EXPECT(HT_ERROR_PATTERN, options.shared_taps = 1);
    EXPECT(HT_ERROR_STRIDE, w_stride = 28);
    EXPECT(HT_ERROR_STRIDE, w_stride = 33);
    EXPECT(HT_ERROR_ALIGNMENT, w = (const float *)(const void *)((const char *)w + 2));
    EXPECT(HT_ERROR_ALIGNMENT, step.forward = (void *)4);
    EXPECT(HT_ERROR_ALIGNMENT, step.backward = (void *)32);
    EXPECT(HT_ERROR_BUFFER_SIZE, step.forward_size -= 1);
    EXPECT(HT_ERROR_BUFFER_SIZE, step.backward_size -= 65);
    EXPECT(HT_ERROR_BLOB_DTYPE, step.dtype = HT_DTYPE_F16);
    EXPECT(HT_ERROR_BLOB_DTYPE, step.dtype = HT_DTYPE_I8);
    EXPECT(HT_ERROR_PERMUTATION, step.permutation = twice);
    EXPECT(HT_ERROR_ALIGNMENT, step.permutation = (const uint32_t *)(const void *)((const char *)twice + 1));
    EXPECT(HT_ERROR_THREADS, options.threads = -1);
    EXPECT(HT_ERROR_ISA, options.isa = (ht_isa)99);
    EXPECT(HT_ERROR_OVERFLOW, o = SIZE_MAX / 4);
    CHECK(ht_nm_step_pack_f32(4, 8, 2, 4, w, 0, NULL, NULL) == HT_ERROR_NULL);
}

static void check_conv_errors(void) {
    static float w[8 * 4];
    static const uint32_t leaves[8] = {4, 1, 2, 3, 0, 5, 6, 7};
    ht_conv_shape shape = {.channels = 8, .outputs = 8, .kernel_height = 1, .kernel_width = 1, .groups = 2};
    ht_nm_step step = {.permutation = leaves};
    CHECK(ht_nm_conv_step_pack_f32(NULL, 2, 4, w, 0, &step, NULL) == HT_ERROR_NULL);
    CHECK(ht_nm_conv_step_pack_f32(&shape, 2, 4, w, 0, NULL, NULL) == HT_ERROR_NULL);
    CHECK(ht_nm_conv_step_pack_f32(&shape, 2, 4, w, 0, &step, NULL) == HT_OK);
    CHECK(!ht_nm_conv_backward_packed_size(&shape, 2, 4, HT_DTYPE_F32, leaves, NULL, &step.backward_size));
    step.backward = exactly(step.backward_size, 64);
    memset(step.backward, 0x5a, step.backward_size);
    CHECK(ht_nm_conv_step_pack_f32(&shape, 2, 4, w, 0, &step, NULL) == HT_ERROR_PERMUTATION);
    shape.groups = 3;
    CHECK(ht_nm_conv_step_pack_f32(&shape, 2, 4, w, 0, &step, NULL) == HT_ERROR_CONV);
    shape.groups = 8;
    CHECK(ht_nm_conv_step_pack_f32(&shape, 2, 4, w, 0, &step, NULL) == HT_ERROR_DEPTHWISE);
    CHECK(is_filled(step.backward, step.backward_size));
    free(step.backward);
}

void test_step_pack(void) {
    check_small();
    check_large();
    check_convs();
    check_errors();
    check_conv_errors();
}
