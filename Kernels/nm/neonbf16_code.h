// SPDX-License-Identifier: Apache-2.0
// All bf16 kernels of one index code (BITS, SLOTS), see neon_panel.h.
#define SHARE 1
#define VECTORS 8
#define PAIRS 1
#include "neon_panel.h"
#define VECTORS 4
#define PAIRS 2
#include "neon_panel.h"
#undef SHARE
#define SHARE 2
#define VECTORS 8
#define PAIRS 1
#include "neon_panel.h"
#define VECTORS 4
#define PAIRS 2
#include "neon_panel.h"
#undef SHARE
#define SHARE 4
#define VECTORS 8
#define PAIRS 1
#include "neon_panel.h"
#define VECTORS 4
#define PAIRS 2
#include "neon_panel.h"
#undef SHARE

#undef BITS
#undef SLOTS
