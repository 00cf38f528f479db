// SPDX-License-Identifier: Apache-2.0
// All kernels of one index code (BITS, SLOTS), see avx2_panel.h and avx2_strip.h.
#define VECTORS 3
#define QUADS 1
#include "avx2_panel.h"
#define VECTORS 2
#define QUADS 1
#include "avx2_panel.h"
#define VECTORS 1
#define QUADS 2
#include "avx2_panel.h"

#if SLOTS
#define ROWS 1
#include "avx2_strip.h"
#define ROWS 2
#include "avx2_strip.h"
#define ROWS 4
#include "avx2_strip.h"
#endif

#undef BITS
#undef SLOTS
