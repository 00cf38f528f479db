// SPDX-License-Identifier: Apache-2.0
// Backward masks, scores and searches against the definitions in the library's header, in plain loops.
#include <math.h>
#include <string.h>

#include "check.h"
#include "masks/linear_assignment.h"
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

// MARK: scores

static uint64_t block_score(const layer *l, ht_bimask_scorer scorer, const matrix *mask, const uint32_t *permutation,
                            size_t first, size_t count) {
    uint64_t score = 0;
    for (size_t c = 0; c < l->k; c++) {
        size_t bits = 0;
        for (size_t i = 0; i < count; i++) bits += bit_at(mask, row_at(permutation, first + i), c);
        score += scorer == HT_BIMASK_ELIGIBLE ? bits <= l->n : bits < l->n ? bits : l->n;
    }
    return score;
}

static uint64_t score_of(const layer *l, ht_bimask_scorer scorer, const matrix *mask, const uint32_t *permutation) {
    uint64_t score = 0;
    for (size_t place = 0; place < l->o; place++) {
        size_t left = l->each - place % l->each;
        if (place % l->each % l->m == 0)
            score += block_score(l, scorer, mask, permutation, place, left < l->m ? left : l->m);
    }
    return score;
}

static ht_status get_score(const layer *l, ht_bimask_scorer scorer, const matrix *mask, const uint32_t *permutation,
                           uint64_t *score, const ht_options *options) {
    return l->is_conv
               ? ht_bimask_conv_score(&l->shape, l->n, l->m, scorer, mask->data, mask->stride, permutation, score,
                                      options)
               : ht_bimask_score(l->o, l->k, l->n, l->m, scorer, mask->data, mask->stride, permutation, score, options);
}

static ht_status search(const layer *l, const matrix *mask, const ht_bimask_rules *rules, uint32_t *permutation,
                        uint64_t *score, const ht_options *options) {
    return l->is_conv
               ? ht_bimask_conv_search(&l->shape, l->n, l->m, mask->data, mask->stride, rules, permutation, score,
                                       options)
               : ht_bimask_search(l->o, l->k, l->n, l->m, mask->data, mask->stride, rules, permutation, score, options);
}

static void test_score(const layer *l) {
    ht_isa isas[8];
    const size_t count = runnable("bimask_search", isas, COUNT(isas));
    matrix mask = make_bits(l->o, l->k, next_random() % 3);
    set_random_bits(&mask, 1 + next_random() % 3, 4);
    uint32_t *permutation = next_random() % 4 ? random_permutation(l) : NULL;
    for (size_t i = 0; i < 4 * count; i++) {
        const ht_options options = {.isa = isas[i / 4], .threads = 1 + (int)(i % 2)};
        const ht_bimask_scorer scorer = i / 2 % 2 ? HT_BIMASK_ELIGIBLE : HT_BIMASK_SURVIVORS;
        uint64_t score = 0;
        checking("score %zux%zu %zu:%zu %s", l->o, l->k, l->n, l->m, ht_isa_name(options.isa));
        CHECK(get_score(l, scorer, &mask, permutation, &score, &options) == HT_OK);
        CHECK(score == score_of(l, scorer, &mask, permutation));
    }
    free(permutation);
    free_matrix(&mask);
}

// What survives is as many as the score says, and lies inside the forward mask.
static void test_survivors(const layer *l) {
    matrix w = make_matrix(l->o, l->k, HT_DTYPE_F32, HT_ORDER_ROWS, 0);
    matrix forward = make_bits(l->o, l->k, 0), backward = make_bits(l->o, l->k, 0);
    uint32_t *permutation = random_permutation(l);
    for (size_t i = 0; i < l->o * l->k; i++) ((float *)w.data)[i] = random_weight();
    set_random_bits(&forward, 1, 2);
    checking("survivors %zux%zu %zu:%zu", l->o, l->k, l->n, l->m);
    CHECK(mask_backward(l, &w, &forward, permutation, &backward, NULL) == HT_OK);
    uint64_t survivors = 0, score = 0;
    bool is_inside = true;
    for (size_t row = 0; row < l->o; row++)
        for (size_t c = 0; c < l->k; c++) {
            survivors += bit_at(&backward, row, c);
            is_inside &= bit_at(&forward, row, c) || !bit_at(&backward, row, c);
        }
    CHECK(is_inside);
    CHECK(get_score(l, HT_BIMASK_SURVIVORS, &forward, permutation, &score, NULL) == HT_OK);
    CHECK(score == survivors);
    free(permutation);
    free_matrix(&backward);
    free_matrix(&forward);
    free_matrix(&w);
}

