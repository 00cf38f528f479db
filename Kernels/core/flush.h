// SPDX-License-Identifier: Apache-2.0
// Arithmetic in which subnormal operands and results count as zero, as bfloat16 dot product instructions do it.
#ifndef HT_CORE_FLUSH_H
#define HT_CORE_FLUSH_H

#include <stdint.h>

#if defined(__x86_64__)
#include <immintrin.h>

/// From here on this thread's vector arithmetic flushes. Returns what ht_flush_end wants.
static inline uint64_t ht_flush_begin(void) {
    unsigned before = _mm_getcsr();
    _mm_setcsr(before | 0x8040);  // FTZ and DAZ
    return before;
}

static inline void ht_flush_end(uint64_t before) { _mm_setcsr((unsigned)before); }
#elif defined(__aarch64__)
// Results that the rounding to 24 bits would lift to the least normal number are zero here: AArch64 looks before it
// rounds, x86 behind.
static inline uint64_t ht_flush_begin(void) {
    uint64_t before;
    __asm__ volatile("mrs %0, fpcr" : "=r"(before)::"memory");
    __asm__ volatile("msr fpcr, %0" ::"r"(before | 1 << 24) : "memory");  // FZ
    return before;
}

static inline void ht_flush_end(uint64_t before) { __asm__ volatile("msr fpcr, %0" ::"r"(before) : "memory"); }
#else
static inline uint64_t ht_flush_begin(void) { return 0; }
static inline void ht_flush_end(uint64_t before) { (void)before; }
#endif

#endif
