// SPDX-License-Identifier: Apache-2.0
// Functions of libraries that are looked for when the program runs.
#ifndef HT_CORE_LIBRARY_H
#define HT_CORE_LIBRARY_H

#include <stdbool.h>
#include <stddef.h>

#include "isa.h"

/// Loads `file` and sets functions[i] to its function symbols[i]. False when there is no such file, or when it lacks
/// one of them; then it is let go again. A null `file` stands for what the program has loaded already.
bool ht_load(const char *file, size_t count, const char *const symbols[], ht_fn functions[]);

#endif
