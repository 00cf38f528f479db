// SPDX-License-Identifier: Apache-2.0
// What the steps of the design with pixels in the lanes share. Included by pixels_avx512.c.
#ifndef HT_BINARY_PIXELS_JOB_H
#define HT_BINARY_PIXELS_JOB_H

#include "core/simd.h"
#include "panels.h"
#include "slices.h"

typedef struct job {
    const ht_binary_task *task;
    ht_binary_panels p;
    size_t lane;  // the first of the panel
    size_t first_string;  // the place of its first taps in the strings
    const char *named;  // what entries of lists are numbers of: the inputs of a chunk
    size_t present[HT_PANELS_VIEWS];  // views that have lanes in the panel
    size_t present_count;
    size_t known[HT_PANELS_VIEWS];  // those that sets are of
    size_t known_count;
    __m512i start[HT_SLICES_MAX];  // of the counters of all outputs
    __m512i lowest;  // bit of T
} job;

HT_INLINE char *vector(char *vectors, size_t i) { return vectors + i * HT_PANELS_VECTOR; }

HT_INLINE __m512i load(const char *vectors, size_t i) { return _mm512_load_si512(vectors + i * HT_PANELS_VECTOR); }

HT_INLINE void store(char *vectors, size_t i, __m512i v) { _mm512_store_si512(vectors + i * HT_PANELS_VECTOR, v); }

#endif
