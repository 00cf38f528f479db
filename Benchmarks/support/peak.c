// SPDX-License-Identifier: Apache-2.0
// The f32 multiply-add peak: independent chains in registers, enough of them to hide the latency of each. Nothing dense
// can be faster on this core, so a product that skips zeros is worth its trouble where it beats this rate.
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "CHalftoneBench.h"

typedef float loop(long rounds);

enum { chains = 12 };  // two multiply-adds a cycle with a latency of 4 need 8

// The body of a loop: each chain is multiplied and added to once a round; the factor keeps the sums finite and normal.
// Without KEEP the compiler would see that all chains are equal and compute one of them.
#define PEAK_BODY(vector, splat, multiply_add)                                        \
    const vector factor = splat(0.5f), term = splat(1.0f);                            \
    vector s0 = term, s1 = term, s2 = term, s3 = term, s4 = term, s5 = term;          \
    vector s6 = term, s7 = term, s8 = term, s9 = term, s10 = term, s11 = term;        \
    for (long r = 0; r < rounds; r++) {                                               \
        s0 = multiply_add(s0, factor, term), s1 = multiply_add(s1, factor, term);     \
        s2 = multiply_add(s2, factor, term), s3 = multiply_add(s3, factor, term);     \
        s4 = multiply_add(s4, factor, term), s5 = multiply_add(s5, factor, term);     \
        s6 = multiply_add(s6, factor, term), s7 = multiply_add(s7, factor, term);     \
        s8 = multiply_add(s8, factor, term), s9 = multiply_add(s9, factor, term);     \
        s10 = multiply_add(s10, factor, term), s11 = multiply_add(s11, factor, term); \
        KEEP(s0, s1, s2, s3);                                                         \
        KEEP(s4, s5, s6, s7);                                                         \
        KEEP(s8, s9, s10, s11);                                                       \
    }                                                                                 \
    return (s0 + s1 + s2 + s3 + s4 + s5 + s6 + s7 + s8 + s9 + s10 + s11)[0]

#if defined(__x86_64__)
#include <immintrin.h>

#define KEEP(a, b, c, d) __asm__ volatile("" : "+v"(a), "+v"(b), "+v"(c), "+v"(d))

__attribute__((target("avx512f"))) static float loop_avx512(long rounds) {
    PEAK_BODY(__m512, _mm512_set1_ps, _mm512_fmadd_ps);
}

__attribute__((target("avx2,fma"))) static float loop_avx2(long rounds) {
    PEAK_BODY(__m256, _mm256_set1_ps, _mm256_fmadd_ps);
}

#define MULTIPLY_THEN_ADD(sum, factor, term) _mm_add_ps(_mm_mul_ps(sum, factor), term)

static float loop_portable(long rounds) { PEAK_BODY(__m128, _mm_set1_ps, MULTIPLY_THEN_ADD); }

static loop *const loops[] = {loop_portable, loop_avx2, loop_avx512};

#else

#if defined(__aarch64__)
#include <arm_neon.h>
typedef float32x4_t four_floats;
#define KEEP(a, b, c, d) __asm__ volatile("" : "+w"(a), "+w"(b), "+w"(c), "+w"(d))
#define MULTIPLY_ADD(sum, factor, term) vfmaq_f32(term, sum, factor)
#else
typedef float four_floats __attribute__((vector_size(16)));
#define KEEP(a, b, c, d) __asm__ volatile("" : "+m"(a), "+m"(b), "+m"(c), "+m"(d))
#define MULTIPLY_ADD(sum, factor, term) ((sum) * (factor) + (term))
#endif
#define SPLAT(value) ((four_floats){value, value, value, value})

static float loop_portable(long rounds) { PEAK_BODY(four_floats, SPLAT, MULTIPLY_ADD); }

static loop *const loops[] = {loop_portable, loop_portable, loop_portable};

#endif

static const double round_operations[] = {chains * 4 * 2, chains * 8 * 2, chains * 16 * 2};

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

double htb_peak(htb_vectors vectors, int threads, double seconds) {
    if (threads < 1) threads = 1;
    loop *loop = loops[vectors];
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
    return best > 0 ? (double)rounds * round_operations[vectors] * threads / best : 0;
}