// MARK: searches

static bool is_permutation(const layer *l, const uint32_t *permutation) {
    bool *seen = calloc(l->o + 1, sizeof *seen), is = true;
    for (size_t i = 0; i < l->o && is; i++) {
        is = permutation[i] < l->o && permutation[i] / l->each == i / l->each && !seen[permutation[i]];
        if (is) seen[permutation[i]] = true;
    }
    free(seen);
    return is;
}

// A search from a random start: not worse, and the same on every ISA and for any thread count.
static void test_search(const layer *l, ht_bimask_rules rules) {
    ht_isa isas[8];
    const size_t count = runnable("bimask_search", isas, COUNT(isas));
    matrix mask = make_bits(l->o, l->k, next_random() % 3);
    set_random_bits(&mask, 1 + next_random() % 3, 4);
    uint32_t *start = random_permutation(l), *found = allocate(l->o * sizeof *found);
    uint32_t *first = allocate(l->o * sizeof *first);
    for (size_t i = 0; i < 2 * count; i++) {
        const ht_options options = {.isa = isas[i / 2], .threads = 1 + (int)(i % 2)};
        uint64_t score = 0;
        checking("search %zux%zu %zu:%zu method %d %s", l->o, l->k, l->n, l->m, (int)rules.method,
                 ht_isa_name(options.isa));
        memcpy(found, start, l->o * sizeof *found);
        CHECK(search(l, &mask, &rules, found, &score, &options) == HT_OK);
        CHECK(is_permutation(l, found));
        CHECK(score == score_of(l, rules.scorer, &mask, found));
        CHECK(score >= score_of(l, rules.scorer, &mask, start));
        if (i == 0) memcpy(first, found, l->o * sizeof *found);
        CHECK(!memcmp(first, found, l->o * sizeof *found));
    }
    free(first);
    free(found);
    free(start);
    free_matrix(&mask);
}

// The best of all ways to cut eight rows into two blocks of four.
static uint64_t best_of_all(const layer *l, ht_bimask_scorer scorer, const matrix *mask) {
    uint64_t best = 0;
    for (unsigned chosen = 0; chosen < 256; chosen++) {
        uint32_t order[8], ones = 0, zeros = 4;
        if (__builtin_popcount(chosen) != 4) continue;
        for (uint32_t row = 0; row < 8; row++) order[chosen >> row & 1 ? ones++ : zeros++] = row;
        const uint64_t score = score_of(l, scorer, mask, order);
        best = score > best ? score : best;
    }
    return best;
}

// Of eight starts one leads each search to the best. Two blocks that assign a row each exchange them or do not.
static void test_small_searches(void) {
    for (int i = 0; i < 20; i++) {
        const layer l = make_layer(8, 40, 1 + (size_t)i % 3, 4, 1, 1);
        const ht_bimask_scorer scorer = i % 2 ? HT_BIMASK_ELIGIBLE : HT_BIMASK_SURVIVORS;
        matrix mask = make_bits(8, 40, 0);
        set_random_bits(&mask, 1, 2);
        const uint64_t best = best_of_all(&l, scorer, &mask);
        uint64_t reached[3] = {0};
        for (uint64_t seed = 0; seed < 8; seed++)
            for (int method = 0; method < 3; method++) {
                uint32_t order[8];
                set_random_order(order, 8, 0);
                const ht_bimask_rules rules = {scorer, (ht_bimask_method)method, seed, 300};
                uint64_t score = 0;
                checking("best of all, method %d", method);
                CHECK(search(&l, &mask, &rules, order, &score, NULL) == HT_OK);
                CHECK(score <= best);
                reached[method] = score > reached[method] ? score : reached[method];
            }
        CHECK(reached[HT_BIMASK_RANDOM] == best);
        CHECK(reached[HT_BIMASK_SWAPS] == best);
        CHECK(reached[HT_BIMASK_ASSIGNMENT] == best);
        free_matrix(&mask);
    }
}

// MARK: closed forms

