// SPDX-License-Identifier: Apache-2.0
// 8-bit products in AVX-512 with VNNI and VBMI: one vpermb picks the X of a step, one vpdpbusd adds its products.
#include "core/simd.h"
#include "i8.h"

#if defined(__x86_64__)
#include <immintrin.h>

// clang-format off
#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,bmi,bmi2,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi,avx512vbmi2"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("avx2,fma,f16c,bmi,bmi2,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi,avx512vbmi2")
#endif
// clang-format on

// How far ahead weights are fetched.
enum { ahead = 2048 };

// MARK: kernels

// The rows of X that a kernel looks at: five pointed at from each of three pointers.
typedef struct rows_of_x {
    const uint8_t *at[3];
    size_t stride, three_strides;
} rows_of_x;

HT_INLINE rows_of_x rows_from(const uint8_t *x, size_t stride) {
    return (rows_of_x){{x, x + 5 * stride, x + 10 * stride}, stride, 3 * stride};
}

HT_INLINE void advance(rows_of_x *x, size_t bytes) {
    HT_UNROLL
    for (int i = 0; i < 3; i++) x->at[i] += bytes;
}

// Bound: vpdpbusd runs on two ports, of which one is also one of the two ports of vpermb: at best 1.5 of each a cycle,
// where a dense product has 2. The ports are given out in program order: four picks before their four products come
// nearest, 1.39; all picks before all products reach 1.35, picks and products by turns between 1.32 and 1.40. Compilers
// mix the two, hence assembly, volatile for its order; nobody writes X meanwhile.
#define PICK(row, address)                              \
    if (first <= (row) && (row) < last)                 \
    __asm__ volatile("vpermb " address ", %[by], %[to]" \
                     : [to] "=v"(picked[(row) % 4])     \
                     : [by] "v"(picks), [x] "r"(x->at[(row) / 5]), [s] "r"(x->stride), [s3] "r"(x->three_strides))
#define ADD(row)                                   \
    if (first <= (row) && (row) < last)            \
    __asm__ volatile("vpdpbusd %[w], %[x], %[sum]" \
                     : [sum] "+v"(sums[row])       \
                     : [x] "v"(picked[(row) % 4]), [w] "v"(values))
#define ADD_4(row) \
    ADD(row);      \
    ADD(row + 1);  \
    ADD(row + 2);  \
    ADD(row + 3)

HT_INLINE void add_step(__m512i *sums, __m512i picks, __m512i values, const rows_of_x *x, const int first,
                        const int last) {
    __m512i picked[4];
    PICK(0, "(%[x])");
    PICK(1, "(%[x],%[s])");
    PICK(2, "(%[x],%[s],2)");
    PICK(3, "(%[x],%[s3])");
    ADD_4(0);
    PICK(4, "(%[x],%[s],4)");
    PICK(5, "(%[x])");
    PICK(6, "(%[x],%[s])");
    PICK(7, "(%[x],%[s],2)");
    ADD_4(4);
    PICK(8, "(%[x],%[s3])");
    PICK(9, "(%[x],%[s],4)");
    PICK(10, "(%[x])");
    PICK(11, "(%[x],%[s])");
    ADD_4(8);
    PICK(12, "(%[x],%[s],2)");
    PICK(13, "(%[x],%[s3])");
    ADD(12);
    ADD(13);
}

// Steps from `step` of a strip on for rows first ..< last, with the X of row 0 at `from`. Where a window ends is not a
// branch: at one or two steps a window it would be missed too often.
HT_INLINE void add_run(const ht_nm_i8_args *a, __m512i sums[2][HT_NM_I8_ROWS], size_t step, size_t steps,
                       const uint8_t *from, const int first, const int last, const int together) {
    const size_t stride = a->strip_stride, window_steps = a->window_steps, window_stride = a->window_stride;
    const uint8_t *from_picks = a->picks + step * HT_NM_I8_STEP;
    const int8_t *from_values = a->values + step * HT_NM_I8_STEP;
    rows_of_x x = rows_from(from, a->row_stride);
    for (size_t left = window_steps; steps; steps--) {
        HT_UNROLL
        for (int s = 0; s < together; s++) {
            const int8_t *weights = from_values + (size_t)s * stride;
            _mm_prefetch((const char *)weights + ahead, _MM_HINT_T0);
            add_step(sums[s], _mm512_load_si512(from_picks + (size_t)s * stride), _mm512_load_si512(weights), &x, first,
                     last);
        }
        from_picks += HT_NM_I8_STEP;
        from_values += HT_NM_I8_STEP;
        left--;
        advance(&x, left ? 0 : window_stride);
        left = left ? left : window_steps;
    }
}

