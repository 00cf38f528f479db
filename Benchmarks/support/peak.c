// SPDX-License-Identifier: Apache-2.0
// The peak of multiply-adds of a type: independent chains in registers, enough of them to hide the latency of each.
// Nothing dense can be faster on this core, so a product that skips zeros is worth its trouble where it beats this
// rate. Of signs a multiply-add is a bit of an exclusive or that is counted.
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "CHalftoneBench.h"

typedef float loop(long rounds);

// A loop and the multiply-adds of a round of it.
typedef struct probe {
    loop *loop;
    int terms;
} probe;

// Four chains: NEXT makes the next value of one. Without KEEP the compiler would see that all are equal and compute
// one.
#define START(vector, start, s) vector s##0 = start, s##1 = start, s##2 = start, s##3 = start
#define FOUR(NEXT, s)                                                           \
    s##0 = NEXT(s##0), s##1 = NEXT(s##1), s##2 = NEXT(s##2), s##3 = NEXT(s##3); \
    KEEP(s##0, s##1, s##2, s##3)
#define SUM(s) (s##0 + s##1 + s##2 + s##3)

// The body of a loop for 16 registers of which a step needs several itself.
#define BODY_OF_8(vector, start, NEXT)  \
    START(vector, start, a);            \
    START(vector, start, b);            \
    for (long r = 0; r < rounds; r++) { \
        FOUR(NEXT, a);                  \
        FOUR(NEXT, b);                  \
    }                                   \
    vector all = SUM(a) + SUM(b);       \
    return (float)all[0]

// The body of a loop for 16 registers. Two multiply-adds a cycle with a latency of 4 need 8 chains.
#define BODY_OF_12(vector, start, NEXT)    \
    START(vector, start, a);               \
    START(vector, start, b);               \
    START(vector, start, c);               \
    for (long r = 0; r < rounds; r++) {    \
        FOUR(NEXT, a);                     \
        FOUR(NEXT, b);                     \
        FOUR(NEXT, c);                     \
    }                                      \
    vector all = SUM(a) + SUM(b) + SUM(c); \
    return (float)all[0]

// The same for 32 registers. The bfloat16 dot product's latency of 6 needs 12, and some more for what comes late.
#define BODY_OF_16(vector, start, NEXT)             \
    START(vector, start, a);                        \
    START(vector, start, b);                        \
    START(vector, start, c);                        \
    START(vector, start, d);                        \
    for (long r = 0; r < rounds; r++) {             \
        FOUR(NEXT, a);                              \
        FOUR(NEXT, b);                              \
        FOUR(NEXT, c);                              \
        FOUR(NEXT, d);                              \
    }                                               \
    vector all = SUM(a) + SUM(b) + SUM(c) + SUM(d); \
    return (float)all[0]

// Words of 64 signs, each counted by what the compiler has for that. A word depends on the one before in no way that a
// compiler could foresee.
static float b1_portable(long rounds) {
    const uint64_t signs = 0x5a5a5a5a5a5a5a5a;
    uint64_t a = 1, b = 2, c = 3, d = 4;
#define NEXT(s) s + (uint64_t)__builtin_popcountll(s ^ signs)
    for (long r = 0; r < rounds; r++) a = NEXT(a), b = NEXT(b), c = NEXT(c), d = NEXT(d);
#undef NEXT
    return (float)(a + b + c + d);
}

#if defined(__x86_64__)
#include <immintrin.h>

#define KEEP(a, b, c, d) __asm__ volatile("" : "+v"(a), "+v"(b), "+v"(c), "+v"(d))

__attribute__((target("avx512f"))) static float f32_avx512(long rounds) {
    const __m512 factor = _mm512_set1_ps(0.5f), term = _mm512_set1_ps(1.0f);
#define NEXT(s) _mm512_fmadd_ps(s, factor, term)
    BODY_OF_16(__m512, term, NEXT);
#undef NEXT
}

__attribute__((target("avx2,fma"))) static float f32_avx2(long rounds) {
    const __m256 factor = _mm256_set1_ps(0.5f), term = _mm256_set1_ps(1.0f);
#define NEXT(s) _mm256_fmadd_ps(s, factor, term)
    BODY_OF_12(__m256, term, NEXT);
#undef NEXT
}

static float f32_portable(long rounds) {
    const __m128 factor = _mm_set1_ps(0.5f), term = _mm_set1_ps(1.0f);
#define NEXT(s) _mm_add_ps(_mm_mul_ps(s, factor), term)
    BODY_OF_12(__m128, term, NEXT);
#undef NEXT
}

// The pairs add 1 - 1 to each sum.
__attribute__((target("avx512f,avx512bw,avx512vl,avx512bf16"))) static float bf16_avx512(long rounds) {
    const __m512bh ones = (__m512bh)_mm512_set1_epi32(0x3f803f80), signs = (__m512bh)_mm512_set1_epi32(0x3f80bf80);
    const __m512 start = _mm512_set1_ps(1.0f);
#define NEXT(s) _mm512_dpbf16_ps(s, ones, signs)
    BODY_OF_16(__m512, start, NEXT);
#undef NEXT
}

typedef int int_8 __attribute__((vector_size(32)));
typedef int int_16 __attribute__((vector_size(64)));

__attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni"))) static float i8_avx512(long rounds) {
    const __m512i ones = _mm512_set1_epi8(1);
    const int_16 start = (int_16)ones;
#define NEXT(s) (int_16) _mm512_dpbusd_epi32((__m512i)s, ones, ones)
    BODY_OF_16(int_16, start, NEXT);
#undef NEXT
}

