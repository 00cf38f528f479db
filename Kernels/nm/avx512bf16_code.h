// SPDX-License-Identifier: Apache-2.0
// The kernels of one index code (BITS, SLOTS) for both panel widths, see avx512bf16_panel.h.
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
#undef BITS
#undef SLOTS
