// SPDX-License-Identifier: Apache-2.0
// The 8-bit kernels of NEON. A template: i8_neon.c, i8_neondot.c and i8_neoni8mm.c include it with
//   sums_of_4                sums of 4 rows of W, start_sums(sums) and total_sums(sums): from and to 32 bits for each
//   row add_products(sums, x, w)     adds the products of 4 x 4 values of X and weights, exactly ROWS_3 rows of X of
//   the largest kernel: 16 sums and what feeds them fill the registers SIGNED_X               whether add_products
//   takes X with a sign
//
// A table look-up picks among 16 or 32 columns. Of a window of 64 it finds a value in one half and 0 in the other, so
// two look-ups and two dot products get all. The bound is the sum of the times of a look-up and a dot product, for 16
// products: two a cycle of either on Neoverse N1 and N2, two look-ups beside two dot products on V2. The estimate of
// `Utils/mca Kernels/nm/i8_neondot.c kernel_8` is 0.97 dot products a cycle on N1 and N2, 1.93 on V2, of 1.00 and 2.00.
#include "i8_store.h"

enum { quad_bytes = HT_NM_I8_STEP / 4, table_columns = 32 };

// `quads` quads of a step whose picks count from column `first` of a window on, in one table of 16 or 32 columns.
HT_INLINE void add_quads(sums_of_4 *sums, const int8_t *values, const uint8_t *picks, const uint8_t *x, size_t first,
                         const size_t rows, const size_t quads, const bool wide) {
    int8x16_t weights[4];
    uint8x16_t places[4];
    HT_UNROLL
    for (size_t q = 0; q < quads; q++) {
        weights[q] = vld1q_s8(values + q * quad_bytes);
        places[q] = vsubq_u8(vld1q_u8(picks + q * quad_bytes), vdupq_n_u8((uint8_t)first));
    }
    HT_UNROLL
    for (size_t r = 0; r < rows; r++) {
        const uint8_t *from = x + r * HT_NM_I8_WINDOW + first;
        uint8x16x2_t table = {{vld1q_u8(from)}};
        if (wide) table.val[1] = vld1q_u8(from + 16);
        HT_UNROLL
        for (size_t q = 0; q < quads; q++) {
            uint8x16_t picked = wide ? vqtbl2q_u8(table, places[q]) : vqtbl1q_u8(table.val[0], places[q]);
            sums[r * quads + q] = add_products(sums[r * quads + q], picked, weights[q]);
            IN_ORDER(sums[r * quads + q]);
        }
    }
}

// Some quads of one strip.
HT_INLINE void add_strip(const ht_nm_i8_args *a, const int8_t *values, const uint8_t *picks, int32_t *to,
                         const size_t rows, const size_t quads, const size_t columns) {
    const uint8_t *x = a->x;
    sums_of_4 sums[16];
    HT_UNROLL
    for (size_t i = 0; i < rows * quads; i++)
        sums[i] = start_sums(a->first ? vdupq_n_s32(0) : vld1q_s32(to + i / quads * HT_NM_STRIP + i % quads * 4));
    for (size_t step = 0; step < a->steps; x += rows * HT_NM_I8_WINDOW) {
        size_t end = ht_min(a->steps, step + a->window_steps);
        for (size_t column = 0; step < end; step++, column += a->step_columns) {
            if (columns <= table_columns) {
                add_quads(sums, values, picks, x, column / columns * columns, rows, quads, columns > 16);
            } else {
                add_quads(sums, values, picks, x, 0, rows, quads, true);
                add_quads(sums, values, picks, x, table_columns, rows, quads, true);
            }
            values += HT_NM_I8_STEP;
            picks += HT_NM_I8_STEP;
        }
    }
    HT_UNROLL
    for (size_t i = 0; i < rows * quads; i++)
        vst1q_s32(to + i / quads * HT_NM_STRIP + i % quads * 4, total_sums(sums[i]));
}

HT_INLINE void add_strips(const ht_nm_i8_args *a, const size_t rows, const size_t columns) {
    const size_t quads = rows < ROWS_3 ? 4 : 2;
    for (size_t strip = 0; strip < a->strips; strip++)
        for (size_t q = 0; q < 4; q += quads)
            add_strip(a, a->values + strip * a->values_stride + q * quad_bytes,
                      a->picks + strip * a->picks_stride + q * quad_bytes, a->sums + strip * rows * HT_NM_STRIP + q * 4,
                      rows, quads, columns);
}

#define DEFINE_KERNEL(rows) DEFINE_KERNEL_OF(rows)
#define DEFINE_KERNEL_OF(rows)                          \
    static void kernel_##rows(const ht_nm_i8_args *a) { \
        if (a->step_columns <= 16)                      \
            add_strips(a, rows, 16);                    \
        else if (a->step_columns <= 32)                 \
            add_strips(a, rows, 32);                    \
        else                                            \
            add_strips(a, rows, 64);                    \
    }

#define KERNEL(rows) KERNEL_OF(rows)
#define KERNEL_OF(rows) kernel_##rows

DEFINE_KERNEL(1)
DEFINE_KERNEL(ROWS_2)
DEFINE_KERNEL(ROWS_3)

static void sum_weights(const int8_t *values, size_t steps, int32_t sums[HT_NM_STRIP]) {
    const uint8x16_t ones = vdupq_n_u8(1);
    for (size_t q = 0; q < 4; q++) {
        sums_of_4 sum = start_sums(vdupq_n_s32(0));
        for (size_t step = 0; step < steps; step++)
            sum = add_products(sum, ones, vld1q_s8(values + step * HT_NM_I8_STEP + q * quad_bytes));
        vst1q_s32(sums + q * 4, total_sums(sum));
    }
}

static void store(const ht_nm_i8_output *output) { ht_nm_i8_store(output); }

static const ht_nm_i8_vectors vectors = {
    .kernel = {kernel_1, KERNEL(ROWS_2), KERNEL(ROWS_3)},
    .rows = {1, ROWS_2, ROWS_3},
    .signed_x = SIGNED_X,
    .copy = ht_nm_i8_copy,
    .pick = ht_nm_i8_pick_neon,
    .sum_weights = sum_weights,
    .store = store,
};
