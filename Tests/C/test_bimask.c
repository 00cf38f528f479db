// SPDX-License-Identifier: Apache-2.0
// Backward masks, scores and searches against the definitions in the library's header, in plain loops.
#include <math.h>
#include <string.h>

#include "check.h"
#include "matrix.h"

// MARK: operands

// Rows of bits, filled with 0x5a, with a gap of some bytes.
static matrix make_bits(size_t rows, size_t columns, size_t gap) {
    return make_matrix(rows, (columns + 7) / 8, HT_DTYPE_U8, HT_ORDER_ROWS, gap);
}

static bool bit_at(const matrix *bits, size_t row, size_t column) {
    return *(uint8_t *)element(bits, row, column / 8) >> column % 8 & 1;
}

static void set_bit(matrix *bits, size_t row, size_t column, bool set) {
    uint8_t *byte = element(bits, row, column / 8);
    *byte = (uint8_t)((*byte & ~(1u << column % 8)) | (unsigned)set << column % 8);
}

// Each bit is set with a chance of n / m; those behind the columns are at random too.
static void set_random_bits(matrix *bits, size_t n, size_t m) {
    for (size_t row = 0; row < bits->rows; row++)
        for (size_t c = 0; c < bits->columns * 8; c++) set_bit(bits, row, c, next_random() % m < n);
}

static bool gaps_are_filled(const matrix *a) {
    bool filled = true;
    for (size_t row = 0; row + 1 < a->rows && a->columns; row++)
        filled &= is_filled((char *)element(a, row, 0) + a->columns * a->size, a->stride - a->columns * a->size);
    return filled;
}

// A random permutation of first ..< first + count.
static void set_random_order(uint32_t *order, size_t count, size_t first) {
    for (size_t i = 0; i < count; i++) {
        size_t j = next_random() % (i + 1);
        order[i] = order[j];
        order[j] = (uint32_t)(first + i);
    }
}

// A few equal magnitudes, zeros of both signs, infinities and NaNs among others.
static float random_weight(void) {
    uint32_t bits = next_random(), kind = next_random() % 16;
    const uint32_t special[] = {0, 0x80000000, 0x7f800000, 0xff800000, 0x7fc00000, 0xffffffff, 0x7fffffff, 0x3f800000};
    if (kind < 8) bits = kind < COUNT(special) && next_random() % 4 == 0 ? special[kind] : 0x3f800000 + kind % 3;
    bits ^= next_random() & 0x80000000;
    float w;
    memcpy(&w, &bits, sizeof w);
    return w;
}

// What a test is about: o rows in groups of their own, as of a convolution.
typedef struct layer {
    ht_conv_shape shape;  // of a matrix, a convolution of one tap
    bool is_conv;
    size_t o, k, each, n, m;
} layer;

static layer make_layer(size_t o, size_t k, size_t n, size_t m, size_t groups, size_t taps) {
    return (layer){.shape = {.height = 5,
                             .width = 5,
                             .channels = k * groups,
                             .outputs = o,
                             .kernel_height = 1,
                             .kernel_width = taps,
                             .groups = groups},
                   .is_conv = groups * taps > 1,
                   .o = o,
                   .k = k * taps,
                   .each = o / groups,
                   .n = n,
                   .m = m};
}

static layer random_layer(void) {
    const size_t m = (size_t[]){1, 2, 3, 4, 4, 5, 8, 8, 16, 16, 17, 32, 64}[next_random() % 13];
    const size_t n = 1 + next_random() % (next_random() % 2 ? m : (m + 1) / 2);
    const size_t groups = next_random() % 4 ? 1 : 2 + next_random() % 2, taps = next_random() % 4 ? 1 : 3;
    return make_layer((1 + next_random() % 40) * groups, 2 + next_random() % (next_random() % 4 ? 40 : 300), n, m,
                      groups, taps);
}

static uint32_t *random_permutation(const layer *l) {
    uint32_t *permutation = allocate(l->o * sizeof *permutation);
    for (size_t g = 0; g < l->o; g += l->each) set_random_order(permutation + g, l->each, g);
    return permutation;
}

static size_t row_at(const uint32_t *permutation, size_t place) { return permutation ? permutation[place] : place; }

// MARK: backward masks

