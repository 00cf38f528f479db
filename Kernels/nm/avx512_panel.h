// SPDX-License-Identifier: Apache-2.0
// The panel kernel for one index code and panel width. A template: avx512.c includes it with
//   BITS, SLOTS   the index code: bits of an index, slots of a window (0: the window is the block)
//   VECTORS       width of the panel in vectors of 16 floats
//   QUADS         quads worked on together: QUADS * 4 * VECTORS sums live in registers, 16 hide the latency of the FMAs
//
// One slot of one row is one broadcast weight and VECTORS x (panel load + FMA). The core does two of either a cycle, so
// the bound is the FMA peak, and everything else has to hide in the other issue slots:
//   - weights: one load brings 4 slots x 4 rows; an immediate shuffle splats a slot, another one a row (any port).
//   - indices: one 64-bit load brings the indices of 2 rows; rotate and mask make one a byte offset into the panel. The
//     words of the next unit are fetched a unit ahead, so that no panel load waits for an index load.
#define LINE (VECTORS * 64)  // bytes of a panel column
#define INDEX_MASK ((uint32_t)(WINDOW - 1) * LINE)

// The index that begins at bit `at` of a word, as a byte offset. LINE is 64, 128 or 256: a shift by 6, 7 or 8.
#define LINE_SHIFT (VECTORS == 1 ? 6 : VECTORS == 2 ? 7 : 8)
#define OFFSET(word, at) ((uint32_t)HT_ROTATE_RIGHT(word, ((at) - LINE_SHIFT + 64) % 64) & INDEX_MASK)

#define ROW(q, slot, row)                                                                                          \
    do {                                                                                                           \
        __m512 weight = _mm512_permute_ps(splat, (row) * 0x55);                                                    \
        const char *line =                                                                                         \
            panel + SLOT_COLUMN(slot) * LINE + OFFSET(words[q][(row) / 2], (row) % 2 * 32 + (slot) % UNIT * BITS); \
        HT_UNROLL                                                                                                  \
        for (int v = 0; v < VECTORS; v++)                                                                          \
            sums[(q) * 4 + (row)][v] =                                                                             \
                _mm512_fmadd_ps(_mm512_load_ps((const float *)line + v * 16), weight, sums[(q) * 4 + (row)][v]);   \
    } while (0)

#define SLOT_OF(slot)                                                                              \
    HT_UNROLL                                                                                      \
    for (int q = 0; q < quads; q++) {                                                              \
        __m512 splat = ht_opaque(_mm512_shuffle_f32x4(weights[q], weights[q], (slot) % 4 * 0x55)); \
        ROW(q, slot, 0);                                                                           \
        ROW(q, slot, 1);                                                                           \
        ROW(q, slot, 2);                                                                           \
        ROW(q, slot, 3);                                                                           \
    }

#define STEP(step)                                                               \
    do {                                                                         \
        __m512 weights[QUADS];                                                   \
        HT_UNROLL                                                                \
        for (int q = 0; q < quads; q++) {                                        \
            weights[q] = _mm512_load_ps(values + q * quad_values + (step) * 16); \
            ht_prefetch_weights(values + q * quad_values + (step) * 16);         \
        }                                                                        \
        SLOT_OF((step) * 4)                                                      \
        SLOT_OF((step) * 4 + 1)                                                  \
        SLOT_OF((step) * 4 + 2)                                                  \
        SLOT_OF((step) * 4 + 3)                                                  \
    } while (0)

// `groups` times `quads` quads, from where `at` points; moves it behind them. `rest` steps follow the last whole unit.
HT_INLINE void NAME(panel_groups, VECTORS)(const ht_nm_panel_args *a, ht_panel_cursor *at, size_t groups,
                                           const int quads, const size_t rest) {
    const size_t units = a->slots / UNIT;
    const size_t quad_values = a->slots * HT_NM_QUAD, quad_words = (units + (rest != 0)) * HT_NM_QUAD;
    const size_t last = ht_hidden(units + (rest != 0) - 1);
    uint64_t words[QUADS][2], next[QUADS][2];
    if (groups == 0) return;
    HT_UNROLL
    for (int q = 0; q < quads; q++) ht_load_words(words[q], at->indices + q * quad_words);

    for (size_t group = 0; group < groups; group++) {
        const float *values = at->values;
        const uint32_t *indices = at->indices;
        const uint32_t *following = group + 1 < groups ? indices + quads * quad_words : indices;
        const char *panel = (const char *)a->panel;
        __m512 sums[QUADS * 4][VECTORS];
        HT_UNROLL
        for (int row = 0; row < quads * 4; row++) HT_UNROLL
        for (int v = 0; v < VECTORS; v++)
            sums[row][v] = a->first ? _mm512_setzero_ps() : _mm512_load_ps(at->sums + (row * VECTORS + v) * 16);

        for (size_t unit = 0; unit < units; unit++) {
            // Behind a group's last words come those of the next group: its first panel loads need not wait either.
            indices = unit < last ? indices + HT_NM_QUAD : following;
            HT_UNROLL
            for (int q = 0; q < quads; q++) {
                ht_load_words(next[q], indices + q * quad_words);
                _mm_prefetch((const char *)(indices + q * quad_words) + index_ahead, _MM_HINT_T0);
            }
            STEP(0);
#if BITS <= 4
            STEP(1);
#endif
#if BITS <= 2
            STEP(2);
            STEP(3);
#endif
            HT_UNROLL
            for (int q = 0; q < quads; q++) words[q][0] = next[q][0], words[q][1] = next[q][1];
            values += UNIT * HT_NM_QUAD;
            panel += UNIT_COLUMNS * LINE;
        }
#if BITS <= 4
        if (rest > 0) {
            STEP(0);
#if BITS <= 2
            if (rest > 1) STEP(1);
            if (rest > 2) STEP(2);
#endif
            HT_UNROLL
            for (int q = 0; q < quads; q++) ht_load_words(words[q], following + q * quad_words);
        }
#endif
        HT_UNROLL
        for (int row = 0; row < quads * 4; row++) HT_UNROLL
        for (int v = 0; v < VECTORS; v++) _mm512_store_ps(at->sums + (row * VECTORS + v) * 16, sums[row][v]);
        at->values += quads * quad_values;
        at->indices += quads * quad_words;
        at->sums += quads * 4 * VECTORS * 16;
    }
}

HT_INLINE void NAME(panel_all, VECTORS)(const ht_nm_panel_args *a, const size_t rest) {
    ht_panel_cursor at = {a->values, (const uint32_t *)a->indices, a->sums};
    NAME(panel_groups, VECTORS)(a, &at, a->quads / QUADS, QUADS, rest);
#if QUADS > 1
    NAME(panel_groups, VECTORS)(a, &at, a->quads % QUADS, 1, rest);
#endif
}

// Apart from the full blocks', so that their loop stays tight.
static __attribute__((noinline)) void NAME(panel_last, VECTORS)(const ht_nm_panel_args *a, size_t rest) {
    NAME(panel_all, VECTORS)(a, rest);
}

static void NAME(panel, VECTORS)(const ht_nm_panel_args *a) {
    const size_t rest = a->slots % UNIT / HT_NM_STEP;
    if (rest)
        NAME(panel_last, VECTORS)(a, rest);
    else
        NAME(panel_all, VECTORS)(a, 0);
}

#undef LINE
#undef INDEX_MASK
#undef LINE_SHIFT
#undef OFFSET
#undef ROW
#undef SLOT_OF
#undef STEP
#undef VECTORS
#undef QUADS
