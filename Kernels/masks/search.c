// SPDX-License-Identifier: Apache-2.0
// Scores of permutations and searches for them: the public face, the published search and exchanges of two rows.
#include <string.h>

#include "assignment.h"
#include "bit_rows.h"
#include "core/threads.h"

const ht_entry ht_bimask_search_table[] = {
#if defined(__x86_64__)
    {"bimask_search", HT_ISA_AVX512_POPCNT, (ht_fn)ht_bimask_search_avx512popcnt},
    {"bimask_search", HT_ISA_AVX512, (ht_fn)ht_bimask_search_avx512},
    {"bimask_search", HT_ISA_AVX2, (ht_fn)ht_bimask_search_avx2},
#endif
    {"bimask_search", HT_ISA_REF, (ht_fn)ht_bimask_search_ref},
    {0},
};

enum { candidates = 100, swaps_a_row = 20 };

// MARK: masks

typedef struct call {
    ht_permuted rows;
    const uint8_t *mask;
    size_t mask_stride;
    ht_worth worth;
    ht_isa isa;
    int threads;
    ht_bit_matrix matrix;
} call;

static ht_status check(call *c, const ht_options *options) {
    const ht_permuted *p = &c->rows;
    const ht_entry *entry;
    if (options && options->threads < 0) return HT_ERROR_THREADS;
    c->isa = options ? options->isa : HT_ISA_AUTO;
    ht_status status = ht_pick(ht_bimask_search_table, c->isa, &entry);
    if (!status && (unsigned)c->worth.scorer > HT_BIMASK_ELIGIBLE) status = HT_ERROR_PATTERN;
    if (!status) status = ht_check_matrix(c->mask, ht_permuted_rows(p), ht_ceil_div(p->columns, 8), 1, &c->mask_stride);
    if (!status) status = ht_permuted_check(p);
    if (status) return status;
    c->matrix = (ht_bit_matrix){.rows = p->group_rows,
                                .lines = ht_ceil_div(p->columns, HT_LINE_BITS),
                                .columns = p->columns,
                                .m = p->m,
                                .worth = c->worth,
                                .calls = ((ht_bimask_row *)entry->kernel)(),
                                .threads = ht_resolve_threads(options ? options->threads : 0)};
    size_t bytes;
    if (!ht_mul(p->group_rows, c->matrix.lines * HT_LINE_WORDS * sizeof(uint64_t), &bytes)) return HT_ERROR_OVERFLOW;
    c->matrix.bits = ht_allocate(bytes);
    return c->matrix.bits ? HT_OK : HT_ERROR_MEMORY;
}

// Little-endian words of bits are bytes in their order.
static void copy_group(const call *c, size_t group) {
    const ht_bit_matrix *a = &c->matrix;
    const size_t line_bytes = a->lines * HT_LINE_WORDS * sizeof(uint64_t), bytes = ht_ceil_div(a->columns, 8);
    const uint8_t *from = c->mask + group * a->rows * c->mask_stride;
    uint8_t *to = (uint8_t *)a->bits;
    for (size_t row = 0; row < a->rows; row++, from += c->mask_stride, to += line_bytes) {
        if (bytes) memcpy(to, from, bytes);
        memset(to + bytes, 0, line_bytes - bytes);
        if (a->columns % 8) to[bytes - 1] &= (uint8_t)((1u << a->columns % 8) - 1);
    }
}

// A group's permutation, as rows of its own; and back.
static void set_order(const ht_permuted *p, size_t group, uint32_t *order) {
    const size_t first = group * p->group_rows;
    for (size_t i = 0; i < p->group_rows; i++)
        order[i] = p->permutation ? (uint32_t)(p->permutation[first + i] - first) : (uint32_t)i;
}

// MARK: scores

typedef struct block_scores {
    const ht_bit_matrix *matrix;
    const uint32_t *order;
    _Atomic uint64_t sum;
} block_scores;

enum { blocks_at_once = 32 };

static void add_blocks(void *context, size_t piece) {
    block_scores *scores = context;
    const ht_bit_matrix *a = scores->matrix;
    const size_t begin = piece * blocks_at_once, end = ht_min(ht_bit_blocks(a), begin + blocks_at_once);
    uint64_t sum = 0;
    for (size_t b = begin; b < end; b++)
        sum += ht_bit_block_score(a, scores->order + b * a->m, ht_bit_block_rows(a, b));
    scores->sum += sum;
}

