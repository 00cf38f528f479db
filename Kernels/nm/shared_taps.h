// SPDX-License-Identifier: Apache-2.0
// Convolutions whose taps share their pattern: a value of X that is picked once serves all taps of a row of the kernel.
#ifndef HT_NM_SHARED_TAPS_H
#define HT_NM_SHARED_TAPS_H

#include "kernels.h"

/// Scratch that ht_nm_shared_taps_avx512 takes beside nothing else; 0 for filters it does not know.
size_t ht_nm_shared_taps_scratch(const ht_nm_layout *layout);

/// One thread's convolution in AVX-512; false, and nothing done, for those that panels do as well.
bool ht_nm_shared_taps_avx512(const ht_nm_task *task);

#endif
