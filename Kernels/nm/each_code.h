// SPDX-License-Identifier: Apache-2.0
// Includes CODE_TEMPLATE for every index code, in the order of the tables (see ht_nm_code and KERNELS).
#define BITS 2
#define SLOTS 1
#include CODE_TEMPLATE
#define BITS 2
#define SLOTS 2
#include CODE_TEMPLATE
#define BITS 3
#define SLOTS 1
#include CODE_TEMPLATE
#define BITS 3
#define SLOTS 2
#include CODE_TEMPLATE
#define BITS 4
#define SLOTS 1
#include CODE_TEMPLATE
#define BITS 4
#define SLOTS 2
#include CODE_TEMPLATE
#define BITS 1
#define SLOTS 0
#include CODE_TEMPLATE
#define BITS 8
#define SLOTS 0
#include CODE_TEMPLATE