static double chance(size_t bits, size_t of, double p) {
    double result = pow(p, (double)bits) * pow(1 - p, (double)(of - bits));
    for (size_t i = 0; i < bits; i++) result *= (double)(of - i) / (double)(i + 1);
    return result;
}

// In a block of M entries each of which is kept with a chance of N / M, min(N, kept) survive.
static void test_closed_form(size_t n, size_t m, size_t k) {
    const size_t o = 512;
    const layer l = make_layer(o, k, n, m, 1, 1);
    matrix w = make_matrix(o, k, HT_DTYPE_F32, HT_ORDER_ROWS, 0), mask = make_bits(o, k, 0);
    for (size_t i = 0; i < o * k; i++) ((float *)w.data)[i] = (float)(int32_t)next_random();
    CHECK(ht_nm_mask_f32(o, k, n, m, w.data, w.stride, mask.data, mask.stride, NULL) == HT_OK);
    double survivors = 0, eligible = 0;
    for (size_t kept = 0; kept <= m; kept++) {
        survivors += chance(kept, m, (double)n / (double)m) * (double)(kept < n ? kept : n);
        eligible += kept <= n ? chance(kept, m, (double)n / (double)m) : 0;
    }
    const double blocks = (double)(o / m * k);
    uint64_t score = 0;
    checking("closed form %zu:%zu", n, m);
    CHECK(get_score(&l, HT_BIMASK_SURVIVORS, &mask, NULL, &score, NULL) == HT_OK);
    CHECK(fabs((double)score / blocks / survivors - 1) < .005);
    CHECK(get_score(&l, HT_BIMASK_ELIGIBLE, &mask, NULL, &score, NULL) == HT_OK);
    CHECK(fabs((double)score / blocks / eligible - 1) < .02);
    const ht_bimask_rules rules = {.steps = 2 * m};
    uint32_t *order = random_permutation(&l);
    CHECK(search(&l, &mask, &rules, order, &score, NULL) == HT_OK);
    CHECK((double)score / blocks / survivors > 1.005);
    free(order);
    free_matrix(&mask);
    free_matrix(&w);
}

// MARK: linear assignment

static int64_t least_cost(const int32_t *costs, size_t count, size_t row, unsigned taken) {
    int64_t least = row == count ? 0 : INT64_MAX;
    for (size_t j = 0; j < count && row < count; j++) {
        if (taken >> j & 1) continue;
        const int64_t cost = costs[row * HT_ASSIGNED + j] + least_cost(costs, count, row + 1, taken | 1u << j);
        least = cost < least ? cost : least;
    }
    return least;
}

// Prices prove what a result costs: no sum over rows and columns of least differences is larger than it.
static int64_t proven_cost(const ht_assignment *a) {
    int64_t sum = 0;
    for (size_t j = 0; j < a->count; j++) sum += a->price[j];
    for (size_t i = 0; i < a->count; i++) {
        int64_t least = INT64_MAX;
        for (size_t j = 0; j < a->count; j++) {
            const int64_t own = (int64_t)a->costs[i * HT_ASSIGNED + j] - a->price[j];
            least = own < least ? own : least;
        }
        sum += least;
    }
    return sum;
}

static void test_linear_assignment(size_t count, uint32_t costs_below) {
    static ht_bimask_row *const rows[] = {ht_bimask_search_ref,
#if defined(__x86_64__)
                                          ht_bimask_search_avx2, ht_bimask_search_avx512, ht_bimask_search_avx512popcnt
#endif
    };
    static const ht_isa isas[] = {HT_ISA_REF, HT_ISA_AVX2, HT_ISA_AVX512, HT_ISA_AVX512_POPCNT};
    ht_isa runs[8];
    const size_t runnable_rows = runnable("bimask_search", runs, COUNT(runs));
    int32_t *costs = exactly(HT_ASSIGNED * HT_ASSIGNED * sizeof *costs, 64);
    ht_assignment *a = exactly(sizeof *a, 64);
    for (size_t i = 0; i < HT_ASSIGNED * HT_ASSIGNED; i++) costs[i] = (int32_t)(next_random() % costs_below);
    for (size_t r = 0; r < COUNT(rows); r++) {
        bool is_runnable = false;
        for (size_t i = 0; i < runnable_rows; i++) is_runnable |= runs[i] == isas[r];
        if (!is_runnable) continue;
        checking("assignment of %zu, costs below %u, %s", count, costs_below, ht_isa_name(isas[r]));
        *a = (ht_assignment){.calls = rows[r](), .count = count, .costs = costs};
        if (next_random() % 2)
            for (size_t j = 0; j < count; j++) a->price[j] = (int32_t)(next_random() % costs_below);
        ht_assign(a);
        int64_t cost = 0;
        bool taken[HT_ASSIGNED] = {false}, is_assignment = true;
        for (size_t i = 0; i < count; i++) {
            const size_t column = (size_t)a->column[i];
            is_assignment &= column < count && !taken[column];
            if (!is_assignment) break;
            taken[column] = true;
            cost += costs[i * HT_ASSIGNED + column];
        }
        CHECK(is_assignment);
        CHECK(cost == proven_cost(a));
        if (count <= 7) CHECK(cost == least_cost(costs, count, 0, 0));
    }
    free(a);
    free(costs);
}

