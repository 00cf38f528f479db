// SPDX-License-Identifier: Apache-2.0
#include "sums.h"

#if defined(__aarch64__)
// clang-format off: the second is written in the words of the first
#include "vec_neon.h"
#include "sums_store.h"
// clang-format on

void ht_sums_store_neon(const ht_sums *sums) { store_sums(sums); }
#endif
