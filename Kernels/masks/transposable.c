// SPDX-License-Identifier: Apache-2.0
// Masks that are N:M both ways: checks, threads, what a refresh leaves alone, and the public face.
#include "transposable.h"

#include <stdatomic.h>
#include <string.h>

#include "core/threads.h"
#include "halftone/nm_mask.h"
#include "transposable_weights.h"

const ht_entry ht_transposable_mask_table[] = {
#if defined(__x86_64__)
    {"transposable_mask", HT_ISA_AVX512, (ht_fn)ht_transposable_mask_avx512},
    {"transposable_mask", HT_ISA_AVX2, (ht_fn)ht_transposable_mask_avx2},
#elif defined(__aarch64__)
    {"transposable_mask", HT_ISA_NEON, (ht_fn)ht_transposable_mask_neon},
#endif
    {"transposable_mask", HT_ISA_REF, (ht_fn)ht_transposable_mask_ref},
    {0},
};

typedef struct job {
    ht_transposable_task whole;
    ht_transposable_kernel *kernel;
    size_t tiles, across;    // of a piece; pieces of a row of tiles
    bool is_refresh;
    atomic_size_t changed;
} job;

// Tiles of a piece: the bits of eight fill whole bytes, whatever M is.
enum { tiles_of_mask = 1024, tiles_of_refresh = 64, most = HT_TRANSPOSABLE_MOST };

static void clear(uint8_t *mask, size_t stride, size_t rows, size_t columns) {
    for (size_t i = 0; i < rows; i++) memset(mask + i * stride, 0, ht_ceil_div(columns, 8));
}

static void solve(const job *j, ht_transposable_task *task) {
    clear(task->mask, task->mask_stride, task->rows, task->columns);
    if (task->n < task->m) {
        j->kernel(task);
        return;
    }
    for (size_t i = 0; i < task->rows; i++)
        for (size_t column = 0; column < task->columns; column++)
            task->mask[i * task->mask_stride + column / 8] |= (uint8_t)(1 << column % 8);
}

// MARK: refresh

static void set_bits_at(uint8_t *row, size_t column, size_t columns, uint32_t bits) {
    const uint64_t all = (((uint64_t)1 << columns) - 1) << column % 8, set = (uint64_t)bits << column % 8;
    for (size_t byte = 0; all >> 8 * byte; byte++) {
        uint8_t *at = row + column / 8 + byte;
        *at = (uint8_t)((*at & ~(all >> 8 * byte)) | set >> 8 * byte);
    }
}

static bool is_mask(const ht_transposable_task *task, const uint32_t *kept, size_t columns) {
    bool holds = true;
    for (size_t i = 0; i < task->rows; i++) {
        const size_t count = (size_t)__builtin_popcount(kept[i]);
        holds &= columns == task->m ? count == task->n : count <= task->n;
    }
    for (size_t j = 0; j < columns; j++) {
        size_t count = 0;
        for (size_t i = 0; i < task->rows; i++) count += kept[i] >> j & 1;
        holds &= task->rows == task->m ? count == task->n : count <= task->n;
    }
    return holds;
}

static bool is_as_good(const ht_transposable_task *task, size_t column, size_t columns, const uint32_t *old,
                       const uint32_t *new) {
    int32_t weight[most][most];
    int64_t more = 0;
    if (task->n == task->m || !is_mask(task, old, columns)) return false;
    ht_transposable_weights(task, column, columns, weight);
    for (size_t i = 0; i < task->rows; i++)
        for (size_t j = 0; j < columns; j++)
            more += ((int)(new[i] >> j & 1) - (int)(old[i] >> j & 1)) * (int64_t)weight[i][j];
    return more == 0;
}

// Returns how many weights it newly keeps.
static size_t refresh_tile(const ht_transposable_task *task, size_t column, const uint8_t *solved, size_t stride) {
    const size_t columns = ht_min(task->m, task->columns - column);
    uint32_t old[most], new[most];
    bool is_same = true;
    size_t changed = 0;
    for (size_t i = 0; i < task->rows; i++) {
        old[i] = ht_transposable_bits_at(task->mask + i * task->mask_stride, column, columns);
        new[i] = ht_transposable_bits_at(solved + i * stride, column, columns);
        is_same &= old[i] == new[i];
    }
    if (is_same || is_as_good(task, column, columns, old, new)) return 0;
    for (size_t i = 0; i < task->rows; i++) {
        if (old[i] != new[i]) set_bits_at(task->mask + i * task->mask_stride, column, columns, new[i]);
        changed += (size_t)__builtin_popcount(new[i] & ~old[i]);
    }
    return changed;
}

// Of eight tiles, which begin with a byte.
static bool is_same(const ht_transposable_task *task, size_t column, size_t end, const uint8_t *solved, size_t stride) {
    const size_t first = column / 8, bytes = ht_ceil_div(end, 8) - first;
    for (size_t i = 0; i < task->rows; i++)
        if (memcmp(task->mask + i * task->mask_stride + first, solved + i * stride + first, bytes)) return false;
    return true;
}

