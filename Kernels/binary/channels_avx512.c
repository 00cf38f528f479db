// SPDX-License-Identifier: Apache-2.0
// The bit-sliced design with outputs in the lanes in AVX-512. Sums are vertical counters: vector p of a pixel's holds
// the bits of value 2^p of 512 sums.
#if defined(__x86_64__)
#include <immintrin.h>

#include "channels.h"

#if defined(__clang__)
#pragma clang attribute push(                                                                                  \
    __attribute__((                                                                                            \
        target("avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vbmi2,avx512vpopcntdq,gfni,bmi,popcnt"))), \
    apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vbmi2,avx512vpopcntdq,gfni,bmi,popcnt")
#endif

#include "slices.h"

// MARK: lists

// Eight vectors of a list into counters of 1, 2 and 4; returns what is carried to 8. Leaves go better with the adder of
// three instructions, what they carry with the other.
HT_INLINE __m512i add_8(const uint16_t *entries, const char *sheet, __m512i *s) {
    const char *v[8];
    ht_slices_addresses(entries, sheet, v);
    ht_slices_addresses(entries + 4, sheet, v + 4);
    __m512i x = ht_slices_load(v[0]), y = ht_slices_load(v[3]), z = ht_slices_load(v[6]);
    const __m512i c1 = ht_slices_full_add_from(&x, ht_slices_load(v[1]), v[2]);
    const __m512i c2 = ht_slices_full_add_from(&y, ht_slices_load(v[4]), v[5]);
    const __m512i c3 = ht_slices_full_add(&z, x, y);
    const __m512i c4 = ht_slices_full_add_from(&s[0], z, v[7]);
    __m512i c5 = c3;
    const __m512i d1 = ht_slices_full_add_late(&c5, c1, c2), d2 = ht_slices_full_add_late(&s[1], c5, c4);
    return ht_slices_full_add_late(&s[2], d1, d2);
}

HT_INLINE __m512i add_16(const uint16_t *entries, const char *sheet, __m512i *s) {
    const __m512i a = add_8(entries, sheet, s), b = add_8(entries + 8, sheet, s);
    return ht_slices_full_add_late(&s[3], a, b);
}

HT_INLINE __m512i add_32(const uint16_t *entries, const char *sheet, __m512i *s) {
    const __m512i a = add_16(entries, sheet, s), b = add_16(entries + 16, sheet, s);
    return ht_slices_full_add_late(&s[4], a, b);
}

HT_INLINE __m512i add_64(const uint16_t *entries, const char *sheet, __m512i *s) {
    const __m512i a = add_32(entries, sheet, s), b = add_32(entries + 32, sheet, s);
    return ht_slices_full_add_late(&s[5], a, b);
}

HT_INLINE __m512i add_128(const uint16_t *entries, const char *sheet, __m512i *s) {
    const __m512i a = add_64(entries, sheet, s), b = add_64(entries + 64, sheet, s);
    return ht_slices_full_add_late(&s[6], a, b);
}

// A vector is added by one full adder on the way to the counters, four slots of four ports: at best one a cycle, each
// an input of 512 outputs. Half of the inputs are not listed: 1024 signs a cycle, and somewhat more since the adders of
// leaves take three slots.
//
// Counters above 64 are not touched before the end of a list: it has at most 512 entries, which carry at most four
// times to 128, and what they carry has counters of its own.
HT_INLINE void add_list(const uint16_t *entries, size_t eights, const char *sheet, __m512i *counters,
                        const size_t planes) {
    const __m512i zero = _mm512_setzero_si512();
    __m512i s[7], of_128 = zero, of_256 = zero, of_512 = zero, carry = zero;
    HT_UNROLL
    for (size_t p = 0; p < 7; p++) s[p] = counters[p];
    for (; eights >= 16; eights -= 16, entries += 128)
        of_512 =
            ht_slices_xor(of_512, ht_slices_half_add(&of_256, ht_slices_half_add(&of_128, add_128(entries, sheet, s))));
    if (eights) {
        __m512i of_8 = zero, of_16 = zero, of_32 = zero, of_64 = zero;
        if (eights & 8) of_64 = add_64(entries, sheet, s), entries += 64;
        if (eights & 4) of_32 = add_32(entries, sheet, s), entries += 32;
        if (eights & 2) of_16 = add_16(entries, sheet, s), entries += 16;
        if (eights & 1) of_8 = add_8(entries, sheet, s);
        carry = ht_slices_half_add(&s[3], of_8);
        carry = ht_slices_full_add(&s[4], of_16, carry);
        carry = ht_slices_full_add(&s[5], of_32, carry);
        carry = ht_slices_full_add(&s[6], of_64, carry);
    }
    HT_UNROLL
    for (size_t p = 0; p < 7; p++) counters[p] = s[p];
    carry = ht_slices_full_add(&counters[7], of_128, carry);
    carry = ht_slices_full_add(&counters[8], of_256, carry);
    carry = ht_slices_full_add(&counters[9], of_512, carry);
    HT_UNROLL
    for (size_t p = 10; p < planes; p++) carry = ht_slices_half_add(&counters[p], carry);
}

