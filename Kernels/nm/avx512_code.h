// SPDX-License-Identifier: Apache-2.0
// All kernels of one index code (BITS, SLOTS), see avx512_panel.h and avx512_strip.h.
#if SLOTS * 2 >= WINDOW || BITS == 1  // blocks of 128 columns leave room for panels of 64 rows of X
#define VECTORS 4
#define SHARE 1
#define QUADS 1
#define GRID 0
#include "avx512_panel.h"
#define VECTORS 3
#define SHARE 1
#define QUADS 1
#define GRID 0
#include "avx512_panel.h"
#define VECTORS 4
#define SHARE 2
#define QUADS 1
#define GRID 0
#include "avx512_panel.h"
#define VECTORS 4
#define SHARE 4
#define QUADS 1
#define GRID 0
#include "avx512_panel.h"
#endif
#define VECTORS 2
#define SHARE 1
#define QUADS (UNIT_COLUMNS > 64 ? 1 : 2)  // sparse blocks are short: the loads of a group's sums weigh more
#define GRID 0
#include "avx512_panel.h"
#define VECTORS 2
#define SHARE 2
#define QUADS 2
#define GRID 0
#include "avx512_panel.h"
#define VECTORS 2
#define SHARE 4
#define QUADS 2
#define GRID 0
#include "avx512_panel.h"
#define VECTORS 1
#define SHARE 1
#define QUADS 2
#define GRID 0
#include "avx512_panel.h"
#define VECTORS 1
#define SHARE 2
#define QUADS 2
#define GRID 0
#include "avx512_panel.h"
#define VECTORS 1
#define SHARE 4
#define QUADS 2
#define GRID 0
#include "avx512_panel.h"

#if SLOTS
#define VECTORS 4
#define SHARE 1
#define QUADS 1
#define GRID 1
#include "avx512_panel.h"
#define VECTORS 3
#define SHARE 1
#define QUADS 1
#define GRID 1
#include "avx512_panel.h"
#define VECTORS 2
#define SHARE 1
#define QUADS 2
#define GRID 1
#include "avx512_panel.h"
#endif

#if BITS < 8
#define ROWS 1
#define STRIPS 2
#include "avx512_strip.h"
#define ROWS 2
#define STRIPS 2
#include "avx512_strip.h"
#define ROWS 4
#define STRIPS 2
#include "avx512_strip.h"
#define ROWS 8
#define STRIPS 1
#include "avx512_strip.h"
#endif

#undef BITS
#undef SLOTS
