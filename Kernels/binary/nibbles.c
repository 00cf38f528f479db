// SPDX-License-Identifier: Apache-2.0
#include "nibbles.h"

#if defined(__x86_64__)
#define SET_BITS(n) (((n) & 1) + ((n) >> 1 & 1) + ((n) >> 2 & 1) + ((n) >> 3 & 1))
#define FROM(a)                                                                      \
    {SET_BITS((a) ^ 0),  SET_BITS((a) ^ 1),  SET_BITS((a) ^ 2),  SET_BITS((a) ^ 3),  \
     SET_BITS((a) ^ 4),  SET_BITS((a) ^ 5),  SET_BITS((a) ^ 6),  SET_BITS((a) ^ 7),  \
     SET_BITS((a) ^ 8),  SET_BITS((a) ^ 9),  SET_BITS((a) ^ 10), SET_BITS((a) ^ 11), \
     SET_BITS((a) ^ 12), SET_BITS((a) ^ 13), SET_BITS((a) ^ 14), SET_BITS((a) ^ 15)}
#define BYTE(high, low) {FROM(low), FROM(high)}
#define BYTES(high)                                                                                                  \
    BYTE(high, 0), BYTE(high, 1), BYTE(high, 2), BYTE(high, 3), BYTE(high, 4), BYTE(high, 5), BYTE(high, 6),         \
        BYTE(high, 7), BYTE(high, 8), BYTE(high, 9), BYTE(high, 10), BYTE(high, 11), BYTE(high, 12), BYTE(high, 13), \
        BYTE(high, 14), BYTE(high, 15)

const uint8_t ht_binary_differences[256][2][16] __attribute__((aligned(64))) = {
    BYTES(0), BYTES(1), BYTES(2),  BYTES(3),  BYTES(4),  BYTES(5),  BYTES(6),  BYTES(7),
    BYTES(8), BYTES(9), BYTES(10), BYTES(11), BYTES(12), BYTES(13), BYTES(14), BYTES(15)};
#endif
