// SPDX-License-Identifier: Apache-2.0
// Which design a product or convolution takes, and what each needs.
#ifndef HT_BINARY_DESIGNS_H
#define HT_BINARY_DESIGNS_H

#include "kernels.h"

/// How much faster than another a design has to be by the model, so that it is not slower where that errs.
#define HT_BINARY_MARGIN 1.05

/// The design to pack for; `direct` is the layout that the direct one would have, `conv` null for a product.
ht_binary_design ht_binary_choose_design(const ht_binary_layout *direct, const ht_conv *conv, ht_binary_design asked);

/// The cycles of one thread in the design that a layout is of, on Zen 5: of t rows, or of a convolution's group, that
/// end with signs or numbers. Infinite where the design is none for it.
double ht_binary_cycles(const ht_binary_layout *layout, const ht_conv *conv, size_t t, bool numbers);

/// Whether this machine has kernels of all designs; others know the direct one alone.
bool ht_binary_has_designs(void);

/// Scratch of one thread for whatever design runs. Errors: OVERFLOW.
ht_status ht_binary_bits_scratch(const ht_binary_layout *layout, const ht_conv *conv, size_t t, size_t *bytes);

#endif
