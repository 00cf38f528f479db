// SPDX-License-Identifier: Apache-2.0
// Signs with the vectors of any ISA: included behind core/vec_<isa>.h and
//   ht_mask       which lanes a condition holds for: ht_less, ht_not_above, ht_where, ht_mask_at, ht_word
//   ht_wide       doubles of a part of a vector's lanes, and ht_words, their bits
//   ht_load_f16, ht_less_i8, ht_signs_of_bytes, ht_store_signs
// All do the same operations in the same order, and no product meets a sum but in a fused multiply-add, which no
// compiler contracts further, so a value has the same bits everywhere.
#ifndef HT_BINARY_SIGNS_CODE_H
#define HT_BINARY_SIGNS_CODE_H

#include "signs.h"

enum { WORD_VECTORS = HT_SIGN_COLUMNS / HT_VEC_LANES };

// The lanes of vector v of a word of which `count` columns are there.
HT_INLINE ht_lanes lanes_of(size_t count, size_t v) {
    return ht_first_lanes(count > v * HT_VEC_LANES ? count - v * HT_VEC_LANES : 0);
}

HT_INLINE uint64_t first_bits(size_t count) { return ~(uint64_t)0 >> (HT_SIGN_COLUMNS - count); }

// A row of the operands.
typedef struct line {
    char *at[HT_SIGN_OPERANDS];
    size_t row;
} line;

#define FLOATS(operand, v) ((float *)(void *)l->at[operand] + c + (v) * HT_VEC_LANES)
#define HALVES(operand, v) ((const uint16_t *)(const void *)l->at[operand] + c + (v) * HT_VEC_LANES)
#define WORD(operand) ((uint64_t *)(void *)l->at[operand])[c / HT_SIGN_COLUMNS]

// The threshold of the columns of a vector.
HT_INLINE ht_vec threshold_of(const ht_sign_task *task, size_t c, ht_lanes in) {
    return task->threshold ? ht_load_f32((const float *)task->threshold + c, in) : ht_vsplat(0);
}

// MARK: packing

// A page: what a core does not foresee. Half of it is too late for memory, twice as much no better.
enum { AHEAD = 4096 };

// Bound: the stream of x; in caches, loads and as many compares, then few operations for each word.
#define DEFINE_PACK(name, bytes, load)                                                                  \
    HT_INLINE void name##_word(const ht_sign_task *task, const line *l, size_t c, const size_t count) { \
        ht_mask less[WORD_VECTORS];                                                                     \
        for (size_t b = 0; b < HT_SIGN_COLUMNS * bytes; b += 64)                                        \
            __builtin_prefetch(l->at[0] + c * bytes + b + AHEAD, 0, 3);                                 \
        HT_UNROLL                                                                                       \
        for (size_t v = 0; v < WORD_VECTORS; v++) {                                                     \
            const ht_lanes in = lanes_of(count, v);                                                     \
            less[v] = ht_less(load, threshold_of(task, c + v * HT_VEC_LANES, in));                      \
        }                                                                                               \
        WORD(1) = ht_word(less) & first_bits(count);                                                    \
    }

DEFINE_PACK(pack_f32, 4, ht_load_f32(FLOATS(0, v), in))
DEFINE_PACK(pack_f16, 2, ht_load_f16(HALVES(0, v), in))
DEFINE_PACK(pack_bf16, 2, ht_load_bf16(HALVES(0, v), in))

HT_INLINE void pack_i8_word(const ht_sign_task *task, const line *l, size_t c, const size_t count) {
    ht_mask less[WORD_VECTORS];
    const int32_t *threshold = task->threshold;
    if (!threshold) {
        WORD(1) = ht_signs_of_bytes((const int8_t *)l->at[0] + c, count);
        return;
    }
    HT_UNROLL
    for (size_t v = 0; v < WORD_VECTORS; v++) {
        const size_t first = c + v * HT_VEC_LANES;
        less[v] = ht_less_i8((const int8_t *)l->at[0] + first, threshold + first, lanes_of(count, v));
    }
    WORD(1) = ht_word(less) & first_bits(count);
}

