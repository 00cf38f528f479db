// SPDX-License-Identifier: Apache-2.0
// Bit-sliced sums in AVX-512: a vector is one bit of 512 numbers. Included by files that are compiled for AVX-512 F,
// BW, VBMI, GFNI and BMI.
#ifndef HT_BINARY_SLICES_H
#define HT_BINARY_SLICES_H

#include <immintrin.h>
#include <string.h>

#include "core/simd.h"
#include "layout.h"

enum {
    HT_SLICES_MAX = 16,  // bits of a counter, at most
    HT_SLICES_LONG = 48  // entries from which on a list is worth filling a pipe
};

// MARK: adders

// Compilers make one vpternlog of two xors, which takes two slots when its sources were only just computed.
HT_INLINE __m512i ht_slices_xor(__m512i a, __m512i b) {
    __m512i both;
    __asm__("vpxorq %2, %1, %0" : "=v"(both) : "v"(a), "v"(b));
    return both;
}

HT_INLINE __m512i ht_slices_load(const char *vector) { return _mm512_loadu_si512(vector); }

/// The carry of sum + a + b; the sum is left in *sum. Three instructions of one slot each.
HT_INLINE __m512i ht_slices_full_add(__m512i *sum, __m512i a, __m512i b) {
    const __m512i differ = ht_slices_xor(a, b);
    const __m512i carry = _mm512_ternarylogic_epi64(differ, *sum, a, 0xCA);
    *sum = ht_slices_xor(*sum, differ);
    return carry;
}

/// The same, b in memory.
HT_INLINE __m512i ht_slices_full_add_from(__m512i *sum, __m512i a, const char *b) {
    __m512i differ;
    __asm__("vpxorq %2, %1, %0" : "=v"(differ) : "v"(a), "m"(*(const __m512i_u *)(const void *)b));
    const __m512i carry = _mm512_ternarylogic_epi64(differ, *sum, a, 0xCA);
    *sum = ht_slices_xor(*sum, differ);
    return carry;
}

/// The same in two instructions of two slots each, with less latency from *sum.
HT_INLINE __m512i ht_slices_full_add_late(__m512i *sum, __m512i a, __m512i b) {
    __asm__("vpternlogq $0x96, %2, %1, %0" : "+v"(*sum) : "v"(a), "v"(b));
    __asm__("vpternlogq $0xd4, %2, %1, %0" : "+v"(a) : "v"(b), "v"(*sum));
    return a;
}

/// The carry of sum + a.
HT_INLINE __m512i ht_slices_half_add(__m512i *sum, __m512i a) {
    const __m512i carry = _mm512_and_si512(*sum, a);
    *sum = ht_slices_xor(*sum, a);
    return carry;
}

// MARK: lists

// Bits first ..< first + 16 of a word, in one instruction.
#define HT_SLICES_FIELD(word, first)                                                                       \
    __extension__({                                                                                        \
        uint64_t field_;                                                                                   \
        __asm__("bextrq %2, %1, %0" : "=r"(field_) : "r"(word), "r"((uint64_t)(0x1000 | (first))) : "cc"); \
        field_;                                                                                            \
    })

HT_INLINE void ht_slices_addresses(const uint16_t *list, const char *vectors, const char *v[4]) {
    uint64_t four;
    memcpy(&four, list, sizeof four);
    v[0] = vectors + HT_BINARY_LIST_UNIT * (uint64_t)(uint16_t)four;
    v[1] = vectors + HT_BINARY_LIST_UNIT * HT_SLICES_FIELD(four, 16);
    v[2] = vectors + HT_BINARY_LIST_UNIT * HT_SLICES_FIELD(four, 32);
    v[3] = vectors + HT_BINARY_LIST_UNIT * (four >> 48);
}

// Statements that stay in their order. A full adder in three of them: `differ` = a ^ b, a = differ ? sum : a (the
// carry), sum ^= differ.
#define HT_SLICES_LOAD(v, at) \
    __asm__ volatile("vmovdqu64 %1, %0" : "=v"(v) : "m"(*(const __m512i_u *)(const void *)(at)))
#define HT_SLICES_XOR(v, a, b) __asm__ volatile("vpxorq %2, %1, %0" : "=v"(v) : "v"(a), "v"(b))
#define HT_SLICES_XOR_AT(v, a, at) \
    __asm__ volatile("vpxorq %2, %1, %0" : "=v"(v) : "v"(a), "m"(*(const __m512i_u *)(const void *)(at)))