static void add_list_14(const uint16_t *e, size_t n, const char *sheet, __m512i *c) { add_list(e, n, sheet, c, 14); }
static void add_list_12(const uint16_t *e, size_t n, const char *sheet, __m512i *c) { add_list(e, n, sheet, c, 12); }
static void add_list_10(const uint16_t *e, size_t n, const char *sheet, __m512i *c) { add_list(e, n, sheet, c, 10); }

static void add_to_counters(const uint16_t *entries, size_t eights, const void *sheet, void *counters, size_t planes) {
    (planes > 12 ? add_list_14 : planes > 10 ? add_list_12 : add_list_10)(entries, eights, sheet, counters);
}

// A word of 32 inputs at a time: compressed, the numbers of those that are set lie side by side.
static size_t list_pixel(const uint64_t *x, size_t inputs, bool clear, const ht_binary_pixel_lists *lists) {
    static const uint16_t numbers[32] = {0,   8,   16,  24,  32,  40,  48,  56,  64,  72,  80,
                                         88,  96,  104, 112, 120, 128, 136, 144, 152, 160, 168,
                                         176, 184, 192, 200, 208, 216, 224, 232, 240, 248};
    const uint32_t *words = (const uint32_t *)(const void *)x;
    const __m512i first = _mm512_loadu_si512(numbers), step = _mm512_set1_epi16(8 * HT_BINARY_WORD);
    size_t listed = 0;
    for (size_t k = 0; k < inputs; k += HT_BINARY_SHEET) {
        const size_t end = k + HT_BINARY_SHEET < inputs ? k + HT_BINARY_SHEET : inputs;
        uint16_t *begin = lists->entries + k / HT_BINARY_SHEET * lists->stride, *to = begin;
        __m512i number = first;
        for (size_t at = k; at < end; at += HT_BINARY_WORD, number = _mm512_add_epi16(number, step)) {
            const uint32_t present = end - at < HT_BINARY_WORD ? (1u << (end - at)) - 1 : UINT32_MAX;
            uint32_t word;
            __builtin_memcpy(&word, words + at / HT_BINARY_WORD, sizeof word);
            word = (clear ? ~word : word) & present;
            _mm512_storeu_si512(to, _mm512_maskz_compress_epi16(word, number));
            to += __builtin_popcount(word);
        }
        const size_t count = (size_t)(to - begin);
        _mm512_storeu_si512(to, _mm512_set1_epi16((short)(8 * (end - k))));
        lists->eights[k / HT_BINARY_SHEET] = (uint16_t)((count + 7) / 8);
        listed += count;
    }
    return listed;
}

// MARK: cuts

// The counts of 128 outputs, of taps that are seen or of those that are not.
HT_INLINE void sum_counts(const ht_binary_cuts *c, size_t o, bool seen, __m512i sums[8]) {
    HT_UNROLL
    for (size_t i = 0; i < 8; i++) sums[i] = _mm512_setzero_si512();
    if ((seen ? c->seen : c->outside) == 0) return;
    for (size_t tap = 0; tap < c->taps; tap++) {
        const int32_t *counts = c->counts + tap * HT_BINARY_SHEET_OUTPUTS + o;
        if (c->sees[tap] != seen) continue;
        HT_UNROLL
        for (size_t i = 0; i < 8; i++) sums[i] = _mm512_add_epi32(sums[i], _mm512_loadu_si512(counts + 16 * i));
    }
}

static void compute_cuts(const ht_binary_cuts *c, int16_t *cuts) {
    const __m512i sign = _mm512_set1_epi32(c->sign), constant = _mm512_set1_epi32(c->constant);
    const __m512i times_seen = _mm512_set1_epi32(c->seen), times_outside = _mm512_set1_epi32(c->outside);
    const __m512i most = _mm512_set1_epi32(c->bound), least = _mm512_set1_epi32(-c->bound);
    const __m128i shift = _mm_cvtsi32_si128(c->shift);
    for (size_t o = 0; o < HT_BINARY_SHEET_OUTPUTS; o += 128) {
        __m512i seen[8], outside[8];
        sum_counts(c, o, true, seen);
        sum_counts(c, o, false, outside);
        HT_UNROLL
        for (size_t i = 0; i < 8; i++) {
            const __m512i level = _mm512_mullo_epi32(sign, _mm512_loadu_si512(c->level + o + 16 * i));
            __m512i cut = _mm512_sra_epi32(_mm512_add_epi32(level, constant), shift);
            cut = _mm512_add_epi32(cut, _mm512_mullo_epi32(times_seen, seen[i]));
            cut = _mm512_add_epi32(cut, _mm512_mullo_epi32(times_outside, outside[i]));
            cut = _mm512_max_epi32(_mm512_min_epi32(cut, most), least);
            _mm256_storeu_si256((__m256i *)(void *)(cuts + o + 16 * i), _mm512_cvtepi32_epi16(cut));
        }
    }
}

