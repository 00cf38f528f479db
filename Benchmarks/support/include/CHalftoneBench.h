// SPDX-License-Identifier: Apache-2.0
// What the benchmark tool needs from C: probes of the machine, a double-precision reference, the embedded weights.
#ifndef CHALFTONE_BENCH_H
#define CHALFTONE_BENCH_H

#include <stddef.h>
#include <stdint.h>

/// Seconds on a clock that only goes forward.
double htb_seconds(void);

/// Seconds that the calling thread has been running. Less than what passed means that others had its CPU.
double htb_thread_seconds(void);

/// Runs the calling thread on the CPU it is on now, and nowhere else, until htb_unpin. Returns that CPU, or -1 where
/// the system has no such call.
int htb_pin(void);

/// Gives the calling thread back the CPUs it had before htb_pin.
void htb_unpin(void);

/// The units whose peak can be probed: what multiplies and adds, and how wide its vectors are.
typedef enum htb_unit {
    HTB_F32_PORTABLE = 0,  // what the compiler makes of plain C: 128 bits
    HTB_F32_AVX2 = 1,      // 256 bits with FMA
    HTB_F32_AVX512 = 2,    // 512 bits
    HTB_BF16_AVX512 = 3,   // dot products of pairs of bfloat16
    HTB_I8_AVX2 = 4,       // products of bytes in three instructions
    HTB_I8_AVX_VNNI = 5,   // dot products of four bytes, 256 bits
    HTB_I8_AVX512 = 6,     // the same, 512 bits
    // Counted differences of signs:
    HTB_B1_PORTABLE = 7,       // of words of 64, in plain C
    HTB_B1_AVX2 = 8,           // half bytes looked up, 256 bits
    HTB_B1_AVX512 = 9,         // the same, 512 bits
    HTB_B1_AVX512_POPCNT = 10,  // xor, count, add of 32-bit words, 512 bits
    HTB_B1_NEON = 11,          // xor, count, add of bytes, 128 bits
    HTB_UNITS = 12
} htb_unit;

/// The multiply-adds that `threads` threads reach together, in operations (two a multiply-add) per second: the best of
/// a few bursts. Each burst is about `seconds` long. The CPU must have the unit; on another architecture it is
/// HTB_F32_PORTABLE.
double htb_peak(htb_unit unit, int threads, double seconds);

/// The clock in Hz as a chain of dependent additions shows it, one a cycle.
double htb_clock(void);

/// Reads all of `memory` once, with the widest loads that there are. Returns a sum of what is there, so that the reads
/// are not optimised away.
uint64_t htb_read(const void *memory, size_t bytes);

/// Writes zeros to all of `memory`, past the caches where the CPU has stores that do so. 64-byte aligned.
void htb_write(void *memory, size_t bytes);

/// One row of a product and what its error is measured against, in double precision:
/// y[i] = sum over k of x[k] * w[i][k], magnitude[i] = the same sum of |x w|. `w` is o rows of k floats.
void htb_reference(size_t o, size_t k, const float *x, const float *w, double *y, double *magnitude);

/// out = transposed w: k rows of o floats.
void htb_transpose(size_t o, size_t k, const float *w, float *out);

/// Fills with normal values of mean 0 and the given deviation; the same for the same seed.
void htb_fill_normal(float *out, size_t count, uint64_t seed, float deviation);

/// minilm.safetensors, whole, in memory.
const void *htb_embedded_weights(void);
size_t htb_embedded_weights_size(void);

#endif