uint64_t ht_bit_score(const ht_bit_matrix *a, const uint32_t *order) {
    block_scores scores = {.matrix = a, .order = order};
    ht_parallel(add_blocks, &scores, ht_ceil_div(ht_bit_blocks(a), blocks_at_once), a->threads);
    return scores.sum;
}

static ht_status score_groups(call *c, uint64_t *score, const ht_options *options) {
    if (!score) return HT_ERROR_NULL;
    ht_status status = check(c, options);
    if (status) return status;
    uint32_t *order = ht_allocate(c->matrix.rows * sizeof *order);
    uint64_t sum = 0;
    for (size_t g = 0; g < c->rows.groups && order; g++) {
        copy_group(c, g);
        set_order(&c->rows, g, order);
        sum += ht_bit_score(&c->matrix, order);
    }
    if (order) *score = sum;
    status = order ? HT_OK : HT_ERROR_MEMORY;
    ht_free(order);
    ht_free(c->matrix.bits);
    return status;
}

// MARK: random permutations

// Each candidate has a stream of its own, so any of them can be made again.
typedef struct candidate_search {
    ht_bit_matrix matrix;  // on one thread
    uint64_t seed;
    size_t count, pieces;
    uint32_t *orders;      // one for each piece
    uint64_t *scores;      // of each candidate
} candidate_search;

static void set_candidate(const candidate_search *s, size_t i, uint32_t *order) {
    ht_random random = ht_random_stream(s->seed, i);
    for (size_t row = 0; row < s->matrix.rows; row++) order[row] = (uint32_t)row;
    ht_random_shuffle(&random, order, s->matrix.rows);
}

static void score_candidates(void *context, size_t piece) {
    const candidate_search *s = context;
    uint32_t *order = s->orders + piece * s->matrix.rows;
    for (size_t i = piece; i < s->count; i += s->pieces) {
        set_candidate(s, i, order);
        s->scores[i] = ht_bit_score(&s->matrix, order);
    }
}

static ht_status search_random(const ht_bit_matrix *a, uint64_t seed, size_t steps, uint32_t *order) {
    candidate_search s = {.matrix = *a, .seed = seed, .count = steps ? steps : candidates};
    size_t order_bytes, score_bytes, bytes;
    s.matrix.threads = 1;
    s.pieces = ht_min((size_t)a->threads, s.count);
    if (!ht_mul(s.pieces, a->rows * sizeof *order, &order_bytes) || !ht_mul(s.count, sizeof *s.scores, &score_bytes) ||
        !ht_add(order_bytes, score_bytes, &bytes))
        return HT_ERROR_OVERFLOW;
    s.scores = ht_allocate(bytes);
    if (!s.scores) return HT_ERROR_MEMORY;
    s.orders = (uint32_t *)(void *)(s.scores + s.count);
    ht_parallel(score_candidates, &s, s.pieces, a->threads);
    uint64_t best = ht_bit_score(a, order);
    size_t chosen = s.count;
    for (size_t i = 0; i < s.count; i++)
        if (s.scores[i] > best) {
            best = s.scores[i];
            chosen = i;
        }
    if (chosen < s.count) set_candidate(&s, chosen, order);
    ht_free(s.scores);
    return HT_OK;
}

// MARK: swaps

static uint64_t score_of_block(const ht_bit_matrix *a, const uint32_t *order, size_t block) {
    return ht_bit_block_score(a, order + block * a->m, ht_bit_block_rows(a, block));
}

static void swap(uint32_t *order, size_t i, size_t j) {
    const uint32_t row = order[i];
    order[i] = order[j];
    order[j] = row;
}

// Exchanges two places' rows where neither block's loss outweighs the other's gain.
static void try_swap(const ht_bit_matrix *a, uint32_t *order, uint64_t *scores, size_t i, size_t j) {
    const size_t first = i / a->m, second = j / a->m;
    if (first == second) return;
    swap(order, i, j);
    const uint64_t one = score_of_block(a, order, first), two = score_of_block(a, order, second);
    if (one + two >= scores[first] + scores[second]) {
        scores[first] = one;
        scores[second] = two;
    } else {
        swap(order, i, j);
    }
}

static ht_status search_swaps(const ht_bit_matrix *a, size_t steps, ht_random *random, uint32_t *order) {
    const size_t blocks = ht_bit_blocks(a);
    if (blocks < 2) return HT_OK;
    uint64_t *scores = ht_allocate(blocks * sizeof *scores);
    if (!scores) return HT_ERROR_MEMORY;
    for (size_t b = 0; b < blocks; b++) scores[b] = score_of_block(a, order, b);
    for (size_t left = steps ? steps : swaps_a_row * a->rows; left; left--) {
        const size_t i = ht_random_below(random, a->rows), j = ht_random_below(random, a->rows);
        try_swap(a, order, scores, i, j);
    }
    ht_free(scores);
    return HT_OK;
}

