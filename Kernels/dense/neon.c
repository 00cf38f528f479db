// SPDX-License-Identifier: Apache-2.0
#if defined(__aarch64__)
enum { ROWS = 8, VECTORS = 3 };

// clang-format off: the second is written in the words of the first
#include "core/vec_neon.h"
#include "weight_gradient.h"
// clang-format on

void ht_weight_gradient_f32_neon(const ht_weight_gradient_task *task) { weight_gradient(task); }
#endif
