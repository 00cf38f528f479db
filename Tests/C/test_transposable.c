// SPDX-License-Identifier: Apache-2.0
#include "check.h"

void test_transposable_masks(void) {}
