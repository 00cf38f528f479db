// SPDX-License-Identifier: Apache-2.0
// What every vector kernel needs of its compiler.
#ifndef HT_CORE_SIMD_H
#define HT_CORE_SIMD_H

#include <stddef.h>
#include <stdint.h>

// A function whose arguments are constants that its loops are cut to.
#define HT_INLINE static inline __attribute__((always_inline))

// Unrolls the loop that follows whole, so that arrays of vectors become registers.
#if defined(__clang__)
#define HT_UNROLL _Pragma("clang loop unroll(full)")
#else
#define HT_UNROLL _Pragma("GCC unroll 16")
#endif

// A number that the compiler knows nothing of: it can't cut a loop in two where the number is met.
HT_INLINE size_t ht_hidden(size_t n) {
    __asm__("" : "+r"(n));
    return n;
}

// A rotation by a literal, in one instruction that writes another register. Compilers know that only a few bits of the
// result are used and would emit a move and a shift, one more for each index.
#define HT_ROTATE_RIGHT(word, bits)                                         \
    __extension__({                                                         \
        uint64_t rotated_;                                                  \
        __asm__("rorx %2, %1, %0" : "=r"(rotated_) : "r"(word), "i"(bits)); \
        rotated_;                                                           \
    })

#endif
