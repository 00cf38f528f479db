// SPDX-License-Identifier: Apache-2.0
// The kernel for 2-bit indices (1:4, 1:2, 2:4) on a panel of pairs. A template: avx512bf16.c includes it with
//   SLOTS   of a window of 4 columns: 1 or 2
//
// A dot product instruction takes two slots at once, the values of two columns side by side for each sample. Here the
// panel already holds each pair of columns that two neighbouring slots can name, so a pair of one row is one broadcast
// weight word and, for each of two vectors of 16 samples, one dot product that loads its operand: nothing is unpacked.
// The bound is two loads a cycle, which is the peak of the instruction.
//
// The index bits of both slots, i and 4 j, are the number of the pair's line as they stand. SLOTS = 1: line 16 p + i +
// 4 j of window pair p. SLOTS = 2: line 7 p + i + 4 j of window p; for i < j the six sums differ modulo 7, so the lines
// of all windows interleave without a clash, and only every seventh stays unused.
#define WINDOW_LINES (SLOTS == 1 ? 16 : 7)  // from one pair to the next
#define INDEX_MASK (15u * pair_bytes)
#define VECTORS 2

#define PAIR_ROW(q, pair, row)                                                                                  \
    do {                                                                                                        \
        __m512i weight = _mm512_shuffle_epi32(splat, (_MM_PERM_ENUM)((row) * 0x55));                            \
        uint64_t offset = HT_ROTATE_RIGHT(words[q][(row) / 2], ((row) % 2 * 32 + (pair) * 4 - 7 + 64) % 64);    \
        const char *line = panel + (pair) * WINDOW_LINES * pair_bytes + ((uint32_t)offset & INDEX_MASK);        \
        HT_UNROLL                                                                                               \
        for (int v = 0; v < VECTORS; v++)                                                                       \
            sums[(q) * 4 + (row)][v] = dot(sums[(q) * 4 + (row)][v], weight, _mm512_load_si512(line + v * 64)); \
    } while (0)

#define PAIR_OF(pair)                                                                            \
    HT_UNROLL                                                                                    \
    for (int q = 0; q < quads; q++) {                                                            \
        __m512i splat = opaque(_mm512_shuffle_i32x4(weights[q], weights[q], (pair) % 4 * 0x55)); \
        PAIR_ROW(q, pair, 0);                                                                    \
        PAIR_ROW(q, pair, 1);                                                                    \
        PAIR_ROW(q, pair, 2);                                                                    \
        PAIR_ROW(q, pair, 3);                                                                    \
    }

#define STEP(step)                                                      \
    do {                                                                \
        __m512i weights[2];                                             \
        HT_UNROLL                                                       \
        for (int q = 0; q < quads; q++) {                               \
            const char *from = values + q * value_stride + (step) * 64; \
            weights[q] = _mm512_load_si512(from);                       \
            prefetch_weights(from);                                     \
        }                                                               \
        PAIR_OF((step) * 4)                                             \
        PAIR_OF((step) * 4 + 1)                                         \
        PAIR_OF((step) * 4 + 2)                                         \
        PAIR_OF((step) * 4 + 3)                                         \
    } while (0)

// `groups` times `quads` quads, from where `at` points; moves it behind them.
HT_INLINE void NAME(pairs_groups, VECTORS)(const kernel_args *a, cursor *at, size_t groups, const int quads) {
    const size_t units = a->slots / 16, value_stride = a->value_stride, index_stride = a->index_stride;
    const bool half_unit = a->slots % 16 != 0;
    uint64_t words[2][2];
    for (size_t group = 0; group < groups; group++) {
        const char *values = at->values, *panel = a->panel;
        const uint8_t *indices = at->indices;
        __m512 sums[8][VECTORS];
        HT_UNROLL
        for (int row = 0; row < quads * 4; row++) HT_UNROLL
        for (int v = 0; v < VECTORS; v++)
            sums[row][v] = a->first ? _mm512_setzero_ps() : _mm512_load_ps(at->sums + (row * VECTORS + v) * 16);

        for (size_t unit = 0; unit < units; unit++) {
            HT_UNROLL
            for (int q = 0; q < quads; q++) load_words(words[q], indices + q * index_stride, 8);
            STEP(0);
            STEP(1);
            indices += 16;
            values += 128;
            panel += 8 * WINDOW_LINES * pair_bytes;
        }
        if (half_unit) {
            HT_UNROLL
            for (int q = 0; q < quads; q++) load_words(words[q], indices + q * index_stride, 8);
            STEP(0);
        }
        HT_UNROLL
        for (int row = 0; row < quads * 4; row++) HT_UNROLL
        for (int v = 0; v < VECTORS; v++) _mm512_store_ps(at->sums + (row * VECTORS + v) * 16, sums[row][v]);
        at->values += quads * value_stride;
        at->indices += quads * index_stride;
        at->sums += quads * 4 * VECTORS * 16;
    }
}

static void NAME(pairs, VECTORS)(const kernel_args *a) {
    cursor at = {a->values, a->indices, a->sums};
    NAME(pairs_groups, VECTORS)(a, &at, a->quads / 2, 2);
    NAME(pairs_groups, VECTORS)(a, &at, a->quads % 2, 1);
}

#undef WINDOW_LINES
#undef INDEX_MASK
#undef PAIR_ROW
#undef PAIR_OF
#undef STEP
#undef VECTORS
