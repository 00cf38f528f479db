// SPDX-License-Identifier: Apache-2.0
// All kernels of one index code (BITS, SLOTS), see neon_panel.h and neon_strip.h.
#define SHARE 1
#include "neon_shapes.h"
#define SHARE 2
#include "neon_shapes.h"
#define SHARE 4
#include "neon_shapes.h"

#if BITS == 2 || BITS == 3
#include "neon_strip.h"
#endif

#undef BITS
#undef SLOTS
