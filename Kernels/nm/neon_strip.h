// SPDX-License-Identifier: Apache-2.0
// The strip kernel for one index code and one row of X. A template: neon.c includes it with
//   BITS, SLOTS   the index code: bits of an index (2 or 3), slots of a window
//
// A quad is a vector, and each of its lanes picks a float of the window by a table look-up of bytes. A shift, a mask
// and a multiply-add make the byte numbers of an index; look-up and FMA follow. The four quads of a strip hide the
// latency of the FMAs.
//
// The bound is that of five vector instructions a quad and slot, of 17 bytes. Estimate by `Utils/mca Kernels/nm/neon.c
// strip_2_2_1`: 17 bytes take 3.4 cycles on Neoverse N1, 2.9 on N2, 1.5 on V2; the narrowest panel takes 5.8, 4.0, 2.1.
// For two rows the panel is as good, and so it is for windows of 16, which need a look-up in four registers.
#if BITS == 2
#define WINDOW_TYPE uint8x16_t
#define WINDOW_AT(x) vld1q_u8((const uint8_t *)(x))
#define PICK vqtbl1q_u8
#else
#define WINDOW_TYPE uint8x16x2_t
#define WINDOW_AT(x) ((uint8x16x2_t){{vld1q_u8((const uint8_t *)(x)), vld1q_u8((const uint8_t *)((x) + 4))}})
#define PICK vqtbl2q_u8
#endif

#define SLOT_OF(slot)                                                                              \
    do {                                                                                           \
        WINDOW_TYPE window = WINDOW_AT(x + SLOT_COLUMN(slot));                                     \
        HT_UNROLL                                                                                  \
        for (int q = 0; q < 4; q++) {                                                              \
            float32x4_t weights = vld1q_f32(values + quad[q] * quad_values + (slot) * HT_NM_QUAD); \
            uint8x16_t bytes = ht_float_bytes(fields[q], (slot) % UNIT * BITS, WINDOW - 1);        \
            sums[q] = vfmaq_f32(sums[q], vreinterpretq_f32_u8(PICK(window, bytes)), weights);      \
            HT_IN_ORDER(sums[q]);                                                                  \
        }                                                                                          \
    } while (0)

#define STEP(step)               \
    do {                         \
        SLOT_OF((step) * 4);     \
        SLOT_OF((step) * 4 + 1); \
        SLOT_OF((step) * 4 + 2); \
        SLOT_OF((step) * 4 + 3); \
    } while (0)

// `present` quads of the strip exist; the others repeat its first, and nobody looks at their sums.
HT_INLINE void NAME(strip_of, 1)(const ht_nm_strip_args *a, size_t strip, const size_t present) {
    const size_t units = a->slots / UNIT, rest = a->slots % UNIT / HT_NM_STEP;
    const size_t quad_values = a->slots * HT_NM_QUAD, quad_bytes = (units + (rest != 0)) * HT_NM_QUAD * FIELD_BYTES;
    const size_t quad[4] = {0, present > 1 ? 1 : 0, present > 2 ? 2 : 0, present > 3 ? 3 : 0};
    const float *values = a->values + strip * 4 * quad_values, *x = a->x;
    const uint8_t *indices = a->indices + strip * 4 * quad_bytes;
    float *out = a->sums + strip * HT_NM_STRIP;

    float32x4_t sums[4];
    HT_UNROLL
    for (int q = 0; q < 4; q++) sums[q] = a->first ? vdupq_n_f32(0) : vld1q_f32(out + q * 4);

    uint32x4_t fields[4];
    for (size_t unit = 0; unit < units; unit++) {
        HT_UNROLL
        for (int q = 0; q < 4; q++) fields[q] = ht_load_fields(indices + quad[q] * quad_bytes, FIELD_BYTES);
        STEP(0);
        STEP(1);
#if BITS == 2
        STEP(2);
        STEP(3);
#endif
        indices += HT_NM_QUAD * FIELD_BYTES;
        values += UNIT * HT_NM_QUAD;
        x += UNIT_COLUMNS;
    }
    if (rest > 0) {
        HT_UNROLL
        for (int q = 0; q < 4; q++) fields[q] = ht_load_fields(indices + quad[q] * quad_bytes, FIELD_BYTES);
        STEP(0);
#if BITS == 2
        if (rest > 1) STEP(1);
        if (rest > 2) STEP(2);
#endif
    }
    HT_UNROLL
    for (int q = 0; q < 4; q++) vst1q_f32(out + q * 4, sums[q]);
}

static void NAME(strip, 1)(const ht_nm_strip_args *a) {
    for (size_t strip = 0; strip < a->quads / 4; strip++) NAME(strip_of, 1)(a, strip, 4);
    if (a->quads % 4) NAME(strip_of, 1)(a, a->quads / 4, a->quads % 4);
}

#undef WINDOW_TYPE
#undef WINDOW_AT
#undef PICK
#undef SLOT_OF
#undef STEP