HT_INLINE void pack_inside_word(const ht_sign_task *task, const line *l, size_t c, const size_t count) {
    ht_mask less[WORD_VECTORS], inside[WORD_VECTORS];
    HT_UNROLL
    for (size_t v = 0; v < WORD_VECTORS; v++) {
        const ht_lanes in = lanes_of(count, v);
        const ht_vec x = ht_load_f32(FLOATS(0, v), in), threshold = threshold_of(task, c + v * HT_VEC_LANES, in);
        less[v] = ht_less(x, threshold);
        inside[v] = ht_not_above(ht_vabs(ht_vsub(x, threshold)), ht_vsplat(task->estimate.clip));
    }
    WORD(1) = ht_word(less) & first_bits(count);
    WORD(2) = ht_word(inside) & first_bits(count);
}

// MARK: waves

// pi in two parts; what they leave out, times 2^15, is below 2^-90.
static const double pi_high = 0x1.921fb54442d18p1, pi_low = 0x1.1a62633145c07p-53;
static const double farthest_angle = 0x1p16;

// x times the frequency, which is exact; angles beyond the farthest count as 0.
HT_INLINE ht_wide angle_of(const ht_sign_estimate *e, ht_wide x) {
    return ht_zero_beyond(ht_wmul(x, ht_wsplat(e->frequency)), farthest_angle);
}

// The nearest integer, which is also in the low bits.
static const double to_integer = 0x1.8p52;

// a - n pi: a fused operation rounds relative to its result, so the difference is off by 2^-52 of itself, or by 2^-90
// where it is small. No product of two floats up to 2^16 but 0 comes closer to a multiple of pi / 2 than 2^-51.
HT_INLINE ht_wide without_pi(ht_wide a, ht_wide n) {
    return ht_wnfma(n, ht_wsplat(pi_low), ht_wnfma(n, ht_wsplat(pi_high), a));
}

// Turns the sign of v where n, added to to_integer, is odd.
HT_INLINE ht_wide turned_where_odd(ht_wide v, ht_wide shifted) {
    return ht_wide_of(ht_wxor(ht_words_of(v), ht_wleft(ht_words_of(shifted), 63)));
}

// Something with the sign of sin(frequency x): r or -r, where r is what lies between the angle and a multiple of pi.
// The factor keeps what is small from vanishing when it becomes a float.
HT_INLINE ht_wide wave(const ht_sign_estimate *e, ht_wide x) {
    const ht_wide a = angle_of(e, x), shifted = ht_wfma(a, ht_wsplat(0x1.45f306dc9c883p-2), ht_wsplat(to_integer));
    const ht_wide r = without_pi(a, ht_wsub(shifted, ht_wsplat(to_integer)));
    return ht_wmul(turned_where_odd(r, shifted), ht_wsplat(0x1p160));
}

// sin(r) / r - 1 for |r| <= pi / 2 in terms of r²: the Taylor series, good to 2^-37.
HT_INLINE ht_wide sine_series(ht_wide square) {
    static const double factors[] = {1.0 / 6227020800, -1.0 / 39916800, 1.0 / 362880, -1.0 / 5040, 1.0 / 120, -1.0 / 6};
    ht_wide s = ht_wsplat(-1.0 / 1307674368000);
    for (int i = 0; i < 6; i++) s = ht_wfma(s, square, ht_wsplat(factors[i]));
    return ht_wmul(s, square);
}

// frequency cos(frequency x). With r from the angle to (n + 1/2) pi the cosine is -sin(r) for an even n and sin(r) for
// an odd one: so it keeps its last bits where it is near zero.
HT_INLINE ht_wide wave_slope(const ht_sign_estimate *e, ht_wide x) {
    const ht_wide a = angle_of(e, x), turns = ht_wfma(a, ht_wsplat(0x1.45f306dc9c883p-2), ht_wsplat(-0.5));
    const ht_wide shifted = ht_wadd(turns, ht_wsplat(to_integer)), n = ht_wsub(shifted, ht_wsplat(to_integer));
    const ht_wide r = without_pi(a, ht_wadd(n, ht_wsplat(0.5)));
    const ht_wide sine = ht_wfma(sine_series(ht_wmul(r, r)), r, r);
    return ht_wmul(turned_where_odd(sine, shifted), ht_wsplat(-e->frequency));
}

