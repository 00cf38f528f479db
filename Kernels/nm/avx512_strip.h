// SPDX-License-Identifier: Apache-2.0
// The strip kernel for one index code. A template: avx512.c includes it with
//   BITS, SLOTS   the index code, see index_code.h; without kernels for 8-bit indices
//   ROWS          of X
//   STRIPS        strips worked on together, so that their FMAs hide each other's latency
//
// Lanes are the 16 rows of a strip. One slot takes one weight vector, and for each row of X one shuffle that picks
// every lane's X by its index and one FMA. For one row of X the bound is the stream of weights and index fields. For
// more rows it is three ports, which picks and FMAs share: 1.5 FMAs a cycle of the peak's 2. So what makes weights and
// indices keeps clear of the shuffles' two ports where it can.
//
// A group of strips is one stretch of memory that is read in 4 x STRIPS places at once. The next group is fetched from
// its first byte to its last meanwhile: that order is the one in which memory answers fastest.
#define QUAD_UNIT_BYTES (HT_NM_QUAD * FIELD_BYTES)

#if BITS == 1
#define INDEX_OF(u, slot) ht_take_lowest(&words[u])
#define PICK(slot, r, index) \
    _mm512_permutex2var_ps(_mm512_load_ps(x + (r) * 16), index, _mm512_load_ps(x + (ROWS + (r)) * 16))
#else
#define COLUMNS(slot, r) (x + (SLOT_COLUMN(slot) / 16 * ROWS + (r)) * 16)   // the 16 that hold the slot's window
#define PLACE(slot) (SLOT_COLUMN(slot) % 16)
#define FIELD(u, slot) _mm512_srli_epi32(words[u], (slot) % UNIT * BITS)
#if BITS == 4 || ROWS > 2
// An index into 16 columns. Broadcasts of smaller windows, which several strips could share, go through the ports of
// the shuffles.
#define INDEX_OF(u, slot) (BITS == 4 ? FIELD(u, slot) : ht_and_or(FIELD(u, slot), WINDOW - 1, PLACE(slot)))
#define PICK(slot, r, index) _mm512_permutexvar_ps(index, _mm512_load_ps(COLUMNS(slot, r)))
#elif BITS == 3
#define INDEX_OF(u, slot) FIELD(u, slot)
#define PICK(slot, r, index) \
    _mm512_permutexvar_ps(index, _mm512_broadcast_f32x8(_mm256_load_ps(COLUMNS(slot, r) + PLACE(slot))))
#else
#define INDEX_OF(u, slot) FIELD(u, slot)
#define PICK(slot, r, index) \
    _mm512_permutevar_ps(_mm512_broadcast_f32x4(_mm_load_ps(COLUMNS(slot, r) + PLACE(slot))), index)
#endif
#endif

#define SLOT_OF(u, slot, vector)                                                                               \
    do {                                                                                                       \
        __m512 weight = vector;                                                                                \
        __m512i index = INDEX_OF(u, slot);                                                                     \
        HT_UNROLL                                                                                              \
        for (int r = 0; r < ROWS; r++) sums[u][r] = _mm512_fmadd_ps(weight, PICK(slot, r, index), sums[u][r]); \
        HT_UNROLL                                                                                              \
        for (int r = 0; r < ROWS; r++)                                                                         \
            if (ROWS > 2) ht_settle(&sums[u][r]);                                                              \
    } while (0)

// The halves of quads that hold 2 slots of 16 rows; two shuffles make them 2 vectors.
#define TWO_SLOTS(u, slot, halves)                                                        \
    do {                                                                                  \
        const float *from = values + (u) * 4 * quad_values + (slot) / 4 * 16;             \
        __m512 low = halves(from, from + quad[1] * quad_values);                          \
        __m512 high = halves(from + quad[2] * quad_values, from + quad[3] * quad_values); \
        SLOT_OF(u, slot, _mm512_shuffle_f32x4(low, high, 0x88));                          \
        SLOT_OF(u, slot + 1, _mm512_shuffle_f32x4(low, high, 0xdd));                      \
    } while (0)

