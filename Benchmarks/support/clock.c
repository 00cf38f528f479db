// SPDX-License-Identifier: Apache-2.0
// Time, and the CPU that it is taken on.
#if defined(__linux__)
#define _GNU_SOURCE
#include <sched.h>
#endif
#include <time.h>

#include "CHalftoneBench.h"

static double read_clock(clockid_t clock) {
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

double htb_seconds(void) { return read_clock(CLOCK_MONOTONIC); }
double htb_thread_seconds(void) { return read_clock(CLOCK_THREAD_CPUTIME_ID); }

#if defined(__linux__)

static _Thread_local cpu_set_t before;
static _Thread_local int is_pinned;

int htb_pin(void) {
    int cpu = sched_getcpu();
    if (cpu < 0 || is_pinned || sched_getaffinity(0, sizeof before, &before)) return -1;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(cpu, &one);
    if (sched_setaffinity(0, sizeof one, &one)) return -1;
    is_pinned = 1;
    return cpu;
}

void htb_unpin(void) {
    if (is_pinned) sched_setaffinity(0, sizeof before, &before);
    is_pinned = 0;
}

#else

int htb_pin(void) { return -1; }
void htb_unpin(void) {}

#endif

double htb_clock(void) {
    enum { rounds = 100000, tries = 20 };
    double best = 1e9;
    for (int i = 0; i < tries; i++) {
        uint64_t sum = (uint64_t)i, one = 1;
        // A constant would be part of the instruction, and some CPUs do several such additions a cycle by renaming.
        __asm__ volatile("" : "+r"(one));
        double start = htb_seconds();
        for (int r = 0; r < rounds; r++) {
            // An empty instruction that "changes" the sum keeps the compiler from folding the additions into one.
#define ADD     \
    sum += one; \
    __asm__ volatile("" : "+r"(sum));
            ADD ADD ADD ADD ADD ADD ADD ADD ADD ADD ADD ADD ADD ADD ADD ADD
#undef ADD
        }
        double seconds = htb_seconds() - start;
        if (seconds < best) best = seconds;
    }
    return rounds * 16.0 / best;
}
