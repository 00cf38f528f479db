// SPDX-License-Identifier: Apache-2.0
// The kernel for one index code and panel width. A template: avx512bf16.c includes it with
//   BITS, SLOTS   the index code: bits of an index, slots of a window (0: the window is the block); BITS = 1: a map
//   LINES         64-byte lines of 32 samples that a panel column has
//   QUADS         quads worked on together: QUADS * 4 * LINES * 2 sums live in registers
//
// A pair of slots of one row is one broadcast weight word and, for each 32 samples, two panel loads, two unpacks that
// bring the two columns' values side by side, and two dot products. Loads bound that at the peak, but dot products and
// unpacks take all four vector pipes: the broadcast, one for 2 LINES dot products, comes on top.
#define COLUMN (LINES * 64)  // bytes
#define COLUMN_SHIFT (LINES == 1 ? 6 : 7)
#define STEP_SLOTS 8

#if BITS == 1
// The next set bit's column; of a damaged map that has too few, the one behind the unit.
#define OFFSET(q, row, slot) next_offset(&maps[q][row], COLUMN_SHIFT)
#else
#define FIELDS (BITS == 8 ? 2 : 1)  // of a row in a step
#define FIELD_SLOTS (STEP_SLOTS / FIELDS)
#define BIT_OF(row, slot) ((row) % 2 * FIELD_BYTES * 8 + (slot) % FIELD_SLOTS * BITS)
#define OFFSET(q, row, slot)                                                   \
    ((uint32_t)HT_ROTATE_RIGHT(words[q][(slot) / FIELD_SLOTS][(row) / 2],      \
                               (BIT_OF(row, slot) - COLUMN_SHIFT + 64) % 64) & \
     (uint32_t)(WINDOW - 1) << COLUMN_SHIFT)
#endif

#define PAIR_ROW(q, pair, row)                                                                              \
    do {                                                                                                    \
        __m512i weight = _mm512_shuffle_epi32(splat, (_MM_PERM_ENUM)((row) * 0x55));                        \
        const char *first = panel + SLOT_COLUMN((pair) * 2) * COLUMN + OFFSET(q, row, (pair) * 2);          \
        const char *second = panel + SLOT_COLUMN((pair) * 2 + 1) * COLUMN + OFFSET(q, row, (pair) * 2 + 1); \
        HT_UNROLL                                                                                           \
        for (int v = 0; v < LINES; v++) {                                                                   \
            __m512i x = _mm512_load_si512(first + v * 64), x2 = _mm512_load_si512(second + v * 64);         \
            __m512 *sum = &sums[(q) * 4 + (row)][v * 2];                                                    \
            sum[0] = dot(sum[0], weight, _mm512_unpacklo_epi16(x2, x));                                     \
            sum[1] = dot(sum[1], weight, _mm512_unpackhi_epi16(x2, x));                                     \
        }                                                                                                   \
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

#define STEP                                              \
    do {                                                  \
        __m512i weights[QUADS];                           \
        HT_UNROLL                                         \
        for (int q = 0; q < quads; q++) {                 \
            const char *from = values + q * value_stride; \
            weights[q] = _mm512_load_si512(from);         \
            prefetch_weights(from);                       \
        }                                                 \
        values += 64;                                     \
        PAIR_OF(0)                                        \
        PAIR_OF(1)                                        \
        PAIR_OF(2)                                        \
        PAIR_OF(3)                                        \
    } while (0)

// `groups` times `quads` quads, from where `at` points; moves it behind them.
HT_INLINE void NAME(panel_groups, LINES)(const kernel_args *a, cursor *at, size_t groups, const int quads) {
    const size_t value_stride = a->value_stride, index_stride = a->index_stride;
    for (size_t group = 0; group < groups; group++) {
        const char *values = at->values, *panel = a->panel;
        const uint8_t *indices = at->indices;
        __m512 sums[QUADS * 4][LINES * 2];
        HT_UNROLL
        for (int row = 0; row < quads * 4; row++) HT_UNROLL
        for (int v = 0; v < LINES * 2; v++)
            sums[row][v] = a->first ? _mm512_setzero_ps() : _mm512_load_ps(at->sums + (row * LINES * 2 + v) * 16);

#if BITS == 1
        for (size_t unit = 0; unit < a->slots; unit += a->unit_slots) {
            uint32_t maps[QUADS][4];
            HT_UNROLL
            for (int q = 0; q < quads; q++) memcpy(maps[q], indices + q * index_stride, sizeof maps[q]);
            const size_t end = unit + a->unit_slots < a->slots ? unit + a->unit_slots : a->slots;
            for (size_t slot = unit; slot < end; slot += STEP_SLOTS) STEP;
            indices += 4 * FIELD_BYTES;
            panel += HT_NM_MAP_COLUMNS * COLUMN;
        }
#else
        for (size_t slot = 0; slot < a->slots; slot += STEP_SLOTS) {
            uint64_t words[QUADS][FIELDS][2];
            HT_UNROLL
            for (int q = 0; q < quads; q++) HT_UNROLL
            for (int f = 0; f < FIELDS; f++)
                load_words(words[q][f], indices + q * index_stride + f * 4 * FIELD_BYTES, 2 * FIELD_BYTES);
            STEP;
            indices += FIELDS * 4 * FIELD_BYTES;
            panel += SLOT_COLUMN(STEP_SLOTS) * COLUMN;
        }
#endif
        HT_UNROLL
        for (int row = 0; row < quads * 4; row++) HT_UNROLL
        for (int v = 0; v < LINES * 2; v++) _mm512_store_ps(at->sums + (row * LINES * 2 + v) * 16, sums[row][v]);
        at->values += quads * value_stride;
        at->indices += quads * index_stride;
        at->sums += quads * 4 * LINES * 2 * 16;
    }
}

static void NAME(panel, LINES)(const kernel_args *a) {
    cursor at = {a->values, a->indices, a->sums};
    NAME(panel_groups, LINES)(a, &at, a->quads / QUADS, QUADS);
#if QUADS > 1
    NAME(panel_groups, LINES)(a, &at, a->quads % QUADS, 1);
#endif
}

#undef COLUMN
#undef COLUMN_SHIFT
#undef STEP_SLOTS
#undef OFFSET
#undef FIELDS
#undef FIELD_SLOTS
#undef BIT_OF
#undef PAIR_ROW
#undef PAIR_OF
#undef STEP