#define HT_SLICES_CARRY(a, sum, differ) \
    __asm__ volatile("vpternlogq $0xd8, %2, %1, %0" : "+v"(a) : "v"(sum), "v"(differ))

/// What the adders of the next 8 entries add besides: sums and carries of the last 8.
typedef struct ht_slices_pipe {
    __m512i ones[3], twos[5], fours[2];  // by the bit that they count for
} ht_slices_pipe;

/// Adds the vectors of 8 entries; returns what is carried to the bit 8. No adder waits for another of the same call,
/// since a processor that holds many waiting adders has no room to look further ahead for those that can go.
HT_INLINE __m512i ht_slices_add8(const uint16_t *list, const char *vectors, __m512i *sum, ht_slices_pipe *p) {
    const char *v[8];
    ht_slices_addresses(list, vectors, v);
    ht_slices_addresses(list + 4, vectors, v + 4);
    __m512i a, b, c, x, y, z, differ[4];
    HT_SLICES_XOR(differ[0], p->ones[0], p->ones[1]);
    HT_SLICES_LOAD(c, v[6]);
    HT_SLICES_XOR_AT(differ[1], p->ones[2], v[7]);
    HT_SLICES_LOAD(a, v[0]);
    HT_SLICES_LOAD(b, v[3]);
    HT_SLICES_XOR_AT(differ[2], a, v[1]);
    HT_SLICES_XOR_AT(differ[3], b, v[4]);
    HT_SLICES_LOAD(x, v[2]);
    HT_SLICES_CARRY(p->ones[0], c, differ[0]);
    HT_SLICES_CARRY(p->ones[2], sum[0], differ[1]);
    HT_SLICES_LOAD(y, v[5]);
    HT_SLICES_XOR(c, c, differ[0]);
    HT_SLICES_XOR(sum[0], sum[0], differ[1]);
    z = p->twos[2];
    const __m512i four0 = ht_slices_full_add_late(&z, p->twos[0], p->twos[1]);
    const __m512i four1 = ht_slices_full_add_late(&sum[1], p->twos[3], p->twos[4]);
    const __m512i eight = ht_slices_full_add_late(&sum[2], p->fours[0], p->fours[1]);
    HT_SLICES_CARRY(a, x, differ[2]);
    HT_SLICES_CARRY(b, y, differ[3]);
    HT_SLICES_XOR(x, x, differ[2]);
    HT_SLICES_XOR(y, y, differ[3]);
    *p = (ht_slices_pipe){{x, y, c}, {a, b, p->ones[0], p->ones[2], z}, {four0, four1}};
    return eight;
}

HT_INLINE __m512i ht_slices_add16(const uint16_t *list, const char *vectors, __m512i *sum, ht_slices_pipe *p) {
    const __m512i a = ht_slices_add8(list, vectors, sum, p), b = ht_slices_add8(list + 8, vectors, sum, p);
    return ht_slices_full_add_late(&sum[3], a, b);
}

HT_INLINE __m512i ht_slices_add32(const uint16_t *list, const char *vectors, __m512i *sum, ht_slices_pipe *p) {
    const __m512i a = ht_slices_add16(list, vectors, sum, p), b = ht_slices_add16(list + 16, vectors, sum, p);
    return ht_slices_full_add_late(&sum[4], a, b);
}

/// Adds what is left in the pipe, and carries to the bits 8, 16 and 32, to counters of n bits.
HT_INLINE void ht_slices_drain(ht_slices_pipe *p, __m512i of8, __m512i of16, __m512i of32, __m512i *sum,
                               const size_t n) {
    const __m512i two0 = ht_slices_full_add_late(&p->ones[0], p->ones[1], p->ones[2]);
    const __m512i two1 = ht_slices_half_add(&sum[0], p->ones[0]);
    const __m512i four0 = ht_slices_full_add_late(&p->twos[0], p->twos[1], p->twos[2]);
    __m512i four1 = ht_slices_full_add_late(&p->twos[3], p->twos[4], two0);
    const __m512i four2 = ht_slices_full_add_late(&p->twos[0], p->twos[3], two1);
    const __m512i four3 = ht_slices_half_add(&sum[1], p->twos[0]);
    __m512i eight0 = ht_slices_full_add_late(&p->fours[0], p->fours[1], four0);
    const __m512i eight1 = ht_slices_full_add_late(&four1, four2, four3);
    const __m512i eight2 = ht_slices_full_add_late(&sum[2], p->fours[0], four1);
    const __m512i sixteen0 = ht_slices_full_add_late(&eight0, eight1, eight2);
    const __m512i sixteen1 = ht_slices_full_add_late(&sum[3], eight0, of8);
    const __m512i more0 = ht_slices_full_add_late(&sum[4], sixteen0, sixteen1);
    const __m512i more1 = ht_slices_half_add(&sum[4], of16);
    const __m512i last0 = ht_slices_full_add_late(&sum[5], more0, more1);
    const __m512i last1 = ht_slices_half_add(&sum[5], of32);
    __m512i carry = ht_slices_full_add_late(&sum[6], last0, last1);
    HT_UNROLL
    for (size_t bit = 7; bit < n; bit++) carry = ht_slices_half_add(&sum[bit], carry);
}

