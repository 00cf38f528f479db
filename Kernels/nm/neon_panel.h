// SPDX-License-Identifier: Apache-2.0
// The panel kernel for one index code and panel width. A template: neon.c and neonbf16.c include it with
//   ht_element    of panels and weights, SAMPLE_BYTES its size
//   PAIR_VALUES   elements from the weights of a pair of rows to those of the next
//   LOAD_WEIGHTS(values, slot)              the weights of a pair of rows for a slot
//   ADD(sums, line, weights, slot, row)     adds VECTORS * 4 products of a row's weight to as many sums
//   BITS, SLOTS   the index code: bits of an index (1: a map), slots of a window (0: the window is the block)
//   VECTORS       width of the panel in vectors of 4 samples
//   SHARE         rows of a quad that share their indices: 1, 2 or 4
//   PAIRS         pairs of rows worked on together: PAIRS * 2 * VECTORS sums live in registers, 16 hide the latency of
//                 the FMAs, and as many remain for weights and lines
//
// One slot of one row is VECTORS x (panel load + FMA by an element of the weights), so nothing has to be splatted, and
// an index costs a shift, a mask and an addition. The bound is the lower of the rates of FMAs and of loads, and wide
// panels come close: there is one load for each FMA, and one of weights for 16. The estimate of `Utils/mca
// Kernels/nm/neon.c panel_2_2_8` is 2.00 FMAs a cycle on Neoverse N2 (peak 2), 1.87 on N1 (peak 2, two loads a cycle)
// and 2.80 on V2 (peak 4, three loads a cycle), within 3 % the same for every code. Panels of 16 samples get 2.00, 1.76
// and 2.65, of 4 samples 1.00, 0.68 and 1.96.
#define LINE (VECTORS * 4 * SAMPLE_BYTES)  // bytes of a panel column
#if SHARE == 1
#define SIZE VECTORS
#else
#define SIZE SHARED_SIZE(VECTORS, SHARE)
#endif
#define UNIT_BYTES (HT_NM_QUAD / SHARE * FIELD_BYTES)
#define PAIR_BYTES (SHARE == 4 ? 0 : 2 / SHARE * FIELD_BYTES)  // from the fields of a pair to those of the next

#if BITS == 1
#define COLUMN(pair, row, slot) ht_nm_next_column(&maps[pair][row])
#else
#define COLUMN(pair, row, slot) \
    (SLOT_COLUMN(slot) + (words[pair] >> ((row) * FIELD_BYTES * 8 + (slot) % UNIT * BITS) & (WINDOW - 1)))
#endif
#define LINE_OF(pair, row, slot) ((const ht_element *)(panel + COLUMN(pair, row, slot) * LINE))

#if SHARE == 1
#define ROW(pair, row, slot)                                         \
    do {                                                             \
        float32x4_t *row_sums = sums[(pair) * 2 + (row)];            \
        ADD(row_sums, LINE_OF(pair, row, slot), weights, slot, row); \
        HT_UNROLL                                                    \
        for (int v = 0; v < VECTORS; v++) HT_IN_ORDER(row_sums[v]);  \
    } while (0)

#define SLOT_OF(slot)                                                               \
    HT_UNROLL                                                                       \
    for (int pair = 0; pair < PAIRS; pair++) {                                      \
        const ht_weights weights = LOAD_WEIGHTS(values + pair * PAIR_VALUES, slot); \
        ROW(pair, 0, slot);                                                         \
        ROW(pair, 1, slot);                                                         \
    }
#else
#define SLOT_OF(slot)                                                                   \
    do {                                                                                \
        const ht_element *line = LINE_OF(0, 0, slot);                                   \
        HT_UNROLL                                                                       \
        for (int pair = 0; pair < PAIRS; pair++) {                                      \
            float32x4_t(*pair_sums)[VECTORS] = sums + pair * 2;                         \
            const ht_weights weights = LOAD_WEIGHTS(values + pair * PAIR_VALUES, slot); \
            if (SHARE == 2 && pair) line = LINE_OF(pair, 0, slot);                      \
            ADD(pair_sums[0], line, weights, slot, 0);                                  \
            ADD(pair_sums[1], line, weights, slot, 1);                                  \
            HT_UNROLL                                                                   \
            for (int v = 0; v < VECTORS; v++) {                                         \
                HT_IN_ORDER(pair_sums[0][v]);                                           \
                HT_IN_ORDER(pair_sums[1][v]);                                           \
            }                                                                           \
        }                                                                               \
    } while (0);
