// SPDX-License-Identifier: Apache-2.0
// All kernels of one index code (BITS, SLOTS), see neon_panel.h and neon_strip.h.
#define VECTORS 8
#define PAIRS 1
#include "neon_panel.h"
#define VECTORS 4
#define PAIRS 2
#include "neon_panel.h"
#define VECTORS 2
#define PAIRS 2
#include "neon_panel.h"
#define VECTORS 1
#define PAIRS 2
#include "neon_panel.h"

#if BITS == 2 || BITS == 3
#include "neon_strip.h"
#endif

#undef BITS
#undef SLOTS
