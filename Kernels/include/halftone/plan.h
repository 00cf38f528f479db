// SPDX-License-Identifier: Apache-2.0
// Plans: how a product will run, how long it will take, and when a dense product would be faster.
//
// A prediction rests on a model of the machine. There is a built-in one, measured on one CPU and scaled to the clock
// and the caches of this one; `halftone tune` measures this machine instead and writes a tuning file, which a caller
// reads with ht_machine_read and hands to the plan. Docs/Planning.md has the formulas.
#ifndef HALFTONE_PLAN_H
#define HALFTONE_PLAN_H

#include "nm.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
    HT_MACHINE_PRODUCTS = 3,  // by the type of X: f32, bf16, 8 bits
    HT_MACHINE_ISAS = 11,     // by ht_isa
    HT_MACHINE_CODES = 8      // by how weights are indexed, see Kernels/nm/README.md
};

/// What the kernels of one design reach, for each index code. Adding one packed weight to the sums of r rows of X takes
/// (r + extra) / (peak * share) seconds.
typedef struct ht_machine_design {
    double share[HT_MACHINE_CODES];  // of the dense peak
    double extra[HT_MACHINE_CODES];  // rows of X that would take as long as fetching the weight and its index
} ht_machine_design;

/// One row of a dispatch table. Rates are for one thread and a clock cycle.
typedef struct ht_machine_row {
    double peak;  // multiply-adds of the fastest dense loop in these instructions
    double pack;  // values of X laid out for panels
    double copy;  // values of X laid out for strips
    double store;  // values of Y finished and stored
    double prepare[HT_MACHINE_CODES];  // weights widened, or their indices unpacked, into scratch, where a kernel does
                                       // that
    ht_machine_design panels;  // and tiles
    ht_machine_design strips;
} ht_machine_row;

/// A machine. Every value is above 0 unless it says otherwise.
typedef struct ht_machine {
    double clock;  // cycles a second
    double l1, l2, l3;  // data caches in bytes: a core's own two, and the last one; ascending
    double l2_rate;  // bytes that a thread reads in a cycle from L2
    double l3_rate;  // ... and from the last cache
    double memory_rate;  // bytes a second that one thread reads from memory
    double memory_rate_all;  // ... and all threads together; not below memory_rate
    double exposed;  // share of reading weights from beyond L2 that does not hide behind the arithmetic, 0 to 1
    double call;  // seconds that a call takes whatever its size
    double fork;  // seconds more when it runs on several threads
    double dense[HT_MACHINE_PRODUCTS];  // share of the peak that the best dense libraries reach
    ht_machine_row rows[HT_MACHINE_PRODUCTS][HT_MACHINE_ISAS];  // all zero where there is no such kernel
} ht_machine;

/// The built-in model of this machine: caches as the system names them, the clock timed once in a process (in a fifth
/// of a millisecond), the rest as measured elsewhere. Errors: NULL.
HT_API ht_status ht_machine_default(ht_machine *machine);

/// Reads a tuning file's text, `length` bytes as ht_machine_write wrote them. Nothing is assumed of the text: every
/// line must be there, in its place, with numbers in their ranges that fit each other, and the features in it must be
/// those of this CPU. Empty lines and lines that begin with # are skipped. Errors: NULL, TUNING; then `machine` is as
/// it was.
HT_API ht_status ht_machine_read(const char *text, size_t length, ht_machine *machine);

/// Writes a machine as the text of a tuning file: up to `capacity` bytes of it to `text`, the last a 0. Returns the
/// length of the whole text without that 0, and 0 when `machine` is null. Numbers are rounded to a part of a thousand
/// or less, so that reading and writing again gives the same text.
HT_API size_t ht_machine_write(const ht_machine *machine, char *text, size_t capacity);

/// How a product runs on each thread.
typedef enum ht_nm_design {
    HT_NM_DESIGN_REFERENCE = 0,  // one value of Y at a time
    HT_NM_DESIGN_PANELS = 1,  // rows of X in the lanes; X is transposed
    HT_NM_DESIGN_STRIPS = 2,  // rows of W in the lanes; the weights stream past for a few rows of X
    HT_NM_DESIGN_TILES = 3  // rows of W in the lanes, indices unpacked once for many rows of X
} ht_nm_design;

/// "reference", "panels", "strips", "tiles"; null for an unknown value.
HT_API const char *ht_nm_design_name(ht_nm_design design);

typedef struct ht_plan {
    const char *op;  // "nm_gemm_f32"
    ht_isa isa;  // of the kernel row
    ht_nm_design design;
    int threads;  // pieces that Y is cut into, one for each thread
    size_t row_pieces, column_pieces;  // their product is `threads`
    size_t rows, columns;  // of Y that a thread works on at a time
    size_t panel;  // rows of X in a panel, or in a pass over the weights
    double bytes;  // packed weights, as often as each thread reads them, X and Y
    double seconds;  // predicted for a call whose operands lie in the caches that can hold them
    double arithmetic;  // of these: multiply-adds and what hides behind them,
    double weights;  // reading the weights, as far as that does not hide,
    double x, y;  // laying X out; finishing and storing Y
    double overhead;  // and the call itself
    double dense_seconds;  // predicted for a dense product of the same type by the best library on as many threads
    int dense_wins;  // dense_seconds < seconds
} ht_plan;

/// What a product of t rows of type `x` (F32, BF16, U8 or I8) with o x k weights of type `w` under the pattern n:m does
/// under these options, and how long that takes on `machine`; null stands for the built-in model. The choices are those
/// that a run with the same options takes, by the same code; the machine has no part in them. Of the options threads,
/// isa and shared_rows are used: a window is planned as a product of its size, X and Y are row-major.
/// Errors: NULL, PATTERN, OVERFLOW, THREADS, ISA, BLOB_DTYPE (no product takes these types).
HT_API ht_status ht_nm_plan(size_t t, size_t o, size_t k, size_t n, size_t m, ht_dtype x, ht_dtype w,
                            const ht_options *options, const ht_machine *machine, ht_plan *plan);

#ifdef __cplusplus
}
#endif

#endif