// MARK: powers

// log2(a) for a normal a > 0: a = 2^n m with m from sqrt 1/2 to sqrt 2, and log2(m) = 2 atanh(z) / ln 2 with
// z = (m - 1) / (m + 1), |z| < 0.172: the Taylor series, good to 2^-40.
HT_INLINE ht_wide log2_of(ht_wide a) {
    static const double factors[] = {2 / 11.0, 2 / 9.0, 2 / 7.0, 2 / 5.0, 2 / 3.0, 2.0};
    static const double per_ln2 = 0x1.71547652b82fep0;
    const ht_words one = ht_words_of(ht_wsplat(1)), least = ht_words_of(ht_wsplat(0x1.6a09e667f3bcdp-1));
    const ht_words biased = ht_wright(ht_wiadd(ht_wisub(ht_words_of(a), least), one), 52);
    const ht_wide m = ht_wide_of(ht_wiadd(ht_wisub(ht_words_of(a), ht_wleft(biased, 52)), one));
    const ht_wide n = ht_wsub(ht_wide_of(ht_wor(biased, ht_words_of(ht_wsplat(0x1p52)))), ht_wsplat(0x1p52 + 1023));
    const ht_wide z = ht_wdiv(ht_wsub(m, ht_wsplat(1)), ht_wadd(m, ht_wsplat(1))), square = ht_wmul(z, z);
    ht_wide s = ht_wsplat(2 / 13.0 * per_ln2);
    for (int i = 0; i < 6; i++) s = ht_wfma(s, square, ht_wsplat(factors[i] * per_ln2));
    return ht_wfma(s, z, n);
}

// 2^(exponent log), the product below 1000 in size: 2^n times the Taylor series of 2^f, |f| <= 1/2, good to 2^-37.
HT_INLINE ht_wide power_of(ht_wide exponent, ht_wide log) {
    static const double factors[] = {0x1.62c0223a5c824p-20, 0x1.ffcbfc588b0c7p-17, 0x1.430912f86c787p-13,
                                     0x1.5d87fe78a6731p-10, 0x1.3b2ab6fba4e77p-7,  0x1.c6b08d704a0c0p-5,
                                     0x1.ebfbdff82c58fp-3,  0x1.62e42fefa39efp-1,  1};
    const ht_wide shifted = ht_wfma(exponent, log, ht_wsplat(to_integer));
    const ht_wide f = ht_wfma(exponent, log, ht_wsub(ht_wsplat(to_integer), shifted));
    ht_wide p = ht_wsplat(0x1.b5253d395e7c4p-24);
    for (int i = 0; i < 9; i++) p = ht_wfma(p, f, ht_wsplat(factors[i]));
    const ht_words one = ht_words_of(ht_wsplat(1));
    return ht_wmul(p, ht_wide_of(ht_wiadd(ht_wleft(ht_words_of(shifted), 52), one)));
}

// MARK: gradients

HT_INLINE ht_vec wave_slopes(const ht_sign_estimate *e, ht_vec x) {
    ht_wide part[HT_WIDE_PARTS];
    HT_UNROLL
    for (size_t p = 0; p < HT_WIDE_PARTS; p++) part[p] = wave_slope(e, ht_widen(x, p));
    return ht_narrow(part);
}

// |x|^exponent, shared out behind the knee and constant up to it.
HT_INLINE ht_vec powers(const ht_sign_estimate *e, ht_vec size) {
    const ht_vec knee = ht_vsplat(e->knee), from_knee = ht_at_least(size, knee);
    ht_wide part[HT_WIDE_PARTS], shared[HT_WIDE_PARTS];
    HT_UNROLL
    for (size_t p = 0; p < HT_WIDE_PARTS; p++) {
        part[p] = power_of(ht_wsplat(e->exponent), log2_of(ht_widen(from_knee, p)));
        shared[p] = ht_wmul(part[p], ht_wsplat(e->share));
    }
    return ht_where(ht_not_above(size, knee), ht_narrow(part), ht_narrow(shared));
}

