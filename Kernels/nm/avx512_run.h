// SPDX-License-Identifier: Apache-2.0
// clang-format Language: Cpp
// The run kernels of pixels.h for chunks with one number of slots. A template: avx512.c includes it with
//   CHUNK_SLOTS   1, 2, 4 or 8
//
// Bound: a pick and an FMA for each slot and sample share three ports, so 1.5 FMAs a cycle of the peak's 2. Strips
// share the loads of X: with one strip these are more than L1 answers while weights come from L2.
#define RUN_NAME(stem, size) RUN_NAME_OF(stem, CHUNK_SLOTS, size)
#define CHUNK_WEIGHTS ((CHUNK_SLOTS + 1) * 16)

// `load` takes a chunk of a sample.
#define ADD_CHUNK(load)                                                                                   \
    HT_UNROLL                                                                                             \
    for (int slot = 0; slot < CHUNK_SLOTS; slot++) {                                                      \
        __m512i index[HT_NM_RUN_STRIPS];                                                                  \
        __m512 weight[HT_NM_RUN_STRIPS];                                                                  \
        HT_UNROLL                                                                                         \
        for (int u = 0; u < strips; u++) {                                                                \
            const float *from = weights + u * strip_weights;                                              \
            index[u] = _mm512_srli_epi32(_mm512_load_si512(from + CHUNK_SLOTS * 16), (unsigned)slot * 4); \
            weight[u] = _mm512_load_ps(from + slot * 16);                                                 \
        }                                                                                                 \
        HT_UNROLL                                                                                         \
        for (int p = 0; p < samples; p++) {                                                               \
            __m512 chunk;                                                                                 \
            load(chunk, p == 0 ? first : p == samples - 1 ? last : x + p * x_stride);                     \
            HT_UNROLL                                                                                     \
            for (int u = 0; u < strips; u++) ht_pick_and_add(&sums[u][p], chunk, index[u], weight[u]);    \
        }                                                                                                 \
    }

HT_INLINE void RUN_NAME(run_of, any)(const ht_nm_run_args *a, const int strips, const int samples) {
    const size_t x_stride = a->x_stride, strip_weights = a->strip_weights;
    const __mmask16 rest = ht_first_lanes(a->rest);
    __m512 sums[HT_NM_RUN_STRIPS][HT_NM_RUN];
    HT_UNROLL
    for (int u = 0; u < strips; u++) HT_UNROLL
    for (int p = 0; p < samples; p++)
        sums[u][p] = a->first ? _mm512_setzero_ps() : _mm512_load_ps(a->sums + (u * HT_NM_RUN + p) * 16);
    for (size_t tap = 0; tap < a->tap_count; tap++) {
        const char *x = a->taps[tap].x;
        const float *weights = a->weights + a->taps[tap].weights;
        const char *first = a->taps[tap].first, *last = a->taps[tap].last;
        const size_t first_step = a->taps[tap].first_step, last_step = a->taps[tap].last_step;
        for (size_t chunks = a->chunks; chunks; chunks--) {
            ADD_CHUNK(LOAD_CHUNK)
            x += HT_NM_CHUNK * sizeof(float);
            first += first_step;
            last += last_step;
            weights += CHUNK_WEIGHTS;
        }
        if (rest) ADD_CHUNK(LOAD_REST)
    }
    HT_UNROLL
    for (int u = 0; u < strips; u++) HT_UNROLL
    for (int p = 0; p < samples; p++) _mm512_store_ps(a->sums + (u * HT_NM_RUN + p) * 16, sums[u][p]);
}

#define DEFINE_RUN(strips, samples) \
    static void RUN_NAME(run##strips, samples)(const ht_nm_run_args *a) { RUN_NAME(run_of, any)(a, strips, samples); }
#define DEFINE_RUNS(strips) \
    DEFINE_RUN(strips, 1)   \
    DEFINE_RUN(strips, 2)   \
    DEFINE_RUN(strips, 3)   \
    DEFINE_RUN(strips, 4)   \
    DEFINE_RUN(strips, 5)   \
    DEFINE_RUN(strips, 6)   \
    DEFINE_RUN(strips, 7)   \
    DEFINE_RUN(strips, 8)
#define DEFINE_LONG_RUNS(strips) \
    DEFINE_RUN(strips, 9)        \
    DEFINE_RUN(strips, 10)       \
    DEFINE_RUN(strips, 11)       \
    DEFINE_RUN(strips, 12)       \
    DEFINE_RUN(strips, 13)
DEFINE_RUNS(1)
DEFINE_LONG_RUNS(1)
DEFINE_RUNS(2)
DEFINE_LONG_RUNS(2)
DEFINE_RUNS(3)

#undef CHUNK_WEIGHTS
#undef ADD_CHUNK
#undef DEFINE_RUN
#undef DEFINE_RUNS
#undef DEFINE_LONG_RUNS
#undef CHUNK_SLOTS