HT_INLINE void add_line(const ht_nm_i8_args *a, __m512i sums[2][HT_NM_I8_ROWS], size_t line, const int rows,
                        const int together) {
    size_t step = line * a->line_steps;
    const uint8_t *x = a->x + line * a->line_stride;
    if (a->before)
        add_run(a, sums, step - a->clipped_steps, a->clipped_steps, x - a->clipped_stride, 1, rows, together);
    for (size_t part = 0; part < a->parts; part++, step += a->steps, x += a->part_stride)
        add_run(a, sums, step, a->steps, x, 0, rows, together);
    if (a->behind) add_run(a, sums, step, a->clipped_steps, x, 0, rows - 1, together);
}

HT_INLINE int32_t *row_of(const ht_nm_i8_sums *sums, int strip, int row) {
    return (int32_t *)(void *)((char *)sums->at + (size_t)strip * sums->strip_stride + (size_t)row * sums->row_stride);
}

HT_INLINE void store_rows(const ht_nm_i8_args *a, const __m512i *sums, int strip, const int rows) {
    if (a->streams) {
        HT_UNROLL
        for (int r = 0; r < rows; r++) _mm512_stream_si512((__m512i *)(void *)row_of(&a->to, strip, r), sums[r]);
    } else {
        HT_UNROLL
        for (int r = 0; r < rows; r++) _mm512_storeu_si512(row_of(&a->to, strip, r), sums[r]);
    }
}

HT_INLINE void add_strips(const ht_nm_i8_args *args, const int rows, const int together) {
    ht_nm_i8_args a = *args;
    for (; a.strips; ht_nm_i8_skip_strips(&a, (size_t)together)) {
        __m512i sums[2][HT_NM_I8_ROWS];
        HT_UNROLL
        for (int s = 0; s < together; s++) HT_UNROLL
        for (int r = 0; r < rows; r++) sums[s][r] = _mm512_loadu_si512(row_of(&a.from, s, r));
        for (size_t line = 0; line < a.lines; line++) add_line(&a, sums, line, rows, together);
        HT_UNROLL
        for (int s = 0; s < together; s++) store_rows(&a, sums[s], s, rows);
    }
}

#define DEFINE_KERNEL(rows) \
    static void kernel_##rows(const ht_nm_i8_args *a) { add_strips(a, rows, 1); }
#define DEFINE_PAIR_KERNEL(rows) \
    static void pair_kernel_##rows(const ht_nm_i8_args *a) { add_strips(a, rows, 2); }

DEFINE_KERNEL(1)
DEFINE_KERNEL(2)
DEFINE_KERNEL(3)
DEFINE_KERNEL(4)
DEFINE_KERNEL(5)
DEFINE_KERNEL(6)
DEFINE_KERNEL(7)
DEFINE_KERNEL(8)
DEFINE_KERNEL(9)
DEFINE_KERNEL(10)
DEFINE_KERNEL(11)
DEFINE_KERNEL(12)
DEFINE_KERNEL(13)
DEFINE_KERNEL(14)
DEFINE_PAIR_KERNEL(1)
DEFINE_PAIR_KERNEL(2)
DEFINE_PAIR_KERNEL(3)
DEFINE_PAIR_KERNEL(4)
DEFINE_PAIR_KERNEL(5)
DEFINE_PAIR_KERNEL(6)
DEFINE_PAIR_KERNEL(7)

static void sum_weights(const int8_t *values, size_t steps, int32_t sums[HT_NM_STRIP]) {
    __m512i sum = _mm512_setzero_si512(), ones = _mm512_set1_epi8(1);
    for (size_t step = 0; step < steps; step++)
        sum = _mm512_dpbusd_epi32(sum, ones, _mm512_load_si512(values + step * HT_NM_I8_STEP));
    _mm512_storeu_si512(sums, sum);
}

