// SPDX-License-Identifier: Apache-2.0
// Batch normalisation and sign as a threshold on the integer sum.
#include <math.h>
#include <string.h>

#include "core/memory.h"
#include "halftone/binary.h"

// An output's batch normalisation.
typedef struct normalisation {
    double scale, bias, gamma, beta, mean, deviation;
} normalisation;

// Rounds in the same places on every machine: a compiler may not fuse what is fused already.
static bool is_negative(const normalisation *n, int64_t sum) {
    const double centred = fma((double)sum, n->scale, n->bias - n->mean);
    return fma(n->gamma, centred / n->deviation, n->beta) < 0;
}

// Each step of the formula is monotone in the sum, so its sign changes once, if at all: found by halving.
static void fold(const normalisation *n, int64_t inputs, int32_t *level, bool *flip) {
    const bool at_least = is_negative(n, -inputs), at_most = is_negative(n, inputs);
    *flip = !at_least && at_most;
    if (at_least == at_most) {
        *level = (int32_t)(at_least ? inputs + 1 : -inputs);
        return;
    }
    int64_t below = -inputs, above = inputs;  // where the signs are those at either end
    while (above - below > 1) {
        const int64_t middle = below + (above - below) / 2;
        *(is_negative(n, middle) == at_least ? &below : &above) = middle;
    }
    *level = (int32_t)above;
}

static double at(const float *values, size_t o, double otherwise) { return values ? values[o] : otherwise; }

ht_status ht_binary_fold_batch_norm(size_t outputs, size_t inputs, const float *scale, const float *bias,
                                    const float *gamma, const float *beta, const float *mean, const float *variance,
                                    float epsilon, int32_t *level, uint8_t *flip) {
    if (outputs && (!level || !flip)) return HT_ERROR_NULL;
    if (!mean != !variance) return HT_ERROR_NULL;
    if (inputs >= INT32_MAX) return HT_ERROR_OVERFLOW;
    if (outputs) memset(flip, 0, ht_ceil_div(outputs, 8));
    for (size_t o = 0; o < outputs; o++) {
        const double deviation = variance ? sqrt((double)variance[o] + epsilon) : 1;
        const normalisation n = {at(scale, o, 1), at(bias, o, 0), at(gamma, o, 1),
                                 at(beta, o, 0),  at(mean, o, 0), deviation};
        bool flips;
        fold(&n, (int64_t)inputs, &level[o], &flips);
        flip[o / 8] |= (uint8_t)(flips << o % 8);
    }
    return HT_OK;
}