__attribute__((target("avx2,avxvnni"))) static float i8_avx_vnni(long rounds) {
    const __m256i ones = _mm256_set1_epi8(1);
    const int_8 start = (int_8)ones;
#define NEXT(s) (int_8) _mm256_dpbusd_avx_epi32((__m256i)s, ones, ones)
    BODY_OF_12(int_8, start, NEXT);
#undef NEXT
}

// Bytes to pairs, pairs to quads, quads to sums; pairs that saturate are the price of this way.
__attribute__((target("avx2"))) static float i8_avx2(long rounds) {
    const __m256i bytes = _mm256_set1_epi8(1), pairs = _mm256_set1_epi16(1);
    const int_8 start = (int_8)bytes;
#define NEXT(s) s + (int_8)_mm256_madd_epi16(_mm256_maddubs_epi16((__m256i)s, bytes), pairs)
    BODY_OF_12(int_8, start, NEXT);
#undef NEXT
}

// Signs are counted by looking up both halves of each byte. That the bytes' sums are added up at times is left out.
__attribute__((target("avx2"))) static float b1_avx2(long rounds) {
    const __m256i counts = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
    const __m256i half = _mm256_set1_epi8(15), signs = _mm256_set1_epi8(0x5a);
    const int_8 start = (int_8)half;
#define LOW(bits) _mm256_shuffle_epi8(counts, _mm256_and_si256(bits, half))
#define COUNT(bits) _mm256_add_epi8(LOW(bits), LOW(_mm256_srli_epi16(bits, 4)))
#define NEXT(s) (int_8) _mm256_add_epi8((__m256i)s, COUNT(_mm256_xor_si256((__m256i)s, signs)))
    BODY_OF_8(int_8, start, NEXT);
#undef NEXT
#undef COUNT
#undef LOW
}

__attribute__((target("avx512f,avx512bw"))) static float b1_avx512(long rounds) {
    const __m512i counts = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
    const __m512i half = _mm512_set1_epi8(15), signs = _mm512_set1_epi8(0x5a);
    const int_16 start = (int_16)half;
#define LOW(bits) _mm512_shuffle_epi8(counts, _mm512_and_si512(bits, half))
#define COUNT(bits) _mm512_add_epi8(LOW(bits), LOW(_mm512_srli_epi16(bits, 4)))
#define NEXT(s) (int_16) _mm512_add_epi8((__m512i)s, COUNT(_mm512_xor_si512((__m512i)s, signs)))
    BODY_OF_16(int_16, start, NEXT);
#undef NEXT
#undef COUNT
#undef LOW
}

__attribute__((target("avx512f,avx512vpopcntdq"))) static float b1_avx512_popcnt(long rounds) {
    const __m512i signs = _mm512_set1_epi32(0x5a5a5a5a);
    const int_16 start = (int_16)signs;
#define NEXT(s) (int_16) _mm512_add_epi32((__m512i)s, _mm512_popcnt_epi32(_mm512_xor_si512((__m512i)s, signs)))
    BODY_OF_16(int_16, start, NEXT);
#undef NEXT
}

static const probe probes[HTB_UNITS] = {
    [HTB_F32_PORTABLE] = {f32_portable, 12 * 4},
    [HTB_F32_AVX2] = {f32_avx2, 12 * 8},
    [HTB_F32_AVX512] = {f32_avx512, 16 * 16},
    [HTB_BF16_AVX512] = {bf16_avx512, 16 * 32},
    [HTB_I8_AVX2] = {i8_avx2, 12 * 32},
    [HTB_I8_AVX_VNNI] = {i8_avx_vnni, 12 * 32},
    [HTB_I8_AVX512] = {i8_avx512, 16 * 64},
    [HTB_B1_PORTABLE] = {b1_portable, 4 * 64},
    [HTB_B1_AVX2] = {b1_avx2, 8 * 256},
    [HTB_B1_AVX512] = {b1_avx512, 16 * 512},
    [HTB_B1_AVX512_POPCNT] = {b1_avx512_popcnt, 16 * 512},
};

