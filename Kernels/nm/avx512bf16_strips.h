// SPDX-License-Identifier: Apache-2.0
// The kernels of one index code (BITS) for few rows of X, see avx512bf16_strip.h.
#define ROWS 1
#define STRIPS 4
#include "avx512bf16_strip.h"
#undef ROWS
#undef STRIPS
#define ROWS 4
#define STRIPS 2
#include "avx512bf16_strip.h"
#undef ROWS
#undef STRIPS
#undef BITS
