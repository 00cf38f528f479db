// SPDX-License-Identifier: Apache-2.0
// Numbers to bits and back, and the gradients of signs: element by element, so every kernel is a loop over rows of
// words of 64 columns. README.md has the bounds.
#ifndef HT_BINARY_SIGNS_H
#define HT_BINARY_SIGNS_H

#include "core/isa.h"
#include "core/memory.h"
#include "halftone/binary_gradient.h"

enum { HT_SIGN_COLUMNS = 64, HT_SIGN_OPERANDS = 3 };

/// A matrix that a kernel reads or writes.
typedef struct ht_sign_operand {
    char *at;
    size_t stride;  // bytes from row to row
    size_t bits;    // of an element; 0: there is no such operand
} ht_sign_operand;

/// An estimator with its zeros filled in, made ready for kernels.
typedef struct ht_sign_estimate {
    ht_sign_estimator_kind kind;
    float clip, knee;
    double exponent, share;  // RESTE: (1 - power) / power and 1 / power
    double frequency;
} ht_sign_estimate;

/// One thread's share, checked. Its first column begins a word.
typedef struct ht_sign_task {
    size_t rows, columns;
    ht_sign_operand operand[HT_SIGN_OPERANDS];
    const void *threshold;  // floats or int32_t, of the first column; or null
    const float *scale;     // of the first row, or null
    ht_sign_estimate estimate;
} ht_sign_task;

typedef void ht_sign_kernel(const ht_sign_task *task);

/// What a kernel does, and its operands: the last are what it writes.
typedef enum ht_sign_call {
    HT_SIGN_PACK_F32,          // x, bits
    HT_SIGN_PACK_F16,          // x, bits
    HT_SIGN_PACK_BF16,         // x, bits
    HT_SIGN_PACK_I8,           // x, bits
    HT_SIGN_PACK_INSIDE,       // x, bits and inside: of f32, with the clip
    HT_SIGN_PACK_WAVE,         // x, bits: of f32, with the frequency
    HT_SIGN_UNPACK_F32,        // bits, x
    HT_SIGN_UNPACK_I8,         // bits, x
    HT_SIGN_GRADIENT,          // x, dy, dx
    HT_SIGN_GRADIENT_INSIDE,   // inside, dy, dx
    HT_SIGN_CALLS
} ht_sign_call;

/// A line of the caches: 8 words of a row.
typedef uint64_t ht_bits_line __attribute__((vector_size(64)));

/// Transposes word i of 64 rows in place, for all 8: bit r of word i of line c becomes that of row r, column c.
typedef void ht_bits_turn(ht_bits_line lines[64]);

/// What one ISA brings.
typedef struct ht_sign_calls {
    ht_sign_kernel *kernel[HT_SIGN_CALLS];
    ht_bits_turn *turn;
} ht_sign_calls;

/// A row of the table is a function without arguments that returns these.
typedef const ht_sign_calls *ht_sign_row(void);

ht_sign_row ht_signs_ref, ht_signs_avx2, ht_signs_avx512, ht_signs_neon;
extern const ht_entry ht_signs_table[];

#endif