#else

#if defined(__aarch64__)
#include <arm_neon.h>
typedef float32x4_t four_floats;
#define KEEP(a, b, c, d) __asm__ volatile("" : "+w"(a), "+w"(b), "+w"(c), "+w"(d))
#define NEXT(sum) vfmaq_f32(term, sum, factor)
#else
typedef float four_floats __attribute__((vector_size(16)));
#define KEEP(a, b, c, d) __asm__ volatile("" : "+m"(a), "+m"(b), "+m"(c), "+m"(d))
#define NEXT(sum) ((sum) * factor + term)
#endif
#define SPLAT(value) ((four_floats){value, value, value, value})

static float f32_portable(long rounds) {
    const four_floats factor = SPLAT(0.5f), term = SPLAT(1.0f);
    BODY_OF_12(four_floats, term, NEXT);
}

#if defined(__aarch64__)
// Bytes of counts, as above.
static float b1_neon(long rounds) {
    const uint8x16_t signs = vdupq_n_u8(0x5a);
#undef NEXT
#define NEXT(s) vaddq_u8(s, vcntq_u8(veorq_u8(s, signs)))
    BODY_OF_16(uint8x16_t, signs, NEXT);
}
#endif

static const probe probes[HTB_UNITS] = {
    [HTB_F32_PORTABLE] = {f32_portable, 12 * 4},
    [HTB_B1_PORTABLE] = {b1_portable, 4 * 64},
#if defined(__aarch64__)
    [HTB_B1_NEON] = {b1_neon, 16 * 128},
#endif
};

#endif

static probe probe_of(htb_unit unit) { return probes[probes[unit].loop ? unit : HTB_F32_PORTABLE]; }

enum { bursts = 3 };

typedef struct team {
    loop *loop;
    long rounds;
    int threads;
    atomic_int arrived;
    atomic_int sink;
    double *begin, *end;  // [burst][thread]
} team;

typedef struct member {
    team *team;
    int index;
} member;

// Waits until the whole team has come here `turn` times. Yields, so that more threads than CPUs still meet.
static void meet(team *t, int turn) {
    atomic_fetch_add(&t->arrived, 1);
    while (atomic_load(&t->arrived) < turn * t->threads) sched_yield();
}

static void *run_member(void *context) {
    const member *m = context;
    team *t = m->team;
    for (int b = 0; b < bursts; b++) {
        meet(t, b + 1);
        int slot = b * t->threads + m->index;
        t->begin[slot] = htb_seconds();
        atomic_store(&t->sink, (int)t->loop(t->rounds));
        t->end[slot] = htb_seconds();
    }
    return NULL;
}

// From the first thread's start to the last one's end, in the best burst.
static double shortest_burst(const team *t) {
    double best = 1e9;
    for (int b = 0; b < bursts; b++) {
        const double *begin = t->begin + b * t->threads, *end = t->end + b * t->threads;
        double first = begin[0], last = end[0];
        for (int i = 1; i < t->threads; i++) {
            if (begin[i] < first) first = begin[i];
            if (end[i] > last) last = end[i];
        }
        if (last - first < best) best = last - first;
    }
    return best;
}

// Runs the team on the calling thread and threads - 1 others; one that cannot be created makes the team smaller.
static double run_team(team *t) {
    member *members = calloc((size_t)t->threads, sizeof *members);
    pthread_t *others = calloc((size_t)t->threads, sizeof *others);
    for (int i = 0; i < t->threads; i++) members[i] = (member){t, i};
    int started = 1;
    while (started < t->threads && !pthread_create(&others[started], NULL, run_member, &members[started])) started++;
    double seconds = 0;
    if (started == t->threads) {
        run_member(&members[0]);
        seconds = shortest_burst(t);
    } else {
        // The others wait for members that never come: let them go, the result is void.
        atomic_store(&t->arrived, bursts * t->threads);
    }
    for (int i = 1; i < started; i++) pthread_join(others[i], NULL);
    free(others);
    free(members);
    return seconds;
}

double htb_peak(htb_unit unit, int threads, double seconds) {
    if (threads < 1) threads = 1;
    const probe probe = probe_of(unit);
    loop *loop = probe.loop;
    enum { trial = 2000 };
    double start = htb_seconds();
    loop(trial);
    double each = (htb_seconds() - start) / trial;
    long rounds = each > 0 ? (long)(seconds / each) + trial : trial;
    size_t slots = (size_t)(bursts * threads);
    double *times = calloc(2 * slots, sizeof *times);
    if (!times) return 0;
    team t = {.loop = loop, .rounds = rounds, .threads = threads, .begin = times, .end = times + slots};
    double best = run_team(&t);
    free(times);
    return best > 0 ? (double)rounds * 2 * probe.terms * threads / best : 0;
}