static ht_status mask_backward(const layer *l, const matrix *w, const matrix *forward, const uint32_t *permutation,
                               matrix *backward, const ht_options *options) {
    const uint8_t *bits = forward ? forward->data : NULL;
    const size_t stride = forward ? forward->stride : 0;
    return l->is_conv ? ht_bimask_conv_backward_f32(&l->shape, l->n, l->m, w->data, w->stride, bits, stride,
                                                    permutation, backward->data, backward->stride, options)
                      : ht_bimask_backward_f32(l->o, l->k, l->n, l->m, w->data, w->stride, bits, stride, permutation,
                                               backward->data, backward->stride, options);
}

static uint32_t magnitude(const matrix *w, size_t row, size_t column) {
    uint32_t bits;
    memcpy(&bits, element(w, row, column), sizeof bits);
    return bits & 0x7fffffff;
}

// The n largest of a block, one after the other.
static void set_block(const layer *l, const matrix *w, const matrix *forward, const uint32_t *permutation, size_t first,
                      size_t count, size_t column, matrix *backward) {
    for (size_t place = 0; place < count; place++) set_bit(backward, row_at(permutation, first + place), column, false);
    for (size_t taken = 0; taken < l->n; taken++) {
        size_t best = SIZE_MAX;
        for (size_t place = 0; place < count; place++) {
            size_t row = row_at(permutation, first + place);
            if (forward && !bit_at(forward, row, column)) continue;
            if (bit_at(backward, row, column)) continue;
            if (best == SIZE_MAX || magnitude(w, row, column) > magnitude(w, best, column)) best = row;
        }
        if (best != SIZE_MAX) set_bit(backward, best, column, true);
    }
}

static void set_backward(const layer *l, const matrix *w, const matrix *forward, const uint32_t *permutation,
                         matrix *backward) {
    for (size_t row = 0; row < l->o && l->k; row++) memset(element(backward, row, 0), 0, backward->columns);
    for (size_t place = 0; place < l->o; place++)
        if (place % l->each % l->m == 0)
            for (size_t c = 0; c < l->k; c++) {
                size_t left = l->each - place % l->each;
                set_block(l, w, forward, permutation, place, left < l->m ? left : l->m, c, backward);
            }
}

static void test_backward_mask(const layer *l) {
    ht_isa isas[8];
    const size_t count = runnable("bimask_backward_f32", isas, COUNT(isas));
    matrix w = make_matrix(l->o, l->k, HT_DTYPE_F32, HT_ORDER_ROWS, next_random() % 4);
    for (size_t row = 0; row < l->o; row++)
        for (size_t c = 0; c < l->k; c++) *(float *)element(&w, row, c) = random_weight();
    const size_t gap = next_random() % 3;
    matrix forward = make_bits(l->o, l->k, gap), wanted = make_bits(l->o, l->k, gap);
    set_random_bits(&forward, 1 + next_random() % 4, 4);
    uint32_t *permutation = next_random() % 4 ? random_permutation(l) : NULL;
    const matrix *inside = next_random() % 4 ? &forward : NULL;
    set_backward(l, &w, inside, permutation, &wanted);
    for (size_t i = 0; i < 2 * count; i++) {
        const ht_options options = {.isa = isas[i / 2], .threads = 1 + (int)(i % 2)};
        checking("backward mask %zux%zu %zu:%zu %s", l->o, l->k, l->n, l->m, ht_isa_name(options.isa));
        matrix backward = make_bits(l->o, l->k, gap);
        if (inside && next_random() % 2) {  // the mask in its own place
            memcpy(backward.memory, forward.memory, gap + forward.bytes);
            CHECK(mask_backward(l, &w, &backward, permutation, &backward, &options) == HT_OK);
        } else {
            CHECK(mask_backward(l, &w, inside, permutation, &backward, &options) == HT_OK);
        }
        CHECK(!memcmp(backward.memory, wanted.memory, gap + backward.bytes));
        free_matrix(&backward);
    }
    CHECK(gaps_are_filled(&wanted));
    free(permutation);
    free_matrix(&wanted);
    free_matrix(&forward);
    free_matrix(&w);
}

void test_bimask(void) {
    for (int i = 0; i < 300; i++) {
        layer l = random_layer();
        if (!is_skipped()) test_backward_mask(&l);
    }
}
