// SPDX-License-Identifier: Apache-2.0
// Products and convolutions of signs as the headers of the library describe them, for the C test and the fuzzer: random
// operands, sums in plain loops over numbers, and what every kernel row and design makes of the packed ones.
#ifndef TESTS_C_SIGNS_H
#define TESTS_C_SIGNS_H

#include <stdbool.h>
#include <stdint.h>

/// Any number.
typedef uint32_t draw(void *context);

/// Draws a product or convolution, and runs it on every row that there is of its table, in every design, on some number
/// of threads, with a window. False, and a line that says which one, if something is not as the formula has it: Y, or
/// what is round it.
bool is_product_of_signs_right(draw *next, void *context);

/// Draws a product or convolution and damages the header, the body or both of its weights: then calls may refuse them
/// or give any numbers, but nothing outside the operands is touched.
void run_damaged_signs(draw *next, void *context);

#endif
