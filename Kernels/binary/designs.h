// SPDX-License-Identifier: Apache-2.0
// Which design a product or convolution takes: three of them, and what each needs.
#ifndef HT_BINARY_DESIGNS_H
#define HT_BINARY_DESIGNS_H

#include "kernels.h"

/// The design to pack for; `direct` is the layout that the direct one would have, `conv` null for a product.
ht_binary_design ht_binary_choose_design(const ht_binary_layout *direct, const ht_conv *conv, ht_binary_design asked);

/// Scratch of one thread for whatever design runs. Errors: OVERFLOW.
ht_status ht_binary_bits_scratch(const ht_binary_layout *layout, const ht_conv *conv, size_t t, size_t *bytes);

#endif
