// SPDX-License-Identifier: Apache-2.0
// The kernel for few rows of X and one index code of 2, 3 or 4 bits. A template: avx512bf16.c includes it with
//   BITS     of an index
//   ROWS     of X
//   STRIPS   strips worked on together
//
// Lanes are the 16 rows of a strip. X lies in lines of 16 words that the index bits of a pair of slots pick from: with
// 2 bits one line for each pair, word i + 4 j being both its values; else one for each slot, with the value in the half
// of the word that the slot has. A pair is one or two picks and a dot product. The bound is the stream of weights: the
// 4 loads, 8 lane shuffles, 4 or 8 picks and 4 dot products of 256 bytes take less time than L3 needs to deliver them.
// Weights are fetched one group of strips ahead, in the order in which they lie in memory.
#define UNIT_STEPS (BITS == 2 ? 2 : 1)
#define UNIT_BYTES (BITS == 3 ? 12 : 16)
#define STEP_LINES (BITS == 2 ? 4 : 8)

#if BITS == 2
#define PICK(u, r, pair) pick(words[u], step * 16 + (pair) * 4, x + ((pair) * ROWS + (r)) * 16)
#else
#define PICK(u, r, pair)                                                                   \
    _mm512_or_si512(pick(words[u], (pair) * 2 * BITS, x + ((pair) * 2 * ROWS + (r)) * 16), \
                    pick(words[u], ((pair) * 2 + 1) * BITS, x + (((pair) * 2 + 1) * ROWS + (r)) * 16))
#endif

#define PAIR(u, pair, weights)                                                            \
    do {                                                                                  \
        __m512i w = weights;                                                              \
        HT_UNROLL                                                                         \
        for (int r = 0; r < ROWS; r++) sums[u][r] = dot(sums[u][r], w, PICK(u, r, pair)); \
    } while (0)

HT_INLINE void NAME(strips, ROWS)(const strip_args *a, size_t strip, const int strips, const size_t present) {
    const size_t quad[4] = {0, present > 1 ? 1 : 0, present > 2 ? 2 : 0, present > 3 ? 3 : 0};
    const size_t steps = a->slots / 8, value_stride = a->value_stride, index_stride = a->index_stride;
    const char *values = a->values + strip * 4 * value_stride, *ahead = values + (size_t)strips * 4 * value_stride;
    const uint8_t *indices = a->indices + strip * 4 * index_stride;
    const uint32_t *x = a->x;
    __m512 sums[STRIPS][ROWS];
    __m512i words[STRIPS];
    HT_UNROLL
    for (int u = 0; u < strips; u++) HT_UNROLL
    for (int r = 0; r < ROWS; r++)
        sums[u][r] = a->first ? _mm512_setzero_ps() : _mm512_load_ps(a->sums + ((strip + (size_t)u) * ROWS + r) * 16);

    for (size_t at = 0; at < steps; at += UNIT_STEPS, indices += UNIT_BYTES) {
        HT_UNROLL
        for (int u = 0; u < strips; u++)
            words[u] = load_fields(indices + (size_t)u * 4 * index_stride, quad, index_stride, BITS == 3);
        HT_UNROLL
        for (int step = 0; step < UNIT_STEPS; step++) {
            if (step > 0 && at + 1 == steps) break;
            HT_UNROLL
            for (int u = 0; u < strips; u++) {
                const char *from = values + (size_t)u * 4 * value_stride;
                __m512i q0 = _mm512_load_si512(from), q1 = _mm512_load_si512(from + quad[1] * value_stride);
                __m512i q2 = _mm512_load_si512(from + quad[2] * value_stride);
                __m512i q3 = _mm512_load_si512(from + quad[3] * value_stride);
                HT_UNROLL
                for (int i = 0; i < 4; i++, ahead += 64) _mm_prefetch(ahead, _MM_HINT_T0);
                __m512i low01 = _mm512_shuffle_i32x4(q0, q1, 0x44), low23 = _mm512_shuffle_i32x4(q2, q3, 0x44);
                __m512i high01 = _mm512_shuffle_i32x4(q0, q1, 0xee), high23 = _mm512_shuffle_i32x4(q2, q3, 0xee);
                PAIR(u, 0, _mm512_shuffle_i32x4(low01, low23, 0x88));
                PAIR(u, 1, _mm512_shuffle_i32x4(low01, low23, 0xdd));
                PAIR(u, 2, _mm512_shuffle_i32x4(high01, high23, 0x88));
                PAIR(u, 3, _mm512_shuffle_i32x4(high01, high23, 0xdd));
            }
            values += 64;
            x += STEP_LINES * ROWS * 16;
        }
    }
    HT_UNROLL
    for (int u = 0; u < strips; u++) HT_UNROLL
    for (int r = 0; r < ROWS; r++) _mm512_store_ps(a->sums + ((strip + (size_t)u) * ROWS + r) * 16, sums[u][r]);
}

static void NAME(strip, ROWS)(const strip_args *a) {
    size_t strip = 0, whole = a->quads / 4;
    for (; strip + STRIPS <= whole; strip += STRIPS) NAME(strips, ROWS)(a, strip, STRIPS, 4);
    for (; strip < whole; strip++) NAME(strips, ROWS)(a, strip, 1, 4);
    if (a->quads % 4) NAME(strips, ROWS)(a, strip, 1, a->quads % 4);
}

#undef UNIT_STEPS
#undef UNIT_BYTES
#undef STEP_LINES
#undef PICK
#undef PAIR