// MARK: picks

// The fields of a unit, one in each 32-bit lane. Of 64 bytes read only the fields matter, see layout.c.
HT_INLINE __m512i load_fields(const uint8_t *indices, size_t bytes) {
    __m512i fields = _mm512_loadu_si512(indices);
    if (bytes == 4) return fields;
    const __m512i thirds = _mm512_set_epi32(0x2f2f2e2d, 0x2c2c2b2a, 0x29292827, 0x26262524, 0x23232221, 0x20201f1e,
                                            0x1d1d1c1b, 0x1a1a1918, 0x17171615, 0x14141312, 0x1111100f, 0x0e0e0d0c,
                                            0x0b0b0a09, 0x08080706, 0x05050403, 0x02020100);
    return _mm512_permutexvar_epi8(thirds, fields);
}

// How fields become picks. A shift for each byte brings an index to its place; then the columns before the slot's
// window are added. They grow from step to step and wrap at 64, the end of a window of X, as picks do.
typedef struct decoder {
    __m512i first_shifts, step_shift;
    __m512i mask;
    __m512i first_columns, step_columns;
} decoder;

HT_INLINE decoder make_decoder(const ht_nm_layout *l) {
    const uint64_t each = 0x0302010003020100, odd_rows = 0x2020202000000000, bits = l->index_bits;
    return (decoder){
        .first_shifts = _mm512_set1_epi64((long long)(each * bits + odd_rows)),
        .step_shift = _mm512_set1_epi8((char)(l->step * bits)),
        .mask = _mm512_set1_epi8((char)((1 << bits) - 1)),
        .first_columns = _mm512_set1_epi32((int)ht_nm_i8_slot_columns(l)),
        .step_columns = _mm512_set1_epi8((char)ht_nm_i8_step_columns(l)),
    };
}

HT_INLINE __m512i decode(const decoder *d, __m512i fields, __m512i shifts, __m512i columns) {
    __m512i index = _mm512_and_si512(_mm512_multishift_epi64_epi8(shifts, fields), d->mask);
    return _mm512_add_epi8(index, columns);
}

static void pick_indices(const ht_nm_layout *l, const uint8_t *indices, size_t steps, uint8_t *picks) {
    const size_t unit_steps = l->unit_slots / l->step, unit_bytes = ht_nm_unit_bytes(l);
    const decoder d = make_decoder(l);
    __m512i columns = d.first_columns;
    for (size_t step = 0; step < steps; indices += unit_bytes) {
        const __m512i fields = load_fields(indices, l->field_bytes);
        __m512i shifts = d.first_shifts;
        for (size_t end = ht_min(steps, step + unit_steps); step < end; step++) {
            _mm512_store_si512(picks + step * HT_NM_I8_STEP, decode(&d, fields, shifts, columns));
            shifts = _mm512_add_epi8(shifts, d.step_shift);
            columns = _mm512_add_epi8(columns, d.step_columns);
        }
    }
}

// 4x4 blocks of 32 bits change rows and columns inside each 128-bit lane.
HT_INLINE void transpose_4x4(__m512i r[4]) {
    __m512i low01 = _mm512_unpacklo_epi32(r[0], r[1]), high01 = _mm512_unpackhi_epi32(r[0], r[1]);
    __m512i low23 = _mm512_unpacklo_epi32(r[2], r[3]), high23 = _mm512_unpackhi_epi32(r[2], r[3]);
    r[0] = _mm512_unpacklo_epi64(low01, low23);
    r[1] = _mm512_unpackhi_epi64(low01, low23);
    r[2] = _mm512_unpacklo_epi64(high01, high23);
    r[3] = _mm512_unpackhi_epi64(high01, high23);
}

