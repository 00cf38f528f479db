// SPDX-License-Identifier: Apache-2.0
// Counting differences by table, for x86 machines that do not count the bits of vectors.
//
// A byte of X picks two tables of 16 entries: how many bits each nibble differs in from its low and from its high one.
// vpshufb looks up the nibbles of 16 outputs in each, so neither xor nor shift is left for a row of X, and what the
// weights take to be cut into nibbles serves all rows of a tile.
#ifndef HT_BINARY_NIBBLES_H
#define HT_BINARY_NIBBLES_H

#include <stdint.h>

/// A word counts up to 16 in each of the bytes.
enum { most_words = 15 };

/// [byte of X][low nibble, high nibble][nibble of a weight]
extern const uint8_t ht_binary_differences[256][2][16];

/// A step: the nibbles of a byte of the weights, [block][low, high][output].
enum { HT_BINARY_STEP = 64 };

#endif
