// SPDX-License-Identifier: Apache-2.0
// Products and convolutions with 16 rows of W in the lanes and many samples of X, which stay as they lie in memory.
//
// Once for all samples the weights of a strip are turned into vectors, [chunk of 16 columns][slots of the chunk, then a
// vector of index words]. A kernel takes a run of samples that lie at a fixed distance in X: for each slot and sample
// one shuffle picks every lane's X out of the chunk and one FMA adds it to a sum, which stays in a register over all
// the taps that see all of the run's samples.
#ifndef HT_NM_PIXELS_H
#define HT_NM_PIXELS_H

#include <stdbool.h>

#include "kernels.h"

enum {
    HT_NM_CHUNK = 16,  // columns that a shuffle picks from
    HT_NM_RUN = 13,  // samples of a run at most,
    HT_NM_SHORT_RUN = 8,  // and with three strips at a time
    HT_NM_RUN_STRIPS = 3,
    HT_NM_RUN_TAPS = 64  // that a run can have
};

/// The slots of a strip in one block.
typedef struct ht_nm_turn_args {
    const float *values;  // of its first quad, see ht_nm_values
    const uint8_t *indices;  // not shared, see ht_nm_indices
    size_t quads;  // of the strip: up to 4
    size_t slots;  // of a row
    const float *next_values;  // those of the next block are fetched meanwhile
    const uint8_t *next_indices;
    float *to;  // the block's first chunk
} ht_nm_turn_args;

struct ht_nm_vectors;
struct ht_nm_target;

typedef void ht_nm_turn_kernel(const ht_nm_turn_args *args);

/// What a tap, or a whole matrix, adds: columns of X and their weights.
typedef struct ht_nm_tap {
    const char *x;  // of the run's first sample
    size_t weights;  // the first chunk, counted in floats from that of the strip
    const char *first, *last;  // the run's first and last sample: those of x, or a chunk of zeros
    size_t first_step, last_step;  // bytes to their next chunks
} ht_nm_tap;

/// Adds some taps to the sums of a run for up to three strips.
typedef struct ht_nm_run_args {
    const ht_nm_tap *taps;
    size_t tap_count;
    size_t chunks;  // whole chunks of a tap
    size_t rest;  // columns of X in one more; the slots behind them point at its last, which counts as zero
    size_t x_stride;  // bytes, from sample to sample
    const float *weights;  // of the strip
    size_t strip_weights;  // floats from there to those of the next strip
    float *sums;  // [sample][16], those of the next strip HT_NM_RUN samples on
    bool first;  // the sums start at zero
} ht_nm_run_args;

typedef void ht_nm_run_kernel(const ht_nm_run_args *args);

/// The kernels for one index code.
typedef struct ht_nm_pixel_code {
    ht_nm_turn_kernel *turn;  // null: there are none
    size_t chunk_slots;  // of a full chunk
    ht_nm_run_kernel *const (*runs)[HT_NM_RUN];  // by the number of strips and of samples, both less 1
} ht_nm_pixel_code;

/// What one ISA brings.
typedef struct ht_nm_pixel_kernels {
    ht_nm_pixel_code codes[HT_NM_CODES];
    /// What the weights of turned chunks add to a sum where X is zero: -0, +0 or NaN.
    void (*outside)(const float *weights, size_t chunks, size_t chunk_slots, float *to);
    /// Stores sums, with no residual and cut off at most, where a target says that those of the first strip go.
    void (*store)(const float *sums, size_t strips, size_t samples, const struct ht_nm_target *target);
    /// Adds 16 values to each row of sums.
    void (*add)(float *sums, size_t rows, const float *row);
} ht_nm_pixel_kernels;

extern const ht_nm_pixel_kernels ht_nm_pixels_avx512;

/// Whether this is the fastest way to do a task, which is also the only condition for doing it.
bool ht_nm_takes_pixels(const struct ht_nm_vectors *vectors, const ht_nm_task *task);

/// One thread's product, or what its schedule would be.
void ht_nm_pixels_run(const struct ht_nm_vectors *vectors, const ht_nm_task *task);

/// Scratch of one thread.
size_t ht_nm_pixels_scratch(const ht_nm_layout *layout);

#endif
