// SPDX-License-Identifier: Apache-2.0
// clang-format Language: Cpp
// The panel kernel for one index code and panel width. A template: avx512.c includes it with
//   BITS, SLOTS   the index code, see index_code.h
//   VECTORS       width of the panel in vectors of 16 floats; 3 are the first of 4
//   SHARE         rows of a quad that share their indices: 1, 2 or 4
//   QUADS         quads worked on together: QUADS * 4 * VECTORS sums live in registers, 8 just hide the latency of the
//                 FMAs
//   GRID          1: the panel lies in pieces, ht_nm_panel_args.pieces
//
// One slot of one row is one broadcast weight and VECTORS x (panel load + FMA). The core does two of either a cycle, so
// the bound is the FMA peak, and everything else has to hide in the other issue slots:
//   - weights: one load brings 4 slots x 4 rows; an immediate shuffle splats a slot, another one a row (any port).
//   - indices: rotate and mask make one a byte offset into the panel. The words of the next unit are fetched a unit
//     ahead, so that no panel load waits for an index load.
//   - rows that share their indices share the panel load, so the loads are no bound for them.
// The quads of a block lie one behind the other, so with one quad at a time weights and indices are two streams that
// run on from quad to quad: two quads at a time are slower unless there are too few sums without the second.
//
// A slot is an asm statement: compilers move panel loads, shuffles and the decoding of indices apart, spill, and so
// lose 3 to 8 % here.
#if GRID
// A unit's columns of one vector lie side by side, then come those of the next vector.
#define LINE 64
#define LINE_SHIFT 6
#define APART (UNIT_COLUMNS * 64)  // bytes from vector to vector
#define SUMS_LINE (VECTORS * 64)  // bytes of the sums of a row
#define PREFETCH(values) _mm_prefetch((const char *)(values) + l1_ahead, _MM_HINT_T0)  // they are in L2
#define DISPLACEMENT(slot) (SLOT_COLUMN(slot) * 64)
#else
#define LINE_SHIFT (VECTORS == 1 ? 6 : VECTORS == 2 ? 7 : 8)
#define LINE (1 << LINE_SHIFT)  // bytes of a panel column
#define APART 64
#define SUMS_LINE LINE
#define PREFETCH ht_prefetch_weights
#define DISPLACEMENT(slot) (SLOT_COLUMN(slot) * LINE - BIAS)
#endif
#define FIELDS (HT_NM_QUAD / SHARE)
#if GRID
#define SIZE GRID_SIZE(VECTORS)
#elif SHARE == 1
#define SIZE VECTORS
#else
#define SIZE SHARED_SIZE(VECTORS, SHARE)
#endif
#define UNIT_BYTES (FIELDS * FIELD_BYTES)
// Displacements of -8 KB to 8 KB are encoded in one byte.
#define BIAS (UNIT_COLUMNS * LINE > 8192 ? 8192 : 0)

#if BITS == 1
// The lowest bit left of a map, which is then cleared; in a damaged map without bits the column behind the unit.
#define WORD uint32_t
#define WORDS FIELDS
#define LOCATE "tzcnt %[word], %k[offset]\n\tshl %[shift], %k[offset]\n\tblsr %[word], %[word]\n\t"
#define LOCATE_OUT(q, field) , [word] "+r"(words[q][field])
#define LOCATE_IN(q, field, slot) [shift] "i"(LINE_SHIFT), [line] "i"(0)
#else
// A word holds the fields of two rows.
#define WORD uint64_t
#define WORDS ((FIELDS + 1) / 2)
#define LOCATE "rorx %[rotation], %[word], %[offset]\n\tand %[mask], %k[offset]\n\t"
#define LOCATE_OUT(q, field)
#define LOCATE_IN(q, field, slot)                                                                      \
    [word] "r"(words[q][(field) / 2]),                                                                 \
        [rotation] "i"(((field) % 2 * FIELD_BYTES * 8 + (slot) % UNIT * BITS - LINE_SHIFT + 64) % 64), \
        [mask] "i"((WINDOW - 1) * LINE), [line] "i"(DISPLACEMENT(slot))
#endif

#define LOAD_WORDS(to, from)              \
    HT_UNROLL                             \
    for (size_t w_ = 0; w_ < WORDS; w_++) \
    __builtin_memcpy(&(to)[w_], (from) + w_ * (BITS == 1 ? 1 : 2) * FIELD_BYTES, sizeof(WORD))

