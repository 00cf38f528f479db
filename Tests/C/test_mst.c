// SPDX-License-Identifier: Apache-2.0
// Trees of rows of signs, and what training takes from them.
#include "check.h"

void test_mst(void) {}
