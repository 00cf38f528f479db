// SPDX-License-Identifier: Apache-2.0
// The panel kernel for one index code and panel width. A template: avx2.c includes it with
//   BITS, SLOTS   the index code, see index_code.h
//   VECTORS       width of the panel in vectors of 8 floats
//   QUADS         quads worked on together: QUADS * 4 * VECTORS sums live in registers, 8 or more hide the latency
//
// As in avx512_panel.h one slot of one row is VECTORS x (panel load + FMA), two of either a cycle. Any other load takes
// the place of an FMA's, so the weights of 2 slots x 4 rows come by one load and are splat by shuffles. 4 rows x 3
// vectors are 12 sums, which leaves 4 registers for weights: more would spill.
#define LINE (VECTORS * 32)  // bytes of a panel column
#define UNIT_BYTES (HT_NM_QUAD * FIELD_BYTES)

// Where the column of a slot lies in the unit's lines of the panel, in bytes.
#if BITS == 1
// The lowest bit left of a map, which is then cleared; in a damaged map without bits the column behind the unit.
#define WORD uint32_t
#define WORDS 4
#define OFFSET(q, slot, row) (_tzcnt_u32(words[q][row]) * (size_t)LINE)
#define TAKE(q, row) words[q][row] = _blsr_u32(words[q][row])
#else
// A word holds the fields of two rows. The index is rotated to a multiple of 32 and then taken times VECTORS.
#define WORD uint64_t
#define WORDS 2
#define INDEX(word, at) ((uint32_t)HT_ROTATE_RIGHT(word, ((at) + 59) % 64) & (uint32_t)(WINDOW - 1) * 32)
#define OFFSET(q, slot, row)    \
    (SLOT_COLUMN(slot) * LINE + \
     INDEX(words[q][(row) / 2], (row) % 2 * FIELD_BYTES * 8 + (slot) % UNIT * BITS) * (size_t)VECTORS)
#define TAKE(q, row) (void)0
#endif

#define LOAD_WORDS(to, from)           \
    HT_UNROLL                          \
    for (int w_ = 0; w_ < WORDS; w_++) \
    __builtin_memcpy(&(to)[w_], (from) + w_ * (HT_NM_QUAD / WORDS * FIELD_BYTES), sizeof(WORD))

#define ROW(q, slot, row)                                                                        \
    do {                                                                                         \
        __m256 weight = _mm256_permute_ps(splat, (row) * 0x55);                                  \
        const float *line = (const float *)(panel + OFFSET(q, slot, row));                       \
        TAKE(q, row);                                                                            \
        HT_UNROLL                                                                                \
        for (int v = 0; v < VECTORS; v++)                                                        \
            sums[(q) * 4 + (row)][v] =                                                           \
                _mm256_fmadd_ps(_mm256_load_ps(line + v * 8), weight, sums[(q) * 4 + (row)][v]); \
    } while (0)

#define SLOT_OF(slot, splat_half)                         \
    HT_UNROLL                                             \
    for (int q = 0; q < quads; q++) {                     \
        __m256 splat = ht_splat_half(two[q], splat_half); \
        ROW(q, slot, 0);                                  \
        ROW(q, slot, 1);                                  \
        ROW(q, slot, 2);                                  \
        ROW(q, slot, 3);                                  \
    }

#define TWO_SLOTS(slot)                                                                                          \
    do {                                                                                                         \
        __m256 two[QUADS];                                                                                       \
        HT_UNROLL                                                                                                \
        for (int q = 0; q < quads; q++) two[q] = _mm256_load_ps(values + q * quad_values + (slot) * HT_NM_QUAD); \
        SLOT_OF(slot, 0x44)                                                                                      \
        SLOT_OF(slot + 1, 0xee)                                                                                  \
    } while (0)

#define STEP(step)                                                                                              \
    do {                                                                                                        \
        HT_UNROLL                                                                                               \
        for (int q = 0; q < quads; q++)                                                                         \
            _mm_prefetch((const char *)(values + q * quad_values + (step) * 16) + prefetch_bytes, _MM_HINT_T0); \
        TWO_SLOTS((step) * 4);                                                                                  \
        TWO_SLOTS((step) * 4 + 2);                                                                              \
    } while (0)

