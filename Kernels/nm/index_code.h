// SPDX-License-Identifier: Apache-2.0
// What follows from an index code. Macros are expanded where they are used, so these hold for the BITS (1: a map) and
// SLOTS (0: the window is the block, or a map) of the template at hand, and its LINE, the bytes of a panel column.
#ifndef HT_NM_INDEX_CODE_H
#define HT_NM_INDEX_CODE_H

#define UNIT (BITS == 2 ? 16 : BITS == 8 ? 4 : 8)   // slots of an index field; a map's are known at run time
#define FIELD_BYTES (BITS == 3 ? 3 : 4)
#define WINDOW (1 << BITS)              // columns
#define WINDOWS(slots) (SLOTS ? (slots) / (SLOTS + !SLOTS) : 0)
#define UNIT_COLUMNS (BITS == 1 ? 32 : WINDOWS(UNIT) * WINDOW)
#define SLOT_COLUMN(slot) (WINDOWS(slot) * WINDOW)      // where the window of a unit's slot begins
#define FULL_SLOTS ((SLOTS * 2 >= WINDOW ? 128 : 256) / WINDOW * SLOTS)  // of a row in a full block

// A kernel's name: its stem, the code, and the panel's vectors or the strip's rows of X.
#define NAME(stem, size) NAME_OF(stem, BITS, SLOTS, size)
#define NAME_OF(stem, bits, slots, size) NAME_WITH(stem, bits, slots, size)
#define NAME_WITH(stem, bits, slots, size) stem##_##bits##_##slots##_##size

// The size in the name of a kernel for rows that share their indices.
#define SHARED_SIZE(size, share) SHARED_SIZE_WITH(size, share)
#define SHARED_SIZE_WITH(size, share) size##_shared##share

// And of one for panels of a grid.
#define GRID_SIZE(size) GRID_SIZE_WITH(size)
#define GRID_SIZE_WITH(size) size##_grid

// The kernels of all codes, for a table.
#define KERNELS(stem, size) {WINDOW_KERNELS(stem, size), NAME_WITH(stem, 1, 0, size), NAME_WITH(stem, 8, 0, size)}
#define STRIP_KERNELS(stem, size) {WINDOW_KERNELS(stem, size), NAME_WITH(stem, 1, 0, size)}
#define WINDOW_KERNELS(stem, size)                                                         \
    NAME_WITH(stem, 2, 1, size), NAME_WITH(stem, 2, 2, size), NAME_WITH(stem, 3, 1, size), \
        NAME_WITH(stem, 3, 2, size), NAME_WITH(stem, 4, 1, size), NAME_WITH(stem, 4, 2, size)

#endif