// The set bits of two rows' maps become their numbers, row by row 32 bytes apart.
HT_INLINE void list_columns(const uint8_t *maps, uint8_t *lists, size_t pair) {
    static const uint8_t numbers[64] = {
        0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21,
        22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11,
        12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31,
    };
    const __m256i all = _mm256_loadu_si256((const __m256i *)numbers);
    uint64_t both;
    memcpy(&both, maps + pair * 8, sizeof both);
    _mm256_store_si256((__m256i *)(lists + pair * 64), _mm256_maskz_compress_epi8((__mmask32)both, all));
    _mm256_store_si256((__m256i *)(lists + pair * 64 + 32), _mm256_maskz_compress_epi8((__mmask32)(both >> 32), all));
}

// Four steps of a unit: their bytes in the lists of all 16 rows.
HT_INLINE void load_steps(const uint8_t *lists, size_t step, __m512i out[4]) {
    HT_UNROLL
    for (int i = 0; i < 4; i++) {
        const uint8_t *from = lists + i * 32 + step * 4;
        __m512i rows = _mm512_castsi128_si512(_mm_load_si128((const __m128i *)from));
        rows = _mm512_inserti32x4(rows, _mm_load_si128((const __m128i *)(from + 128)), 1);
        rows = _mm512_inserti32x4(rows, _mm_load_si128((const __m128i *)(from + 256)), 2);
        out[i] = _mm512_inserti32x4(rows, _mm_load_si128((const __m128i *)(from + 384)), 3);
    }
    transpose_4x4(out);
}

static void pick_maps(const ht_nm_layout *l, const uint8_t *indices, size_t steps, uint8_t *picks) {
    _Alignas(64) uint8_t lists[HT_NM_STRIP * HT_NM_MAP_COLUMNS];
    const size_t unit_steps = l->unit_slots / l->step;
    for (size_t begin = 0, unit = 0; begin < steps; begin += unit_steps, unit++, indices += HT_NM_I8_STEP) {
        const __m512i columns = _mm512_set1_epi8((char)(unit % 2 * HT_NM_MAP_COLUMNS));
        for (size_t pair = 0; pair < HT_NM_STRIP / 2; pair++) list_columns(indices, lists, pair);
        size_t count = ht_min(unit_steps, steps - begin);
        for (size_t step = 0; step < count; step += 4) {
            __m512i four[4];
            load_steps(lists, step, four);
            for (size_t i = 0; i < 4 && step + i < count; i++)
                _mm512_store_si512(picks + (begin + step + i) * HT_NM_I8_STEP, _mm512_add_epi8(four[i], columns));
        }
    }
}

static void pick(const ht_nm_layout *l, const uint8_t *indices, size_t steps, uint8_t *picks) {
    if (l->code == HT_NM_CODE_MAP)
        pick_maps(l, indices, steps, picks);
    else
        pick_indices(l, indices, steps, picks);
}

// MARK: few rows

// Up to 8 rows of X, indices decoded on the way. Bound: the stream of weights and indices; a step of one row takes 64
// bytes of weights and two loads, so that even L3 has no trouble to keep up. Each step of a unit has its own sums,
// where there is room, for the latency of vpdpbusd.
HT_INLINE void add_unit(const ht_nm_i8_args *a, const decoder *d, __m512i fields, __m512i *columns,
                        const int8_t *values, rows_of_x *x, size_t *left, __m512i sums[4][8], const int rows,
                        const int steps, const int parts) {
    __m512i shifts = d->first_shifts;
    HT_UNROLL
    for (int s = 0; s < steps; s++) {
        __m512i picks = decode(d, fields, shifts, *columns), weights = _mm512_load_si512(values + s * HT_NM_I8_STEP);
        add_step(sums[s % parts], picks, weights, x, 0, rows);
        shifts = _mm512_add_epi8(shifts, d->step_shift);
        *columns = _mm512_add_epi8(*columns, d->step_columns);
        *left -= 1;
        advance(x, *left ? 0 : a->window_stride);
        *left = *left ? *left : a->window_steps;
    }
}