static size_t refresh(const job *j, const ht_transposable_task *task) {
    uint8_t solved[most * tiles_of_refresh * most / 8];
    ht_transposable_task fresh = *task;
    size_t changed = 0;
    fresh.before = task->mask;
    fresh.before_stride = task->mask_stride;
    fresh.mask = solved;
    fresh.mask_stride = ht_ceil_div(task->columns, 8);
    solve(j, &fresh);
    for (size_t column = 0; column < task->columns; column += 8 * task->m) {
        const size_t end = ht_min(column + 8 * task->m, task->columns);
        if (is_same(task, column, end, solved, fresh.mask_stride)) continue;
        for (size_t c = column; c < end; c += task->m) changed += refresh_tile(task, c, solved, fresh.mask_stride);
    }
    // Bits behind the last column are 0 in a mask.
    for (size_t i = 0; i < task->rows && task->columns % 8; i++)
        task->mask[i * task->mask_stride + task->columns / 8] &= (uint8_t)((1 << task->columns % 8) - 1);
    return changed;
}

// MARK: pieces

static void run_piece(void *context, size_t piece) {
    job *j = context;
    ht_transposable_task task = j->whole;
    const size_t row = piece / j->across * task.m, column = piece % j->across * j->tiles * task.m;
    task.rows = ht_min(task.m, task.rows - row);
    task.columns = ht_min(j->tiles * task.m, task.columns - column);
    task.w = (const char *)task.w + row * task.w_stride + column * ht_dtype_size(task.dtype);
    task.mask += row * task.mask_stride + column / 8;
    if (j->is_refresh)
        atomic_fetch_add_explicit(&j->changed, refresh(j, &task), memory_order_relaxed);
    else
        solve(j, &task);
}

static ht_status run(job *j, const ht_options *options) {
    static const ht_options defaults;
    const ht_entry *entry;
    ht_transposable_task *task = &j->whole;
    if (!options) options = &defaults;
    if (options->threads < 0) return HT_ERROR_THREADS;
    if (task->n < 1 || task->n > task->m || task->m > most || (unsigned)options->shared_rows > 1)
        return HT_ERROR_PATTERN;
    ht_status status = ht_pick(ht_transposable_mask_table, options->isa, &entry);
    if (!status)
        status = ht_check_matrix(task->w, task->rows, task->columns, ht_dtype_size(task->dtype), &task->w_stride);
    if (!status) status = ht_check_matrix(task->mask, task->rows, ht_ceil_div(task->columns, 8), 1, &task->mask_stride);
    if (status || task->rows == 0 || task->columns == 0) return status;
    j->kernel = (ht_transposable_kernel *)entry->kernel;
    j->tiles = j->is_refresh ? tiles_of_refresh : tiles_of_mask;
    j->across = ht_ceil_div(task->columns, j->tiles * task->m);
    ht_parallel(run_piece, j, ht_ceil_div(task->rows, task->m) * j->across, ht_resolve_threads(options->threads));
    return HT_OK;
}

// MARK: the public face

static ht_transposable_task matrix(size_t o, size_t k, size_t n, size_t m, ht_dtype dtype, const void *w,
                                   size_t w_stride, uint8_t *mask, size_t mask_stride) {
    return (ht_transposable_task){.n = n,
                                  .m = m,
                                  .rows = o,
                                  .columns = k,
                                  .dtype = dtype,
                                  .w = w,
                                  .w_stride = w_stride,
                                  .mask = mask,
                                  .mask_stride = mask_stride};
}

#define DEFINE(suffix, element, type)                                                                                 \
    ht_status ht_nm_transposable_mask_##suffix(size_t o, size_t k, size_t n, size_t m, ht_transposable_method method, \
                                               const element *w, size_t w_stride, uint8_t *mask, size_t mask_stride,  \
                                               const ht_options *options) {                                           \
        job j = {.whole = matrix(o, k, n, m, type, w, w_stride, mask, mask_stride)};                                  \
        if ((unsigned)method > HT_TRANSPOSABLE_DYKSTRA) return HT_ERROR_PATTERN;                                      \
        return run(&j, options);                                                                                      \
    }

DEFINE(f32, float, HT_DTYPE_F32)
DEFINE(f16, uint16_t, HT_DTYPE_F16)
DEFINE(bf16, uint16_t, HT_DTYPE_BF16)

ht_status ht_nm_transposable_refresh_f32(size_t o, size_t k, size_t n, size_t m, const float *w, size_t w_stride,
                                         uint8_t *mask, size_t mask_stride, size_t *changed,
                                         const ht_options *options) {
    job j = {.whole = matrix(o, k, n, m, HT_DTYPE_F32, w, w_stride, mask, mask_stride), .is_refresh = true};
    const ht_status status = run(&j, options);
    if (!status && changed) *changed = atomic_load(&j.changed);
    return status;
}