/// Adds the vectors that a list of `count` entries names, a multiple of 8, to counters of n bits, 6 < n, modulo 2^n. A
/// constant n keeps the counters in registers.
///
/// 8 entries take about 8 full adders of three or four slots each on four ports: 0.75 to 1 cycle an entry.
HT_INLINE void ht_slices_add_list(const uint16_t *list, size_t count, const char *vectors, __m512i *sum,
                                  const size_t n) {
    const __m512i zero = _mm512_setzero_si512();
    ht_slices_pipe p = {{zero, zero, zero}, {zero, zero, zero, zero, zero}, {zero, zero}};
    for (; count >= 64; count -= 64, list += 64) {
        const __m512i a = ht_slices_add32(list, vectors, sum, &p), b = ht_slices_add32(list + 32, vectors, sum, &p);
        __m512i carry = ht_slices_full_add_late(&sum[5], a, b);
        HT_UNROLL
        for (size_t bit = 6; bit < n; bit++) carry = ht_slices_half_add(&sum[bit], carry);
    }
    __m512i of8 = zero, of16 = zero, of32 = zero;
    if (count & 32) {
        of32 = ht_slices_add32(list, vectors, sum, &p);
        list += 32;
    }
    if (count & 16) {
        of16 = ht_slices_add16(list, vectors, sum, &p);
        list += 16;
    }
    if (count & 8) of8 = ht_slices_add8(list, vectors, sum, &p);
    ht_slices_drain(&p, of8, of16, of32, sum, n);
}

// MARK: short lists

/// Adds the vectors of 8 entries; returns what is carried to the bit 8.
HT_INLINE __m512i ht_slices_sum8(const uint16_t *list, const char *vectors, __m512i *sum) {
    const char *v[8];
    ht_slices_addresses(list, vectors, v);
    ht_slices_addresses(list + 4, vectors, v + 4);
    __m512i two[4];
    HT_UNROLL
    for (size_t i = 0; i < 4; i++) two[i] = ht_slices_full_add_from(&sum[0], ht_slices_load(v[2 * i]), v[2 * i + 1]);
    const __m512i four0 = ht_slices_full_add(&sum[1], two[0], two[1]);
    const __m512i four1 = ht_slices_full_add(&sum[1], two[2], two[3]);
    return ht_slices_full_add(&sum[2], four0, four1);
}

HT_INLINE __m512i ht_slices_sum16(const uint16_t *list, const char *vectors, __m512i *sum) {
    const __m512i a = ht_slices_sum8(list, vectors, sum), b = ht_slices_sum8(list + 8, vectors, sum);
    return ht_slices_full_add(&sum[3], a, b);
}

/// As ht_slices_add_list, for lists so short that they would spend more on a pipe than it gains them.
HT_INLINE void ht_slices_add_short(const uint16_t *list, size_t count, const char *vectors, __m512i *sum,
                                   const size_t n) {
    for (; count >= 32; count -= 32, list += 32) {
        const __m512i a = ht_slices_sum16(list, vectors, sum), b = ht_slices_sum16(list + 16, vectors, sum);
        __m512i carry = ht_slices_full_add(&sum[4], a, b);
        HT_UNROLL
        for (size_t bit = 5; bit < n; bit++) carry = ht_slices_half_add(&sum[bit], carry);
    }
    if (count == 0) return;
    __m512i of8 = _mm512_setzero_si512(), of16 = of8;
    if (count & 16) of16 = ht_slices_sum16(list, vectors, sum);
    if (count & 8) of8 = ht_slices_sum8(list + (count & 16), vectors, sum);
    __m512i carry = ht_slices_full_add(&sum[4], of16, ht_slices_half_add(&sum[3], of8));
    HT_UNROLL
    for (size_t bit = 5; bit < n; bit++) carry = ht_slices_half_add(&sum[bit], carry);
}

#endif