#if VECTORS == 1
#define EACH_VECTOR(of) of(0)
#define LIST(name, constraint, v) [name##0] constraint((v)[0])
#elif VECTORS == 2
#define EACH_VECTOR(of) of(0) of(1)
#define LIST(name, constraint, v) [name##0] constraint((v)[0]), [name##1] constraint((v)[1])
#elif VECTORS == 3
#define EACH_VECTOR(of) of(0) of(1) of(2)
#define LIST(name, constraint, v) \
    [name##0] constraint((v)[0]), [name##1] constraint((v)[1]), [name##2] constraint((v)[2])
#else
#define EACH_VECTOR(of) of(0) of(1) of(2) of(3)
#define LIST(name, constraint, v)                                                             \
    [name##0] constraint((v)[0]), [name##1] constraint((v)[1]), [name##2] constraint((v)[2]), \
        [name##3] constraint((v)[3])
#endif

#define WEIGHT "vpermilps %[lane], %[splat], %[weight]\n\t"

#if SHARE == 1
#define FMA(v) "vfmadd231ps " #v "*%c[apart]+%c[line](%[panel],%[offset]), %[weight], %[sum" #v "]\n\t"
#define ROW(q, slot, row)                                                                                             \
    do {                                                                                                              \
        uint64_t offset;                                                                                              \
        __m512 weight;                                                                                                \
        __asm__ volatile(LOCATE WEIGHT EACH_VECTOR(FMA)                                                               \
                         : LIST(sum, "+v", sums[(q) * HT_NM_QUAD + (row)]), [offset] "=&r"(offset),                   \
                           [weight] "=&v"(weight)LOCATE_OUT(q, row)                                                   \
                         : LOCATE_IN(q, row, slot), [panel] "r"(panel), [splat] "v"(splat), [lane] "i"((row) * 0x55), \
                           [apart] "i"(APART)                                                                         \
                         : "cc");                                                                                     \
    } while (0)
#else
#define LOAD(v) "vmovaps " #v "*64+%c[line](%[panel],%[offset]), %[x" #v "]\n\t"
#define FMA(v) "vfmadd231ps %[x" #v "], %[weight], %[sum" #v "]\n\t"
#define ROW(q, slot, row)                                                                            \
    do {                                                                                             \
        if ((row) % SHARE == 0) {                                                                    \
            uint64_t offset;                                                                         \
            __asm__ volatile(LOCATE EACH_VECTOR(LOAD)                                                \
                             : LIST(x, "=&v", x), [offset] "=&r"(offset)LOCATE_OUT(q, (row) / SHARE) \
                             : LOCATE_IN(q, (row) / SHARE, slot), [panel] "r"(panel)                 \
                             : "cc");                                                                \
        }                                                                                            \
        __m512 weight;                                                                               \
        __asm__ volatile(WEIGHT EACH_VECTOR(FMA)                                                     \
                         : LIST(sum, "+v", sums[(q) * HT_NM_QUAD + (row)]), [weight] "=&v"(weight)   \
                         : LIST(x, "v", x), [splat] "v"(splat), [lane] "i"((row) * 0x55));           \
    } while (0)
#endif

#define SLOT_OF(slot)                                                                                          \
    HT_UNROLL                                                                                                  \
    for (int q = 0; q < quads; q++) {                                                                          \
        __m512 splat, x[SHARE > 1 ? VECTORS : 1];                                                              \
        (void)x;                                                                                               \
        __asm__ volatile("vshuff32x4 %2, %1, %1, %0" : "=v"(splat) : "v"(weights[q]), "i"((slot) % 4 * 0x55)); \
        ROW(q, slot, 0);                                                                                       \
        ROW(q, slot, 1);                                                                                       \
        ROW(q, slot, 2);                                                                                       \
        ROW(q, slot, 3);                                                                                       \
    }

#define STEP(step)                                                               \
    do {                                                                         \
        __m512 weights[QUADS];                                                   \
        HT_UNROLL                                                                \
        for (int q = 0; q < quads; q++) {                                        \
            weights[q] = _mm512_load_ps(values + q * quad_values + (step) * 16); \
            PREFETCH(values + q * quad_values + (step) * 16);                    \
        }                                                                        \
        SLOT_OF((step) * 4)                                                      \
        SLOT_OF((step) * 4 + 1)                                                  \
        SLOT_OF((step) * 4 + 2)                                                  \
        SLOT_OF((step) * 4 + 3)                                                  \
    } while (0)

// `groups` times `quads` quads, from where `at` points; moves it behind them. `rest` steps follow the last whole unit.
HT_INLINE void NAME(panel_groups, SIZE)(const ht_nm_panel_args *a, ht_panel_cursor *at, size_t groups, const int quads,
                                        const size_t rest) {
#if BITS == 1
    const size_t units = ht_ceil_div(a->slots, a->unit_slots);
#else
    const size_t units = a->slots / UNIT;
#endif
    const size_t quad_values = a->slots * HT_NM_QUAD, quad_bytes = (units + (rest != 0)) * UNIT_BYTES;
    const float *values = at->values;
    const uint8_t *indices = at->indices;
    float *sums_at = at->sums;
    WORD words[QUADS][WORDS], next[QUADS][WORDS];
    if (groups == 0) return;
    __asm__ volatile("" : : : "memory");  // the panel is written
    HT_UNROLL
    for (int q = 0; q < quads; q++) LOAD_WORDS(words[q], indices + q * quad_bytes);

#if GRID
    const char *upcoming = a->pieces[0];
#endif
    for (size_t group = 0; group < groups; group++) {
#if GRID
        const char *const *pieces = a->pieces;
#else
        const char *panel = (const char *)a->panel + BIAS;
#endif
        __m512 sums[QUADS * HT_NM_QUAD][VECTORS];
        HT_UNROLL
        for (int row = 0; row < quads * HT_NM_QUAD; row++) HT_UNROLL
        for (int v = 0; v < VECTORS; v++)
            sums[row][v] = a->first ? _mm512_setzero_ps() : _mm512_load_ps(sums_at + row * (SUMS_LINE / 4) + v * 16);

        // Behind a group's last words come those of the next group: its first panel loads need not wait either. Behind
        // the last group's there are a few bytes to read, for all of its quads the same.
        const size_t next_quad = group + 1 < groups ? quad_bytes : 0;
        size_t distance = quad_bytes;
        for (size_t unit = units; unit > 0; unit--) {
#if GRID
            // Known a unit ahead, like the indices: all the panel loads of the unit would wait for it.
            const char *panel = upcoming;
            __asm__ volatile("mov %1, %0" : "=r"(upcoming) : "m"(*++pieces));
#endif
            indices += UNIT_BYTES;
            if (quads > 1 && unit == 1 && rest == 0) {
                indices += (quads - 1) * quad_bytes;
                distance = next_quad;
            }
            HT_UNROLL
            for (int q = 0; q < quads; q++) {
                LOAD_WORDS(next[q], indices + q * distance);
                _mm_prefetch((const char *)indices + q * distance + index_ahead, _MM_HINT_T0);
            }
#if BITS == 1
            for (size_t slot = ht_min(a->unit_slots, a->slots - (units - unit) * a->unit_slots); slot;
                 slot -= HT_NM_STEP) {
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
#if !GRID
            panel += UNIT_COLUMNS * LINE;
#endif
        }
#if BITS != 1 && UNIT > 4 && !GRID
        if (rest > 0) {
            STEP(0);
#if UNIT > 8
            if (rest > 1) STEP(1);
            if (rest > 2) STEP(2);
#endif
            values += rest * HT_NM_STEP * HT_NM_QUAD;
            indices += UNIT_BYTES + (quads - 1) * quad_bytes;
            HT_UNROLL
            for (int q = 0; q < quads; q++) LOAD_WORDS(words[q], indices + q * next_quad);
        }
#endif
        HT_UNROLL
        for (int row = 0; row < quads * HT_NM_QUAD; row++) HT_UNROLL
        for (int v = 0; v < VECTORS; v++) _mm512_store_ps(sums_at + row * (SUMS_LINE / 4) + v * 16, sums[row][v]);
        values += (quads - 1) * quad_values;
        sums_at += quads * HT_NM_QUAD * (SUMS_LINE / 4);
    }
    *at = (ht_panel_cursor){values, indices, sums_at};
}

HT_INLINE void NAME(panel_all, SIZE)(const ht_nm_panel_args *a, const size_t rest) {
    ht_panel_cursor at = {a->values, a->indices, a->sums};
    NAME(panel_groups, SIZE)(a, &at, a->quads / QUADS, QUADS, rest);
    if (QUADS > 1) NAME(panel_groups, SIZE)(a, &at, a->quads % QUADS, 1, rest);
}

#if !GRID
// Apart from the full blocks', so that their loop stays tight.
static __attribute__((noinline)) void NAME(panel_last, SIZE)(const ht_nm_panel_args *a, size_t rest) {
    NAME(panel_all, SIZE)(a, rest);
}

#endif

static void NAME(panel, SIZE)(const ht_nm_panel_args *a) {
#if GRID
    NAME(panel_all, SIZE)(a, 0);
#else
    const size_t rest = BITS == 1 ? 0 : a->slots % UNIT / HT_NM_STEP;
    if (rest)
        NAME(panel_last, SIZE)(a, rest);
    else
        NAME(panel_all, SIZE)(a, 0);
#endif
}

#undef LINE
#undef LINE_SHIFT
#undef APART
#undef SUMS_LINE
#undef DISPLACEMENT
#undef PREFETCH
#undef GRID
#undef FIELDS
#undef SIZE
#undef UNIT_BYTES
#undef BIAS
#undef WORD
#undef WORDS
#undef LOCATE
#undef LOCATE_OUT
#undef LOCATE_IN
#undef LOAD_WORDS
#undef EACH_VECTOR
#undef LIST
#undef WEIGHT
#undef FMA
#undef LOAD
#undef ROW
#undef SLOT_OF
#undef STEP
#undef VECTORS
#undef SHARE
#undef QUADS
