// SPDX-License-Identifier: Apache-2.0
// The strip kernel for one index code. A template: avx2.c includes it with
//   BITS, SLOTS   the index code: bits of an index (2, 3 or 4), slots of a window
//   ROWS          of X
//
// As in avx512_strip.h, with the 16 rows of a strip in two vectors. An index of 4 bits needs two shuffles and a blend
// for each pick, so more than a few rows of X are left to the panels.
#define QUAD_UNIT_BYTES (HT_NM_QUAD * FIELD_BYTES)

#define X_OF(slot, r) (x + (SLOT_COLUMN(slot) / 16 * ROWS + (r)) * 16 + SLOT_COLUMN(slot) % 16)
#if BITS == 2
#define PICK(x, index) _mm256_permutevar_ps(_mm256_broadcast_ps((const __m128 *)(x)), index)
#elif BITS == 3
#define PICK(x, index) _mm256_permutevar8x32_ps(_mm256_load_ps(x), index)
#else
#define PICK(x, index) ht_pick_of_16(x, index)
#endif

// One slot of the rows of two quads, from the vectors of both that hold it.
#define HALF(slot, half, first, second, lanes)                                                  \
    do {                                                                                        \
        __m256 weight = _mm256_permute2f128_ps(first, second, lanes);                           \
        __m256i index = _mm256_srli_epi32(words[half], (slot) % UNIT * BITS);                   \
        HT_UNROLL                                                                               \
        for (int r = 0; r < ROWS; r++)                                                          \
            sums[half][r] = _mm256_fmadd_ps(weight, PICK(X_OF(slot, r), index), sums[half][r]); \
    } while (0)

#define TWO_SLOTS(slot)                                                                                  \
    HT_UNROLL                                                                                            \
    for (int half = 0; half < 2; half++) {                                                               \
        __m256 first = _mm256_load_ps(values + quad[half * 2] * quad_values + (slot) * HT_NM_QUAD);      \
        __m256 second = _mm256_load_ps(values + quad[half * 2 + 1] * quad_values + (slot) * HT_NM_QUAD); \
        HALF(slot, half, first, second, 0x20);                                                           \
        HALF(slot + 1, half, first, second, 0x31);                                                       \
    }

#define STEP(step)                                                                             \
    do {                                                                                       \
        HT_UNROLL                                                                              \
        for (int q = 0; q < 4; q++) _mm_prefetch((const char *)(ahead + q * 16), _MM_HINT_T0); \
        ahead += 64;                                                                           \
        TWO_SLOTS((step) * 4)                                                                  \
        TWO_SLOTS((step) * 4 + 2)                                                              \
    } while (0)

// `present` quads of the strip exist; the others repeat its first, and nobody looks at their sums.
HT_INLINE void NAME(strip_of, ROWS)(const ht_nm_strip_args *a, size_t strip, const size_t slots, const size_t present) {
    const size_t units = slots / UNIT, rest = slots % UNIT / HT_NM_STEP;
    const size_t quad_values = slots * HT_NM_QUAD, quad_bytes = (units + (rest != 0)) * QUAD_UNIT_BYTES;
    const size_t quad[4] = {0, present > 1 ? 1 : 0, present > 2 ? 2 : 0, present > 3 ? 3 : 0};
    const float *values = a->values + strip * 4 * quad_values, *ahead = values + 4 * quad_values, *x = a->x;
    const uint8_t *indices = a->indices + strip * 4 * quad_bytes;
    float *out = a->sums + strip * ROWS * 16;

    __m256 sums[2][ROWS];
    HT_UNROLL
    for (int half = 0; half < 2; half++) HT_UNROLL
    for (int r = 0; r < ROWS; r++)
        sums[half][r] = a->first ? _mm256_setzero_ps() : _mm256_load_ps(out + r * 16 + half * 8);

    __m256i words[2];
    for (size_t unit = 0; unit < units; unit++) {
        ht_strip_words(words, indices, quad, quad_bytes);
        if (BITS == 3) ht_widen_fields(words);
        STEP(0);
        STEP(1);
#if UNIT > 8
        STEP(2);
        STEP(3);
#endif
        indices += QUAD_UNIT_BYTES;
        values += UNIT * HT_NM_QUAD;
        x += UNIT_COLUMNS * ROWS;
    }
    if (rest > 0) {
        ht_strip_words(words, indices, quad, quad_bytes);
        if (BITS == 3) ht_widen_fields(words);
        STEP(0);
#if UNIT > 8
        if (rest > 1) STEP(1);
        if (rest > 2) STEP(2);
#endif
    }
    HT_UNROLL
    for (int half = 0; half < 2; half++) HT_UNROLL
    for (int r = 0; r < ROWS; r++) _mm256_store_ps(out + r * 16 + half * 8, sums[half][r]);
}

static void NAME(strip, ROWS)(const ht_nm_strip_args *a) {
    // A full block's slots as a constant turn the distances between quads into displacements.
    for (size_t strip = 0; strip < a->quads / 4; strip++)
        if (a->slots == FULL_SLOTS)
            NAME(strip_of, ROWS)(a, strip, FULL_SLOTS, 4);
        else
            NAME(strip_of, ROWS)(a, strip, a->slots, 4);
    if (a->quads % 4) NAME(strip_of, ROWS)(a, a->quads / 4, a->slots, a->quads % 4);
}

#undef QUAD_UNIT_BYTES
#undef X_OF
#undef PICK
#undef HALF
#undef TWO_SLOTS
#undef STEP
#undef ROWS
