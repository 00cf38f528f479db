// SPDX-License-Identifier: Apache-2.0
// The bit-sliced design with outputs in the lanes: a vector is one input of 512 outputs, a pixel is the list of its
// inputs of the rarer sign, and sums are vertical counters. README.md explains it.
#ifndef HT_BINARY_CHANNELS_H
#define HT_BINARY_CHANNELS_H

#include "kernels.h"

enum {
    HT_BINARY_SHEET_OUTPUTS = 512,        // outputs of a vector
    HT_BINARY_SHEET = 512,        // inputs whose vectors stay in L1 while pixels meet them
    HT_BINARY_LISTED_MAX = 16383  // inputs of an output: counts and cuts fit in 16 bits
};

/// What the design needs behind the words of a blob. Errors: OVERFLOW.
ht_status ht_binary_channels_bytes(const ht_binary_layout *layout, size_t *bytes);

/// Writes it, the words being there.
void ht_binary_channels_pack(const ht_binary_layout *layout, void *packed);

/// The cycles of a convolution, infinite where the design is none for it; `conv` is null for a product.
double ht_binary_channels_cycles(const ht_binary_layout *layout, const ht_conv *conv);

/// Whether the design can do this task, whose weights are packed for it.
bool ht_binary_channels_applies(const ht_binary_task *task);

/// Scratch of one thread for t rows. Errors: OVERFLOW.
ht_status ht_binary_channels_scratch(const ht_binary_layout *layout, const ht_conv *conv, size_t t, size_t *bytes);

/// One thread's share, with AVX-512 and VPOPCNTDQ.
void ht_binary_channels_run(const ht_binary_task *task);

// MARK: for the ISA's file

/// The inputs of a pixel that are set, or those that are clear: entries are 8 times the number of a vector in its
/// sheet, which an address can scale to 64 bytes.
typedef struct ht_binary_pixel_lists {
    uint16_t *entries;  // of the first sheet
    size_t stride;      // from sheet to sheet
    uint16_t *eights;   // of each sheet: entries by 8, the last 8 filled up with the vector of zeros
} ht_binary_pixel_lists;

/// Bit o of a pixel is set where 2 C - A < cut[o], A being how many inputs are listed and C how many of them have a
/// set weight, or where it is not, as the flips say.
///
///     cut = ((sign * level + constant) >> shift) + seen * (counts of the taps seen) + outside * (of the others)
typedef struct ht_binary_cuts {
    const int32_t *level;   // one for each output of the panel
    int32_t sign, constant;
    int shift;
    int32_t seen, outside;
    const int32_t *counts;  // of the panel, [tap][output]
    size_t taps;
    const uint8_t *sees;    // whether each tap is seen
    int32_t bound;          // inputs: cuts below or above -+ this are the same as there
} ht_binary_cuts;

enum { HT_BINARY_CUT_PLANES = 16 };

/// What an ISA brings. Vectors are 64 bytes, and so aligned.
typedef struct ht_binary_slices {
    /// Returns how many inputs are listed.
    size_t (*list)(const uint64_t *x, size_t inputs, bool clear, const ht_binary_pixel_lists *lists);
    /// Adds the vectors of a list to counters of `planes` vectors.
    void (*add)(const uint16_t *entries, size_t eights, const void *sheet, void *counters, size_t planes);
    void (*cut)(const ht_binary_cuts *cuts, void *planes);
    /// Writes 64 bytes, wherever they lie.
    void (*finish)(const void *counters, size_t planes, size_t listed, const void *cuts, const void *flips, void *y);
} ht_binary_slices;

/// The loops round it.
void ht_binary_channels_loop(const ht_binary_slices *slices, const ht_binary_task *task);

#endif
