// SPDX-License-Identifier: Apache-2.0
// Bytes become products and convolutions of signs: every row and design must give what the formula gives, and whatever
// is in packed weights, no call reads or writes outside its operands.
#include "../C/signs.h"
#include "fuzz.h"

static uint32_t draw_word(void *context) { return take_word(context); }

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    input in = {.data = data, .size = size};
    if (take_byte(&in) % 4 == 0)
        run_damaged_signs(draw_word, &in);
    else
        REQUIRE(is_product_of_signs_right(draw_word, &in));
    return 0;
}
