// SPDX-License-Identifier: Apache-2.0
// Threads come from the OpenMP runtime that is already in the process, else from one found on the machine, so that the
// host program's pool is shared and no build needs a flag. Without one every call runs on its own thread.
#include "threads.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "halftone/base.h"
#include "library.h"

typedef struct region {
    ht_body *body;
    void *context;
    size_t pieces;
    atomic_size_t next;
} region;

static void take_pieces(void *data) {
    region *r = data;
    for (size_t piece; (piece = atomic_fetch_add_explicit(&r->next, 1, memory_order_relaxed)) < r->pieces;)
        r->body(r->context, piece);
}

static int processors(void) {
    long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count > 0 ? (int)count : 1;
}

#if defined(__APPLE__)

#include <dispatch/dispatch.h>

static void take_pieces_once(void *data, size_t thread) {
    (void)thread;
    take_pieces(data);
}

static void fork_join(region *r, int threads) {
    dispatch_apply_f((size_t)threads, DISPATCH_APPLY_AUTO, r, take_pieces_once);
}

const char *ht_thread_runtime(void) { return "libdispatch"; }

int ht_thread_count(void) { return processors(); }

#else

// The calls that gcc's `#pragma omp parallel` compiles to. LLVM's runtime exports them too.
typedef void parallel_call(void (*body)(void *), void *data, unsigned threads, unsigned flags);
typedef int max_threads_call(void);

typedef struct runtime {
    const char *name;
    parallel_call *parallel;
    max_threads_call *max_threads;
} runtime;

static runtime found = {.name = "serial"};
static pthread_once_t once = PTHREAD_ONCE_INIT;

static bool take_runtime(const char *file, const char *name) {
    static const char *const symbols[] = {"GOMP_parallel", "omp_get_max_threads"};
    ht_fn functions[2];
    if (!ht_load(file, 2, symbols, functions)) return false;
    found.name = name;
    found.parallel = (parallel_call *)functions[0];
    found.max_threads = (max_threads_call *)functions[1];
    return true;
}

static void find_runtime(void) {
    static const char *const names[] = {"libomp.so.5", "libgomp.so.1", "libomp.so"};
    const char *wish = getenv("HALFTONE_RUNTIME");
    if (wish && !strcmp(wish, "serial")) return;
    if (take_runtime(NULL, "the host program's")) return;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (take_runtime(names[i], names[i])) return;
}

static const runtime *the_runtime(void) {
    pthread_once(&once, find_runtime);
    return &found;
}

static void fork_join(region *r, int threads) {
    const runtime *rt = the_runtime();
    if (rt->parallel)
        rt->parallel(take_pieces, r, (unsigned)threads, 0);
    else
        take_pieces(r);
}

const char *ht_thread_runtime(void) { return the_runtime()->name; }

int ht_thread_count(void) {
    const runtime *rt = the_runtime();
    if (!rt->parallel) return 1;
    int wanted = rt->max_threads(), most = processors();
    return wanted < 1 ? 1 : wanted < most ? wanted : most;
}

#endif

int ht_resolve_threads(int threads) { return threads ? threads : ht_thread_count(); }

void ht_parallel(ht_body *body, void *context, size_t pieces, int threads) {
    region r = {.body = body, .context = context, .pieces = pieces};
    if ((size_t)threads > pieces) threads = (int)pieces;
    if (threads > 1)
        fork_join(&r, threads);
    else
        take_pieces(&r);
}

// Rows that a thread takes at once: enough to pay for taking them.
enum { rows_at_once = 16 };

typedef struct row_job {
    ht_body *body;
    void *context;
    size_t rows;
} row_job;

static void some_rows(void *data, size_t piece) {
    const row_job *job = data;
    for (size_t i = 0; i < rows_at_once && piece * rows_at_once + i < job->rows; i++)
        job->body(job->context, piece * rows_at_once + i);
}

void ht_each_row(ht_body *body, void *context, size_t rows, int threads) {
    row_job job = {body, context, rows};
    ht_parallel(some_rows, &job, rows / rows_at_once + (rows % rows_at_once != 0), ht_resolve_threads(threads));
}