#endif

#define STEP(step)              \
    do {                        \
        SLOT_OF((step) * 4)     \
        SLOT_OF((step) * 4 + 1) \
        SLOT_OF((step) * 4 + 2) \
        SLOT_OF((step) * 4 + 3) \
    } while (0)

// PAIRS pairs of rows; values, indices and out point at the first.
HT_INLINE void NAME(panel_rows, SIZE)(const ht_nm_panel_args *a, const ht_element *values, const uint8_t *indices,
                                      float *out) {
    const char *panel = (const char *)a->panel;
    float32x4_t sums[PAIRS * 2][VECTORS];
    HT_UNROLL
    for (int row = 0; row < PAIRS * 2; row++) HT_UNROLL
    for (int v = 0; v < VECTORS; v++)
        sums[row][v] = a->first ? vdupq_n_f32(0) : vld1q_f32(out + (row * VECTORS + v) * 4);

#if BITS == 1
    for (size_t slots = a->slots; slots > 0;) {
        uint32_t maps[PAIRS][2];
        HT_UNROLL
        for (int pair = 0; pair < PAIRS; pair++)
            __builtin_memcpy(maps[pair], indices + pair * PAIR_BYTES, SHARE == 1 ? 8 : 4);
        const size_t unit_slots = ht_min(slots, a->unit_slots);
        for (size_t slot = 0; slot < unit_slots; slot += HT_NM_STEP) {
            STEP(0);
            values += HT_NM_STEP * HT_NM_QUAD;
        }
        slots -= unit_slots;
        indices += UNIT_BYTES;
        panel += HT_NM_MAP_COLUMNS * LINE;
    }
#else
    uint64_t words[PAIRS], next[PAIRS];
    ht_load_words(words, indices, PAIRS, PAIR_BYTES);
    for (size_t unit = 0; unit < a->slots / UNIT; unit++) {
        indices += UNIT_BYTES;
        ht_load_words(next, indices, PAIRS, PAIR_BYTES);
        STEP(0);
#if BITS <= 4
        STEP(1);
#endif
#if BITS <= 2
        STEP(2);
        STEP(3);
#endif
        HT_UNROLL
        for (int pair = 0; pair < PAIRS; pair++) words[pair] = next[pair];
        values += UNIT * HT_NM_QUAD;
        panel += UNIT_COLUMNS * LINE;
    }
#if BITS <= 4
    const size_t rest = a->slots % UNIT / HT_NM_STEP;
    if (rest > 0) STEP(0);
#endif
#if BITS <= 2
    if (rest > 1) STEP(1);
    if (rest > 2) STEP(2);
#endif
#endif
    HT_UNROLL
    for (int row = 0; row < PAIRS * 2; row++) HT_UNROLL
    for (int v = 0; v < VECTORS; v++) vst1q_f32(out + (row * VECTORS + v) * 4, sums[row][v]);
}

static void NAME(panel, SIZE)(const ht_nm_panel_args *a) {
    const size_t units = ht_ceil_div(a->slots, BITS == 1 ? a->unit_slots : UNIT);
    const ht_element *values = (const ht_element *)a->values;
    const uint8_t *indices = a->indices;
    float *out = a->sums;
    for (size_t quad = 0; quad < a->quads; quad++) {
        for (size_t pair = 0; pair < 2; pair += PAIRS)
            NAME(panel_rows, SIZE)(a, values + pair * PAIR_VALUES, indices + pair * PAIR_BYTES,
                                   out + pair * 2 * VECTORS * 4);
        values += a->slots * HT_NM_QUAD;
        indices += units * UNIT_BYTES;
        out += HT_NM_QUAD * VECTORS * 4;
    }
}

#undef LINE
#undef UNIT_BYTES
#undef PAIR_BYTES
#undef LINE_OF
#undef SIZE
#undef COLUMN
#undef ROW
#undef SLOT_OF
#undef STEP
#undef VECTORS
#undef PAIRS