// MARK: searches

static ht_status search_group(const call *c, const ht_bimask_rules *rules, size_t group, uint32_t *order) {
    const ht_bit_matrix *a = &c->matrix;
    ht_random random = ht_random_stream(rules->seed, group);
    switch (rules->method) {
    case HT_BIMASK_RANDOM: return search_random(a, random.state, rules->steps, order);
    case HT_BIMASK_SWAPS: return search_swaps(a, rules->steps, &random, order);
    default: return ht_bimask_assign(a, c->isa, rules->steps, &random, order);
    }
}

static ht_status search_groups(call *c, const ht_bimask_rules *rules, uint32_t *permutation, uint64_t *score,
                               const ht_options *options) {
    static const ht_bimask_rules defaults;
    if (!rules) rules = &defaults;
    if (!permutation && ht_permuted_rows(&c->rows)) return HT_ERROR_NULL;
    if ((unsigned)rules->method > HT_BIMASK_RANDOM) return HT_ERROR_PATTERN;
    c->worth.scorer = rules->scorer;
    c->rows.permutation = permutation;
    ht_status status = check(c, options);
    if (status) return status;
    const size_t rows = c->matrix.rows;
    uint32_t *orders = ht_allocate(ht_permuted_rows(&c->rows) * sizeof *orders);
    uint64_t sum = 0;
    if (!orders) status = HT_ERROR_MEMORY;
    for (size_t g = 0; g < c->rows.groups && !status; g++) {
        copy_group(c, g);
        set_order(&c->rows, g, orders + g * rows);
        if (rows && c->matrix.lines) status = search_group(c, rules, g, orders + g * rows);
        if (!status && score) sum += ht_bit_score(&c->matrix, orders + g * rows);
    }
    for (size_t i = 0; i < ht_permuted_rows(&c->rows) && !status; i++)
        permutation[i] = (uint32_t)(orders[i] + i / rows * rows);
    if (!status && score) *score = sum;
    ht_free(orders);
    ht_free(c->matrix.bits);
    return status;
}

// MARK: the calls

static call matrix_call(size_t o, size_t k, size_t n, size_t m, const uint8_t *mask, size_t mask_stride) {
    return (call){.rows = {1, o, k, n, m, NULL}, .mask = mask, .mask_stride = mask_stride, .worth = {.n = n}};
}

static ht_status filters_call(const ht_conv_shape *shape, size_t n, size_t m, const uint8_t *mask, size_t mask_stride,
                              call *c) {
    *c = matrix_call(0, 0, n, m, mask, mask_stride);
    return ht_permuted_filters(shape, n, m, NULL, &c->rows);
}

ht_status ht_bimask_score(size_t o, size_t k, size_t n, size_t m, ht_bimask_scorer scorer, const uint8_t *mask,
                          size_t mask_stride, const uint32_t *permutation, uint64_t *score, const ht_options *options) {
    call c = matrix_call(o, k, n, m, mask, mask_stride);
    c.worth.scorer = scorer;
    c.rows.permutation = permutation;
    return score_groups(&c, score, options);
}

ht_status ht_bimask_conv_score(const ht_conv_shape *shape, size_t n, size_t m, ht_bimask_scorer scorer,
                               const uint8_t *mask, size_t mask_stride, const uint32_t *permutation, uint64_t *score,
                               const ht_options *options) {
    call c;
    const ht_status status = filters_call(shape, n, m, mask, mask_stride, &c);
    if (status) return status;
    c.worth.scorer = scorer;
    c.rows.permutation = permutation;
    return score_groups(&c, score, options);
}

ht_status ht_bimask_search(size_t o, size_t k, size_t n, size_t m, const uint8_t *mask, size_t mask_stride,
                           const ht_bimask_rules *rules, uint32_t *permutation, uint64_t *score,
                           const ht_options *options) {
    call c = matrix_call(o, k, n, m, mask, mask_stride);
    return search_groups(&c, rules, permutation, score, options);
}

ht_status ht_bimask_conv_search(const ht_conv_shape *shape, size_t n, size_t m, const uint8_t *mask, size_t mask_stride,
                                const ht_bimask_rules *rules, uint32_t *permutation, uint64_t *score,
                                const ht_options *options) {
    call c;
    const ht_status status = filters_call(shape, n, m, mask, mask_stride, &c);
    return status ? status : search_groups(&c, rules, permutation, score, options);
}