// Columns of words of 64 bits become rows.
HT_INLINE void transpose_words(__m512i v[8]) {
    __m512i pairs[8], fours[8];
    HT_UNROLL
    for (int i = 0; i < 8; i += 2) {
        pairs[i] = _mm512_unpacklo_epi64(v[i], v[i + 1]);  // words 0, 2, 4, 6 of both
        pairs[i + 1] = _mm512_unpackhi_epi64(v[i], v[i + 1]);  // words 1, 3, 5, 7
    }
    HT_UNROLL
    for (int odd = 0; odd < 2; odd++) HT_UNROLL
    for (int half = 0; half < 2; half++) {
        const __m512i a = pairs[4 * half + odd], b = pairs[4 * half + 2 + odd];
        fours[4 * half + odd] = _mm512_shuffle_i64x2(a, b, 0x88);  // words 0 and 4, or 1 and 5
        fours[4 * half + 2 + odd] = _mm512_shuffle_i64x2(a, b, 0xdd);  // words 2 and 6, or 3 and 7
    }
    HT_UNROLL
    for (int i = 0; i < 4; i++) {
        v[i] = _mm512_shuffle_i64x2(fours[i], fours[4 + i], 0x88);
        v[4 + i] = _mm512_shuffle_i64x2(fours[i], fours[4 + i], 0xdd);
    }
}

// The bits of 512 bytes as 8 vectors.
HT_INLINE void slice_bytes(const __m512i bytes[8], __m512i *planes) {
    // Transposing eight bytes wants them back to front; pairs of words of 64 bits then interleave their bytes.
    const __m512i reverse = _mm512_broadcast_i32x4(_mm_set_epi8(8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7));
    const __m512i interleave =
        _mm512_broadcast_i32x4(_mm_set_epi8(15, 7, 14, 6, 13, 5, 12, 4, 11, 3, 10, 2, 9, 1, 8, 0));
    const __m512i gather = _mm512_set_epi16(31, 23, 15, 7, 30, 22, 14, 6, 29, 21, 13, 5, 28, 20, 12, 4, 27, 19, 11, 3,
                                            26, 18, 10, 2, 25, 17, 9, 1, 24, 16, 8, 0);
    const __m512i identity = _mm512_set1_epi64((long long)0x8040201008040201);
    __m512i v[8];
    HT_UNROLL
    for (int i = 0; i < 8; i++) {
        const __m512i bits = _mm512_gf2p8affine_epi64_epi8(identity, _mm512_shuffle_epi8(bytes[i], reverse), 0);
        v[i] = _mm512_permutexvar_epi16(gather, _mm512_shuffle_epi8(bits, interleave));
    }
    transpose_words(v);
    HT_UNROLL
    for (int i = 0; i < 8; i++) planes[i] = v[i];
}

static void cut_view(const ht_binary_cuts *c, void *planes) {
    int16_t cuts[HT_BINARY_SHEET_OUTPUTS];
    compute_cuts(c, cuts);
    __m512i low[8], high[8];
    HT_UNROLL
    for (int i = 0; i < 8; i++) {
        const __m512i a = _mm512_loadu_si512(cuts + 64 * i), b = _mm512_loadu_si512(cuts + 64 * i + 32);
        low[i] = _mm512_inserti64x4(_mm512_castsi256_si512(_mm512_cvtepi16_epi8(a)), _mm512_cvtepi16_epi8(b), 1);
        high[i] = _mm512_inserti64x4(_mm512_castsi256_si512(_mm512_cvtepi16_epi8(_mm512_srli_epi16(a, 8))),
                                     _mm512_cvtepi16_epi8(_mm512_srli_epi16(b, 8)), 1);
    }
    slice_bytes(low, planes);
    slice_bytes(high, (__m512i *)planes + 8);
}

// 2 C < cut + A, a bit at a time: A is the same for all outputs.
static void finish_pixel(const void *counters, size_t planes, size_t listed, const void *cuts, const void *flips,
                         void *y) {
    const __m512i *c = counters, *cut = cuts, zero = _mm512_setzero_si512();
    __m512i carry = zero, borrow = zero;
    // Both fit in planes + 2 bits, the sign among them.
    const size_t width = planes + 2 < HT_BINARY_CUT_PLANES ? planes + 2 : HT_BINARY_CUT_PLANES;
    for (size_t p = 0; p < width; p++) {
        const __m512i a = _mm512_set1_epi64(-(long long)(listed >> p & 1));
        const __m512i twice = p == 0 || p > planes ? zero : c[p - 1];
        const __m512i sum = _mm512_ternarylogic_epi64(cut[p], a, carry, 0x96);
        carry = _mm512_ternarylogic_epi64(cut[p], a, carry, 0xe8);
        if (p + 1 < width)
            borrow = _mm512_ternarylogic_epi64(twice, sum, borrow, 0x8e);
        else
            borrow = _mm512_ternarylogic_epi64(twice, sum, borrow, 0xb2);
    }
    _mm512_storeu_si512(y, _mm512_xor_si512(borrow, _mm512_load_si512(flips)));
}

void ht_binary_channels_run(const ht_binary_task *task) {
    static const ht_binary_slices slices = {list_pixel, add_to_counters, cut_view, finish_pixel};
    ht_binary_channels_loop(&slices, task);
}

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
