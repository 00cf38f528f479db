// SPDX-License-Identifier: Apache-2.0
// The panel kernels of one index code (BITS, SLOTS), see avx512bf16_pairs.h and avx512bf16_panel.h.
#if BITS == 2
#include "avx512bf16_pairs.h"
#else
#define LINES 2
#define QUADS 1
#include "avx512bf16_panel.h"
#undef LINES
#undef QUADS
#define LINES 1
#define QUADS 2
#include "avx512bf16_panel.h"
#undef LINES
#undef QUADS
#endif
#undef BITS
#undef SLOTS
