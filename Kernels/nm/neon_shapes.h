// SPDX-License-Identifier: Apache-2.0
// The panel kernels of all widths for one index code and so many rows (SHARE) that share indices, see neon_panel.h.
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

#undef SHARE
