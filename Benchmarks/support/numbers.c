// SPDX-License-Identifier: Apache-2.0
// Loops over large arrays that would be slow, or long to write, in Swift.
#include <math.h>
#include <string.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "CHalftoneBench.h"

// 8 vectors at once, so that loads and not additions limit the rate.
#define READ_BODY(words)                                                               \
    words sum[8] = {0};                                                                \
    for (; bytes >= sizeof sum; at += sizeof sum, bytes -= sizeof sum)                 \
        for (int i = 0; i < 8; i++) {                                                  \
            words next;                                                                \
            memcpy(&next, at + (size_t)i * sizeof next, sizeof next);                  \
            sum[i] += next;                                                            \
        }                                                                              \
    uint64_t total = 0;                                                                \
    for (; bytes; at++, bytes--) total += *at;                                         \
    words all = sum[0] + sum[1] + sum[2] + sum[3] + sum[4] + sum[5] + sum[6] + sum[7]; \
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) total += all[i];           \
    return total

typedef uint64_t words_2 __attribute__((vector_size(16)));

static uint64_t read_narrow(const unsigned char *at, size_t bytes) { READ_BODY(words_2); }

#if defined(__x86_64__)

typedef uint64_t words_4 __attribute__((vector_size(32)));
typedef uint64_t words_8 __attribute__((vector_size(64)));

__attribute__((target("avx2"))) static uint64_t read_avx2(const unsigned char *at, size_t bytes) { READ_BODY(words_4); }

__attribute__((target("avx512f"))) static uint64_t read_avx512(const unsigned char *at, size_t bytes) {
    READ_BODY(words_8);
}

uint64_t htb_read(const void *memory, size_t bytes) {
    if (__builtin_cpu_supports("avx512f")) return read_avx512(memory, bytes);
    if (__builtin_cpu_supports("avx2")) return read_avx2(memory, bytes);
    return read_narrow(memory, bytes);
}

__attribute__((target("avx512f"))) static void write_avx512(char *at, size_t bytes) {
    for (; bytes >= 64; at += 64, bytes -= 64) _mm512_stream_si512((__m512i *)(void *)at, _mm512_setzero_si512());
    memset(at, 0, bytes);
    _mm_sfence();
}

static void write_narrow(char *at, size_t bytes) {
    for (; bytes >= 16; at += 16, bytes -= 16) _mm_stream_si128((__m128i *)(void *)at, _mm_setzero_si128());
    memset(at, 0, bytes);
    _mm_sfence();
}

void htb_write(void *memory, size_t bytes) {
    if (__builtin_cpu_supports("avx512f"))
        write_avx512(memory, bytes);
    else
        write_narrow(memory, bytes);
}

#else

uint64_t htb_read(const void *memory, size_t bytes) { return read_narrow(memory, bytes); }

void htb_write(void *memory, size_t bytes) { memset(memory, 0, bytes); }

#endif

void htb_reference(size_t o, size_t k, const float *x, const float *w, double *y, double *magnitude) {
    enum { lanes = 8 };  // partial sums, so that the compiler can use vectors
    for (size_t row = 0; row < o; row++, w += k) {
        double sum[lanes] = {0}, size[lanes] = {0};
        size_t c = 0;
        for (; c + lanes <= k; c += lanes)
            for (int i = 0; i < lanes; i++) {
                double term = (double)x[c + i] * w[c + i];
                sum[i] += term;
                size[i] += fabs(term);
            }
        for (; c < k; c++) {
            double term = (double)x[c] * w[c];
            sum[0] += term;
            size[0] += fabs(term);
        }
        y[row] = magnitude[row] = 0;
        for (int i = 0; i < lanes; i++) {
            y[row] += sum[i];
            magnitude[row] += size[i];
        }
    }
}

void htb_transpose(size_t o, size_t k, const float *w, float *out) {
    enum { tile = 32 };
    for (size_t row = 0; row < o; row += tile)
        for (size_t column = 0; column < k; column += tile)
            for (size_t r = row; r < o && r < row + tile; r++)
                for (size_t c = column; c < k && c < column + tile; c++) out[c * o + r] = w[r * k + c];
}

// SplitMix64.
static uint64_t next(uint64_t *state) {
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

// In (0, 1].
static double uniform(uint64_t *state) { return ((double)(next(state) >> 11) + 1) * 0x1p-53; }

void htb_fill_normal(float *out, size_t count, uint64_t seed, float deviation) {
    const double turn = 6.283185307179586;
    for (size_t i = 0; i < count; i += 2) {  // Box and Muller: two values from two
        double radius = deviation * sqrt(-2 * log(uniform(&seed))), angle = turn * uniform(&seed);
        out[i] = (float)(radius * cos(angle));
        if (i + 1 < count) out[i + 1] = (float)(radius * sin(angle));
    }
}
