// SPDX-License-Identifier: Apache-2.0
// Not what the host program has loaded already: a function of this name could want integers of 64 bits.
#include "blas.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/library.h"
#include "halftone/nm_gradient.h"

static char name[512] = "none";
static ht_sgemm *sgemm;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static bool take_blas(const char *file) {
    static const char *const symbol = "cblas_sgemm";
    ht_fn function;
    if (!ht_load(file, 1, &symbol, &function)) return false;
    sgemm = (ht_sgemm *)function;
    snprintf(name, sizeof name, "%s", file);
    return true;
}

static void find_blas(void) {
#if defined(__APPLE__)
    static const char *const files[] = {"/System/Library/Frameworks/Accelerate.framework/Accelerate"};
#else
    static const char *const files[] = {"libopenblas.so.0", "libmkl_rt.so.2", "libblis.so.4", "libcblas.so.3",
                                        "libblas.so.3"};
#endif
    const char *wish = getenv("HALFTONE_BLAS");
    if (wish && *wish) {
        if (strcmp(wish, "none")) take_blas(wish);
        return;
    }
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        if (take_blas(files[i])) return;
}

ht_sgemm *ht_blas_sgemm(void) {
    pthread_once(&once, find_blas);
    return sgemm;
}

const char *ht_blas_runtime(void) {
    pthread_once(&once, find_blas);
    return name;
}
