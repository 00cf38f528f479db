// SPDX-License-Identifier: Apache-2.0
// The strip kernel for one index code. A template: avx512.c includes it with
//   BITS, SLOTS   the index code: bits of an index (2 or 4), slots of a window
//   ROWS          of X
//   STRIPS        strips worked on together: 4 sums in flight keep up with L3, 8 hide the latency of the FMAs
//
// Lanes are the 16 rows of a strip. One slot takes one weight vector, and for each row of X one shuffle that picks
// every lane's X by its index and one FMA. For one row of X the bound is the stream of weights and index words: the 4
// loads, 8 lane shuffles, 4 picks and 4 FMAs of a step (256 bytes of weights) take ~5 cycles, faster than L3 delivers
// them. For more rows pick and FMA share the two ports of the variable shuffles: 1.33 to 1.5 FMAs a cycle of the
// peak's 2. Weights are fetched one group of strips ahead, since a group's quads lie one behind the other.

#if BITS == 2
#define PICK(x, index) _mm512_permutevar_ps(_mm512_broadcast_f32x4(_mm_loadu_ps(x)), index)
#else
#define PICK(x, index) _mm512_permutexvar_ps(index, _mm512_loadu_ps(x))
#endif

#define SLOT_OF(slot, vector)                                                                                    \
    do {                                                                                                         \
        __m512i index = _mm512_srli_epi32(words[u], (slot) % UNIT * BITS);                                       \
        HT_UNROLL                                                                                                \
        for (int r = 0; r < ROWS; r++)                                                                           \
            sums[u][r] = _mm512_fmadd_ps(vector, PICK(x + r * x_stride + SLOT_COLUMN(slot), index), sums[u][r]); \
    } while (0)

// Four loads bring 4 slots of the 4 quads; transposing their 128-bit lanes makes them 4 slots of 16 rows.
#define STEP(step)                                                                                                    \
    HT_UNROLL                                                                                                         \
    for (int u = 0; u < strips; u++) {                                                                                \
        const float *from = values + u * 4 * quad_values + (step) * 16;                                               \
        __m512 q0 = _mm512_load_ps(from), q1 = _mm512_load_ps(from + quad[1] * quad_values);                          \
        __m512 q2 = _mm512_load_ps(from + quad[2] * quad_values), q3 = _mm512_load_ps(from + quad[3] * quad_values);  \
        HT_UNROLL                                                                                                     \
        for (int q = 0; q < 4; q++) _mm_prefetch((const char *)(from + (strips * 4 + q) * quad_values), _MM_HINT_T0); \
        __m512 low01 = _mm512_shuffle_f32x4(q0, q1, 0x44), low23 = _mm512_shuffle_f32x4(q2, q3, 0x44);                \
        __m512 high01 = _mm512_shuffle_f32x4(q0, q1, 0xee), high23 = _mm512_shuffle_f32x4(q2, q3, 0xee);              \
        SLOT_OF((step) * 4, _mm512_shuffle_f32x4(low01, low23, 0x88));                                                \
        SLOT_OF((step) * 4 + 1, _mm512_shuffle_f32x4(low01, low23, 0xdd));                                            \
        SLOT_OF((step) * 4 + 2, _mm512_shuffle_f32x4(high01, high23, 0x88));                                          \
        SLOT_OF((step) * 4 + 3, _mm512_shuffle_f32x4(high01, high23, 0xdd));                                          \
    }

// `present` quads of the last strip exist; the others repeat its first, and nobody looks at their sums.
HT_INLINE void NAME(strip_group, ROWS)(const ht_nm_strip_args *a, size_t strip, const int strips, const size_t slots,
                                       const size_t present) {
    const size_t units = slots / UNIT, rest = slots % UNIT / HT_NM_STEP, x_stride = a->x_stride;
    const size_t quad_values = slots * HT_NM_QUAD, quad_words = (units + (rest != 0)) * HT_NM_QUAD;
    const size_t quad[4] = {0, present > 1 ? 1 : 0, present > 2 ? 2 : 0, present > 3 ? 3 : 0};
    const float *values = a->values + strip * 4 * quad_values, *x = a->x;
    const uint32_t *indices = (const uint32_t *)a->indices + strip * 4 * quad_words;
    float *out = a->sums + strip * ROWS * 16;

    __m512 sums[STRIPS][ROWS];
    HT_UNROLL
    for (int u = 0; u < strips; u++) HT_UNROLL
    for (int r = 0; r < ROWS; r++)
        sums[u][r] = a->first ? _mm512_setzero_ps() : _mm512_load_ps(out + (u * ROWS + r) * 16);

    __m512i words[STRIPS];
    for (size_t unit = 0; unit < units; unit++) {
        HT_UNROLL
        for (int u = 0; u < strips; u++) words[u] = ht_strip_words(indices + u * 4 * quad_words, quad, quad_words);
        STEP(0)
        STEP(1)
#if BITS == 2
        STEP(2)
        STEP(3)
#endif
        indices += HT_NM_QUAD;
        values += UNIT * HT_NM_QUAD;
        x += UNIT_COLUMNS;
    }
    if (rest > 0) {
        HT_UNROLL
        for (int u = 0; u < strips; u++) words[u] = ht_strip_words(indices + u * 4 * quad_words, quad, quad_words);
        STEP(0)
#if BITS == 2
        if (rest > 1) STEP(1)
        if (rest > 2) STEP(2)
#endif
    }
    HT_UNROLL
    for (int u = 0; u < strips; u++) HT_UNROLL
    for (int r = 0; r < ROWS; r++) _mm512_store_ps(out + (u * ROWS + r) * 16, sums[u][r]);
}

HT_INLINE void NAME(strips_of, ROWS)(const ht_nm_strip_args *a, const size_t slots) {
    size_t strip = 0, whole = a->quads / 4;
    for (; strip + STRIPS <= whole; strip += STRIPS) NAME(strip_group, ROWS)(a, strip, STRIPS, slots, 4);
#if STRIPS > 1
    for (; strip < whole; strip++) NAME(strip_group, ROWS)(a, strip, 1, slots, 4);
#endif
}

static void NAME(strip, ROWS)(const ht_nm_strip_args *a) {
    // A full block's slots as a constant turn the distances between quads into displacements.
    if (a->slots == FULL_SLOTS)
        NAME(strips_of, ROWS)(a, FULL_SLOTS);
    else
        NAME(strips_of, ROWS)(a, a->slots);
    if (a->quads % 4) NAME(strip_group, ROWS)(a, a->quads / 4, 1, a->slots, a->quads % 4);
}

#undef PICK
#undef SLOT_OF
#undef STEP
#undef ROWS
#undef STRIPS