// dy times the estimate; where that is 0 because x is too far from 0, +0 whatever dy is.
HT_INLINE ht_vec estimated(const ht_sign_estimate *e, ht_vec x, ht_vec dy, const ht_sign_estimator_kind kind) {
    if (kind == HT_SIGN_BIPER) return ht_vmul(dy, wave_slopes(e, x));
    const ht_vec size = ht_vabs(x), beyond = ht_where(ht_not_above(size, size), ht_vsplat(0), x);
    if (kind == HT_SIGN_POLYNOMIAL) {
        const ht_vec slope = ht_vfma(size, ht_vsplat(-2), ht_vsplat(2));
        return ht_where(ht_less(size, ht_vsplat(1)), ht_vmul(dy, slope), beyond);
    }
    const ht_mask inside = ht_not_above(size, ht_vsplat(e->clip));
    return ht_where(inside, kind == HT_SIGN_RESTE ? ht_vmul(dy, powers(e, size)) : dy, beyond);
}

// Bound: the streams of x, dy and dx for the first two kinds; divisions and fused operations of doubles for the others.
#define DEFINE_GRADIENT(name, kind)                                                                     \
    HT_INLINE void name##_word(const ht_sign_task *task, const line *l, size_t c, const size_t count) { \
        for (size_t v = 0; v < WORD_VECTORS && v * HT_VEC_LANES < count; v++) {                         \
            const ht_lanes in = lanes_of(count, v);                                                     \
            const ht_vec x = ht_load_f32(FLOATS(0, v), in), dy = ht_load_f32(FLOATS(1, v), in);         \
            const ht_vec from = ht_vsub(x, threshold_of(task, c + v * HT_VEC_LANES, in));               \
            ht_store_f32(FLOATS(2, v), estimated(&task->estimate, from, dy, kind), in);                 \
        }                                                                                               \
    }

DEFINE_GRADIENT(clipped, HT_SIGN_CLIPPED)
DEFINE_GRADIENT(polynomial, HT_SIGN_POLYNOMIAL)
DEFINE_GRADIENT(reste, HT_SIGN_RESTE)
DEFINE_GRADIENT(biper, HT_SIGN_BIPER)

HT_INLINE void gradient_inside_word(const ht_sign_task *task, const line *l, size_t c, const size_t count) {
    (void)task;
    const uint64_t inside = WORD(0);
    HT_UNROLL
    for (size_t v = 0; v < WORD_VECTORS; v++) {
        const ht_lanes in = lanes_of(count, v);
        const ht_vec dy = ht_load_f32(FLOATS(1, v), in);
        ht_store_f32(FLOATS(2, v), ht_where(ht_mask_at(inside, v), dy, ht_vsplat(0)), in);
    }
}

HT_INLINE void pack_wave_word(const ht_sign_task *task, const line *l, size_t c, const size_t count) {
    ht_mask less[WORD_VECTORS];
    for (size_t v = 0; v < WORD_VECTORS; v++) {
        const ht_vec x = ht_load_f32(FLOATS(0, v), lanes_of(count, v));
        ht_wide part[HT_WIDE_PARTS];
        HT_UNROLL
        for (size_t p = 0; p < HT_WIDE_PARTS; p++) part[p] = wave(&task->estimate, ht_widen(x, p));
        less[v] = ht_less(ht_narrow(part), ht_vsplat(0));
    }
    WORD(1) = ht_word(less) & first_bits(count);
}

// MARK: unpacking

// Bound: the stream of x, which is written.
HT_INLINE void unpack_f32_word(const ht_sign_task *task, const line *l, size_t c, const size_t count) {
    const uint64_t bits = WORD(0);
    const float scale = task->scale ? task->scale[l->row] : 1;
    HT_UNROLL
    for (size_t v = 0; v < WORD_VECTORS; v++)
        ht_store_f32(FLOATS(1, v), ht_where(ht_mask_at(bits, v), ht_vsplat(-scale), ht_vsplat(scale)),
                     lanes_of(count, v));
}

HT_INLINE void unpack_i8_word(const ht_sign_task *task, const line *l, size_t c, const size_t count) {
    (void)task;
    ht_store_signs((int8_t *)l->at[1] + c, WORD(0), count);
}

// MARK: kernels