HT_INLINE void add_directly(const ht_nm_i8_args *a, const int rows, const int unit_steps, const size_t field_bytes) {
    const int parts = rows * unit_steps <= 8 ? unit_steps : 8 / rows;
    const size_t unit_bytes = HT_NM_STRIP * field_bytes;
    const decoder d = make_decoder(a->layout);
    const int8_t *values = a->values;
    const uint8_t *indices = a->indices;
    for (size_t strip = 0; strip < a->strips; strip++) {
        __m512i sums[4][8], columns = d.first_columns;
        HT_UNROLL
        for (int p = 0; p < parts; p++) HT_UNROLL
        for (int r = 0; r < rows; r++) sums[p][r] = _mm512_setzero_si512();
        rows_of_x x = rows_from(a->x, a->row_stride);
        size_t left = a->window_steps, steps = a->steps;
        for (; steps >= (size_t)unit_steps; steps -= (size_t)unit_steps) {
            HT_UNROLL
            for (int s = 0; s < unit_steps; s++)
                _mm_prefetch((const char *)values + s * HT_NM_I8_STEP + ahead, _MM_HINT_T0);
            _mm_prefetch((const char *)indices + ahead / 2, _MM_HINT_T0);
            add_unit(a, &d, load_fields(indices, field_bytes), &columns, values, &x, &left, sums, rows, unit_steps,
                     parts);
            values += unit_steps * HT_NM_I8_STEP;
            indices += unit_bytes;
        }
        if (steps) {
            decoder rest = d;
            __m512i fields = load_fields(indices, field_bytes);
            for (; steps; steps--, values += HT_NM_I8_STEP) {
                add_unit(a, &rest, fields, &columns, values, &x, &left, sums, rows, 1, 1);
                rest.first_shifts = _mm512_add_epi8(rest.first_shifts, d.step_shift);
            }
            indices += unit_bytes;
        }
        HT_UNROLL
        for (int r = 0; r < rows; r++) {
            HT_UNROLL
            for (int p = 1; p < parts; p++) sums[0][r] = _mm512_add_epi32(sums[0][r], sums[p][r]);
            sums[0][r] = _mm512_add_epi32(sums[0][r], _mm512_loadu_si512(row_of(&a->from, (int)strip, r)));
            _mm512_storeu_si512(row_of(&a->to, (int)strip, r), sums[0][r]);
        }
    }
}

#define DEFINE_DIRECT(rows)                             \
    static void direct_##rows(const ht_nm_i8_args *a) { \
        switch (a->layout->index_bits) {                \
        case 2: add_directly(a, rows, 4, 4); break;     \
        case 3: add_directly(a, rows, 2, 3); break;     \
        case 4: add_directly(a, rows, 2, 4); break;     \
        default: add_directly(a, rows, 1, 4); break;    \
        }                                               \
    }

DEFINE_DIRECT(1)
DEFINE_DIRECT(2)
DEFINE_DIRECT(4)
DEFINE_DIRECT(8)

// MARK: X

// The lowest `count` lanes.
HT_INLINE uint64_t lowest(size_t count) { return count < 64 ? ((uint64_t)1 << count) - 1 : ~(uint64_t)0; }

static void copy(const uint8_t *from, size_t count, uint8_t flip, uint8_t *to) {
    const __m512i flips = _mm512_set1_epi8((char)flip);
    size_t i = 0;
    for (; i + 64 <= count; i += 64) _mm512_storeu_si512(to + i, _mm512_xor_si512(_mm512_loadu_si512(from + i), flips));
    if (i < count)
        _mm512_storeu_si512(to + i, _mm512_xor_si512(_mm512_maskz_loadu_epi8(lowest(count - i), from + i), flips));
}

static const ht_nm_i8_vectors vectors = {
    .kernel = {kernel_1, kernel_2, kernel_3, kernel_4, kernel_5, kernel_6, kernel_7, kernel_8, kernel_9, kernel_10,
               kernel_11, kernel_12, kernel_13, kernel_14},
    .rows = HT_NM_I8_ROWS,
    .clips = true,
    .pair_kernel = {pair_kernel_1, pair_kernel_2, pair_kernel_3, pair_kernel_4, pair_kernel_5, pair_kernel_6,
                    pair_kernel_7},
    .direct = {direct_1, direct_2, direct_4, direct_8},
    .copy = copy,
    .pick = pick,
    .sum_weights = sum_weights,
    .store = ht_sums_store_avx512,
};

void ht_nm_gemm_i8_avx512vnni(const ht_nm_task *task) {
    ht_nm_i8_run(&vectors, task);
    _mm_sfence();  // behind sums stored past the caches
}

#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
