// SPDX-License-Identifier: Apache-2.0
// What the NEON files share.
#ifndef HT_NM_NEON_H
#define HT_NM_NEON_H

#include <arm_neon.h>

#include "core/simd.h"

// Where `v` has to be ready, for the compiler: none of the loads and sums behind it come before. Without, compilers
// begin an unrolled loop with more loads than there are registers, and spill.
#define HT_IN_ORDER(v) __asm__ volatile("" : "+w"(v)::"memory")

#endif
