// SPDX-License-Identifier: Apache-2.0
// Which kernels run here, and which one a call takes.
#ifndef HT_CORE_ISA_H
#define HT_CORE_ISA_H

#include "halftone/base.h"

/// A kernel of any signature; its table says which one.
typedef void (*ht_fn)(void);

/// One row of a dispatch table. A table lists one op's rows best first, its reference last, and ends with a null op.
typedef struct ht_entry {
    const char *op;
    ht_isa isa;
    ht_fn kernel;
} ht_entry;

/// The first row of `table` that needs no more than `isa`; for HT_ISA_AUTO no more than HALFTONE_ISA names, else the
/// first that runs here. Errors: ISA when `isa` is unknown or does not run here.
ht_status ht_pick(const ht_entry *table, ht_isa isa, const ht_entry **entry);

#endif