// MARK: errors

static void test_errors(void) {
    const layer l = make_layer(8, 24, 2, 4, 1, 1), conv = make_layer(8, 24, 2, 4, 2, 1);
    const ht_options no_threads = {.threads = -1};
    float w[8 * 24] = {0};
    uint8_t mask[24] = {0}, backward[24];
    uint32_t same[8] = {0, 1, 2, 3, 4, 5, 6, 6}, leaves[8] = {4, 1, 2, 3, 0, 5, 6, 7}, good[8], kept[8];
    uint64_t score = 1;
    for (uint32_t i = 0; i < 8; i++) good[i] = i;
    memset(backward, 0x5a, sizeof backward);
    checking("errors of backward masks");
#define BACKWARD(...) ht_bimask_backward_f32(__VA_ARGS__)
    CHECK(BACKWARD(8, 24, 2, 4, w, 0, mask, 0, same, backward, 0, NULL) == HT_ERROR_PERMUTATION);
    CHECK(BACKWARD(8, 24, 5, 4, w, 0, mask, 0, NULL, backward, 0, NULL) == HT_ERROR_PATTERN);
    CHECK(BACKWARD(8, 24, 2, 4, NULL, 0, mask, 0, NULL, backward, 0, NULL) == HT_ERROR_NULL);
    CHECK(BACKWARD(8, 24, 2, 4, w, 0, mask, 0, NULL, NULL, 0, NULL) == HT_ERROR_NULL);
    CHECK(BACKWARD(8, 24, 2, 4, w, 92, mask, 0, NULL, backward, 0, NULL) == HT_ERROR_STRIDE);
    CHECK(BACKWARD(8, 24, 2, 4, w, 0, mask, 2, NULL, backward, 0, NULL) == HT_ERROR_STRIDE);
    CHECK(BACKWARD(8, 24, 2, 4, w, 0, mask, 0, NULL, backward, 2, NULL) == HT_ERROR_STRIDE);
    CHECK(BACKWARD(8, 24, 2, 4, w, 0, mask, 0, NULL, backward, 0, &no_threads) == HT_ERROR_THREADS);
    CHECK(ht_bimask_conv_backward_f32(&conv.shape, 2, 4, w, 0, mask, 0, leaves, backward, 0, NULL) ==
          HT_ERROR_PERMUTATION);
    CHECK(ht_bimask_conv_backward_f32(NULL, 2, 4, w, 0, mask, 0, NULL, backward, 0, NULL) == HT_ERROR_NULL);
    CHECK(is_filled(backward, sizeof backward));
#undef BACKWARD
    checking("errors of scores and searches");
#define SCORE(...) ht_bimask_score(__VA_ARGS__)
    CHECK(SCORE(8, 24, 2, 4, HT_BIMASK_SURVIVORS, mask, 0, same, &score, NULL) == HT_ERROR_PERMUTATION);
    CHECK(SCORE(8, 24, 2, 4, (ht_bimask_scorer)2, mask, 0, NULL, &score, NULL) == HT_ERROR_PATTERN);
    CHECK(SCORE(8, 24, 0, 4, HT_BIMASK_SURVIVORS, mask, 0, NULL, &score, NULL) == HT_ERROR_PATTERN);
    CHECK(SCORE(8, 24, 2, 4, HT_BIMASK_SURVIVORS, NULL, 0, NULL, &score, NULL) == HT_ERROR_NULL);
    CHECK(SCORE(8, 24, 2, 4, HT_BIMASK_SURVIVORS, mask, 0, NULL, NULL, NULL) == HT_ERROR_NULL);
    CHECK(SCORE(8, 24, 2, 4, HT_BIMASK_SURVIVORS, mask, 0, NULL, &score, &no_threads) == HT_ERROR_THREADS);
#undef SCORE
    const ht_bimask_rules no_method = {.method = (ht_bimask_method)3}, no_scorer = {.scorer = (ht_bimask_scorer)2};
    matrix bits = make_bits(8, 24, 0);
    memcpy(kept, same, sizeof kept);
    CHECK(search(&l, &bits, NULL, same, &score, NULL) == HT_ERROR_PERMUTATION);
    CHECK(!memcmp(kept, same, sizeof kept));
    CHECK(search(&conv, &bits, NULL, leaves, &score, NULL) == HT_ERROR_PERMUTATION);
    CHECK(search(&l, &bits, NULL, NULL, &score, NULL) == HT_ERROR_NULL);
    CHECK(search(&l, &bits, &no_method, good, &score, NULL) == HT_ERROR_PATTERN);
    CHECK(search(&l, &bits, &no_scorer, good, &score, NULL) == HT_ERROR_PATTERN);
    CHECK(search(&l, &bits, NULL, good, &score, &no_threads) == HT_ERROR_THREADS);
    CHECK(score == 1);
    free_matrix(&bits);
}