#define STEP(step)                                                                                           \
    do {                                                                                                     \
        HT_UNROLL                                                                                            \
        for (int u = 0; u < strips; u++) {                                                                   \
            HT_UNROLL                                                                                        \
            for (int q = 0; q < 4; q++) _mm_prefetch((const char *)(ahead + (u * 4 + q) * 16), _MM_HINT_T0); \
            TWO_SLOTS(u, (step) * 4, ht_lower_halves);                                                       \
            TWO_SLOTS(u, (step) * 4 + 2, ht_upper_halves);                                                   \
        }                                                                                                    \
        ahead += strips * 64;                                                                                \
    } while (0)

#define LOAD_WORDS                                                                          \
    HT_UNROLL                                                                               \
    for (int u = 0; u < strips; u++) {                                                      \
        words[u] = ht_strip_words(indices + u * 4 * quad_bytes, quad, quad_bytes);          \
        if (BITS == 3) words[u] = ht_widen_fields(words[u]);                                \
        _mm_prefetch((const char *)(indices_ahead + u * 4 * QUAD_UNIT_BYTES), _MM_HINT_T0); \
    }                                                                                       \
    indices_ahead += strips * 4 * QUAD_UNIT_BYTES

// `present` quads of the last strip exist; the others repeat its first, and nobody looks at their sums.
HT_INLINE void NAME(strip_group, ROWS)(const ht_nm_strip_args *a, size_t strip, const int strips, const size_t slots,
                                       const size_t present) {
#if BITS == 1
    const size_t units = ht_ceil_div(slots, a->unit_slots), rest = 0;
#else
    const size_t units = slots / UNIT, rest = slots % UNIT / HT_NM_STEP;
#endif
    const size_t quad_values = slots * HT_NM_QUAD, quad_bytes = (units + (rest != 0)) * QUAD_UNIT_BYTES;
    const size_t quad[4] = {0, present > 1 ? 1 : 0, present > 2 ? 2 : 0, present > 3 ? 3 : 0};
    const float *values = a->values + strip * 4 * quad_values, *x = a->x;
    const uint8_t *indices = a->indices + strip * 4 * quad_bytes;
    const float *ahead = values + ht_max(strips * 4 * quad_values, strip_ahead / sizeof *values);
    const uint8_t *indices_ahead = indices + ht_max(strips * 4 * quad_bytes, strip_ahead / 8);
    float *out = a->sums + strip * ROWS * 16;

    __m512 sums[STRIPS][ROWS];
    HT_UNROLL
    for (int u = 0; u < strips; u++) HT_UNROLL
    for (int r = 0; r < ROWS; r++)
        sums[u][r] = a->first ? _mm512_setzero_ps() : _mm512_load_ps(out + (u * ROWS + r) * 16);

    __m512i words[STRIPS];
    for (size_t unit = 0; unit < units; unit++) {
        LOAD_WORDS;
#if BITS == 1
        for (size_t slot = ht_min(a->unit_slots, slots - unit * a->unit_slots); slot; slot -= HT_NM_STEP) {
            STEP(0);
            values += HT_NM_STEP * HT_NM_QUAD;
        }
#else
        STEP(0);
        STEP(1);
#if UNIT > 8
        STEP(2);
        STEP(3);
#endif
        values += UNIT * HT_NM_QUAD;
#endif
        indices += QUAD_UNIT_BYTES;
        x += UNIT_COLUMNS * ROWS;
    }
#if BITS > 1
    if (rest > 0) {
        LOAD_WORDS;
        STEP(0);
#if UNIT > 8
        if (rest > 1) STEP(1);
        if (rest > 2) STEP(2);
#endif
    }
#endif
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
#if BITS > 1
    // A full block's slots as a constant turn the distances between quads into displacements.
    if (a->slots == FULL_SLOTS)
        NAME(strips_of, ROWS)(a, FULL_SLOTS);
    else
#endif
        NAME(strips_of, ROWS)(a, a->slots);
    if (a->quads % 4) NAME(strip_group, ROWS)(a, a->quads / 4, 1, a->slots, a->quads % 4);
}

#undef QUAD_UNIT_BYTES
#undef PLACE
#undef COLUMNS
#undef FIELD
#undef PICK
#undef INDEX_OF
#undef SLOT_OF
#undef TWO_SLOTS
#undef STEP
#undef LOAD_WORDS
#undef ROWS
#undef STRIPS
