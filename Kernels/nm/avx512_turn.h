// SPDX-License-Identifier: Apache-2.0
// Turns the weights of one index code for the kernels of avx512_run.h. A template: avx512.c includes it with BITS and
// SLOTS, see index_code.h.
//
// Bound: two shuffles and two stores for each slot of four quads, some 1.5 cycles a slot.
#if BITS > 1 && BITS < 8
#define CHUNK_SLOTS (HT_NM_CHUNK / WINDOW * SLOTS)
#define CHUNK_VECTORS (CHUNK_SLOTS + 1)
#define TURN_SLOTS (CHUNK_SLOTS > 4 ? CHUNK_SLOTS : 4)

// The index words of a chunk: 4 bits for each slot, its column in the chunk. `fields` begins with those of the chunk.
HT_INLINE __m512i NAME(chunk_words, 16)(__m512i fields) {
    if (BITS == 4) return fields;
    __m512i words = _mm512_setzero_si512();
    HT_UNROLL
    for (int slot = 0; slot < CHUNK_SLOTS; slot++) {
        __m512i index = _mm512_slli_epi32(fields, (4 - BITS) * slot);
        index = _mm512_and_si512(index, _mm512_set1_epi32((int)((WINDOW - 1u) << 4 * slot)));
        words = _mm512_or_si512(words, index);
    }
    uint32_t places = 0;
    HT_UNROLL
    for (int slot = 0; slot < CHUNK_SLOTS; slot++) places |= (uint32_t)SLOT_COLUMN(slot) << 4 * slot;
    return _mm512_or_si512(words, _mm512_set1_epi32((int)places));
}

// Four slots of four quads become four vectors.
HT_INLINE void NAME(turn_step, 16)(const float *values, const size_t quad[4], size_t quad_values, __m512 to[4]) {
    __m512 q0 = _mm512_load_ps(values), q1 = _mm512_load_ps(values + quad[1] * quad_values);
    __m512 q2 = _mm512_load_ps(values + quad[2] * quad_values), q3 = _mm512_load_ps(values + quad[3] * quad_values);
    __m512 low01 = _mm512_shuffle_f32x4(q0, q1, 0x44), high01 = _mm512_shuffle_f32x4(q0, q1, 0xee);
    __m512 low23 = _mm512_shuffle_f32x4(q2, q3, 0x44), high23 = _mm512_shuffle_f32x4(q2, q3, 0xee);
    to[0] = _mm512_shuffle_f32x4(low01, low23, 0x88);
    to[1] = _mm512_shuffle_f32x4(low01, low23, 0xdd);
    to[2] = _mm512_shuffle_f32x4(high01, high23, 0x88);
    to[3] = _mm512_shuffle_f32x4(high01, high23, 0xdd);
}

static void NAME(turn, 16)(const ht_nm_turn_args *a) {
    const size_t quad[4] = {0, a->quads > 1 ? 1 : 0, a->quads > 2 ? 2 : 0, a->quads > 3 ? 3 : 0};
    const size_t quad_values = a->slots * HT_NM_QUAD;
    const size_t unit_bytes = HT_NM_QUAD * FIELD_BYTES, quad_bytes = ht_ceil_div(a->slots, UNIT) * unit_bytes;
    const uint8_t *indices = a->indices;
    const float *values = a->values;
    const float *next = a->next_values;
    float *to = a->to;
    for (size_t slot = 0; slot < a->slots; slot += UNIT, indices += unit_bytes) {
        _mm_prefetch((const char *)a->next_indices + (indices - a->indices) * 4, _MM_HINT_T0);
        __m512i words = ht_strip_words(indices, quad, quad_bytes);
        if (BITS == 3) words = ht_widen_fields(words);
        HT_UNROLL
        for (size_t part = 0; part < UNIT; part += TURN_SLOTS) {
            if (slot + part >= a->slots) return;
            HT_UNROLL
            for (size_t step = 0; step < TURN_SLOTS; step += 4) {
                __m512 turned[4];
                if (slot + part + step < a->slots)
                    NAME(turn_step, 16)(values, quad, quad_values, turned);
                else
                    turned[0] = turned[1] = turned[2] = turned[3] = _mm512_set1_ps(-0.0f);
                values += 4 * HT_NM_QUAD;
                HT_UNROLL
                for (int q = 0; q < 4; q++, next += 16) _mm_prefetch((const char *)next, _MM_HINT_T0);
                HT_UNROLL
                for (size_t i = 0; i < 4; i++) {
                    size_t place = part + step + i;
                    _mm512_store_ps(to + (place / CHUNK_SLOTS * CHUNK_VECTORS + place % CHUNK_SLOTS) * 16, turned[i]);
                }
            }
            HT_UNROLL
            for (size_t place = part; place < part + TURN_SLOTS; place += CHUNK_SLOTS)
                _mm512_store_si512(to + (place / CHUNK_SLOTS * CHUNK_VECTORS + CHUNK_SLOTS) * 16,
                                   NAME(chunk_words, 16)(_mm512_srli_epi32(words, (unsigned)place * BITS)));
        }
        to += UNIT / CHUNK_SLOTS * CHUNK_VECTORS * 16;
    }
}

#undef CHUNK_SLOTS
#undef CHUNK_VECTORS
#undef TURN_SLOTS
#endif
#undef BITS
#undef SLOTS