// `groups` times `quads` quads, from where `at` points; moves it behind them. `rest` steps follow the last whole unit.
HT_INLINE void NAME(panel_groups, VECTORS)(const ht_nm_panel_args *a, ht_panel_cursor *at, size_t groups,
                                           const int quads, const size_t rest) {
#if BITS == 1
    const size_t units = ht_ceil_div(a->slots, a->unit_slots);
#else
    const size_t units = a->slots / UNIT;
#endif
    const size_t quad_values = a->slots * HT_NM_QUAD, quad_bytes = (units + (rest != 0)) * UNIT_BYTES;
    const size_t last = ht_hidden(units + (rest != 0) - 1);
    WORD words[QUADS][WORDS], next[QUADS][WORDS];
    if (groups == 0) return;
    HT_UNROLL
    for (int q = 0; q < quads; q++) LOAD_WORDS(words[q], at->indices + q * quad_bytes);

    for (size_t group = 0; group < groups; group++) {
        const float *values = at->values;
        const uint8_t *indices = at->indices;
        const uint8_t *following = group + 1 < groups ? indices + quads * quad_bytes : indices;
        const char *panel = (const char *)a->panel;
        __m256 sums[QUADS * 4][VECTORS];
        HT_UNROLL
        for (int row = 0; row < quads * 4; row++) HT_UNROLL
        for (int v = 0; v < VECTORS; v++)
            sums[row][v] = a->first ? _mm256_setzero_ps() : _mm256_load_ps(at->sums + (row * VECTORS + v) * 8);

        for (size_t unit = 0; unit < units; unit++) {
            // Behind a group's last words come those of the next group: its first panel loads need not wait either.
            indices = unit < last ? indices + UNIT_BYTES : following;
            HT_UNROLL
            for (int q = 0; q < quads; q++) {
                LOAD_WORDS(next[q], indices + q * quad_bytes);
                _mm_prefetch((const char *)indices + q * quad_bytes + prefetch_bytes / 8, _MM_HINT_T0);
            }
#if BITS == 1
            for (size_t slot = ht_min(a->unit_slots, a->slots - unit * a->unit_slots); slot; slot -= HT_NM_STEP) {
                STEP(0);
                values += HT_NM_STEP * HT_NM_QUAD;
            }
#else
            STEP(0);
#if UNIT > 4
            STEP(1);
#endif
#if UNIT > 8
            STEP(2);
            STEP(3);
#endif
            values += UNIT * HT_NM_QUAD;
#endif
            HT_UNROLL
            for (int q = 0; q < quads; q++) __builtin_memcpy(words[q], next[q], sizeof next[q]);
            panel += UNIT_COLUMNS * LINE;
        }
#if BITS != 1 && UNIT > 4
        if (rest > 0) {
            STEP(0);
#if UNIT > 8
            if (rest > 1) STEP(1);
            if (rest > 2) STEP(2);
#endif
            HT_UNROLL
            for (int q = 0; q < quads; q++) LOAD_WORDS(words[q], following + q * quad_bytes);
        }
#endif
        HT_UNROLL
        for (int row = 0; row < quads * 4; row++) HT_UNROLL
        for (int v = 0; v < VECTORS; v++) _mm256_store_ps(at->sums + (row * VECTORS + v) * 8, sums[row][v]);
        at->values += quads * quad_values;
        at->indices += quads * quad_bytes;
        at->sums += quads * 4 * VECTORS * 8;
    }
}

HT_INLINE void NAME(panel_all, VECTORS)(const ht_nm_panel_args *a, const size_t rest) {
    ht_panel_cursor at = {a->values, a->indices, a->sums};
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
    const size_t rest = BITS == 1 ? 0 : a->slots % UNIT / HT_NM_STEP;
    if (rest)
        NAME(panel_last, VECTORS)(a, rest);
    else
        NAME(panel_all, VECTORS)(a, 0);
}

#undef LINE
#undef UNIT_BYTES
#undef WORD
#undef WORDS
#undef INDEX
#undef OFFSET
#undef TAKE
#undef LOAD_WORDS
#undef ROW
#undef SLOT_OF
#undef TWO_SLOTS
#undef STEP
#undef VECTORS
#undef QUADS
