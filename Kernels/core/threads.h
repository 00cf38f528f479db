// SPDX-License-Identifier: Apache-2.0
// The only place that knows of threads.
#ifndef HT_CORE_THREADS_H
#define HT_CORE_THREADS_H

#include <stddef.h>

/// The work of one piece; pieces must not depend on each other.
typedef void ht_body(void *context, size_t piece);

/// Runs body(context, 0 ..< pieces) on up to `threads` threads and returns when all are done. Nested inside a parallel
/// region of the caller's own it runs on what the runtime grants. `threads` >= 1.
void ht_parallel(ht_body *body, void *context, size_t pieces, int threads);

/// Runs body(context, row) for every row, a few at a time on each thread. `threads` as in ht_options.
void ht_each_row(ht_body *body, void *context, size_t rows, int threads);

/// What options.threads (>= 0) means on this machine.
int ht_resolve_threads(int threads);

#endif
