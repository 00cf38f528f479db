// SPDX-License-Identifier: Apache-2.0
// The model of the machine that choices and predictions are made from.
#ifndef HT_CORE_MACHINE_H
#define HT_CORE_MACHINE_H

#include "halftone/plan.h"

/// The built-in model, made once in a process.
const ht_machine *ht_this_machine(void);

/// The most bytes of weights that stay in the last cache from call to call, beside X and Y.
static inline double ht_machine_resident(const ht_machine *machine) { return machine->l3 * 0.75; }

#endif
