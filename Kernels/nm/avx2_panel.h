// SPDX-License-Identifier: Apache-2.0
// The panel kernel for one index code and panel width. A template: avx2.c includes it with
//   BITS, SLOTS   the index code: bits of an index, slots of a window (0: the window is the block)
//   VECTORS       width of the panel in vectors of 8 floats
//
// As in avx512_panel.h one slot of one row is VECTORS x (panel load + FMA), two a cycle at most; the rest hides in
// other issue slots. 4 rows x 3 vectors are 12 sums, which leaves 4 registers for weights: more vectors would spill.
#define LINE (VECTORS * 32)                              // bytes of a panel column

// The index that begins at bit `at` of a word, as a byte offset: rotated to a multiple of 32, times VECTORS.
#define OFFSET(word, at) \
    (((uint32_t)HT_ROTATE_RIGHT(word, ((at) + 59) % 64) & (uint32_t)(WINDOW - 1) * 32) * (size_t)VECTORS)

#define ROW(slot, row)                                                                                          \
    do {                                                                                                        \
        __m256 weight = _mm256_permute_ps(splat, (row) * 0x55);                                                 \
        const char *line =                                                                                      \
            panel + SLOT_COLUMN(slot) * LINE + OFFSET(words[(row) / 2], (row) % 2 * 32 + (slot) % UNIT * BITS); \
        HT_UNROLL                                                                                               \
        for (int v = 0; v < VECTORS; v++)                                                                       \
            sums[row][v] = _mm256_fmadd_ps(_mm256_load_ps((const float *)line + v * 8), weight, sums[row][v]);  \
    } while (0)

#define SLOT_OF(slot)                                                                                  \
    do {                                                                                               \
        __m256 splat = ht_opaque(_mm256_broadcast_ps((const __m128 *)(values + (slot) * HT_NM_QUAD))); \
        ROW(slot, 0);                                                                                  \
        ROW(slot, 1);                                                                                  \
        ROW(slot, 2);                                                                                  \
        ROW(slot, 3);                                                                                  \
    } while (0)

#define STEP(step)                                                                        \
    do {                                                                                  \
        _mm_prefetch((const char *)(values + (step) * 16) + prefetch_bytes, _MM_HINT_T0); \
        SLOT_OF((step) * 4);                                                              \
        SLOT_OF((step) * 4 + 1);                                                          \
        SLOT_OF((step) * 4 + 2);                                                          \
        SLOT_OF((step) * 4 + 3);                                                          \
    } while (0)

static void NAME(panel, VECTORS)(const ht_nm_panel_args *a) {
    const size_t units = a->slots / UNIT, rest = a->slots % UNIT / HT_NM_STEP;
    const float *values = a->values;
    const uint32_t *indices = (const uint32_t *)a->indices;
    float *out = a->sums;
    for (size_t quad = 0; quad < a->quads; quad++, out += HT_NM_QUAD * VECTORS * 8) {
        const char *panel = (const char *)a->panel;
        __m256 sums[HT_NM_QUAD][VECTORS];
        HT_UNROLL
        for (int row = 0; row < HT_NM_QUAD; row++) HT_UNROLL
        for (int v = 0; v < VECTORS; v++)
            sums[row][v] = a->first ? _mm256_setzero_ps() : _mm256_load_ps(out + (row * VECTORS + v) * 8);

        uint64_t words[2], next[2];
        ht_load_words(words, indices);
        for (size_t unit = 0; unit < units; unit++) {
            indices += HT_NM_QUAD;
            ht_load_words(next, indices);
            _mm_prefetch((const char *)indices + prefetch_bytes / 8, _MM_HINT_T0);
            STEP(0);
#if BITS <= 4
            STEP(1);
#endif
#if BITS <= 2
            STEP(2);
            STEP(3);
#endif
            words[0] = next[0], words[1] = next[1];
            values += UNIT * HT_NM_QUAD;
            panel += UNIT_COLUMNS * LINE;
        }
#if BITS <= 4
        if (rest > 0) STEP(0);
#endif
#if BITS <= 2
        if (rest > 1) STEP(1);
        if (rest > 2) STEP(2);
#endif
        values += rest * HT_NM_STEP * HT_NM_QUAD;
        indices += rest ? HT_NM_QUAD : 0;
        HT_UNROLL
        for (int row = 0; row < HT_NM_QUAD; row++) HT_UNROLL
        for (int v = 0; v < VECTORS; v++) _mm256_store_ps(out + (row * VECTORS + v) * 8, sums[row][v]);
    }
}

#undef LINE
#undef OFFSET
#undef ROW
#undef SLOT_OF
#undef STEP
#undef VECTORS