#define DEFINE_KERNEL(name)                                                     \
    static void name(const ht_sign_task *task) {                                \
        const ht_sign_operand *of = task->operand;                              \
        line l = {{of[0].at, of[1].at, of[2].at}, 0};                           \
        for (; l.row < task->rows; l.row++) {                                   \
            size_t c = 0;                                                       \
            for (; c + HT_SIGN_COLUMNS <= task->columns; c += HT_SIGN_COLUMNS)  \
                name##_word(task, &l, c, HT_SIGN_COLUMNS);                      \
            if (c < task->columns) name##_word(task, &l, c, task->columns - c); \
            for (int i = 0; i < HT_SIGN_OPERANDS; i++) l.at[i] += of[i].stride; \
        }                                                                       \
    }

DEFINE_KERNEL(pack_f32)
DEFINE_KERNEL(pack_f16)
DEFINE_KERNEL(pack_bf16)
DEFINE_KERNEL(pack_i8)
DEFINE_KERNEL(pack_inside)
DEFINE_KERNEL(pack_wave)
DEFINE_KERNEL(unpack_f32)
DEFINE_KERNEL(unpack_i8)
DEFINE_KERNEL(gradient_inside)
DEFINE_KERNEL(clipped)
DEFINE_KERNEL(polynomial)
DEFINE_KERNEL(reste)
DEFINE_KERNEL(biper)

static void gradient(const ht_sign_task *task) {
    switch (task->estimate.kind) {
    case HT_SIGN_CLIPPED: clipped(task); break;
    case HT_SIGN_POLYNOMIAL: polynomial(task); break;
    case HT_SIGN_RESTE: reste(task); break;
    case HT_SIGN_BIPER: biper(task); break;
    }
}

// MARK: transposes

// Swaps halves of blocks of 2 * `half` rows: the upper columns of the first with the lower columns of the second.
HT_INLINE void swap_halves(ht_bits_line lines[8], const size_t half, const size_t step, const uint64_t lower) {
    HT_UNROLL
    for (size_t i = 0; i < 8; i++) {
        if (i & step) continue;
        const ht_bits_line different = (lines[i] >> half ^ lines[i + step]) & lower;
        lines[i] ^= different << half;
        lines[i + step] ^= different;
    }
}

// Eight rows `apart` rows apart; the last swap is of neighbours among them.
HT_INLINE void swap_thrice(ht_bits_line *from, const size_t apart, const uint64_t lower[3]) {
    ht_bits_line lines[8];
    HT_UNROLL
    for (size_t i = 0; i < 8; i++) lines[i] = from[i * apart];
    swap_halves(lines, 4 * apart, 4, lower[0]);
    swap_halves(lines, 2 * apart, 2, lower[1]);
    swap_halves(lines, apart, 1, lower[2]);
    HT_UNROLL
    for (size_t i = 0; i < 8; i++) from[i * apart] = lines[i];
}

// Bound: 7 operations for each pair of 192, fewer where one instruction does two of them.
static void turn(ht_bits_line lines[64]) {
    static const uint64_t far[] = {0x00000000ffffffff, 0x0000ffff0000ffff, 0x00ff00ff00ff00ff};
    static const uint64_t near[] = {0x0f0f0f0f0f0f0f0f, 0x3333333333333333, 0x5555555555555555};
    for (size_t i = 0; i < 8; i++) swap_thrice(lines + i, 8, far);
    for (size_t i = 0; i < 8; i++) swap_thrice(lines + 8 * i, 1, near);
}

static const ht_sign_calls calls = {{[HT_SIGN_PACK_F32] = pack_f32,
                                     [HT_SIGN_PACK_F16] = pack_f16,
                                     [HT_SIGN_PACK_BF16] = pack_bf16,
                                     [HT_SIGN_PACK_I8] = pack_i8,
                                     [HT_SIGN_PACK_INSIDE] = pack_inside,
                                     [HT_SIGN_PACK_WAVE] = pack_wave,
                                     [HT_SIGN_UNPACK_F32] = unpack_f32,
                                     [HT_SIGN_UNPACK_I8] = unpack_i8,
                                     [HT_SIGN_GRADIENT] = gradient,
                                     [HT_SIGN_GRADIENT_INSIDE] = gradient_inside},
                                    turn};

#endif