// Nothing to do is done.
static void test_nothing(void) {
    uint64_t score = 1;
    uint32_t none[4] = {0, 1, 2, 3};
    checking("no rows or no columns");
    CHECK(ht_bimask_backward_f32(0, 9, 2, 4, NULL, 0, NULL, 0, NULL, NULL, 0, NULL) == HT_OK);
    CHECK(ht_bimask_backward_f32(9, 0, 2, 4, NULL, 0, NULL, 0, NULL, NULL, 0, NULL) == HT_OK);
    CHECK(ht_bimask_score(0, 9, 2, 4, HT_BIMASK_SURVIVORS, NULL, 0, NULL, &score, NULL) == HT_OK && score == 0);
    CHECK(ht_bimask_score(4, 0, 2, 4, HT_BIMASK_ELIGIBLE, NULL, 0, NULL, &score, NULL) == HT_OK && score == 0);
    CHECK(ht_bimask_search(0, 9, 2, 4, NULL, 0, NULL, NULL, &score, NULL) == HT_OK && score == 0);
    CHECK(ht_bimask_search(4, 0, 2, 4, NULL, 0, NULL, none, NULL, NULL) == HT_OK && none[3] == 3);
}

void test_bimask(void) {
    for (int i = 0; i < 200; i++) {
        const layer l = random_layer();
        if (is_skipped()) continue;
        test_backward_mask(&l);
        test_score(&l);
        test_survivors(&l);
    }
    for (int i = 0; i < 60; i++) {
        const layer l = random_layer();
        const ht_bimask_rules rules = {.scorer = (ht_bimask_scorer)(i % 2),
                                       .method = (ht_bimask_method)(i / 2 % 3),
                                       .seed = next_random(),
                                       .steps = i % 5 ? 1 + next_random() % 30 : 0};
        if (!is_skipped()) test_search(&l, rules);
    }
    if (!is_skipped()) {
        // More blocks than are assigned at once, and counts that take planes of several lines.
        const layer many = make_layer(1100, 70, 1, 2, 1, 1), wide = make_layer(40, 1500, 2, 4, 1, 1);
        test_search(&many, (ht_bimask_rules){.steps = 3});
        test_search(&wide, (ht_bimask_rules){.steps = 3});
    }
    test_small_searches();
    // So many columns that half a percent is four standard deviations.
    static const size_t patterns[][3] = {{2, 4, 768},  {1, 4, 2432},   {4, 8, 640},  {2, 8, 1920},
                                         {1, 8, 5376}, {1, 16, 11264}, {8, 16, 512}, {16, 32, 512}};
    for (size_t i = 0; i < COUNT(patterns); i++)
        if (!is_skipped()) test_closed_form(patterns[i][0], patterns[i][1], patterns[i][2]);
    for (size_t count = 1; count < 60; count += count < 20 ? 1 : 7)
        for (uint32_t below = 2; below < 2000; below *= 9) test_linear_assignment(count, below);
    test_linear_assignment(HT_ASSIGNED, 40);
    test_errors();
    test_nothing();
}
